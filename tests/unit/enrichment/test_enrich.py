"""Enrichment: each lookup is independent, limited in time and size, and never blocks an alert."""

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import pytest
from botocore.exceptions import ClientError, ReadTimeoutError

from local_aws import events
from router.deadline import time_left
from router.ecs.classify import alert, classify
from router.ecs.normalise import normalise
from router.enrichment.enrich import TIME_LIMIT, Enricher, enrich, from_logs, from_task_definition
from router.enrichment.pauses import PAUSE
from router.enrichment.task_definitions import TaskDefinitions
from router.errors import DeadlineExceeded
from router.model import Alert, Enrichment, Event, Outcome, Severity
from tests.doubles.world import World

DEPLOYED = {"deploymentId": events.DEPLOYMENT}
NOW = 1_723_200_000.0


def of(raw: events.Raw) -> Alert:
    event = normalise(raw)
    return alert(event, classify(event))


DIED = of(events.task_stopped())


def minutes_before(minutes: float) -> str:
    moment = time.gmtime(DIED.at - minutes * 60)
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", moment)


# --- all parts together -----------------------------------------------------------------------------------------------


def fails(_alert: Alert, _known: Enrichment) -> Enrichment:
    raise RuntimeError("no luck")


def finds(label: str) -> Enricher:
    return lambda _alert, known: known._replace(facts={**known.facts, label: "x"})


def test_a_failing_lookup_affects_only_itself() -> None:
    found = enrich([DIED], 1.0, [finds("a"), fails, finds("b")])
    assert found[DIED.id].facts == {"a": "x", "b": "x"}


def test_a_hanging_lookup_is_abandoned_and_earlier_results_are_kept() -> None:
    release = threading.Event()

    def hangs(_alert: Alert, known: Enrichment) -> Enrichment:
        release.wait(10)
        return known

    other = replace(DIED, id="other")
    begun = time.monotonic()
    found = enrich([DIED, other], 0.2, [finds("a"), hangs, finds("b")])
    took = time.monotonic() - begun
    release.set()
    assert {key: known.facts for key, known in found.items()} == {DIED.id: {"a": "x"}, "other": {"a": "x"}}
    assert 0.15 < took < 2.0


def test_what_is_left_behind_asks_nobody_later() -> None:
    """It may thaw in a later invocation. Whoever is refused then does not pause the lookups of others either."""
    release, asked = threading.Event(), list[str]()

    class Ecs:
        def describe_task_definition(self, **_: Any) -> dict[str, Any]:
            time_left(1.0)  # as before each call to AWS
            asked.append("ECS")
            return {"taskDefinition": {"containerDefinitions": []}}

    def hangs(_alert: Alert, known: Enrichment) -> Enrichment:
        release.wait(10)
        return known

    definitions = TaskDefinitions(lambda _region: Ecs(), lambda: 0.0)
    enrich([DIED], 0.1, [hangs, from_task_definition(definitions)])
    (thread,) = [thread for thread in threading.enumerate() if thread.name == f"enrich-{DIED.id}"]
    release.set()
    thread.join(10)
    assert asked == []
    assert definitions.get(DIED.subject, DIED.task_definition) is not None


def test_alerts_do_not_wait_for_each_other() -> None:
    """Ten alerts with slow lookups take about as long as one."""

    def slow(_alert: Alert, known: Enrichment) -> Enrichment:
        threading.Event().wait(0.2)
        return known._replace(facts={"slow": "x"})

    begun = time.monotonic()
    found = enrich([replace(DIED, id=str(number)) for number in range(10)], TIME_LIMIT, [slow])
    assert len(found) == 10
    assert time.monotonic() - begun < 1.5


def test_without_lookups_there_is_no_enrichment() -> None:
    assert enrich([DIED], 1.0, []) == {}


@pytest.mark.parametrize("enrichment", [Enrichment({"Owner": "web team"}), None])
def test_only_announced_alerts_are_enriched(enrichment: Enrichment | None) -> None:
    asked: list[list[str]] = []

    def ask(alerts: Any, seconds: float) -> Mapping[str, Enrichment]:
        asked.append([alert.cause for alert in alerts])
        assert 0 < seconds < 60
        return {alert.id: enrichment for alert in alerts if enrichment}

    world = World()
    world.router = world.router._replace(enrich=ask)
    world.receive(events.service_action())  # info: a row only
    world.receive(events.task_stopped())
    world.receive(events.task_stopped(task="t2"))  # held back
    assert asked == [["essential_container_exited"]]
    assert (("Owner", "web team") in world.slack.told[0].message.facts) == (enrichment is not None)


