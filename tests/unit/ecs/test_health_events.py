"""Messages of AWS Health about ECS and Fargate."""

import json
from collections.abc import Sequence
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from local_aws import events
from router.ecs.classify import alert, classify
from router.ecs.normalise import normalise
from router.model import Decision, EndedBy, Event, IncidentStatus, Kind
from tests.doubles.examples import share
from tests.doubles.world import DAY, HOUR, MINUTE, START, World

SAMPLES = Path(__file__).resolve().parents[4] / "shared" / "facts" / "samples"
TASK = "arn:aws:ecs:eu-west-1:123456789012:task/batch/30d5ec8ed94c4132a1dc9879332b8cbe"


def rfc1123(at: float) -> str:
    return formatdate(at, usegmt=True)


def message(*resources: str, at: float = START, end: float | None = START + 3 * DAY, **detail: Any) -> events.Raw:
    """A message that AWS Health sends at that time; one that is the same in all but its time is an update."""
    fields = {
        "lastUpdatedTime": rfc1123(at),
        "startTime": rfc1123(START + 2 * DAY),
        "endTime": rfc1123(end) if end else None,
        "communicationId": f"c{int(at)}-1",
        **detail,
    }
    return events.health(*resources, **fields) | {"id": f"h-{at}-{sorted(fields.items())}"[:200], "time": "x"}


def page(number: int, *resources: str, at: float = START, of: int = 2) -> events.Raw:
    return message(*resources, at=at, page=str(number), totalPages=str(of), communicationId=f"c{int(at)}-{number}")


def copied(raw: events.Raw) -> events.Raw:
    """The copy in the backup Region."""
    return {**raw, "region": "us-west-2", "id": "copy", "detail": {**raw["detail"], "backupEvent": True}}


def verdict(raw: events.Raw) -> str:
    decided = classify(normalise(raw))
    return f"{decided.severity} {decided.cause}{'!' * decided.resolves}"


class TestSubject:
    def test_region_and_account_are_those_of_the_detail(self) -> None:
        raw = message("prod|web", eventRegion="eu-central-1", affectedAccount="444455556666")
        subject = normalise(raw | {"account": "111122223333", "region": "us-west-2"}).subject
        assert (subject.account, subject.region, subject.cluster) == ("444455556666", "eu-central-1", "-")
        assert subject.text == f"health-event:{raw['detail']['eventArn']}"

    def test_the_envelope_stands_in_for_what_the_detail_lacks(self) -> None:
        raw = message("prod|web", eventRegion=None, affectedAccount=None)
        assert normalise(raw).subject.region == raw["region"]
        assert normalise(raw).subject.account == raw["account"]

    @pytest.mark.parametrize("arn", [None, "", 5, "x" * 5000])
    def test_an_arn_of_any_form_names_a_subject_of_bounded_length(self, arn: object) -> None:
        assert 0 < len(normalise(message(eventArn=arn)).subject.name) <= 255

    def test_the_time_is_that_of_the_update(self) -> None:
        assert normalise(message(at=START), now=START).at == START

    @pytest.mark.parametrize("time", ["", "yesterday", None, 5, "Wed, 32 Aug 2023 99:18:51 GMT"])
    def test_a_time_that_is_none_is_the_envelopes(self, time: object) -> None:
        assert normalise(events.health(lastUpdatedTime=time)).at > 0


class TestWhatIsAffected:
    def details(self, raw: events.Raw) -> dict[str, str]:
        return dict(normalise(raw).details)

    def test_resources_name_services_and_standalone_tasks(self) -> None:
        assert self.details(message("prod|web", "prod|web", "prod|api"))["affected"] == "prod/web, prod/api"
        assert self.details(message(TASK))["affected"] == "batch/30d5ec8e"

    def test_the_entities_of_services_may_be_their_tasks(self) -> None:
        raw = message("prod|web", affectedEntities=[{"entityValue": TASK}])
        assert verdict(raw) == "warning retirement_scheduled"

    def test_one_standalone_task_makes_it_an_error(self) -> None:
        assert verdict(message("prod|web", TASK)) == "error retirement_scheduled"

    def test_without_resources_the_entities_count(self) -> None:
        raw = message(affectedEntities=[{"entityValue": TASK, "lastupdatedTime": "x", "statusCode": "PENDING"}])
        assert verdict(raw) == "error retirement_scheduled"

    def test_it_is_kept_by_the_detail_that_history_stores(self) -> None:
        event = normalise(message("prod|web", affectedEntities=[{"entityValue": TASK}]))
        replayed = normalise(message() | {"detail": dict(event.detail), "resources": []})
        assert replayed.details == event.details

    def test_many_are_counted_and_ten_are_named(self) -> None:
        details = self.details(message(*(f"prod|service-{number}" for number in range(400))))
        assert details["affectedCount"] == "400"
        assert len(details["affected"].split(", ")) == 10

    @pytest.mark.parametrize("resources", [None, "x", 5, [None, 5, {}], ["", " "]])
    def test_garbage_affects_nothing(self, resources: object) -> None:
        assert "affected" not in self.details(message(affectedEntities="x") | {"resources": resources})


