"""The page about mutation testing explains mutants of the code as it is."""

import pytest

from tests.mutation import PAGE, ROOT, Change, change_of, explained

EXPLAINED = explained(PAGE.read_text("utf-8"))
DIFF = """# router.incident.outbox.x_drop__mutmut_3: survived
--- router/incident/outbox.py
+++ router/incident/outbox.py
@@ -7,7 +7,7 @@
     entry = state.outbox.get(channel)
-    if entry and entry.is_leased(now):
+    if entry or entry.is_leased(now):
         return state, "it is being sent now"
"""


@pytest.mark.parametrize("change", EXPLAINED, ids=str)
def test_an_explained_mutant_changes_a_line_that_stands_in_the_code(change: Change) -> None:
    """If not: remove the row, run `make mutation`, and explain what survives now."""
    module = change.function.partition(".")[0]
    lines = (ROOT / f"router/incident/{module}.py").read_text("utf-8").splitlines()
    assert change.line in [line.strip() for line in lines]
    assert change.line != change.mutant


def test_the_change_of_a_mutant_is_the_line_before_and_after() -> None:
    assert change_of("router.incident.outbox.x_drop__mutmut_3", DIFF) == Change(
        "outbox.drop", "if entry and entry.is_leased(now):", "if entry or entry.is_leased(now):"
    )


@pytest.mark.parametrize(
    ("name", "function"),
    [
        ("router.incident.outbox.x__sent__mutmut_12", "outbox._sent"),
        ("router.incident.state.xǁOutboxEntryǁis_leased__mutmut_1", "state.OutboxEntry.is_leased"),
        ("router.incident.suppression.xǁSuppressionǁ__bool____mutmut_1", "suppression.Suppression.__bool__"),
    ],
)
def test_a_mutant_is_known_by_its_function(name: str, function: str) -> None:
    assert change_of(name, "").function == function
