"""The queries and commits of history."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pytest

from local_aws import events
from router.channels.state import ChannelStates
from router.cli.replay.memory_table import MemoryTable
from router.deadline import Deadline, applies
from router.ecs.classify import alert, classify
from router.ecs.normalise import normalise
from router.errors import Conflict, Contended, HistoryUnavailable, PermanentError, TransientError
from router.history.items import CHANNEL_STATES_KEY, AlertRecord, iso, row_key, state_key
from router.history.store import (
    BATCH_TRIES,
    TRIES,
    AlertQuery,
    Attempt,
    Change,
    Changes,
    History,
    Stored,
    SubjectWrite,
    backoff,
)
from router.history.table import MAX_PUTS, Item, Key, Put, Query
from router.incident.state import SubjectState
from router.model import Decision, IncidentStatus, Severity, Subject, SubjectKind
from tests.doubles.world import DAY, HOUR, MINUTE, World

AT = datetime(2024, 8, 8, 17, 19, 2, tzinfo=UTC).timestamp()
RETENTION = 90 * DAY
SERVICES = ("web", "api", "mail", "search", "billing", "login")
WEB = Subject(events.ACCOUNT, events.REGION, events.CLUSTER, SubjectKind.SERVICE, "web")


def row(
    number: int, at: float, *, service: str = "web", cluster: str = "prod", spot: bool = False, **detail: Any
) -> AlertRecord:
    """The alert of task `number`: critical, or a warning for a Spot interruption."""
    code = "SpotInterruption" if spot else "EssentialContainerExited"
    raw = events.task_stopped(code, "", task=f"{number:032x}", service=service, stoppedAt=iso(at), **detail)
    event = normalise(json.loads(json.dumps(raw).replace(events.CLUSTER, cluster)))
    return AlertRecord(alert(event, classify(event)), Decision.ANNOUNCED, "", event)


def history_with(*rows: AlertRecord, now: float = AT) -> History:
    history = History(MemoryTable(), RETENTION)
    for item in rows:
        history.commit(now, [item])
    return history


def tasks(found: Sequence[Item]) -> list[int]:
    return [int(item["task"], 16) for item in found]


def ask(history: History, *, until: float = AT, hours: float = 1, now: float = AT, **wanted: Any) -> list[int]:
    return tasks(history.alerts(AlertQuery(until - hours * HOUR, until, **wanted), now))


# --- alerts -----------------------------------------------------------------------------------------------------------

MANY = history_with(
    row(1, AT - 50 * MINUTE),
    row(2, AT - 40 * MINUTE, service="api"),
    row(3, AT - 30 * MINUTE, cluster="test"),
    row(4, AT - 20 * MINUTE, spot=True),
    row(5, AT - 10 * MINUTE, service="api", spot=True),
    row(6, AT - 2 * DAY),
)


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ({}, [5, 4, 3, 2, 1]),
        ({"subject": "service:api"}, [5, 2]),
        ({"subject": "service:nothing"}, []),
        ({"subject": "service:web", "severity": "critical"}, [3, 1]),
        ({"cluster": "prod"}, [5, 4, 2, 1]),
        ({"cluster": "prod", "severity": "warning"}, [5, 4]),
        ({"subject": "service:web", "cluster": "prod"}, [4, 1]),
        ({"severity": "warning"}, [5, 4]),
        ({"severity": "error"}, []),
        ({"limit": 2}, [5, 4]),
        ({"subject": "service:web", "limit": 1}, [4]),
        ({"cluster": "prod", "severity": "critical", "limit": 1}, [2]),
        ({"hours": 0.4}, [5, 4]),
        ({"until": AT - 15 * MINUTE, "hours": 0.3}, [4, 3]),
        ({"hours": 72}, [5, 4, 3, 2, 1, 6]),
        ({"cluster": "prod", "hours": 72}, [5, 4, 2, 1, 6]),
        ({"subject": "service:web", "hours": 72}, [4, 3, 1, 6]),
    ],
)
def test_alerts_are_found_by_subject_cluster_severity_and_time_newest_first(
    wanted: dict[str, Any], found: list[int]
) -> None:
    assert ask(MANY, **wanted) == found


def test_alerts_on_both_sides_of_midnight_are_found() -> None:
    midnight = datetime(2024, 8, 9, tzinfo=UTC).timestamp()
    history = history_with(row(1, midnight - 1), row(2, midnight), now=midnight)
    later = midnight + 60
    assert ask(history, until=later, now=later) == [2, 1]
    assert ask(history, until=later, now=later, cluster="prod") == [2, 1]
    assert ask(history, until=later, now=later, subject="service:web") == [2, 1]
    assert ask(history, until=later, now=later, severity="critical") == [2, 1]


def test_the_newest_alerts_are_found_in_any_shards() -> None:
    history = history_with(*(row(number, AT - number) for number in range(1, 60)))
    assert ask(history, limit=30) == list(range(1, 31))


def test_what_has_expired_is_not_shown_though_dynamodb_has_not_yet_deleted_it() -> None:
    history = history_with(row(1, AT - 60), now=AT - RETENTION - 1)
    history.commit(AT, [row(2, AT - 30)])
    assert ask(history) == [2]
    (gone, kept) = (row(number, AT).alert for number in (1, 2))
    assert (history.row(gone.id, AT), history.by_occurrence(gone.task, AT)) == (None, ())
    assert history.row(kept.id, AT) is not None


# --- one alert, one task ----------------------------------------------------------------------------------------------


def test_a_row_is_found_by_the_alerts_id() -> None:
    found = MANY.row(row(1, AT).alert.id, AT)
    assert found is not None
    assert (found["task"], found["decision"]) == (f"{1:032x}", "announced")


@pytest.mark.parametrize("text", ["", "nothing", "a.b.c", f"{1:032x}"])
def test_an_invalid_alert_id_finds_no_row(text: str) -> None:
    assert MANY.row(text, AT) is None


def test_everything_about_a_task_is_found_by_its_id() -> None:
    oom = events.container("app", 137, "OutOfMemoryError: Container killed due to memory usage")
    exit_before: dict[str, Any] = {"lastStatus": "RUNNING", "desiredStatus": "RUNNING", "containers": [oom]}
    history = history_with(row(1, AT), row(1, AT, **exit_before), row(2, AT))
    assert {item["cause"] for item in history.by_occurrence(f"{1:032x}", AT)} == {
        "essential_container_exited",
        "out_of_memory",
    }
    assert history.by_occurrence("nothing", AT) == ()


# --- incidents --------------------------------------------------------------------------------------------------------


def crashing(*services: str) -> World:
    """One incident for each service, a minute apart."""
    world = World()
    for number, service in enumerate(services):
        world.receive(events.task_stopped(task=f"{number:032x}", service=service))
        world.now += MINUTE
    return world


def test_open_incidents_are_listed_with_the_longest_open_first() -> None:
    world = World()
    for number, service in enumerate(SERVICES):  # the newest comes first
        stopped_at = iso(AT - number * MINUTE)
        world.receive(events.task_stopped(task=f"{number:032x}", service=service, stoppedAt=stopped_at))
    found = [item["subject"] for item in world.history.open_incidents(world.now)]
    assert found == [f"service:{service}" for service in reversed(SERVICES)]
    world.receive(events.service_action(service=SERVICES[0], createdAt=iso(AT + MINUTE)))
    world.wait(HOUR, step=HOUR)
    assert [item["subject"] for item in world.history.open_incidents(world.now)] == found[:-1]


def test_the_latest_and_earlier_incidents_are_found_by_id() -> None:
    world = crashing("web")
    world.receive(events.service_action())
    world.wait(HOUR)
    again = {"createdAt": "2024-08-09T17:00:00Z", "stoppedAt": "2024-08-09T17:00:00Z"}
    world.receive(events.task_stopped(task="b" * 32, **again))
    for number, status in ((1, IncidentStatus.RESOLVED), (2, IncidentStatus.OPEN)):
        state = world.history.incident(f"{WEB.key}-{number}", world.now)
        assert state is not None
        assert state.incident is not None
        assert (state.incident.number, state.incident.status) == (number, status)
    assert world.history.incident(f"{WEB.key}-3", world.now) is None


@pytest.mark.parametrize("text", ["", "-", "abc", "abc-", "-1", "abc-x", "abc-1", "a-b-1"])
def test_an_invalid_incident_id_finds_none(text: str) -> None:
    world = crashing("web")
    assert world.history.incident(text, world.now) is None


def test_an_incidents_deliveries_are_listed_oldest_first() -> None:
    world = World()
    world.slack.failure = lambda: TransientError("busy")
    world.pager.failure = lambda: PermanentError("no such service")
    world.receive(events.task_stopped(), events.task_stopped(service="api", task="b" * 32))
    world.slack.failure = lambda: None
    world.wait(MINUTE)
    found = world.history.deliveries(f"{WEB.key}-1", world.now)
    said = [(item["channel"], item["outcome"], item["attempt"], item["answer"]) for item in found]
    assert sorted(said[:3]) == [
        ("email", "sent", 1, ""),
        ("pager", "failed", 1, "no such service"),
        ("slack", "retry", 1, "busy"),
    ]
    assert said[3:] == [("slack", "sent", 2, "")]
    assert world.history.deliveries(f"{WEB.key}-2", world.now) == ()


def test_due_subjects_are_found_with_the_longest_overdue_first() -> None:
    world = World()
    world.slack.failure = lambda: TransientError("busy")
    for number, service in enumerate(SERVICES):
        world.receive(events.task_stopped(service=service, task=f"{number:032x}"))
        world.now += 1
    assert world.history.due(world.now) == []
    world.now += 30
    assert [state.subject.text for state in world.history.due(world.now)] == [f"service:{name}" for name in SERVICES]


# --- commits ----------------------------------------------------------------------------------------------------------


def test_a_row_that_exists_is_left_as_it_is_and_the_others_are_written() -> None:
    history = history_with(row(1, AT))
    again = row(1, AT)._replace(decision=Decision.HELD_BACK)
    assert history.commit(AT, [again, row(2, AT)], SubjectState(WEB)) is not None
    assert ask(history) == [2, 1]
    assert [item["decision"] for item in history.alerts(AlertQuery(AT - HOUR, AT), AT)] == ["announced", "announced"]


def test_a_changed_state_refuses_the_commit() -> None:
    history = history_with()
    stored = history.commit(AT, state=SubjectState(WEB))
    assert stored == SubjectState(WEB)._replace(version=1)
    assert history.state(WEB, AT) == stored
    with pytest.raises(Conflict) as caught:
        history.commit(AT, [row(1, AT)], SubjectState(WEB))
    assert caught.value.keys == {state_key(WEB)}
    assert ask(history) == []


def test_rate_limits_that_another_writer_has_charged_meanwhile_refuse_the_commit() -> None:
    history = history_with()
    before = history.channel_states(AT)
    history.commit_all(AT, [], before._replace(sent_at={"slack": (AT,)}))
    with pytest.raises(Conflict) as caught:
        history.commit_all(AT, [SubjectWrite((), SubjectState(WEB))], before._replace(sent_at={"slack": (AT + 1,)}))
    assert caught.value.keys == {CHANNEL_STATES_KEY}
    assert history.channel_states(AT).sent_at == {"slack": (AT,)}


def test_an_empty_commit_makes_no_call() -> None:
    class Untouched(MemoryTable):
        def commit(self, *_: object) -> None:
            raise HistoryUnavailable("must not be asked")

    assert History(Untouched(), RETENTION).commit(AT) is None


# --- never a whole account's writes on one key ------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["cluster_day", "severity_day"])
def test_a_days_alerts_are_spread_over_ten_partitions(name: str) -> None:
    history = history_with(*(row(number, AT) for number in range(100)))
    assert isinstance(history.table, MemoryTable)
    assert len({item[name] for item in history.table.rows()}) == 10


def test_no_query_reads_a_partition_twice() -> None:
    asked: list[tuple[str | None, str]] = []

    class Watched(MemoryTable):
        def query(self, query: Query, now: float) -> Any:
            asked.append((query.index_name, query.partition))
            return super().query(query, now)

    history = History(Watched(), RETENTION)
    history.alerts(AlertQuery(AT - DAY, AT, cluster="prod"), AT)
    history.alerts(AlertQuery(AT - DAY, AT, severity=Severity.ERROR), AT)
    history.alerts(AlertQuery(AT - DAY, AT, subject="service:web"), AT)
    assert len(set(asked)) == len(asked) == 2 * 10 + 2 * 10 + 1


# --- how long it is kept ----------------------------------------------------------------------------------------------


def test_a_rows_retention_is_that_of_its_severity() -> None:
    history = History(MemoryTable(), RETENTION, {"warning": 7 * DAY, "critical": 365 * DAY})
    history.commit(AT, [row(1, AT), row(2, AT, spot=True), row(3, AT, stoppedReason="", stopCode="UserInitiated")])
    kept = {item["severity"]: (item["ttl"] - AT) // DAY for item in history.alerts(AlertQuery(AT - 1, AT), AT)}
    assert kept == {"critical": 365, "warning": 7, "info": 90}


def test_deliveries_are_kept_as_long_as_their_incident_and_states_longest() -> None:
    """If the latest expired first, numbers would restart at 1 while an incident 1 still exists."""
    world = World()
    world.keep_in(History(world.table, RETENTION, {"warning": 7 * DAY, "critical": 365 * DAY}))
    world.receive(events.task_stopped("SpotInterruption", "", stoppedAt=iso(world.now)))
    (state,) = [item for item in world.rows("subject#") if item["sk"] == "incident"]
    assert "ttl" not in state  # while the incident is open: else nobody would be told of its end
    world.receive(events.service_action(updatedAt=iso(world.now + 1)))
    world.wait(10 * MINUTE)
    kept = {item["sk"].partition("#")[0]: round((item["ttl"] - world.now) / DAY) for item in world.rows("subject#")}
    assert kept == {"delivery": 7, "incident": 365}


# --- updates ----------------------------------------------------------------------------------------------------------


class Rivals:
    """Another writer who changes a subject's state before each of the next commits."""

    def __init__(self, history: History, commits: int) -> None:
        self._history = history
        self._left = commits
        self.reads = 0

    def read(self, attempt: Attempt) -> SubjectState:
        self.reads += 1
        return self._history.state(WEB, attempt.now)

    def change(self, state: SubjectState, attempt: Attempt) -> Change[int]:
        if self._left:
            self._left -= 1
            self._history.commit(AT, state=state._replace(rollbacks=(*state.rollbacks, f"rival {attempt.number}")))
        own = state._replace(rollbacks=(*state.rollbacks, "own"))
        return Change(attempt.number, SubjectWrite(state=own))


