"""The JSON Schema of alert-router.toml says what the reader says, as far as a schema can."""

import json
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import find, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from router.channels import plugins
from router.channels.plugins import Plugins
from router.config.forms import Place, read_table
from router.config.match import FACTS
from router.config.schema import json_schema
from router.config.tables import alert_router_toml
from router.model import Option, Severity
from tests.doubles.examples import share
from tests.doubles.world import no_plugins

ROOT = Path(__file__).parents[3]


class Chat:
    options = (Option("url", required=True, secret=True), Option("room", description="Where."))


OPTIONS = {"chat": Chat.options, "any": None}
KINDS: Mapping[str, Any] = {"chat": Chat, "any": object}
SCHEMA = json.loads(json_schema(Plugins(no_plugins().manager, KINDS, ())))
VALIDATOR = Draft202012Validator(SCHEMA)


def problems(written: Mapping[str, Any]) -> list[str]:
    """What the reader finds, without what a schema cannot say: which names exist, and what tables mean together."""
    found: list[str] = []
    read_table(alert_router_toml(OPTIONS), written, Place("", found))
    return found


def test_it_is_a_schema() -> None:
    Draft202012Validator.check_schema(SCHEMA)


def test_the_shipped_schema_is_that_of_the_shipped_plugins() -> None:
    """If not: `make docs-pages`, or `ecs-alert-router config schema > alert-router.schema.json`."""
    shipped = (ROOT / "alert-router.schema.json").read_text("utf-8")
    assert shipped == json_schema(plugins.load(ROOT / "plugins"))


def test_the_shipped_file_names_its_schema_and_is_valid() -> None:
    text = (ROOT / "alert-router.toml").read_text("utf-8")
    assert text.startswith("#:schema ./alert-router.schema.json\n")
    shipped = json.loads((ROOT / "alert-router.schema.json").read_text("utf-8"))
    assert [error.message for error in Draft202012Validator(shipped).iter_errors(tomllib.loads(text))] == []


def test_every_key_is_described() -> None:
    def undescribed(schema: Any, path: str) -> list[str]:
        if isinstance(schema, list):
            return [name for item in schema for name in undescribed(item, path)]
        if not isinstance(schema, dict):
            return []
        keys = schema.get("properties", {}).items()
        missing = [f"{path}.{name}" for name, key in keys if not key.get("description") and "const" not in key]
        inner = [
            member for name, value in schema.items() if name != "properties" for member in undescribed(value, path)
        ]
        return missing + inner + [item for name, key in keys for item in undescribed(key, f"{path}.{name}")]

    shipped = json.loads((ROOT / "alert-router.schema.json").read_text("utf-8"))
    assert [path for path in undescribed(shipped, "") if not path.endswith(".kind")] == []


# --- kept in step -----------------------------------------------------------------------------------------------------

Values = st.SearchStrategy[Any]
WRONG: Values = st.one_of(
    st.none(), st.booleans(), st.integers(), st.just([]), st.just({}), st.sampled_from(["", " ", "?"])
)


def mostly(right: Values, wrong: Values = WRONG) -> Values:
    """One wrong value in a dozen: a table of several keys should be right about as often as not."""
    return st.integers(0, 11).flatmap(lambda number: wrong if number == 11 else right)


def some(*values: object) -> Values:
    return st.sampled_from(values)


def lists(item: Values, least: int = 0) -> Values:
    return mostly(st.lists(item, min_size=least, max_size=2), st.lists(item, max_size=3) | WRONG)


def table(keys: Mapping[str, Values], required: Mapping[str, Values] | None = None, unknown: str = "x-y") -> Values:
    known = st.fixed_dictionaries(dict(required or {}), optional=dict(keys))
    wrong = st.fixed_dictionaries({}, optional={**(required or {}), **keys, unknown: texts})
    return mostly(known, wrong | WRONG)


