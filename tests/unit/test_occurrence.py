"""Each ending of a task, and of containers in a task that goes on, is announced and recorded once, in any order."""

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from local_aws import events
from router.channels.plugins import Plugins
from router.config.rules import UserRule
from router.history.items import iso
from router.model import CHANNEL_HEALTH, OWN_SOURCE, Decision, Kind, Severity
from tests.doubles.examples import share
from tests.doubles.inbox import bare, buried, receive, record
from tests.doubles.service_events import SPOT, steady
from tests.doubles.world import DAY, HOUR, MINUTE, START, World

REASONS = {
    "SpotInterruption": SPOT,
    "ServiceSchedulerInitiated": "Scaling activity initiated by (deployment ecs-svc/1)",
}
OOM = "OutOfMemoryError: container killed due to memory usage"
APP, OTHER = "a" * 32, "b" * 32
DEAD_AGENT = events.container("agent", 137, OOM)
ALIVE = events.container(status="RUNNING")


@pytest.fixture
def world() -> World:
    return World()


def running(at: float, *containers: events.Raw, task: str = APP, **fields: Any) -> events.Raw:
    fields = {"containers": [ALIVE, *containers], "updatedAt": iso(at), "task": task, **fields}
    return events.task_event(event_id=f"running {task} {at} {len(containers)}", **fields)


def stopped(at: float, *containers: events.Raw, task: str = APP, code: str = "EssentialContainerExited") -> events.Raw:
    raw = events.task_stopped(code, REASONS.get(code, "Essential container in task exited"))
    resource = events.arn(f"task/prod/{task}")
    times = {"updatedAt": iso(at), "stoppedAt": iso(at), "startedAt": iso(at - HOUR)}
    detail = {**raw["detail"], **times, "taskArn": resource, "containers": [*containers]}
    return {**raw, "id": f"stopped {task} {at}", "resources": [resource], "detail": detail}


def reported(at: float, *containers: events.Raw, task: str = APP, **fields: Any) -> events.Raw:
    """What anyone who may call PutEvents can send."""
    raw = events.container_exited(*containers, task=task)
    detail = {**raw["detail"], "updatedAt": iso(at), **fields}
    return {**raw, "id": f"reported {at} {len(containers)}", "time": iso(at), "detail": detail}


def story(world: World, *steps: tuple[float, events.Raw]) -> list[Decision | None]:
    """The decisions about events that come at these times."""
    decisions = []
    for at, raw in steps:
        world.wait(at - world.now)
        (result,) = world.receive(raw)
        decisions.append(result.decision)
    return decisions


def rows_of(world: World) -> dict[str, tuple[str, str]]:
    rows = world.rows("alert#")
    return {
        row["sk"].partition("-")[0] + "-" + ",".join(row["exited"]): (row["cause"], row["severity"]) for row in rows
    }