def update(history: History, rivals: Rivals, tries: int = TRIES) -> Stored[int]:
    return history.update(rivals.read, rivals.change, lambda: AT, lambda _: None, tries)


def test_an_update_starts_again_from_the_state_that_another_writer_stored() -> None:
    history = history_with()
    number, stored, _ = update(history, Rivals(history, commits=2))
    assert number == 2
    assert stored == history.state(WEB, AT)
    assert stored.rollbacks == ("rival 0", "rival 1", "own")


def test_an_update_gives_up_after_repeated_conflicts() -> None:
    history = history_with()
    with pytest.raises(Contended, match="3 times in a row"):
        update(history, Rivals(history, commits=3), tries=3)
    assert "own" not in history.state(WEB, AT).rollbacks


def test_an_update_waits_before_each_new_attempt() -> None:
    history, waits = history_with(), list[int]()
    rivals = Rivals(history, commits=2)
    history.update(rivals.read, rivals.change, lambda: AT, waits.append)
    assert waits == [0, 1]


def test_an_update_goes_on_until_the_deadline_and_is_then_contended() -> None:
    """Contention is no outage: whoever gives up says so, and does not ask once more with too little time."""
    history, now = history_with(), AT
    rivals = Rivals(history, commits=1000)

    def pause(_: int) -> None:
        nonlocal now
        now += 1.0

    with applies(Deadline(AT + 30, lambda: now)), pytest.raises(Contended, match="30 times in a row"):
        history.update(rivals.read, rivals.change, lambda: AT, pause)
    assert rivals.reads == 30


