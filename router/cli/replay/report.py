"""Formats the outcome of a replay as text, and compares it with that of another configuration."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from itertools import groupby
from typing import Any, NamedTuple, Protocol

from router.cli.history.tables import counted, print_table
from router.cli.output import echo
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
_SAME_EVENT = ("at", "kind", "reason", "incident", "severity", "title", "bundled", "continues")
"""Messages that agree in these fields share one line, which lists their channels."""
_SAME_MESSAGE = ("at", "channel", "kind", "reason", "incident", "severity", "cause", "bundled")
"""Messages that agree in these fields are the same message, even if their wording differs."""


class Outcome(Protocol):
    """The outcome of one configuration."""

    lines: list[Line]
    router: VirtualRouter


class Comparison(NamedTuple):
    """The differences that another configuration makes.

    Attributes:
        config: path of the other configuration.
        messages, rows, decisions: of the other configuration, as in the summary.
        removed: messages that only this configuration sends.
        added: messages that only the other configuration sends.
        reworded: number of messages that both send, with different wording.
    """

    config: str
    messages: Mapping[str, int]
    rows: int
    decisions: Mapping[str, int]
    removed: Sequence[Line]
    added: Sequence[Line]
    reworded: int

    def as_json(self) -> dict[str, Any]:
        """As printed in the summary."""
        return self._asdict()


def compare(path: str, current: Outcome, other: Outcome) -> Comparison:
    """Compares the two outcomes message by message. `path` is that of the other configuration."""
    removed, added = _only_in(current.lines, other.lines), _only_in(other.lines, current.lines)
    texts, other_texts = (
        Counter((_identity(line), line["title"], line["text"]) for line in outcome.lines)
        for outcome in (current, other)
    )
    reworded = sum((texts - other_texts).values()) - len(removed)
    virtual = other.router
    decisions = dict(sorted(virtual.decisions.items()))
    return Comparison(path, dict(virtual.messages), virtual.rows, decisions, removed, added, reworded)


def _only_in(lines: Iterable[Line], others: Iterable[Line]) -> list[Line]:
    unmatched = Counter(map(_identity, others))
    only = []
    for line in lines:
        identity = _identity(line)
        if unmatched[identity]:
            unmatched[identity] -= 1
        else:
            only.append(line)
    return only


def _identity(line: Line) -> tuple[Any, ...]:
    return tuple(tuple(line[name]) if name == "bundled" else line[name] for name in _SAME_MESSAGE)


def show(outcome: Outcome, unreadable: int, comparison: Comparison | None) -> None:
    """Prints the messages in order of time, then the counts."""
    virtual = outcome.router
    if outcome.lines:
        print_table(_rows(outcome.lines), _MESSAGE_COLUMNS)
        echo()
    _print_counts("Messages", virtual.messages)
    _print_counts(f"{counted(virtual.rows, 'alert')} in history", virtual.decisions)
    if unreadable + virtual.unreadable:
        echo(f"Unreadable: {unreadable + virtual.unreadable}")
    if comparison:
        _show_comparison(outcome, comparison)


def _print_counts(heading: str, counts: Mapping[str, int]) -> None:
    echo(f"{heading}: " + (", ".join(f"{name} {count:,}" for name, count in sorted(counts.items())) or "none"))


def _rows(lines: Iterable[Line]) -> list[dict[str, str]]:
    """One row for each group of messages that differ only in their channel."""
    rows = []
    for _, group in groupby(lines, key=lambda line: [line[name] for name in _SAME_EVENT]):
        messages = list(group)
        rows.append(_row(messages[0], [line["channel"] for line in messages]))
    return rows


def _row(line: Line, channels: Sequence[str]) -> dict[str, str]:
    others = len(line["bundled"]) - 1
    return {
        "when": datetime.fromisoformat(line["at"]).strftime("%Y-%m-%d %H:%M:%S"),
        "after": f"+{span(line['after'], 'en')}",
        "channels": ", ".join(channels),
        "message": f"{line['kind']} ({line['reason']})" + (", same thread" if line["continues"] else ""),
        "severity": line["severity"],
        "subject": printable(line["subject"]) + (f" and {others:,} more" if others > 0 else ""),
        "title": printable(line["title"]),
    }


def _show_comparison(outcome: Outcome, comparison: Comparison) -> None:
    echo(f"\nWith {comparison.config} instead:")
    if comparison.removed or comparison.added:
        changes = [
            {"change": mark, **row}
            for mark, lines in (("-", comparison.removed), ("+", comparison.added))
            for row in _rows(lines)
        ]
        changes.sort(key=lambda row: row["when"])
        echo()
        print_table(changes, {"": "change", **_MESSAGE_COLUMNS})
        echo()
    else:
        echo("The same messages.")
    before, after = outcome.router.messages, comparison.messages
    names = list(dict.fromkeys([*before, *after]))
    print_table(
        [{"channel": name, "now": before.get(name, 0), "then": after.get(name, 0)} for name in names],
        {"Channel": "channel", "Messages now": "now", "Messages then": "then"},
    )
    if comparison.reworded:
        echo(f"Reworded: {comparison.reworded:,}")
    if comparison.decisions != outcome.router.decisions:
        _print_counts(f"{counted(comparison.rows, 'alert')} in history then", comparison.decisions)