def test_the_end_of_an_incident_is_not_enriched() -> None:
    asked: list[Any] = []
    world = World()
    world.receive(events.task_stopped())

    def ask(alerts: Any, _seconds: float) -> Mapping[str, Enrichment]:
        asked.append(alerts)
        return {}

    world.router = world.router._replace(enrich=ask)
    world.receive(events.service_action(createdAt="2024-08-08T17:25:00Z"))
    world.now += 600
    world.tick()
    assert world.slack.kinds[-1] == "resolved"
    assert asked == []


# --- from the task definition -----------------------------------------------------------------------------------------

DEFINITION = {
    "taskDefinitionArn": events.arn("task-definition/web:42"),
    "memory": "1024",
    "containerDefinitions": [
        {
            "name": "app",
            "memory": 512,
            "essential": True,
            "logConfiguration": {
                "logDriver": "awslogs",
                "options": {
                    "awslogs-group": "/ecs/web",
                    "awslogs-stream-prefix": "web",
                    "awslogs-region": "eu-central-1",
                },
            },
        },
        {"name": "init", "essential": False, "logConfiguration": {"logDriver": "awsfirelens"}},
        {"name": "proxy"},
    ],
}


class Ecs:
    def __init__(self, answer: Callable[[], Any]) -> None:
        self.answer = answer
        self.asked: list[str] = []

    def describe_task_definition(self, *, taskDefinition: str) -> Any:  # noqa: N803 - AWS's name
        self.asked.append(taskDefinition)
        return {"taskDefinition": self.answer()}


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def refused() -> Any:
    raise PermissionError("AccessDeniedException")


def definitions(answer: Callable[[], Any] = lambda: DEFINITION) -> tuple[TaskDefinitions, Ecs, Clock]:
    ecs, clock = Ecs(answer), Clock()
    return TaskDefinitions(lambda _region: ecs, clock), ecs, clock


def test_a_task_definition_has_limits_flags_and_logs() -> None:
    made, _, _ = definitions()
    found = enrich([DIED], 1.0, [from_task_definition(made)])[DIED.id]
    assert found.memory == {"app": 512, "init": 1024, "proxy": 1024}
    assert found.essential == {"app": True, "init": False, "proxy": True}
    assert found.logs == ("/ecs/web", f"web/app/{events.TASK}")


def test_a_task_definition_is_requested_once_by_its_full_arn() -> None:
    """`web:42` would be this account's task definition, even if the task runs in another account."""
    made, ecs, _ = definitions()
    for _ in range(3):
        made.get(DIED.subject, "web:42")
    assert ecs.asked == [events.arn("task-definition/web:42")]
    made.get(DIED.subject._replace(region="cn-north-1"), "web:42")
    assert ecs.asked[1].startswith("arn:aws-cn:ecs:cn-north-1:")


def failing(code: str) -> Callable[[], Any]:
    def answer() -> Any:
        raise ClientError({"Error": {"Code": code}}, "DescribeTaskDefinition")

    return answer


def timed_out() -> Any:
    raise ReadTimeoutError(endpoint_url="https://ecs.eu-west-1.amazonaws.com")


ABOUT_ONE_REVISION = [
    failing("ClientException"),  # deleted, or it never existed
    dict,
    lambda: {"containerDefinitions": 5},
    lambda: {"containerDefinitions": [{}]},
]


@pytest.mark.parametrize("answer", ABOUT_ONE_REVISION)
def test_a_revision_that_cannot_be_read_is_requested_once_a_minute_and_others_are_read(
    answer: Callable[[], Any],
) -> None:
    made, ecs, clock = definitions(answer)
    for _ in range(3):
        assert made.get(DIED.subject, "web:42") is None
    assert len(ecs.asked) == 1
    ecs.answer = lambda: DEFINITION
    assert made.get(DIED.subject, "web:43") is not None
    clock.now += PAUSE
    assert made.get(DIED.subject, "web:42") is not None


