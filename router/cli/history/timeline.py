"""`history timeline`: deployments, crashes and recoveries of one service on one time line."""

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import click
from rich.table import Table
from rich.text import Text

from router.causes import cause_words
from router.cli.history.options import with_time_range
from router.cli.history.source import as_json, each_alert, reads_history
from router.cli.history.tables import SEVERITY_STYLES, counted, local_time, to_json
from router.cli.output import console, echo
from router.history.items import SEVERITY, iso, seconds
from router.history.store import AlertQuery, History
from router.history.table import Item
from router.messages.phrases import span
from router.model import Incident, IncidentStatus, Severity

_DEPLOYS = ("deployment_", "hook_", "daemon_deployment_")
_STYLES = {"deploy": "cyan", "trouble": "red", "recovery": "green", "incident": "bold", "other": "dim"}
_LANES = {"deploy": "deploys", "trouble": "trouble", "recovery": "recoveries"}
_LEVELS = "▁▂▃▄▅▆▇█"
_LABEL = 11  # columns before the time line
_PIPED = 100  # columns of the time line if the output is not a terminal
_TICK = 18  # columns per time on the axis, with the space around it


@dataclass(frozen=True)
class Moment:
    """An entry of the time line, or several similar entries in a row.

    Attributes:
        lane: deploy, trouble, recovery, incident or other.
        at, until: event times, ISO 8601 in UTC.
    """

    lane: str
    at: str
    until: str
    severity: str
    cause: str
    cluster: str
    what: str
    incident: str = ""
    task: str = ""
    decision: str = ""
    count: int = 1


@click.command("timeline")
@click.argument("service")
@click.option("--cluster", default="", help="Only this cluster, if several have a service of that name.")
@click.option("--all", "everything", is_flag=True, help="Also show other events: task starts, scale-in, ….")
@with_time_range(since="24h")
@as_json
@reads_history
def timeline_command(
    *, history: History, service: str, cluster: str, everything: bool, span: tuple[float, float], as_json: bool
) -> None:
    """Show deployments, crashes and recoveries of SERVICE, or of a subject such as alarm:NAME, oldest first."""
    subject = service if ":" in service else f"service:{service}"
    now = time.time()
    alerts = list(each_alert(history, AlertQuery(*span, None, subject, cluster), now))
    ids = {alert["incident"] for alert in alerts if alert["incident"]}
    incidents = [state.incident for state in history.incidents(ids, now).values() if state.incident]
    moments = sorted([*_of_alerts(alerts), *_of_incidents(incidents)], key=lambda moment: moment.at)
    first, last = map(iso, span)
    shown = [moment for moment in moments if first <= moment.at <= last and (everything or moment.lane != "other")]
    if as_json:
        for moment in shown:
            echo(to_json(_row(subject, moment)))
    elif not shown:
        echo(f"Nothing happened to {subject}.", err=True)
    else:
        _draw(subject, shown, span)


def _row(subject: str, moment: Moment) -> dict[str, Any]:
    row = {name: value for name, value in vars(moment).items() if name not in {"until", "count"}}
    return {"at": row.pop("at"), "subject": subject, **row}


# --- entries ----------------------------------------------------------------------------------------------------------


def _of_alerts(alerts: Iterable[Item]) -> Iterator[Moment]:
    for alert in alerts:
        words = cause_words(alert["cause"], "en", over=alert["resolves"])
        fields: dict[str, Any] = {
            name: alert[name] for name in ("severity", "cause", "cluster", "incident", "task", "decision")
        }
        yield Moment(lane_of(alert), alert["at"], alert["at"], what=words, **fields)


def lane_of(alert: Mapping[str, Any]) -> str:
    """The lane of an alert. A failed deployment is in `deploy`; any other alert of warning or worse is `trouble`."""
    if alert["cause"].startswith(_DEPLOYS):
        return "deploy"
    if alert["resolves"]:
        return "recovery"
    return "trouble" if Severity(SEVERITY.or_default(alert["severity"])).at_least(Severity.WARNING) else "other"


def _of_incidents(incidents: Iterable[Incident]) -> Iterator[Moment]:
    for incident in incidents:
        id_, opened_at = incident.id, iso(incident.opened_at)
        fields: dict[str, Any] = {"cause": incident.alert.cause, "cluster": incident.subject.cluster, "incident": id_}
        yield Moment("incident", opened_at, opened_at, incident.severity.value, what=f"incident {id_} opened", **fields)
        if incident.ended_at:
            ended_at = iso(incident.ended_at)
            end = "recovered" if incident.status is IncidentStatus.RECOVERING else incident.status
            after = span(incident.ended_at - incident.opened_at, "en")
            what = f"incident {id_} {end} after {after}, {counted(incident.count, 'alert')}"
            yield Moment("incident", ended_at, ended_at, "info", what=what, **fields)


def _folded(moments: Iterable[Moment]) -> list[Moment]:
    """Merges similar entries that follow each other, with their number."""
    rows: list[Moment] = []
    for moment in moments:
        last = rows[-1] if rows else None
        if last and (last.lane, last.what, last.cluster) == (moment.lane, moment.what, moment.cluster):
            rows[-1] = replace(last, until=moment.at, count=last.count + 1)
        else:
            rows.append(moment)
    return rows


# --- the drawing ------------------------------------------------------------------------------------------------------


def _draw(subject: str, moments: Sequence[Moment], span: tuple[float, float]) -> None:
    out = console()
    clusters = {moment.cluster for moment in moments}
    where = f" in {clusters.pop()}" if len(clusters) == 1 else ""
    out.print(Text(f"{subject}{where}", style="bold"))
    width = (out.width if out.is_terminal else _PIPED) - _LABEL
    for lane, name in _LANES.items():
        out.print(Text(f"{name:{_LABEL}}") + _strip([moment for moment in moments if moment.lane == lane], span, width))
    out.print(Text(" " * _LABEL + _axis(span, width), style="dim"))
    out.print()
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    table.add_column(no_wrap=True)
    for row in _folded(moments):
        table.add_row(local_time(row.at), _description(row, with_cluster=not where), _severity(row))
    out.print(table)


def _description(row: Moment, *, with_cluster: bool) -> Text:
    repeated = f" × {row.count} until {local_time(row.until)[11:]}" if row.count > 1 else ""
    where = f" in {row.cluster}" if with_cluster else ""
    return Text(f"{row.what}{where}{repeated}", style=_STYLES[row.lane])


def _severity(row: Moment) -> Text:
    return Text(row.severity if row.lane in {"trouble", "deploy"} else "", style=SEVERITY_STYLES.get(row.severity, ""))


def _strip(moments: Sequence[Moment], span: tuple[float, float], width: int) -> Text:
    """A bar per column of time; its height is the number of entries."""
    counts = [0] * width
    for moment in moments:
        share = (seconds(moment.at) - span[0]) / max(span[1] - span[0], 1e-3)
        counts[min(width - 1, max(0, int(share * width)))] += 1
    most = max(counts, default=0)
    heights = "".join(_LEVELS[(len(_LEVELS) - 1) * count // most] if count else "·" for count in counts)
    return Text(heights, style=_STYLES[moments[0].lane] if moments else "dim")


def _axis(span: tuple[float, float], width: int) -> str:
    """Local times below the time line, each at its position."""
    ticks = max(1, width // _TICK)
    words = []
    for tick in range(ticks):
        at = datetime.fromtimestamp(span[0] + (span[1] - span[0]) * tick / ticks).astimezone()
        words.append(f"{at:%m-%d %H:%M}".ljust(width * (tick + 1) // ticks - width * tick // ticks))
    return "".join(words)
