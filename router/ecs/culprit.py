"""The culprit: the container that caused a task's end. Everything a message says about a container comes from it.

ECS lists every container of a task in one event and marks none as the cause. The steps below go from the strongest
evidence to the weakest, and the first that yields a container decides. The order of the list never does: where one
step yields several containers, all of them are culprits.
"""

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

from router.ecs.exit_codes import SIGKILL, asked_to_stop
from router.ecs.stop_reason import Image, image, parse
from router.model import Container

CRASH_SIGNALS = frozenset({132, 133, 134, 135, 136, 139})
"""Exit codes of a process that crashed by itself: 128 + SIGILL, SIGTRAP, SIGABRT, SIGBUS, SIGFPE, SIGSEGV."""

_DOCKER_HUB = frozenset({"", "docker.io", "index.docker.io", "registry-1.docker.io"})
# "container web was …"; but "container init was OOM-killed" is runc's, and "Essential container in task" names none.
_MENTIONED = re.compile(
    r"""\bcontainer[ :]+(?:["'`\[(](?P<quoted>[\w-]+)["'`\])]"""
    r"|(?P<plain>[\w-]+) (?:was|is|has|exited|failed|in task)\b)",
    re.IGNORECASE,
)
_NO_NAMES = frozenset({"init", "instance", "that", "which", "it"})


class Ending(NamedTuple):
    """What an event says about the end of a task, or of containers in a task that keeps running.

    Attributes:
        containers: all containers of the task.
        over: whether the whole task has stopped; otherwise it continues without the containers that have stopped.
        reason: the task's stopped reason, or "".
        decides: tells whether a reason names the error that decided the cause.
        health_check: whether ECS stopped the task because a health check failed.
        ended: names of containers that are known to have ended earlier.
        essential: container name to the task definition's `essential` flag, where they decide which codes count.
    """

    containers: Sequence[Container]
    over: bool = True
    reason: str = ""
    decides: Callable[[str], bool] = lambda _reason: False
    health_check: bool = False
    ended: Collection[str] = frozenset()
    essential: Mapping[str, bool] = MappingProxyType({})


def culprits(ending: Ending) -> tuple[Container, ...]:
    """The containers that caused the ending, by name; empty where the event does not tell."""
    stopped = [container for container in ending.containers if _has_stopped(container, ending)]
    steps = (_by_health,) if ending.health_check else (_by_error, _by_reason, _by_exit_code)
    chosen = next(filter(None, (step(stopped, ending) for step in steps)), [])
    if not chosen and len(stopped) == 1:
        chosen = stopped
    return tuple(sorted(set(chosen), key=lambda container: (container.name, repr(container))))


def _has_stopped(container: Container, ending: Ending) -> bool:
    """Whether the container may have caused the ending. Events may lack a container's status, or have an old one."""
    if container.name in ending.ended or container.status == "RUNNING":
        return False
    return container.status == "STOPPED" or ending.over or (not container.status and container.exit_code is not None)


# --- the steps --------------------------------------------------------------------------------------------------------


def _by_health(stopped: Sequence[Container], _ending: Ending) -> list[Container]:
    return [container for container in stopped if container.health == "UNHEALTHY"]


def _by_error(stopped: Sequence[Container], ending: Ending) -> list[Container]:
    """The containers that the deciding reasons blame, otherwise those that have such a reason."""
    carriers = [container for container in stopped if ending.decides(container.reason)]
    if carriers:
        return [blamed for carrier in carriers for blamed in _blamed(carrier.reason, stopped) or [carrier]]
    return _blamed(ending.reason, stopped) if ending.decides(ending.reason) else []


def _by_reason(stopped: Sequence[Container], ending: Ending) -> list[Container]:
    """The containers that another one waited for in vain, or that the stopped reason names."""
    waited_for = [blamed for container in stopped for blamed in _awaited(container.reason, stopped)]
    return waited_for or _awaited(ending.reason, stopped) or _mentioned(ending.reason, stopped)


def _by_exit_code(stopped: Sequence[Container], ending: Ending) -> list[Container]:
    """A code of its own comes before SIGKILL, which ECS sends to the others once the stop timeout is over.

    Only a task that has stopped had its containers asked to stop. In one that runs on, a 0 is an init container's.
    """
    coded = [container for container in stopped if container.exit_code is not None]
    coded = [container for container in coded if ending.essential.get(container.name)] or coded
    asked = [container for container in coded if asked_to_stop(container.exit_code or 0)]
    own = [container for container in coded if container.exit_code not in {0, SIGKILL} and container not in asked]
    killed = [container for container in coded if container.exit_code == SIGKILL]
    finished = [container for container in coded if container.exit_code == 0]
    if own:
        return own
    if ending.over and ending.decides(ending.reason):
        return []  # the task failed as a whole: that a container ended well, or was stopped, did not cause it
    only_finished = finished if len(finished) == 1 else []
    return killed or (only_finished or asked if ending.over else asked or only_finished)


# --- what a reason points to ------------------------------------------------------------------------------------------


def _blamed(reason: str, stopped: Sequence[Container]) -> list[Container]:
    """The containers that a reason points to: by dependency, by name, or by an image that only one of them has."""
    by_name = _awaited(reason, stopped) or _mentioned(reason, stopped)
    wanted = parse(reason).image
    if by_name or wanted is None:
        return by_name
    by_image = [container for container in stopped if _has_image(container, wanted)]
    by_digest = [container for container in by_image if wanted.digest and wanted.digest in _digests(container)]
    having_it = by_digest or by_image
    return having_it if len(having_it) == 1 else []


def _awaited(reason: str, stopped: Sequence[Container]) -> list[Container]:
    """The container at the end of the chain of dependencies that begins with this reason."""
    chain: list[Container] = []
    while True:
        named = _named(parse(reason).blamed, stopped)
        if not named or named[0] in chain:
            return chain[-1:]
        chain.append(named[0])
        reason = named[0].reason


def _mentioned(reason: str, stopped: Sequence[Container]) -> list[Container]:
    texts = (match["quoted"] or match["plain"] for match in _MENTIONED.finditer(reason))
    return _named([text for text in texts if text.lower() not in _NO_NAMES], stopped)


def _named(names: Sequence[str], stopped: Sequence[Container]) -> list[Container]:
    """The containers with the first of these names that any of them has."""
    matches = ([container for container in stopped if container.name == name] for name in names if name)
    return next(filter(None, matches), [])


def _has_image(container: Container, wanted: Image) -> bool:
    """Whether the container's image is the wanted one, which the reason may write with a digest in place of the tag."""
    own = image(container.image)
    if own is None or _place(own) != _place(wanted):
        return False
    if wanted.digest:
        return wanted.digest in _digests(container) or not any(_digests(container))
    return wanted.tag in {"", own.tag or "latest"}


def _digests(container: Container) -> set[str]:
    own = image(container.image)
    return {container.digest, own.digest if own else ""}


def _place(reference: Image) -> tuple[str, str]:
    host = reference.host.lower()
    return ("", reference.repository.removeprefix("library/")) if host in _DOCKER_HUB else (host, reference.repository)
