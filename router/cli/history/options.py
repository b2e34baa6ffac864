"""Options that several history commands share: filters and the time range."""

import re
import time
from collections.abc import Callable
from datetime import datetime
from functools import wraps
from typing import Any

import click

from router.history.store import AlertQuery
from router.model import Severity

_SPAN = re.compile("([0-9]{1,4})([mhdw])")
_UNITS = {"m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}
_SEVERITIES = click.Choice([severity.value for severity in Severity])


class Span(click.ParamType[float]):
    """`90m`, `24h`, `7d` or `2w`, in seconds."""

    name = "span"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        match = _SPAN.fullmatch(str(value))
        if match is None:
            self.fail(f"{value!r} is not a duration; use for example 90m, 24h, 7d or 2w", param, ctx)
        return float(int(match[1]) * _UNITS[match[2]])


class Moment(click.ParamType[float]):
    """`2026-11-22`, `2026-11-22T01:30` or `2026-11-22T01:30:00Z`, in seconds; local time if no zone is given."""

    name = "time"
    forms = "2026-11-22, 2026-11-22T01:30 or 2026-11-22T01:30:00Z"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        try:
            return self.read(str(value))
        except (ValueError, OverflowError, OSError):
            self.fail(f"{value!r} is not a time; use {self.forms}", param, ctx)

    def read(self, text: str) -> float:
        """Parses the text. Raises ValueError, OverflowError or OSError if it is not a time."""
        return datetime.fromisoformat(text).timestamp()


def with_time_range(since: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Adds --since (with this default), --from and --to. Passes `span`: start and end, in seconds."""

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        @click.option("--since", type=Span(), help=f"How far back: 90m, 24h, 7d, 2w.  [default: {since}]")
        @click.option("--from", "begin", type=Moment(), help="Start: 2026-11-22T01:30, local time unless …Z.")
        @click.option("--to", "end", type=Moment(), help="End; default: now.")
        @wraps(command)
        def with_span(
            *arguments: Any, since: float | None, begin: float | None, end: float | None, **options: Any
        ) -> None:
            until = time.time() if end is None else end
            if since is not None and begin is not None:
                raise click.UsageError("--since and --from exclude each other")
            first = until - (since or default) if begin is None else begin
            if first > until:
                raise click.UsageError("--from is later than --to")
            command(*arguments, span=(first, until), **options)

        return with_span

    default = Span().convert(since, None, None)
    return decorate


def with_filters(since: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Adds the filter options and the time range, and passes them as the query `wanted`, without a limit."""

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        @click.option("--service", help="Only this service; * and ? are wildcards, as in the next four.")
        @click.option("--family", help="Only this task family, for tasks outside services.")
        @click.option("--subject", help="Only this subject: alarm:NAME, instance:ID, daemon:NAME, service:NAME, …")
        @click.option("--cluster", default="", help="Only this cluster.")
        @click.option("--severity", type=_SEVERITIES, default=None, help="Only this severity.")
        @click.option("--at-least", type=_SEVERITIES, default=None, help="This severity or worse.")
        @click.option("--cause", default="", help="Only this cause, such as out_of_memory.")
        @with_time_range(since)
        @wraps(command)
        def with_wanted(
            *arguments: Any,
            span: tuple[float, float],
            cluster: str,
            cause: str,
            severity: str | None,
            at_least: str | None,
            **options: Any,
        ) -> None:
            if severity and at_least:
                raise click.UsageError("--severity and --at-least exclude each other")
            subject = subject_of(**{name: options.pop(name) for name in ("service", "family", "subject")})
            wanted = AlertQuery(*span, None, subject, cluster, severity or "", at_least or "", cause)
            command(*arguments, wanted=wanted, **options)

        return with_wanted

    return decorate


def subject_of(**names: str | None) -> str:
    """The subject that --service, --family or --subject names, or "". Raises click.UsageError if several are given."""
    given = {kind: name for kind, name in names.items() if name}
    if len(given) > 1:
        raise click.UsageError(f"{' and '.join(f'--{kind}' for kind in given)} exclude each other")
    return next((name if kind == "subject" else f"{kind}:{name}" for kind, name in given.items()), "")


def page_start(token: str) -> tuple[str, str]:
    """The last alert of the previous page (time and id) from the value of `--after`. Raises click.UsageError."""
    at, _, alert_id = token.partition(",")
    try:
        datetime.fromisoformat(at)
    except ValueError:
        alert_id = ""
    if not alert_id:
        raise click.UsageError(f"--after {token!r} is not valid: use the value printed at the end of the previous page")
    return at, alert_id
