"""Calls of RunTask and StartTask as CloudTrail records them."""

from typing import Any

import pytest

from local_aws import events
from router.ecs.classify import alert, classify
from router.ecs.normalise import normalise
from router.history.items import iso, redacted
from router.model import Decision, EndedBy, Kind, Severity
from tests.doubles.world import MINUTE, START, World

DENIED = (
    "AccessDenied: User: arn:aws:sts::123456789012:assumed-role/scheduler-run-task/6f1c2ab0 is not authorized to "
    "perform: iam:PassRole on resource: arn:aws:iam::123456789012:role/nightly because no policy allows it"
)
PARAMETERS = {"cluster": "batch", "taskDefinition": "nightly:7", "count": 1}


def verdict(raw: events.Raw) -> str:
    decided = classify(normalise(raw))
    return f"{decided.severity} {decided.cause}"


def subject(raw: events.Raw) -> str:
    found = normalise(raw).subject
    return f"{found.cluster} {found.text}"


def call_at(at: float, *failures: str, **fields: Any) -> events.Raw:
    return events.run_task(*failures, eventTime=iso(at), eventID=f"call-{at}", **fields) | {"time": iso(at)}


class TestWhatIsRefused:
    @pytest.mark.parametrize("reason", ["RESOURCE:MEMORY", "AGENT", "LOCATION", "ATTRIBUTE", "A reason of tomorrow"])
    def test_a_failure_is_an_error_although_the_call_has_none(self, reason: str) -> None:
        raw = events.run_task(reason)
        assert "errorCode" not in raw["detail"]
        assert verdict(raw) == "error task_not_started"
        assert normalise(raw).reason == reason

    def test_fewer_tasks_than_requested_are_a_failure_without_a_reason(self) -> None:
        raw = events.run_task()
        raw["detail"]["responseElements"]["tasks"] = []
        assert verdict(raw) == "error task_not_started"

    def test_an_answer_that_cloudtrail_left_out_is_no_failure(self) -> None:
        assert verdict(events.run_task(responseElements={"omitted": True})) == "info runtask"

    @pytest.mark.parametrize("code", ["AccessDenied", "AccessDeniedException", "ClientException", "OfTomorrow"])
    def test_any_error_of_the_call_is_an_error(self, code: str) -> None:
        assert verdict(events.run_task(error=f"{code}: x")) == "error task_not_started"

    def test_each_reason_is_given_once_and_the_counts_are_kept(self) -> None:
        event = normalise(events.run_task("AGENT", "AGENT", "RESOURCE:CPU", count=5))
        assert event.reason == "AGENT; RESOURCE:CPU"
        assert (event.details["requested"], event.details["started"]) == ("5", "2")

    def test_start_task_starts_one_task_on_each_instance_that_it_names(self) -> None:
        call = {**PARAMETERS, "containerInstances": ["i-1", "i-2"]}
        event = normalise(events.run_task("INACTIVE", eventName="StartTask", requestParameters=call))
        assert event.details["requested"] == "2"

    def test_a_call_that_started_its_tasks_is_only_recorded(self) -> None:
        assert verdict(events.run_task(count=3)) == "info runtask"

    @pytest.mark.parametrize(
        "fields",
        [
            {"userIdentity": {"type": "AWSService", "invokedBy": "ecs.amazonaws.com"}},
            {"userIdentity": {"sessionContext": {"sessionIssuer": {"userName": "AWSServiceRoleForECS"}}}},
            {"requestParameters": {**PARAMETERS, "group": "service:web"}},
            {"requestParameters": {**PARAMETERS, "startedBy": "ecs-svc/4632134779785246340"}},
        ],
        ids=["service", "role", "group", "deployment"],
    )
    def test_the_service_schedulers_own_calls_are_only_recorded(self, fields: dict[str, Any]) -> None:
        assert verdict(events.run_task("RESOURCE:CPU", **fields)) == "info runtask"