class TestOneIncident:
    @settings(max_examples=share(30), deadline=None)
    @given(st.permutations(range(4)))
    def test_pages_and_copies_are_announced_once_in_whatever_order_they_arrive(self, order: Sequence[int]) -> None:
        first, second = page(1, "prod|web"), page(2, "prod|api")
        arriving = [first, second, copied(first), copied(second)]
        world = World()
        for index in order:
            world.receive(arriving[index])
            world.wait(MINUTE)
        world.wait(HOUR)
        assert world.slack.kinds == [Kind.OPENED]

    def test_each_page_and_each_copy_has_its_row_and_a_redelivery_has_none(self) -> None:
        first, second = page(1, "prod|web"), page(2, "prod|api")
        world = World()
        decisions = world.decisions(first, second, copied(first), copied(second) | {"id": "copy-2"})
        assert decisions == [Decision.ANNOUNCED] + [Decision.HELD_BACK] * 3
        assert world.decisions(second, first) == [Decision.HELD_BACK, Decision.ANNOUNCED]
        rows = world.rows("alert#")
        assert sorted(row["event_id"] for row in rows) == sorted([first["id"], second["id"], "copy", "copy-2"])
        assert [row["decision"] for row in rows if row["incident"]] == [Decision.ANNOUNCED]
        world.wait(HOUR)
        assert world.slack.kinds == [Kind.OPENED]
        assert world.slack.told[0].incident.causes == {"retirement_scheduled": 1}

    def test_a_page_with_standalone_tasks_after_one_of_services_is_announced_as_worse(self) -> None:
        world = World()
        world.receive(page(1, "prod|web"))
        assert world.decisions(page(2, TASK)) == [Decision.ANNOUNCED]
        assert world.slack.kinds == [Kind.OPENED, Kind.UPDATED]

    def test_a_worse_page_leaves_the_row_of_the_page_before_it(self) -> None:
        first, second, third = page(1, "prod|web", of=3), page(2, TASK, of=3), page(3, TASK, "prod|api", of=3)
        world = World()
        decisions = world.decisions(first) + world.decisions(second) + world.decisions(third)
        assert decisions == [Decision.ANNOUNCED, Decision.ANNOUNCED, Decision.HELD_BACK]
        assert world.decisions(third, second, first) == [Decision.HELD_BACK, Decision.ANNOUNCED, Decision.ANNOUNCED]
        rows = {
            row["event_id"]: (row["severity"], row["version"], bool(row["incident"])) for row in world.rows("alert#")
        }
        assert rows == {
            first["id"]: ("warning", 1, True),
            second["id"]: ("error", 1, True),
            third["id"]: ("error", 1, False),
        }
        assert world.slack.kinds == [Kind.OPENED, Kind.UPDATED]
        assert world.slack.told[-1].incident.count == 2

    def test_a_page_of_services_after_one_of_standalone_tasks_is_not_announced(self) -> None:
        world = World()
        world.receive(page(2, TASK), page(1, "prod|web"))
        world.wait(HOUR)
        assert world.slack.kinds == [Kind.OPENED]

    def test_an_update_is_held_back_and_does_not_end_it(self) -> None:
        world = World()
        world.receive(message("prod|web"))
        assert world.decisions(message("prod|web", at=START + 60, statusCode="open")) == [Decision.HELD_BACK]
        world.wait(HOUR)
        assert Kind.RESOLVED not in world.slack.kinds

    def test_closed_ends_it(self) -> None:
        world = World()
        world.receive(message("prod|web"))
        world.wait(HOUR)
        world.receive(message("prod|web", at=world.now, statusCode="closed"))
        world.wait(10 * MINUTE)
        assert world.slack.kinds == [Kind.OPENED, Kind.RESOLVED]
        assert world.slack.told[-1].incident.ended_by is EndedBy.HEALTH_EVENT_CLOSED

    def test_an_older_update_that_arrives_after_closed_reopens_nothing(self) -> None:
        world = World()
        world.receive(message("prod|web", at=START + 60, statusCode="closed"))
        assert world.decisions(message("prod|web")) == [Decision.ALREADY_RESOLVED]

    def test_it_ends_a_day_after_its_end_time_however_long_nothing_is_heard_of_it(self) -> None:
        end = START + 10 * DAY
        world = World()
        world.receive(message(TASK, end=end))
        world.wait(end + 23 * HOUR - world.now, step=HOUR)
        assert Kind.RESOLVED not in world.slack.kinds
        world.wait(2 * HOUR)
        told = world.slack.told[-1]
        assert told.kind is Kind.RESOLVED
        assert told.incident.status is IncidentStatus.RESOLVED
        assert told.incident.ended_by is EndedBy.HEALTH_EVENT_EXPIRED
        assert "approval" not in told.message.text
        assert told.incident.ended_at == end

    def test_a_reminder_does_not_say_that_something_fails(self) -> None:
        world = World()
        world.receive(message(TASK))
        world.wait(25 * HOUR, step=10 * MINUTE)
        assert world.slack.told[-1].message.title == "Ongoing: standalone task batch/30d5ec8e (AWS will retire tasks)"

    def test_an_issue_without_an_end_time_is_given_up_after_a_week(self) -> None:
        world = World()
        issue: dict[str, Any] = {"code": "AWS_ECS_OPERATIONAL_ISSUE", "category": "issue", "statusCode": "open"}
        world.receive(message(startTime=rfc1123(START), end=None, **issue))
        world.wait(8 * DAY, step=HOUR)
        assert world.slack.told[-1].incident.status is IncidentStatus.UNCONFIRMED

    def test_a_retirement_without_an_end_time_is_not_given_up_before_it_takes_place(self) -> None:
        world = World()
        world.receive(message(TASK, startTime=rfc1123(START + 14 * DAY), end=None))
        world.wait(20 * DAY, step=HOUR)
        assert Kind.RESOLVED not in world.slack.kinds
        world.wait(2 * DAY, step=HOUR)
        assert world.slack.told[-1].incident.status is IncidentStatus.UNCONFIRMED

    def test_a_retirement_that_is_postponed_for_months_is_one_incident_with_a_reminder_a_day(self) -> None:
        """Each update moves the end by 30 days. AWS closes the Health event after 100 days."""
        world = World()
        for _ in range(4):
            world.receive(message(TASK, at=world.now, end=world.now + 30 * DAY, statusCode="open"))
            world.wait(25 * DAY, step=HOUR)
        assert 98 <= len(world.slack.told) <= 105
        world.receive(message(TASK, at=world.now, statusCode="closed"))
        world.wait(10 * MINUTE)
        assert world.slack.kinds == [Kind.OPENED, *[Kind.UPDATED] * (len(world.slack.told) - 2), Kind.RESOLVED]
        assert world.pager.kinds == [Kind.OPENED, *[Kind.UPDATED] * 3, Kind.RESOLVED]  # no reminders

    def test_two_health_events_are_two_incidents(self) -> None:
        world = World()
        world.receive(message("prod|web"), message("prod|web", eventArn="arn:aws:health:eu-west-1::event/ECS/X/Y"))
        assert world.slack.kinds == [Kind.OPENED] * 2

    def test_a_change_that_is_planned_for_next_year_is_no_condition(self) -> None:
        event = normalise(message(code="AWS_ECS_PLANNED_LIFECYCLE_EVENT", end=START + 365 * DAY))
        assert alert(event, classify(event)).effects.begins == ()


