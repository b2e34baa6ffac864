"""router.messages.data: what docs/incident.schema.json promises to programs."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator, FormatChecker

from router.messages.data import SCHEMA_VERSION, incident_data, timestamp
from router.messages.hygiene import cleaned
from router.model import Container, EndedBy, Incident, Kind, Message, Notification, Reason, Severity, SubjectKind
from router_conformance.channel import NOTIFICATIONS
from tests.doubles.oom import ALERT, INCIDENT

SCHEMA = json.loads(Path(__file__).parents[3].joinpath("docs/incident.schema.json").read_text("utf-8"))
VALIDATOR = Draft202012Validator(SCHEMA, format_checker=FormatChecker())
MESSAGE = Message("title", "text")


def data(incident: Incident = INCIDENT, kind: Kind = Kind.OPENED, **changes: Any) -> dict[str, Any]:
    return incident_data(cleaned(Notification(kind, MESSAGE, ALERT, incident, **changes)))


def test_the_schema_is_one() -> None:
    Draft202012Validator.check_schema(SCHEMA)
    assert SCHEMA["$id"] == f"urn:ecs-alert-router:incident:{SCHEMA_VERSION}"


@pytest.mark.parametrize("name", NOTIFICATIONS)
def test_every_notification_is_what_the_schema_says(name: str) -> None:
    found = incident_data(NOTIFICATIONS[name])
    assert [error.message for error in VALIDATOR.iter_errors(found)] == []


@pytest.mark.parametrize("name", NOTIFICATIONS)
def test_the_schema_describes_every_field(name: str) -> None:
    """What is sent and not described could not be relied upon."""
    strict = json.loads(json.dumps(SCHEMA).replace('"required":', '"additionalProperties": false, "required":'))
    assert [
        error.message for error in Draft202012Validator(strict).iter_errors(incident_data(NOTIFICATIONS[name]))
    ] == []


def test_what_programs_read_is_the_same_in_every_language() -> None:
    """Only `message` is for people."""
    told = Notification(Kind.OPENED, MESSAGE, ALERT, INCIDENT)
    other = replace(told, message=Message("題名", "本文", status="重大"))
    ours, theirs = incident_data(told), incident_data(other)
    assert ours.pop("message") != theirs.pop("message")
    assert ours == theirs


def test_it_says_what_happened_to_the_incident_and_why() -> None:
    told = data(kind=Kind.UPDATED, reason=Reason.WORSE, revision=4)
    assert (told["kind"], told["reason"], told["revision"]) == ("updated", "worse", 4)
    assert told["incident"]["id"] == INCIDENT.id
    assert told["incident"]["subject"] == {"kind": "service", "name": INCIDENT.subject.name}
    assert told["incident"]["causes"] == dict(INCIDENT.causes)
    assert told["alert"]["cause"] == ALERT.cause


def test_an_open_incident_has_no_end() -> None:
    assert (data()["incident"]["ended_at"], data()["incident"]["ended_by"]) == (None, "")


def test_the_end_is_a_time_and_what_ended_it() -> None:
    over = replace(INCIDENT, ended_at=1_700_000_000.25, ended_by=EndedBy.STEADY_STATE)
    told = data(over, Kind.RESOLVED)["incident"]
    assert (told["ended_at"], told["ended_by"]) == ("2023-11-14T22:13:20.250Z", "steady_state")


def test_names_that_no_event_gave_are_empty() -> None:
    """A dash could be taken for a cluster's name."""
    subject = INCIDENT.subject._replace(kind=SubjectKind.ALARM, cluster="-", name="cpu")
    told = data(replace(INCIDENT, subject=subject))["incident"]
    assert (told["cluster"], told["subject"]) == ("", {"kind": "alarm", "name": "cpu"})


def test_times_are_rfc_3339_in_utc() -> None:
    assert timestamp(1_700_000_000.0) == "2023-11-14T22:13:20.000Z"


def test_the_worst_case_stays_below_64_kib() -> None:
    """CloudEvents promises that as much gets through; EventBridge charges each 64 KiB as one event."""
    wide = "\U0001f525"
    text = wide * 300_000
    subject = INCIDENT.subject._replace(cluster=wide * 255, name=wide * 255)
    containers = tuple(Container(wide * 255 + str(n), "STOPPED", 1, text, text, text) for n in range(10))
    alert = replace(
        ALERT,
        severity=Severity.CRITICAL,
        cause=wide * 255,
        reason=text,
        stop_code=text,
        task_definition=text,
        subject=subject,
        containers=containers,
        culprits=tuple(container.name for container in containers),
        runbook_url="https://example.com/" + "x" * 300_000,
    )
    causes = {wide * 255 + str(n): 2**31 for n in range(100)}
    incident = replace(INCIDENT, subject=subject, causes=causes, alert=alert, tasks=("f" * 32,) * 10)
    pairs = ((text, text),) * 100
    links = ((text, "https://example.com/" + "x" * 1980),) * 100
    message = Message(text, text, pairs, links, text, text, text, pairs, text, text)
    told = incident_data(Notification(Kind.UPDATED, message, alert, incident))
    assert len(json.dumps(told, ensure_ascii=False, separators=(",", ":")).encode()) <= 65_536 - 1024
