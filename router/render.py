"""Render: the message of a notification, in the reader's language and time zone. Channels lay it out; see `Message`."""

import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from urllib.parse import quote
from zoneinfo import ZoneInfo

from router.catalogue import cause_words
from router.incidents import Saying
from router.model import Alert, ChannelConfig, Container, Incident, Kind, Message, Notification, Silenced, Subject
from router.phrases import phrase

_CONSOLES = {"cn-": "console.amazonaws.cn", "us-gov-": "console.amazonaws-us-gov.com"}
_CONSOLE = "console.aws.amazon.com"
_REGION = re.compile("[a-z]+(-[a-z]+)+-[0-9]+")
_LATEST = datetime(9999, 12, 30, tzinfo=UTC).timestamp()  # still has a date in every time zone
SIGTERM = 143  # the exit code of a container that was asked to stop
_NO_NEWS = "essential container in task exited"
_REASON_SHOWN = 1024  # characters; what ECS itself allows a container's reason


def notification(
    saying: Saying, incident: Incident, config: ChannelConfig, enrichment: Mapping[str, str] | None = None
) -> Notification:
    """What a channel is asked to say, with the message in that channel's language.

    Args:
        enrichment: more facts, from plugins.
    """
    language, time_zone = saying.manner.language or config.language, saying.manner.time_zone or config.time_zone
    config = replace(config, language=language, time_zone=time_zone)
    message = _message(saying, incident, config, enrichment or {})
    mention = "" if saying.kind is Kind.RESOLVED else saying.manner.mention  # nobody is called for good news
    return Notification(saying.kind, message, incident.alert, incident, mention)


def _message(saying: Saying, incident: Incident, config: ChannelConfig, enrichment: Mapping[str, str]) -> Message:
    alert, language = incident.alert, config.language
    words = cause_words(alert.cause, language)
    title = phrase(f"title_{saying.kind}", language, cause=words, subject=_where(alert.subject, language))
    lines = [_lead(saying, incident, config), "" if saying.kind is Kind.RESOLVED else _reason(alert)]
    lines += [_held_back(incident, config)] if saying.kind is Kind.OPENED else []
    facts = _facts(incident, config) + tuple(enrichment.items())
    return Message(title, "\n".join(filter(None, lines)), facts, _links(alert, language))


# --- text -------------------------------------------------------------------------------------------------------------


def _where(subject: Subject, language: str) -> str:
    if subject.cluster == "-":
        return subject.name
    return phrase("subject_in_cluster", language, subject=subject.name, cluster=subject.cluster)


def _lead(saying: Saying, incident: Incident, config: ChannelConfig) -> str:
    """What happened, in one or two sentences."""
    language = config.language
    match saying.kind:
        case Kind.OPENED:
            what_died = _what_died(incident.alert, language)
            return what_died or phrase(incident.alert.cause, language, default="")
        case Kind.UPDATED:
            return phrase(
                "going_on",
                language,
                counts=_counts(saying.held or incident.causes, language),
                total=incident.count,
                since=_clock(incident.opened_at, config),
            )
    keys = {"lapsed": "lapsed", "closed": "closed", "resolved": "over_unheard" if saying.first else "over"}
    lasted = max(0.0, (incident.ended_at or incident.last_at) - incident.opened_at)
    return phrase(
        keys.get(incident.status, "over"),
        language,
        lasted=_span(lasted, language),
        counts=_counts(incident.causes, language),
        by=_with(incident.closed_by, incident.closed_because),
    )


def _held_back(incident: Incident, config: ChannelConfig) -> str:
    """Why nothing was heard of it before."""
    silenced = incident.silenced
    if silenced is None:
        return ""
    by, since = _silences(silenced), _clock(silenced.since, config)
    return phrase("held_back", config.language, since=since, count=silenced.count, by=by)


def _silences(silenced: Silenced) -> str:
    return ", ".join(_with(name, reason) for name, reason in silenced.by.items())


def _with(name: str, reason: str) -> str:
    return f"{name} ({reason})" if reason else name


def _what_died(alert: Alert, language: str) -> str:
    dead = culprit(alert)
    if dead is None:
        return ""
    if dead.exit_code is None:
        never_ran = alert.stop_code == "TaskFailedToStart"
        return phrase("container_never_ran" if never_ran else "container_without_code", language, container=dead.name)
    # 137 has several meanings; where ECS says that it was memory, the others would only confuse.
    known = alert.cause == "out_of_memory"
    meaning = "" if known else phrase(f"exit_{dead.exit_code}", language, default="")
    key = "container_with_meaning" if meaning else "container_with_code"
    return phrase(key, language, container=dead.name, code=dead.exit_code, meaning=meaning)


