"""What an event means: one table of named rules. The first match wins, and every event matches one.

The texts and codes come from "Stopped task error messages" in the Amazon ECS Developer Guide and from the ECS agent's
error names. An event that no rule knows is still reported: as `task_stopped`, or by its `eventType`.
"""

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from functools import partial
from typing import Any, NamedTuple

from router.causes import cause_words
from router.ecs.api_calls import REFUSED, starts_tasks
from router.ecs.conditions import alarm_deleted, effects_of, rolls_back
from router.ecs.culprit import CRASH_SIGNALS, Ending, culprits
from router.ecs.exit_codes import SIGKILL, asked_to_stop
from router.ecs.health_events import STANDALONE, is_issue, is_retirement
from router.ecs.normalise import TASK_EVENTS
from router.ecs.reasons import STOP_CODES, error_name, wording
from router.ecs.stop_reason import parse
from router.model import (
    CHANNEL_HEALTH,
    RUN_OVERDUE,
    SERVICE_COUNT,
    Alert,
    Classification,
    Container,
    Event,
    Severity,
    SubjectKind,
    short_hash,
)
from router.text.subject_names import subject_in_cluster

CRITICAL, ERROR, WARNING, INFO = Severity.CRITICAL, Severity.ERROR, Severity.WARNING, Severity.INFO

# For these codes the containers' reasons explain the stop. Every other known code explains it alone, and the containers
# exited because of it: if a service scales in at night, a sidecar's OOM at noon does not matter.
_CONTAINERS_TELL = {"TaskFailedToStart", "EssentialContainerExited"}
_CODE_SAYS_ALL = frozenset(STOP_CODES.values()) - _CONTAINERS_TELL

# Error names by their cause. The agent has several for each and gains more, so they are matched by prefix.
_ERRORS = {
    "out_of_memory": re.compile(r"outofmemoryerror"),
    "image_pull_failed": re.compile(r"cannotpull"),
    "resource_initialization_failed": re.compile(r"resourceinitializationerror"),
    "container_start_failed": re.compile(r"cannotstart|cannotcreate|dockertimeouterror|containerruntime\w*error"),
}
# This text counts anywhere in a reason: runc writes it in the middle of a CannotStartContainerError.
_OOM_KILLED = re.compile(r"\boom[- ]?killed\b")
_SPOT = re.compile(r"spot task was interrupted")
_HEALTH_CHECK = re.compile(r"failed .*health check|health check.* failed|unhealthy")
_MAINTENANCE = re.compile(r"maintenance|drain")
_DEREGISTERED = re.compile(r"instance.* deregist|deregist.* instance")
_SCHEDULED = re.compile(r"scaling activity|deployment|rebalancing")
# Statuses of a container instance that say more than that its agent is not connected.
_NOT_IN_USE = ("REGISTERING", "REGISTRATION_FAILED", "DEREGISTERING", "INACTIVE")
# Stopped reasons that say no more than the cause does; after a colon they continue with what happened.
_SAYS_LITTLE = re.compile(r"(essential container in task exited|task ?failed ?to ?start)?\W*")


class Case(NamedTuple):
    """An event, with the properties that the rules test.

    Attributes:
        essential: container name to the task definition's `essential` flag; empty if unknown.
        ended: names of containers that are known to have ended before, and so explain nothing.
    """

    event: Event
    essential: Mapping[str, bool]
    ended: Collection[str] = frozenset()

    @property
    def containers(self) -> tuple[Container, ...]:
        """The containers that had not ended before."""
        return remaining(self.event, self.ended)

    @property
    def about_task(self) -> bool:
        return self.event.detail_type.lower() in TASK_EVENTS and bool(self.event.status)

    @property
    def reporting_containers(self) -> tuple[Container, ...]:
        """The containers whose reasons explain the event."""
        event = self.event
        if event.status == "STOPPED":
            return () if event.stop_code in _CODE_SAYS_ALL else self.containers
        return tuple(filter(_has_stopped, self.containers)) if event.status == "RUNNING" else ()

    @property
    def reasons(self) -> tuple[str, ...]:
        """The reasons that name an error: the containers', else the stopped task's."""
        own = (self.event.reason,) if self.event.status == "STOPPED" else ()
        older = self.ended_before_a_crash
        of_containers = tuple(
            container.reason for container in self.reporting_containers if container.name not in older
        )
        for reasons in (of_containers, own):
            named = tuple(filter(error_of, reasons))
            if named:
                return named
        return ()

    @property
    def ended_before_a_crash(self) -> frozenset[str]:
        """The containers whose OutOfMemoryError does not explain the task's end, since another one crashed.

        An event does not say when a container ended. A task outlives a container that is not essential, and
        that container's reason is still in the event of the task's end, hours later.
        """
        if self.event.stop_code != "EssentialContainerExited":
            return frozenset()
        older = [container for container in self.containers if _names("out_of_memory", container.reason)]
        crashed = any(container.exit_code in CRASH_SIGNALS for container in self.containers if container not in older)
        return frozenset(container.name for container in older) if crashed else frozenset()

    @property
    def exit_codes(self) -> frozenset[int]:
        """The exit codes that decide: all of them, or those of essential containers if some are 0 and some are not.

        Containers without an exit code are ignored. If flags are known, a container without a flag is not in the task
        definition: AWS injected it, so it is not essential.
        """
        codes = frozenset(_codes(self.containers, {}))
        return frozenset(_codes(self.containers, self.essential)) if _mixed(codes) else codes


