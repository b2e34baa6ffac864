"""The promises (docs/reliability.md) as invariants of a finished run. Each yields its violations as sentences."""

import math
from bisect import bisect
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise

from local_aws.events import CLUSTER
from router.aws.queues import WITHOUT_HISTORY
from router.channels.rate_limit import BUNDLE_INTERVALS
from router.context import RoutedAlert
from router.errors import UnreadableEvent
from router.history.items import (
    CHANNEL_STATES_KEY,
    each_delivery,
    is_delivery_key,
    is_row_key,
    row_key,
    to_channel_states,
    to_state,
    unpacked,
)
from router.history.table import Item
from router.incident.outbox import NOT_SENT_DURING_OUTAGE, SENT_DURING_OUTAGE, WINDOW_STEPS
from router.incident.recent import recent_id
from router.incident.recovery import LAPSE_AFTER, VERIFY_EVERY
from router.incident.state import UNCERTAIN_FOR, UNSEEN_FOR, OutboxEntry, SubjectState
from router.model import (
    OWN_SOURCE,
    Alert,
    Decision,
    DeploymentStep,
    EndedBy,
    Incident,
    IncidentStatus,
    Kind,
    Reason,
    Subject,
    SubjectKind,
)
from router.model import (
    Outcome as Sent,
)
from router.understand import understand
from tests.doubles.ecs_account import service_arn
from tests.simulation.neighbours import Write
from tests.simulation.plan import BUDGETS, MINUTE, Muting
from tests.simulation.remotes import Try
from tests.simulation.scheduler import Process
from tests.simulation.simulation import DEDUP_WINDOW, MAX_RECEIVES, RESOLVE_AFTER, START, Simulation
from tests.simulation.workload import SECRET, Arrival, Lasting

_COUNTED = {Decision.ANNOUNCED, Decision.GATHERED, Decision.HELD_BACK}
SLACK = 12 * 60.0
"""Seconds: lost delayed messages, several missing ticks, an invocation that waits for its turn."""
LONG = 30 * 86400.0
"""Seconds of retention: nothing expires in a run."""
ENOUGH_PROCESSES = 4
HOUR, DAY = 3600.0, 86400.0
_QUIET_TIMES = (RESOLVE_AFTER, HOUR, 4 * HOUR)
"""Seconds without trouble before a recovery is announced: at first, and after the first and later returns."""
_AT_ONCE = 60.0
_LONGEST_RETRY = 15 * 60 * 1.2
_CALLS = 4.0  # seconds: the calls to history between the time that a state starts from and its write
_TAKES_EFFECT = 150.0  # seconds: a minute until a silence is read, and invocations that started before that


@dataclass(frozen=True, slots=True)
class Recorded:
    """An alert record as it was first written, at the time at which its alert was decided.

    Attributes:
        number: its position among the alerts of its incident; a notification whose count reaches it includes it.
        by: the invocation that decided it.
        routed: the event that was applied, understood again, which gives its routes.
        unmuted: it was silenced, and is counted now because what it reports has outlasted the silence.
    """

    at: float
    by: Process
    item: Item
    incident: str
    number: int
    routed: RoutedAlert
    unmuted: bool = False

    @property
    def alert(self) -> Alert:
        return self.routed.alert

    @property
    def decision(self) -> Decision:
        return Decision(self.item["decision"])

    @property
    def channels(self) -> list[str]:
        return [target.channel for target in self.routed.targets]


