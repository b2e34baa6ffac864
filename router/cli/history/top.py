"""`history top`: the services and causes with the most alerts."""

import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import click
from rich.bar import Bar
from rich.table import Table
from rich.text import Text

from router.cli.history.options import with_filters
from router.cli.history.source import as_json, each_alert, reads_history
from router.cli.history.tables import SEVERITY_STYLES, to_json
from router.cli.output import console, echo
from router.history.store import AlertQuery, History
from router.history.table import Item
from router.model import Severity

_BY: Mapping[str, tuple[str, ...]] = {
    "service": ("subject", "cluster"),
    "cause": ("cause",),
    "cluster": ("cluster",),
    "decision": ("decision",),
}
_NARROWEST_BAR = 10  # columns


@dataclass
class Tally:
    """The alerts of one service, cause, cluster or decision."""

    severities: Counter[str] = field(default_factory=Counter)
    incidents: set[str] = field(default_factory=set)

    @property
    def alerts(self) -> int:
        return self.severities.total()

    def add(self, alert: Item) -> None:
        self.severities[alert["severity"]] += 1
        self.incidents |= {alert["incident"]} - {""}


Tallies = dict[tuple[str, ...], Tally]


@click.command("top")
@with_filters(since="7d")
@click.option("--by", type=click.Choice([*_BY]), multiple=True, help="Grouping.  [default: service and cause]")
@click.option("--limit", type=click.IntRange(1, 1000), default=10, show_default=True, help="Maximum rows per grouping.")
@as_json
@reads_history
def top_command(*, history: History, wanted: AlertQuery, by: tuple[str, ...], limit: int, as_json: bool) -> None:
    """Count alerts per service and cause, most first: warning or worse unless --severity or --at-least is given."""
    if not wanted.severity and not wanted.at_least:
        wanted = wanted._replace(at_least=Severity.WARNING.value)
    ways = by or ("service", "cause")
    counted = count(each_alert(history, wanted, time.time()), ways)
    if not any(counted.values()) and not as_json:
        echo("No alerts.", err=True)
        return
    for way in ways:
        ranked = sorted(counted[way].items(), key=lambda pair: (-pair[1].alerts, pair[0]))[:limit]
        if as_json:
            for names, tally in ranked:
                echo(to_json(_row(way, names, tally)))
        else:
            _draw(way, ranked)


def count(alerts: Iterable[Item], ways: Sequence[str]) -> dict[str, Tallies]:
    """Counts the alerts in each of the given groupings, in a single pass."""
    counted: dict[str, Tallies] = {way: {} for way in ways}
    for alert in alerts:
        for way in ways:
            names = tuple(str(alert[name]) for name in _BY[way])
            counted[way].setdefault(names, Tally()).add(alert)
    return counted


def _row(way: str, names: tuple[str, ...], tally: Tally) -> dict[str, Any]:
    severities = {str(severity): tally.severities[severity] for severity in Severity}
    counts = {"alerts": tally.alerts, **severities, "incidents": len(tally.incidents)}
    return {"by": way, **dict(zip(_BY[way], names, strict=True)), **counts}


def _draw(way: str, ranked: Sequence[tuple[tuple[str, ...], Tally]]) -> None:
    """Prints a table with a bar per row, scaled to the space left on the line."""
    out = console()
    table = Table(box=None, pad_edge=False, header_style="bold", expand=out.is_terminal)
    table.add_column(way.capitalize(), overflow="fold")
    for heading in ("Alerts", "Incidents"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("", ratio=1, min_width=_NARROWEST_BAR, width=None if out.is_terminal else 40)
    most = max((tally.alerts for _, tally in ranked), default=1)
    for names, tally in ranked:
        worst = next((severity for severity in Severity if tally.severities[severity]), Severity.INFO)
        bar = Bar(most, 0, tally.alerts, color=SEVERITY_STYLES[worst].removeprefix("bold ").replace("dim", "default"))
        table.add_row(Text(" in ".join(names)), str(tally.alerts), str(len(tally.incidents) or ""), bar)
    out.print(table)
    out.print()
