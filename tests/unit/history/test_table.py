"""The rules of `router.history.table.Table`, on the double that other tests use and on two emulators of DynamoDB.

What an emulator cannot do is left out here, in one place, with the reason (`LEFT_OUT`).
"""

import math
import os
import socket
import subprocess
import sys
import time
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from itertools import count
from threading import Barrier
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError, ConnectionClosedError
from botocore.httpsession import URLLib3Session
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from moto import mock_aws

from router.cli.replay.memory_table import MemoryTable
from router.deadline import Deadline, applies, time_left
from router.errors import Conflict, HistoryUnavailable
from router.history.table import INDEXES, MAX_PUTS, TABLE, DynamoTable, Index, Item, Put, Query, Table, plain, typed
from tests.doubles.examples import share

NOW = 1_800_000_000.0
REFUSAL = "test_a_commit_that_dynamodb_refuses_is_unavailable_and_writes_nothing"

LEFT_OUT = {
    "test_exactly_one_of_twenty_racing_puts_if_absent_wins[moto]": "moto 5.2.5 has no lock: rarely, two win",
    f"{REFUSAL}[moto-an index key that is not a string]": "moto 5.2.5 does not check the types of index keys",
    f"{REFUSAL}[moto-an index key that is not a number]": "moto 5.2.5 does not check the types of index keys",
    "test_a_reversed_range_is_refused[moto]": "moto 5.2.5 answers with nothing found",
}

# Starts MiniStack, and ends it when the pipe from the test process closes, however that process ends.
MINISTACK = """
import os, runpy, sys, threading
threading.Thread(target=lambda: (sys.stdin.read(), os._exit(0)), daemon=True).start()
runpy.run_module("ministack", run_name="__main__", alter_sys=True)
"""


