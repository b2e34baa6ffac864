"""Metrics: the lines that an invocation prints for CloudWatch."""

import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest

from local_aws import events
from router.context import Answered, Job
from router.deadline import Deadline
from router.errors import TransientError
from router.incident.state import Delivery, Dispatch, SubjectState
from router.model import ChannelConfig, Decision, Kind, Outcome, Severity, Subject, SubjectKind
from router.selfcheck.metrics import MetricsRecorder
from router.version import VERSION
from tests.doubles.world import World

Attempt = tuple[str, Outcome, float | None]
"""A channel's outcome, and how many seconds its send took."""


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("POWERTOOLS_METRICS_NAMESPACE", "POWERTOOLS_SERVICE_NAME", "POWERTOOLS_METRICS_DISABLED"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def printed(capsys: pytest.CaptureFixture[str]) -> Callable[[], list[dict[str, Any]]]:
    """The lines printed since the last call, parsed as JSON."""
    return lambda: [json.loads(line) for line in capsys.readouterr().out.splitlines()]


Printed = Callable[[], list[dict[str, Any]]]


def job(channel: str) -> Job:
    dispatch = Dispatch(channel, Kind.OPENED, 1, 1, is_first=True, severity=Severity.ERROR, suppressed={})
    subject = Subject("111122223333", "eu-west-1", "prod", SubjectKind.SERVICE, "web")
    return Job(SubjectState(subject), dispatch, ChannelConfig(channel, "sink", {}), lambda: pytest.fail("rendered"))


def told(*attempts: Attempt) -> MetricsRecorder:
    """A meter that has observed a deliver step with these outcomes."""
    jobs = [job(channel) for channel, _, _ in attempts]

    def deliver(jobs: Sequence[Job], deadline: Deadline) -> Iterator[list[Answered]]:
        for attempt, (_, outcome, seconds) in zip(jobs, attempts, strict=True):
            yield [(attempt, Delivery(attempt.dispatch, outcome, seconds=seconds))]

    meter = MetricsRecorder()
    assert [answer for done in meter.counting(deliver)(jobs, Deadline.after(60.0)) for answer, _ in done] == jobs
    return meter


def values(line: dict[str, Any]) -> dict[str, list[float]]:
    return {metric["Name"]: line[metric["Name"]] for metric in line["_aws"]["CloudWatchMetrics"][0]["Metrics"]}


# --- a channel's ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("outcome", "name"), [(Outcome.SENT, "Sent"), (Outcome.RETRY, "Retry"), (Outcome.FAILED, "Failed")]
)
def test_outcomes_of_deliveries_are_counted_and_nothing_else(outcome: Outcome, name: str, printed: Printed) -> None:
    told(("slack", outcome, None), ("slack", outcome, None)).write("dev")
    (line,) = printed()
    assert values(line) == {name: [2.0]}


def test_a_line_states_the_version_which_is_no_dimension(printed: Printed) -> None:
    """With a dimension, each version would have metrics of its own, which alarms and dashboards do not know."""
    told(("slack", Outcome.SENT, None)).write("dev")
    (line,) = printed()
    assert line["version"] == VERSION
    (metrics,) = line["_aws"]["CloudWatchMetrics"]
    assert "version" not in metrics["Dimensions"][0]


