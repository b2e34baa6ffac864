"""Every table whose keys are members of a closed enum covers all of its members, or says here why it does not."""

import enum
import importlib
import pkgutil
from collections.abc import Iterator, Mapping, Sequence

import pytest

import plugins
import router
from router.cli.history.report_words import WORDS
from router.incident.state import SendMode
from router.messages.phrases import PHRASES
from router.model import Decision, IncidentStatus, Kind, Outcome, Severity, SubjectKind

ENUMS: tuple[type[enum.StrEnum], ...] = (Kind, Outcome, Decision, Severity, SendMode, IncidentStatus, SubjectKind)

# table: why it may leave members out
PARTIAL = {
    "router.cli.history.tables.STATUS_STYLES": "lapsed and closed incidents are shown without a style",
    "router.cli.replay.arrivals._RESOURCES": "events of the other kinds name their subject in the detail",
    "router.cli.simulate._ENDED_BY": "for other subjects, the message does not say what has ended the incident",
    "router.model._SUBJECT_KINDS": "OTHER is what every text without a known kind becomes",
    "router.selfcheck.metrics._DECISIONS": "only these decisions have a CloudWatch metric: each costs money",
}

# texts that code looks up by a prefix and a member's value
TEXTS: Sequence[tuple[Mapping[str, object], str, type[enum.StrEnum]]] = (
    (PHRASES, "title_", Kind),
    (PHRASES, "gathered_", Kind),
    (PHRASES, "severity_", Severity),
    (WORDS, "status_", IncidentStatus),
    (WORDS, "", Outcome),
    (WORDS, "", Kind),
    (WORDS, "", Decision),
)


def _tables() -> Iterator[tuple[str, Mapping[object, object]]]:
    for package in (router, plugins):
        for module_info in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if not module_info.name.endswith("__main__"):
                for name, value in vars(importlib.import_module(module_info.name)).items():
                    if isinstance(value, Mapping):
                        yield f"{module_info.name}.{name}", value


def _columns(table: Mapping[object, object]) -> Iterator[set[object]]:
    """The keys; for keys that are tuples, the values at each position."""
    keys = [key if isinstance(key, tuple) else (key,) for key in table]
    if len({len(key) for key in keys}) == 1:
        yield from (set(column) for column in zip(*keys, strict=True))


def _keyed_by(column: set[object]) -> list[type[enum.StrEnum]]:
    """The enums whose members, or whose members' values, are all that is in the column (plugins use the values)."""
    members = {type(key) for key in column}
    if len(members) == 1 and members <= set(ENUMS):
        return [kind for kind in ENUMS if kind in members]
    texts = {key for key in column if isinstance(key, str)}
    return [kind for kind in ENUMS if len(column) > 1 and texts == column and texts <= {*kind}]


def _incomplete() -> Iterator[tuple[str, str]]:
    for name, table in _tables():
        for column in _columns(table):
            kinds = _keyed_by(column)
            if kinds and not any(column >= {*kind} for kind in kinds):
                yield name, " or ".join(kind.__name__ for kind in kinds)


def test_every_table_keyed_by_an_enum_covers_every_member() -> None:
    assert {name: kind for name, kind in _incomplete() if name not in PARTIAL} == {}


def test_every_table_listed_as_partial_is_partial() -> None:
    assert PARTIAL.keys() <= {name for name, _ in _incomplete()}


@pytest.mark.parametrize(
    "table",
    [
        "router.cli.history.why.REASONS",
        "router.messages.bundle._ORDER",
        "router.selfcheck.metrics._OUTCOMES",
        "plugins.pagerduty._ACTIONS",
        "plugins.slack._LOOKS",
    ],
)
def test_the_search_finds_tables_keyed_by_members_and_by_values(table: str) -> None:
    assert any(_keyed_by(column) for name, mapping in _tables() if name == table for column in _columns(mapping))


@pytest.mark.parametrize(("texts", "prefix", "kind"), TEXTS)
def test_every_member_has_its_text(texts: Mapping[str, object], prefix: str, kind: type[enum.StrEnum]) -> None:
    assert {f"{prefix}{member.value}" for member in kind} <= texts.keys()
