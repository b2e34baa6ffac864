"""Finds the history table and measures what reading it costs. Nothing here writes."""

import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import wraps
from itertools import islice
from typing import Any

import click

from router.aws import clients
from router.cli.deployed import find, named_resources, names_stage
from router.cli.output import echo
from router.config.globs import compiled
from router.history.store import AlertQuery, History
from router.history.table import DynamoTable, Item

_PARALLEL = 10  # requests; a client keeps that many connections
_NAMED = ("subject", "cluster", "cause")  # the fields of a query that may be globs
_METERED = {"Query", "BatchGetItem"}

as_json = click.option("--json", "as_json", is_flag=True, help="JSON Lines instead of a table; times in UTC.")


def table_option(command: Callable[..., None]) -> Callable[..., None]:
    """Adds --table, which `find_table` looks for."""

    @click.option("--table", envvar="HISTORY_TABLE", help="The table's name, instead of --stage. [env: HISTORY_TABLE]")
    @wraps(command)
    def with_table(*arguments: Any, **options: Any) -> None:
        del options["table"]
        command(*arguments, **options)

    return with_table


def reads_history(command: Callable[..., None]) -> Callable[..., None]:
    """Adds --table, --stage and --verbose, and passes the history of that table as `history`."""

    @table_option
    @names_stage()
    @click.option("--verbose", "-v", is_flag=True, help="Print the read units and requests used.")
    @wraps(command)
    def with_history(*arguments: Any, stage: str, verbose: bool, **options: Any) -> None:
        began = time.monotonic()
        source, meter = find_table(stage)
        try:
            # Retention only matters for writes, and these commands write nothing.
            command(*arguments, history=History(source, retention=0.0), **options)
        finally:
            if verbose:
                echo(f"{meter}, {time.monotonic() - began:.1f} s", err=True)

    return with_history


def find_table(stage: str) -> "tuple[DynamoTable, Meter]":
    """The table that --table names, or else the one in the outputs of the stage's stack, with a meter for its reads.

    Raises click.ClickException if there is no region, no credentials or no such stack.
    """
    deployed = find(stage, named_resources({"table": "TableName"}))
    client = clients.dynamodb()
    return DynamoTable(client, deployed.resources["TableName"]), Meter(client)


class Meter:
    """Adds up the read units that DynamoDB reports for a client's reads."""

    def __init__(self, client: Any) -> None:
        """Makes the client ask for the consumed capacity with each read, which is free."""
        self.costs: list[float] = []
        client.meta.events.register("provide-client-params.dynamodb", self._ask)
        client.meta.events.register("after-call.dynamodb", self._note)

    def __str__(self) -> str:
        return f"{sum(self.costs):g} read units in {len(self.costs)} requests"

    @staticmethod
    def _ask(params: dict[str, Any], model: Any, **_: Any) -> dict[str, Any] | None:
        return {**params, "ReturnConsumedCapacity": "TOTAL"} if model.name in _METERED else None

    def _note(self, parsed: dict[str, Any], model: Any, **_: Any) -> None:
        if model.name in _METERED:
            consumed = parsed.get("ConsumedCapacity") or []
            parts = consumed if isinstance(consumed, list) else [consumed]
            self.costs.append(sum(part.get("CapacityUnits", 0.0) for part in parts))


def each_alert(history: History, wanted: AlertQuery, now: float) -> Iterator[Item]:
    """Yields the alerts that match the query, newest first. The shards of a day are read in parallel.

    Args:
        wanted: its subject, cluster and cause may be globs, for which no index exists: more is read and left out.
    """
    globs = {name: glob for name in _NAMED if is_glob(glob := getattr(wanted, name))}
    query = wanted
    if globs:
        exact = {name: "" if name in globs else getattr(wanted, name) for name in _NAMED}
        query = wanted._replace(limit=None, subject=exact["subject"], cluster=exact["cluster"], cause=exact["cause"])
    with ThreadPoolExecutor(_PARALLEL) as pool:
        rows = history.each_alert(query, now, pool.map)
        if globs:
            rows = islice((row for row in rows if matches(row, globs)), wanted.limit)
        yield from rows


def is_glob(text: str) -> bool:
    return "*" in text or "?" in text


def matches(row: Item, named: Mapping[str, str]) -> bool:
    """Whether each of these fields of a row has that value, or matches that glob; "" matches everything."""
    return all(
        compiled((value,))(str(row[name]).lower()) if is_glob(value) else row[name] == value
        for name, value in named.items()
        if value
    )
