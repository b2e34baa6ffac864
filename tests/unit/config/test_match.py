"""The `match` of routes, rules, windows and silences: which alerts it matches."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local_aws import events
from router.config.match import FACTS, SILENCE_FACTS, everything, facts_of, matches
from router.config.parse import parse
from router.config.rules import UserRule, apply
from router.config.silences import Matcher, Silence
from router.ecs.classify import alert, classify
from router.ecs.normalise import normalise
from router.history.items import ALERT
from router.model import Alert
from router.route import route
from tests.doubles.alerts import ALARM, CRITICAL, STANDALONE, alert_of
from tests.doubles.world import no_plugins

OF_A_SERVICE = alert_of(
    events.alarm(metrics=[("m1", "RunningTaskCount", {"ClusterName": "prod", "ServiceName": "web"})])
)
OF_A_CLUSTER = alert_of(events.alarm(metrics=[("m1", "MemoryReserved", {"ClusterName": "prod"})]))
SEVERAL = alert_of(
    events.task_stopped(
        "EssentialContainerExited",
        "Essential container in task exited",
        events.container("app", exit_code=1),
        events.container("proxy", exit_code=0, reason="a reason of its own"),
    )
)
INSTANCE = alert_of(events.instance_health())
DAEMON = alert_of(events.daemon_action())
GROUP = alert_of(events.codedeploy("FAILURE"))
PLACEMENT = alert_of(events.service_action("SERVICE_TASK_PLACEMENT_FAILURE", "ERROR"))


def is_matched(made: Alert, **match: str | list[str]) -> bool:
    globs = {fact: (value,) if isinstance(value, str) else tuple(value) for fact, value in match.items()}
    return matches(globs, facts_of(made))


@pytest.mark.parametrize(
    ("made", "match"),
    [
        (CRITICAL, {"cluster": "PRO*", "service": "Web"}),
        (CRITICAL, {"account": "123456789012", "region": "eu-west-?"}),
        (CRITICAL, {"subject": "service:*"}),
        (CRITICAL, {"cause": "essential_*", "severity": "critical", "stop_code": "essentialcontainerexited"}),
        (CRITICAL, {"task_definition": "web:*", "detail_type": "ecs task state change"}),
        (CRITICAL, {"rule": "exited badly"}),
        (CRITICAL, {"reason": "*essential container*"}),
        (SEVERAL, {"container": "proxy"}),
        (SEVERAL, {"exit_code": ["13?", "1"]}),
        (SEVERAL, {"reason": "a reason of its own"}),
        (STANDALONE, {"family": "nightly"}),
        (ALARM, {"alarm": "web-running-*"}),
        (OF_A_SERVICE, {"service": "web", "cluster": "prod"}),
        (OF_A_CLUSTER, {"cluster": "prod"}),
        (INSTANCE, {"subject": "instance:*", "cluster": "prod"}),
        (DAEMON, {"subject": "daemon:monitor"}),
        (GROUP, {"subject": "deployment-group:AppECS-prod-web/*"}),
        (PLACEMENT, {"event_name": "service_task_placement_failure"}),
    ],
)
def test_an_alert_is_matched_by_what_its_event_says(made: Alert, match: dict[str, Any]) -> None:
    assert is_matched(made, **match)


@pytest.mark.parametrize(
    ("made", "match"),
    [
        (CRITICAL, {"family": "web"}),
        (CRITICAL, {"severity": "error"}),
        (CRITICAL, {"cluster": "prod", "service": "api"}),
        (CRITICAL, {"cluster": "pro"}),
        (STANDALONE, {"service": "nightly"}),
        (OF_A_CLUSTER, {"service": "*"}),
        (GROUP, {"service": "*"}),
        (SEVERAL, {"exit_code": "137"}),
    ],
)
def test_an_alert_is_not_matched_by_anything_else(made: Alert, match: dict[str, Any]) -> None:
    assert not is_matched(made, **match)


@pytest.mark.parametrize(
    ("globs", "expected"),
    [
        ("!staging", True),
        ("!prod", False),
        ("!PR*", False),
        (["!staging", "!test"], True),
        (["prod", "!staging"], True),
        (["*", "!prod"], False),
        (["staging", "!test"], False),
    ],
)
def test_a_negative_glob_excludes_and_only_negative_ones_take_the_rest(
    globs: str | list[str], *, expected: bool
) -> None:
    assert is_matched(CRITICAL, cluster=globs) is expected


def test_a_negative_glob_is_about_all_values_of_a_fact() -> None:
    assert is_matched(SEVERAL, container="app")
    assert not is_matched(SEVERAL, container=["app", "!proxy"])
    assert not is_matched(SEVERAL, container="!proxy")


@pytest.mark.parametrize("fact", ["service", "family", "container", "exit_code", "stop_code", "event_name", "task"])
@pytest.mark.parametrize("glob", ["*", "!staging"])
def test_a_fact_that_an_alert_lacks_matches_no_glob(fact: str, glob: str) -> None:
    assert not is_matched(ALARM, **{fact: glob})


def test_every_cluster_means_every_alert_and_all_others_need_one() -> None:
    """An alarm may have none."""
    assert is_matched(ALARM, cluster="*")
    assert is_matched(ALARM, cluster=["**", "prod"])
    assert not is_matched(ALARM, cluster="?*")
    assert not is_matched(ALARM, cluster="!prod")
    assert not is_matched(ALARM, cluster="-")


@pytest.mark.parametrize(
    ("match", "expected"),
    [({}, True), ({"cluster": ("*",)}, True), ({"severity": ("*",)}, True), ({"service": ("*",)}, False)],
)
def test_what_every_alert_has_can_match_everything(match: dict[str, tuple[str, ...]], *, expected: bool) -> None:
    assert everything(match) is expected


GLOBS = st.lists(st.from_regex(r"!?[wepro*?]{1,4}", fullmatch=True), min_size=1, max_size=3)


@given(st.dictionaries(st.sampled_from(["service", "cluster", "cause", "container", "subject"]), GLOBS, max_size=3))
def test_routes_rules_windows_and_silences_match_the_same_alerts(match: dict[str, list[str]]) -> None:
    config = parse({"routes": [{"match": match, "channels": ["x"]}]}, no_plugins(), {})
    silence, rule = Silence("s", config.routes[0].match), UserRule("r", config.routes[0].match, cause="mine")
    event = normalise(events.task_stopped())
    classification = classify(event)
    made = alert(event, classification)
    answers = {
        bool(route(made, config.routes)),
        apply([rule], made, classification)[1] is not None,
        any(Matcher([silence]).matching(made)),
    }
    assert answers == {matches(silence.match, facts_of(made))}


def test_a_stored_alert_has_all_its_facts() -> None:
    """A silence is looked up for alerts that were stored."""
    for made in (CRITICAL, SEVERAL, OF_A_SERVICE, PLACEMENT, GROUP):
        values, _ = ALERT.read(ALERT.write(made, None))
        assert facts_of(Alert(**values, subject=made.subject)) == facts_of(made)


def test_silences_can_match_a_task_and_nothing_else_can() -> None:
    assert SILENCE_FACTS.keys() - FACTS.keys() == {"task"}
    assert facts_of(CRITICAL).keys() == SILENCE_FACTS.keys()
