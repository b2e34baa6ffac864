"""Which channels an alert goes to."""

import pytest

from router.config.settings import Route
from router.model import Alert, Severity
from router.route import route
from tests.doubles.alerts import ALARM, CRITICAL, SPOT, STANDALONE


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


@pytest.mark.parametrize("field", ["clusters", "causes", "accounts", "regions"])
@pytest.mark.parametrize(
    ("globs", "targets"),
    [
        ((), True),
        (("*",), True),
        (("nowhere", "{0}"), True),
        (("{0:.3}*",), True),
        (("?{1}",), True),
        (("[{0[0]}]*",), True),
        (("{0:.3}",), False),
        (("nowhere*",), False),
    ],
)
def test_globs_match_the_whole_value(field: str, globs: tuple[str, ...], *, targets: bool) -> None:
    subject = CRITICAL.subject
    value = {"clusters": subject.cluster, "causes": CRITICAL.cause, "accounts": subject.account}.get(
        field, subject.region
    )
    filled = tuple(glob.format(value, value[1:]) for glob in globs)
    assert bool(route(CRITICAL, [Route(channels=("chat",), **{field: filled})])) is targets  # type: ignore[arg-type]


@pytest.mark.parametrize("cluster", ["PROD", "Pr*", "prod"])
def test_globs_ignore_case(cluster: str) -> None:
    assert channels(CRITICAL, [Route(channels=("chat",), clusters=(cluster,), services=("WEB",))]) == ("chat",)


def test_every_condition_of_a_route_must_match() -> None:
    assert channels(CRITICAL, [Route(channels=("chat",), clusters=("prod",), regions=("us-*",))]) == ()


@pytest.mark.parametrize(
    ("services", "families", "targets"),
    [
        (("web",), (), [CRITICAL]),
        ((), ("nightly",), [STANDALONE]),
        (("web",), ("nightly",), [CRITICAL, STANDALONE]),
        (("*",), (), [CRITICAL]),
        (("nightly",), ("web",), []),
        ((), (), [CRITICAL, STANDALONE, ALARM]),
    ],
)
def test_services_and_families_are_names_of_subjects_and_either_may_match(
    services: tuple[str, ...], families: tuple[str, ...], targets: list[Alert]
) -> None:
    only = Route(channels=("chat",), services=services, families=families)
    assert [each for each in (CRITICAL, STANDALONE, ALARM) if route(each, [only])] == targets