@pytest.mark.parametrize(("attempt", "longest"), [(0, 0.02), (3, 0.16), (10, 1.0), (99, 1.0)])
def test_writers_wait_by_chance_longer_after_each_attempt_and_at_most_a_second(attempt: int, longest: float) -> None:
    assert [backoff(attempt, chance) for chance in (0.0, 0.5, 1.0)] == [0.0, longest / 2, longest]


# --- updates of many subjects -----------------------------------------------------------------------------------------

SUBJECTS = [WEB._replace(name=name) for name in SERVICES]


class Watched(MemoryTable):
    """Notes what each commit writes, and refuses some keys.

    Attributes:
        commits: the names of the subjects (`channels` for the channel states) of each commit, in order.
    """

    def __init__(self) -> None:
        super().__init__()
        self.commits: list[list[str]] = []
        self.refused: dict[Key, Exception] = {}

    def commit(self, puts: Sequence[Put], now: float) -> None:
        self.commits.append([put.item.get("subject", "service:channels").partition(":")[2] for put in puts])
        for put in puts:
            if put.key in self.refused:
                raise self.refused[put.key]
        super().commit(puts, now)


def update_all(
    history: History,
    *names: str,
    independent: bool = False,
    channel_states: ChannelStates | None = None,
    pause: Any = lambda _: None,
) -> list[str]:
    """Writes the states of these services together. Returns the names of those that were written."""
    subjects = [subject for subject in SUBJECTS if subject.name in names]

    def read(parts: Sequence[Subject], attempt: Attempt) -> dict[Subject, SubjectState]:
        return history.states(parts, attempt.now)[0]

    def change(states: dict[Subject, SubjectState], parts: Sequence[Subject], attempt: Attempt) -> Changes[int]:
        changes = [
            Change(attempt.number, SubjectWrite(state=states[part], is_independent=independent)) for part in parts
        ]
        return Changes(changes, channel_states)

    outcomes = history.update_all(subjects, read, change, lambda: AT, pause)
    return [part.name for part, outcome in zip(subjects, outcomes, strict=True) if isinstance(outcome, Stored)]


