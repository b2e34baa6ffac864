"""What a message says about a task's containers: which of them failed and how, and what happened to the others."""

from collections.abc import Iterable, Mapping, Sequence

from router.ecs.exit_codes import SIGKILL, asked_to_stop, meaning
from router.ecs.stop_reason import Failure, parse
from router.messages.phrases import phrase, span
from router.model import Alert, Container, SubjectKind

_SHOWN = 10  # containers; ECS allows as many in a task definition
_REASON_SHOWN = 120  # characters of the reason of a container that is not to blame
HEALTH_CHECK = "health_check_failed"
# If ECS or a user stopped the task, its containers' exit codes mean nothing: they were asked to stop.
STOPPED_FROM_OUTSIDE = frozenset(
    {"ServiceSchedulerInitiated", "SpotInterruption", "TerminationNotice", "InfrastructureHealth", "UserInitiated"}
)


def sentence(alert: Alert, language: str, limits: Mapping[str, int]) -> str:
    """Which containers failed, how, and after how long; "" if the event does not tell.

    Args:
        limits: container name to memory limit in MiB, where the task definition is known.
    """
    if alert.stop_code in STOPPED_FROM_OUTSIDE:
        return _joined([_unhealthy(alert, language), _stopped(alert, language)], language)
    if not alert.blamed:
        return _none_started(alert, language)
    ran = "" if all(container.exit_code is None for container in alert.blamed) else _ran(alert, "it_ran", language)
    return _joined([_failed(alert, language, limits), ran], language)


def line(alert: Alert, language: str) -> str:
    """The containers that `sentence` does not speak of, each with its exit code and what that means here; or ""."""
    if alert.stop_code in STOPPED_FROM_OUTSIDE:
        shown = alert.containers if alert.cause == HEALTH_CHECK else ()
        one = len(shown) == 1
        if one and not _own_reason(shown[0], alert):
            return ""
        key = "one_container" if one else "all_containers"
    else:
        shown = tuple(container for container in alert.containers if container not in alert.blamed)
        key = "other_containers" if alert.blamed else "all_containers"
        running = all(container.status == "RUNNING" for container in shown)
        if not alert.blamed and (not alert.stopped or running or _none_started(alert, language)):
            return ""
    return phrase(key, language, containers=_entries(shown, alert, language)) if shown else ""


def joined(containers: Iterable[Container], language: str) -> str:
    """Their names as a sentence lists them: `app, nginx and worker`."""
    *first, last = [container.name for container in containers] or [""]
    return phrase("listed", language, first=phrase("comma", language).join(first), last=last) if first else last


def memory_limit(container: Container, limits: Mapping[str, int]) -> int | None:
    """MiB at which the container is killed; the task definition's limit is more exact than the event's."""
    return limits.get(container.name) or container.memory


def codes_of_run(alert: Alert) -> frozenset[int]:
    """The exit codes of a standalone task that has stopped: if one of them is 0, its job may be done."""
    standalone = alert.stopped and alert.subject.kind is SubjectKind.FAMILY
    return frozenset(
        container.exit_code for container in alert.remaining if standalone and container.exit_code is not None
    )


def reason_for_hint(alert: Alert, culprit: Container | None) -> str:
    """The container's reason that says more about what to do than the alert's does; or ""."""
    if alert.cause == HEALTH_CHECK:
        reasons = [container.reason for container in ((culprit,) if culprit else alert.remaining)]
        return next((reason for reason in reasons if parse(reason).failure is Failure.OUT_OF_MEMORY), "")
    return culprit.reason if culprit and len(alert.blamed) > 1 else ""


def _joined(sentences: Iterable[str], language: str) -> str:
    return ("" if language == "ja" else " ").join(filter(None, sentences))


# --- those that failed ------------------------------------------------------------------------------------------------


def _failed(alert: Alert, language: str, limits: Mapping[str, int]) -> str:
    blamed = alert.blamed
    many = "s" if len(blamed) > 1 else ""
    names, codes = joined(blamed, language), {container.exit_code for container in blamed}
    if alert.cause == "out_of_memory" and 0 not in codes:
        sizes = {memory_limit(container, limits) for container in blamed}
        size = sizes.pop() if len(sizes) == 1 else None
        key = f"container{many}_killed" + ("_at" if size else "")
        return phrase(key, language, container=names, memory=f"{size or 0:,}")
    if len(codes) > 1 or (many and any(_own_reason(container, alert) for container in blamed)):
        return phrase("containers_failed", language, containers=_entries(blamed, alert, language))
    code = codes.pop()
    if code is None:
        key = "never_ran" if alert.stop_code == "TaskFailedToStart" else "without_code"
    else:
        key = "with_meaning" if meaning(code, language) else "with_code"
    means = "" if code is None else meaning(code, language)
    outcome = phrase(f"container{many}_{key}", language, container=names, code=code, meaning=means)
    return _joined([_unhealthy(alert, language), outcome], language)