def culprit(alert: Alert) -> Container | None:
    """The container that tells why: one with a reason, else with a bad exit code, else the first that stopped."""
    stopped = [container for container in alert.containers if container.status == "STOPPED"]
    ranked = sorted(stopped, key=lambda each: (not each.reason, each.exit_code in {0, None}, each.exit_code == SIGTERM))
    return ranked[0] if ranked else None


def _reason(alert: Alert) -> str:
    """ECS's own words, unless they say no more than the title does."""
    if alert.reason.lower().startswith(_NO_NEWS):
        return ""
    return alert.reason if len(alert.reason) <= _REASON_SHOWN else alert.reason[: _REASON_SHOWN - 1] + "…"


def _counts(counts: Mapping[str, int], language: str) -> str:
    return ", ".join(f"{count} × {cause_words(cause, language)}" for cause, count in counts.items())


def _clock(time: float, config: ChannelConfig) -> str:
    zone = ZoneInfo(config.time_zone)
    return datetime.fromtimestamp(min(time, _LATEST), UTC).astimezone(zone).strftime("%Y-%m-%d %H:%M:%S %Z")


def _span(seconds: float, language: str) -> str:
    """`42 s`, `12 min`, `3 h 5 min`, `2 d 4 h`: two units are enough."""
    units = (("d", 86400), ("h", 3600), ("min", 60), ("s", 1))
    left = round(seconds)
    parts: list[str] = []
    for unit, size in units:
        if left >= size or (unit == "s" and not parts):
            parts.append(phrase(f"span_{unit}", language, count=left // size))
        left %= size
    return " ".join(parts[:2])


# --- facts and links --------------------------------------------------------------------------------------------------


def _facts(incident: Incident, config: ChannelConfig) -> tuple[tuple[str, str], ...]:
    alert, subject = incident.alert, incident.subject
    dead = culprit(alert)
    values = {
        "severity": phrase(f"severity_{incident.severity}", config.language),
        "subject": subject.name,
        "cluster": "" if subject.cluster == "-" else subject.cluster,
        "place": " ".join(part for part in (subject.account, subject.region) if part != "-"),
        "container": dead.name if dead else "",
        "exit_code": str(dead.exit_code) if dead and dead.exit_code is not None else "",
        "image": dead.image if dead else "",
        "task_definition": alert.task_definition,
        "task": alert.task,
        "since": _clock(incident.opened_at, config),
        "alerts": str(incident.count) if incident.count > 1 else "",
        "silenced": f"{incident.silenced.count}: {_silences(incident.silenced)}" if incident.silenced else "",
        "incident": incident.id,
        "more": f"ecs-alert-router history show {incident.id}",
    }
    return tuple((phrase(f"label_{name}", config.language), value) for name, value in values.items() if value)


def _links(alert: Alert, language: str) -> tuple[tuple[str, str], ...]:
    """The runbook, and pages of the current ECS and CloudWatch consoles in the subject's partition, if it is known."""
    subject = alert.subject
    known = _REGION.fullmatch(subject.region) and (subject.cluster != "-" or subject.name.startswith("alarm:"))
    pages = [("runbook", alert.runbook_url)] if alert.runbook_url else []
    pages += _pages(alert, subject) if known else []
    return tuple((phrase(f"link_{name}", language), url) for name, url in pages)


def _pages(alert: Alert, subject: Subject) -> list[tuple[str, str]]:
    console = next((host for prefix, host in _CONSOLES.items() if subject.region.startswith(prefix)), _CONSOLE)
    ecs = f"https://{subject.region}.{console}/ecs/v2/clusters/{quote(subject.cluster, safe='')}"
    region = f"?region={subject.region}"
    kind, _, name = subject.name.partition(":")
    name = quote(name, safe="")
    if kind == "alarm":
        return [("alarm", f"https://{subject.region}.{console}/cloudwatch/home{region}#alarmsV2:alarm/{name}")]
    pages = [("service", f"{ecs}/services/{name}/health{region}")] if kind == "service" else []
    if alert.task:
        pages.append(("task", f"{ecs}/tasks/{quote(alert.task, safe='')}/configuration{region}"))
    return pages or [("cluster", f"{ecs}/services{region}")]
