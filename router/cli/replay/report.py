"""The outcome of a replay for people, and what another configuration changes."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from itertools import groupby
from typing import Any, NamedTuple, Protocol

import click

from router.cli.history.tables import counted, print_table
from router.cli.preview import printable
from router.cli.replay.virtual import Line, VirtualRouter
from router.messages.phrases import span

_MESSAGE_COLUMNS = {
    "When (UTC)": "when",
    "After": "after",
    "Channels": "channels",
    "Message": "message",
    "Severity": "severity",
    "Subject": "subject",
    "Title": "title",
}
_SAME_EVENT = ("at", "kind", "reason", "incident", "severity", "title", "bundled")
"""What messages have in common that stand on one line, with their channels."""
_SAME_MESSAGE = ("at", "channel", "kind", "reason", "incident", "severity", "cause", "bundled")
"""What makes two messages the same, whatever their wording."""


class Outcome(Protocol):
    """What came of one configuration."""

    lines: list[Line]
    router: VirtualRouter


class Comparison(NamedTuple):
    """What another configuration changes.

    Attributes:
        config: path of the other configuration.
        messages, rows, decisions: of the other configuration, as in the summary.
        removed: messages that only this configuration sends. added: those that only the other sends.
        reworded: how many both send at the same time to the same channel, in other words.
    """

    config: str
    messages: Mapping[str, int]
    rows: int
    decisions: Mapping[str, int]
    removed: Sequence[Line]
    added: Sequence[Line]
    reworded: int

    def as_json(self) -> dict[str, Any]:
        """As it stands in the summary."""
        return self._asdict()


def compared(path: str, one: Outcome, other: Outcome) -> Comparison:
    """Message by message."""
    removed, added = _only_in(one.lines, other.lines), _only_in(other.lines, one.lines)
    texts = [Counter((_identity(line), line["title"], line["text"]) for line in each.lines) for each in (one, other)]
    differing = sum((texts[0] - texts[1]).values()) - len(removed)
    virtual = other.router
    decisions = dict(sorted(virtual.decisions.items()))
    return Comparison(path, dict(virtual.messages), virtual.rows, decisions, removed, added, differing)


def _only_in(lines: Iterable[Line], others: Iterable[Line]) -> list[Line]:
    there = Counter(map(_identity, others))
    only = []
    for line in lines:
        identity = _identity(line)
        if there[identity]:
            there[identity] -= 1
        else:
            only.append(line)
    return only


def _identity(line: Line) -> tuple[Any, ...]:
    return tuple(tuple(line[name]) if name == "bundled" else line[name] for name in _SAME_MESSAGE)


def show(outcome: Outcome, unreadable: int, comparison: Comparison | None) -> None:
    """Who is told what, in the order of time; then how many of what."""
    virtual = outcome.router
    if outcome.lines:
        print_table(_rows(outcome.lines), _MESSAGE_COLUMNS)
        click.echo()
    _print_counts("Messages", virtual.messages)
    _print_counts(f"{counted(virtual.rows, 'alert')} in history", virtual.decisions)
    if unreadable + virtual.unreadable:
        click.echo(f"Unreadable: {unreadable + virtual.unreadable}")
    if comparison:
        _show_comparison(outcome, comparison)


def _print_counts(heading: str, counts: Mapping[str, int]) -> None:
    click.echo(f"{heading}: " + (", ".join(f"{name} {count:,}" for name, count in sorted(counts.items())) or "none"))


def _rows(lines: Iterable[Line]) -> list[dict[str, str]]:
    """One for each event of which channels are told, with these channels."""
    rows = []
    for _, group in groupby(lines, key=lambda line: [line[name] for name in _SAME_EVENT]):
        told = list(group)
        rows.append(_row(told[0], [line["channel"] for line in told]))
    return rows


def _row(line: Line, channels: Sequence[str]) -> dict[str, str]:
    others = len(line["bundled"]) - 1
    return {
        "when": datetime.fromisoformat(line["at"]).strftime("%Y-%m-%d %H:%M:%S"),
        "after": f"+{span(line['after'], 'en')}",
        "channels": ", ".join(channels),
        "message": f"{line['kind']} ({line['reason']})",
        "severity": line["severity"],
        "subject": printable(line["subject"]) + (f" and {others:,} more" if others > 0 else ""),
        "title": printable(line["title"]),
    }


def _show_comparison(outcome: Outcome, comparison: Comparison) -> None:
    click.echo(f"\nWith {comparison.config} instead:")
    if comparison.removed or comparison.added:
        changes = [
            {"change": mark, **row}
            for mark, lines in (("-", comparison.removed), ("+", comparison.added))
            for row in _rows(lines)
        ]
        changes.sort(key=lambda row: row["when"])
        click.echo()
        print_table(changes, {"": "change", **_MESSAGE_COLUMNS})
        click.echo()
    else:
        click.echo("The same messages.")
    before, after = outcome.router.messages, comparison.messages
    names = list(dict.fromkeys([*before, *after]))
    print_table(
        [{"channel": name, "now": before.get(name, 0), "then": after.get(name, 0)} for name in names],
        {"Channel": "channel", "Messages now": "now", "Messages then": "then"},
    )
    if comparison.reworded:
        click.echo(f"Reworded: {comparison.reworded:,}")
    if comparison.decisions != outcome.router.decisions:
        _print_counts(f"{counted(comparison.rows, 'alert')} in history then", comparison.decisions)
