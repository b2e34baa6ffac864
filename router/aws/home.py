"""The router's own account and region, where it can ask AWS."""

from collections.abc import Callable
from typing import Any, NamedTuple


class ExpectedRun(NamedTuple):
    """The run of a task family that an `[[expect]]` table of that name expects in a cluster."""

    name: str
    family: str
    cluster: str


class Home(NamedTuple):
    """Where AWS can be asked: the router's own account and region, with its clients.

    Attributes:
        services: the services are polled, so a shortfall of one can be judged (`[poll] services`).
        expected: the runs that are expected (`[[expect]]`).
        verifies: other conditions may be checked, too (`[poll] verify`).
    """

    account: str
    region: str
    ecs: Callable[[], Any]
    cloudwatch: Callable[[], Any]
    services: bool = False
    expected: frozenset[ExpectedRun] = frozenset()
    verifies: bool = True
