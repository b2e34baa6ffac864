"""`history report`: a time at a glance, as one page that needs nothing else: to look at, to send, to keep."""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta, tzinfo
from itertools import pairwise
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import click
import jinja2
from rich.console import Console
from rich.progress import Progress

from router.causes import cause_words
from router.cli.history import charts
from router.cli.history.figures import DRAWN, RECOVERY_STEPS, Figures, add_alerts, add_incidents, figures
from router.cli.history.options import of_a_time
from router.cli.history.report_words import word
from router.cli.history.show import incident_row
from router.cli.history.source import each_alert, reads_history
from router.config.parse import LANGUAGES
from router.history.items import iso, seconds
from router.history.store import AlertQuery, History
from router.history.table import Item
from router.messages.phrases import span
from router.model import Decision, Outcome, Severity

SHOWN = 200  # incidents; a page with more is slow on a phone
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
            self.fail(f"{value!r} is no time zone: write Asia/Tokyo", param, ctx)


@click.command("report")
@click.option("--out", type=click.Path(dir_okay=False, writable=True, path_type=Path), help="The page.")
@click.option("--language", type=click.Choice(LANGUAGES), default="en", show_default=True)
@click.option("--time-zone", "zone", type=Zone(), help="In which days begin; else this machine's.")
@click.option("--cluster", default="", help="Of this cluster alone.")
@click.option("--json", "as_json", is_flag=True, help="The numbers as JSON, instead of a page.")
@of_a_time(since="30d")
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
    """One self-contained page about a time: alerts, noise, time to recover, channel health, incidents."""
    if bool(out) == as_json:
        raise click.UsageError("say where the page shall go: --out report.html; or --json for the numbers")
    made = _read(history, figures(*span, zone), cluster, time.time())
    if out is None:
        click.echo(json.dumps(numbers(made), ensure_ascii=False))
        return
    try:
        out.write_text(page(made, language, str(history.table), time.time()), "utf-8")
    except OSError as error:
        raise click.ClickException(f"{out} cannot be written: {error.strerror}") from error
    problems = sum(made.severities[each] for each in DRAWN)
    click.echo(f"{out}: {problems} alerts of warning or worse, {len(made.incidents)} incidents", err=True)


def _read(history: History, made: Figures, cluster: str, now: float) -> Figures:
    """Shows on a terminal's stderr how far back it has come."""
    console = Console(stderr=True, highlight=False)
    with Progress(console=console, disable=not console.is_terminal, transient=True) as progress:
        task = progress.add_task("reading alerts", total=max(made.until - made.since, 1.0))

        def watch(alert: Item) -> None:
            progress.update(task, completed=made.until - seconds(alert["at"]))

        alerts = each_alert(history, AlertQuery(made.since, made.until, None, cluster=cluster), now)
        ids = add_alerts(made, alerts, watch)
        progress.update(task, description=f"reading {len(ids)} incidents")
        add_incidents(made, history, ids, now)
    return made


def numbers(made: Figures) -> dict[str, Any]:
    """What the page draws, for machines: times in UTC, spans in seconds."""
    return {
        "since": iso(made.since),
        "until": iso(made.until),
        "severities": {str(each): made.severities[each] for each in Severity},
        "decisions": dict(made.decisions),
        "over_time": [
            {"at": iso(at.timestamp()), **{str(each): made.over_time[each][place] for each in DRAWN}}
            for place, at in enumerate(made.buckets)
        ],
        "top_services": [
            {"subject": names[0], "cluster": names[1], "alerts": alerts}
            for names, alerts in _ranked(made, "service", None)
        ],
        "top_causes": [{"cause": names[0], "alerts": alerts} for names, alerts in _ranked(made, "cause", None)],
        "recoveries": sorted(made.recoveries),
        "median_recovery": made.median_recovery,
        "channels": {name: dict(each.outcomes) for name, each in sorted(made.channels.items())},
        "incidents": [incident_row(incident) for incident, _ in made.incidents],
        "still_open": [incident.id for incident in made.still_open],
    }


def _ranked(made: Figures, way: str, limit: int | None = _TOP) -> list[tuple[tuple[str, ...], int]]:
    tallies = [(names, tally.alerts) for names, tally in made.tops.get(way, {}).items()]
    return sorted(tallies, key=lambda pair: (-pair[1], pair[0]))[:limit]