class TestEndings:
    def test_the_app_that_runs_out_of_memory_after_its_sidecar_is_announced(self, world: World) -> None:
        later = START + 6 * HOUR
        app = events.container("app", 137, OOM)
        story(world, (START, running(START, DEAD_AGENT)), (START + 300, steady(START + 300)))
        assert story(world, (later, stopped(later, app, DEAD_AGENT))) == [Decision.ANNOUNCED]
        assert len(world.rows("alert#")) == 3
        assert world.pager.kinds[-1] is Kind.UPDATED
        assert "container app" in world.pager.told[-1].message.text

    def test_a_second_sidecar_of_a_task_is_another_ending(self, world: World) -> None:
        later = START + 3 * HOUR
        envoy, datadog = events.container("envoy", 1), events.container("datadog", 139)
        both = ((START, running(START, envoy)), (later, running(later, envoy, datadog)))
        assert story(world, *both) == [Decision.ANNOUNCED] * 2
        assert rows_of(world).keys() == {"exited-envoy", "exited-datadog"}
        assert world.slack.told[-1].incident.count == 2

    def test_an_old_exit_does_not_decide_the_cause_of_a_stop(self, world: World) -> None:
        later = START + 6 * HOUR
        crash = stopped(later, events.container("app", 139), DEAD_AGENT)
        assert story(world, (START, running(START, DEAD_AGENT)), (later, crash)) == [Decision.ANNOUNCED] * 2
        assert rows_of(world)["task-"] == ("essential_container_exited", "critical")
        assert len(world.pager.told) == 2

    def test_a_container_that_ended_before_is_listed_as_such(self, world: World) -> None:
        later, agent = START + 6 * HOUR, events.container("agent", 1)
        crash = stopped(later, events.container("app", 139), agent)
        story(world, (START, running(START, agent)), (later, crash))
        (told,) = world.pager.told
        assert [container.name for container in told.alert.containers] == ["agent", "app"]
        assert (told.alert.culprits, told.alert.ended) == (("app",), ("agent",))
        assert "Other containers: agent 1 (had already exited)" in told.message.text

    @pytest.mark.parametrize(
        ("rule", "applies"),
        [
            (UserRule("r", {"container": ("agent",)}, severity=Severity.INFO), False),
            (UserRule("r", {"reason": ("outofmemory*",)}, severity=Severity.INFO), False),
            (UserRule("r", {"exit_code": ("137",)}, severity=Severity.INFO), False),
            (UserRule("r", {"container": ("app",), "exit_code": ("139",)}, severity=Severity.INFO), True),
        ],
    )
    def test_a_users_rule_sees_only_the_containers_that_had_not_ended_before(
        self, rule: UserRule, *, applies: bool
    ) -> None:
        later, world = START + 6 * HOUR, World(rules=(rule,))
        crash = stopped(later, events.container("app", 139), DEAD_AGENT)
        _, decision = story(world, (START, running(START, DEAD_AGENT)), (later, crash))
        assert (decision is Decision.RESOLVING) is applies  # the stop ends what lasted; it is no alert itself

    def test_a_silence_sees_only_the_containers_that_had_not_ended_before(self, world: World) -> None:
        story(world, (START, running(START, DEAD_AGENT)))
        world.silence(START + DAY, container="agent")
        later = START + 6 * HOUR
        assert story(world, (later, stopped(later, events.container("app", 139), DEAD_AGENT))) == [Decision.ANNOUNCED]

    def test_a_plugin_sees_only_the_containers_that_had_not_ended_before(
        self, monkeypatch: pytest.MonkeyPatch, world: World
    ) -> None:
        seen: list[list[str]] = []

        def ask(_plugins: Plugins, hook: str, **arguments: Any) -> list[Any]:
            if hook == "classify_event":
                seen.append([container.name for container in arguments["event"].containers])
            return []

        monkeypatch.setattr(Plugins, "ask", ask)
        later = START + 6 * HOUR
        crash = stopped(later, events.container("app", 139), DEAD_AGENT)
        story(world, (START, running(START, DEAD_AGENT)), (later, crash))
        assert seen[-1] == ["app"]

    def test_the_result_of_an_event_says_how_it_was_classified_in_the_end(self, world: World) -> None:
        later = START + 6 * HOUR
        story(world, (START, running(START, DEAD_AGENT)))
        answer = bare(world, stopped(later, events.container("app", 139), DEAD_AGENT))
        assert answer["cause"] == "essential_container_exited"

    def test_a_spot_notice_and_the_stop_that_it_announces_are_one_ending(self, world: World) -> None:
        notice = running(START, stopCode="SpotInterruption", stoppedReason=SPOT, desiredStatus="STOPPED")
        stop = stopped(START + 110, events.container(exit_code=143), code="SpotInterruption")
        assert [result.decision for result in world.receive(notice, stop)] == [Decision.ANNOUNCED] * 2
        assert [row["sk"].partition(".")[0] for row in world.rows("alert#")] == ["task-ended"]

    def test_the_stop_after_a_spot_notice_still_ends_what_lasts_until_the_stop(self, world: World) -> None:
        sidecar = events.container("sidecar", 139)
        notice = running(START + 600, sidecar, stopCode="SpotInterruption", stoppedReason=SPOT, desiredStatus="STOPPED")
        stop = stopped(START + 710, events.container(exit_code=143), sidecar, code="SpotInterruption")
        told = ((START, running(START, sidecar)), (START + 600, notice), (START + 710, stop))
        story(world, *told, (START + 770, steady(START + 770)))
        world.wait(HOUR)
        assert world.slack.kinds[-1] is Kind.RESOLVED

    @pytest.mark.parametrize("together", [True, False])
    def test_a_repeat_that_is_more_severe_is_told_as_worse_and_counted_once(
        self, world: World, *, together: bool
    ) -> None:
        notice = running(START, stopCode="SpotInterruption", stoppedReason=SPOT, desiredStatus="STOPPED")
        crash = stopped(START + 60, events.container(exit_code=139))
        if together:
            world.receive(notice, crash)
        else:
            story(world, (START, notice), (START + 60, crash))
        (row,) = world.rows("alert#")
        assert (row["cause"], row["severity"]) == ("essential_container_exited", "critical")
        assert row["decision"] == "announced"
        assert world.pager.kinds == [Kind.OPENED]
        incident = world.slack.told[-1].incident
        assert (incident.severity, dict(incident.causes)) == (Severity.CRITICAL, {"essential_container_exited": 1})

    def test_a_repeat_that_is_less_severe_changes_nothing(self, world: World) -> None:
        notice = running(START, stopCode="SpotInterruption", stoppedReason=SPOT, desiredStatus="STOPPED")
        story(world, (START + 60, stopped(START + 60, events.container(exit_code=139))))
        before = world.table.rows()
        assert story(world, (START + 61, notice)) == [Decision.ANNOUNCED]
        assert world.table.rows() == before

    def test_the_exit_of_a_container_that_is_reported_after_the_stop_of_its_task_is_over(self, world: World) -> None:
        sidecar = events.container("sidecar", 1)
        late = running(START - 60, sidecar)
        story(world, (START, stopped(START, events.container(exit_code=1), sidecar)), (START + 1, late))
        story(world, (START + 300, steady(START + 300)))
        world.wait(HOUR)
        assert world.slack.kinds[-1] is Kind.RESOLVED
        assert len([row for row in world.rows("alert#") if row["decision"] != "resolving"]) == 2

    @pytest.mark.parametrize("code", ["ServiceSchedulerInitiated", "SpotInterruption"])
    def test_it_is_over_at_once_even_if_the_stop_itself_was_no_news(self, world: World, code: str) -> None:
        """A service that scales in is not announced, and the stop after a Spot notice is known already."""
        sidecar = events.container("sidecar", 1)
        notice = running(START - 120, stopCode=code, stoppedReason=SPOT, desiredStatus="STOPPED")
        stop = stopped(START, events.container(exit_code=143), sidecar, code=code)
        spot = [(START - 120, notice)] if code == "SpotInterruption" else []
        story(world, *spot, (START, stop), (START + 1, steady(START + 1)), (START + 60, running(START - 180, sidecar)))
        world.wait(10 * MINUTE)
        assert world.slack.kinds[-1] is Kind.RESOLVED