def watched() -> tuple[History, Watched]:
    table = Watched()
    return History(table, RETENTION), table


def test_leases_are_taken_in_one_transaction_with_the_channel_states() -> None:
    history, table = watched()
    assert update_all(history, "web", "api", channel_states=ChannelStates()) == ["web", "api"]
    assert table.commits == [["web", "api", "channels"]]


def test_what_needs_no_transaction_is_written_alone_which_costs_half() -> None:
    history, table = watched()
    assert update_all(history, "web", "api", independent=True) == ["web", "api"]
    assert table.commits == [["web"], ["api"]]


def test_what_met_another_writer_starts_again_alone_and_the_rest_is_not_written_twice() -> None:
    history, table = watched()

    def pause(_: int) -> None:
        table.refused.clear()

    table.refused[state_key(SUBJECTS[1])] = Conflict([state_key(SUBJECTS[1])])
    assert update_all(history, "web", "api", "mail", independent=True, pause=pause) == ["web", "api", "mail"]
    assert table.commits == [["web"], ["api"], ["mail"], ["api"]]


def test_a_transaction_that_keeps_meeting_another_writer_is_split() -> None:
    history, table = watched()
    table.refused[state_key(SUBJECTS[1])] = Conflict([state_key(SUBJECTS[1])])
    assert update_all(history, "web", "api", "mail") == ["web", "mail"]
    assert table.commits[:BATCH_TRIES] == [["web", "api", "mail"]] * BATCH_TRIES
    assert {*map(tuple, table.commits[BATCH_TRIES:])} == {("web",), ("api",), ("mail",)}


