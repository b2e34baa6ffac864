"""`history report`: one self-contained HTML page about a time range."""

import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta, tzinfo
from itertools import pairwise
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import click
import jinja2
from markupsafe import Markup
from rich.progress import Progress

from router.causes import cause_words
from router.cli.history import charts
from router.cli.history.figures import DRAWN, RECOVERY_STEPS, Figures, add_alerts, add_incidents, figures
from router.cli.history.options import with_time_range
from router.cli.history.report_words import word
from router.cli.history.show import incident_row
from router.cli.history.source import each_alert, reads_history
from router.cli.output import console, echo, echo_json
from router.config.tables import LANGUAGES
from router.history.items import iso, seconds
from router.history.store import AlertQuery, History
from router.history.table import Item
from router.messages.phrases import span
from router.model import Decision, Outcome, Severity
from router.text.characters import visible

SHOWN = 200  # incidents; a longer page is slow on a phone
_TOP = 8
_STEPS = {1: "step_hour", 6: "step_hours", 24: "step_day", 168: "step_week", 672: "step_weeks"}
_OUTCOMES = tuple(Outcome)


class Zone(click.ParamType[tzinfo]):
    """`Asia/Tokyo`."""

    name = "zone"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tzinfo:
        try:
            return ZoneInfo(str(value))
        except (ZoneInfoNotFoundError, ValueError, OSError):
            self.fail(f"{value!r} is not a time zone; use for example Asia/Tokyo", param, ctx)


@click.command("report")
@click.option("--out", type=click.Path(dir_okay=False, writable=True, path_type=Path), help="The HTML file to write.")
@click.option("--language", type=click.Choice(LANGUAGES), default="en", show_default=True)
@click.option("--time-zone", "zone", type=Zone(), help="Time zone of the report; default: this machine's.")
@click.option("--cluster", default="", help="Only this cluster.")
@click.option("--json", "as_json", is_flag=True, help="The numbers as JSON instead of a page.")
@with_time_range(since="30d")
@reads_history
def report_command(
    *,
    history: History,
    out: Path | None,
    language: str,
    zone: tzinfo | None,
    cluster: str,
    span: tuple[float, float],
    as_json: bool,
) -> None:
    """Write one self-contained page: alerts, noise, time to recover, channel health, incidents."""
    if bool(out) == as_json:
        raise click.UsageError("pass --out report.html for the page, or --json for the numbers")
    total = _read(history, figures(*span, zone), cluster, time.time())
    if out is None:
        echo_json(numbers(total))
        return
    try:
        out.write_text(page(total, language, str(history.table), time.time()), "utf-8")
    except OSError as error:
        raise click.ClickException(f"{out}: cannot be written: {error.strerror}") from error
    problems = sum(total.severities[severity] for severity in DRAWN)
    echo(f"{out}: {problems} alerts of warning or worse, {len(total.incidents)} incidents", err=True)


def _read(history: History, total: Figures, cluster: str, now: float) -> Figures:
    """Fills in the figures, with progress on stderr if it is a terminal."""
    console_ = console(stderr=True)
    with Progress(console=console_, disable=not console_.is_terminal, transient=True) as progress:
        task = progress.add_task("reading alerts", total=max(total.until - total.since, 1.0))

        def watch(alert: Item) -> None:
            progress.update(task, completed=total.until - seconds(alert["at"]))

        alerts = each_alert(history, AlertQuery(total.since, total.until, None, cluster=cluster), now)
        ids = add_alerts(total, alerts, watch)
        progress.update(task, description=f"reading {len(ids)} incidents")
        add_incidents(total, history, ids, now)
    return total


def numbers(total: Figures) -> dict[str, Any]:
    """The page's numbers for JSON: times in UTC, durations in seconds."""
    return {
        "since": iso(total.since),
        "until": iso(total.until),
        "severities": {str(severity): total.severities[severity] for severity in Severity},
        "decisions": dict(total.decisions),
        "over_time": [
            {"at": iso(at.timestamp()), **{str(severity): total.over_time[severity][bucket] for severity in DRAWN}}
            for bucket, at in enumerate(total.buckets)
        ],
        "top_services": [
            {"subject": names[0], "cluster": names[1], "alerts": alerts}
            for names, alerts in _ranked(total, "service", None)
        ],
        "top_causes": [{"cause": names[0], "alerts": alerts} for names, alerts in _ranked(total, "cause", None)],
        "recoveries": sorted(total.recoveries),
        "median_recovery": total.median_recovery,
        "channels": {name: dict(channel.outcomes) for name, channel in sorted(total.channels.items())},
        "incidents": [incident_row(incident) for incident, _ in total.incidents],
        "still_open": [incident.id for incident in total.still_open],
    }


