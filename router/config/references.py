"""Values that refer to others: `env:NAME`, `ssm:/path`, `secretsmanager:name` and `secretsmanager:name#key`.

An environment variable may itself hold a reference to a secret.
"""

import re
from collections.abc import Mapping
from typing import Any

_LOOKS_LIKE_ONE = re.compile(
    r"\s*(?:env|ssm|secrets?[ _-]?manager|(?:parameter|param)[ _-]?store|arn:[a-z-]+:(?:ssm|secretsmanager))\s*:",
    re.IGNORECASE,
)
_ARN = re.compile(r"(?:[a-z]+:)?arn:", re.IGNORECASE)
_FORMS = (
    ("env:", re.compile(r"env:[A-Za-z_][A-Za-z0-9_]*"), "env: and the name of a variable, as env:SLACK_WEBHOOK_URL"),
    (
        "ssm:",
        re.compile(r"ssm:(?:/[A-Za-z0-9_.-]+)+"),
        "ssm: and the whole name of a parameter, which begins with /, as ssm:/ecs-alert-router/slack",
    ),
    (
        "secretsmanager:",
        re.compile(r"secretsmanager:[A-Za-z0-9/_+=.@!-]+(?:#[^#\s][^#]*)?"),
        "secretsmanager: and a secret's name, as secretsmanager:ecs-alert-router, or secretsmanager:NAME#KEY",
    ),
)


def problem_of(value: str) -> str:
    """What is wrong with a value that is meant to be a reference; "" if nothing is, or it is a literal."""
    if not _LOOKS_LIKE_ONE.match(value):
        return ""
    if _ARN.match(value):
        return "is the ARN of a secret or parameter: refer to it by name, as secretsmanager:name or ssm:/path"
    for prefix, form, what in _FORMS:
        if value.startswith(prefix):
            return "" if form.fullmatch(value) else f"must be {what}"
    return "must be a reference of the form env:NAME, ssm:/path or secretsmanager:name, without spaces, in lower case"


def variable_of(value: Any) -> str | None:
    """The name of the environment variable that an `env:` reference refers to; None for any other value."""
    return value.removeprefix("env:") if isinstance(value, str) and value.startswith("env:") else None


def from_environment(value: Any, environ: Mapping[str, str]) -> Any:
    """The value with each `env:` reference replaced, also inside of tables and lists; "" for an unset variable."""
    variable = variable_of(value)
    if variable is not None:
        return environ.get(variable, "").strip()
    if isinstance(value, Mapping):
        return {key: from_environment(option, environ) for key, option in value.items()}
    if isinstance(value, list):
        return [from_environment(option, environ) for option in value]
    return value


def problems_of(value: Any, environ: Mapping[str, str]) -> list[str]:
    """What is wrong with the references in an option's value. None of them shows the value, which may be a secret."""
    if isinstance(value, Mapping | list):
        inner = value.items() if isinstance(value, Mapping) else enumerate(value, start=1)
        return [f"{key}: {problem}" for key, option in inner for problem in problems_of(option, environ)]
    if not isinstance(value, str):
        return []
    if problem := problem_of(value):
        return [problem]
    meant = from_environment(value, environ)
    if meant == value:
        return []
    if meant.startswith("env:"):
        return [f"{value} holds {meant}, another variable: refer to that one"]
    return [f"{value} {problem}"] if (problem := problem_of(meant)) else []
