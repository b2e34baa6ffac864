"""`[[rules]]` of alert-router.toml: the user's own rules, applied after the built-in table. The first match wins."""

from collections.abc import Sequence
from typing import NamedTuple

from router.config.match import RULE_SEPARATOR, Match, facts_of, matches
from router.model import Alert, Classification, Severity


class UserRule(NamedTuple):
    """One table of `[[rules]]`.

    Attributes:
        severity, cause, resolves: replace the classification's; None keeps it.
        runbook_url: shown in the messages; "" for none.
    """

    name: str
    match: Match
    severity: Severity | None = None
    cause: str | None = None
    resolves: bool | None = None
    runbook_url: str = ""


def apply(
    rules: Sequence[UserRule], alert: Alert, classification: Classification
) -> tuple[Classification, UserRule | None]:
    """Applies the first rule that matches. Returns the new classification and the rule, or the old one and None.

    Args:
        alert: the alert as `classification`, the table's or a plugin's, has it.
    """
    if not rules:
        return classification, None
    facts = facts_of(alert)
    for rule in rules:
        if matches(rule.match, facts):
            changed = Classification(
                severity=classification.severity if rule.severity is None else rule.severity,
                cause=classification.cause if rule.cause is None else rule.cause,
                resolves=classification.resolves if rule.resolves is None else rule.resolves,
                rule=f"{classification.rule}{RULE_SEPARATOR}{rule.name}",
            )
            return changed, rule
    return classification, None