def error_of(reason: str) -> str:
    """The error name in a reason, in lower case, or ""."""
    return "outofmemoryerror" if _OOM_KILLED.search(wording(reason)) else error_name(reason)


def _names(cause: str, reason: str) -> bool:
    """Whether the reason names an error of this cause."""
    return cause in _ERRORS and bool(_ERRORS[cause].match(error_of(reason)))


def _mixed(codes: frozenset[int]) -> bool:
    return 0 in codes and len(codes) > 1


def _has_stopped(container: Container) -> bool:
    return container.status == "STOPPED" or (not container.status and container.exit_code is not None)


def _codes(containers: tuple[Container, ...], essential: Mapping[str, bool]) -> Iterator[int]:
    return (c.exit_code for c in containers if c.exit_code is not None and essential.get(c.name, not essential))


# --- predicates -------------------------------------------------------------------------------------------------------

Predicate = Callable[[Case], bool]


def stopped(case: Case) -> bool:
    return case.about_task and case.event.status == "STOPPED"


def still_running(case: Case) -> bool:
    """A task counts as running unless its desired status is STOPPED: missing data must not hide an exited container."""
    return case.about_task and case.event.status == "RUNNING" and case.event.desired_status != "STOPPED"


def stopped_or_running(case: Case) -> bool:
    """The two states that explain something; all other states are transitions between them."""
    return case.about_task and case.event.status in {"STOPPED", "RUNNING"}


def any_state(case: Case) -> bool:
    return case.about_task


def spot(case: Case) -> bool:
    code = case.event.stop_code
    return code == "SpotInterruption" or (code == "TerminationNotice" and says(_SPOT)(case))


def failed_or_exited(case: Case) -> bool:
    return case.event.stop_code in _CONTAINERS_TELL


def exited_badly(case: Case) -> bool:
    """Some exit code is neither 0 nor, if another is 0, that of a container asked to stop; or no exit code is known.

    When one container ends well, ECS asks the others to stop.
    """
    codes = case.exit_codes
    failing = codes - {0}
    return not codes or any(0 not in codes or not asked_to_stop(code) for code in failing)


def killed_beside_success(case: Case) -> bool:
    """One container ended well, and ECS killed another that ignored SIGTERM and may or may not have mattered."""
    failing = {code for code in case.exit_codes if not asked_to_stop(code)}
    return not case.essential and failing == {0, SIGKILL}


def in_service(case: Case) -> bool:
    return case.event.subject.kind is SubjectKind.SERVICE


def standalone(case: Case) -> bool:
    return not in_service(case)


def container_names_error(case: Case) -> bool:
    return any(error_of(container.reason) for container in case.reporting_containers)


def container_failed(case: Case) -> bool:
    return any(map(_has_failed, case.reporting_containers))


def _has_failed(container: Container) -> bool:
    return bool(container.exit_code or error_of(container.reason))


def self_reported(case: Case) -> bool:
    return case.event.self_reported


def code(stop_code: str) -> Predicate:
    return lambda case: case.event.stop_code == stop_code


def error(cause: str) -> Predicate:
    """A reason names an error of this cause."""
    return lambda case: any(_names(cause, reason) for reason in case.reasons)