def _ranked(total: Figures, way: str, limit: int | None = _TOP) -> list[tuple[tuple[str, ...], int]]:
    tallies = [(names, tally.alerts) for names, tally in total.tops.get(way, {}).items()]
    return sorted(tallies, key=lambda pair: (-pair[1], pair[0]))[:limit]


# --- the page ---------------------------------------------------------------------------------------------------------


def page(total: Figures, language: str, table: str, now: float) -> str:
    """The HTML page. All text from outside is escaped and nothing in it is hidden, and the page needs no script."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        finalize=_shown,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )

    def words(key: str, **values: object) -> str:
        return word(key, language, **values)

    def local(at: float, form: str = "%Y-%m-%d %H:%M") -> str:
        return datetime.fromtimestamp(at, UTC).astimezone(total.zone).strftime(form)

    return environment.get_template("report.html").render(
        language=language,
        word=words,
        local=local,
        lasting=lambda length: span(length, language),
        cause=lambda cause: cause_words(cause, language),
        seconds=seconds,
        total=total,
        zone=local(total.until, "%Z"),
        table=table,
        now=now,
        problems=sum(total.severities[severity] for severity in DRAWN),
        figures=_figures(total, words, language),
        shown=total.incidents[:SHOWN],
    )


def _shown(value: object) -> object:
    """How the template shows a value: its text, with hidden characters made visible; the SVG of charts as it is."""
    return visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _figures(total: Figures, words: Callable[..., str], language: str) -> list[Mapping[str, Any]]:
    """Each chart with its heading, a note, and the same numbers as a table."""
    services = [(_subject_label(names), alerts) for names, alerts in _ranked(total, "service")]
    causes = [(cause_words(names[0], language), alerts) for names, alerts in _ranked(total, "cause")]
    decisions = [
        (words(decision.value), total.decisions[decision]) for decision in Decision if total.decisions[decision]
    ]
    recoveries = list(zip(_classes(words, language), total.recovery_classes, strict=True)) if total.recoveries else []
    noise = words("noise_note", announced=total.decisions[Decision.ANNOUNCED], all=total.severities.total())
    return [
        _over_time(total, words),
        _bars("top_services", words("of_problems"), services, "accent"),
        _bars("top_causes", words("of_problems"), causes, "accent"),
        _bars("recovery", words("of_incidents"), recoveries, "good"),
        _bars("noise", noise, decisions, "quiet"),
        _channels(total, words),
    ]


def _over_time(total: Figures, words: Callable[..., str]) -> Mapping[str, Any]:
    step = words(_STEPS[round(total.step / timedelta(hours=1))])
    form = "%m-%d %H:%M" if total.step < timedelta(days=1) else "%m-%d"
    labels = [bucket.strftime(form) for bucket in total.buckets]
    series = {words(str(severity)): total.over_time[severity] for severity in DRAWN}
    chart = charts.over_time(labels, series, list(map(str, DRAWN))) if any(map(any, series.values())) else None
    return _figure("over_time", words("per", step=step), chart, labels, series)


def _channels(total: Figures, words: Callable[..., str]) -> Mapping[str, Any]:
    names = sorted(total.channels)
    series = {words(outcome): [total.channels[name].outcomes[outcome] for name in names] for outcome in _OUTCOMES}
    chart = charts.horizontal(names, series, ("good", "warning", "critical"), legend=True) if names else None
    return _figure("channels", words("of_attempts"), chart, names, series)


def _bars(key: str, note: str, pairs: Sequence[tuple[str, int]], colour: str) -> Mapping[str, Any]:
    labels, values = [label for label, _ in pairs], [value for _, value in pairs]
    chart = charts.horizontal(labels, {"": values}, (colour,)) if pairs else None
    return _figure(key, note, chart, labels, {"": values})


def _figure(
    key: str, note: str, chart: Any, labels: Sequence[str], series: Mapping[str, Sequence[int]]
) -> Mapping[str, Any]:
    rows = [
        (label, [values[position] for values in series.values()])
        for position, label in enumerate(labels)
        if any(values[position] for values in series.values())
    ]
    return {"key": key, "note": note, "chart": chart, "columns": list(series), "rows": rows}


def _subject_label(names: tuple[str, ...]) -> str:
    """`web (prod)` for a service; other subjects keep their kind."""
    subject, cluster = names
    return f"{subject.removeprefix('service:')} ({cluster})" if cluster != "-" else subject


def _classes(words: Callable[..., str], language: str) -> list[str]:
    spans = [span(step, language) for step in RECOVERY_STEPS]
    between = [words("between", low=low, high=high) for low, high in pairwise(spans)]
    return [words("under", span=spans[0]), *between, words("over", span=spans[-1])]