def test_a_transaction_that_meets_another_writer_at_the_channels_is_repeated_as_a_whole() -> None:
    history, table = watched()
    table.refused[CHANNEL_STATES_KEY] = Conflict([CHANNEL_STATES_KEY])
    assert update_all(history, "web", "api", channel_states=ChannelStates()) == []
    assert table.commits == [["web", "api", "channels"]] * TRIES


def test_a_failed_transaction_is_repeated_one_by_one_so_that_a_failure_affects_only_itself() -> None:
    history, table = watched()
    table.refused[state_key(SUBJECTS[1])] = HistoryUnavailable("too large")
    assert update_all(history, "web", "api", "mail") == ["web", "mail"]
    assert table.commits == [["web", "api", "mail"], ["web"], ["api"], ["mail"]]


def test_a_batch_that_gets_no_answer_is_not_asked_for_one_by_one() -> None:
    """Each subject would wait as long as the batch did, and there would be no time left to announce them."""
    history, table = watched()
    table.refused[CHANNEL_STATES_KEY] = HistoryUnavailable("no answer", answered=False)
    assert update_all(history, *SERVICES, channel_states=ChannelStates()) == []
    assert len(table.commits) == 1


def test_a_contended_subject_takes_no_time_from_the_others_of_its_batch() -> None:
    now = 0.0
    history, table = watched()
    table.refused[state_key(WEB)] = Conflict([state_key(WEB)])

    def pause(_: int) -> None:
        nonlocal now
        now += 1.0

    with applies(Deadline(40.0, lambda: now)):
        assert update_all(history, *SERVICES, pause=pause) == [*SERVICES[1:]]
    assert now < 10


