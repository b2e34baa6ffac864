"""Addresses in the current ECS and CloudWatch consoles, in the partition of a region."""

import re
from urllib.parse import quote

_CONSOLES = {"cn-": "console.amazonaws.cn", "us-gov-": "console.amazonaws-us-gov.com"}
_CONSOLE = "console.aws.amazon.com"
_REGION = re.compile("[a-z]+(-[a-z]+)+-[0-9]+")


def is_region(text: str) -> bool:
    """Whether it may stand in a host's name."""
    return _REGION.fullmatch(text) is not None


def cluster(region: str, name: str) -> str:
    return f"{_clusters(region, name)}/services?region={region}"


def service(region: str, cluster: str, name: str, tab: str = "health") -> str:
    return f"{_clusters(region, cluster)}/services/{_part(name)}/{tab}?region={region}"


def task(region: str, cluster: str, task_id: str) -> str:
    return f"{_clusters(region, cluster)}/tasks/{_part(task_id)}/configuration?region={region}"


def task_logs(region: str, cluster: str, task_id: str) -> str:
    """The task's own tab of logs, which needs no look-up of its log group."""
    return f"{_clusters(region, cluster)}/tasks/{_part(task_id)}/logs?region={region}"


def stopped_tasks(region: str, cluster: str, service: str) -> str:
    """The tasks of the service that stopped within about the last hour; ECS forgets them after that."""
    return f"{_clusters(region, cluster)}/services/{_part(service)}/tasks?status=STOPPED&region={region}"


def alarm(region: str, name: str) -> str:
    return f"{_cloudwatch(region)}#alarmsV2:alarm/{_part(name)}"


def log_stream(region: str, group: str, stream: str) -> str:
    """CloudWatch encodes these names twice, and writes `$` for `%` the second time."""
    group, stream = (quote(quote(name, safe=""), safe="").replace("%", "$") for name in (group, stream))
    return f"{_cloudwatch(region)}#logsV2:log-groups/log-group/{group}/log-events/{stream}"


def _clusters(region: str, name: str) -> str:
    return f"https://{region}.{_host(region)}/ecs/v2/clusters/{_part(name)}"


def _cloudwatch(region: str) -> str:
    return f"https://{region}.{_host(region)}/cloudwatch/home?region={region}"


def _host(region: str) -> str:
    return next((host for prefix, host in _CONSOLES.items() if region.startswith(prefix)), _CONSOLE)


def _part(name: str) -> str:
    return quote(name, safe="")