class Outcome:
    """The data of a finished run, arranged for the invariants."""

    def __init__(self, run: Simulation) -> None:
        self.run = run
        self._restarted = {subject for _, subject in run.damaged.values()}
        self.understood: dict[str, RoutedAlert] = {}
        self.unreadable: list[str] = []
        self.event_ids: dict[str, str] = {}
        for arrival in {arrival.body: arrival for arrival in run.accepted}.values():
            self._understand(arrival)

    def _understand(self, arrival: Arrival) -> None:
        body = arrival.body
        if arrival.raw is None:
            self.unreadable.append(body)
            return
        try:
            routed = self._routed(arrival.raw)
        except UnreadableEvent as error:
            raise AssertionError(f"the workload contains an event that cannot be read: {error}") from error
        self.understood[routed.event.id] = routed
        self.event_ids[body] = routed.event.id

    @cached_property
    def writes(self) -> list[Write]:
        """What was written, except about subjects that have started again because their item was damaged."""
        return [
            write
            for write in self.run.table.writes
            if write.item["pk"] not in self.run.damaged and write.item.get("subject") not in self._restarted
        ]

    def sent_to(self, channel: str) -> list[Try]:
        """What reached a remote, with the same exception."""
        tries = self.run.remotes[channel].tries
        return [attempt for attempt in tries if f"subject#{subject_of(attempt)}" not in self.run.damaged]

    @cached_property
    def _births(self) -> dict[str, list[float]]:
        """When each subject's incident numbers started at 1, which happens again after its item has expired."""
        births = defaultdict(list)
        for write in self.writes:
            if write.item["sk"] == "incident" and write.item["version"] == 1:
                births[write.item["pk"].removeprefix("subject#")].append(write.at)
        return births

    def identity(self, incident_id: str, at: float) -> str:
        """An id that stays unique even if the incident's number is used again."""
        born = bisect(self._births[incident_id.rpartition("-")[0]], at)
        return f"{incident_id}/{born}"

    @cached_property
    def recorded(self) -> list[Recorded]:
        """Every alert with a record, in the order in which they were decided, which is when their states were written.

        An alert counts again where the end of a silence makes it count.
        """
        rows: list[Recorded] = []
        counts, last = Counter[str](), dict[str, SubjectState]()
        missing = {key: deque(writes) for key, writes in self._row_writes.items()}
        for write in self.writes:
            item = write.item
            if item["sk"] == "incident":
                before = last.get(item["pk"]) if item["version"] > 1 else None  # the one before it has expired
                last[item["pk"]] = state = self._decoded[id(write)]
                new = [known for known in state.recent if before is None or known not in before.recent]
                keys = [(state.subject.key, known) for known in new]
                decided = [missing[key].popleft() for key in keys if missing.get(key)]
                if before and (unmuted := self._unmuted(before, state, write, decided, rows)):
                    counts[unmuted.incident] += 1
                    rows.append(replace(unmuted, number=counts[unmuted.incident]))
            elif is_row_key((item["pk"], item["sk"])):
                left = missing[self._row_key(item)]
                decided = [left.popleft()] if left and left[0] is write else []  # it has not changed the state
            else:
                continue
            for row in decided:
                counted = row.item["decision"] in _COUNTED
                incident = self.identity(row.item["incident"], write.at) if counted else ""
                counts[incident] += 1
                number = counts[incident] if counted else 0
                routed = self._applied(row.item, write.at)
                rows.append(Recorded(write.at, write.by, row.item, incident, number, routed))
        return rows

    @cached_property
    def _row_writes(self) -> dict[tuple[str, str], list[Write]]:
        """The first write of each row, by the key of its subject and its id among the recent alerts.

        A row that has expired is written anew if its alert has the same id as one that comes much later.
        """
        first: dict[tuple[str, str], list[Write]] = defaultdict(list)
        for write in self.writes:
            if is_row_key((write.item["pk"], write.item["sk"])):
                writes = first[self._row_key(write.item)]
                if write.item["version"] == 1:
                    writes.append(write)
        return first

    def _applied(self, item: Item, at: float) -> RoutedAlert:
        """The event that was applied when the state was written at that time.

        If its invocation died before it wrote the row, a later event about the same occurrence may have written it.
        """
        came = self._came
        if came.get(item["event_id"], at) <= at:
            return self._routed_of(item)
        others = [event for event in self._reporting.get(item["id"], ()) if came[event] <= at]
        return self.understood[min(others, key=lambda event: came[event])] if others else self._routed_of(item)

    @cached_property
    def _came(self) -> dict[str, float]:
        """When each event came first, by its id."""
        came: dict[str, float] = {}
        for arrival in self.run.accepted:
            if arrival.raw is not None and arrival.raw["id"] in self.understood:
                came[arrival.raw["id"]] = min(arrival.comes, came.get(arrival.raw["id"], arrival.comes))
        return came

    @cached_property
    def _reporting(self) -> dict[str, list[str]]:
        """The events that report an occurrence, by the id of their alert."""
        reporting = defaultdict(list)
        for event, routed in self.understood.items():
            reporting[routed.alert.id].append(event)
        return reporting

    def _row_key(self, item: Item) -> tuple[str, str]:
        return self._routed_of(item).alert.subject.key, recent_id(item["id"])

    def _routed_of(self, item: Item) -> RoutedAlert:
        return self.understood.get(item["event_id"]) or self._own_event(item)

    def _unmuted(
        self, before: SubjectState, state: SubjectState, write: Write, new: list[Write], rows: list[Recorded]
    ) -> Recorded | None:
        """The alert that a commit counts although its row was written before, during a silence."""
        if before.muted is None or before.muted == state.muted or state.incident is None:
            return None
        incident, muted = state.incident, before.muted.alert
        known = before.incident.count if before.incident and before.incident.number == incident.number else 0
        counted = [row for row in new if row.item["decision"] in _COUNTED and row.item["incident"] == incident.id]
        if incident.count != known + len(counted) + 1:
            return None
        row = next((row for row in reversed(rows) if row.item["event_id"] == muted.event_id), None)
        if row is None:  # its last receive ended between the two writes
            return None
        item = {**row.item, "decision": Decision.ANNOUNCED, "incident": incident.id}
        return Recorded(write.at, write.by, item, self.identity(incident.id, write.at), 0, row.routed, unmuted=True)

    def is_told_otherwise(self, row: Recorded) -> bool:
        """Whether a record says that its alert was already over, while the state counts the alert.

        If SQS delivers an event twice, one of the two may be announced without history. When both are received again at
        the same moment, the record of the other one may be written first.
        """
        known = (row.alert.subject.key, recent_id(row.alert.id))
        twice = row.decision == Decision.ALREADY_RESOLVED and row.item["event_id"] in self.backfilled
        return twice and known in self._announced

    @cached_property
    def _announced(self) -> set[tuple[str, str]]:
        """What the states remember as announced, by the keys of the subjects and the ids of the recent alerts."""
        return {
            (state.subject.key, known)
            for _, state in self.stored_states
            for known, entry in state.recent.items()
            if entry.decision is Decision.ANNOUNCED
        }

    @property
    def unrecorded(self) -> Iterator[Alert]:
        """The alerts without a row, whose state may count them: their last receive ended between the two writes."""
        rows = {(row.item["pk"], row.item["sk"]) for row in self.recorded}
        alerts = (routed.alert for routed in self.understood.values())
        return (alert for alert in alerts if row_key(alert.id) not in rows)

    @property
    def renamed(self) -> set[tuple[str, str]]:
        """The fingerprints of subjects, with the ids that their states have given to alerts."""
        return {
            (state.subject.fingerprint, entry.alert_id)
            for _, state in self.stored_states
            for entry in state.recent.values()
            if entry.alert_id
        }

    @cached_property
    def applied_only(self) -> dict[str, list[tuple[float, Alert]]]:
        """When a state came to know the alerts that have no row, by the fingerprint of their subject."""
        unrecorded = {(alert.subject.key, recent_id(alert.id)): alert for alert in self.unrecorded}
        applied = defaultdict(list)
        for write, state in self.stored_states:
            for known in state.recent:
                if alert := unrecorded.pop((state.subject.key, known), None):
                    applied[state.subject.fingerprint].append((write.at, alert))
        return applied

    @property
    def polled_subjects(self) -> set[Subject]:
        """The subjects that a poll has reported."""
        return {row.alert.subject for row in self.recorded if row.alert.cause in {"too_few_tasks", "task_overdue"}}

    @cached_property
    def rows_of(self) -> dict[str, list[Recorded]]:
        """The recorded alerts of each subject, by its fingerprint."""
        rows = defaultdict(list)
        for row in self.recorded:
            rows[row.alert.subject.fingerprint].append(row)
        return rows

    @cached_property
    def rows_in(self) -> dict[str, list[Recorded]]:
        """The recorded alerts of each incident, by its id."""
        rows = defaultdict(list)
        for row in self.recorded:
            if row.number:
                rows[row.incident].append(row)
        return rows

    def _own_event(self, item: Item) -> RoutedAlert:
        """The router's own event about a channel, or about what it has polled."""
        kind, _, name = item["subject"].partition(":")
        raw = {
            "id": item["event_id"],
            "source": OWN_SOURCE,
            "detail-type": item["detail_type"],
            "time": item["at"],
            "account": item["account"],
            "region": item["region"],
            "resources": [] if kind == SubjectKind.CHANNEL else [service_arn(CLUSTER, name)],
            "detail": unpacked(item["event"]),
        }
        return self._routed(raw)

    def _routed(self, raw: object) -> RoutedAlert:
        deps = self.run.router
        return understand(raw, deps.config, deps.plugins, deps.essential, deps.runtime.clock())

    @cached_property
    def states(self) -> dict[str, SubjectState]:
        """The last state of every incident, by its id."""
        return {
            self.identity(write.item["id"], write.at): state
            for write, state in self.stored_states
            if "number" in write.item
        }

    @cached_property
    def stored_states(self) -> list[tuple[Write, SubjectState]]:
        """Every stored state, with its write."""
        return [(write, to_state(write.item)) for write in self.writes if "state" in write.item]

    @cached_property
    def _decoded(self) -> dict[int, SubjectState]:
        return {id(write): state for write, state in self.stored_states}

    @cached_property
    def current(self) -> dict[str, list[tuple[Write, SubjectState]]]:
        """The states of each subject with its latest incident, in order, by its fingerprint."""
        states = defaultdict(list)
        for write, state in self.stored_states:
            if not state.archived:
                states[state.subject.fingerprint].append((write, state))
        return states

    def state_at(self, subject: Subject, at: float) -> SubjectState | None:
        found = [state for write, state in self.current.get(subject.fingerprint, ()) if write.at <= at]
        return found[-1] if found else None

    @cached_property
    def endings(self) -> dict[str, list[tuple[float, Incident]]]:
        """When each incident ended, and how, by its id."""
        endings: dict[str, list[tuple[float, Incident]]] = defaultdict(list)
        over = set[str]()
        for write, state in self.stored_states:
            if state.incident is not None:
                incident_id = self.identity(state.incident.id, write.at)
                if state.incident.over and incident_id not in over:
                    endings[incident_id].append((write.at, state.incident))
                (over.add if state.incident.over else over.discard)(incident_id)
        return endings

    # --- what is true -------------------------------------------------------------------------------------------------

    def lasting(self, alert: Alert) -> list[Lasting]:
        """The conditions that an alert reports, by the truth of the workload."""
        known = (self.run.truth.at(alert.subject.name, begun.key, alert.at + 0.01) for begun in alert.effects.begins)
        return [entry for entry in known if entry and alert.at <= entry.ends]

    def continues(self, alert: Alert, at: float) -> bool:
        """Whether a condition that an alert reports continues in truth."""
        return any(condition.continues(at) for condition in self.lasting(alert))

    def has_ended(self, alert: Alert, at: float) -> bool:
        """Whether what an alert reports has ended, by the truth or by the events that were recorded by then."""
        if alert.effects.begins:
            return not self.continues(alert, at)
        rows = [row.alert for row in self.rows_of[alert.subject.fingerprint] if row.at <= at]
        rows += [other for since, other in self.applied_only[alert.subject.fingerprint] if since <= at]
        if alert.effects.deployment is DeploymentStep.FAILED:
            steps = [(row.effects.deployment, row) for row in rows]
            rollbacks = {row.deployment for step, row in steps if step is DeploymentStep.ROLLING_BACK}
            completed = (row for step, row in steps if step is DeploymentStep.COMPLETED)
            return any(row.at >= alert.at and row.deployment not in rollbacks for row in completed)
        return any(recovers_from(row) >= alert.at for row in rows if row.resolves and row.effects.ends_occurrences)

    def told_to_end(self, row: Recorded, lasting: Lasting) -> float:
        """When an event told first that a condition has ended which an alert reports; infinity if none did.

        That a container runs counts only after the report that it had ended: every start of a task says the same, so
        the router does not remember it. It counts no more once an event has told that it ended again.
        """
        latest = self.run.truth.at(lasting.subject, lasting.key, math.inf)
        if lasting.by is EndedBy.CONTAINER_RUNNING and latest and latest.begins > lasting.begins:
            lasting = latest
        since = row.at if lasting.by is EndedBy.CONTAINER_RUNNING else 0.0
        told = self._ending[lasting.subject]
        return min((comes for comes, alert in told if comes >= since and _ends(alert, lasting)), default=math.inf)

    @cached_property
    def _ending(self) -> dict[str, list[tuple[float, Alert]]]:
        """When the events arrived that tell of the end of conditions, by the name of their subject."""
        ending = defaultdict(list)
        for arrival in self.run.accepted:
            if arrival.raw is not None and (alert := self.understood[arrival.raw["id"]].alert).effects.ends:
                ending[alert.subject.name].append((arrival.comes, alert))
        return ending

    @property
    def incidents(self) -> Iterator[tuple[str, Incident, SubjectState]]:
        for incident_id, state in self.states.items():
            assert state.incident
            yield incident_id, state.incident, state

    @property
    def entries(self) -> Iterator[tuple[str, str, Incident, OutboxEntry]]:
        for incident_id, incident, state in self.incidents:
            for channel, entry in state.outbox.items():
                yield incident_id, channel, incident, entry

    @cached_property
    def backfilled(self) -> dict[str, set[str]]:
        """The channels that announced an event without history, by its id; `redrive` has put it back since."""
        announced: dict[str, set[str]] = {}
        for letter in self.run.redriven:
            if letter.reason == WITHOUT_HISTORY:
                announced.setdefault(self.event_ids[letter.body], set()).update(letter.announced.split(","))
        return announced

    @cached_property
    def failed(self) -> dict[tuple[str, str], float]:
        """The latest permanent failure recorded for each incident and channel."""
        return {
            (self.identity(delivery["incident"], write.at), delivery["channel"]): write.at
            for write, delivery in deliveries(self)
            if delivery["outcome"] == "failed"
        }

    @cached_property
    def tries(self) -> dict[tuple[str, str], list[Try]]:
        """What reached a remote, by incident and channel, except what was sent while history was unreachable."""
        tries = defaultdict(list)
        for channel in self.run.remotes:
            for attempt in self.sent_to(channel):
                if not attempt.incident.endswith("-0"):
                    tries[self.identity(attempt.incident, attempt.at), channel].append(attempt)
        return tries

    def accepted(self, incident: str, channel: str) -> list[Try]:
        return [attempt for attempt in self.tries.get((incident, channel), ()) if attempt.accepted]

    def silences_of(self, subject: Subject) -> list[Muting]:
        return [muting for muting in self.run.plan.silences if subject.name == muting.name]

    @property
    def promptly(self) -> float:
        """Seconds within which a message is sent: more than `_AT_ONCE` if ticks or delayed messages can be missing."""
        plan = self.run.plan
        late = (
            plan.sqs or plan.lost or plan.tick_missing or plan.processes < ENOUGH_PROCESSES or plan.budgets != BUDGETS
        )
        return SLACK if late else _AT_ONCE

    def undisturbed(self, channel: str) -> bool:
        """Whether this channel's remote, history and the function had no fault in this run."""
        return self.run.plan.history_is_sound and not self.run.plan.moods.get(channel)

    def is_slow(self, channel: str) -> bool:
        """Whether a send may have been prepared for so long that it never reached the remote."""
        return any(mood.name == "slow" for mood in self.run.plan.moods.get(channel, ()))

    def is_crowded(self, channel: str) -> bool:
        """Whether so many incidents wait for their turn that a message may come late."""
        return self.run.plan.world == "crowd" and self.run.plan.budgets[channel] != BUDGETS[channel]


