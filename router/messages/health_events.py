"""What a message says about an AWS Health event: what AWS will do when, to what, and whether ECS replaces it."""

from datetime import datetime
from typing import Protocol
from urllib.parse import quote

from router.messages.phrases import phrase
from router.model import Alert, SubjectKind

_RETIREMENT = "retirement_scheduled"
_ISSUE = "aws_issue"
_SERVICES = {"ECS": "Amazon ECS", "FARGATE": "AWS Fargate"}
_SHOWN = ("tasks", "services")


class Clock(Protocol):
    """Shows seconds since 1970 in the time zone of the reader."""

    def __call__(self, time: float, /) -> str: ...


def cause_in_title(alert: Alert, language: str) -> str:
    """The cause in plain words, where AWS plans a change and reports no issue; else ""."""
    is_change = alert.details.get("eventTypeCategory") == "scheduledChange"
    return phrase("aws_change", language) if alert.cause == _ISSUE and is_change else ""


def affected_in_title(alert: Alert, language: str) -> str:
    """What is affected, for the title: its name, or how many of them in which Region; "" if it is no such event."""
    if alert.subject.kind is not SubjectKind.HEALTH_EVENT:
        return ""
    details, region = alert.details, alert.subject.region
    affects, count = details.get("affects", ""), int(details.get("affectedCount", "0"))
    if affects not in _SHOWN:
        return phrase("affected_in", language, region=region)
    if details.get("pages"):
        return phrase(f"affected_{affects}_in", language, region=region)
    return phrase(f"affected_{affects}_counted", language, count=count, region=region, name=details.get("affected", ""))


def sentence(alert: Alert, language: str, clock: Clock) -> str:
    """What AWS will do or reports; "" if the alert is about something else."""
    if alert.subject.kind is not SubjectKind.HEALTH_EVENT or alert.resolves:
        return ""
    details, time = alert.details, _time(alert.details.get("startTime", ""), clock)
    if alert.cause == _RETIREMENT:
        at = phrase("retirement_at", language, time=time) if time else ""
        affects = details.get("affects", "")
        return phrase(f"retirement_of_{affects if affects in _SHOWN else 'unknown'}", language, at=at)
    if alert.cause != _ISSUE or not time:
        return ""
    service = _SERVICES.get(details.get("service", ""), "ECS")
    key = "aws_change_at" if cause_in_title(alert, language) else "aws_issue_since"
    return phrase(key, language, service=service, region=alert.subject.region, time=time)


def pages_sentence(alert: Alert, language: str) -> str:
    """A sentence that says that the list of what is affected is incomplete; "" if it is complete."""
    pages = alert.details.get("pages", "") if alert.subject.kind is SubjectKind.HEALTH_EVENT else ""
    return phrase("health_pages", language, count=pages) if pages else ""


def is_whole_reason(alert: Alert) -> bool:
    """Whether the sentence says what AWS's own words say at length."""
    return alert.cause == _RETIREMENT and alert.details.get("affects", "") in _SHOWN


def facts(alert: Alert, language: str, clock: Clock) -> dict[str, str]:
    """What is affected, and when, by the keys of their labels."""
    if alert.subject.kind is not SubjectKind.HEALTH_EVENT:
        return {}
    details = alert.details
    names, affects = details.get("affected", ""), details.get("affects", "")
    more = int(details.get("affectedCount", "0")) - len(names.split(", "))
    affected = phrase("affected_more", language, names=names, count=more) if more > 0 else names
    planned = [_time(details.get(name, ""), clock) for name in ("startTime", "endTime")]
    return {
        f"affected_{affects}" if affects in _SHOWN else "affected": affected,
        "planned": " – ".join(filter(None, planned)) if details.get("eventTypeCategory") == "scheduledChange" else "",
    }


def page(alert: Alert) -> str:
    """The address of the event in the AWS Health Dashboard; "" outside the partition `aws`, whose address is known."""
    arn = alert.details.get("eventArn", "")
    if alert.partition != "aws" or not arn:
        return ""
    event = quote(arn, safe=":/", errors="replace")
    return f"https://health.aws.amazon.com/health/home#/account/event-log?eventID={event}&eventTab=details"


def _time(text: str, clock: Clock) -> str:
    try:
        return clock(datetime.fromisoformat(text).timestamp())
    except (ValueError, OverflowError, OSError):
        return ""
