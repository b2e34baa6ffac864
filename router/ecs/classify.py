"""What an event means: ONE table of named rules, first match wins, nothing is left out.

The texts and codes are those of "Stopped task error messages" in the Amazon ECS Developer Guide and of the ECS agent's
error names. No rule is an allow-list: what no rule understands is still reported, as `task_stopped` or by `eventType`.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any, NamedTuple

from router.causes import cause_words
from router.ecs.normalise import TASK_EVENTS
from router.ecs.reasons import STOP_CODES, error_name, wording
from router.model import CHANNEL_HEALTH, Alert, Classification, Container, Event, Severity, Subject, SubjectKind

CRITICAL, ERROR, WARNING, INFO = Severity.CRITICAL, Severity.ERROR, Severity.WARNING, Severity.INFO
SIGTERM_EXIT = 143

# Every other known code says by itself why the task stopped, and its containers died of that; what they say then is no
# news: a sidecar's OOM at noon does not matter when the service scales in at night.
_CONTAINERS_TELL = {"TaskFailedToStart", "EssentialContainerExited"}
_CODE_SAYS_ALL = frozenset(STOP_CODES.values()) - _CONTAINERS_TELL

# Error names by what they mean. The agent has several per family and gains more, so they are matched by prefix.
_ERRORS = {
    "out_of_memory": re.compile(r"outofmemoryerror"),
    "image_pull_failed": re.compile(r"cannotpull"),
    "resource_initialization_failed": re.compile(r"resourceinitializationerror"),
    "container_start_failed": re.compile(r"cannotstart|cannotcreate|dockertimeouterror|containerruntime\w*error"),
}
# The one text that counts wherever it stands: runc says it in the middle of a CannotStartContainerError.
_OOM_KILLED = re.compile(r"\boom[- ]?killed\b")
_ROLLING_BACK = re.compile(r"\broll(ing|ed|s)?[- ]?back")
_SPOT = re.compile(r"spot task was interrupted")
_HEALTH_CHECK = re.compile(r"failed .*health check|health check.* failed|unhealthy")
_MAINTENANCE = re.compile(r"maintenance|drain")
_DEREGISTERED = re.compile(r"instance.* deregist|deregist.* instance")
_SCHEDULED = re.compile(r"scaling activity|deployment|rebalancing")


class Case(NamedTuple):
    """An event, with what the rules ask of it.

    Attributes:
        essential: container name to the task definition's flag; empty where that is not known.
    """

    event: Event
    essential: Mapping[str, bool]

    @property
    def about_task(self) -> bool:
        return self.event.detail_type.lower() in TASK_EVENTS and bool(self.event.status)

    @property
    def reporting_containers(self) -> tuple[Container, ...]:
        """The containers whose reasons count."""
        event = self.event
        if event.status == "STOPPED":
            return () if event.stop_code in _CODE_SAYS_ALL else event.containers
        return tuple(filter(_has_stopped, event.containers)) if event.status == "RUNNING" else ()

    @property
    def reasons(self) -> tuple[str, ...]:
        """The reasons that name an error: the containers', else the stopped task's own."""
        own = (self.event.reason,) if self.event.status == "STOPPED" else ()
        for reasons in (tuple(container.reason for container in self.reporting_containers), own):
            named = tuple(filter(error_of, reasons))
            if named:
                return named
        return ()

    @property
    def exit_codes(self) -> frozenset[int]:
        """The codes that decide. A container without one is ignored; where they are mixed, the essential ones count.

        Beside flags that are known, a container without one is none of the task definition's: AWS injected it.
        """
        codes = frozenset(_codes(self.event.containers, {}))
        return frozenset(_codes(self.event.containers, self.essential)) if _mixed(codes) else codes


def error_of(reason: str) -> str:
    """The error that a reason names, in lower case, or ""."""
    return "outofmemoryerror" if _OOM_KILLED.search(wording(reason)) else error_name(reason)


def _mixed(codes: frozenset[int]) -> bool:
    return 0 in codes and len(codes) > 1


def _has_stopped(container: Container) -> bool:
    return container.status == "STOPPED" or (not container.status and container.exit_code is not None)


def _codes(containers: tuple[Container, ...], essential: Mapping[str, bool]) -> Iterator[int]:
    return (c.exit_code for c in containers if c.exit_code is not None and essential.get(c.name, not essential))


# --- what rules ask ---------------------------------------------------------------------------------------------------

Predicate = Callable[[Case], bool]


def stopped(case: Case) -> bool:
    return case.about_task and case.event.status == "STOPPED"


def still_running(case: Case) -> bool:
    """Where nothing says that it shall stop, it runs on: what is not known must not hide a dead container."""
    return case.about_task and case.event.status == "RUNNING" and case.event.desired_status != "STOPPED"


def stopped_or_running(case: Case) -> bool:
    """The two states in which a task has something to say; the others only lie between them."""
    return case.about_task and case.event.status in {"STOPPED", "RUNNING"}


def any_state(case: Case) -> bool:
    return case.about_task


def spot(case: Case) -> bool:
    code = case.event.stop_code
    return code == "SpotInterruption" or (code == "TerminationNotice" and says(_SPOT)(case))


def failed_or_exited(case: Case) -> bool:
    return case.event.stop_code in _CONTAINERS_TELL


def exited_badly(case: Case) -> bool:
    """Some code is neither 0 nor the SIGTERM that the others get when the first has ended well; or none is known."""
    codes = case.exit_codes
    return not codes or bool(codes - ({0, SIGTERM_EXIT} if 0 in codes else {0}))


def in_service(case: Case) -> bool:
    return case.event.subject.kind is SubjectKind.SERVICE


def container_names_error(case: Case) -> bool:
    return any(error_of(container.reason) for container in case.reporting_containers)


def container_failed(case: Case) -> bool:
    return any(container.exit_code or error_of(container.reason) for container in case.reporting_containers)


def code(stop_code: str) -> Predicate:
    return lambda case: case.event.stop_code == stop_code


def error(cause: str) -> Predicate:
    """A telling reason names an error of the family that this cause stands for."""
    return lambda case: any(_ERRORS[cause].match(error_of(reason)) for reason in case.reasons)


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


# --- causes that the event names --------------------------------------------------------------------------------------


def by_status(prefix: str, event: Event) -> str:
    return f"{prefix}_{_slug(event.status)}"


def by_name(event: Event) -> str:
    return _slug(event.name or event.detail_type)


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "_", text.lower()).strip("_") or "unknown"


# --- the table --------------------------------------------------------------------------------------------------------


class Rule(NamedTuple):
    """One row: where all of `when` hold, the event is this.

    Attributes:
        cause: a slug, or what makes one of the event.
    """

    name: str
    when: tuple[Predicate, ...]
    severity: Severity
    cause: str | Callable[[Event], str]
    resolves: bool = False


_alarm = of_type("cloudwatch alarm state change")
_codedeploy = of_type("codedeploy deployment state-change notification")
_health = of_type("ecs container instance health change")
_instance = of_type("ecs container instance state change")
_channel = of_type(CHANNEL_HEALTH.lower())
_exited = code("EssentialContainerExited")
_scheduled = code("ServiceSchedulerInitiated")

RULES: tuple[Rule, ...] = (
    # A task. Only STOPPED and RUNNING say more than their name.
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
    # Services, deployments and hooks, by eventName whatever the detail-type.
    Rule("deployment failed", (named("SERVICE_DEPLOYMENT_FAILED"),), CRITICAL, "deployment_failed"),
    Rule(
        "deployment rolling back",
        (named("SERVICE_DEPLOYMENT_IN_PROGRESS"), says(_ROLLING_BACK)),
        WARNING,
        "deployment_rolling_back",
    ),
    Rule("deployment in progress", (named("SERVICE_DEPLOYMENT_IN_PROGRESS"),), INFO, "deployment_in_progress"),
    Rule("deployment completed", (named("SERVICE_DEPLOYMENT_COMPLETED"),), INFO, "deployment_completed", resolves=True),
    Rule("steady state", (named("SERVICE_STEADY_STATE", "TASKSET_STEADY_STATE"),), INFO, by_name, resolves=True),
    # It says that capacity is there, not that the service is well.
    Rule("capacity steady state", (named("CAPACITY_PROVIDER_STEADY_STATE"),), INFO, by_name),
    Rule("hook failed", (named("HOOK_FAILED", "HOOK_TIMED_OUT"),), ERROR, by_name),
    Rule("hook awaits action", (named("HOOK_AWAITING_ACTION"),), WARNING, by_name),
    # Blue/green deployments by CodeDeploy. Its events give no reason, and do not say that a deployment is a rollback.
    Rule("CodeDeploy failed", (_codedeploy, in_state("FAILURE")), CRITICAL, "deployment_failed"),
    Rule("CodeDeploy stopped", (_codedeploy, in_state("STOP")), WARNING, "deployment_stopped"),
    Rule("CodeDeploy completed", (_codedeploy, in_state("SUCCESS")), INFO, "deployment_completed", resolves=True),
    Rule("CodeDeploy in progress", (_codedeploy,), INFO, "deployment_in_progress"),
    # Container instances. Agents lose their connection several times an hour: that is normal.
    Rule("instance impaired", (_health, in_state("IMPAIRED")), WARNING, "instance_impaired"),
    Rule("instance healthy", (_health, in_state("OK")), INFO, "instance_impaired", resolves=True),
    Rule("agent disconnected", (_instance, in_state("DISCONNECTED")), INFO, "agent_disconnected"),
    Rule("instance state", (_instance, has_status), INFO, partial(by_status, "container_instance")),
    # CloudWatch.
    Rule("alarm", (_alarm, in_state("ALARM")), ERROR, "cloudwatch_alarm"),
    Rule("alarm over", (_alarm, in_state("OK")), INFO, "cloudwatch_alarm", resolves=True),
    Rule("alarm without data", (_alarm,), INFO, "cloudwatch_alarm"),
    # The router's own channels.
    Rule("channel failing", (_channel, in_state("FAILING")), ERROR, "channel_failing"),
    Rule("channel works again", (_channel, in_state("WORKING")), INFO, "channel_failing", resolves=True),
    # All else, unknown detail-types included, by eventType. Services say WARN, daemons WARNING.
    Rule("event type error", (typed("ERROR"),), ERROR, by_name),
    Rule("event type warning", (typed("WARN", "WARNING"),), WARNING, by_name),
    Rule("any other event", (), INFO, by_name),
)


def classify(event: Event, essential: Mapping[str, bool] | None = None) -> Classification:
    """What the table says of the event.

    Args:
        essential: container name to the task definition's `essential` flag; None where it cannot be had.
    """
    case = Case(event, essential or {})
    rule = next(rule for rule in RULES if all(question(case) for question in rule.when))
    cause = rule.cause if isinstance(rule.cause, str) else rule.cause(event)
    return Classification(rule.severity, cause, rule.resolves, rule.name)


def depends_on_essential(event: Event) -> bool:
    """Whether `essential` flags could change the verdict: few events, so that asking for them is affordable."""
    case = Case(event, {})
    return stopped(case) and _exited(case) and _mixed(case.exit_codes)


def from_plugin_answer(answer: Mapping[str, Any], plugin: str) -> Classification | None:
    """What a plugin's `classify_event` says: `{"severity": "error", "cause": "slug"}`, and `"resolves": True` if so.

    None where it is not of that form.
    """
    severity, cause = answer.get("severity"), answer.get("cause")
    if severity not in tuple(Severity) or not isinstance(cause, str) or not cause:
        return None
    return Classification(Severity(severity), _slug(cause), bool(answer.get("resolves")), plugin)


def alert(event: Event, classification: Classification) -> Alert:
    """The alert of an event that has its classification: from the table, a plugin or a user's rule."""
    is_task = event.detail_type.lower() in TASK_EVENTS
    return Alert(
        id=f"{event.occurrence}.{classification.cause}.{event.subject.key[:6]}",
        event_id=event.id,
        at=event.at,
        severity=classification.severity,
        cause=classification.cause,
        resolves=classification.resolves,
        rule=classification.rule,
        title=_title(classification, event.subject),
        subject=event.subject,
        task=event.task,
        stopped=is_task and event.status == "STOPPED",
        started_at=event.started_at,
        containers=event.containers,
        stop_code=event.stop_code,
        reason=_telling_reason(event, classification.cause),
        task_definition=event.task_definition,
        deployment=event.deployment,
        details=event.details,
    )


def _title(classification: Classification, subject: Subject) -> str:
    words = cause_words(classification.cause, "en", over=classification.resolves)
    place = f" in {subject.cluster}" if subject.cluster != "-" else ""
    return f"{words}: {subject.text}{place}"


def _telling_reason(event: Event, cause: str) -> str:
    """The reason that names the cause's error, else one that names another, else the event's own."""
    reasons = Case(event, {}).reasons
    family = _ERRORS.get(cause)
    of_cause = (reason for reason in reasons if family and family.match(error_of(reason)))
    return next(of_cause, "") or next(iter(reasons), "") or event.reason or _first_reason(event.containers)


def _first_reason(containers: tuple[Container, ...]) -> str:
    return next((container.reason for container in containers if container.reason), "")
