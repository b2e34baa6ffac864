"""Silences and maintenance windows, through the whole router in memory: what they suppress, and what follows."""

import threading
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local_aws.events import Raw, alarm, deployment, service_action, task_stopped
from router.config.hours import parse_hours
from router.config.match import facts_of, matches
from router.config.parse import parse
from router.config.settings import Config, Route
from router.config.silences import READ_AGAIN, READ_AHEAD, READ_EVERY, Matcher, Silence, Silences, read_ahead
from router.context import Answered, Job, RoutedAlert
from router.deadline import Deadline, applies
from router.ecs.classify import alert, classify
from router.ecs.normalise import normalise
from router.errors import HistoryUnavailable, TransientError
from router.history.items import iso
from router.history.table import Item
from router.model import Alert, Decision, Kind, Severity
from router.outage import announce_without_history
from tests.doubles.world import DAY, HOUR, MINUTE, START, World, no_plugins, serially

ANNOUNCED, HELD_BACK, SILENCED = Decision.ANNOUNCED, Decision.HELD_BACK, Decision.SILENCED
OPENED, UPDATED, RESOLVED = Kind.OPENED, Kind.UPDATED, Kind.RESOLVED


def crash(world: World, name: str = "", **fields: Any) -> Raw:
    """A critical alert of service:web in the cluster prod, now."""
    task = name or f"t{world.now}"
    return task_stopped(task=task, stoppedAt=iso(world.now), event_id=f"{task}-{world.now}", **fields)


def spot(world: World) -> Raw:
    return task_stopped(
        "SpotInterruption",
        "Your Spot Task was interrupted.",
        task=f"s{world.now}",
        stoppedAt=iso(world.now),
        event_id=f"spot-{world.now}",
    )


def steady(world: World) -> Raw:
    return service_action(createdAt=iso(world.now)) | {"id": f"steady-{world.now}"}


@pytest.fixture
def world() -> World:
    return World()


def crashes(world: World, count: int, every: float = MINUTE) -> list[str | None]:
    decisions: list[str | None] = []
    for _ in range(count):
        decisions += world.decisions(crash(world))
        world.wait(every)
    return decisions


def row(world: World) -> Item:
    """The newest alert's."""
    return max(world.rows("alert#"), key=lambda item: str(item["at"]))


# --- while it lasts ---------------------------------------------------------------------------------------------------


def test_a_silenced_alert_is_recorded_with_the_silence_and_notifies_no_one(world: World) -> None:
    world.silence(START + HOUR, service="web")
    assert world.decisions(crash(world)) == [SILENCED]
    assert row(world).items() >= {"decision": "silenced", "silence": "s1", "silence_reason": "deploying"}.items()
    assert row(world)["incident"] == ""
    assert [channel.tried for channel in world.channels.values()] == [0, 0, 0]
    assert world.history.open_incidents(world.now) == []


def test_an_alert_that_a_silence_does_not_match_is_announced(world: World) -> None:
    world.silence(START + HOUR, service="api")
    assert world.decisions(crash(world)) == [ANNOUNCED]
    assert "silence" not in row(world)


def test_an_alert_that_would_notify_no_one_is_not_silenced() -> None:
    world = World(routes=[Route(Severity.CRITICAL, channels=("slack",))])
    world.silence(START + HOUR, cluster="*")
    scaled_in = task_stopped("ServiceSchedulerInitiated", "Scaling activity initiated by (deployment x)")
    assert world.decisions(scaled_in, spot(world)) == [Decision.BELOW_THRESHOLD, Decision.NO_ROUTE]


def test_an_added_silence_takes_effect_within_a_minute(world: World) -> None:
    world.receive(crash(world, service="other"))  # the process has read the silences, and there are none
    world.now += 1
    world.silence(START + HOUR, service="web")
    world.now += READ_EVERY - 1
    assert world.decisions(crash(world)) == [SILENCED]


