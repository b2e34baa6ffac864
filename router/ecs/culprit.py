"""The culprit: the container that caused a task's end. Everything a message says about a container comes from it.

ECS lists every container of a task in one event and marks none as the cause. The steps below go from the strongest
evidence to the weakest, and the first that yields a container decides. The order of the list never does: where one
step yields several containers, all of them are culprits.
"""

from collections.abc import Callable, Collection, Iterable, Sequence
from typing import NamedTuple

from router.ecs.exit_codes import SIGKILL, asked_to_stop
from router.ecs.stop_reason import image, parse
from router.model import Container

CRASH_SIGNALS = frozenset({132, 133, 134, 135, 136, 139})
"""Exit codes of a process that crashed by itself: 128 + SIGILL, SIGTRAP, SIGABRT, SIGBUS, SIGFPE, SIGSEGV (signal(7))."""


class Ending(NamedTuple):
    """What an event says about the end of a task, or of containers in a task that goes on.

    Attributes:
        containers: all containers of the task.
        reason: the task's stopped reason, or "".
        decides: tells whether a reason names the error that decided the cause.
        memory: whether that error is an OutOfMemoryError.
        health_check: whether ECS stopped the task because a health check failed.
        ended: names of containers that are known to have ended earlier.
    """

    containers: Sequence[Container]
    reason: str = ""
    decides: Callable[[str], bool] = lambda _reason: False
    memory: bool = False
    health_check: bool = False
    ended: Collection[str] = frozenset()


def culprits(ending: Ending) -> tuple[Container, ...]:
    """The containers that caused the ending, by name; empty where the event does not tell."""
    stopped = [container for container in ending.containers if _has_stopped(container, ending)]
    steps = (_by_health,) if ending.health_check else (_by_error, _by_dependency, _by_exit_code)
    found = next(filter(None, (step(stopped, ending) for step in steps)), [])
    if not found and len(stopped) == 1:
        found = stopped
    return tuple(sorted(set(found), key=lambda container: container.name))


def _has_stopped(container: Container, ending: Ending) -> bool:
    return container.status != "RUNNING" and container.name not in ending.ended


def _by_health(stopped: Sequence[Container], _ending: Ending) -> list[Container]:
    return [container for container in stopped if container.health == "UNHEALTHY"]


def _by_error(stopped: Sequence[Container], ending: Ending) -> list[Container]:
    """The containers that the deciding reasons blame, else those that carry such a reason."""
    carriers = [container for container in stopped if ending.decides(container.reason)]
    if ending.memory and carriers:
        # An event does not say when a container ended: this one may have run out of memory hours before the crash.
        crashed = [each for each in stopped if each not in carriers and each.exit_code in CRASH_SIGNALS]
        if crashed:
            return crashed
    if carriers:
        return [blamed for carrier in carriers for blamed in _blamed(carrier.reason, stopped) or [carrier]]
    return _blamed(ending.reason, stopped) if ending.decides(ending.reason) else []


def _by_dependency(stopped: Sequence[Container], ending: Ending) -> list[Container]:
    """The containers that another one waited for in vain, or that the stopped reason names."""
    reasons = (*(container.reason for container in stopped), ending.reason)
    return [container for reason in reasons for container in _named(parse(reason).blamed, stopped)]


def _by_exit_code(stopped: Sequence[Container], _ending: Ending) -> list[Container]:
    """A code of its own comes before SIGKILL, which ECS sends to the others once the stop time-out is over."""
    coded = [container for container in stopped if container.exit_code is not None]
    own = [each for each in coded if each.exit_code not in {0, SIGKILL} and not asked_to_stop(each.exit_code or 0)]
    killed = [container for container in coded if container.exit_code == SIGKILL]
    finished = [container for container in coded if container.exit_code == 0]
    asked = [container for container in coded if asked_to_stop(container.exit_code or 0)]
    return own or killed or (finished if len(finished) == 1 else []) or asked


def _blamed(reason: str, stopped: Sequence[Container]) -> list[Container]:
    """The containers that a reason points to: by dependency, or by an image that only one of them has."""
    parsed = parse(reason)
    by_name = _named(parsed.blamed, stopped)
    if by_name or parsed.image is None:
        return by_name
    wanted = str(parsed.image)
    by_image = [container for container in stopped if str(image(container.image) or "") == wanted]
    return by_image if len(by_image) == 1 else []


def _named(names: Iterable[str], stopped: Sequence[Container]) -> list[Container]:
    return [container for container in stopped if container.name in set(names)]