# --- the page ---------------------------------------------------------------------------------------------------------


def page(made: Figures, language: str, table: str, now: float) -> str:
    """The HTML. Whatever comes from outside is escaped by the template, and a page that runs no script needs none."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )

    def words(key: str, **values: object) -> str:
        return word(key, language, **values)

    def local(at: float, form: str = "%Y-%m-%d %H:%M") -> str:
        return datetime.fromtimestamp(at, UTC).astimezone(made.zone).strftime(form)

    return environment.get_template("report.html").render(
        language=language,
        word=words,
        local=local,
        lasting=lambda length: span(length, language),
        cause=lambda cause: cause_words(cause, language),
        seconds=seconds,
        made=made,
        zone=local(made.until, "%Z"),
        table=table,
        now=now,
        problems=sum(made.severities[each] for each in DRAWN),
        figures=_figures(made, words, language),
        shown=made.incidents[:SHOWN],
    )


def _figures(made: Figures, words: Callable[..., str], language: str) -> list[Mapping[str, Any]]:
    """Each chart with its heading, a note, and the same numbers as a table."""
    services = [(_place(names), alerts) for names, alerts in _ranked(made, "service")]
    causes = [(cause_words(names[0], language), alerts) for names, alerts in _ranked(made, "cause")]
    decisions = [(words(each.value), made.decisions[each]) for each in Decision if made.decisions[each]]
    recoveries = list(zip(_classes(words, language), made.recovery_classes, strict=True)) if made.recoveries else []
    noise = words("noise_note", announced=made.decisions[Decision.ANNOUNCED], all=made.severities.total())
    return [
        _over_time(made, words),
        _lying("top_services", words("of_problems"), services, "accent"),
        _lying("top_causes", words("of_problems"), causes, "accent"),
        _lying("recovery", words("of_incidents"), recoveries, "good"),
        _lying("noise", noise, decisions, "quiet"),
        _channels(made, words),
    ]


def _over_time(made: Figures, words: Callable[..., str]) -> Mapping[str, Any]:
    step = words(_STEPS[round(made.step / timedelta(hours=1))])
    form = "%m-%d %H:%M" if made.step < timedelta(days=1) else "%m-%d"
    labels = [bucket.strftime(form) for bucket in made.buckets]
    series = {words(str(each)): made.over_time[each] for each in DRAWN}
    chart = charts.over_time(labels, series, [str(each) for each in DRAWN]) if any(map(any, series.values())) else None
    return _figure("over_time", words("per", step=step), chart, labels, series)


def _channels(made: Figures, words: Callable[..., str]) -> Mapping[str, Any]:
    names = sorted(made.channels)
    series = {words(each): [made.channels[name].outcomes[each] for name in names] for each in _OUTCOMES}
    chart = charts.lying(names, series, ("good", "warning", "critical"), legend=True) if names else None
    return _figure("channels", words("of_attempts"), chart, names, series)


def _lying(key: str, note: str, pairs: Sequence[tuple[str, int]], colour: str) -> Mapping[str, Any]:
    labels, values = [label for label, _ in pairs], [value for _, value in pairs]
    chart = charts.lying(labels, {"": values}, (colour,)) if pairs else None
    return _figure(key, note, chart, labels, {"": values})


def _figure(
    key: str, note: str, chart: Any, labels: Sequence[str], series: Mapping[str, Sequence[int]]
) -> Mapping[str, Any]:
    rows = [
        (label, [values[place] for values in series.values()])
        for place, label in enumerate(labels)
        if any(values[place] for values in series.values())
    ]
    return {"key": key, "note": note, "chart": chart, "columns": list(series), "rows": rows}


def _place(names: tuple[str, ...]) -> str:
    """`web (prod)`: what it is goes without saying of a service."""
    subject, cluster = names
    return f"{subject.removeprefix('service:')} ({cluster})" if cluster != "-" else subject


def _classes(words: Callable[..., str], language: str) -> list[str]:
    spans = [span(step, language) for step in RECOVERY_STEPS]
    between = [words("between", low=low, high=high) for low, high in pairwise(spans)]
    return [words("under", span=spans[0]), *between, words("over", span=spans[-1])]