def subject_of(attempt: Try) -> str:
    """The key of the subject whose incident a channel was told of."""
    return attempt.incident.rpartition("-")[0]


def recovers_from(alert: Alert) -> float:
    """Event time up to which a resolving event ends occurrences: a standalone run ends those from before its start."""
    began = alert.started_at or alert.created_at
    return began if alert.cause == "task_completed" and began else alert.at


Promise = Callable[[Outcome], Iterable[str]]
"""Yields its violations as sentences."""


def everything_is_accounted_for(outcome: Outcome) -> Iterator[str]:
    """An accepted event is in history or on the dead-letter queue."""
    written = [write.item for write in outcome.run.table.writes if is_row_key((write.item["pk"], write.item["sk"]))]
    rows = {(item["pk"], item["sk"]) for item in written}
    recorded = {item["event_id"] for item in written}  # the state may have given its alert another id
    buried = {letter.body for letter in outcome.run.buried}
    for arrival in outcome.run.accepted:
        if arrival.raw is None or arrival in outcome.run.dropped:
            continue
        alert = outcome.understood[arrival.raw["id"]].alert
        if row_key(alert.id) not in rows and arrival.raw["id"] not in recorded and arrival.body not in buried:
            yield f"event {arrival.raw['id']} ({alert.cause} of {alert.subject.text}) was lost"