@pytest.mark.parametrize(
    "answer", [refused, failing("AccessDeniedException"), failing("ThrottlingException"), timed_out]
)
def test_a_failure_that_others_would_meet_too_pauses_only_its_account_and_region(answer: Callable[[], Any]) -> None:
    made, ecs, clock = definitions(answer)
    made.get(DIED.subject._replace(account="999999999999"), "web:42")
    made.get(DIED.subject._replace(account="999999999999"), "web:43")
    assert len(ecs.asked) == 1
    ecs.answer = lambda: DEFINITION
    assert made.get(DIED.subject, "web:42") is not None
    assert made.get(DIED.subject._replace(account="999999999999", region="us-east-1"), "web:42") is not None
    clock.now += PAUSE
    assert made.get(DIED.subject._replace(account="999999999999"), "web:43") is not None


def test_a_self_report_is_not_enriched() -> None:
    """Otherwise everyone who can put events could use up ECS's quotas, or show the log of another task."""
    made, ecs, _ = definitions()
    logs = Logs("a line")
    parts = [from_task_definition(made), from_logs(made, lambda _region: logs, ["*"])]
    claim = of(events.container_exited(events.container("app", 1)))
    assert enrich([claim], 1.0, parts)[claim.id] == Enrichment()
    assert (ecs.asked, logs.asked) == ([], [])


def test_nothing_is_requested_if_the_place_is_unknown() -> None:
    made, ecs, _ = definitions()
    assert made.get(DIED.subject._replace(account="-"), "web:42") is None
    assert made.get(DIED.subject, "") is None
    assert ecs.asked == []


# --- essential containers and the verdict -----------------------------------------------------------------------------

MIXED = events.task_stopped(
    "EssentialContainerExited",
    "Essential container in task exited",
    events.container("app", 0),
    events.container("init", 1),
    service=None,
    family="nightly",
)


def verdict(raw: events.Raw, essential: Callable[[Event], Mapping[str, bool]]) -> tuple[str, Severity]:
    world = World()
    world.router = world.router._replace(essential=essential)
    (results,) = world.receive(raw)
    assert results.routed is not None
    return results.routed.alert.cause, results.routed.alert.severity


def test_essential_containers_decide_between_contradicting_exit_codes() -> None:
    made, _, _ = definitions()
    assert verdict(MIXED, made.essential) == ("task_completed", Severity.INFO)


def test_unavailable_flags_are_not_guessed() -> None:
    made, _, _ = definitions(refused)
    assert verdict(MIXED, made.essential) == ("essential_container_exited", Severity.CRITICAL)


@pytest.mark.parametrize(
    "raw",
    [
        events.task_event(),
        events.service_action(),
        events.task_stopped(),
        events.task_stopped("EssentialContainerExited", "x", events.container("app", 0)),
        events.task_stopped(
            "ServiceSchedulerInitiated", "Scaling activity", events.container("a", 0), events.container("b", 1)
        ),
    ],
)
def test_flags_are_requested_only_for_contradicting_exit_codes(raw: events.Raw) -> None:
    """The lookup delays every event before the claim, so it is made only if it can change the verdict."""
    made, ecs, _ = definitions()
    verdict(raw, made.essential)
    assert ecs.asked == []


# --- the log ----------------------------------------------------------------------------------------------------------


class Logs:
    def __init__(self, *messages: str) -> None:
        self.messages = messages
        self.asked: list[Mapping[str, Any]] = []

    def get_log_events(self, **request: Any) -> Any:
        self.asked.append(request)
        if not self.messages:
            raise PermissionError("AccessDeniedException")
        times = range(1_760_000_001_000, 1_770_000_000_000, 1000)
        return {"events": [{"message": said, "timestamp": at} for said, at in zip(self.messages, times, strict=False)]}


def logged(logs: Logs, groups: list[str]) -> tuple[Enrichment, list[str]]:
    made, _, _ = definitions()
    regions: list[str] = []

    def client(region: str) -> Logs:
        regions.append(region)
        return logs

    parts = [from_task_definition(made), from_logs(made, client, groups)]
    return enrich([DIED], 1.0, parts)[DIED.id], regions


