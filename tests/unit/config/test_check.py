"""What the tables of alert-router.toml mean together: what can never match, is never reached, or changes nothing."""

from pathlib import Path
from typing import Any

import pytest

from local_aws.events import Raw, alarm, codedeploy, daemon_action, hook, service_action, task_stopped
from router.channels.plugins import load
from router.config.parse import parse
from tests.doubles.world import no_plugins

ROOT = Path(__file__).parents[3]


def checked(**tables: Any) -> tuple[list[str], list[str]]:
    """The problems and warnings of routes, rules and windows. They may name any channel."""
    table = {"routes": [{"channels": ["x"]}], **tables}
    config = parse(table, no_plugins(), {})
    problems = [
        problem for problem in config.problems if ".channels: " not in problem and "none of its channels" not in problem
    ]
    return problems, list(config.warnings)


def problems(**tables: Any) -> list[str]:
    return checked(**tables)[0]


def routed(*routes: dict[str, Any]) -> list[str]:
    return problems(routes=[{"channels": ["x"], **route} for route in routes])


UNKNOWN = "that this version knows; did you mean"
ALL = {"cluster": "*"}
PROD = {"cluster": "prod-*"}
NIGHT = {"hours": "22:00-06:00"}


@pytest.mark.parametrize(
    ("routes", "unreached"),
    [
        ([{}, {}], {2: [1]}),
        ([{"severity": "error"}, {"severity": "critical", "match": PROD}], {2: [1]}),
        ([{"match": ALL}, {"match": {"service": "web"}}], {2: [1]}),
        ([{"match": PROD}, {"match": {"cluster": "prod-eu", "service": "web"}}], {2: [1]}),
        ([{"severity": "critical"}, {"severity": "error"}, {}, {"match": PROD}], {4: [1, 2, 3]}),
        ([{"match": {"severity": ["critical", "error"]}}, {"severity": "error"}], {2: [1]}),
        ([{"hours": ["mon-fri", "sat,sun 00:00-24:00"]}, {}], {2: [1]}),
        ([{}, {"match": PROD}, {"match": PROD, **NIGHT}], {2: [1], 3: [1]}),
    ],
)
def test_a_route_behind_one_that_takes_all_of_its_alerts_is_never_reached(
    routes: list[dict[str, Any]], unreached: dict[int, list[int]]
) -> None:
    found = {
        f"routes[{late}]": " and ".join(f"routes[{reported}]" for reported in by) for late, by in unreached.items()
    }
    assert [problem.split(" takes all of its alerts")[0] for problem in routed(*routes)] == [
        f"{late}: is never reached: {by}" for late, by in found.items()
    ]


@pytest.mark.parametrize(
    "routes",
    [
        [{"continue": True}, {}],
        [NIGHT, {}],
        [{"severity": "error"}, {"severity": "warning"}],
        [{"match": PROD}, {}],
        [{"match": {"cluster": "prod"}}, {"match": {"cluster": "!prod"}}],
        [{"match": {"cluster": "!staging"}}, {}],
        [{"match": {"service": "*"}}, {}],
        [{"match": {"severity": "critical"}}, {"severity": "error"}],
        [{"match": {"cluster": ["prod", "!prod-eu"]}}, {"match": {"cluster": "prod-eu"}}],
        [{"match": {"container": ["app", "!proxy"]}}, {"match": {"container": "app"}}],
        [{"clusters": ["prod"]}, {}],
    ],
)
def test_any_other_route_may_be_reached(routes: list[dict[str, Any]]) -> None:
    assert [problem for problem in routed(*routes) if "never reached" in problem] == []


def test_names_that_differ_only_in_case_are_the_same() -> None:
    """A `match` ignores case, and whoever reads them mixes them up."""
    rules = [{"name": name, "match": PROD, "severity": "info"} for name in ("Quiet", "quiet")]
    expect = [{"name": name, "family": "f", "cluster": "c", "every": "1h"} for name in ("Nightly", "nightly")]
    found = problems(rules=rules, expect=expect)
    assert "rules[2].name: 'quiet' is the name of another one too, at rules[1]" in found
    assert "expect[2].name: is another table's name, too: nightly" in found


def slack_problems(**channels: dict[str, str]) -> list[str]:
    tables = {name: {"kind": "slack", **options} for name, options in channels.items()}
    table = {"channels": tables, "routes": [{"channels": [*tables]}]}
    return [*parse(table, load(ROOT / "plugins"), {}).problems]


def test_channels_whose_names_differ_only_in_case_are_a_problem() -> None:
    secret = {"webhook_url": "ssm:/slack"}
    assert slack_problems(ops=secret, Ops=secret) == [
        "channels.Ops: differs only in case from the channel 'ops': give it another name"
    ]


def test_an_option_that_is_missing_beside_a_secret_is_a_problem() -> None:
    """Although only the function can read the secret, and so make the channel."""
    assert slack_problems(ops={"token": "ssm:/slack"}) == ["channels.ops: 'channel' is missing"]
    assert slack_problems(ops={"token": "ssm:/slack", "channel": "C1"}) == []


@pytest.mark.parametrize(
    ("schedule", "runs"),
    [
        ("cron(0 3 31 2 ? *)", False),
        ("cron(0 3 30 2 ? 2027)", False),
        ("cron(0 3 29 2 ? 2027)", False),
        ("cron(0 3 29 2 ? *)", True),
        ("cron(0 3 ? 2 FRI#5 *)", True),
        ("cron(0 3 31 * ? *)", True),
        ("rate(1 hour)", True),
    ],
)
def test_an_expected_run_on_a_day_that_never_comes_is_a_problem(schedule: str, *, runs: bool) -> None:
    found = problems(expect=[{"name": "n", "family": "f", "cluster": "c", "schedule": schedule}])
    assert found == ([] if runs else ["expect[1].schedule: never runs: there is no such day"])


