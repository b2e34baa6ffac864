"""An AWS client that is made when it is needed."""

from collections.abc import Callable
from functools import cache
from typing import Any


class LazyClient:
    """Makes the client at its first call. Most invocations send nothing to SQS, and never make its client."""

    def __init__(self, make: Callable[[], Any]) -> None:
        self._make = cache(make)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._make(), name)
