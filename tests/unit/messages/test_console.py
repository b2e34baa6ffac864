"""Console URLs: correct in each partition or absent, and any name stays one part of the URL."""

from urllib.parse import unquote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.messages import console

NAMES = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=80)


@pytest.mark.parametrize(
    ("partition", "region", "host"),
    [
        ("aws", "eu-west-1", "eu-west-1.console.aws.amazon.com"),
        ("aws-cn", "cn-north-1", "cn-north-1.console.amazonaws.cn"),
        ("aws-us-gov", "us-gov-west-1", "us-gov-west-1.console.amazonaws-us-gov.com"),
        ("aws-eusc", "eusc-de-east-1", "eusc-de-east-1.console.amazonaws-eusc.eu"),
        ("", "eu-west-1", "eu-west-1.console.aws.amazon.com"),
        ("", "cn-north-1", "cn-north-1.console.amazonaws.cn"),
        ("", "us-gov-west-1", "us-gov-west-1.console.amazonaws-us-gov.com"),
        ("", "eusc-de-east-1", "eusc-de-east-1.console.amazonaws-eusc.eu"),
        ("aws-iso", "us-iso-east-1", None),
        ("aws-iso-b", "us-isob-east-1", None),
        ("aws-iso-e", "eu-isoe-west-1", None),
        ("aws-iso-f", "us-isof-south-1", None),
        ("aws-new", "eu-west-1", None),
        ("", "us-iso-east-1", None),
        ("", "us-isob-east-1", None),
        ("", "xx-moon-1", None),
        ("aws", "cn-north-1", None),
        ("aws-cn", "eu-west-1", None),
        ("aws", "-", None),
        ("aws", "evil.example/", None),
        ("aws", "eu-west-1.evil.example#", None),
    ],
)
def test_the_partition_decides_the_host_and_an_unknown_one_gets_no_link(
    partition: str, region: str, host: str | None
) -> None:
    found = console.site(partition, region)
    assert (found.host if found else None) == host


SITE = console.Site("eu-west-1.console.aws.amazon.com", "eu-west-1")


@given(cluster=NAMES, name=NAMES)
def test_any_name_becomes_one_part_of_a_valid_url_and_can_be_read_back(cluster: str, name: str) -> None:
    for url, place in (
        (console.service(SITE, cluster, name), 6),
        (console.stopped_tasks(SITE, cluster, name), 6),
        (console.task(SITE, cluster, name), 6),
        (console.task_logs(SITE, cluster, name), 6),
    ):
        parts = urlsplit(url)
        assert (parts.scheme, parts.netloc, parts.fragment) == ("https", SITE.host, "")
        assert url.isascii()
        segments = parts.path.split("/")
        assert (unquote(segments[4]), unquote(segments[place])) == (cluster, name)
        assert parts.query.endswith("region=eu-west-1")


@given(name=NAMES)
def test_an_alarms_name_is_written_with_dollar_signs_and_can_be_read_back(name: str) -> None:
    parts = urlsplit(console.alarm(SITE, name))
    assert (parts.scheme, parts.netloc) == ("https", SITE.host)
    kind, _, encoded = parts.fragment.partition("/")
    assert kind == "alarmsV2:alarm"
    assert "/" not in encoded
    assert "%" not in encoded
    assert unquote(encoded.replace("$", "%")) == name


def test_pages_of_tasks() -> None:
    base = f"https://{SITE.host}/ecs/v2/clusters/prod"
    assert console.stopped_tasks(SITE, "prod", "web") == f"{base}/services/web/tasks?status=STOPPED&region=eu-west-1"
    assert console.task_logs(SITE, "prod", "abc") == f"{base}/tasks/abc/logs?region=eu-west-1"


def test_a_target_group_or_auto_scaling_group_in_the_reason_is_linked() -> None:
    group = "arn:aws:elasticloadbalancing:eu-west-1:123456789012:targetgroup/web/0123456789abcdef"
    scaling = (
        "arn:aws:autoscaling:eu-west-1:123456789012:autoScalingGroup:"
        "12345678-aaaa-bbbb-cccc-1234567890ab:autoScalingGroupName/ecs-hosts"
    )
    reason = f"(service web) (port 80) is unhealthy in (target-group {group}) due to (reason Health checks failed)"
    home = f"https://{SITE.host}/ec2/home?region=eu-west-1"
    assert list(console.named_in(SITE, reason)) == [("target_group", f"{home}#TargetGroup:targetGroupArn={group}")]
    ((kind, url),) = console.named_in(SITE, f"terminated by {scaling}")
    assert (kind, url) == ("auto_scaling_group", f"{home}#AutoScalingGroupDetails:id=ecs-hosts;view=activity")
    assert list(console.named_in(SITE, "Scaling activity")) == []


@pytest.mark.parametrize("half", ["\ud83d", "\udc00"], ids=["high", "low"])  # noqa: PT014 - ruff reads them alike
def test_half_a_surrogate_pair_becomes_a_question_mark(half: str) -> None:
    """JSON can hold one, and an address cannot."""
    site = console.Site("console.example", "eu-west-1")
    assert "/services/a%3F/" in console.service(site, "prod", f"a{half}")
    assert console.alarm(site, f"a{half}").endswith("alarm/a$3F")
    assert "log-group/a$253F/" in console.log_stream(site, f"a{half}", "app")