def only_failures_make_dead_letters(outcome: Outcome) -> Iterator[str]:
    """A readable event goes to the dead-letter queue only if history failed or the function died."""
    plan = outcome.run.plan
    if plan.history_answers and not plan.reserved:
        for buried in outcome.run.buried:
            often = not buried.reason and (plan.doubled or plan.undeleted)  # SQS itself counts receives, not failures
            if not often and buried.body not in {body or "-" for body in outcome.unreadable}:
                yield f"a dead letter without a failure ({buried.reason!r}): {buried.body[:80]}"


def unreadable_input_is_a_dead_letter_with_its_reason(outcome: Outcome) -> Iterator[str]:
    """Unreadable input is on the dead-letter queue with the reason, and only once if nothing failed."""
    run = outcome.run
    sound = run.plan.history_is_sound and not (run.plan.sqs or run.plan.doubled or run.plan.undeleted)
    for body in outcome.unreadable:
        copies = [letter for letter in (*run.buried, *run.redriven) if letter.body == (body or "-")]
        hint = "Router Due" in body
        if not hint and not any(copy.reason for copy in copies) and not (copies and not run.plan.history_is_sound):
            yield f"no dead letter with a reason: {body[:60]!r}"
        if sound and len(copies) > 1:
            yield f"{len(copies)} dead letters: {body[:60]!r}"


def a_failed_record_does_not_fail_others(outcome: Outcome) -> Iterator[str]:
    """A record is given back only if it was not written to history in the same receive."""
    run = outcome.run
    if any("lost" in name for name in run.plan.table):
        return  # a commit whose response was lost may have succeeded
    written = {(write.by, write.item["event_id"]) for write in run.table.writes if "event_id" in write.item}
    for refused in run.refused:
        if (refused.by, outcome.event_ids.get(refused.body)) in written:
            yield f"event {outcome.event_ids[refused.body]} was written to history, and given back"


def a_last_receive_is_not_given_back(outcome: Outcome) -> Iterator[str]:
    """On its last receive a record is announced without history and becomes a dead letter; it is not given back."""
    if not outcome.run.plan.sqs:
        for refused in outcome.run.refused:
            if refused.receives >= MAX_RECEIVES:
                yield f"given back on its last receive: {refused.body[:80]}"


def no_batch_raises(outcome: Outcome) -> Iterator[str]:
    """A failed record never fails its batch, since the other records would be received again."""
    yield from outcome.run.broken


def an_occurrence_is_counted_once(outcome: Outcome) -> Iterator[str]:
    """An incident counts each of its occurrences once, however many events reported it, however often."""
    keys = ((write.item["pk"], write.item["sk"]) for write in outcome.writes)
    rows = Counter(key for key in keys if is_row_key(key))
    if outcome.run.plan.retention > LONG:
        yield from (f"row {key} was written {count} times" for key, count in rows.items() if count > 1)
    counted = Counter(row.incident for row in outcome.recorded if row.number)
    lost = Counter(alert.subject.fingerprint for alert in outcome.unrecorded)
    lost += Counter(row.alert.subject.fingerprint for row in outcome.recorded if outcome.is_told_otherwise(row))
    lost += Counter(fingerprint for fingerprint, alert_id in outcome.renamed if row_key(alert_id) not in rows)
    for incident_id, incident, _ in outcome.incidents:
        # The next tick writes the record of a failing channel that could not be written, unless it works again by then.
        own = incident.subject.kind is SubjectKind.CHANNEL and row_key(incident.alert.id) not in rows
        most = counted[incident_id] + lost[incident.subject.fingerprint] + own
        if not counted[incident_id] <= incident.count <= most:
            yield f"{incident_id} counts {incident.count}, not {counted[incident_id]}"


def everything_drains(outcome: Outcome) -> Iterator[str]:
    """In the end nothing is due and every incident is over."""
    for incident_id, incident, state in outcome.incidents:
        if state.due_at is not None:
            yield f"{incident_id} stays due"
        if not incident.over:
            yield f"{incident_id} stays {incident.status}"


def outbox_entries_keep_their_rules(outcome: Outcome) -> Iterator[str]:
    """The rules in the docstring of `OutboxEntry` hold in every stored state."""
    for write, state in outcome.stored_states:
        for channel, entry in state.outbox.items():
            for rule in _broken_rules(entry, write.at):
                yield f"{write.item['sk']} of {write.item['subject']}, {channel}: {rule} ({entry})"


def _broken_rules(entry: OutboxEntry, now: float) -> Iterator[str]:
    rules = {
        "sent_revision <= wanted_revision": entry.sent_revision <= entry.wanted_revision,
        "last_kind_sent is None while sent_revision is 0": (entry.last_kind_sent is None) == (entry.sent_revision == 0),
        "a window only for an incident that the channel knows": entry.window_ends_at is None or entry.knows_incident,
        "attempt goes with first_attempt_at": (entry.attempt == 0) == (entry.first_attempt_at is None),
        "a leased entry is behind and due": not entry.is_leased(now)
        or (entry.is_behind and entry.due_at == entry.lease_ends_at),
    }
    yield from (rule for rule, holds in rules.items() if not holds)


def every_channel_is_notified_or_failed(outcome: Outcome) -> Iterator[str]:
    """In the end each outbox entry is sent or failed, or there was nothing to send."""
    for incident_id, channel, _, entry in outcome.entries:
        if entry.is_behind:
            yield f"{channel} stays behind with {incident_id}"
        if entry.outcome is Sent.RETRY:
            yield f"{channel} waits forever for a retry of {incident_id}"


def every_alert_is_notified(outcome: Outcome) -> Iterator[str]:
    """Each routed channel gets a notification that counts the alert, or its delivery failed."""
    for row in outcome.recorded:
        if not row.number:
            continue
        incident_id = row.incident
        for channel in row.channels:
            notified = any(attempt.count >= row.number for attempt in outcome.accepted(incident_id, channel))
            over_before = channel == "pager" and not outcome.tries.get((incident_id, channel))
            failed = outcome.failed.get((incident_id, channel), 0.0) >= row.at
            if not (notified or over_before or failed):
                yield f"{channel} is never notified of {row.item['cause']}, number {row.number} of {incident_id}"


def nothing_is_sent_twice(outcome: Outcome) -> Iterator[str]:
    """A revision is accepted once, and once more for each lost response, crash or failed commit."""
    for (incident_id, channel), tries in outcome.tries.items():
        accepted = [attempt for attempt in tries if attempt.accepted]
        in_order = sorted(accepted, key=lambda attempt: (attempt.dispatch.revision, attempt.at))
        for attempt, repeat in pairwise(in_order):
            if attempt.dispatch.revision != repeat.dispatch.revision:
                continue
            if attempt.answered and not attempt.invocation.troubled_since(attempt.at):
                yield f"{channel} is sent revision {repeat.dispatch.revision} of {incident_id} twice"


