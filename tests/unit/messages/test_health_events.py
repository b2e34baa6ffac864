"""Messages about AWS Health events."""

from typing import Any

import pytest

from docs.pages import message
from local_aws import events

TASK = events.arn(f"task/batch/{events.TASK}")


def issue(**detail: Any) -> events.Raw:
    return events.health(code="AWS_ECS_OPERATIONAL_ISSUE", category="issue", statusCode="open", endTime=None, **detail)


@pytest.mark.parametrize(
    ("raw", "title"),
    [
        (events.health("prod|web"), "AWS will retire tasks: service prod/web"),
        (events.health("prod|web", "prod|api"), "AWS will retire tasks: 2 services in eu-west-1"),
        (events.health("prod|web", totalPages="3"), "AWS will retire tasks: services in eu-west-1"),
        (events.health(TASK), "AWS will retire tasks: standalone task batch/0d6e3df3"),
        (events.health(), "AWS will retire tasks: eu-west-1"),
        (issue(), "AWS reports an issue with ECS: eu-west-1"),
        (
            events.health(code="AWS_ECS_PLANNED_LIFECYCLE_EVENT"),
            "AWS plans a change of ECS: eu-west-1",
        ),
    ],
)
def test_the_title_says_what_is_affected_and_never_the_code_of_the_event(raw: events.Raw, title: str) -> None:
    assert message(raw, "en").title == title


def test_it_says_that_nothing_replaces_a_standalone_task() -> None:
    told = message(events.health(TASK), "en")
    assert "will not replace them" in told.lead
    assert "AWS replaces no standalone task" in told.hint
    assert "置き換えられません" in message(events.health(TASK), "ja").text


def test_it_says_that_ecs_replaces_the_tasks_of_services() -> None:
    told = message(events.health("prod|web"), "en")
    assert "ECS starts their replacements automatically" in told.lead
    assert "force a new deployment" in told.hint


def test_the_time_is_the_readers() -> None:
    assert "at or after 2024-08-15 17:00:00 UTC" in message(events.health("prod|web"), "en").lead
    assert "at or after" not in message(events.health("prod|web", startTime="soon"), "en").lead


def test_what_is_affected_is_listed_as_far_as_there_is_room() -> None:
    several = message(events.health(*(f"prod|s{number}" for number in range(12))), "en")
    affected = dict(several.facts)["Affected services"]
    assert affected.startswith("prod/s0, prod/s1, ")
    assert affected.endswith("prod/s9 and 2 more")


def test_it_says_when_there_are_more_pages() -> None:
    assert "in 2 parts" in message(events.health("prod|web", totalPages="2"), "en").lead
    assert "parts" not in message(events.health("prod|web"), "en").lead


def test_the_link_opens_the_event_in_the_aws_health_dashboard() -> None:
    raw = events.health("prod|web")
    link = dict(message(raw, "en").links)["View AWS Health event"]
    assert link.startswith("https://health.aws.amazon.com/health/home#/account/event-log?eventID=arn:aws:health:")
    assert raw["detail"]["eventArn"] in link


@pytest.mark.parametrize("arn", ["arn:aws-cn:health:cn-north-1::event/ECS/X/Y", "not an arn"])
def test_there_is_no_link_where_the_address_is_not_known(arn: str) -> None:
    assert "View AWS Health event" not in dict(message(events.health(eventArn=arn), "en").links)


def test_an_issue_is_told_in_awss_own_words() -> None:
    told = message(
        issue(eventDescription=[{"language": "en_US", "latestDescription": "\\nTasks fail\\nto start."}]), "en"
    )
    assert told.reason == "Tasks fail to start."
    assert told.lead.startswith("AWS reports this for Amazon ECS in eu-west-1 since 2024-08-15 17:00:00 UTC.")