def says(pattern: re.Pattern[str]) -> Predicate:
    return lambda case: bool(pattern.search(wording(case.event.reason)))


def named(*names: str) -> Predicate:
    return lambda case: case.event.name in names


def typed(*types: str) -> Predicate:
    return lambda case: case.event.type in types


def of_type(detail_type: str) -> Predicate:
    return lambda case: case.event.detail_type.lower() == detail_type


def in_state(*states: str) -> Predicate:
    return lambda case: case.event.state in states


def has_status(case: Case) -> bool:
    return bool(case.event.status)


def of_status(*statuses: str) -> Predicate:
    return lambda case: case.event.status in statuses


def standalone_affected(case: Case) -> bool:
    return case.event.details.get("affects") == STANDALONE


# --- causes made from the event ---------------------------------------------------------------------------------------


def by_status(prefix: str, event: Event) -> str:
    return f"{prefix}_{_slug(event.status)}"


def by_name(event: Event) -> str:
    return _slug(event.name or event.detail_type)


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "_", text.lower()).strip("_") or "unknown"


# --- the table --------------------------------------------------------------------------------------------------------


class Rule(NamedTuple):
    """One row: if all predicates of `when` hold, this is the event's classification.

    Attributes:
        cause: a slug, or a function that makes one from the event.
    """

    name: str
    when: tuple[Predicate, ...]
    severity: Severity
    cause: str | Callable[[Event], str]
    resolves: bool = False


_alarm = of_type("cloudwatch alarm state change")
_contributor = of_type("cloudwatch alarm contributor state change")
_codedeploy = of_type("codedeploy deployment state-change notification")
_health = of_type("ecs container instance health change")
_instance = of_type("ecs container instance state change")
_channel = of_type(CHANNEL_HEALTH.lower())
_count = of_type(SERVICE_COUNT.lower())
_overdue = of_type(RUN_OVERDUE.lower())
_call = lambda case: starts_tasks(case.event)  # noqa: E731
_retirement = lambda case: is_retirement(case.event)  # noqa: E731
_issue = lambda case: is_issue(case.event)  # noqa: E731
_exited = code("EssentialContainerExited")
_scheduled = code("ServiceSchedulerInitiated")

