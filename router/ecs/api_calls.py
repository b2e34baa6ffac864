"""Calls of RunTask and StartTask that CloudTrail has recorded: what was to be started, by whom, and what ECS refused.

A refused call starts no task, so ECS sends no event about it. Only CloudTrail reports it, and only if a trail exists.
If tasks cannot be placed, the call itself succeeds: the answer is 200, with fewer tasks than requested and the reasons
in `failures`. If access is denied, `requestParameters` is null, so that neither cluster nor task definition is known;
then the caller is the subject.

Sources: "Amazon ECS API failure reasons" in the Amazon ECS Developer Guide; RunTask and StartTask in the Amazon ECS API
Reference; "CloudTrail record contents" and "CloudTrail userIdentity element" in the AWS CloudTrail User Guide.
"""

from collections.abc import Mapping
from typing import Any

from router.ecs.fields import NAME_LIMIT, TEXT_LIMIT, line, mapping, mappings, moment, text
from router.model import Event, SubjectKind, short_hash
from router.text.redaction import redacted

API_CALL = "aws api call via cloudtrail"
"""The detail-type, in lower case."""
REFUSED = "REFUSED"
"""`Event.state` of a call that started fewer tasks than requested."""

_STARTS_TASKS = frozenset({"RUNTASK", "STARTTASK"})
_MOST = 10  # tasks of one call
_SCHEDULER = "ecs.amazonaws.com"
_SCHEDULER_ROLE = "AWSServiceRoleForECS"
_SCHEDULERS_GROUPS = ("service:", "ecs-svc/")


def starts_tasks(event: Event) -> bool:
    """Whether the event is a recorded call of RunTask or StartTask."""
    return event.source == "aws.ecs" and event.detail_type.lower() == API_CALL and event.name in _STARTS_TASKS


def with_call(event: Event) -> Event:
    """The event of such a call, with its subject, and whether and why ECS refused it."""
    detail = event.detail
    call, answer = mapping(detail, "requestParameters"), mapping(detail, "responseElements")
    family, revision = _task_definition(line(call, "taskDefinition", TEXT_LIMIT))
    kind, name = (SubjectKind.FAMILY, family) if family else (SubjectKind.CALLER, _caller(detail) or "-")
    cluster = line(call, "cluster", TEXT_LIMIT).rpartition("/")[2][:NAME_LIMIT] or ("default" if family else "-")
    requested, started = _requested(call), len(list(mappings(answer, "tasks")))
    reasons = _reasons(detail, answer)
    incomplete = isinstance(answer.get("tasks"), list) and started < requested  # CloudTrail omits a long answer
    refused = (bool(reasons) or incomplete) and not _by_scheduler(detail, call)
    details = {
        "caller": _caller(detail),
        "startedBy": line(call, "startedBy"),
        "launchType": line(call, "launchType"),
        "requested": str(requested) if refused and family else "",
        "started": str(started) if refused and family else "",
        "refusal": next(iter(reasons), "").partition(":")[0] if line(detail, "errorCode") else next(iter(reasons), ""),
    }
    return event._replace(
        at=min(moment(line(detail, "eventTime")) or event.at, event.at),
        subject=event.subject._replace(cluster=cluster, kind=kind, name=name),
        occurrence=short_hash(line(detail, "eventID")) if line(detail, "eventID") else event.occurrence,
        reason=redacted("; ".join(reasons)[:TEXT_LIMIT]),
        task_definition=f"{family}:{revision}" if revision else "",
        state=REFUSED if refused else "",
        details={key: value for key, value in details.items() if value},
    )


def _task_definition(stated: str) -> tuple[str, str]:
    """Family and revision of `family`, `family:7` or an ARN; the newest revision has no number in the call."""
    family, _, revision = stated.rpartition("/")[2].partition(":")
    return family[:NAME_LIMIT], revision[:NAME_LIMIT]


def _requested(call: Mapping[str, Any]) -> int:
    """StartTask starts one task on each of the instances that it names."""
    instances, count = call.get("containerInstances"), call.get("count")
    if isinstance(instances, list) and instances:
        return min(len(instances), _MOST)
    return min(count, _MOST) if isinstance(count, int) and not isinstance(count, bool) and count > 0 else 1


def _reasons(detail: Mapping[str, Any], answer: Mapping[str, Any]) -> list[str]:
    """The reasons of the failures, each once, or the error. Failures have no error code, and errors no failures."""
    if code := line(detail, "errorCode"):
        message = text(detail, "errorMessage")
        return [f"{code}: {message}" if message else code]
    failures = (
        (line(failure, "reason", TEXT_LIMIT), line(failure, "detail", TEXT_LIMIT))
        for failure in mappings(answer, "failures")
    )
    return list(dict.fromkeys(f"{reason} ({more})" if more else reason for reason, more in failures if reason))


def _by_scheduler(detail: Mapping[str, Any], call: Mapping[str, Any]) -> bool:
    """Whether the service scheduler called: it tries again itself, and reports what it cannot place."""
    identity = mapping(detail, "userIdentity")
    return (
        line(identity, "invokedBy") == _SCHEDULER
        or _caller(detail) == _SCHEDULER_ROLE
        or line(call, "group").startswith(_SCHEDULERS_GROUPS)
        or line(call, "startedBy").startswith(_SCHEDULERS_GROUPS)
    )


def _caller(detail: Mapping[str, Any]) -> str:
    """The role or user that called; the name of a role's session changes with each call, and is left out."""
    identity = mapping(detail, "userIdentity")
    issuer = mapping(mapping(identity, "sessionContext"), "sessionIssuer")
    path = line(identity, "arn", TEXT_LIMIT).rpartition(":")[2].split("/")
    in_arn = path[1] if path[0] == "assumed-role" and len(path) > 1 else path[-1]
    return line(issuer, "userName") or line(identity, "userName") or in_arn[:NAME_LIMIT] or line(identity, "invokedBy")