def test_what_does_not_fit_into_a_transaction_follows_the_one_that_charges_the_rate_limits() -> None:
    history, table = watched()
    subjects = [WEB._replace(name=f"s{number}") for number in range(MAX_PUTS + 1)]

    def change(_: None, parts: Sequence[Subject], attempt: Attempt) -> Changes[int]:
        writes = [Change(attempt.number, SubjectWrite(state=SubjectState(part))) for part in parts]
        return Changes(writes, ChannelStates())

    table.refused[CHANNEL_STATES_KEY] = Conflict([CHANNEL_STATES_KEY])
    outcomes = history.update_all(subjects, lambda *_: None, change, lambda: AT, lambda _: None, tries=1)
    assert not any(isinstance(outcome, Stored) for outcome in outcomes)
    table.refused.clear()
    history.update_all(subjects, lambda *_: None, change, lambda: AT, lambda _: None, tries=1)
    assert [("channels" in commit, len(commit)) for commit in table.commits[1:]] == [(True, MAX_PUTS), (False, 2)]


# --- the state first, the rows second ---------------------------------------------------------------------------------


def test_a_row_is_written_after_its_state_and_not_before() -> None:
    history, table = watched()
    stored = history.update(
        lambda _: None, lambda *_: Change(1, SubjectWrite([row(1, AT)], SubjectState(WEB))), lambda: AT, lambda _: None
    )
    assert stored.state == SubjectState(WEB)._replace(version=1)
    assert len(table.commits) == 2
    assert ask(history) == [1]


def with_a_row(history: History) -> Stored[int] | HistoryUnavailable:
    """The outcome of an update that writes the state of a subject, and the row of one alert."""
    (outcome,) = history.update_all(
        [WEB],
        lambda *_: None,
        lambda *_: Changes([Change(1, SubjectWrite([row(1, AT)], SubjectState(WEB)))]),
        lambda: AT,
        lambda _: None,
    )
    return outcome


def test_a_row_whose_state_is_not_written_is_not_written_either() -> None:
    history, table = watched()
    table.refused[state_key(WEB)] = Conflict([state_key(WEB)])
    outcome = with_a_row(history)
    assert isinstance(outcome, Contended)
    assert ask(history) == []


def test_a_row_that_cannot_be_written_does_not_undo_its_state() -> None:
    """What the state leases must be sent all the same; only the event must come again."""
    history, table = watched()
    key = row_key(row(1, AT).alert.id)
    assert key
    table.refused[key] = HistoryUnavailable("refused")
    outcome = with_a_row(history)
    assert isinstance(outcome, Stored)
    assert outcome.missing_rows
    assert history.state(WEB, AT).version == 1