RULES: tuple[Rule, ...] = (
    # A task's own report is a claim, which means at most that a container exited.
    Rule("reported by the task", (self_reported, still_running, container_failed), WARNING, "container_exited"),
    Rule("reported by the task, no failure", (self_reported,), INFO, "task_running"),
    # Tasks. Only STOPPED and RUNNING explain something.
    Rule("stopped by user", (stopped, code("UserInitiated")), INFO, "stopped_by_user"),
    Rule("spot interruption", (stopped_or_running, spot), WARNING, "spot_interruption"),
    Rule("out of memory", (stopped, error("out_of_memory")), CRITICAL, "out_of_memory"),
    Rule("container out of memory", (still_running, error("out_of_memory")), CRITICAL, "out_of_memory"),
    Rule("image pull", (stopped, failed_or_exited, error("image_pull_failed")), CRITICAL, "image_pull_failed"),
    Rule(
        "resource initialization",
        (stopped, failed_or_exited, error("resource_initialization_failed")),
        CRITICAL,
        "resource_initialization_failed",
    ),
    Rule(
        "container start",
        (stopped, failed_or_exited, error("container_start_failed")),
        CRITICAL,
        "container_start_failed",
    ),
    Rule("failed to start", (stopped, code("TaskFailedToStart")), CRITICAL, "task_failed_to_start"),
    Rule(
        "killed beside a success",
        (stopped, _exited, standalone, killed_beside_success),
        WARNING,
        "essential_container_exited",
    ),
    Rule("exited badly", (stopped, _exited, exited_badly), CRITICAL, "essential_container_exited"),
    Rule("exited well, of a service", (stopped, _exited, in_service), WARNING, "essential_container_exited"),
    Rule(
        "exited well, with an error", (stopped, _exited, container_names_error), WARNING, "essential_container_exited"
    ),
    Rule("run completed", (stopped, _exited), INFO, "task_completed", resolves=True),
    Rule("health check", (stopped, _scheduled, says(_HEALTH_CHECK)), ERROR, "health_check_failed"),
    Rule(
        "maintenance of a service",
        (stopped, _scheduled, says(_MAINTENANCE), in_service),
        INFO,
        "infrastructure_maintenance",
    ),
    Rule("maintenance", (stopped, _scheduled, says(_MAINTENANCE)), WARNING, "infrastructure_maintenance"),
    Rule("instance deregistered", (stopped, _scheduled, says(_DEREGISTERED)), WARNING, "host_terminated"),
    Rule("scaled, deployed, rebalanced", (stopped, _scheduled, says(_SCHEDULED)), INFO, "stopped_by_scheduler"),
    Rule("host terminated", (stopped, code("TerminationNotice")), WARNING, "host_terminated"),
    Rule("infrastructure health", (stopped, code("InfrastructureHealth")), WARNING, "infrastructure_maintenance"),
    Rule("stopped for another reason", (stopped,), WARNING, "task_stopped"),
    Rule("container exited", (still_running, container_failed), WARNING, "container_exited"),
    Rule("task state", (any_state,), INFO, partial(by_status, "task")),
    # Services, deployments and hooks, by eventName for any detail-type.
    Rule("deployment failed", (named("SERVICE_DEPLOYMENT_FAILED"),), CRITICAL, "deployment_failed"),
    Rule(
        "deployment rolling back",
        (lambda case: rolls_back(case.event),),
        WARNING,
        "deployment_rolling_back",
    ),
    Rule("deployment in progress", (named("SERVICE_DEPLOYMENT_IN_PROGRESS"),), INFO, "deployment_in_progress"),
    Rule("deployment completed", (named("SERVICE_DEPLOYMENT_COMPLETED"),), INFO, "deployment_completed", resolves=True),
    Rule("steady state", (named("SERVICE_STEADY_STATE", "TASKSET_STEADY_STATE"),), INFO, by_name, resolves=True),
    # It says that capacity is available, not that the service is healthy.
    Rule("capacity steady state", (named("CAPACITY_PROVIDER_STEADY_STATE"),), INFO, by_name),
    Rule("hook failed", (named("HOOK_FAILED", "HOOK_TIMED_OUT"),), ERROR, by_name),
    Rule("hook awaits action", (named("HOOK_AWAITING_ACTION"),), WARNING, by_name),
    Rule("hook succeeded", (named("HOOK_SUCCEEDED"),), INFO, by_name, resolves=True),
    # Blue/green deployments by CodeDeploy. Its events have no reason and do not say whether they are rollbacks.
    Rule("CodeDeploy failed", (_codedeploy, in_state("FAILURE")), CRITICAL, "deployment_failed"),
    Rule("CodeDeploy stopped", (_codedeploy, in_state("STOP")), WARNING, "deployment_stopped"),
    Rule("CodeDeploy completed", (_codedeploy, in_state("SUCCESS")), INFO, "deployment_completed", resolves=True),
    Rule("CodeDeploy in progress", (_codedeploy,), INFO, "deployment_in_progress"),
    # Container instances. It is normal that agents lose their connection several times an hour.
    Rule("instance impaired", (_health, in_state("IMPAIRED")), WARNING, "instance_impaired"),
    Rule("instance healthy", (_health, in_state("OK")), INFO, "instance_impaired", resolves=True),
    Rule(
        "registration failed",
        (_instance, of_status("REGISTRATION_FAILED")),
        WARNING,
        partial(by_status, "container_instance"),
    ),
    Rule("instance not in use", (_instance, of_status(*_NOT_IN_USE)), INFO, partial(by_status, "container_instance")),
    Rule("agent disconnected", (_instance, in_state("DISCONNECTED")), INFO, "agent_disconnected"),
    Rule("instance state", (_instance, has_status), INFO, partial(by_status, "container_instance")),
    # CloudWatch.
    Rule("alarm", (_alarm, in_state("ALARM")), ERROR, "cloudwatch_alarm"),
    Rule("alarm over", (_alarm, in_state("OK")), INFO, "cloudwatch_alarm", resolves=True),
    Rule("alarm without data", (_alarm,), INFO, "cloudwatch_alarm"),
    # No OK follows, even if the alarm's state was ALARM.
    Rule("alarm deleted", (lambda case: alarm_deleted(case.event),), INFO, "cloudwatch_alarm_deleted", resolves=True),
    # One of the time series of an alarm that watches several. The alarm's own event says whether it is in ALARM.
    Rule("alarm contributor", (_contributor,), INFO, "cloudwatch_alarm_contributor_state_change"),
    # What the router found when it polled.
    Rule("no tasks running", (_count, in_state("NONE_RUNNING")), CRITICAL, "too_few_tasks"),
    Rule("too few tasks", (_count, in_state("TOO_FEW")), ERROR, "too_few_tasks"),
    Rule("enough tasks again", (_count, in_state("ENOUGH", "GONE")), INFO, "too_few_tasks", resolves=True),
    Rule("run overdue", (_overdue,), ERROR, "task_overdue"),
    # What no ECS event says. Calls that ECS accepted, and those of the service scheduler, are any other event.
    Rule("call refused", (_call, in_state(REFUSED)), ERROR, "task_not_started"),
    # AWS Health. Nothing replaces a standalone task.
    Rule("retirement over", (_retirement, in_state("CLOSED")), INFO, "retirement_scheduled", resolves=True),
    Rule("retirement of standalone tasks", (_retirement, standalone_affected), ERROR, "retirement_scheduled"),
    Rule("retirement", (_retirement,), WARNING, "retirement_scheduled"),
    Rule("AWS issue over", (_issue, in_state("CLOSED")), INFO, "aws_issue", resolves=True),
    Rule("AWS issue", (_issue,), WARNING, "aws_issue"),
    # The router's own channels.
    Rule("channel failing", (_channel, in_state("FAILING")), ERROR, "channel_failing"),
    Rule("channel works again", (_channel, in_state("WORKING")), INFO, "channel_failing", resolves=True),
    # Everything else, unknown detail-types included, by eventType. Services use WARN, daemons WARNING.
    Rule("event type error", (typed("ERROR"),), ERROR, by_name),
    Rule("event type warning", (typed("WARN", "WARNING"),), WARNING, by_name),
    Rule("any other event", (), INFO, by_name),
)