def test_a_silence_with_a_later_start_is_inactive_until_then(world: World) -> None:
    later = Silence("s1", {"service": ("web",)}, "x", "ann", START, START + HOUR, START + 2 * HOUR, START + 2 * HOUR)
    world.history.put_silence(later, world.now)
    assert world.decisions(crash(world)) == [ANNOUNCED]
    world.now = START + HOUR
    assert world.decisions(crash(world)) == [SILENCED]
    world.now = START + 2 * HOUR
    assert world.decisions(crash(world)) != [SILENCED]


def test_the_later_end_of_two_overlapping_silences_counts(world: World) -> None:
    world.silence(START + HOUR, service="web", id_="short")
    world.silence(START + 2 * HOUR, cluster="prod", id_="long")
    assert world.decisions(crash(world)) == [SILENCED]
    assert row(world)["silence"] == "long"
    world.now = START + HOUR + MINUTE
    assert world.decisions(crash(world)) == [SILENCED]


def test_worse_alerts_are_silenced_too_unless_the_silence_names_a_severity(world: World) -> None:
    world.silence(START + HOUR, service="web", severity="warning")
    assert world.decisions(spot(world)) == [SILENCED]
    assert world.decisions(crash(world)) == [ANNOUNCED]


def test_the_same_event_again_stays_silenced_after_the_end(world: World) -> None:
    world.silence(START + HOUR, service="web")
    event = crash(world)
    world.receive(event)
    world.now += 2 * HOUR
    assert world.decisions(event) == [SILENCED]
    assert world.slack.tried == 0


# --- and after it -----------------------------------------------------------------------------------------------------


def test_the_first_alert_after_a_silence_opens_the_incident_with_its_original_start(world: World) -> None:
    world.silence(START + HOUR, service="web")
    assert crashes(world, 3) == [SILENCED] * 3
    world.now = START + HOUR
    assert world.decisions(crash(world)) == [ANNOUNCED]
    (told,) = world.slack.told
    assert (told.kind, told.incident.opened_at, told.incident.count) == (OPENED, START, 1)
    assert "Ongoing since 2025-10-09 08:53:20 UTC. Silence s1 (deploying) held back 3 earlier alerts." in (
        told.message.text
    )
    assert [channel.kinds for channel in world.channels.values()] == [[OPENED]] * 3


def test_a_problem_that_recovered_during_the_silence_has_no_original_start(world: World) -> None:
    world.silence(START + HOUR, service="web")
    crashes(world, 3)
    assert world.decisions(steady(world)) == [Decision.RESOLVING]
    world.now = START + HOUR
    world.receive(crash(world))
    (told,) = world.slack.told
    assert (told.incident.opened_at, told.incident.silenced) == (world.now, None)


def test_a_silenced_failed_deployment_is_not_ended_by_the_steady_state_after_its_rollback(world: World) -> None:
    """An event that does not end an announced problem does not end a silenced one either."""
    world.silence(START + HOUR, service="web")
    rolling = deployment("SERVICE_DEPLOYMENT_IN_PROGRESS", "rolling back", deploymentId="d2", updatedAt=iso(START))
    failed = deployment("SERVICE_DEPLOYMENT_FAILED", deploymentId="d1", updatedAt=iso(START + 1))
    world.receive(failed | {"id": "failed"}, rolling | {"id": "rolling"})
    world.now += MINUTE
    world.receive(steady(world))
    world.now = START + HOUR
    world.receive(crash(world))
    assert world.slack.told[0].incident.opened_at == START


def test_a_silenced_problem_lapses_after_a_day_without_an_alert(world: World) -> None:
    world.silence(START + HOUR, service="web")
    world.receive(crash(world))
    world.now = START + DAY + 2 * MINUTE
    world.receive(crash(world))
    assert world.slack.told[0].incident.opened_at == world.now


def test_ending_a_silence_takes_effect_within_a_minute(world: World) -> None:
    silence = world.silence(START + HOUR, service="web")
    world.receive(crash(world))
    (stored,) = world.history.silences(world.now)
    world.history.put_silence(stored._replace(ends_at=world.now), world.now)
    world.now += READ_EVERY
    assert world.decisions(crash(world)) == [ANNOUNCED]
    (ended,) = world.history.all_silences(world.now)
    assert (ended.id, ended.ends_at, ended.planned_end) == (silence.id, START, START + HOUR)