# --- the samples ------------------------------------------------------------------------------------------------------

without_samples = pytest.mark.skipif(not SAMPLES.is_dir(), reason=f"no samples of AWS's events at {SAMPLES}")
EXPECTED = {
    "cloudtrail-runtask-access-denied-passrole": "error task_not_started",
    "cloudtrail-runtask-failures-fargate-capacity": "error task_not_started",
    "cloudtrail-runtask-failures-resource-memory": "error task_not_started",
    "cloudtrail-runtask-invalid-parameter": "error task_not_started",
    "cloudtrail-runtask-success": "info runtask",
    "cloudtrail-starttask-inactive": "error task_not_started",
    "health-ecs-operational-issue-closed": "info aws_issue!",
    "health-ecs-operational-issue-open": "warning aws_issue",
    "health-fargate-retirement-backup-region": "warning retirement_scheduled",
    "health-fargate-retirement-page-1-of-2": "warning retirement_scheduled",
    "health-fargate-retirement-page-2-of-2": "warning retirement_scheduled",
    "health-fargate-retirement-service": "warning retirement_scheduled",
    "health-fargate-retirement-standalone": "error retirement_scheduled",
}


def sample(name: str) -> events.Raw:
    raw: events.Raw = json.loads((SAMPLES / f"{name}.json").read_text("utf-8"))
    return raw


def subject_of(name: str) -> Event:
    return normalise(sample(name))


@without_samples
@pytest.mark.parametrize("name", EXPECTED)
def test_a_sample_is_classified(name: str) -> None:
    assert verdict(sample(name)) == EXPECTED[name]


@without_samples
def test_every_sample_of_these_kinds_is_expected() -> None:
    found = {path.stem for kind in ("cloudtrail", "health") for path in SAMPLES.glob(f"{kind}-*.json")}
    assert found == EXPECTED.keys()


@without_samples
@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("health-fargate-retirement-page-1-of-2", "health-fargate-retirement-page-2-of-2"),
        ("health-fargate-retirement-standalone", "health-fargate-retirement-backup-region"),
    ],
)
def test_pages_and_backup_copies_of_the_samples_are_one_occurrence(one: str, other: str) -> None:
    first, second = subject_of(one), subject_of(other)
    assert (first.subject, first.occurrence) == (second.subject, second.occurrence)


@without_samples
def test_the_issue_of_the_samples_opens_and_ends_one_incident() -> None:
    opened, closed = subject_of("health-ecs-operational-issue-open"), subject_of("health-ecs-operational-issue-closed")
    assert opened.subject == closed.subject
    assert opened.occurrence != closed.occurrence
    begun = alert(opened, classify(opened)).effects.begins
    ended = alert(closed, classify(closed)).effects.ends
    assert [condition.key for condition in begun] == [condition.key for condition in ended]
