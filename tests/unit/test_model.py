"""The router's data types."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.model import Message, Subject, SubjectKind

PLACE = ("123456789012", "eu-west-1", "prod")


@pytest.mark.parametrize("kind", [kind for kind in SubjectKind if kind is not SubjectKind.OTHER])
def test_a_subject_reads_its_kind_and_name_from_its_text(kind: SubjectKind) -> None:
    subject = Subject.from_text(*PLACE, f"{kind.value}:a:b")
    assert (subject.kind, subject.name) == (kind, "a:b")


@pytest.mark.parametrize("text", ["new-kind:web", "Service:web", "service", ":web", "-", ""])
def test_a_text_of_an_unknown_kind_becomes_a_subject_of_the_kind_other(text: str) -> None:
    subject = Subject.from_text(*PLACE, text)
    assert (subject.kind, subject.text) == (SubjectKind.OTHER, text)


@given(st.text() | st.sampled_from([*SubjectKind]).map(lambda kind: f"{kind.value}:web"))
def test_a_subjects_text_survives_a_round_trip(text: str) -> None:
    assert Subject.from_text(*PLACE, text).text == text


def test_a_fingerprint_holds_the_subjects_place_and_text() -> None:
    assert Subject(*PLACE, SubjectKind.SERVICE, "web").fingerprint == "123456789012/eu-west-1/prod/service:web"


@pytest.mark.parametrize(
    ("text", "reason", "hint", "lead"),
    [
        ("It died.\nboom\nRestart it.", "boom", "Restart it.", "It died."),
        ("It died.\nboom", "boom", "", "It died."),
        ("boom\nRestart it.", "boom", "Restart it.", ""),
        ("It died.", "", "", "It died."),
        ("It went boom", "boom", "", "It went boom"),
        ("It died.\nboom\nRestart it.\n", " boom", "Restart it. ", "It died."),
        ("History is unavailable.\nIt died.\nboom", "boom", "", "History is unavailable.\nIt died."),
    ],
)
def test_the_lead_is_the_text_without_the_lines_of_the_reason_and_the_hint(
    text: str, reason: str, hint: str, lead: str
) -> None:
    """Only whole lines are left out: the last word of a sentence may be the reason, too."""
    assert Message("x", text, reason=reason, hint=hint).lead == lead