def classify(
    event: Event, essential: Mapping[str, bool] | None = None, ended: Collection[str] = frozenset()
) -> Classification:
    """The event's classification by the table.

    Args:
        essential: container name to the task definition's `essential` flag; None if unknown.
        ended: names of containers that are known to have ended before; they are left out.
    """
    case = Case(event, essential or {}, ended)
    rule = next(rule for rule in RULES if all(predicate(case) for predicate in rule.when))
    cause = rule.cause if isinstance(rule.cause, str) else rule.cause(event)
    return Classification(rule.severity, cause, rule.resolves, rule.name)


def remaining(event: Event, ended: Collection[str]) -> tuple[Container, ...]:
    """The containers of the event that are not among those known to have ended before."""
    return tuple(container for container in event.containers if container.name not in ended)


def depends_on_essential(event: Event, ended: Collection[str] = frozenset()) -> bool:
    """Whether `essential` flags could change the classification. Few events need them, so a lookup is affordable."""
    case = Case(event, {}, ended)
    return stopped(case) and _exited(case) and _mixed(case.exit_codes)


def from_plugin_answer(answer: Mapping[str, Any], plugin: str) -> Classification | None:
    """The classification in a plugin's answer to `classify_event`, or None if it does not have this form.

    The form is `{"severity": "error", "cause": "slug"}`, with `"resolves": True` for a resolving event.
    """
    severity, cause = answer.get("severity"), answer.get("cause")
    if severity not in tuple(Severity) or not isinstance(cause, str) or not cause:
        return None
    return Classification(Severity(severity), _slug(cause), bool(answer.get("resolves")), plugin)


def limited(
    classification: Classification, event: Event, table: Classification, most: Severity = CRITICAL
) -> Classification:
    """The classification as far as the event may be believed: a task's own report resolves nothing.

    Args:
        table: what the table says of the event.
        most: the worst severity that a task's own report may have.
    """
    if not event.self_reported:
        return classification
    severity = most if classification.severity.worse_than(most) else classification.severity
    return classification._replace(severity=severity, cause=table.cause, resolves=False)


