"""Turns any input into an `Event`: every field is present, has its type and a bounded length, and contains none of the
characters that `router.text.characters` removes. Secrets that `router.text.redaction` recognises are removed from
reasons.

Four conditions are strict and raise `UnreadableEvent`: the event is an object, the router reads its source, its
detail-type is a string, and its detail is an object. Anything else may be missing, null, of another type or garbage:
ECS adds and omits fields, people re-wrap events, and a half-understood event must still be reported.
Only `Event.detail`, which history records, is left as it came.

Sources: "Amazon ECS events" in the Amazon ECS Developer Guide, and real events back to 2016, when ARNs did not yet
contain the cluster's name and events had neither `group` nor `stopCode`.
"""

import json
import math
import re
import time
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Any, NamedTuple

from router.ecs.alarms import parse_alarm
from router.ecs.api_calls import starts_tasks, with_call
from router.ecs.conditions import ALARM_CONFIGURATION
from router.ecs.fields import NAME_LIMIT, TEXT_LIMIT, line, mapping, mappings, moment, text
from router.ecs.health_events import SOURCE as HEALTH
from router.ecs.health_events import with_health
from router.ecs.reasons import stop_code
from router.errors import UnreadableEvent
from router.model import (
    CHANNEL_HEALTH,
    OWN_DETAIL_TYPES,
    OWN_SOURCE,
    RUN_OVERDUE,
    Container,
    Event,
    Subject,
    SubjectKind,
    short_hash,
)
from router.text.redaction import redacted

SOURCES = frozenset({"aws.ecs", "aws.cloudwatch", "aws.codedeploy", HEALTH, OWN_SOURCE})
# Detail-types, in lower case, whose detail describes a task.
TASK_EVENTS = frozenset({"ecs task state change", "container exited"})
_OWN_TYPES = frozenset({"container exited", *OWN_DETAIL_TYPES})

DEPTH_LIMIT = 64  # real events nest 6 deep; much deeper ones would cause a RecursionError in a later step
CLOCK_SKEW = 3600.0  # seconds that an event's clock may be ahead of ours
MEMORY_LIMIT = 2**30  # MiB; more than any host has
EXIT_CODE_LIMIT = 2**32  # Windows has unsigned 32 bits (3221225477 is an access violation)

_DEPLOYMENT = "ecs-svc/"  # prefix of a service deployment's id, in `startedBy` of its tasks
_SHOWN = (
    "lifecycleStage",
    "expiresAt",
    "failureType",
    "ec2InstanceId",
    "launchType",
    "hookType",
    "availabilityZone",
    "capacityProviderName",
    "startedBy",
    "runningCount",
    "desiredCount",
    "expected",
    "dueAt",
    "taskId",
)
# ECS ARN resource type to the subject's kind and the position of its name in the ARN's path.
_SUBJECT_IN_ARN = {
    "service": (SubjectKind.SERVICE, -1),
    "service-deployment": (SubjectKind.SERVICE, 1),
    "service-revision": (SubjectKind.SERVICE, 1),
    "task-set": (SubjectKind.SERVICE, 1),
    "daemon": (SubjectKind.DAEMON, -1),
    "daemon-deployment": (SubjectKind.DAEMON, 1),
    "daemon-revision": (SubjectKind.DAEMON, 1),
    "container-instance": (SubjectKind.INSTANCE, -1),
}
_NOT_IN_ARNS = frozenset({SubjectKind.CHANNEL, SubjectKind.ALARM, SubjectKind.DEPLOYMENT_GROUP, SubjectKind.FAMILY})
"""Kinds of subjects that events of ECS cannot name by an ARN of ECS."""
_ARN_FIELDS = (
    "clusterArn",
    "serviceArn",
    "service",
    "serviceDeploymentArn",
    "daemonArn",
    "daemonRevisionArn",
    "taskArn",
    "containerInstanceArn",
)


def parse(body: str | bytes) -> object:
    """Parses JSON. Refuses NaN, Infinity and numbers outside the range of a float.

    Raises:
        UnreadableEvent: the text is not JSON, or nested too deeply.
    """
    try:
        return json.loads(body, parse_constant=_refuse, parse_float=_finite)
    except RecursionError as error:
        raise UnreadableEvent("nested too deeply") from error
    except ValueError as error:  # not JSON, not UTF-8, or an integer of thousands of digits
        raise UnreadableEvent(f"not JSON: {error}"[:200]) from error