class TestSubject:
    @pytest.mark.parametrize(
        ("cluster", "definition", "expected"),
        [
            ("batch", "nightly", "batch family:nightly"),
            ("arn:aws:ecs:eu-west-1:1:cluster/batch", "nightly:7", "batch family:nightly"),
            ("batch", "arn:aws:ecs:eu-west-1:1:task-definition/nightly:7", "batch family:nightly"),
            (None, "nightly:7", "default family:nightly"),
        ],
    )
    def test_it_is_the_family_in_its_cluster_as_the_call_names_them(
        self, cluster: str | None, definition: str, expected: str
    ) -> None:
        call = {"cluster": cluster, "taskDefinition": definition}
        assert subject(events.run_task("AGENT", requestParameters=call)) == expected

    @pytest.mark.parametrize(
        ("identity", "name"),
        [
            ({"sessionContext": {"sessionIssuer": {"userName": "deployer"}}}, "deployer"),
            ({"arn": "arn:aws:sts::1:assumed-role/deployer/session-17"}, "deployer"),
            ({"type": "IAMUser", "userName": "someone"}, "someone"),
            ({"type": "Root", "arn": "arn:aws:iam::123456789012:root"}, "root"),
            ({"type": "AWSService", "invokedBy": "batch.amazonaws.com"}, "batch.amazonaws.com"),
            ({}, "-"),
            (None, "-"),
        ],
    )
    def test_it_is_the_caller_if_access_was_denied(self, identity: object, name: str) -> None:
        assert subject(events.run_task(error=DENIED, userIdentity=identity)) == f"- caller:{name}"

    @pytest.mark.parametrize("key", ["requestParameters", "responseElements", "userIdentity", "eventTime", "eventID"])
    @pytest.mark.parametrize(
        "garbage", [None, "x", 5, [], {"tasks": "x", "failures": [1, {"reason": 7}], "count": "9"}]
    )
    def test_garbage_in_the_record_is_still_an_event(self, key: str, garbage: object) -> None:
        garbled: dict[str, Any] = {key: garbage}
        event = normalise(events.run_task("AGENT", **garbled))
        assert alert(event, classify(event)).id


class TestIncidents:
    def test_the_callers_retries_are_one_incident(self) -> None:
        world = World()
        for second in range(0, 300, 60):
            world.receive(call_at(START + second, "AGENT"))
        assert world.slack.kinds == [Kind.OPENED]
        assert len({row["id"] for row in world.rows("alert#")}) == 5

    def test_the_same_record_is_one_alert_whatever_its_envelope_is(self) -> None:
        world = World()
        again = call_at(START, "AGENT") | {"id": "another"}
        assert world.decisions(call_at(START, "AGENT"), again)[0] == Decision.ANNOUNCED
        assert len(world.rows("alert#")) == 1

    def test_a_run_of_the_family_that_started_afterwards_ends_it(self) -> None:
        world = World()
        world.receive(call_at(START, "AGENT"))
        run = events.task_stopped(
            "EssentialContainerExited",
            "Essential container in task exited",
            events.container("job", 0),
            service=None,
            family="nightly-report",
            startedAt=iso(START + 60),
            stoppedAt=iso(START + 120),
        )
        world.wait(3 * MINUTE)
        world.receive(run)
        world.wait(10 * MINUTE)
        assert world.slack.kinds == [Kind.OPENED, Kind.RESOLVED]
        assert world.slack.told[-1].incident.ended_by is EndedBy.RUN_COMPLETED

    def test_the_call_happened_at_its_own_time(self) -> None:
        late = call_at(START, "AGENT") | {"time": iso(START + 600)}
        assert normalise(late, now=START + 700).at == START


def test_the_overrides_of_a_call_are_not_stored() -> None:
    override = {"containerOverrides": [{"name": "app", "command": ["load", "hunter2"], "environment": []}]}
    raw = events.run_task("AGENT", requestParameters={**PARAMETERS, "overrides": override})
    raw["detail"]["responseElements"]["tasks"] = [{"overrides": override, "environment": [{"name": "A", "value": "b"}]}]
    kept = redacted(normalise(raw).detail)
    assert "hunter2" not in str(kept)
    assert kept["requestParameters"]["taskDefinition"] == "nightly:7"


def test_the_severity_is_that_of_a_run_that_nobody_starts_again() -> None:
    assert classify(normalise(events.run_task("AGENT"))).severity is Severity.ERROR