@pytest.fixture(scope="session")
def ministack() -> Iterator[str]:
    """The URL of a MiniStack for only this test process, on the loopback interface."""
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        port = listener.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    places = {"BIND_HOST": "127.0.0.1", "MINISTACK_HOST": "127.0.0.1", "GATEWAY_PORT": str(port)}
    with subprocess.Popen(
        [sys.executable, "-c", MINISTACK],
        env=os.environ | places,
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as server:
        try:
            wait_for(f"{url}/_ministack/health", server)
            yield url
        finally:
            server.kill()


def wait_for(url: str, server: subprocess.Popen[bytes]) -> None:
    """Return when the URL answers; 30 s at most."""
    for _ in range(300):
        assert server.poll() is None, "MiniStack ended before it was ready"
        try:
            urllib.request.urlopen(url, timeout=1).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    pytest.fail("MiniStack was not ready in 30 s")


def make_client(endpoint: str | None = None, tries: int = 1) -> Any:
    retries = {"total_max_attempts": tries, "mode": "standard"}
    return boto3.client(
        "dynamodb",
        region_name="eu-west-1",
        endpoint_url=endpoint,
        aws_access_key_id="test",
        aws_secret_access_key="test",
        config=Config(connect_timeout=2, read_timeout=10, retries=retries, max_pool_connections=30),
    )


def make_table(client: Any) -> str:
    """Create an empty table with the keys and indexes that the router declares; returns its name."""
    name = f"history-{uuid.uuid4().hex}"
    types = {n: t for i in (TABLE, *INDEXES.values()) for n, t in ((i.partition, "S"), (i.sort, i.sort_type))}
    client.create_table(
        TableName=name,
        BillingMode="PAY_PER_REQUEST",
        KeySchema=key_schema(TABLE),
        AttributeDefinitions=[{"AttributeName": name, "AttributeType": kind} for name, kind in types.items()],
        GlobalSecondaryIndexes=[
            {"IndexName": name, "KeySchema": key_schema(index), "Projection": projection(index)}
            for name, index in INDEXES.items()
        ],
    )
    return name


def key_schema(index: Index) -> list[dict[str, str]]:
    return [
        {"AttributeName": index.partition, "KeyType": "HASH"},
        {"AttributeName": index.sort, "KeyType": "RANGE"},
    ]


def projection(index: Index) -> dict[str, Any]:
    if index.projects is None:
        return {"ProjectionType": "ALL"}
    return {"ProjectionType": "INCLUDE", "NonKeyAttributes": list(index.projects)}


@pytest.fixture
def moto_client() -> Iterator[Any]:
    with mock_aws():
        yield make_client()


@pytest.fixture
def ministack_client(ministack: str) -> Any:
    return make_client(ministack)


@pytest.fixture(params=["memory", "moto", "ministack"])
def table(request: pytest.FixtureRequest) -> Table:
    """An empty table of each kind."""
    if reason := LEFT_OUT.get(request.node.name):
        pytest.skip(reason)
    if request.param == "memory":
        return MemoryTable()
    client = request.getfixturevalue(f"{request.param}_client")
    return DynamoTable(client, make_table(client))


@pytest.fixture(params=["moto", "ministack"])
def client(request: pytest.FixtureRequest) -> Any:
    """A DynamoDB client for tests of the adapter only."""
    return request.getfixturevalue(f"{request.param}_client")


@pytest.fixture
def dynamo(client: Any) -> DynamoTable:
    return DynamoTable(client, make_table(client))


def item(sk: str, **attributes: Any) -> Item:
    return {"pk": "p", "sk": sk, **attributes}


def stored(table: Table, *sort_keys: str, now: float = NOW) -> dict[str, Item]:
    return {sk: found for (_, sk), found in table.get([("p", sk) for sk in sort_keys], now).items()}


def sort_keys(table: Table, query: Query) -> list[str]:
    return [found["sk"] for found in table.query(query, NOW).items]


# --- what a commit may do ---------------------------------------------------------------------------------------------


def test_an_unconditional_put_replaces_the_whole_item(table: Table) -> None:
    table.commit([Put(item("a", old=1))], NOW)
    table.commit([Put(item("a", new=2))], NOW)
    assert stored(table, "a") == {"a": item("a", new=2)}


def test_a_put_if_absent_loses_to_an_existing_item(table: Table) -> None:
    table.commit([Put(item("a", by="first"), version=0)], NOW)
    with pytest.raises(Conflict) as refusal:
        table.commit([Put(item("a", by="second"), version=0)], NOW)
    assert refusal.value.keys == {("p", "a")}
    assert stored(table, "a")["a"]["by"] == "first"


def test_exactly_one_of_twenty_racing_puts_if_absent_wins(table: Table) -> None:
    start = Barrier(20)

    def race(racer: int) -> bool:
        start.wait()
        try:
            table.commit([Put(item("a", by=racer), version=0)], NOW)
        except Conflict:
            return False
        return True

    with ThreadPoolExecutor(20) as racers:
        won = list(racers.map(race, range(20)))
    assert won.count(True) == 1
    assert stored(table, "a")["a"]["by"] == won.index(True)


@pytest.mark.parametrize("version", [1, 3])
def test_a_versioned_put_loses_to_any_other_version(table: Table, version: int) -> None:
    table.commit([Put(item("a", version=2))], NOW)
    with pytest.raises(Conflict) as refusal:
        table.commit([Put(item("a", version=9), version=version)], NOW)
    assert refusal.value.keys == {("p", "a")}
    assert stored(table, "a")["a"]["version"] == 2


def test_a_versioned_put_wins_over_its_own_version(table: Table) -> None:
    table.commit([Put(item("a", version=1), version=0)], NOW)
    table.commit([Put(item("a", version=2), version=1)], NOW)
    assert stored(table, "a")["a"]["version"] == 2


@pytest.mark.parametrize("there", [[], [Put(item("a"))]], ids=["nothing", "no version"])
def test_a_versioned_put_loses_if_the_item_has_no_version(table: Table, there: list[Put]) -> None:
    table.commit(there, NOW)
    with pytest.raises(Conflict):
        table.commit([Put(item("a", version=2), version=1)], NOW)


@pytest.mark.parametrize("other", [[], [Put(item("b"))]], ids=["alone", "in a transaction"])
def test_an_expired_item_is_absent_to_conditions(table: Table, other: list[Put]) -> None:
    table.commit([Put(item("a", version=1, ttl=int(NOW) - 1))], NOW - 100)
    with pytest.raises(Conflict):
        table.commit([Put(item("a", version=2), version=1), *other], NOW)
    table.commit([Put(item("a", version=1, by="second"), version=0), *other], NOW)
    assert stored(table, "a") == {"a": item("a", version=1, by="second")}


@pytest.mark.parametrize("version", [0, 1])
def test_an_item_exists_until_the_second_of_its_ttl_has_passed(table: Table, version: int) -> None:
    table.commit([Put(item("a", version=1, ttl=int(NOW)))], NOW)
    assert stored(table, "a", now=NOW + 0.0004).keys() == {"a"}
    assert stored(table, "a", now=NOW + 0.001) == {}
    put = Put(item("a", version=2), version)
    if version == 0:
        with pytest.raises(Conflict):
            table.commit([put], NOW + 0.0004)
        table.commit([put], NOW + 0.001)
    else:
        with pytest.raises(Conflict):
            table.commit([put], NOW + 0.001)
        table.commit([put], NOW + 0.0004)


def test_a_transaction_writes_a_hundred_items(table: Table) -> None:
    names = [f"{number:03}" for number in range(MAX_PUTS)]
    table.commit([Put(item(name), version=0) for name in names], NOW)
    assert stored(table, *names).keys() == set(names)


def test_a_transaction_with_a_conflict_writes_nothing_and_returns_the_conflicts(table: Table) -> None:
    table.commit([Put(item("b", version=5)), Put(item("d"))], NOW)
    puts = [Put(item("a")), Put(item("b", version=2), version=1), Put(item("c"), version=0), Put(item("d"), version=0)]
    with pytest.raises(Conflict) as refusal:
        table.commit(puts, NOW)
    assert refusal.value.keys == {("p", "b"), ("p", "d")}
    assert stored(table, "a", "b", "c", "d") == {"b": item("b", version=5), "d": item("d")}


def test_single_puts_are_written_whatever_becomes_of_the_others(table: Table) -> None:
    table.commit([Put(item("b", text="first"), version=0)], NOW)
    puts = [Put(item(name, text="second"), version=0) for name in "abc"]
    assert table.put_each(puts, NOW) == {}
    found = table.get([put.key for put in puts], NOW)
    assert [found[put.key]["text"] for put in puts] == ["second", "first", "second"]


def test_an_empty_commit_does_nothing(table: Table) -> None:
    assert table.put_each([], NOW) == {}
    table.commit([], NOW)
    assert table.query(Query(None, "p"), NOW).items == ()


INVALID = {
    "an empty key": [Put(item(""))],
    "an empty index key": [Put(item("a", subject="", at="2026"))],
    "an index key that is not a string": [Put(item("a", subject=7, at="2026"))],
    "an index key that is not a number": [Put(item("a", due_shard="0", due_at="soon"))],
    "a key twice": [Put(item("a")), Put(item("a"))],
    "over a hundred puts": [Put(item(str(number))) for number in range(MAX_PUTS + 1)],
    "an item over 400 KB": [Put(item("a", detail=b"x" * 410_000))],
}


@pytest.mark.parametrize("puts", INVALID.values(), ids=INVALID.keys())
def test_a_commit_that_dynamodb_refuses_is_unavailable_and_writes_nothing(table: Table, puts: list[Put]) -> None:
    with pytest.raises(HistoryUnavailable):
        table.commit(puts, NOW)
    assert table.query(Query(None, "p"), NOW).items == ()


# --- what a get shows -------------------------------------------------------------------------------------------------


def test_a_get_returns_only_existing_items(table: Table) -> None:
    table.commit([Put(item("a")), Put(item("old", ttl=int(NOW) - 1)), Put(item("young", ttl=int(NOW) + 1))], NOW)
    assert stored(table, "a", "old", "young", "nowhere").keys() == {"a", "young"}


def test_a_get_accepts_any_number_of_keys_and_repeated_keys(table: Table) -> None:
    names = [f"{number:03}" for number in range(230)]
    for start in range(0, 230, MAX_PUTS):
        table.commit([Put(item(name)) for name in names[start : start + MAX_PUTS]], NOW)
    assert stored(table, *names[:5], *names).keys() == set(names)
    assert table.get([], NOW) == {}


def test_items_that_were_read_are_not_shared_with_the_table(table: Table) -> None:
    written = item("a", causes={"oom": 1})
    table.commit([Put(written)], NOW)
    written["causes"]["oom"] = 2
    stored(table, "a")["a"]["causes"]["oom"] = 3
    table.query(Query(None, "p"), NOW).items[0]["causes"]["oom"] = 4
    assert stored(table, "a")["a"]["causes"] == {"oom": 1}


# --- values -----------------------------------------------------------------------------------------------------------

whole_numbers = st.integers(-(10**38) + 1, 10**38 - 1)
milliseconds = st.integers(-(10**12), 10**12).map(lambda number: number / 1000)
values = st.recursive(
    st.none() | st.booleans() | whole_numbers | milliseconds | st.text() | st.binary(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(min_size=1), inner, max_size=4),
    max_leaves=8,
)


@given(values)
def test_a_value_survives_typed_json(value: Any) -> None:
    assert plain(typed(value)) == value


@settings(max_examples=share(25), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(value=values)
def test_a_value_survives_the_table(table: Table, value: Any) -> None:
    table.commit([Put(item("a", value=value))], NOW)
    assert stored(table, "a") == {"a": item("a", value=value)}


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ((1, (2,)), [1, [2]]),
        (1.23449, 1.234),
        (2.0, 2),
        ("half \ud83d a pair", "half ? a pair"),
    ],
)
def test_a_value_that_dynamodb_cannot_store_exactly_is_approximated(table: Table, written: Any, read: Any) -> None:
    table.commit([Put(item("a", value=written))], NOW)
    assert stored(table, "a")["a"]["value"] == read