@settings(max_examples=share(40), deadline=None)
@given(order=st.lists(st.integers(0, 3), max_size=4).flatmap(lambda more: st.permutations([0, 1, 2, 3, *more])))
def test_every_ending_of_a_task_is_recorded_and_counted_once_in_any_order(order: Sequence[int]) -> None:
    a, b = events.container("a", 1), events.container("b", 139)
    life = (
        running(START, a),
        running(START + 60, a, b),
        running(START + 90, a, b, stopCode="SpotInterruption", stoppedReason=SPOT, desiredStatus="STOPPED"),
        stopped(START + 120, events.container(exit_code=139), a, b),
    )
    world = World()
    for number in order:
        world.receive(life[number])
    rows = world.rows("alert#")
    exited = sorted(name for row in rows for name in row["exited"])
    assert exited == ["a", "b"]
    ended = [row for row in rows if row["sk"].startswith("task-ended")]
    assert [row["severity"] for row in ended] == ["critical"]
    assert world.pager.kinds == [Kind.OPENED]
    world.wait(2 * DAY, step=HOUR)
    assert world.slack.told[-1].incident.count == len(rows)


class TestReportsOfTasksAboutThemselves:
    """An own event is a claim by anyone who may call PutEvents."""

    FORGED = (
        {"lastStatus": "STOPPED", "stopCode": "EssentialContainerExited", "startedAt": "9000-01-01T00:00:00Z"},
        {"lastStatus": "STOPPED", "stopCode": "UserInitiated", "stoppedReason": "Task stopped by user"},
        {"lastStatus": "STOPPED", "stopCode": "TaskFailedToStart", "stoppedReason": "CannotPullContainerError: x"},
        {"stopCode": "SpotInterruption", "stoppedReason": SPOT},
    )

    @pytest.mark.parametrize("fields", FORGED)
    @pytest.mark.parametrize("code", [0, 137])
    def test_it_is_at_most_a_warning_about_a_container(self, world: World, fields: dict[str, str], code: int) -> None:
        (result,) = world.receive(reported(START, events.container("app", code, OOM if code else None), **fields))
        assert result.routed
        alert = result.routed.alert
        assert (alert.cause, alert.severity) in {
            ("container_exited", Severity.WARNING),
            ("task_running", Severity.INFO),
        }
        assert not alert.resolves
        assert alert.started_at is None or alert.started_at <= alert.at <= START
        assert world.pager.told == []

    def test_no_forged_start_silences_later_failures(self, world: World) -> None:
        """Repro 01 and 05 of the security review."""
        forged = reported(START, events.container(exit_code=0), startedAt="9000-01-01T00:00:00Z", lastStatus="STOPPED")
        world.receive(forged)
        for day in range(3):
            at = START + day * DAY + 60
            assert story(world, (at, stopped(at, events.container(exit_code=1), task=f"{day:032}")))[0] in {
                Decision.ANNOUNCED,
                Decision.HELD_BACK,
            }
        assert world.pager.told

    @pytest.mark.parametrize("code", [0, 1, 137])
    def test_none_takes_the_place_of_what_aws_reports(self, world: World, code: int) -> None:
        """Repro 02: the stop of the task is told in full."""
        world.receive(steady(START - HOUR))
        forged = reported(START, events.container(exit_code=code), stoppedAt="2020-01-01T00:00:00Z")
        crash = stopped(START + 60, events.container(exit_code=1))
        assert story(world, (START, forged), (START + 60, crash))[1] is Decision.ANNOUNCED
        assert world.pager.kinds == [Kind.OPENED]
        assert world.pager.told[0].alert.cause == "essential_container_exited"

    def test_none_ends_what_aws_reported(self, world: World) -> None:
        stop = {"lastStatus": "STOPPED", "stopCode": "UserInitiated", "stoppedReason": "Task stopped by user"}
        forged = reported(START + 60, events.container("log", 1), **stop)
        told = story(world, (START, running(START, events.container("log", 1))), (START + 60, forged))
        assert told == [Decision.ANNOUNCED, Decision.HELD_BACK]
        world.wait(HOUR)
        assert Kind.RESOLVED not in world.slack.kinds
        assert world.slack.told[-1].incident.count == 1

    def test_the_message_says_who_reported_it_and_nothing_of_a_forged_reason(self, world: World) -> None:
        """Repro 03."""
        text = "CannotPullContainerError: call +1-555-0100"
        world.receive(reported(START, events.container("app", 1), stoppedReason=text, lastStatus="STOPPED"))
        (told,) = world.slack.told
        assert "reported by the task itself" in told.message.text
        assert "555-0100" not in told.message.text

    def test_one_that_aws_confirms_is_told_and_counted_once(self, world: World) -> None:
        log = events.container("log", 1)
        steps = ((START, reported(START, log)), (START + 60, running(START + 60, log)))
        assert story(world, *steps) == [Decision.ANNOUNCED, Decision.HELD_BACK]
        world.wait(HOUR)
        assert world.slack.kinds == [Kind.OPENED]
        (state,) = (item for item in world.rows("subject#") if item["sk"] == "incident")
        assert world.history.incident(str(state["id"]), world.now).incident.count == 1  # type: ignore[union-attr]

    def test_one_that_aws_reports_as_worse_is_told_again(self, world: World) -> None:
        steps = ((START, reported(START, DEAD_AGENT)), (START + 60, running(START + 60, DEAD_AGENT)))
        assert story(world, *steps) == [Decision.ANNOUNCED] * 2
        assert world.pager.told[-1].alert.cause == "out_of_memory"
        assert dict(world.slack.told[-1].incident.causes) == {"out_of_memory": 1}

    def test_one_starts_no_window(self, world: World) -> None:
        story(world, (START, reported(START, events.container("log", 1), task=OTHER)))
        assert story(world, (START + 1, running(START + 1, events.container("envoy", 1)))) == [Decision.ANNOUNCED]
        assert len(world.slack.told) == 2

    def test_one_is_no_return(self, world: World) -> None:
        crash = stopped(START, events.container(exit_code=1))
        story(world, (START, crash), (START + 60, steady(START + 60)))
        world.wait(10 * MINUTE)
        assert world.slack.kinds[-1] is Kind.RESOLVED
        world.receive(reported(world.now, events.container("log", 1), task=OTHER))
        assert world.slack.told[-1].incident.reopened == 0

    def test_a_rule_may_raise_its_severity_and_not_make_it_resolve(self) -> None:
        rule = UserRule("loud", {"detail_type": ("container exited",)}, severity=Severity.CRITICAL, resolves=True)
        world = World(rules=(rule,))
        (result,) = world.receive(reported(START, events.container("log", 1)))
        assert result.routed
        alert = result.routed.alert
        assert (alert.severity, alert.cause, alert.resolves) == (Severity.CRITICAL, "container_exited", False)

    def test_no_other_type_of_event_is_believed_of_a_task(self, world: World) -> None:
        raw = events.service_action() | {"source": OWN_SOURCE}
        assert world.decisions(raw) == [Decision.UNREADABLE]

    def test_channel_health_from_outside_is_put_on_the_dead_letter_queue(self, world: World) -> None:
        detail = {"channel": "slack", "state": {"value": "FAILING", "reason": "x"}}
        raw = {"id": "1", "source": OWN_SOURCE, "detail-type": CHANNEL_HEALTH, "detail": detail}
        assert receive(world, record("a", raw)) == []
        assert bare(world, raw)["decision"] == Decision.UNREADABLE
        assert ["never accepted from outside" in notes["reason"] for _, notes in buried(world)] == [True] * 2
        assert world.rows("alert#") == []


