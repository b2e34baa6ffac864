"""AWS Health events about Amazon ECS and AWS Fargate: tasks that AWS will retire, and issues of the services.

AWS sends one Health event in many messages: pages, updates, and copies in a backup Region. All have one `eventArn`,
which is the subject. The messages of one communication have the same `communicationId`, apart from `-PAGE` at its end.
Region and account are those of the detail: the envelope's are where the message was delivered.

`resources` names a service whose tasks are retired as `CLUSTER|SERVICE`, and a standalone task by its ARN;
`affectedEntities` may list the services' tasks instead.

Sources: "AWS Health events Amazon EventBridge schema", "Aggregating AWS Health events" and "Pagination of AWS Health
events" in the AWS Health User Guide; "Task retirement and maintenance for AWS Fargate" in the ECS Developer Guide.
"""

import re
from collections.abc import Iterable, Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Any

from router.ecs.fields import NAME_LIMIT, TEXT_LIMIT, line, mappings
from router.model import Event, SubjectKind, short_hash
from router.text.characters import clean, single_line
from router.text.redaction import redacted

SOURCE = "aws.health"
SERVICES = frozenset({"ECS", "FARGATE"})
"""The services whose Health events matter here."""
STANDALONE, OF_SERVICES = "tasks", "services"
"""What `details["affects"]` says: standalone tasks, which nothing replaces, or services."""

_NAMED = 10  # affected services or tasks
_TASK = re.compile(r"arn:[^:]*:ecs:[^:]*:[^:]*:task/(?:(.+)/)?([^/]+)")
_TASK_SHOWN = 8  # characters of a task's id
_ENTITY_SHOWN = 100  # characters
_CLOCK_SKEW = 3600.0  # seconds, as in `router.ecs.normalise`


def with_health(event: Event, resources: object) -> Event:
    """The event of a message of AWS Health, with its subject and what it affects.

    Args:
        resources: of the envelope. History keeps the detail alone, so they are added to it: `affectedEntities` does not
            tell the tasks of services from standalone ones.
    """
    detail = {"resources": resources, **event.detail} if resources else event.detail
    arn = line(detail, "eventArn", TEXT_LIMIT)
    subject = event.subject._replace(
        account=line(detail, "affectedAccount") or event.account,
        region=line(detail, "eventRegion") or event.region,
        cluster="-",
        kind=SubjectKind.HEALTH_EVENT,
        name=(arn if len(arn) <= NAME_LIMIT else short_hash(arn)) or "-",
    )
    updated_at = _moment(line(detail, "lastUpdatedTime"))
    return event._replace(
        account=subject.account,
        region=subject.region,
        at=event.at if updated_at is None or updated_at > event.at + _CLOCK_SKEW else updated_at,
        subject=subject,
        occurrence=_communication(detail, subject.fingerprint) or event.occurrence,
        name=line(detail, "eventTypeCode").upper(),
        type="",
        state=line(detail, "statusCode").upper(),
        reason=redacted(_description(detail)),
        partition=arn.split(":")[1] if arn.startswith("arn:") and arn.count(":") > 1 else "",
        details=_details(detail),
        detail=detail,
    )


def is_retirement(event: Event) -> bool:
    """Whether AWS will stop tasks for maintenance."""
    return _of_ecs(event) and "RETIREMENT" in event.name


def is_issue(event: Event) -> bool:
    """Whether it is an issue of the services or a change that AWS plans, and not just a notice about the account."""
    return _of_ecs(event) and not is_retirement(event) and event.details.get("eventTypeCategory") in _ISSUES


def lasts(event: Event) -> bool:
    """Whether the Health event is a condition. Other changes are planned up to a year ahead."""
    return is_retirement(event) or (is_issue(event) and event.details.get("eventTypeCategory") != "scheduledChange")


_ISSUES = frozenset({"issue", "investigation", "scheduledChange"})


def _of_ecs(event: Event) -> bool:
    return event.source == SOURCE and event.details.get("service") in SERVICES


def _communication(detail: Mapping[str, Any], subject: str) -> str:
    """A hash that all pages and copies of one communication share; "" if the message does not name it."""
    communication, page = line(detail, "communicationId"), line(detail, "page")
    if not communication:
        return ""
    whole = communication.removesuffix(f"-{page}") if page else re.sub(r"-[0-9]{1,4}$", "", communication)
    return short_hash(subject, whole)


def _details(detail: Mapping[str, Any]) -> dict[str, str]:
    affected, affects = _affected(detail)
    details = {
        "service": line(detail, "service").upper(),
        "eventTypeCategory": line(detail, "eventTypeCategory"),
        "startTime": _iso(line(detail, "startTime")),
        "endTime": _iso(line(detail, "endTime")),
        "affects": affects,
        "affected": ", ".join(affected[:_NAMED]),
        "affectedCount": str(len(affected)) if affected else "",
        "pages": line(detail, "totalPages") if line(detail, "totalPages") not in {"", "0", "1"} else "",
        "eventArn": line(detail, "eventArn", TEXT_LIMIT),
    }
    return {name: value for name, value in details.items() if value}


def _affected(detail: Mapping[str, Any]) -> tuple[list[str], str]:
    """What is affected, each once, as `CLUSTER/NAME`; and whether it is tasks or services."""
    resources = detail.get("resources")
    listed = [arn for arn in resources if isinstance(arn, str)] if isinstance(resources, list) else []
    entities = list(filter(None, map(single_line, listed or _entities(detail))))
    affects = OF_SERVICES if any("|" in entity for entity in entities) else ""
    if any(map(_TASK.fullmatch, entities)):
        affects = STANDALONE
    return list(dict.fromkeys(map(_shown, entities))), affects


def _entities(detail: Mapping[str, Any]) -> Iterable[str]:
    return (line(entity, "entityValue", TEXT_LIMIT) for entity in mappings(detail, "affectedEntities"))


def _shown(entity: str) -> str:
    if task := _TASK.fullmatch(entity):
        return "/".join(filter(None, (task[1], task[2][:_TASK_SHOWN])))
    return entity.replace("|", "/")[:_ENTITY_SHOWN]


def _description(detail: Mapping[str, Any]) -> str:
    """AWS's own words, in English if there are several languages; AWS writes line breaks as a backslash and n."""
    texts = {
        line(description, "language"): description.get("latestDescription")
        for description in mappings(detail, "eventDescription")
    }
    described = texts.get("en_US") or next(iter(texts.values()), "")
    return clean(described.replace("\\n", "\n")).strip()[:TEXT_LIMIT] if isinstance(described, str) else ""


def _iso(stated: str) -> str:
    """The time as ISO 8601, as all other details have theirs; "" if it is none."""
    try:
        moment = parsedate_to_datetime(stated)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC).isoformat()
    except (ValueError, OverflowError, TypeError):
        return ""


def _moment(stated: str) -> float | None:
    """RFC 1123, such as `Wed, 16 Aug 2023 23:18:51 GMT`, as seconds since 1970."""
    try:
        moment = parsedate_to_datetime(stated)
        seconds = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError, TypeError):
        return None
    return seconds if seconds > 0 else None