def test_a_rule_behind_one_that_matches_all_of_its_alerts_is_never_reached() -> None:
    rules = [{"match": PROD, "severity": "info"}, {"match": {"cluster": "prod-eu"}, "cause": "mine"}]
    assert problems(rules=rules) == [
        "rules[2]: is never reached: rules[1] matches all of its alerts, and only the first rule that matches counts"
    ]
    assert problems(rules=rules[::-1]) == []


def test_a_rule_that_sets_the_severity_that_it_matches_changes_nothing() -> None:
    (problem,) = problems(rules=[{"match": {"severity": "error"}, "severity": "error"}])
    assert problem == "rules[1]: changes nothing: its alerts have the severity error already"


def test_a_name_is_given_once() -> None:
    rule = {"match": PROD, "severity": "info", "name": "quiet"}
    window = {"match": PROD, "hours": "sun", "name": "quiet"}
    other = {**rule, "match": {"cluster": "dev"}}
    assert problems(rules=[rule], maintenance=[window]) == []
    assert problems(rules=[rule, other], maintenance=[window, window]) == [
        "rules[1].name: 'quiet' is the name of another one too, at rules[2]",
        "rules[2].name: 'quiet' is the name of another one too, at rules[1]",
        "maintenance[1].name: 'quiet' is the name of another one too, at maintenance[2]",
        "maintenance[2].name: 'quiet' is the name of another one too, at maintenance[1]",
    ]


def test_a_cause_of_the_users_is_known_to_all_but_the_rules() -> None:
    """A rule sees what the router called it: only one rule is applied."""
    mine = {"match": PROD, "cause": "nightly_failed"}
    by_cause = {"match": {"cause": "nightly_failed"}, "severity": "info"}
    route = {"match": {"cause": "nightly_failed"}, "channels": ["x"]}
    assert problems(rules=[mine], routes=[route]) == []
    (problem,) = problems(rules=[mine, by_cause])
    assert problem.startswith("rules[2].match.cause: 'nightly_failed' is no cause of the router")


def test_a_rule_of_the_users_is_known_to_all_but_the_rules() -> None:
    mine = {"name": "mine", "match": PROD, "severity": "info"}
    for rule in ("mine", "exited badly, then mine", "* then mine"):
        assert problems(rules=[mine], routes=[{"match": {"rule": rule}, "channels": ["x"]}]) == []
    (problem,) = problems(rules=[mine], routes=[{"match": {"rule": "exited badly, then yours"}, "channels": ["x"]}])
    assert problem.startswith("routes[1].match.rule")


def test_a_severity_below_the_routes_minimum_never_matches() -> None:
    assert routed({"severity": "error", "match": {"severity": ["warning", "info"]}}) == [
        "routes[1].match.severity: never matches: the route takes only error and worse"
    ]


@pytest.mark.parametrize("hours", ["mon-sun", "00:00-24:00", "09:00-09:00", ["06:00-22:00", "22:00-06:00"]])
def test_a_window_that_never_ends_is_a_problem(hours: str | list[str]) -> None:
    (problem,) = problems(maintenance=[{"match": PROD, "hours": hours}])
    assert problem == "maintenance[1].hours: are the whole week, so the window never ends"


def test_what_is_probably_a_mistake_is_a_warning() -> None:
    found, warnings = checked(
        routes=[
            {"match": {"severity": "info"}, "channels": ["x"]},
            {"match": {"reason": "OutOfMemory", "detail_type": "ECS Task State Chang"}, "channels": ["x"]},
        ],
        rules=[{"match": PROD, "cause": "out_of_memmory"}],
    )
    assert found == []
    assert warnings == [
        f"routes[2].match.detail_type: 'ECS Task State Chang' matches no detail-type {UNKNOWN} ECS Task State Change?",
        "routes[2].match.reason: matches only a reason that is exactly this text; write '*OutOfMemory*'",
        "routes[1]: takes only severity info, which is recorded and never announced",
        "rules[1].cause: is a cause of your own; did you mean out_of_memory?",
    ]


def test_the_function_does_not_look_for_what_never_matches() -> None:
    """Its start is for alerts. What it is given has been checked."""
    from router.channels.configured import no_secret_client  # noqa: PLC0415
    from router.channels.secrets import Secrets  # noqa: PLC0415

    table = {"routes": [{"channels": ["x"]}, {"channels": ["x"]}]}
    config = parse(table, no_plugins(), {}, Secrets(no_secret_client, no_secret_client, float))
    assert [problem for problem in config.problems if "never reached" in problem] == []


def test_a_channel_that_gets_nothing_or_twice_is_a_warning() -> None:
    slack = {"kind": "slack", "webhook_url": "https://hooks.slack.com/services/T0/B0/x"}
    channels = {"one": slack, "two": slack, "spare": {**slack, "webhook_url": slack["webhook_url"] + "y"}}
    table = {"channels": channels, "routes": [{"channels": ["one", "two"]}]}
    warnings = [warning for warning in parse(table, load(ROOT / "plugins"), {}).warnings if "literal" not in warning]
    assert warnings == [
        "channels.spare: no route names it, so it gets nothing but reports about other channels",
        "routes[1].channels: one and two send to the same place, which gets each message twice",
    ]


@pytest.mark.parametrize("made", [task_stopped(), hook(), alarm(), codedeploy(), daemon_action(), service_action()])
def test_the_types_of_events_are_known(made: Raw) -> None:
    _, warnings = checked(routes=[{"match": {"detail_type": made["detail-type"]}, "channels": ["x"]}])
    assert warnings == []