_FIELDS = st.fixed_dictionaries(
    {},
    optional={
        "lastStatus": st.sampled_from(["STOPPED", "RUNNING", "PENDING"]),
        "desiredStatus": st.sampled_from(["STOPPED", "RUNNING"]),
        "stopCode": st.sampled_from(["EssentialContainerExited", "UserInitiated", "SpotInterruption", "x"]),
        "stoppedReason": st.sampled_from([SPOT, "Task stopped by user", OOM]),
        "startedAt": st.sampled_from(["9000-01-01T00:00:00Z", "2020-01-01T00:00:00Z"]),
        "stoppedAt": st.sampled_from(["9000-01-01T00:00:00Z", "2020-01-01T00:00:00Z"]),
        "updatedAt": st.sampled_from(["9000-01-01T00:00:00Z", "2020-01-01T00:00:00Z"]),
        "eventName": st.sampled_from(["SERVICE_STEADY_STATE", "SERVICE_DEPLOYMENT_COMPLETED"]),
    },
)
_CLAIMED = st.lists(
    st.builds(events.container, st.sampled_from(["app", "a", "b"]), st.sampled_from([0, 1, 137, None])), max_size=3
)


@settings(max_examples=share(40), deadline=None)
@given(claims=st.lists(st.tuples(st.integers(0, 3), _CLAIMED, _FIELDS, st.sampled_from([APP, OTHER])), max_size=4))
def test_no_claim_lowers_silences_or_resolves_what_aws_reports(
    claims: list[tuple[int, list[events.Raw], dict[str, str], str]],
) -> None:
    a, b = events.container("a", 1), events.container("b", 137, OOM)
    life = (
        running(START, a),
        running(START + 2 * HOUR, a, b),
        stopped(START + 4 * HOUR, events.container(exit_code=139), a, b),
    )
    alone, claimed = World(), World()
    names: set[str] = set()
    for number in range(4):
        for _, containers, fields, task in (claim for claim in claims if claim[0] == number):
            claimed.receive(reported(claimed.now, *containers, task=task, **fields))
            names |= {container["name"] for container in containers}
            claimed.now += 1  # two attempts of one millisecond would have the same key
        before = len(claimed.slack.told)
        if number < len(life):
            (expected,), (result,) = alone.receive(life[number]), claimed.receive(life[number])
            assert expected.routed
            assert result.routed
            assert expected.routed.alert == result.routed.alert
            known = expected.routed.alert.exited and names.issuperset(expected.routed.alert.exited)
            assert known or len(claimed.slack.told) > before
        alone.wait(2 * HOUR)
        claimed.wait(alone.now - claimed.now)
    assert Kind.RESOLVED not in {*claimed.slack.kinds, *claimed.pager.kinds} - {*alone.slack.kinds}
    assert [told.alert.id for told in claimed.pager.told] == [told.alert.id for told in alone.pager.told]


def test_the_answer_of_a_plugin_is_limited_too(monkeypatch: pytest.MonkeyPatch, world: World) -> None:
    def answers(_plugins: Plugins, _hook: str, **_given: Any) -> list[tuple[str, dict[str, Any]]]:
        return [("liar", {"severity": "critical", "cause": "task_completed", "resolves": True})]

    monkeypatch.setattr(Plugins, "ask", answers)
    (result,) = world.receive(reported(START, events.container("log", 1)))
    assert result.routed
    alert = result.routed.alert
    assert (alert.severity, alert.cause, alert.resolves) == (Severity.WARNING, "container_exited", False)