def _refuse(constant: str) -> object:
    raise ValueError(f"{constant} is not a JSON number")


def _finite(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise ValueError(f"{text[:20]} is past a float's range")
    return number


def normalise(raw: object, *, now: float | None = None) -> Event:
    """The event in `raw`.

    Args:
        raw: one parsed EventBridge event.
        now: clock time, used for events without a time of their own; by default the system clock's.

    Raises:
        UnreadableEvent: the router does not read such events; the message is the reason.
    """
    envelope, detail = _readable(raw)
    detail_type = line(envelope, "detail-type")
    about_task = detail_type.lower() in TASK_EVENTS
    own = about_task and envelope["source"] == OWN_SOURCE
    event_id = line(envelope, "id") or short_hash(_canonical(envelope))
    at = _at(envelope, detail, time.time() if now is None else now, own=own)
    arns = tuple(_arns(envelope, detail))
    subject = _subject(envelope, detail, arns)
    task = _task_id(detail, arns) if about_task else ""
    reason = "" if own else _reason(detail)
    event = Event(
        id=event_id,
        source=envelope["source"],
        detail_type=detail_type,
        account=subject.account,
        region=subject.region,
        at=at,
        subject=subject,
        occurrence=(task or event_id) if about_task else _occurrence(event_id, detail_type, detail, subject),
        task=task,
        status=_status(detail, about_task=about_task, own=own),
        desired_status=line(detail, "desiredStatus").upper() or ("RUNNING" if own else ""),
        stop_code=stop_code(line(detail, "stopCode"), reason) if about_task and not own else "",
        reason=reason,
        containers=_containers(detail) if about_task else (),
        task_definition=_task_definition(detail),
        started_at=_no_later_than(at, _first_time(text(detail, "startedAt"))) if about_task else None,
        created_at=_no_later_than(at, _first_time(text(detail, "createdAt"))) if about_task else None,
        name=line(detail, "eventName").upper(),
        type=line(detail, "eventType").upper(),
        deployment=line(detail, "deploymentId") or (_starting_deployment(detail) if about_task else ""),
        state=_state(detail),
        details=_details(detail),
        alarm=parse_alarm(detail) if subject.kind is SubjectKind.ALARM else None,
        partition=next((arn.partition for arn in arns if arn.partition), ""),
        detail=detail,
    )
    if event.source == HEALTH:
        return with_health(event, envelope.get("resources"))
    return with_call(event) if starts_tasks(event) else event


def _readable(raw: object) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    if not isinstance(raw, Mapping):
        raise UnreadableEvent("not an object")
    source, detail = raw.get("source"), raw.get("detail")
    if not isinstance(source, str) or source not in SOURCES:
        raise UnreadableEvent(f"unknown source {ascii(source)[:80]}")
    if not text(raw, "detail-type"):
        raise UnreadableEvent("detail-type is not a text")
    if source == OWN_SOURCE and line(raw, "detail-type").lower() not in _OWN_TYPES:
        raise UnreadableEvent(f"unknown detail-type of {OWN_SOURCE}: {ascii(raw['detail-type'])[:80]}")
    if not isinstance(detail, Mapping):
        raise UnreadableEvent("detail is not an object")
    if _nested_deeper_than(DEPTH_LIMIT, raw):
        raise UnreadableEvent("nested too deeply")
    return raw, detail


def _nested_deeper_than(limit: int, raw: object) -> bool:
    level = [raw]
    for _ in range(limit):
        level = [
            child
            for parent in level
            if isinstance(parent, dict | list)
            for child in (parent if isinstance(parent, list) else parent.values())
        ]
        if not level:
            return False
    return True


def _canonical(envelope: Mapping[str, Any]) -> str:
    try:
        return json.dumps(envelope, sort_keys=True, separators=(",", ":"), default=repr)
    except (TypeError, ValueError) as error:  # keys of several types, or an integer too long to print
        raise UnreadableEvent("not a JSON object") from error


def _status(detail: Mapping[str, Any], *, about_task: bool, own: bool) -> str:
    """Status of a task or container instance. Only STOPPED tasks have `stoppedAt`.

    An own event can only mean that a container exited in a running task, whatever it says: anyone may have sent it.
    """
    if own:
        return "RUNNING"
    if not about_task:
        return line(detail, "status").upper()
    return line(detail, "lastStatus").upper() or ("STOPPED" if _first_time(text(detail, "stoppedAt")) else "")


def _reason(detail: Mapping[str, Any]) -> str:
    return redacted(
        text(detail, "stoppedReason")
        or text(detail, "reason")
        or text(detail, "statusReason")
        or text(mapping(detail, "state"), "reason")
        or "; ".join(
            f"{line(check, 'type')}: {line(check, 'statusReason')}".strip(": ")
            for check in mappings(detail, "healthChecks")
            if line(check, "status").upper() != "OK"
        )[:TEXT_LIMIT]
    )


def _state(detail: Mapping[str, Any]) -> str:
    """An alarm's value, a CodeDeploy deployment's state, an instance's health, or `DISCONNECTED` for its agent."""
    stated = line(mapping(detail, "state"), "value") or line(detail, "state") or line(detail, "overallStatus")
    return stated.upper() or ("DISCONNECTED" if detail.get("agentConnected") is False else "")


def _starting_deployment(detail: Mapping[str, Any]) -> str:
    starter = line(detail, "startedBy")
    return starter if starter.lower().startswith(_DEPLOYMENT) else ""


def _details(detail: Mapping[str, Any]) -> dict[str, str]:
    """Fields that only some events have and that messages show."""
    details = {"statusReason": _attachment_reasons(detail), **{name: line(detail, name) for name in _SHOWN}}
    return {name: value for name, value in details.items() if value}


def _attachment_reasons(detail: Mapping[str, Any]) -> str:
    """Why a task's volumes or network interfaces could not be attached. ECS may say so only here."""
    reasons = (
        f"{line(attachment, 'type')} {line(attachment, 'status')}: {line(item, 'value', TEXT_LIMIT)}".strip(": ")
        for attachment in mappings(detail, "attachments")
        for item in mappings(attachment, "details")
        if line(item, "name") == "statusReason" and line(item, "value", TEXT_LIMIT)
    )
    return redacted("; ".join(sorted(reasons))[:TEXT_LIMIT])


def _containers(detail: Mapping[str, Any]) -> tuple[Container, ...]:
    """The containers by name, since the order in which ECS lists them changes between the events of one task."""
    of_task = _mebibytes(detail.get("memory"))
    containers = (
        Container(
            name=line(item, "name"),
            status=line(item, "lastStatus").upper(),
            exit_code=_exit_code(item.get("exitCode")),
            reason=redacted(text(item, "reason")),
            image=line(item, "image", TEXT_LIMIT),
            digest=line(item, "imageDigest"),
            memory=_mebibytes(item.get("memory")) or of_task,
            health=line(item, "healthStatus").upper(),
        )
        for item in mappings(detail, "containers")
    )
    return tuple(sorted(containers, key=lambda container: (container.name, repr(container))))


def _mebibytes(value: object) -> int | None:
    """MiB, which ECS writes as a string: "512"."""
    number = int(value) if isinstance(value, str) and re.fullmatch("[0-9]{1,9}", value) else value
    return number if isinstance(number, int) and not isinstance(number, bool) and 0 < number < MEMORY_LIMIT else None


def _exit_code(value: object) -> int | None:
    """An exit code, also from 137.0 or "137": template engines make strings of numbers, and a lost code hides a crash.

    True and 1.5 are not exit codes.
    """
    if isinstance(value, str) and re.fullmatch(r"\s*-?[0-9]{1,10}\s*", value):
        value = int(value)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) < EXIT_CODE_LIMIT:
        return value
    return None


