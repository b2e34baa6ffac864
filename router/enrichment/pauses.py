"""What is not requested for a minute after a failure, so that one resource that cannot be read affects no other.

A failure about one resource, such as a deleted revision, pauses only that resource. A failure that the next request
would have too, such as throttling or a denied permission, pauses the account and region in which it happened.
"""

import logging
from collections.abc import Callable

log = logging.getLogger("ecs-alert-router.enrichment.pauses")

PAUSE = 60.0  # seconds
_KEPT = 1000  # pauses; each is a few hundred bytes
_OF_A_RESOURCE = frozenset(
    {"ClientException", "InvalidParameterException", "ResourceNotFoundException", "ValidationException"}
)


class Pauses:
    """What is not requested for now: an ARN, a log group, or an account and region, each as a tuple."""

    def __init__(self, clock: Callable[[], float]) -> None:
        """`clock` returns monotonic seconds."""
        self._clock = clock
        self._until: dict[tuple[str, ...], float] = {}

    def paused(self, *scopes: tuple[str, ...]) -> bool:
        now = self._clock()
        return any(self._until.get(scope, now) > now for scope in scopes)

    def pause(self, scope: tuple[str, ...]) -> None:
        now = self._clock()
        if len(self._until) >= _KEPT:
            self._until = {known: until for known, until in self._until.items() if until > now}
        if len(self._until) < _KEPT:  # a flood of unreadable names must not fill the memory
            self._until[scope] = now + PAUSE


def error_code(error: Exception) -> str:
    """AWS's code of an error, such as `ThrottlingException`; "" if AWS did not answer."""
    response = getattr(error, "response", None) or {}  # it is None for botocore's timeouts
    return str(response.get("Error", {}).get("Code", ""))


def is_resource_error(error: Exception) -> bool:
    """Whether the failure is about the requested resource, so that a request for another may succeed."""
    return error_code(error) in _OF_A_RESOURCE
