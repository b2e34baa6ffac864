"""The router's own account and region, where it can ask AWS."""

from collections.abc import Callable
from typing import Any, NamedTuple


class Home(NamedTuple):
    """Where AWS can be asked: the router's own account and region, with its clients.

    Attributes:
        services: the services are polled, so a shortfall of one can be judged (`[poll] services`).
        expected: names of the runs that are expected (`[[expect]]`).
        verifies: other conditions may be checked, too (`[poll] verify`).
    """

    account: str
    region: str
    ecs: Callable[[], Any]
    cloudwatch: Callable[[], Any]
    services: bool = False
    expected: frozenset[str] = frozenset()
    verifies: bool = True