class _Arn(NamedTuple):
    """`arn:PARTITION:SERVICE:REGION:ACCOUNT:KIND/PATH…`; all fields are empty if the text is not an ARN."""

    partition: str = ""
    region: str = ""
    account: str = ""
    kind: str = ""
    path: tuple[str, ...] = ()


_ARN = re.compile(r"arn:([^:]*):[^:]*:([^:]*):([^:]*):([^:/]+)[:/](.+)")


@lru_cache(maxsize=1024)  # an event contains each of its ARNs several times
def _arn(text: str) -> _Arn:
    match = _ARN.fullmatch(text) if text else None
    if not match:
        return _Arn()
    partition, region, account, kind, path = match.groups()
    return _Arn(partition, region, account, kind, tuple(part[:NAME_LIMIT] for part in path.split("/") if part))


def _arns(envelope: Mapping[str, Any], detail: Mapping[str, Any]) -> Iterator[_Arn]:
    """Every ARN that may identify the subject, the envelope's `resources` first."""
    resources = envelope.get("resources")
    listed = ({"arn": value} for value in (resources if isinstance(resources, list) else [resources]))
    texts = [
        *(line(item, "arn", TEXT_LIMIT) for item in listed),
        *(line(detail, key, TEXT_LIMIT) for key in _ARN_FIELDS),
    ]
    return (arn for arn in map(_arn, texts) if arn.path)