@pytest.mark.parametrize("value", [True, 1, 1.5])
def test_a_value_keeps_its_type(table: Table, value: Any) -> None:
    table.commit([Put(item("a", value=value))], NOW)
    assert type(stored(table, "a")["a"]["value"]) is type(value)


@pytest.mark.parametrize("value", [math.nan, math.inf, 10**38, {"a", "b"}, object()])
def test_a_value_of_an_unsupported_type_is_refused_before_any_write(table: Table, value: Any) -> None:
    with pytest.raises((TypeError, ValueError)):
        table.commit([Put(item("a")), Put(item("b", value=[value]))], NOW)
    assert stored(table, "a", "b") == {}


# --- what a query shows -----------------------------------------------------------------------------------------------


def alerts(*hours: int, **attributes: Any) -> list[Put]:
    """Alerts of one service, one at each of these hours."""
    return [Put(item(f"{hour:02}", subject="web", at=f"2026-01-01T{hour:02}", **attributes)) for hour in hours]


def test_a_query_is_in_the_order_of_the_sort_key_either_way(table: Table) -> None:
    table.commit(alerts(5, 1, 3), NOW)
    assert sort_keys(table, Query("alerts_by_subject", "web")) == ["01", "03", "05"]
    assert sort_keys(table, Query("alerts_by_subject", "web", newest_first=True)) == ["05", "03", "01"]
    assert sort_keys(table, Query(None, "p", newest_first=True)) == ["05", "03", "01"]


