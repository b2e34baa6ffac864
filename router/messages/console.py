"""Addresses in the current ECS, CloudWatch and EC2 consoles.

Each partition of AWS has consoles of its own. The partition comes from an ARN of the event; if none names it, from the
region. The isolated partitions have no public console, and a partition that is not listed here gets no link either.

Sources: `partitions.json` of botocore for the regions; for the hosts "AWS Management Console" service endpoints of each
partition's documentation.
"""

import re
from collections.abc import Iterator
from typing import NamedTuple
from urllib.parse import quote

HOSTS = {
    "aws": "console.aws.amazon.com",
    "aws-cn": "console.amazonaws.cn",
    "aws-us-gov": "console.amazonaws-us-gov.com",
    "aws-eusc": "console.amazonaws-eusc.eu",
}
"""Partition to the host of its consoles, without the region in front."""
_REGIONS = {
    "aws": re.compile(r"(us|eu|ap|sa|ca|me|af|il|mx)-[a-z]+-[0-9]+"),
    "aws-cn": re.compile(r"cn-[a-z]+-[0-9]+"),
    "aws-us-gov": re.compile(r"us-gov-[a-z]+-[0-9]+"),
    "aws-eusc": re.compile(r"eusc-[a-z]+-[a-z]+-[0-9]+"),
}
_REGION = re.compile("[a-z]+(-[a-z]+)+-[0-9]+")
_TARGET_GROUP = re.compile(r"arn:[a-z-]+:elasticloadbalancing:[a-z0-9-]+:[0-9]{12}:targetgroup/[A-Za-z0-9-]+/[0-9a-f]+")
_AUTO_SCALING_GROUP = re.compile(
    r"arn:[a-z-]+:autoscaling:[a-z0-9-]+:[0-9]{12}:autoScalingGroup:[0-9a-f-]+:autoScalingGroupName/([A-Za-z0-9._/-]{1,255})"
)


class Site(NamedTuple):
    """The consoles of one region. `host` has the region in front."""

    host: str
    region: str


def site(partition: str, region: str) -> Site | None:
    """The consoles of a region, or None if there is no public one, or if the region is in another partition.

    Args:
        partition: from an ARN, such as `aws-cn`; "" if no ARN names it.
    """
    if not _REGION.fullmatch(region):
        return None
    of_region = next((name for name, regions in _REGIONS.items() if regions.fullmatch(region)), "")
    named = partition or of_region
    contradict = of_region not in {"", named}
    return Site(f"{region}.{HOSTS[named]}", region) if named in HOSTS and not contradict else None


# --- ECS --------------------------------------------------------------------------------------------------------------


def cluster(site: Site, name: str) -> str:
    return f"{_clusters(site, name)}/services?region={site.region}"


def service(site: Site, cluster: str, name: str, tab: str = "health") -> str:
    return f"{_clusters(site, cluster)}/services/{_part(name)}/{tab}?region={site.region}"


def stopped_tasks(site: Site, cluster: str, service: str) -> str:
    """The stopped tasks of a service; ECS keeps them for about an hour."""
    return f"{_clusters(site, cluster)}/services/{_part(service)}/tasks?status=STOPPED&region={site.region}"


def task(site: Site, cluster: str, task_id: str) -> str:
    return f"{_clusters(site, cluster)}/tasks/{_part(task_id)}/configuration?region={site.region}"


def task_logs(site: Site, cluster: str, task_id: str) -> str:
    """The logs of a task's containers, as far as they use the awslogs driver."""
    return f"{_clusters(site, cluster)}/tasks/{_part(task_id)}/logs?region={site.region}"


# --- CloudWatch and EC2 -----------------------------------------------------------------------------------------------


def alarm(site: Site, name: str) -> str:
    """The page of an alarm. The console reads the fragment with `$` for `%`, after it has split it at `/`."""
    return f"{_cloudwatch(site)}#alarmsV2:alarm/{_part(name).replace('%', '$')}"


def log_stream(site: Site, group: str, stream: str) -> str:
    """CloudWatch encodes these names twice, and writes `$` for `%` the second time."""
    group, stream = (quote(_part(name), safe="").replace("%", "$") for name in (group, stream))
    return f"{_cloudwatch(site)}#logsV2:log-groups/log-group/{group}/log-events/{stream}"


def named_in(site: Site, reason: str) -> Iterator[tuple[str, str]]:
    """What a reason names by its ARN: `target_group` or `auto_scaling_group`, and the address of its page."""
    home = f"https://{site.host}/ec2/home?region={site.region}"
    if match := _TARGET_GROUP.search(reason):
        yield "target_group", f"{home}#TargetGroup:targetGroupArn={match[0]}"
    if match := _AUTO_SCALING_GROUP.search(reason):
        yield "auto_scaling_group", f"{home}#AutoScalingGroupDetails:id={_part(match[1])};view=activity"


def _clusters(site: Site, name: str) -> str:
    return f"https://{site.host}/ecs/v2/clusters/{_part(name)}"


def _cloudwatch(site: Site) -> str:
    return f"https://{site.host}/cloudwatch/home?region={site.region}"


def _part(name: str) -> str:
    return quote(name, safe="", errors="replace")  # half a surrogate pair, which JSON can hold and UTF-8 cannot
