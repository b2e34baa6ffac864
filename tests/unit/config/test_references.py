"""References to variables, parameters and secrets: which are well-formed, and what they are replaced by."""

from typing import Any

import pytest

from router.config.references import from_environment, problem_of, problems_of


@pytest.mark.parametrize(
    "value",
    [
        "env:SLACK_WEBHOOK_URL",
        "ssm:/slack",
        "ssm:/ecs-alert-router/slack.2",
        "secretsmanager:slack",
        "secretsmanager:team/slack#url",
        "secretsmanager:rds!db-1#a key",
        "https://hooks.slack.com/services/T0/B0/x",
        "environment",
        "arn:aws:sns:eu-west-1:123456789012:alerts",
        "",
    ],
)
def test_a_well_formed_reference_and_a_literal_are_taken(value: str) -> None:
    assert problem_of(value) == ""


@pytest.mark.parametrize(
    ("value", "fix"),
    [
        ("ssm:slack", "begins with /"),
        ("ssm:", "begins with /"),
        ("ssm:/", "begins with /"),
        ("ssm:/a//b", "begins with /"),
        ("ssm:/a/", "begins with /"),
        ("ssm:/a:3", "begins with /"),
        ("ssm: /a", "begins with /"),
        ("env:", "the name of a variable"),
        ("env:$SLACK", "the name of a variable"),
        ("env:SLACK WEBHOOK", "the name of a variable"),
        ("env:${SLACK}", "the name of a variable"),
        ("secretsmanager:", "a secret's name"),
        ("secretsmanager:#key", "a secret's name"),
        ("secretsmanager:name#", "a secret's name"),
        ("secretsmanager:a#b#c", "a secret's name"),
        ("ENV:SLACK", "lower case"),
        ("SSM:/slack", "lower case"),
        (" ssm:/slack", "without spaces"),
        ("secretmanager:slack", "secretsmanager:name"),
        ("secrets-manager:slack", "secretsmanager:name"),
        ("parameter-store:/slack", "ssm:/path"),
        ("arn:aws:secretsmanager:eu-west-1:123456789012:secret:slack-AbCdEf", "by name"),
        ("secretsmanager:arn:aws:secretsmanager:eu-west-1:123456789012:secret:slack-AbCdEf", "by name"),
        ("ssm:arn:aws:ssm:eu-west-1:123456789012:parameter/slack", "by name"),
    ],
)
def test_a_malformed_reference_is_named_with_what_would_be_right(value: str, fix: str) -> None:
    assert fix in problem_of(value)


def test_a_variable_may_hold_a_reference_but_no_other_variable() -> None:
    environ = {"GOOD": "ssm:/slack", "BAD": "ssm:slack", "OTHER": "env:GOOD", "SECRET": "https://s3cret"}
    assert problems_of("env:GOOD", environ) == problems_of("env:UNSET", environ) == problems_of("env:SECRET", {}) == []
    (bad,), (other,) = problems_of("env:BAD", environ), problems_of("env:OTHER", environ)
    assert bad.startswith("env:BAD must be ssm:")
    assert other == "env:OTHER holds env:GOOD, another variable: refer to that one"


def test_references_inside_of_tables_and_lists_count_too() -> None:
    value: Any = {"queue": {"critical": "env:KEY"}, "to": ["env:FIRST", "env:UNSET", "x"], "count": 3}
    environ = {"KEY": " k ", "FIRST": "a@example.com"}
    assert from_environment(value, environ) == {
        "queue": {"critical": "k"},
        "to": ["a@example.com", "", "x"],
        "count": 3,
    }
    queue, to = problems_of({"queue": {"critical": "ssm:k"}, "to": ["env:"]}, {})
    assert queue.startswith("queue: critical: must be ssm: and the whole name of a parameter")
    assert to.startswith("to: 1: must be env: and the name of a variable")