def test_a_query_over_a_range_includes_both_ends(table: Table) -> None:
    table.commit(alerts(1, 2, 3, 4), NOW)
    between = ("2026-01-01T02", "2026-01-01T03")
    assert sort_keys(table, Query("alerts_by_subject", "web", between=between)) == ["02", "03"]
    assert sort_keys(table, Query(None, "p", between=("02", "03"))) == ["02", "03"]


def test_a_range_of_numbers_is_compared_as_numbers(table: Table) -> None:
    table.commit([Put(item(str(due), due_shard="0", due_at=due)) for due in (9, 10.5, 100)], NOW)
    assert sort_keys(table, Query("due", "0", between=(0, 99))) == ["9", "10.5"]


def test_a_reversed_range_is_refused(table: Table) -> None:
    with pytest.raises(HistoryUnavailable):
        table.query(Query(None, "p", between=("b", "a")), NOW)


def test_an_index_holds_only_items_with_both_of_its_keys_and_only_while_they_have_them(table: Table) -> None:
    table.commit([Put(item("a", due_shard="0", due_at=1)), Put(item("b", due_shard="0")), Put(item("c"))], NOW)
    assert sort_keys(table, Query("due", "0")) == ["a"]
    table.commit([Put(item("a"))], NOW)
    assert sort_keys(table, Query("due", "0")) == []