def windows_suppress_updates(outcome: Outcome) -> Iterator[str]:
    """Digests of an incident are at least one window apart, and windows grow. Reminders come after a day.

    A window holds back neither what is worse, nor what somebody has to decide.
    """
    for (incident_id, channel), tries in outcome.tries.items():
        known = [attempt for attempt in tries if attempt.accepted and attempt.answered]
        sent = [attempt for attempt in known if not attempt.invocation.troubled_since(attempt.at)]  # these open windows
        for number, (before, after) in enumerate(pairwise(sent)):
            ended = any(before.at <= at <= after.at for at, _ in outcome.endings[incident_id])  # it may know of that
            if after.kind is not Kind.UPDATED or before.kind is Kind.RESOLVED or ended:
                continue
            step = sum(attempt.kind is not Kind.RESOLVED for attempt in sent[: number + 1])
            waited = after.at - before.at
            match after.dispatch.reason:
                case Reason.DIGEST if waited < _window(step) - 1:
                    yield f"{channel} is notified of {incident_id} again after {waited:.0f} s"
                case Reason.REMINDER if waited < DAY - 1:
                    yield f"{channel} is reminded of {incident_id} after {waited:.0f} s"
                case Reason.WORSE if not _is_worse(outcome, incident_id, before, after):
                    yield f"{channel} is notified at once of {incident_id}, which is not worse"


def _is_worse(outcome: Outcome, incident_id: str, before: Try, after: Try) -> bool:
    new = (row for row in outcome.rows_in[incident_id] if before.count < row.number <= after.count)
    subject = incident_id.rpartition("-")[0]
    counted_without_row = any(alert.subject.key == subject for alert in outcome.unrecorded)
    return (
        counted_without_row
        or after.dispatch.severity.worse_than(before.dispatch.severity)
        or any(row.alert.effects.immediate for row in new)
    )


def deliveries(outcome: Outcome) -> Iterator[tuple[Write, Item]]:
    """Every recorded delivery, with the write that recorded it."""
    for write in outcome.writes:
        if is_delivery_key((write.item["pk"], write.item["sk"])):
            yield from ((write, delivery) for delivery in each_delivery(write.item))


def _window(step: int) -> float:
    return DEDUP_WINDOW if step == 1 else WINDOW_STEPS[min(step - 2, len(WINDOW_STEPS) - 1)]


def a_window_ends_in_time(outcome: Outcome) -> Iterator[str]:
    """A suppressed alert is sent when the window ends, however many alerts come, and at once if no window is open."""
    for row in outcome.recorded:
        if not row.number:
            continue
        incident_id = row.incident
        for channel in row.channels:
            if not outcome.undisturbed(channel) or outcome.silences_of(row.routed.alert.subject):
                continue
            if outcome.is_crowded(channel):
                continue
            accepted = outcome.accepted(incident_id, channel)
            sent_at = next((attempt.at for attempt in accepted if attempt.count >= row.number), None)
            latest = _latest(row, accepted)
            if sent_at and latest > row.at + SLACK and outcome.has_ended(row.alert, latest):
                continue  # the message that says so counts it
            if sent_at is None or sent_at > latest:
                yield f"{channel} gets {row.number} of {incident_id} at {sent_at}, later than {latest}: {row.at}"


def _latest(row: Recorded, accepted: list[Try]) -> float:
    before = [attempt for attempt in accepted if attempt.count < row.number]
    if not before or before[-1].kind is Kind.RESOLVED:
        return row.at + SLACK
    if row.alert.effects.immediate or all(
        row.alert.severity.worse_than(attempt.dispatch.severity) for attempt in before
    ):
        return row.at + SLACK
    step = sum(attempt.kind is not Kind.RESOLVED for attempt in before)
    return max(row.at, before[-1].at + _window(step)) + SLACK


def a_failed_send_starts_no_window(outcome: Outcome) -> Iterator[str]:
    """After `failed`, the next alert is sent at once; after `retry`, within the longest delay of the schedule."""
    if not outcome.run.plan.history_is_sound:
        return
    for row in outcome.recorded:
        if outcome.silences_of(row.routed.alert.subject):
            continue
        for channel in row.channels if row.number else ():
            if outcome.is_crowded(channel) or outcome.is_slow(channel):
                continue
            tries = outcome.tries.get((row.incident, channel), [])
            before = [
                attempt
                for attempt in tries
                if attempt.at <= row.at or (attempt.accepted and attempt.count < row.number)
            ]
            if not before or before[-1].accepted or not before[-1].answered or before[-1].mood in {"picky", "buggy"}:
                continue
            if outcome.failed.get((row.incident, channel), 0.0) >= row.at:
                continue  # it arrived while the send that failed was in progress
            wait = 0.0 if before[-1].mood == "gone" else _LONGEST_RETRY
            later = (attempt.at for attempt in tries if attempt.at > before[-1].at and attempt.count >= row.number)
            following = next(later, None)
            if following is None and not (channel == "pager" and not outcome.accepted(row.incident, channel)):
                yield f"{channel} failed, and number {row.number} of {row.item['incident']} is never retried"
            elif following is not None and following > row.at + wait + SLACK:
                yield f"{channel} failed, and is retried only after {following - row.at:.0f} s"


def no_resolve_precedes_its_trigger(outcome: Outcome) -> Iterator[str]:
    """`resolved` follows an `opened`, or is the only message, which then reports both."""
    for (incident_id, channel), tries in outcome.tries.items():
        opened, resolved, over = _told_without_history(outcome, incident_id, channel), False, 0
        in_doubt = not outcome.run.plan.history_is_sound  # a crash before the send looks like one after it
        in_doubt = in_doubt or any(name == tries[0].incident for _, name, _ in outcome.run.remotes[channel].prepared)
        for attempt in tries:
            ended = sum(at <= attempt.at for at, _ in outcome.endings[incident_id])
            if attempt.kind is not Kind.RESOLVED and attempt.accepted:
                opened, resolved = True, False
            elif attempt.kind is Kind.RESOLVED and not opened and channel == "pager" and not in_doubt:
                yield f"pager gets the end of {incident_id}, which it never got"
            elif attempt.kind is Kind.RESOLVED and attempt.accepted:
                if resolved and not in_doubt and (not attempt.dispatch.is_first or ended == over):
                    yield f"{channel} gets the end of {incident_id} twice"
                if not opened and not attempt.dispatch.is_first:
                    yield f"{channel} gets the end of {incident_id} before it was opened there"
                resolved, over = True, ended
            in_doubt = in_doubt or not attempt.answered or bool(attempt.invocation.troubles)


def _told_without_history(outcome: Outcome, incident_id: str, channel: str) -> bool:
    subject = incident_id.rpartition("-")[0]
    return any(attempt.accepted and attempt.incident == f"{subject}-0" for attempt in outcome.sent_to(channel))


def nothing_stays_open_remotely(outcome: Outcome) -> Iterator[str]:
    """An incident that is over is resolved on the stateful remote, unless the remote refused that very message."""
    pager = outcome.run.remotes["pager"]
    for incident_id, incident, state in outcome.incidents:
        if not incident.over or incident.dedup_key not in pager.open:
            continue
        entry = state.outbox.get("pager")
        own = [
            attempt
            for attempt in outcome.tries.get((incident_id, "pager"), ())
            if attempt.dedup_key == incident.dedup_key
        ]
        opened_at = max(
            (attempt.at for attempt in own if attempt.accepted and attempt.kind is not Kind.RESOLVED), default=0.0
        )
        refused = any(attempt.kind is Kind.RESOLVED and attempt.at >= opened_at for attempt in own)
        if not (refused and entry and entry.outcome is Sent.FAILED):
            yield f"{incident_id} is over, and stays open on the pager"