def _last(arn: _Arn) -> str:
    return arn.path[-1] if arn.path else ""


def _task_definition(detail: Mapping[str, Any]) -> str:
    """`web:42`, or ""."""
    arn = _arn(line(detail, "taskDefinitionArn", TEXT_LIMIT))
    return _last(arn) if arn.kind == "task-definition" else ""


def _task_id(detail: Mapping[str, Any], arns: Iterable[_Arn]) -> str:
    stated = _arn(line(detail, "taskArn", TEXT_LIMIT))
    return next((_last(arn) for arn in (stated, *arns) if arn.kind == "task"), "")


def _subject(envelope: Mapping[str, Any], detail: Mapping[str, Any], arns: tuple[_Arn, ...]) -> Subject:
    kind, name = _kind_and_name(envelope, detail, arns)
    return Subject(
        account=line(envelope, "account") or next((arn.account for arn in arns if arn.account), "-"),
        region=line(envelope, "region") or next((arn.region for arn in arns if arn.region), "-"),
        cluster=next(filter(None, map(_cluster, arns)), "-"),
        kind=kind,
        name=name,
    )


def _cluster(arn: _Arn) -> str:
    """Old ARNs (`task/ID`) have no cluster, new ones (`task/CLUSTER/ID`) do. Names of alarms may contain slashes."""
    if arn.kind == "cluster" or (len(arn.path) > 1 and arn.kind not in {"alarm", "deploymentgroup"}):
        name = arn.path[0]
        return name if name.strip("-") else f"{name}-"  # `-` alone means that it has none
    return ""


def _kind_and_name(
    envelope: Mapping[str, Any], detail: Mapping[str, Any], arns: tuple[_Arn, ...]
) -> tuple[SubjectKind, str]:
    if envelope["source"] == "aws.cloudwatch":
        alarms = ("/".join(arn.path) for arn in arns if arn.kind == "alarm")
        return SubjectKind.ALARM, line(detail, "alarmName") or next(alarms, "-")
    if envelope["source"] == "aws.codedeploy":
        # The event names neither service nor cluster. A group deploys one service; group names are unique only within
        # their application. Both may contain slashes; the application's are escaped, so that no two have one name.
        application = line(detail, "application").replace("%", "%25").replace("/", "%2F")
        names = (application, line(detail, "deploymentGroup"))
        return SubjectKind.DEPLOYMENT_GROUP, "/".join(filter(None, names)) or "-"
    if line(envelope, "detail-type").lower() in TASK_EVENTS:
        return _task_owner(detail)
    if envelope["source"] == OWN_SOURCE and envelope["detail-type"] == CHANNEL_HEALTH:
        return SubjectKind.CHANNEL, line(detail, "channel") or "-"
    if envelope["source"] == OWN_SOURCE and envelope["detail-type"] == RUN_OVERDUE:
        return SubjectKind.FAMILY, line(detail, "family") or "-"
    instance = _named_in(SubjectKind.INSTANCE, arns)
    candidates = (
        # Events say `serviceName` for a service that is created and `service` for one that is updated.
        (
            SubjectKind.SERVICE,
            _named_in(SubjectKind.SERVICE, arns) or line(detail, "serviceName") or line(detail, "service"),
        ),
        (SubjectKind.DAEMON, _named_in(SubjectKind.DAEMON, arns)),
        # EC2's id if the event has it: people look for that one in the console.
        (SubjectKind.INSTANCE, instance and (line(detail, "ec2InstanceId") or instance)),
        (SubjectKind.FAMILY, _family(detail)),
    )
    named = next(((kind, name) for kind, name in candidates if name), None)
    return named or _from_other_arn(arns)