@pytest.fixture
def narrow_index(monkeypatch: pytest.MonkeyPatch) -> None:
    """Request it before `table`, which is created with the indexes as they are then."""
    monkeypatch.setitem(INDEXES, "due", INDEXES["due"]._replace(projects=("ttl",)))


def test_an_index_returns_only_its_keys_and_projected_attributes(narrow_index: None, table: Table) -> None:
    whole = item("a", due_shard="0", due_at=1, ttl=int(NOW), detail=b"long")
    table.commit([Put(whole)], NOW)
    shown = {name: value for name, value in whole.items() if name != "detail"}
    assert table.query(Query("due", "0"), NOW).items == (shown,)
    assert table.query(Query("due", "0"), NOW + 1).items == ()


def test_a_query_reads_only_its_partition(table: Table) -> None:
    table.commit([*alerts(1), Put(item("x", subject="api", at="2026-01-01T01"))], NOW)
    table.commit([Put({"pk": "q", "sk": "y"})], NOW)
    assert sort_keys(table, Query("alerts_by_subject", "web")) == ["01"]
    assert sort_keys(table, Query(None, "q")) == ["y"]


def test_an_expired_item_is_absent_from_queries_and_does_not_count(table: Table) -> None:
    table.commit([*alerts(1, 2, 3, ttl=int(NOW) - 1), *alerts(4, 5)], NOW)
    for index, partition in ((None, "p"), ("alerts_by_subject", "web")):
        page = table.query(Query(index, partition, limit=2), NOW)
        assert [found["sk"] for found in page.items] == ["04", "05"]
        assert page.cursor is None


def test_a_filter_keeps_items_with_one_of_the_values_and_the_limit_counts_those(table: Table) -> None:
    for cause in ("oom", "exit", "probe"):
        table.commit([Put(item(f"{cause}{number}", cause=cause)) for number in range(3)], NOW)
    assert sort_keys(table, Query(None, "p", filters={"cause": "oom"})) == ["oom0", "oom1", "oom2"]
    either = Query(None, "p", filters={"cause": ("probe", "oom")}, limit=4)
    first = table.query(either, NOW)
    assert [found["sk"] for found in first.items] == ["oom0", "oom1", "oom2", "probe0"]
    assert sort_keys(table, either._replace(cursor=first.cursor)) == ["probe1", "probe2"]
    assert sort_keys(table, Query(None, "p", filters={"cause": "oom", "missing": "x"})) == []


@pytest.mark.parametrize("newest_first", [False, True])
@pytest.mark.parametrize("size", [1, 2, 5, 6, 7])
def test_pages_show_each_item_once_and_the_last_has_no_cursor(table: Table, newest_first: bool, size: int) -> None:  # noqa: FBT001 - a parameter of the test
    table.commit(alerts(1, 2, 3, 4, 5, 6), NOW)
    query = Query("alerts_by_subject", "web", newest_first=newest_first, limit=size)
    pages = list(walk(table, query))
    assert [len(page) for page in pages] == [min(size, 6 - start) for start in range(0, 6, size)]
    seen = [found["sk"] for page in pages for found in page]
    assert seen == sorted(seen, reverse=newest_first)
    assert len(set(seen)) == 6


def test_pages_show_items_with_the_same_sort_key_once_each(table: Table) -> None:
    table.commit([Put(item(str(number), due_shard="0", due_at=7.5)) for number in range(5)], NOW)
    seen = [found["sk"] for page in walk(table, Query("due", "0", limit=2)) for found in page]
    assert sorted(seen) == ["0", "1", "2", "3", "4"]


def test_a_cursor_stays_valid_after_its_item_is_deleted(table: Table) -> None:
    table.commit(alerts(1, 2, 3), NOW)
    query = Query("alerts_by_subject", "web", limit=2)
    cursor = table.query(query, NOW).cursor
    table.commit([Put(item("02"))], NOW)
    assert sort_keys(table, query._replace(cursor=cursor)) == ["03"]


