"""Events of a storm: services in a crash loop, many others with one problem each, and events that need no alert."""

import uuid
from collections.abc import Iterator
from random import Random

from local_aws.events import Raw, container, deployment, service_action, task_stopped
from local_aws.stories import NO_IMAGE, OOM
from router.history.items import iso

CRASH_LOOPING = 50
OTHERS = 500
_OTHERS_SHARE = 0.15  # of the events: a few for each of the others
_EXITED = ("EssentialContainerExited", "Essential container in task exited")
_SCALE_IN = "Scaling activity initiated by (deployment ecs-svc/1234567890123456789)"


def storm(count: int, seconds: float, seed: int = 1) -> Iterator[tuple[float, Raw]]:
    """`count` events within `seconds`: (seconds since the start, event), in order."""
    chance = Random(seed)
    for number in range(count):
        after = seconds * number / count
        if number < OTHERS + CRASH_LOOPING:  # the first problem of every service comes early
            yield after, _first(number, chance)
        elif chance.random() < _OTHERS_SHARE:
            yield after, _aside(f"other-{chance.randrange(OTHERS):03}", chance)
        else:
            yield after, _crash(f"loop-{chance.randrange(CRASH_LOOPING):02}", chance)


def at(raw: Raw, moment: float) -> Raw:
    """The event as if it had happened at `moment` (POSIX seconds)."""
    detail = raw["detail"] | {"updatedAt": iso(moment), "createdAt": iso(moment)}
    if "stoppedAt" in detail:
        detail["stoppedAt"] = iso(moment)
    return raw | {"time": iso(moment), "detail": detail, "id": uuid.UUID(int=Random(moment).getrandbits(128)).hex}


def _first(number: int, chance: Random) -> Raw:
    if number % 11 == 0:
        return _crash(f"loop-{number // 11:02}", chance)
    return _trouble(f"other-{number - number // 11 - 1:03}", chance)


def _crash(service: str, chance: Random) -> Raw:
    code = chance.choice((1, 1, 1, 137, 139))
    return _stopped(service, chance, *_EXITED, container("app", code))


def _trouble(service: str, chance: Random) -> Raw:
    kind = chance.randrange(4)
    if kind == 0:
        return _stopped(service, chance, *_EXITED, container("app", 137, OOM))
    if kind == 1:
        return _stopped(service, chance, "TaskFailedToStart", NO_IMAGE, container("app", reason=NO_IMAGE))
    if kind == 2:  # noqa: PLR2004
        return _stopped(service, chance, "SpotInterruption", "Your Spot Task was interrupted.", container("app", 143))
    return _crash(service, chance)


def _aside(service: str, chance: Random) -> Raw:
    """An event that needs no alert; it may end an incident."""
    kind = chance.randrange(3)
    if kind == 0:
        return service_action(service=service)
    if kind == 1:
        return _stopped(service, chance, "ServiceSchedulerInitiated", _SCALE_IN, container("app", 143))
    return deployment("SERVICE_DEPLOYMENT_IN_PROGRESS", service=service)


def _stopped(service: str, chance: Random, code: str, reason: str, *containers: Raw) -> Raw:
    task = f"{chance.getrandbits(128):032x}"
    return task_stopped(code, reason, *containers, service=service, family=service, task=task)