def test_disabled_metrics_are_neither_printed_nor_kept(printed: Printed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POWERTOOLS_METRICS_DISABLED", "true")
    for _ in range(150):  # above a hundred values Powertools prints on its own
        told(("slack", Outcome.SENT, 0.25)).write("dev")
    assert printed() == []
    monkeypatch.delenv("POWERTOOLS_METRICS_DISABLED")
    told(("slack", Outcome.SENT, 0.25)).write("dev")
    assert [values(line) for line in printed()] == [{"Latency": [250.0], "Sent": [1.0]}]


def test_latency_is_each_send_in_milliseconds(printed: Printed) -> None:
    """Each send is a separate value, so that CloudWatch has percentiles; without a send there is none."""
    attempts = [("slack", Outcome.SENT, 0.25), ("slack", Outcome.RETRY, 10.0), ("slack", Outcome.RETRY, None)]
    told(*attempts).write("dev")
    (line,) = printed()
    assert values(line) == {"Latency": [250.0, 10_000.0], "Sent": [1.0], "Retry": [2.0]}


def test_each_metric_has_its_unit(printed: Printed) -> None:
    told(("slack", Outcome.SENT, 0.25)).write("dev")
    (line,) = printed()
    (definition,) = line["_aws"]["CloudWatchMetrics"]
    units = {metric["Name"]: metric["Unit"] for metric in definition["Metrics"]}
    assert units == {"Latency": "Milliseconds", "Sent": "Count"}


def test_each_channel_has_one_line_with_its_dimensions(printed: Printed) -> None:
    told(("slack", Outcome.SENT, 0.1), ("email", Outcome.FAILED, None), ("slack", Outcome.RETRY, 0.2)).write("prod")
    lines = printed()
    assert [line["channel"] for line in lines] == ["slack", "email"]
    for line in lines:
        (definition,) = line["_aws"]["CloudWatchMetrics"]
        assert definition["Namespace"] == "EcsAlertRouter"
        assert [sorted(dimensions) for dimensions in definition["Dimensions"]] == [["channel", "service", "stage"]]
        assert (line["service"], line["stage"]) == ("ecs-alert-router", "prod")


def test_namespace_and_service_come_from_the_environment(printed: Printed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POWERTOOLS_METRICS_NAMESPACE", "Ours")
    monkeypatch.setenv("POWERTOOLS_SERVICE_NAME", "our-router")
    told(("slack", Outcome.SENT, 0.1)).write("dev")
    (line,) = printed()
    assert line["_aws"]["CloudWatchMetrics"][0]["Namespace"] == "Ours"
    assert line["service"] == "our-router"


def test_more_sends_than_fit_in_a_line_are_all_counted(printed: Printed) -> None:
    """A line can have a hundred values of a metric."""
    told(*[("slack", Outcome.SENT, 0.1)] * 250).write("dev")
    lines = [values(line) for line in printed()]
    assert [len(line["Latency"]) for line in lines] == [100, 100, 50]
    assert sum(sum(line.get("Sent", [])) for line in lines) == 250


# --- of alerts --------------------------------------------------------------------------------------------------------


def metered(world: World) -> MetricsRecorder:
    meter = MetricsRecorder()
    deliver = meter.counting(world.router.deliver)
    world.router = world.router._replace(deliver=deliver, count_decision=meter.count_decision)
    return meter


def test_announced_and_held_back_alerts_are_counted_for_all_channels_together(printed: Printed) -> None:
    world = World()
    meter = metered(world)
    world.receive(events.task_stopped(task="1"), events.task_stopped(task="2"), events.task_stopped(task="3"))
    meter.write("dev")
    *_, line = printed()
    assert values(line) == {"Announced": [1.0], "HeldBack": [2.0]}
    (definition,) = line["_aws"]["CloudWatchMetrics"]
    assert [sorted(dimensions) for dimensions in definition["Dimensions"]] == [["service", "stage"]]


def test_a_repeated_event_is_counted_once(printed: Printed) -> None:
    """SQS delivers each message at least once."""
    world = World()
    meter = metered(world)
    for _ in range(2):
        world.receive(events.task_stopped())
    meter.write("dev")
    assert [values(line)["Announced"] for line in printed() if "channel" not in line] == [[1.0]]


def test_other_decisions_have_no_metric(printed: Printed) -> None:
    meter = MetricsRecorder()
    counted = {Decision.ANNOUNCED, Decision.GATHERED, Decision.HELD_BACK, Decision.SILENCED}
    for decision in {*Decision} - counted:
        meter.count_decision(decision)
    meter.write("dev")
    assert printed() == []


# --- when -------------------------------------------------------------------------------------------------------------


def test_nothing_is_printed_if_nothing_happened(printed: Printed) -> None:
    MetricsRecorder().write("dev")
    assert printed() == []


def test_metrics_are_written_only_once(printed: Printed) -> None:
    """The process lives on, so the next invocation must start with empty metrics."""
    meter = told(("slack", Outcome.SENT, 0.1))
    meter.count_decision(Decision.ANNOUNCED)
    meter.write("dev")
    assert len(printed()) == 2
    meter.write("dev")
    assert printed() == []


def test_a_retry_is_counted_when_it_is_sent(printed: Printed) -> None:
    """A send by the tick is a delivery like any other, but not a new alert."""
    world = World()
    meter = metered(world)
    world.slack.failure = lambda: TransientError("busy", status=503)
    world.receive(events.task_stopped())
    meter.write("dev")
    assert [values(line).get("Retry") for line in printed() if line.get("channel") == "slack"] == [[1.0]]
    world.slack.failure = lambda: None
    world.wait(60.0)
    meter.write("dev")
    assert [(line["channel"], values(line)["Sent"]) for line in printed()] == [("slack", [1.0])]


# --- the tick's -------------------------------------------------------------------------------------------------------


def test_unusable_channels_are_one_metric_of_the_stage_and_zero_is_not_printed(printed: Printed) -> None:
    meter = MetricsRecorder()
    meter.count_unusable(0)
    meter.write("dev")
    assert printed() == []
    meter.count_unusable(2)
    meter.write("dev")
    (line,) = printed()
    assert values(line) == {"Unusable": [2.0]}
    assert line["_aws"]["CloudWatchMetrics"][0]["Dimensions"] == [["stage", "service"]]
    meter.write("dev")
    assert printed() == []


def test_damaged_items_are_one_metric_of_the_stage_and_zero_is_not_printed(printed: Printed) -> None:
    meter = MetricsRecorder()
    meter.write("dev")
    assert printed() == []
    meter.count_damaged()
    meter.count_damaged()
    meter.write("dev")
    (line,) = printed()
    assert values(line) == {"DamagedItems": [2.0]}
    meter.write("dev")
    assert printed() == []
