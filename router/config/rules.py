"""The user's own word, after the built-in table: `[[rules]]` of alert-router.toml. The first that matches counts."""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from router.config.globs import compiled
from router.model import Classification, Event, Severity, SubjectKind

FACTS = (
    "account",
    "cause",
    "cluster",
    "container",
    "detail_type",
    "event_name",
    "family",
    "image",
    "reason",
    "region",
    "rule",
    "service",
    "severity",
    "stop_code",
    "subject",
    "task_definition",
)
"""What a rule can match by globs, besides `exit_code`."""


class UserRule(NamedTuple):
    """One table of `[[rules]]`.

    Attributes:
        match: fact to globs; all facts must match, of each fact any value by any glob, without regard to case.
        exit_codes: some container's; empty matches everything.
        severity, cause, resolves: what to change; None leaves it.
        runbook_url: stands in the messages; "" for none.
    """

    name: str
    match: Mapping[str, tuple[str, ...]]
    exit_codes: frozenset[int] = frozenset()
    severity: Severity | None = None
    cause: str | None = None
    resolves: bool | None = None
    runbook_url: str = ""


def apply(
    rules: Sequence[UserRule], event: Event, classification: Classification
) -> tuple[Classification, UserRule | None]:
    """The classification after the first rule that matches, and that rule; as it was, and None, where none does."""
    if not rules:
        return classification, None
    facts = lowered(_facts(event, classification))
    exit_codes = {container.exit_code for container in event.containers}
    for rule in rules:
        if matches(rule.match, facts) and (not rule.exit_codes or rule.exit_codes & exit_codes):
            return _changed(classification, rule), rule
    return classification, None


def _changed(before: Classification, rule: UserRule) -> Classification:
    return before._replace(
        severity=before.severity if rule.severity is None else rule.severity,
        cause=before.cause if rule.cause is None else rule.cause,
        resolves=before.resolves if rule.resolves is None else rule.resolves,
        rule=f"{before.rule}, then {rule.name}",
    )


def matches(match: Mapping[str, tuple[str, ...]], facts: Mapping[str, Sequence[str]]) -> bool:
    """Whether, of every fact that `match` names, some value (in lower case) matches some glob."""
    for fact, globs in match.items():  # noqa: SIM110 - all() takes twice as long, and there may be hundreds of rules
        if not any(map(compiled(globs), facts[fact])):
            return False
    return True


def lowered(facts: Mapping[str, Iterable[str]]) -> dict[str, list[str]]:
    """The facts as `matches` wants them."""
    return {fact: [value.lower() for value in values] for fact, values in facts.items()}


def _facts(event: Event, classification: Classification) -> Mapping[str, Sequence[str]]:
    kind, name = event.subject.kind, event.subject.name
    return {
        "account": [event.account],
        "cause": [classification.cause],
        "cluster": [event.subject.cluster],
        "container": [container.name for container in event.containers],
        "detail_type": [event.detail_type],
        "event_name": [event.name],
        "family": [name] if kind is SubjectKind.FAMILY else [],
        "image": [container.image for container in event.containers],
        "reason": [event.reason, *(container.reason for container in event.containers)],
        "region": [event.region],
        "rule": [classification.rule],
        "service": [name] if kind is SubjectKind.SERVICE else [],
        "severity": [classification.severity.value],
        "stop_code": [event.stop_code],
        "subject": [event.subject.text],
        "task_definition": [event.task_definition],
    }