def test_the_last_lines_are_read_from_the_containers_own_stream() -> None:
    logs = Logs("one\n", "two\n")
    found, regions = logged(logs, ["/ecs/*"])
    assert found.log_excerpt == "one\ntwo"
    assert regions == ["eu-central-1"]
    (request,) = logs.asked
    assert (request["logGroupName"], request["logStreamName"]) == ("/ecs/web", f"web/app/{events.TASK}")
    assert request["startFromHead"] is False


def test_when_the_last_line_was_logged_is_known() -> None:
    """In CloudWatch's own time; the times inside the lines are the application's."""
    found, _ = logged(Logs("one", "two", " \n"), ["/ecs/*"])
    assert found.logged_at == 1_760_000_002.0


def test_only_the_configured_log_groups_are_read() -> None:
    logs = Logs("one")
    found, _ = logged(logs, ["/other/*"])
    assert (found.log_excerpt, logs.asked) == ("", [])
    assert found.logs[0] == "/ecs/web"


def test_a_log_that_cannot_be_read_leaves_its_link() -> None:
    found, _ = logged(Logs(), ["/ecs/*"])
    assert found.log_excerpt == ""
    assert found.logs == ("/ecs/web", f"web/app/{events.TASK}")


class FamilyEcs(Ecs):
    """Each family logs to a group of its own, `/ecs/FAMILY`."""

    def describe_task_definition(self, *, taskDefinition: str) -> Any:  # noqa: N803 - AWS's name
        family = taskDefinition.rpartition("/")[2].partition(":")[0]
        options = {"awslogs-group": f"/ecs/{family}", "awslogs-stream-prefix": family, "awslogs-region": "eu-west-1"}
        app = {"name": "app", "logConfiguration": {"logDriver": "awslogs", "options": options}}
        return {"taskDefinition": {"containerDefinitions": [app]}}


class FailingLogs(Logs):
    """Fails for the given log groups, with the given code."""

    def __init__(self, failing: dict[str, str]) -> None:
        super().__init__("a line")
        self.failing = failing

    def get_log_events(self, **request: Any) -> Any:
        answer = super().get_log_events(**request)
        if code := self.failing.get(request["logGroupName"]):
            raise ClientError({"Error": {"Code": code}}, "GetLogEvents")
        return answer


@pytest.mark.parametrize(
    ("code", "asked"),
    [
        ("AccessDeniedException", ["/ecs/web", "/ecs/api"]),  # permissions are per group
        ("ThrottlingException", ["/ecs/web"]),
        ("ResourceNotFoundException", ["/ecs/web", "/ecs/web", "/ecs/api"]),  # the next task may have a stream
    ],
)
def test_a_log_that_cannot_be_read_pauses_only_what_would_fail_too(code: str, asked: list[str]) -> None:
    logs, clock = FailingLogs({"/ecs/web": code}), Clock()
    made = TaskDefinitions(lambda _region: FamilyEcs(dict), clock)
    parts = [from_task_definition(made), from_logs(made, lambda _region: logs, ["*"], clock)]

    def ask(family: str) -> str:
        return enrich([replace(DIED, task_definition=f"{family}:1")], 1.0, parts)[DIED.id].log_excerpt

    assert [ask("web"), ask("web"), ask("api")] == ["", "", "a line" if "/ecs/api" in asked else ""]
    assert [request["logGroupName"] for request in logs.asked] == asked
    clock.now += PAUSE
    assert ask("api") == "a line"


def test_a_log_that_no_time_was_left_for_pauses_nothing() -> None:
    """That says nothing about CloudWatch Logs."""
    made, _, _ = definitions()
    answers: Iterator[Logs | Exception] = iter([DeadlineExceeded(), Logs("a line")])

    def client(_region: str) -> Logs:
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    parts = [from_task_definition(made), from_logs(made, client, ["*"])]
    assert [enrich([DIED], 1.0, parts)[DIED.id].log_excerpt for _ in range(2)] == ["", "a line"]


def test_a_channel_is_notified_even_if_every_lookup_fails() -> None:
    """Through the whole router: every lookup fails, and the message is still sent."""
    world = World()
    parts: list[Enricher] = [fails, lambda _alert, _known: 1 / 0]  # type: ignore[list-item, return-value]
    world.router = world.router._replace(enrich=lambda alerts, seconds: enrich(alerts, seconds, parts))
    (results,) = world.receive(events.task_stopped())
    assert [delivery.outcome for delivery in results.deliveries] == [Outcome.SENT] * 3