def alert(
    event: Event,
    classification: Classification,
    ended: Collection[str] = frozenset(),
    *,
    essential: Mapping[str, bool] | None = None,
    table: Classification | None = None,
) -> Alert:
    """The alert for an event with this classification.

    Args:
        ended: names of containers that are known to have ended before, and so are not to blame.
        essential: as in `classify`.
        table: what the table says, if the classification comes from a plugin or a user rule. These do not decide which
            container is to blame.
    """
    is_task = event.detail_type.lower() in TASK_EVENTS
    case = Case(event, essential or {}, ended)
    cause = (table or classification).cause
    blamed = culprits(_ending(case, cause))
    exited = _exited_in_running_task(case)
    reason = _best_reason(case, cause, blamed)
    return Alert(
        id=f"{event.occurrence}.{_what_ended(case, exited) or classification.cause}.{event.subject.key[:6]}",
        event_id=event.id,
        at=event.at,
        severity=classification.severity,
        cause=classification.cause,
        resolves=classification.resolves,
        rule=classification.rule,
        title=_title(classification, event),
        subject=event.subject,
        task=event.task,
        stopped=is_task and event.status == "STOPPED",
        started_at=event.started_at,
        created_at=event.created_at,
        containers=event.containers,
        culprits=tuple(dict.fromkeys(container.name for container in blamed)),
        ended=tuple(sorted({container.name for container in event.containers} & set(ended))),
        stop_code=event.stop_code,
        reason=reason,
        task_definition=event.task_definition,
        deployment=event.deployment,
        details=event.details,
        alarm=event.alarm,
        partition=event.partition,
        exited=exited,
        self_reported=event.self_reported,
        effects=effects_of(event, exited, completed=cause == "task_completed" or classification.resolves),
        detail_type=event.detail_type,
        event_name=event.name,
        event_reason="" if event.reason == reason else event.reason,
    )


def _ending(case: Case, cause: str) -> Ending:
    """The event as the choice of the culprit sees it. `cause` is the table's."""
    reasons = frozenset(reason for reason in case.reasons if _names(cause, reason) or _decides_alone(case, cause))
    return Ending(
        containers=case.containers,
        over=case.event.status == "STOPPED",
        reason=case.event.reason,
        decides=reasons.__contains__,
        health_check=cause == "health_check_failed",
        ended=case.ended_before_a_crash,
        essential=case.essential,
    )


def _decides_alone(case: Case, cause: str) -> bool:
    """Whether an error without a cause of its own decided, because no exit code did."""
    if cause not in {"essential_container_exited", "container_exited", "task_stopped"}:
        return False
    return not any(code and not asked_to_stop(code) for code in case.exit_codes)


def _exited_in_running_task(case: Case) -> tuple[str, ...]:
    if not still_running(case) or (spot(case) and not case.event.self_reported):
        return ()
    return tuple(sorted({container.name for container in case.reporting_containers if _has_failed(container)}))


def _what_ended(case: Case, exited: tuple[str, ...]) -> str:
    """What ended, for the identity of the alert; "" if the event is not about an ending.

    A task ends once: the Spot notice and the stop that it announces are the same ending, whatever their causes are.
    A task's own report has an identity of its own, so it never replaces what AWS reports.
    """
    if case.event.self_reported:
        return f"reported-{short_hash(*exited)}"
    if stopped(case) or (stopped_or_running(case) and spot(case)):
        return "task-ended"
    return f"exited-{short_hash(*exited)}" if exited else ""


def _title(classification: Classification, event: Event) -> str:
    words = cause_words(classification.cause, "en", over=classification.resolves)
    return f"{words}: {subject_in_cluster(event.subject, 'en', event.task)}"


def _best_reason(case: Case, cause: str, blamed: Collection[Container]) -> str:
    """The reason that explains most: of the cause's error, of a culprit or what waited for it, of the task.

    What ECS says about the task's attachments comes before the task's own reason in two cases: if a volume kept the
    task from starting, as in "Timeout waiting for EBS volume attachment", or if that reason only repeats the cause.
    """
    event = case.event
    decisive = [reason for reason in case.reasons if _names(cause, reason)]
    names = {container.name for container in blamed}
    own = [container.reason for container in blamed]
    waiting = [container.reason for container in case.containers if names & set(parse(container.reason).blamed)]
    every = [container.reason for container in case.containers]
    of_attachments = event.details.get("statusReason", "")
    says_little = (cause == "task_failed_to_start" and of_attachments) or _SAYS_LITTLE.fullmatch(event.reason.lower())
    explain = bool(case.reporting_containers)
    candidates = (
        *(reason for reason in own if reason in decisive),
        *decisive,
        *(own + waiting if explain else []),
        *([] if says_little else [event.reason]),
        of_attachments,
        *(every if explain and not blamed else []),
        event.reason,
        *every,
    )
    return next(filter(None, candidates), "")
