"""The services of an ECS account, in the shapes of the API reference; each call is counted."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from local_aws.events import ACCOUNT, REGION

_ARN = f"arn:aws:ecs:{REGION}:{ACCOUNT}"


class Throttled(Exception):
    """As botocore raises it."""

    def __init__(self) -> None:
        self.response: Mapping[str, Any] = {"Error": {"Code": "ThrottlingException", "Message": "Rate exceeded"}}


class EcsAccount:
    """Clusters with services. `services[cluster][name]` holds what differs from a healthy service.

    Attributes:
        tasks: standalone tasks by id, with the attribute `family`. ECS forgets a stopped one after an hour.
    """

    def __init__(self, **services: dict[str, dict[str, Any]]) -> None:
        self.services = services
        self.calls: Counter[str] = Counter()
        self._errors: dict[str, Iterator[Exception]] = {}
        self.tasks: dict[str, dict[str, Any]] = {}

    def fail(self, operation: str, errors: Iterable[Exception]) -> None:
        """The next calls of the operation raise these errors."""
        self._errors[operation] = iter(errors)

    def _call(self, operation: str) -> None:
        self.calls[operation] += 1
        error = next(self._errors.get(operation, iter(())), None)
        if error:
            raise error

    def list_clusters(self, maxResults: int = 100, nextToken: str = "") -> dict[str, Any]:  # noqa: N803 - as AWS does
        self._call("list_clusters")
        return _page([cluster_arn(name) for name in self.services], "clusterArns", maxResults, nextToken)

    def list_services(self, cluster: str, maxResults: int = 10, nextToken: str = "") -> dict[str, Any]:  # noqa: N803
        self._call("list_services")
        active = [name for name, entry in self.services[cluster].items() if entry.get("status", "ACTIVE") == "ACTIVE"]
        return _page([service_arn(cluster, name) for name in active], "serviceArns", maxResults, nextToken)

    def describe_services(self, cluster: str, services: list[str]) -> dict[str, Any]:
        self._call("describe_services")
        assert len(services) <= 10  # the API reference
        names = [entry.rpartition("/")[2] for entry in services]
        return {"services": [service(cluster, name, **self.services[cluster][name]) for name in names], "failures": []}

    def run(self, family: str, task: str, at: float, **fields: Any) -> None:
        """A task starts."""
        created = {"createdAt": datetime.fromtimestamp(at, UTC), "lastStatus": "RUNNING"}
        self.tasks[task] = {"family": family, "taskArn": f"{_ARN}:task/prod/{task}", **created, **fields}

    def list_tasks(
        self,
        cluster: str,
        family: str,
        desiredStatus: str,  # noqa: N803
        maxResults: int = 100,  # noqa: N803
        nextToken: str = "",  # noqa: N803
    ) -> dict[str, Any]:
        self._call("list_tasks")
        del cluster
        tasks = [task for task in self.tasks.values() if task["family"] == family]
        arns = [task["taskArn"] for task in tasks if task["lastStatus"] == desiredStatus]
        return _page(arns, "taskArns", maxResults, nextToken)

    def describe_tasks(self, cluster: str, tasks: list[str]) -> dict[str, Any]:
        self._call("describe_tasks")
        assert len(tasks) <= 100  # the API reference
        del cluster
        return {"tasks": [self.tasks[arn.rpartition("/")[2]] for arn in tasks]}


def service(cluster: str, name: str, **fields: Any) -> dict[str, Any]:
    """One service of DescribeServices; healthy, unless the fields say something else."""
    return {
        "serviceArn": service_arn(cluster, name),
        "serviceName": name,
        "clusterArn": cluster_arn(cluster),
        "status": "ACTIVE",
        "desiredCount": 2,
        "runningCount": 2,
        "pendingCount": 0,
        "deployments": [{"status": "PRIMARY", "rolloutState": "COMPLETED"}],
        "events": [],
    } | fields


def cluster_arn(name: str) -> str:
    return f"{_ARN}:cluster/{name}"


def service_arn(cluster: str, name: str) -> str:
    return f"{_ARN}:service/{cluster}/{name}"


def _page(items: list[str], key: str, size: int, token: str) -> dict[str, Any]:
    start = int(token or 0)
    more = {"nextToken": str(start + size)} if start + size < len(items) else {}
    return {key: items[start : start + size], **more}