# --- an incident that is open already ---------------------------------------------------------------------------------


def test_an_open_incident_is_not_updated_until_the_silence_ends(world: World) -> None:
    world.receive(crash(world))
    world.wait(MINUTE)
    world.receive(crash(world))  # held back by the window
    world.silence(START + HOUR, service="web")
    world.wait(2 * MINUTE)
    assert crashes(world, 30) == [SILENCED] * 30
    assert world.slack.kinds == [OPENED]
    world.now = START + HOUR
    world.tick()
    assert world.slack.kinds == [OPENED, UPDATED]
    assert world.slack.told[1].incident.count == 2
    world.receive(crash(world))
    world.wait(2 * HOUR)
    assert world.slack.told[2].incident.silenced is not None
    assert world.slack.told[2].incident.silenced.count == 30


def test_an_open_incident_is_updated_within_two_minutes_of_an_early_end(world: World) -> None:
    world.receive(crash(world))
    world.receive(crash(world, "t2"))
    world.silence(START + HOUR, service="web")
    world.wait(20 * MINUTE)  # the window has ended
    (stored,) = world.history.silences(world.now)
    world.history.put_silence(stored._replace(ends_at=world.now), world.now)
    assert world.slack.kinds == [OPENED]
    world.wait(2 * MINUTE)
    assert world.slack.kinds == [OPENED, UPDATED]


def test_a_retry_waits_for_the_end_of_any_silence_and_is_not_given_up(world: World) -> None:
    world.slack.failure = lambda: TransientError("over its limit")
    world.receive(crash(world))
    tried = world.slack.tried
    world.silence(START + 30 * HOUR, service="web")
    world.wait(2 * MINUTE)
    tried = world.slack.tried
    while world.now < START + 29 * HOUR:
        world.receive(crash(world))
        world.wait(HOUR)
    assert world.slack.tried == tried
    world.wait(2 * HOUR)  # and Slack still fails
    world.slack.failure = lambda: None
    world.wait(HOUR)
    assert world.slack.kinds == [OPENED]


def test_the_end_of_an_announced_incident_is_sent_during_a_silence(world: World) -> None:
    world.receive(crash(world))
    world.silence(START + HOUR, service="web")
    world.wait(MINUTE)
    world.receive(steady(world))
    world.wait(10 * MINUTE)
    assert [channel.kinds for channel in world.channels.values()] == [[OPENED, RESOLVED]] * 3


def test_a_silenced_alert_shows_that_an_announced_incident_is_not_over(world: World) -> None:
    world.receive(crash(world))
    world.silence(START + HOUR, service="web")
    world.wait(MINUTE)
    world.receive(steady(world))
    world.wait(MINUTE)
    assert world.decisions(crash(world)) == [SILENCED]
    world.wait(30 * MINUTE)
    assert world.slack.kinds == [OPENED]


# --- maintenance windows ----------------------------------------------------------------------------------------------


def window(**fields: Any) -> Silence:
    """Thursdays from 9 to 10; START is a Thursday, 8:53:20."""
    return Silence(
        **{"id": "patching", "match": {"cluster": ("prod",)}, "reason": "patches", **fields},
        hours=(parse_hours("thu 09:00-10:00"),),
    )


def test_a_maintenance_window_silences_during_its_hours_and_is_named() -> None:
    world = World(maintenance=(window(),))
    before, within, after = START, START + 10 * MINUTE, START + 2 * HOUR
    found = []
    for world.now in (before, within, after):
        found += world.decisions(crash(world))
        found.append(row(world).get("silence"))
    assert found == [ANNOUNCED, None, SILENCED, "patching", ANNOUNCED, None]


def test_the_hours_of_a_window_are_in_its_time_zone() -> None:
    world = World(maintenance=(window(time_zone="Asia/Tokyo"),))
    world.now = START + 10 * MINUTE
    assert world.decisions(crash(world)) == [ANNOUNCED]


# --- when history cannot be read --------------------------------------------------------------------------------------


def sample(**fields: Any) -> Alert:
    event = normalise(task_stopped(**fields), now=START)
    return alert(event, classify(event))