def _from_other_arn(arns: Iterable[_Arn]) -> tuple[SubjectKind, str]:
    """What an event of a type not known yet is about, if an ARN says so; never a task's id."""
    texts = (f"{arn.kind}:{arn.path[-1]}" for arn in arns if arn.kind not in {"task", "container"})
    text = next(texts, "-")
    subject = Subject.from_text("", "", "", text)
    if subject.kind in _NOT_IN_ARNS:  # else it could be taken for the health of a channel, or for an alarm
        return SubjectKind.OTHER, f"ecs-{text}"
    return subject.kind, subject.name


def _named_in(kind: SubjectKind, arns: Iterable[_Arn]) -> str:
    for arn in arns:
        subject_kind, place = _SUBJECT_IN_ARN.get(arn.kind, (SubjectKind.OTHER, 0))
        if subject_kind is kind and place < len(arn.path):
            return arn.path[place]
    return ""


def _task_owner(detail: Mapping[str, Any]) -> tuple[SubjectKind, str]:
    """A task's service, else its family.

    `startedBy` shows that a task belongs to a service, but its `ecs-svc/…` id changes with each deployment, which would
    then open an incident of its own. The family stays the same, so it is used in place of the service's name.
    """
    kind, _, owner = line(detail, "group", TEXT_LIMIT).partition(":")
    family = _family(detail)
    if kind == "service" or line(detail, "startedBy").lower().startswith(_DEPLOYMENT):
        service = owner[:NAME_LIMIT] if kind == "service" else line(detail, "serviceName")
        return SubjectKind.SERVICE, service or family or "-"
    return SubjectKind.FAMILY, family or (owner[:NAME_LIMIT] if kind == "family" else "") or "-"


def _family(detail: Mapping[str, Any]) -> str:
    return _task_definition(detail).partition(":")[0]


def _at(envelope: Mapping[str, Any], detail: Mapping[str, Any], now: float, *, own: bool) -> float:
    """Event time. Times far ahead of the clock are ignored: such a recovery would hide every failure until then.

    No time that a task reports itself counts beyond that of its envelope.
    """
    sent_at = moment(text(envelope, "time"))
    stated = (text(detail, key) for key in ("stoppedAt", "updatedAt", "createdAt"))
    # A change of an alarm's configuration repeats the alarm's state, whose time is that of an earlier event.
    of_state = "" if "operation" in detail else text(mapping(detail, "state"), "timestamp")
    moments = (*map(moment, (*stated, of_state)), sent_at)
    at = next((happened for happened in moments if happened is not None and happened <= now + CLOCK_SKEW), now)
    return min(at, now, sent_at or now) if own else at


def _no_later_than(at: float, time: float | None) -> float | None:
    """A time that the event states, at most `at`, because it cannot be later than the event."""
    return None if time is None else min(time, at)


def _first_time(*texts: str) -> float | None:
    return next((happened for happened in map(moment, texts) if happened is not None), None)


def _occurrence(event_id: str, detail_type: str, detail: Mapping[str, Any], subject: Subject) -> str:
    """The occurrence's id, the same for every copy of a detail: ECS may send one twice, with different envelope ids.

    A detail without a time cannot be told from the next one like it, so the envelope's id is used.
    """
    if detail_type.lower() == ALARM_CONFIGURATION:
        return event_id  # its times are those of the alarm's state, which a later change of the alarm repeats
    changes = (line(check, "lastStatusChange") for check in mappings(detail, "healthChecks"))
    times = (
        line(detail, "createdAt"),
        line(detail, "updatedAt"),
        line(mapping(detail, "state"), "timestamp"),
        max(changes, default=""),
    )
    if not any(times):
        return event_id
    part = line(detail, "hookId") or line(mapping(detail, "alarmContributor"), "id")
    what = (line(detail, "eventName") or detail_type, line(detail, "deploymentId"), part)
    how = (_state(detail), line(detail, "status"), _reason(detail))
    return short_hash(subject.fingerprint, *what, *how, *times, *_suppressed(detail))


def _suppressed(detail: Mapping[str, Any]) -> tuple[str, ...]:
    """What suppresses an alarm. Once it is no longer suppressed, the alarm is another occurrence."""
    by = (line(mapping(detail, "state"), "actionsSuppressedBy"), line(mapping(detail, "muteDetail"), "mutedByArn"))
    return tuple(filter(None, by))