def an_incident_opens_one_remote_alert(outcome: Outcome) -> Iterator[str]:
    """The stateful remote opens one alert each time the incident is opened."""
    pager, others = outcome.run.remotes["pager"], {attempt.dedup_key for attempt in outcome.sent_to("pager")}
    allowed = Counter(attempt.dedup_key for attempt in outcome.sent_to("pager") if attempt.incident.endswith("-0"))
    for incident_id, incident, _ in outcome.incidents:
        allowed[incident.dedup_key] += max(1, len(outcome.endings[incident_id]))
    for key, count in pager.openings.items():
        if key in others and count > allowed[key]:
            yield f"{key} was opened {count} times on the pager, not {allowed[key]}"


def decisions_follow_the_rules(outcome: Outcome) -> Iterator[str]:
    """An occurrence is already resolved if its subject has recovered since, and a condition if it has ended."""
    quiet: dict[str, float] = defaultdict(float)
    if outcome.run.plan.retention < LONG:
        return
    for row in outcome.recorded:
        alert = row.alert
        where = alert.subject.fingerprint
        if row.decision is Decision.RESOLVING and alert.resolves and alert.effects.ends_occurrences:
            quiet[where] = max(quiet[where], recovers_from(alert))
        if row.item["event_id"] in outcome.backfilled:
            continue  # its channels were told of it, so that it counts, whatever has happened since
        if alert.effects.begins:
            if row.decision is Decision.ALREADY_RESOLVED and outcome.continues(alert, row.at):
                yield f"{alert.cause} of {where} continues and is {row.decision}"
        elif alert.effects.deployment is None:
            unrecorded = (other for since, other in outcome.applied_only[where] if since < row.at)
            ends = (recovers_from(other) for other in unrecorded if other.resolves and other.effects.ends_occurrences)
            over = alert.at < max((quiet[where], *ends))
            if row.decision in _COUNTED and over:
                yield f"{alert.cause} of {where} was over and is {row.decision}"
            if row.decision is Decision.ALREADY_RESOLVED and not over:
                yield f"{alert.cause} of {where} was not over and is {row.decision}"


def an_incident_ends_only_with_what_it_reported(outcome: Outcome) -> Iterator[str]:
    """An incident resolves once everything has ended, and lapses only if no condition continues, by the truth."""
    for incident_id, endings in outcome.endings.items():
        for at, incident in endings:
            known = [row for row in outcome.rows_in[incident_id] if row.at <= at]
            if incident.status is IncidentStatus.RESOLVED:
                left = [row for row in known if not outcome.has_ended(row.alert, at)]
            else:
                left = [row for row in known if outcome.continues(row.alert, at)]
            silenced = (row for row in outcome.rows_of[incident.subject.fingerprint] if row.at <= at)
            left += [row for row in silenced if row.decision is Decision.SILENCED and outcome.continues(row.alert, at)]
            if left and not (incident.status is IncidentStatus.UNCONFIRMED and _cannot_be_known(outcome, left, at)):
                causes = ", ".join(sorted({row.alert.cause for row in left}))
                yield f"{incident_id} is {incident.status} at {at - START:.0f}, and continues: {causes}"


def _cannot_be_known(outcome: Outcome, rows: Iterable[Recorded], at: float) -> bool:
    """Whether for a long time no event reported any of these conditions, or AWS itself cannot tell."""
    lasting = [
        (condition, row.at) for row in rows for condition in outcome.lasting(row.alert) if condition.continues(at)
    ]
    return all(at >= seen + UNSEEN_FOR or at >= condition.unknown_from + UNCERTAIN_FOR for condition, seen in lasting)


def a_recovery_is_announced_after_its_quiet_time(outcome: Outcome) -> Iterator[str]:
    """An incident resolves after some time without alerts: the longer, the more often it has returned."""
    for incident_id, endings in outcome.endings.items():
        for at, incident in endings:
            quiet = _QUIET_TIMES[min(incident.reopened, len(_QUIET_TIMES) - 1)]
            newest = max((row.at for row in outcome.rows_in[incident_id] if row.at <= at), default=0.0)
            if incident.status is IncidentStatus.RESOLVED and at < newest + quiet - _CALLS:
                yield f"{incident_id}, reopened {incident.reopened} times, resolves after {at - newest:.0f} s"


def nothing_is_unconfirmed_whose_end_was_reported(outcome: Outcome) -> Iterator[str]:
    """An event that says what has ended counts, whether or not it has a row of its own."""
    if not outcome.run.plan.history_is_sound:
        return
    for incident_id, endings in outcome.endings.items():
        for at, incident in endings:
            if incident.status is IncidentStatus.UNCONFIRMED:
                rows = outcome.rows_in[incident_id]
                told = [outcome.told_to_end(row, condition) for row in rows for condition in outcome.lasting(row.alert)]
                if told and max(told) < at - DAY:
                    yield f"{incident_id} is unconfirmed, although an event told of its end"


def _ends(alert: Alert, lasting: Lasting) -> bool:
    keys = {ended.key for ended in alert.effects.ends}
    named = lasting.key in keys or any(key.endswith("/") and lasting.key.startswith(key) for key in keys)
    return named and alert.subject.name == lasting.subject and alert.at >= lasting.ends - 1


def what_an_event_ends_is_over_at_once(outcome: Outcome) -> Iterator[str]:
    """A condition is not kept after the event that tells of its end, whichever of the two came first."""
    if not outcome.run.plan.history_is_sound:
        return
    for row in outcome.recorded:
        for condition in outcome.lasting(row.alert):
            at = max(outcome.told_to_end(row, condition), row.at) + outcome.promptly
            state = outcome.state_at(row.alert.subject, at)
            known = state.conditions.get(condition.key) if state and at < math.inf else None
            if known and known.reported_at <= condition.ends:
                yield f"{condition.key} of {row.alert.subject.text} is kept, although an event told of its end"


def what_lapsed_is_never_opened_again(outcome: Outcome) -> Iterator[str]:
    """Only what was resolved can return. After any other end, the next problem has an incident of its own."""
    for incident_id, endings in outcome.endings.items():
        yield from (
            f"{incident_id} was {incident.status} at {at - START:.0f}, and was opened again"
            for at, incident in endings[:-1]
            if incident.status is not IncidentStatus.RESOLVED
        )


def a_lapse_waits_for_no_channel_that_fails(outcome: Outcome) -> Iterator[str]:
    """A day after its newest alert, an incident without a condition lapses, unless there is something new to send."""
    if not outcome.run.plan.history_is_sound:
        return
    for incident_id, rows in outcome.rows_in.items():
        subject, newest = rows[0].alert.subject, max(row.at for row in rows)
        at = newest + LAPSE_AFTER + SLACK
        state = outcome.state_at(subject, at)
        if outcome.silences_of(subject) or not state or not state.incident:
            continue
        incident = state.incident
        if outcome.identity(incident.id, at) != incident_id or incident.status is not IncidentStatus.OPEN:
            continue
        if any(outcome.lasting(row.alert) for row in rows) or state.conditions:
            continue
        news = (attempt for channel in outcome.run.remotes for attempt in outcome.tries.get((incident_id, channel), ()))
        if any(newest + LAPSE_AFTER - MINUTE <= attempt.at and attempt.dispatch.attempt == 1 for attempt in news):
            continue
        if all(entry.due_at is None or entry.attempt for entry in state.outbox.values()):
            yield f"{incident_id} is open {at - newest:.0f} s after its newest alert"


