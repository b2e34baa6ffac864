"""Globs that can match no alert, and those that only look wrong."""

from collections.abc import Sequence

import pytest

from router.causes import CAUSES
from router.config.match import SILENCE_FACTS
from router.config.unmatchable import STOP_CODES, Known, doubtful, unmatchable
from router.ecs.classify import RULES
from router.model import OWN_DETAIL_TYPES, Severity

ANY = Known(None, None)


@pytest.mark.parametrize(
    ("fact", "glob", "fix"),
    [
        ("account", "production", "an account's id of 12 digits"),
        ("account", "1234", "an account's id of 12 digits"),
        ("account", "prod*", "an account's id of 12 digits"),
        ("region", "eu-west", "a region such as eu-west-1"),
        ("region", "eu_west_*", "a region such as eu-west-1"),
        ("cluster", "arn:aws:ecs:eu-west-1:123456789012:cluster/prod", "the cluster's name, not its ARN"),
        ("cluster", "prod *", "the cluster's name"),
        ("cluster", "!pro.d", "the cluster's name"),
        ("service", "prod/web", "the service's name"),
        ("family", "nightly:3", "the task family's name"),
        ("container", "my app", "the container's name"),
        ("task", "arn:aws:ecs:eu-west-1:123456789012:task/prod/abc", "the task's id, not its ARN"),
        ("task_definition", "web", "web:*"),
        ("task_definition", "arn:aws:ecs:*:task-definition/web:*", "not an ARN"),
        ("exit_code", "one", "an exit code such as 137"),
        ("subject", "web", "kind and name, such as service:web"),
        ("subject", "sevice:web", "service:web"),
        ("image", "app 1", "without spaces"),
        ("alarm", "arn:aws:cloudwatch:eu-west-1:123456789012:alarm:web", "the alarm's name, not its ARN"),
        ("event_name", "steady state", "an event's name"),
        ("cause", "oom", "did you mean out_of_memory?"),
        ("cause", "OutOfMemory", "did you mean out_of_memory?"),
        ("cause", "!out_of_memmory", "did you mean out_of_memory?"),
        ("cause", "memory_*", "is no cause"),
        ("rule", "exited badli", "did you mean exited badly?"),
        ("severity", "fatal", "is no severity"),
        ("severity", "sever*", "is no severity"),
        ("stop_code", "OutOfMemory", "is no stop code"),
    ],
)
def test_a_glob_that_no_value_can_match_is_named_with_what_would_be_right(fact: str, glob: str, fix: str) -> None:
    ((place, problem),) = unmatchable({fact: (glob, "*")})
    assert place == fact
    assert fix in problem


@pytest.mark.parametrize(
    ("fact", "globs"),
    [
        ("account", ["123456789012", "1234*", "????????????"]),
        ("region", ["eu-west-1", "us-gov-west-1", "eusc-de-east-1", "cn-*", "!ap-northeast-?"]),
        ("cluster", ["prod", "PROD_1", "prod-*", "!staging", "[pq]rod"]),
        (
            "subject",
            ["service:web", "instance:i-0abc*", "deployment-group:App/Group", "*:web", "alarm:a b", "!daemon:*"],
        ),
        ("task_definition", ["web:42", "web:*", "*:42", "web*"]),
        ("exit_code", ["0", "-1", "13?", "!137", "3221225477"]),
        ("image", ["*/app:*", "123456789012.dkr.ecr.eu-west-1.amazonaws.com/app@sha256:abc"]),
        ("reason", ["anything at all"]),
        ("alarm", ["an alarm (of mine)"]),
        ("cause", ["Out_Of_Memory", "*_failed", *CAUSES]),
        ("rule", [rule.name for rule in RULES]),
        ("severity", [*Severity, "warn*"]),
        ("stop_code", ["essential*", *STOP_CODES]),
    ],
)
def test_what_may_match_is_taken(fact: str, globs: Sequence[str]) -> None:
    for glob in globs:
        assert list(unmatchable({fact: (glob,)})) == []


@pytest.mark.parametrize("globs", [("prod", "!prod"), ("prod-eu", "!PROD-*"), ("!*",), ("*", "!**"), ("a", "b", "!?")])
def test_globs_that_exclude_all_that_they_name_match_nothing(globs: tuple[str, ...]) -> None:
    ((_, problem),) = unmatchable({"cluster": globs})
    assert problem.startswith("matches nothing")


@pytest.mark.parametrize(
    "facts",
    [
        ("service", "family"),
        ("alarm", "container"),
        ("alarm", "event_name"),
        ("event_name", "exit_code"),
        ("alarm", "task"),
    ],
)
def test_facts_that_no_alert_has_together_never_match(facts: tuple[str, str]) -> None:
    match = dict.fromkeys(facts, ("*",))
    assert list(unmatchable(match)) == [("", f"never matches: no alert has both {' and '.join(sorted(facts))}")]


def test_a_plugin_may_give_any_cause() -> None:
    assert list(unmatchable({"cause": ("oom",), "rule": ("acme",)}, ANY)) == []


def test_every_fact_may_match_anything() -> None:
    for fact in SILENCE_FACTS:
        assert list(unmatchable({fact: ("*",)})) == []


@pytest.mark.parametrize("name", [*sorted(OWN_DETAIL_TYPES), "CloudWatch Alarm Contributor State Change"])
def test_a_detail_type_that_the_router_reads_is_not_doubted(name: str) -> None:
    """The names of the events that the router makes itself, too: a route may send overdue runs elsewhere."""
    assert [*doubtful({"detail_type": (name,)})] == []
