"""No control, bidirectional or otherwise hidden character reaches a plugin, whatever its source."""

from dataclasses import replace
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local_aws import events
from router.ecs.normalise import normalise
from router.incident.state import Dispatch, MessageOptions, SubjectState
from router.messages.bundle import bundle
from router.messages.hygiene import cleaned
from router.messages.render import notification
from router.model import (
    Alert,
    ChannelConfig,
    Enrichment,
    Incident,
    IncidentStatus,
    Kind,
    Message,
    Notification,
    Recurrence,
    Silenced,
)
from router.text.characters import clean
from tests.doubles.hostile_events import alerts
from tests.doubles.oom import ALERT, INCIDENT
from tests.doubles.text import ANY_TEXT, hidden_characters, texts


def incident_of(made: Alert, **changes: Any) -> Incident:
    subject, causes = made.subject, {made.cause: 2}
    return replace(INCIDENT, subject=subject, causes=causes, tasks=(made.task,) * 2, alert=made, **changes)


def assert_clean(told: Notification) -> None:
    for text in texts(told):
        assert not hidden_characters(text), ascii(text)
    message = told.message
    assert all(
        len(line.splitlines()) <= 1 for line in (message.title, told.mention, *(pair[0] for pair in message.facts))
    )
    assert message.text.endswith(message.hint)


@pytest.mark.parametrize("language", ["en", "ja"])
@pytest.mark.parametrize("kind", Kind)
@given(alerts())
def test_no_text_of_an_event_brings_a_hidden_character(kind: Kind, language: str, made: Alert) -> None:
    """For each kind of message in both languages."""
    config = ChannelConfig("chat", "chat", {}, language=language)
    dispatch = Dispatch("chat", kind, 1, 1, is_first=True, severity=made.severity, suppressed={made.cause: 2})
    status, ended_at = ("resolved", made.at + 60) if kind is Kind.RESOLVED else ("open", None)
    incident = incident_of(made, status=status, ended_at=ended_at)
    known = Enrichment(recurrence=Recurrence(1, 2, made.at - 60, made.at - 90))
    assert_clean(notification(dispatch, incident, config, known))


@pytest.mark.parametrize("language", ["en", "ja"])
@given(st.lists(st.tuples(alerts(), st.sampled_from(Kind)), min_size=2, max_size=4))
def test_no_text_of_a_bundled_event_brings_a_hidden_character(language: str, members: list[tuple[Alert, Kind]]) -> None:
    parts = [
        (
            SubjectState(made.subject, incident=incident_of(made)),
            Dispatch("chat", kind, 1, 1, is_first=False, severity=made.severity, suppressed={}),
        )
        for made, kind in members
    ]
    assert_clean(bundle(parts, ChannelConfig("chat", "chat", {}, language=language)))


@given(st.sampled_from(Kind), *[ANY_TEXT] * 3)
def test_no_text_of_operators_configuration_plugins_or_logs_brings_a_hidden_character(
    kind: Kind, one: str, two: str, three: str
) -> None:
    silenced = Silenced(1.0, 2.0, 3, {one: two})
    made = replace(ALERT, rule=f"oom, then {three}", runbook_url=f"https://wiki.example/{one}")
    status = IncidentStatus.CLOSED if kind is Kind.RESOLVED else IncidentStatus.OPEN
    incident = incident_of(made, status=status, silenced=silenced, closed_by=one, closed_because=two)
    known = Enrichment(
        facts={one: two, three: one}, memory={one: 512}, logs=(clean(one), clean(two)), log_excerpt=f"{three}\n{two}"
    )
    dispatch = Dispatch("chat", kind, 1, 1, False, made.severity, {}, options=MessageOptions(f"<!here>{three}"))  # noqa: FBT003
    config = ChannelConfig("chat", "chat", {})
    assert_clean(notification(dispatch, incident, config, known))
    assert_clean(bundle([(SubjectState(made.subject, incident=incident), dispatch)] * 2, config))


@given(*[ANY_TEXT] * 4)
def test_reason_and_hint_still_end_the_text(lead: str, reason: str, hint: str, title: str) -> None:
    """A channel uses `lead` to separate them."""
    reason, hint = " ".join(reason.split()), " ".join(hint.split())
    message = Message(title, "\n".join(filter(None, [lead, reason, hint])), reason=reason, hint=hint)
    told = cleaned(Notification(Kind.OPENED, message, ALERT, INCIDENT)).message
    assert told.text.endswith(told.hint)
    assert told.text.removesuffix(told.hint).rstrip().endswith(told.reason.rstrip())


def test_a_link_whose_target_differs_from_its_text_is_omitted() -> None:
    links = (
        ("Bad", "https://good.example@evil.example/"),
        ("Worse", "javascript:x"),
        ("Good\n", "https://a.example/ü"),
    )
    told = cleaned(Notification(Kind.OPENED, Message("x", "y", links=links), ALERT, INCIDENT))
    assert told.message.links == (("Good", "https://a.example/%C3%BC"),)


def test_a_fact_with_only_hidden_characters_is_omitted() -> None:
    facts = (("a", "\x1b"), ("\u202e", "b"), ("c\n", "\td\x00"))
    told = cleaned(Notification(Kind.OPENED, Message("x", "y", facts, details=facts), ALERT, INCIDENT)).message
    assert told.facts == told.details == (("c", "\td"),)


def test_a_clean_message_is_not_copied() -> None:
    """Channels share one message."""
    message = Message("x", "y\nz", (("a", "b"),), (("c", "https://d.example/"),), "e", "y", "z", (("f", "g"),))
    told = cleaned(Notification(Kind.OPENED, message, ALERT, INCIDENT))
    assert told.message is message
    assert told.incident is INCIDENT
    assert told.alert is ALERT


def test_history_keeps_the_event_unchanged() -> None:
    raw = events.task_stopped(None, "a\u202eb", group="service:we\u200bb")
    event = normalise(raw)
    assert (event.reason, event.subject.name) == ("ab", "web")
    assert event.detail["stoppedReason"] == "a\u202eb"
    assert not isinstance(event.detail, MappingProxyType)