def test_a_query_without_a_limit_reads_beyond_the_megabyte_of_one_response(table: Table) -> None:
    for hour in range(8):
        table.commit(alerts(hour, detail=b"x" * 300_000), NOW)
    assert len(sort_keys(table, Query("alerts_by_subject", "web"))) == 8


def walk(table: Table, query: Query) -> Iterator[tuple[Item, ...]]:
    while True:
        page = table.query(query, NOW)
        yield page.items
        if page.cursor is None:
            return
        query = query._replace(cursor=page.cursor)


# --- the double and DynamoDB ------------------------------------------------------------------------------------------

puts_of_few_keys = st.builds(
    lambda sk, version, new, ttl: Put(item(sk, version=new) | ({} if ttl is None else {"ttl": ttl}), version),
    st.sampled_from("abc"),
    st.sampled_from([None, 0, 1, 2]),
    st.sampled_from([0, 1, 2]),
    st.sampled_from([None, 10, 20]),
)
histories = st.lists(
    st.tuples(
        st.lists(puts_of_few_keys, min_size=1, max_size=3, unique_by=lambda put: put.item["sk"]),
        st.sampled_from([5.0, 10.0, 10.001, 20.5]),
    ),
    max_size=8,
)
partitions = count()


@settings(max_examples=share(40), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(history=histories)
def test_the_double_decides_every_commit_as_dynamodb_does(
    dynamo: DynamoTable, history: list[tuple[list[Put], float]]
) -> None:
    tables: list[Table] = [MemoryTable(), dynamo]
    partition = f"p{next(partitions)}"
    for puts, now in history:
        moved = [put._replace(item=put.item | {"pk": partition}) for put in puts]
        decided = [decision(table, moved, now) for table in tables]
        assert decided[0] == decided[1]
        seen = [table.query(Query(None, partition), now) for table in tables]
        assert seen[0] == seen[1]


def decision(table: Table, puts: list[Put], now: float) -> frozenset[tuple[str, str]] | None:
    """The keys that lost, or None if everything was written."""
    try:
        table.commit(puts, now)
    except Conflict as conflict:
        return conflict.keys
    return None


def test_the_double_keeps_expired_items_until_told_to_delete_them() -> None:
    table = MemoryTable()
    table.commit([Put(item("a")), Put(item("old", ttl=int(NOW) - 1))], NOW)
    assert [row["sk"] for row in table.rows()] == ["a", "old"]
    table.sweep(NOW)
    table.rows()[0]["by"] = "a reader"
    assert table.rows() == [item("a")]


# --- when DynamoDB is not well ----------------------------------------------------------------------------------------

EVERY_CALL: dict[str, Callable[[Table], object]] = {
    "get": lambda table: table.get([("p", "a")], NOW),
    "query": lambda table: table.query(Query(None, "p"), NOW),
    "put": lambda table: table.commit([Put(item("a"), version=0)], NOW),
    "transaction": lambda table: table.commit([Put(item("a")), Put(item("b"), version=0)], NOW),
}
every_call = pytest.mark.parametrize("call", EVERY_CALL.values(), ids=EVERY_CALL.keys())


@every_call
def test_a_missing_table_is_unavailable(client: Any, call: Callable[[Table], object]) -> None:
    with pytest.raises(HistoryUnavailable, match="ResourceNotFoundException"):
        call(DynamoTable(client, "no-such-table"))


@every_call
def test_a_closed_port_is_unavailable(call: Callable[[Table], object]) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(HistoryUnavailable):
        call(DynamoTable(make_client(f"http://127.0.0.1:{port}"), "history"))


class Scripted:
    """A client in front of another (or none) that answers as configured."""

    def __init__(self, behind: Any = None, **answers: Callable[..., Any]) -> None:
        self._behind = behind
        self._answers = answers

    def __getattr__(self, name: str) -> Any:
        return self._answers[name] if name in self._answers else getattr(self._behind, name)


def refusing(code: str, **answer: Any) -> Callable[..., Any]:
    def call(**_request: Any) -> Any:
        raise ClientError({"Error": {"Code": code, "Message": "no"}, **answer}, "Call")

    return call


@every_call
@pytest.mark.parametrize("code", ["ThrottlingException", "ProvisionedThroughputExceededException", "RequestTimeout"])
def test_a_throttled_call_is_unavailable(call: Callable[[Table], object], code: str) -> None:
    names = ("batch_get_item", "query", "put_item", "transact_write_items")
    with pytest.raises(HistoryUnavailable, match=code):
        call(DynamoTable(Scripted(**dict.fromkeys(names, refusing(code))), "history"))


LOST = {"Code": "ConditionalCheckFailed"}
COLLIDED = {"Code": "TransactionConflict"}
THROTTLED = {"Code": "ThrottlingError"}
FINE = {"Code": "None"}


@pytest.mark.parametrize(
    ("reasons", "expected", "keys"),
    [
        ([LOST, FINE], Conflict, {("p", "a")}),
        ([FINE, LOST], Conflict, {("p", "b")}),
        ([COLLIDED, LOST], Conflict, {("p", "b")}),
        ([THROTTLED, LOST], Conflict, {("p", "b")}),
        ([FINE, COLLIDED], Conflict, set()),
        ([FINE, THROTTLED], HistoryUnavailable, None),
    ],
)
def test_a_cancelled_transaction_says_why(reasons: list[dict[str, str]], expected: type[Exception], keys: Any) -> None:
    client = Scripted(transact_write_items=refusing("TransactionCanceledException", CancellationReasons=reasons))
    with pytest.raises(expected) as refusal:
        DynamoTable(client, "history").commit([Put(item("a"), version=0), Put(item("b"), version=0)], NOW)
    assert getattr(refusal.value, "keys", None) == keys


def test_a_single_put_that_is_not_written_says_why() -> None:
    client = Scripted(put_item=refusing("TransactionConflictException"))
    failures = DynamoTable(client, "history").put_each([Put(item("a"), version=0), Put(item("b"), version=0)], NOW)
    assert failures.keys() == {("p", "a"), ("p", "b")}
    client = Scripted(put_item=refusing("ThrottlingException"))
    assert DynamoTable(client, "history").put_each([Put(item("a"), version=0)], NOW).keys() == {("p", "a")}


def test_single_puts_keep_to_the_deadline_in_their_threads() -> None:
    def put(**_request: Any) -> None:
        time_left(1.0)

    table = DynamoTable(Scripted(put_item=put), "history")
    with applies(Deadline(NOW, lambda: NOW)):
        assert len(table.put_each([Put(item("a"), version=0), Put(item("b"), version=0)], NOW)) == 2


def test_a_put_during_a_transaction_is_a_conflict_without_a_key() -> None:
    client = Scripted(put_item=refusing("TransactionConflictException"))
    with pytest.raises(Conflict) as refusal:
        DynamoTable(client, "history").commit([Put(item("a"), version=0)], NOW)
    assert refusal.value.keys == frozenset()


def test_unprocessed_keys_are_requested_again(client: Any) -> None:
    def one_at_a_time(RequestItems: dict[str, Any]) -> Any:  # noqa: N803 - boto3's name
        ((name, request),) = RequestItems.items()
        answer = client.batch_get_item(RequestItems={name: {**request, "Keys": request["Keys"][:1]}})
        left = request["Keys"][1:]
        return answer | {"UnprocessedKeys": {name: {**request, "Keys": left}} if left else {}}

    slow = Scripted(client, batch_get_item=one_at_a_time)
    pauses: list[float] = []
    table = DynamoTable(slow, make_table(client), sleep=pauses.append)
    table.commit([Put(item("a")), Put(item("b")), Put(item("c"))], NOW)
    assert stored(table, "a", "b", "c").keys() == {"a", "b", "c"}
    assert len(pauses) == 3
    assert pauses == sorted(set(pauses))


def test_keys_that_are_never_processed_end_in_unavailable() -> None:
    def never(RequestItems: dict[str, Any]) -> Any:  # noqa: N803 - boto3's name
        return {"Responses": {}, "UnprocessedKeys": RequestItems}

    pauses: list[float] = []
    table = DynamoTable(Scripted(batch_get_item=never), "history", sleep=pauses.append)
    with pytest.raises(HistoryUnavailable):
        table.get([("p", "a")], NOW)
    assert 0 < sum(pauses) < 1


def test_reads_are_consistent_even_if_replicas_lag(client: Any) -> None:
    def lagging(call: Callable[..., Any], nothing: dict[str, Any]) -> Callable[..., Any]:
        return lambda **request: call(**request) if "'ConsistentRead': True" in str(request) else nothing

    replica = Scripted(
        client,
        batch_get_item=lagging(client.batch_get_item, {"Responses": {}}),
        query=lagging(client.query, {"Items": []}),
    )
    table = DynamoTable(replica, make_table(client))
    table.commit([Put(item("a"))], NOW)
    assert stored(table, "a").keys() == {"a"}
    assert sort_keys(table, Query(None, "p")) == ["a"]


# --- an answer that got lost ------------------------------------------------------------------------------------------


def lose_first_answer(client: Any, operation: str, meanwhile: Callable[[], object] = lambda: None) -> None:
    """Let the first such request arrive, then break the connection, so that botocore itself repeats it."""
    session = URLLib3Session()
    tries = count()

    def send(request: Any, **_: Any) -> None:
        if next(tries) == 0:
            session.send(request)
            meanwhile()
            raise ConnectionClosedError(endpoint_url=request.url)

    client.meta.events.register(f"before-send.dynamodb.{operation}", send)


@pytest.mark.parametrize(
    ("operation", "puts"),
    [
        ("PutItem", [Put(item("a", version=1), version=0)]),
        ("TransactWriteItems", [Put(item("a", version=1), version=0), Put(item("b", version=1), version=0)]),
    ],
)
def test_a_commit_whose_response_was_lost_succeeds_when_repeated(
    ministack: str, operation: str, puts: list[Put]
) -> None:
    client = make_client(ministack, tries=3)
    lose_first_answer(client, operation)
    table = DynamoTable(client, make_table(client))
    table.commit(puts, NOW)
    assert stored(table, *[put.item["sk"] for put in puts]) == {put.item["sk"]: put.item for put in puts}


def test_a_repeated_commit_still_loses_to_another_writer(ministack: str) -> None:
    client = make_client(ministack, tries=3)
    name = make_table(client)
    other = DynamoTable(make_client(ministack), name)
    lose_first_answer(client, "PutItem", meanwhile=lambda: other.commit([Put(item("a", by="other"))], NOW))
    table = DynamoTable(client, name)
    with pytest.raises(Conflict):
        table.commit([Put(item("a", by="us"), version=0)], NOW)
    assert stored(table, "a")["a"]["by"] == "other"


def again(call: Callable[..., Any], meanwhile: Callable[[], object] = lambda: None) -> Callable[..., Any]:
    """Send every request twice and return the second answer, as if the first one was lost."""

    def twice(**request: Any) -> Any:
        call(**request)
        meanwhile()
        return call(**request)

    return twice


def test_a_put_that_arrived_twice_is_a_success(client: Any) -> None:
    table = DynamoTable(Scripted(client, put_item=again(client.put_item)), make_table(client))
    table.commit([Put(item("a", version=1), version=0)], NOW)
    table.commit([Put(item("a", version=2), version=1)], NOW)
    assert stored(table, "a") == {"a": item("a", version=2)}


def test_a_transaction_that_arrived_twice_is_a_success_even_if_an_item_has_changed_since(client: Any) -> None:
    name = make_table(client)
    other = DynamoTable(client, name)
    call = again(client.transact_write_items, lambda: other.commit([Put(item("b", version=2), version=1)], NOW))
    table = DynamoTable(Scripted(client, transact_write_items=call), name)
    table.commit([Put(item("a", version=1), version=0), Put(item("b", version=1), version=0)], NOW)
    assert stored(table, "a", "b") == {"a": item("a", version=1), "b": item("b", version=2)}


def test_two_commits_of_the_same_item_are_never_treated_as_one(table: Table) -> None:
    put = Put(item("a"), version=0)
    table.commit([put], NOW)
    with pytest.raises(Conflict):
        table.commit([put], NOW)