class Stored:
    """Stored silences that can be unreachable, and that count how often they are read."""

    def __init__(self, *silences: Silence) -> None:
        self.silences = silences
        self.reachable = True
        self.reads = 0

    def __call__(self, _: float) -> tuple[Silence, ...]:
        self.reads += 1
        if not self.reachable:
            raise HistoryUnavailable("not now")
        return self.silences


WEB = Silence("s1", {"service": ("web",)}, ends_at=START + HOUR)


def test_silences_are_read_at_most_once_a_minute() -> None:
    stored = Stored(WEB)
    silences = Silences(stored)
    for second in range(120):
        silences.active(sample(), START + second)
    assert stored.reads == 2


def test_the_last_known_silences_apply_while_history_is_unreachable() -> None:
    stored = Stored(WEB)
    silences = Silences(stored)
    silences.active(sample(), START)
    stored.reachable = False
    assert silences.active(sample(), START + READ_EVERY) == WEB
    stored.reachable, stored.silences = True, ()
    assert silences.active(sample(), START + READ_EVERY + READ_AGAIN - 1) == WEB
    assert silences.active(sample(), START + READ_EVERY + READ_AGAIN) is None


def test_a_process_that_has_never_read_silences_raises() -> None:
    stored = Stored(WEB)
    stored.reachable = False
    silences = Silences(stored)
    for _ in range(2):
        with pytest.raises(HistoryUnavailable):
            silences.active(sample(), START)


@pytest.mark.parametrize(("waited", "reads"), [(0.0, 1), (READ_AHEAD - 1, 1), (READ_AHEAD, 2)])
def test_silences_are_read_ahead_at_the_start_unless_the_first_alert_comes_later(waited: float, reads: int) -> None:
    stored = Stored(WEB)
    silences = Silences(read_ahead(stored, lambda: START))
    assert silences.active(sample(), START + waited) == WEB
    assert stored.reads == reads
    silences.active(sample(), START + waited + READ_EVERY)
    assert stored.reads == reads + 1


def test_the_first_alert_reads_silences_if_reading_ahead_failed() -> None:
    stored = Stored(WEB)
    stored.reachable = False
    read = read_ahead(stored, lambda: START)
    while not stored.reads:
        threading.Event().wait(0.001)
    stored.reachable = True
    assert Silences(read).active(sample(), START) == WEB


def test_what_hangs_when_it_is_read_ahead_is_waited_for_no_longer_than_the_deadline() -> None:
    over, reads = threading.Event(), [0]

    def read(_: float) -> list[Silence]:
        reads[0] += 1
        if reads[0] == 1:
            over.wait(20)
        return [WEB]

    reading = read_ahead(read, lambda: START)
    with applies(Deadline.after(0.1)):
        assert Silences(reading).active(sample(), START) == WEB
    over.set()


def test_known_silences_apply_during_an_outage(world: World) -> None:
    def announced(routed: RoutedAlert) -> int:
        deps = world.router
        deliveries = announce_without_history([routed], deps.config, deps.runtime, deps.memory, serially_sent)
        return len(deliveries[routed.alert.id])

    def serially_sent(jobs: Sequence[Job]) -> Iterable[Sequence[Answered]]:
        return serially(jobs, world.deadline())

    world.silence(START + HOUR, service="web")
    world.receive(crash(world))
    (result,) = world.receive(crash(world, "t2"))
    assert result.routed is not None
    assert announced(result.routed) == 0
    world.now = START + HOUR
    assert announced(result.routed) == 3


# --- matching ---------------------------------------------------------------------------------------------------------

GLOBS = st.from_regex(r"!?[aWb\-*?\[\]]{1,4}", fullmatch=True)
NAMES = st.text("awB-", min_size=1, max_size=4)


@given(
    st.lists(
        st.dictionaries(st.sampled_from(["service", "cluster", "cause", "container"]), st.lists(GLOBS, min_size=1)),
        max_size=8,
    ),
    NAMES,
)
def test_the_index_finds_the_same_silences_as_comparing_each(found: list[dict[str, list[str]]], name: str) -> None:
    silences = [
        Silence(str(number), {fact: tuple(globs) for fact, globs in match.items()})
        for number, match in enumerate(found)
    ]
    made = sample(service=name)
    expected = {silence.id for silence in silences if matches(silence.match, facts_of(made))}
    assert {silence.id for silence in Matcher(silences).matching(made)} == expected