def _unhealthy(alert: Alert, language: str) -> str:
    unhealthy = [container for container in alert.blamed if container.health == "UNHEALTHY"]
    if not unhealthy:
        return ""
    key = "containers_unhealthy" if len(unhealthy) > 1 else "container_unhealthy"
    return phrase(key, language, container=joined(unhealthy, language))


def _none_started(alert: Alert, language: str) -> str:
    failed = alert.stopped and alert.stop_code == "TaskFailedToStart"
    none_ran = all(container.exit_code is None for container in alert.containers)
    if not (failed and none_ran and len(alert.containers) > 1):
        return ""
    return phrase("none_started", language, count=len(alert.containers))


def _stopped(alert: Alert, language: str) -> str:
    if not alert.stopped:
        return phrase("task_will_stop", language)
    key = "it_ran" if alert.stop_code == "UserInitiated" else "task_stopped_after"
    return _ran(alert, key, language)


def _ran(alert: Alert, key: str, language: str) -> str:
    """The sentence about how long the task ran; "" if it never reached RUNNING, or its times are not to be believed."""
    lasted = alert.at - alert.started_at if alert.stopped and alert.started_at is not None else 0.0
    return phrase(key, language, lasted=span(lasted, language)) if round(lasted) > 0 else ""


# --- each with its code -----------------------------------------------------------------------------------------------


def _entries(containers: Sequence[Container], alert: Alert, language: str) -> str:
    entries = [_entry(container, alert, language) for container in containers[:_SHOWN]]
    left = len(containers) - len(entries)
    more = phrase("gathered_names_more", language, count=left) if left else ""
    return phrase("comma", language).join(entries) + more


def _entry(container: Container, alert: Alert, language: str) -> str:
    """`worker 137 (killed by ECS after app exited)`."""
    code = "" if container.exit_code is None else f" {container.exit_code}"
    note = _note(container, alert, language)
    return container.name + code + (f" ({note})" if note else "")


def _note(container: Container, alert: Alert, language: str) -> str:
    """What happened to the container, as far as the event says; "" if the code alone says it."""
    if container.name in alert.ended:
        return phrase("note_ended_before", language)
    if container.status == "RUNNING":
        return phrase("note_running", language)
    reason = _own_reason(container, alert)
    reason = reason if len(reason) <= _REASON_SHOWN else reason[: _REASON_SHOWN - 1] + "…"
    return reason if parse(reason).error else "; ".join(filter(None, [_fate(container, alert, language), reason]))


def _fate(container: Container, alert: Alert, language: str) -> str:
    """What the exit code means here, or why there is none. The agent gives 143 to a container that it never started."""
    code = container.exit_code
    waited = bool(parse(container.reason).blamed) and (code is None or asked_to_stop(code))
    if waited or (code is None and alert.stop_code == "TaskFailedToStart"):
        return phrase("note_never_ran", language)
    if not code:
        return phrase("note_no_code", language) if code is None else ""
    from_outside = alert.stop_code in STOPPED_FROM_OUTSIDE
    consequence = alert.stopped and (from_outside or (bool(alert.blamed) and container not in alert.blamed))
    if consequence and (code == SIGKILL or asked_to_stop(code)):
        return _by_ecs("killed" if code == SIGKILL else "stopped", alert, language)
    return meaning(code, language).replace(" (", ", ").replace(")", "")


def _by_ecs(how: str, alert: Alert, language: str) -> str:
    """ECS stops a task's other containers once an essential one has exited: by SIGTERM, and later by SIGKILL.

    If one has finished and the culprit was killed, ECS may have killed that one as well, and later than the others.
    """
    first = alert.culprit
    if alert.stop_code != "EssentialContainerExited" or first is None or first.exit_code is None:
        return phrase(f"note_{how}", language)
    if first.exit_code == SIGKILL and any(container.exit_code == 0 for container in alert.remaining):
        return phrase(f"note_{how}", language)
    return phrase(f"note_{how}_after", language, container=first.name)


def _own_reason(container: Container, alert: Alert) -> str:
    """The container's reason on one line, unless the message already shows it, or it only says that others failed."""
    reason = " ".join(container.reason.split())
    consequence = parse(reason).error.startswith("taskstopped")
    return "" if consequence or reason == " ".join(alert.reason.split()) else reason
