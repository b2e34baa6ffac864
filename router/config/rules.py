"""`[[rules]]` of alert-router.toml: the user's own rules, applied after the built-in table. The first match wins."""

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
"""The facts that a rule can match with globs. It can also match `exit_code`."""


class UserRule(NamedTuple):
    """One table of `[[rules]]`.

    Attributes:
        match: fact to globs. Every fact must have a value that matches one of its globs; case is ignored.
        exit_codes: at least one container must have exited with one of these; empty matches everything.
        severity, cause, resolves: replace the classification's; None keeps it.
        runbook_url: shown in the messages; "" for none.
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
    """Applies the first rule that matches. Returns the new classification and the rule, or the old one and None."""
    if not rules:
        return classification, None
    facts = lowered(_facts(event, classification))
    exit_codes = {container.exit_code for container in event.containers}
    for rule in rules:
        if matches(rule.match, facts) and (not rule.exit_codes or rule.exit_codes & exit_codes):
            changed = Classification(
                severity=classification.severity if rule.severity is None else rule.severity,
                cause=classification.cause if rule.cause is None else rule.cause,
                resolves=classification.resolves if rule.resolves is None else rule.resolves,
                rule=f"{classification.rule}, then {rule.name}",
            )
            return changed, rule
    return classification, None


def matches(match: Mapping[str, tuple[str, ...]], facts: Mapping[str, Sequence[str]]) -> bool:
    """Whether every fact in `match` has a value, in lower case, that matches one of its globs."""
    for fact, globs in match.items():  # noqa: SIM110 - all() takes twice as long, and there may be hundreds of rules
        if not any(map(compiled(globs), facts[fact])):
            return False
    return True


def lowered(facts: Mapping[str, Iterable[str]]) -> dict[str, list[str]]:
    """The facts with lower-case values, as `matches` expects them."""
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
