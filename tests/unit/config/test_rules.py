"""The user's own rules, after the built-in table."""

from typing import Any

import pytest

from local_aws.events import Raw, container, task_stopped
from router.config.parse import parse
from router.config.rules import UserRule, apply
from router.ecs.classify import alert, classify
from router.ecs.normalise import normalise
from router.model import Classification, Severity
from tests.doubles.world import World, no_plugins

EXITED_WITH_1 = task_stopped("EssentialContainerExited", "Essential container in task exited", container(exit_code=1))


def after(raw: Raw, *rules: UserRule) -> Classification:
    event = normalise(raw)
    classification = classify(event)
    return apply(rules, alert(event, classification), classification)[0]


def rule(name: str = "mine", **fields: Any) -> UserRule:
    return UserRule(name, **{"match": {}, **fields})


def test_a_rule_changes_only_what_it_sets() -> None:
    before = classify(normalise(EXITED_WITH_1))
    assert after(EXITED_WITH_1, rule(severity=Severity.WARNING)) == Classification(
        Severity.WARNING, before.cause, before.resolves, f"{before.rule}, then mine"
    )
    assert after(EXITED_WITH_1, rule(cause="batch_failed", resolves=True)).cause == "batch_failed"


def test_the_first_rule_that_matches_counts() -> None:
    rules = (rule(match={"cluster": ("elsewhere",)}, cause="no"), rule(cause="first"), rule(cause="second"))
    assert after(EXITED_WITH_1, *rules).cause == "first"


@pytest.mark.parametrize(
    ("match", "matches"),
    [
        ({"cluster": ("PRO*",)}, True),
        ({"cluster": ("batch-*", "prod")}, True),
        ({"service": ("web",), "cause": ("essential_*",)}, True),
        ({"service": ("web",), "cause": ("out_of_memory",)}, False),
        ({"family": ("web",)}, False),
        ({"container": ("app",)}, True),
        ({"reason": ("*essential container*",)}, True),
        ({"severity": ("critical",)}, True),
        ({"task_definition": ("web:*",)}, True),
    ],
)
def test_a_rule_matches_when_all_its_facts_do(match: dict[str, tuple[str, ...]], *, matches: bool) -> None:
    assert (after(EXITED_WITH_1, rule(match=match, cause="mine")).cause == "mine") is matches


def test_the_documented_rule_lowers_the_severity_and_adds_a_runbook() -> None:
    table = {
        "rules": [
            {
                "name": "nightly batch may fail with 1",
                "match": {"cluster": "prod", "cause": "essential_container_exited", "exit_code": [1]},
                "severity": "warning",
                "runbook_url": "https://wiki.example.com/nightly",
            }
        ]
    }
    config = parse(table, no_plugins(), {})
    world = World(rules=config.rules)
    world.receive(EXITED_WITH_1)
    assert world.pager.tried == 0  # a warning pages no one
    assert ("View runbook", "https://wiki.example.com/nightly") in world.slack.told[0].message.links


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"severity": "dreadful"}, "rules[1].severity: must be one of"),
        ({"cause": "Not A Slug"}, "rules[1].cause: must be a slug"),
        ({"match": {"exit_code": [True]}}, "rules[1].match.exit_code: must be a number"),
        ({"match": {}}, "rules[1].match: matches everything"),
        ({"match": {"planet": "mars"}}, "rules[1].match.planet: is not a key"),
        ({"runbook_url": "javascript:alert(1)"}, "rules[1].runbook_url: must be a URL such as https://"),
        ({"runbook_url": "https://good.example@evil.example/"}, "rules[1].runbook_url: must be a URL such as https://"),
        ({"resolves": "yes"}, "rules[1].resolves: must be true or false"),
        ({"sevrity": "error"}, "rules[1].sevrity: is not a key"),
    ],
)
def test_an_invalid_rule_is_reported_with_its_place(fields: dict[str, Any], problem: str) -> None:
    rule_table = {"match": {"cluster": "prod"}, "cause": "mine", **fields}
    problems = parse({"rules": [rule_table]}, no_plugins(), {}).problems
    assert [reported for reported in problems if reported.startswith(problem)], problems


def test_a_rule_that_changes_nothing_is_a_problem() -> None:
    config = parse({"rules": [{"name": "x", "match": {"cluster": "prod"}}]}, no_plugins(), {})
    assert "rules[1]: changes nothing: give it a severity, cause, resolves or runbook_url" in config.problems


@pytest.mark.parametrize("match", [{}, {"planet": "mars"}, {"cluster": "prod", "exit_code": []}, "prod"])
def test_a_rule_whose_match_is_wrong_changes_nothing(match: Any) -> None:
    """It could match more than it was meant to."""
    right = {"match": {"cluster": "prod"}, "cause": "mine"}
    config = parse({"rules": [{"match": match, "severity": "info"}, right]}, no_plugins(), {})
    assert [rule.name for rule in config.rules] == ["rules[2]"]


def test_a_rule_for_everything_says_so() -> None:
    config = parse({"rules": [{"match": {"cluster": "*"}, "severity": "error"}]}, no_plugins(), {})
    assert [problem for problem in config.problems if problem.startswith("rules")] == []
    assert after(EXITED_WITH_1, *config.rules).severity is Severity.ERROR