@pytest.mark.parametrize(
    ("match", "expected"),
    [
        ({}, True),
        ({"cluster": ("*",)}, True),
        ({"cluster": ("**", "prod"), "severity": ("*",)}, True),
        ({"cluster": ("*",), "service": ("web", "**")}, False),  # an alarm has no service
        ({"cluster": ("*", "!prod")}, False),
        ({"cluster": ("!prod",)}, False),
        ({"cluster": ("*",), "service": ("web",)}, False),
        ({"service": ("w*",)}, False),
    ],
)
def test_a_silence_knows_whether_it_silences_everything(match: dict[str, tuple[str, ...]], *, expected: bool) -> None:
    assert Silence("x", match).everything is expected


def test_only_silences_that_can_match_are_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    thousand = [
        Silence(f"s{number}", {"service": (f"team{number}-*",), "cluster": ("prod",)}) for number in range(1000)
    ]
    compared: list[Mapping[str, tuple[str, ...]]] = []

    def counted(match: Mapping[str, tuple[str, ...]], facts: Mapping[str, Sequence[str]]) -> bool:
        compared.append(match)
        return matches(match, facts)

    monkeypatch.setattr("router.config.silences.matches", counted)
    mine = Silence("mine", {"service": ("we*",)})
    assert list(Matcher([*thousand, mine]).matching(sample())) == [mine]
    assert compared == [mine.match]


def test_alarms_and_instances_can_be_silenced_by_their_subject(world: World) -> None:
    world.silence(START + HOUR, subject="alarm:*")
    assert world.decisions(alarm()) == [SILENCED]


# --- alert-router.toml ------------------------------------------------------------------------------------------------

TOML = {"time_zone": "Asia/Tokyo", "channels": {}, "routes": [{"channels": ["x"]}]}
PATCHING = {"name": "patching", "match": {"cluster": "prod"}, "hours": "sun 02:00-04:00", "reason": "patches"}


def parsed(**window: Any) -> Config:
    return parse(TOML | {"maintenance": [{**PATCHING, **window}]}, no_plugins(), {})


def problems(config: Config) -> list[str]:
    return [problem for problem in config.problems if problem.startswith("maintenance")]


def test_a_windows_time_zone_is_its_own_or_the_files() -> None:
    (read,) = parsed().maintenance
    assert (read.id, read.match, read.reason) == ("patching", {"cluster": ("prod",)}, "patches")
    assert (read.hours, read.time_zone) == ((parse_hours("sun 02:00-04:00"),), "Asia/Tokyo")
    assert parsed(time_zone="UTC").maintenance[0].time_zone == "UTC"


@pytest.mark.parametrize(
    ("wrong", "problem"),
    [
        ({"hours": []}, "maintenance[1].hours: must be hours such as"),
        ({"hours": "25:00-26:00"}, "maintenance[1].hours: 25:00 is not a time of day"),
        ({"match": {}}, "maintenance[1].match: matches everything: name what it silences"),
        (
            {"match": {"clutser": "prod"}},
            "maintenance[1].match.clutser: is not a key of this table; did you mean cluster?",
        ),
        ({"match": {"task": "t1"}}, "maintenance[1].match.task: is not a key of this table; only silences can"),
        ({"until": "friday"}, "maintenance[1].until: is not a key of this table"),
        ({"time_zone": "Mars"}, "maintenance[1].time_zone: must be a time zone"),
    ],
)
def test_an_invalid_window_is_reported_with_its_place_and_silences_nothing(wrong: dict[str, Any], problem: str) -> None:
    config = parsed(**wrong)
    (found,) = problems(config)
    assert found.startswith(problem)
    assert config.maintenance == ()


def test_all_problems_of_a_window_are_reported() -> None:
    assert len(problems(parsed(hours="never", match={"x": "y"}, zone="UTC"))) == 3
