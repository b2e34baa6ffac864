"""Which channels an alert goes to."""

import pytest

from local_aws import events
from router.config.settings import Route
from router.model import Alert, Severity
from router.route import route
from tests.doubles.alerts import ALARM, CRITICAL, SPOT, STANDALONE, alert_of


def channels(alert: Alert, routes: list[Route]) -> tuple[str, ...]:
    """The channels of the routes that it takes."""
    return tuple(dict.fromkeys(channel for taken in route(alert, routes) for channel in taken.channels))


def test_the_first_route_that_matches_decides() -> None:
    routes = [Route(Severity.ERROR, channels=("pager",)), Route(channels=("chat",))]
    assert channels(CRITICAL, routes) == ("pager",)
    assert channels(SPOT, routes) == ("chat",)


def test_no_matching_route_means_no_channel() -> None:
    assert channels(SPOT, [Route(Severity.ERROR, channels=("pager",))]) == ()
    assert channels(SPOT, []) == ()


def test_continue_also_tries_later_routes() -> None:
    routes = [
        Route(channels=("chat", "mail"), continues=True),
        Route(Severity.CRITICAL, channels=("pager", "chat"), continues=True),
        Route(channels=("log",)),
        Route(channels=("never",)),
    ]
    assert channels(CRITICAL, routes) == ("chat", "mail", "pager", "log")
    assert channels(SPOT, routes) == ("chat", "mail", "log")


@pytest.mark.parametrize(
    ("least", "targets"), [("info", True), ("warning", True), ("error", True), ("critical", False)]
)
def test_severity_means_at_least(least: str, *, targets: bool) -> None:
    assert ALARM.severity is Severity.ERROR
    assert bool(route(ALARM, [Route(Severity(least), channels=("chat",))])) is targets


@pytest.mark.parametrize("fact", ["cluster", "cause", "account", "region"])
@pytest.mark.parametrize(
    ("globs", "targets"),
    [
        (("*",), True),
        (("nowhere", "{0}"), True),
        (("{0:.3}*",), True),
        (("?{1}",), True),
        (("[{0[0]}]*",), True),
        (("!nowhere",), True),
        (("{0:.3}",), False),
        (("nowhere*",), False),
        (("!{0:.3}*",), False),
    ],
)
def test_globs_match_the_whole_value(fact: str, globs: tuple[str, ...], *, targets: bool) -> None:
    subject = CRITICAL.subject
    values = {"cluster": subject.cluster, "cause": CRITICAL.cause, "account": subject.account, "region": subject.region}
    filled = tuple(glob.format(values[fact], values[fact][1:]) for glob in globs)
    assert bool(route(CRITICAL, [Route(channels=("chat",), match={fact: filled})])) is targets


def test_every_fact_of_a_route_must_match() -> None:
    assert channels(CRITICAL, [Route(channels=("chat",), match={"cluster": ("prod",), "region": ("us-*",)})]) == ()


def test_a_route_without_match_takes_every_alert() -> None:
    only = Route(channels=("chat",))
    assert [alert for alert in (CRITICAL, STANDALONE, ALARM) if route(alert, [only])] == [CRITICAL, STANDALONE, ALARM]


def test_an_alarm_of_a_service_goes_where_the_service_goes() -> None:
    """CloudWatch alarms name the service in their dimensions."""
    metric = ("m1", "RunningTaskCount", {"ClusterName": "prod", "ServiceName": "web"})
    alarm = alert_of(events.alarm(metrics=[metric]))
    team = Route(match={"service": ("web",), "cluster": ("prod",)}, channels=("team",))
    assert channels(alarm, [team, Route(channels=("rest",))]) == ("team",)
    assert channels(ALARM, [team, Route(channels=("rest",))]) == ("rest",)


@pytest.mark.parametrize(
    "match",
    [
        {"subject": ("deployment-group:AppECS-prod-web/*",)},
        {"subject": ("deployment-group:*",), "cause": ("deployment_failed",)},
    ],
)
def test_a_deployment_group_goes_where_its_name_says(match: dict[str, tuple[str, ...]]) -> None:
    failed = alert_of(events.codedeploy("FAILURE"))
    assert channels(failed, [Route(match=match, channels=("team",))]) == ("team",)
