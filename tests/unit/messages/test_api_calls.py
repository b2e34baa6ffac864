"""Messages about calls that ECS refused."""

from typing import Any

import pytest

from docs.pages import message
from local_aws import events
from router.messages.hints import HINTS
from router.model import Message

# How each reason begins that "Amazon ECS API failure reasons" and the API Reference list, and a word of its advice.
ADVICE = {
    "RESOURCE:CPU": "cpu",
    "RESOURCE:MEMORY": "memory",
    "RESOURCE:PORTS": "hostPort",
    "RESOURCE:ENI": "awsvpcTrunking",
    "RESOURCE:GPU": "GPU",
    "RESOURCE:NEURON": "resources",
    "AGENT": "agent",
    "LOCATION": "Availability Zones",
    "ATTRIBUTE": "attribute",
    "MISSING": "does not exist",
    "INACTIVE": "deregistered",
    "Capacity is unavailable at this time. Please try again later or in a different availability zone": "Fargate",
    "MemberOf placement constraint unsatisfied.": "placement constraint",
    "NO ACTIVE INSTANCES": "Auto Scaling group",
    "EMPTY CAPACITY PROVIDER": "Auto Scaling group",
    "You've reached the limit on the number of vCPUs you can run concurrently": "Service Quotas",
    "SOMETHING NEW": "Nothing starts this task again",
}
ERRORS = {
    "AccessDenied: User: arn:aws:sts::1:assumed-role/r/s is not authorized to perform: iam:PassRole": "Grant iam:Pass",
    "AccessDenied: User: arn:aws:iam::1:user/u is not authorized to perform: ecs:RunTask": "lacks a permission",
    "AccessDeniedException": "lacks a permission",
    "ClusterNotFoundException: Cluster not found.": "cluster that does not exist",
    "InvalidParameterException: No Container Instances were found in your cluster.": "Auto Scaling group",
    "InvalidParameterException: TaskDefinition is inactive": "Correct what the reason names",
    "ClientException: x": "Correct what the reason names",
    "PlatformUnknownException": "platform version",
    "PlatformTaskDefinitionIncompatibilityException": "platform version",
    "UnsupportedFeatureException": "Region does not support",
    "BlockedException": "AWS Support",
    "ServerException": "pause",
    "ThrottlingException: Rate exceeded": "pause",
    "ConflictException": "pause",
    "NamespaceNotFoundException": "Correct what the reason names",
}


def told(raw: Any, language: str = "en") -> Message:
    return message(raw, language)


@pytest.mark.parametrize(("reason", "word"), ADVICE.items())
def test_each_reason_of_a_failure_has_its_advice(reason: str, word: str) -> None:
    assert word in told(events.run_task(reason)).hint


@pytest.mark.parametrize("language", ["en", "ja"])
@pytest.mark.parametrize(("error", "word"), ERRORS.items())
def test_each_error_of_a_call_has_its_advice(error: str, word: str, language: str) -> None:
    hint = told(events.run_task(error=error), language).hint
    assert hint
    assert language == "ja" or word in hint


def test_details_behind_a_reason_do_not_hide_its_advice() -> None:
    raw = events.run_task("ATTRIBUTE")
    raw["detail"]["responseElements"]["failures"][0]["detail"] = "ecs.capability.task-eni"
    assert "attribute" in told(raw).hint
    assert "ecs.capability.task-eni" in told(raw).reason


def test_no_two_pieces_of_advice_are_the_same() -> None:
    assert len({hint.en for hint in HINTS["task_not_started"]}) == len(HINTS["task_not_started"])


@pytest.mark.parametrize(
    ("raw", "lead"),
    [
        (events.run_task("AGENT"), "scheduler-run-task called RunTask, and ECS refused it."),
        (
            events.run_task("AGENT", "AGENT", count=2),
            "scheduler-run-task called RunTask for 2 tasks, and ECS started none.",
        ),
        (
            events.run_task("AGENT", count=3),
            "scheduler-run-task called RunTask for 3 tasks, and ECS started only 2.",
        ),
        (
            events.run_task(error="AccessDenied: x"),
            (
                "scheduler-run-task called RunTask, and ECS refused it. "
                "CloudTrail does not record the parameters of such a call."
            ),
        ),
        (events.run_task("AGENT", userIdentity=None), "An unknown caller called RunTask, and ECS refused it."),
    ],
    ids=["one", "none of several", "some", "denied", "unknown caller"],
)
def test_the_text_says_who_called_and_what_came_of_it(raw: Any, lead: str) -> None:
    assert told(raw).lead == lead


def test_the_title_names_the_family_or_else_the_caller() -> None:
    assert told(events.run_task("AGENT")).title == "Task not started: task family nightly-report in prod"
    assert told(events.run_task(error="AccessDenied: x")).title == "Task not started: caller scheduler-run-task"


def test_what_started_the_call_is_among_the_details() -> None:
    assert ("Started by", "EventBridge Scheduler nightly-report") in told(events.run_task("AGENT")).details