def an_end_is_told_only_after_it(outcome: Outcome) -> Iterator[str]:
    """A channel is told of an end only once history says that this very incident is over."""
    for (incident_id, channel), tries in outcome.tries.items():
        ended = min((at for at, _ in outcome.endings[incident_id]), default=float("inf"))
        for attempt in tries:
            if attempt.kind is Kind.RESOLVED and attempt.at < ended:
                yield f"{channel} is told at {attempt.at - START:.0f} that {incident_id} is over, which it is not"


def a_return_is_told_at_once(outcome: Outcome) -> Iterator[str]:
    """No channel's last message is `resolved` for more than a minute after a return was recorded."""
    between_bundles = BUNDLE_INTERVALS[-1] if outcome.run.plan.world == "crowd" else 0.0
    for row in outcome.recorded:
        at = row.at + outcome.promptly + between_bundles
        if not row.number or outcome.silences_of(row.alert.subject):
            continue
        if any(row.at <= ended <= at for ended, _ in outcome.endings[row.incident]):
            continue
        for channel in row.channels:
            if outcome.undisturbed(channel) and not outcome.is_crowded(channel):
                accepted = [attempt for attempt in outcome.accepted(row.incident, channel) if attempt.at <= at]
                if not accepted or accepted[-1].kind is Kind.RESOLVED:
                    yield f"{channel} is not told of {row.alert.cause} of {row.incident} by {at - START:.0f}"


def a_page_that_did_not_get_through_has_failed(outcome: Outcome) -> Iterator[str]:
    """What was tried, and never accepted, is recorded as failed, where `redrive` finds it."""
    if not outcome.run.plan.history_is_sound:
        return
    failed = {
        (outcome.identity(delivery["incident"], write.at), delivery["channel"])
        for write, delivery in deliveries(outcome)
        if "failed_day" in write.item and delivery["outcome"] == "failed"
    }
    for (incident_id, channel), tries in outcome.tries.items():
        if not any(attempt.accepted for attempt in tries) and (incident_id, channel) not in failed:
            yield f"{channel} was never told of {incident_id}, tried {len(tries)} times, and nothing says so"


def a_condition_that_outlasts_a_silence_opens_an_incident(outcome: Outcome) -> Iterator[str]:
    """Within a minute of the end of a silence, its channels know of what continues."""
    plan = outcome.run.plan
    if not plan.history_is_sound:
        return
    for row in outcome.recorded:
        mutings = outcome.silences_of(row.alert.subject)
        if row.decision is not Decision.SILENCED or not outcome.lasting(row.alert):
            continue
        ends = max(START + muting.ends for muting in mutings)
        at = ends + _TAKES_EFFECT + outcome.promptly
        lasts = any(condition.continues(at) and condition.unknown_from > at for condition in outcome.lasting(row.alert))
        if not lasts or row.at > ends:
            continue
        state = outcome.state_at(row.alert.subject, at)
        if state is None or not state.is_open or state.incident is None:
            yield f"{row.alert.cause} of {row.alert.subject.text} outlasts its silence, and no incident is open"
            continue
        incident_id = outcome.identity(state.incident.id, at)
        for channel in row.channels:
            told = [attempt for attempt in outcome.accepted(incident_id, channel) if attempt.at <= at]
            if outcome.undisturbed(channel) and not (told and told[-1].kind is not Kind.RESOLVED):
                yield f"{channel} is not told of {row.alert.cause}, which outlasts its silence"


def what_has_ended_is_found(outcome: Outcome) -> Iterator[str]:
    """Within an hour of the end of a condition, the router knows, whether or not an event says so."""
    plan = outcome.run.plan
    if not plan.verify or plan.outages:
        return
    for row in outcome.recorded:
        for condition in outcome.lasting(row.alert) if row.number else ():
            ended = max(condition.ends, START + plan.storm, row.at)
            state = outcome.state_at(row.alert.subject, ended + VERIFY_EVERY + SLACK)
            if state and condition.key in state.conditions and not _lasts_again(outcome, condition, ended):
                yield f"{condition.key} of {row.incident} has ended at {condition.ends - START:.0f}, and is kept"


def _lasts_again(outcome: Outcome, lasting: Lasting, ended: float) -> bool:
    latest = outcome.run.truth.at(lasting.subject, lasting.key, ended + VERIFY_EVERY + SLACK)
    return latest is not lasting


def channels_are_reminded(outcome: Outcome) -> Iterator[str]:
    """A channel that cannot show what is open is reminded once a day of what continues."""
    for (incident_id, channel), tries in outcome.tries.items():
        if channel == "pager" or not outcome.undisturbed(channel):
            continue
        for before, after in pairwise([attempt for attempt in tries if attempt.accepted]):
            late = before.at + DAY + SLACK
            if before.kind is not Kind.RESOLVED and after.at > late:
                known = [row for row in outcome.rows_in[incident_id] if row.at <= before.at]
                if any(outcome.continues(row.alert, late) and not _is_silenced(outcome, row) for row in known):
                    yield f"{channel} is not reminded of {incident_id} for {after.at - before.at:.0f} s"


def a_reminder_that_fails_waits_for_the_next_day(outcome: Outcome) -> Iterator[str]:
    """Whether or not a channel takes it, there is one reminder a day, besides the retries of that."""
    if not outcome.run.plan.history_is_sound:
        return
    for (incident_id, channel), tries in outcome.tries.items():
        reminders = {
            attempt.dispatch.revision: attempt.at
            for attempt in reversed(tries)
            if attempt.dispatch.reason is Reason.REMINDER
        }
        for before, after in pairwise(sorted(reminders.values())):
            if after - before < DAY - 1:
                yield f"{channel} is reminded of {incident_id} again after {after - before:.0f} s"


def _is_silenced(outcome: Outcome, row: Recorded) -> bool:
    return bool(outcome.silences_of(row.alert.subject))


def silences_hold(outcome: Outcome) -> Iterator[str]:
    """While a silence is in effect, a minute after it was added, nothing that it matches is opened or updated."""
    if not outcome.run.plan.history_is_sound:
        return
    for incident_id, incident, _ in outcome.incidents:
        for muting in outcome.silences_of(incident.subject):
            for channel in outcome.run.remotes:
                for attempt in outcome.tries.get((incident_id, channel), ()):
                    not_an_end = attempt.kind is not Kind.RESOLVED
                    if not_an_end and START + muting.begins + _TAKES_EFFECT < attempt.at < START + muting.ends:
                        yield f"{channel} is notified of {incident_id}, which is silenced"