lengths = ("25h", "86401s", "8d", "604801s", "31d", "721h", "3651d", "999999d", "999999s", "527040m", "527041m", "367d")
durations = mostly(
    some("1m", "60s", "61s", "120s", "1d", "24h", "7d", "168h", "10080m", "604800s"),
    some("0", "0s", "1s", "59s", "015m", "15", "m", "1.5h", "-5m", "15 m", "47h", "6d", "167h", "1000000d")
    | some(*lengths)
    | WRONG,
)
flags = mostly(st.booleans())
texts = mostly(some("x", "prod-*", "!prod", "#ops", "ü", "a\nb"), some("", " ", "!", 5) | WRONG)
globs = texts | lists(texts, 1)
codes = globs | lists(st.integers(-300, 300) | texts, 1) | st.integers()
severities = mostly(some(*Severity), some("fatal", "Error") | WRONG)
hour = mostly(
    some("mon", "MON-fri 09:00-18:00", "09:00-18:00", " sat,sun ", "mon-tue-wed", "mon09:00-24:00", "sat 22:00-02:00"),
    some("25:00-26:00", "9:00", "24:01-03:00", "mo", "mon 09:00", "mon,", "09:60-10:00", "\u0660\u0669:00-10:00"),
)
hours = hour | lists(hour, 1)
languages = mostly(some("en", "ja"), some("fr", "EN") | WRONG)
zones = mostly(some("UTC", "Asia/Tokyo"), some(5, "", [], None))
common = {"language": languages, "time_zone": zones, "dedup_window": durations}
names = mostly(some(["a"], ["a", "b"]), some(["a", "a"], [], [""], "a") | WRONG)
matches = table({fact: codes if fact == "exit_code" else globs for fact in FACTS}, unknown="task")
channels = table({**common, "room": texts}, {"kind": some("chat"), "url": mostly(some("x", ""))}, "rooms") | table(
    {**common, "rooms": texts}, {"kind": mostly(some("any"), some("slack", "", 5))}
)
routes = table(
    {**common, "severity": severities, "match": matches, "hours": hours, "continue": flags, "mention": texts},
    {"channels": names},
    "clusters",
)
slugs = mostly(some("a_slug", "oom2"), some("Not One", "") | WRONG)
urls = mostly(
    some("https://x.example", "https://x.example/a?b#c"),
    some("https://", "http://x", "https://x/a b", "https:///x", "https://a@x/"),
)
rules = table(
    {"name": texts, "match": matches, "severity": severities, "cause": slugs, "resolves": flags, "runbook_url": urls}
)
windows = table({"name": texts, "match": matches, "time_zone": zones, "reason": texts}, {"hours": hours}, "until")
log_groups = lists(mostly(some("/ecs/*", "web"), some("a b", "") | WRONG))
parts: dict[str, Values] = {
    **common,
    "resolve_after": durations,
    "remind": durations,
    "retention": durations,
    "retention_by_severity": table(dict.fromkeys(map(str, Severity), durations), unknown="fatal"),
    "enrich": table({"history": flags, "task_definition": flags, "log_groups": log_groups}),
    "poll": table({"verify": flags, "services": flags, "every": durations}),
    "accounts": mostly(st.dictionaries(mostly(some("111122223333"), some("1", "prod")), texts, max_size=2)),
    "kinds": mostly(st.dictionaries(some("chat", "x"), table(common, unknown="mention"), max_size=2)),
    "channels": mostly(st.dictionaries(some("a", "b"), channels, max_size=2)),
    "plugins": mostly(st.dictionaries(some("a", "b"), table({"key": texts}), max_size=2)),
    "routes": lists(routes, 1),
    "rules": lists(rules),
    "maintenance": lists(windows),
}
A_ROUTE = {"routes": [{"channels": ["x"]}]}


@pytest.mark.parametrize("part", parts)
@settings(max_examples=share(200))
@given(data=st.data())
def test_the_reader_accepts_a_file_if_and_only_if_it_is_valid(part: str, data: st.DataObject) -> None:
    written = {**A_ROUTE, part: data.draw(parts[part])}
    assert VALIDATOR.is_valid(written) is (problems(written) == [])


@pytest.mark.parametrize("part", parts)
def test_both_right_and_wrong_files_are_tried(part: str) -> None:
    """Or the test above would prove nothing."""
    find(parts[part], lambda value: VALIDATOR.is_valid({**A_ROUTE, part: value}))
    find(parts[part], lambda value: not VALIDATOR.is_valid({**A_ROUTE, part: value}))


def test_a_file_needs_a_route() -> None:
    empty: list[dict[str, Any]] = [{}, {"routes": []}]
    for written in empty:
        assert problems(written)
        assert not VALIDATOR.is_valid(written)
