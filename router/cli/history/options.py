"""Options that several questions share: which alerts, and of what time."""

import re
import time
from collections.abc import Callable
from datetime import datetime
from functools import wraps
from typing import Any

import click

from router.history.store import AlertQuery
from router.model import Severity

_SPAN = re.compile("([0-9]{1,4})([mhd])")
_UNITS = {"m": 60, "h": 3600, "d": 86400}
_SEVERITIES = click.Choice([each.value for each in Severity])


class Span(click.ParamType[float]):
    """`90m`, `24h` or `7d`, as seconds."""

    name = "span"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        match = _SPAN.fullmatch(str(value))
        if match is None:
            self.fail(f"{value!r} is no span of time: write 90m, 24h or 7d", param, ctx)
        return float(int(match[1]) * _UNITS[match[2]])


class Moment(click.ParamType[float]):
    """`2026-11-22`, `2026-11-22T01:30` or `2026-11-22T01:30:00Z`, as seconds; local time where no zone is given."""

    name = "time"
    forms = "2026-11-22, 2026-11-22T01:30 or 2026-11-22T01:30:00Z"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        try:
            return self.read(str(value))
        except (ValueError, OverflowError, OSError):
            self.fail(f"{value!r} is no time: write {self.forms}", param, ctx)

    def read(self, text: str) -> float:
        """Raises ValueError, OverflowError or OSError."""
        return datetime.fromisoformat(text).timestamp()


def of_a_time(since: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Adds --since (by default that), --from and --to, and passes `span`: first and last moment, in seconds."""

    def adding(command: Callable[..., None]) -> Callable[..., None]:
        @click.option("--since", type=Span(), help=f"How far back: 90m, 24h, 7d.  [default: {since}]")
        @click.option("--from", "begin", type=Moment(), help="Since then instead: 2026-11-22T01:30, local unless …Z.")
        @click.option("--to", "end", type=Moment(), help="Until then, instead of until now.")
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
    return adding


def narrowed(since: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Adds what narrows a question, and passes it as `wanted`: without a limit."""

    def adding(command: Callable[..., None]) -> Callable[..., None]:
        @click.option("--service", help="Of this service.")
        @click.option("--family", help="Of this task family, outside of services.")
        @click.option("--subject", help="Of this subject: alarm:NAME, instance:ID, daemon:NAME, service:NAME, …")
        @click.option("--cluster", default="", help="Of this cluster.")
        @click.option("--severity", type=_SEVERITIES, default=None, help="Of just this severity.")
        @click.option("--at-least", type=_SEVERITIES, default=None, help="Of this severity or a worse one.")
        @click.option("--cause", default="", help="Of this cause, such as out_of_memory.")
        @of_a_time(since)
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

    return adding


def subject_of(**names: str | None) -> str:
    """The one subject that --service, --family or --subject name; "" for none of them."""
    given = {kind: name for kind, name in names.items() if name}
    if len(given) > 1:
        raise click.UsageError(f"{' and '.join(f'--{kind}' for kind in given)} exclude each other")
    return next((name if kind == "subject" else f"{kind}:{name}" for kind, name in given.items()), "")


def paged(token: str) -> tuple[str, str]:
    """The place in the list that `--after` names, as `page_token` gave it out."""
    at, _, alert_id = token.partition(",")
    try:
        datetime.fromisoformat(at)
    except ValueError:
        alert_id = ""
    if not alert_id:
        raise click.UsageError(f"--after {token!r} is no place in the list: take it from the end of the page before")
    return at, alert_id