def silenced_alerts_name_a_matching_silence(outcome: Outcome) -> Iterator[str]:
    """A silenced alert names a silence that matches it and was in effect, at most until a minute after its end."""
    sound = outcome.run.plan.history_is_sound
    for row in outcome.recorded:
        if row.decision is not Decision.SILENCED:
            continue
        number = int(row.item["silence"].removeprefix("silence-"))
        muting = outcome.run.plan.silences[number]
        ends = muting.ends if sound else muting.planned  # while history is unreachable, the last known ones apply
        if muting not in outcome.silences_of(row.routed.alert.subject):
            yield f"{row.item['id']} is silenced by {muting}, which does not match it"
        if not START + muting.begins <= row.at <= START + ends + _TAKES_EFFECT:
            yield f"{row.item['id']} is silenced at {row.at - START:.0f} by {muting}"


def an_incident_after_a_silence_has_its_original_start(outcome: Outcome) -> Iterator[str]:
    """The first alert after a silence opens the incident, with the time of the first unended alert it held back."""
    held_back: dict[str, list[Alert]] = defaultdict(list)
    if outcome.run.plan.retention < LONG:
        return
    for row in outcome.recorded:
        alert = row.routed.alert
        where = alert.subject.fingerprint
        known = [other for other in held_back[where] if not _condition_is_over(outcome, other, row.at)]
        if row.decision is Decision.SILENCED:
            known.append(alert)
        elif row.number != 1 and (row.decision is Decision.RESOLVING or alert.stopped):
            known = []  # it may have ended the silenced problem
        if row.number == 1 and known:
            since = min(other.at for other in known)
            incident = outcome.states[row.incident].incident
            assert incident
            if since < incident.opened_at <= since + LAPSE_AFTER:  # else it had lapsed
                yield f"{row.incident} was opened at {incident.opened_at}, and held back since {since}"
        held_back[where] = [] if row.number else known


def _condition_is_over(outcome: Outcome, alert: Alert, at: float) -> bool:
    """Whether an alert reported a condition, and that has ended; the event that says so may have no row."""
    return bool(outcome.lasting(alert)) and not outcome.continues(alert, at)


def deliveries_are_recorded_with_their_incident(outcome: Outcome) -> Iterator[str]:
    """A delivery is recorded with its own incident, even if a later incident has superseded it."""
    tries: dict[tuple[object, str], set[tuple[str, int]]] = defaultdict(set)
    for channel, remote in outcome.run.remotes.items():
        for attempt in outcome.sent_to(channel):
            tries[attempt.invocation, channel].add((attempt.incident, attempt.dispatch.attempt))
        for invocation, incident, attempt_number in remote.prepared:
            tries[invocation, channel].add((incident, attempt_number))
    for write, item in deliveries(outcome):
        if sent := tries.get((write.by, item["channel"])):
            unsent = item["answer"].startswith(("no time", "not tried", SENT_DURING_OUTAGE, NOT_SENT_DURING_OUTAGE))
            given_up = item["outcome"] == "failed" and item["incident"] not in {incident for incident, _ in sent}
            if not unsent and not given_up and (item["incident"], item["attempt"]) not in sent:
                yield f"a delivery of {item['incident']} to {item['channel']} is recorded, but {sent} was sent"


def rate_limits_hold(outcome: Outcome) -> Iterator[str]:
    """No endpoint gets more grants within its period than its rate limit allows, nor more messages than grants."""
    sources = outcome.run.router.config.channels
    granted: dict[str, set[float]] = defaultdict(set)
    grants: Counter[str] = Counter()
    for write in outcome.writes:
        if (write.item["pk"], write.item["sk"]) == CHANNEL_STATES_KEY:
            for endpoint, times in to_channel_states(write.item).sent_at.items():
                new = max(times) not in granted[endpoint]
                grants[endpoint] += sum(time == max(times) for time in times) if new else 0
                granted[endpoint] |= {*times}
                yield from (
                    f"{name} got {len(times)} grants at once"
                    for name, source in sources.items()
                    if source.endpoint == endpoint and len(times) > source.budget[0]
                )
    for name, remote in outcome.run.remotes.items():
        counted = [
            attempt for attempt in remote.tries if attempt.mood != "picky" and not attempt.incident.endswith("-0")
        ]
        messages = {attempt.message for attempt in counted}
        if len(messages) > grants[sources[name].endpoint]:
            yield f"{name} was sent {len(messages)} messages with {grants[sources[name].endpoint]} grants"


def channels_are_not_flooded(outcome: Outcome) -> Iterator[str]:
    """A channel gets at most one message per alert, per end and per failed invocation of an incident, and reminders."""
    incidents = {incident_id: incident for incident_id, incident, _ in outcome.incidents}
    for (incident_id, channel), tries in outcome.tries.items():
        sent = [attempt for attempt in tries if attempt.accepted and attempt.answered]
        news = [
            attempt
            for attempt in sent
            if attempt.dispatch.reason is not Reason.REMINDER and not attempt.dispatch.of_outage
        ]
        troubles = {id(attempt.invocation) for attempt in tries if attempt.invocation.troubles}
        count = incidents[incident_id].count
        if len(news) > count + len(outcome.endings[incident_id]) + len(troubles):
            yield f"{channel} gets {len(news)} messages about {incident_id}, which counts {count}"


def secrets_stay_secret(outcome: Outcome) -> Iterator[str]:
    """History contains neither the options of a channel nor the environment of a task."""
    for write in outcome.writes:
        if SECRET in repr(write.item):
            yield f"a secret is in {write.item['pk']} {write.item['sk']}"


PROMISES: tuple[Promise, ...] = (
    everything_is_accounted_for,
    only_failures_make_dead_letters,
    unreadable_input_is_a_dead_letter_with_its_reason,
    a_failed_record_does_not_fail_others,
    a_last_receive_is_not_given_back,
    no_batch_raises,
    an_occurrence_is_counted_once,
    everything_drains,
    outbox_entries_keep_their_rules,
    every_channel_is_notified_or_failed,
    every_alert_is_notified,
    nothing_is_sent_twice,
    windows_suppress_updates,
    a_window_ends_in_time,
    a_failed_send_starts_no_window,
    no_resolve_precedes_its_trigger,
    nothing_stays_open_remotely,
    an_incident_opens_one_remote_alert,
    decisions_follow_the_rules,
    an_incident_ends_only_with_what_it_reported,
    a_recovery_is_announced_after_its_quiet_time,
    nothing_is_unconfirmed_whose_end_was_reported,
    what_an_event_ends_is_over_at_once,
    what_lapsed_is_never_opened_again,
    a_lapse_waits_for_no_channel_that_fails,
    an_end_is_told_only_after_it,
    a_return_is_told_at_once,
    a_page_that_did_not_get_through_has_failed,
    a_condition_that_outlasts_a_silence_opens_an_incident,
    what_has_ended_is_found,
    channels_are_reminded,
    a_reminder_that_fails_waits_for_the_next_day,
    silences_hold,
    silenced_alerts_name_a_matching_silence,
    an_incident_after_a_silence_has_its_original_start,
    deliveries_are_recorded_with_their_incident,
    rate_limits_hold,
    channels_are_not_flooded,
    secrets_stay_secret,
)
