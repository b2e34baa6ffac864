"""The promises (docs/reliability.md) as invariants of a finished run. Each yields what breaks it, in words."""

from bisect import bisect
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

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
from router.incident.lifecycle import LAPSE_AFTER
from router.incident.outbox import WINDOW_STEPS
from router.incident.state import OutboxEntry, SubjectState
from router.model import CHANNEL_HEALTH, OWN_SOURCE, Decision, Incident, Kind, Subject
from router.understand import understand
from tests.simulation.neighbours import Write
from tests.simulation.plan import Muting
from tests.simulation.remotes import Try
from tests.simulation.simulation import DEDUP_WINDOW, MAX_RECEIVES, START, Simulation
from tests.simulation.workload import SECRET

_ABSORBED = {Decision.ANNOUNCED, Decision.GATHERED, Decision.HELD_BACK}
_SLACK = 12 * 60.0  # seconds: hints lost, some ticks in a row missing, an invocation that waits for its turn
_LONG = 30 * 86400.0  # seconds of retention: nothing expires in a run
_LONGEST_RETRY = 15 * 60 * 1.2
_TAKES_EFFECT = 150.0  # seconds: a minute until it is read, and what an invocation had begun before that


@dataclass(frozen=True, slots=True)
class Recorded:
    """An alert's row, as it was first committed.

    Attributes:
        number: the how-manieth of its incident it is; a notification that counts so many knows of it.
        routed: what the event means, understood once more; so the routes are known.
    """

    at: float
    item: Item
    incident: str
    number: int
    routed: RoutedAlert

    @property
    def decision(self) -> Decision:
        return Decision(self.item["decision"])

    @property
    def channels(self) -> list[str]:
        return [target.channel for target in self.routed.targets]


class Outcome:
    """What a run left behind, put in order for the invariants."""

    def __init__(self, run: Simulation) -> None:
        self.run = run
        self.understood: dict[str, RoutedAlert] = {}
        self.unreadable: list[str] = []
        self.event_ids: dict[str, str] = {}
        for body in dict.fromkeys(arrival.body for arrival in run.accepted):
            self._understand(body)

    def _understand(self, body: str) -> None:
        arrival = next(arrival for arrival in self.run.accepted if arrival.body == body)
        if arrival.raw is None:
            self.unreadable.append(body)
            return
        try:
            routed = self._routed(arrival.raw)
        except UnreadableEvent as error:
            raise AssertionError(f"the workload holds what it takes for an event: {error}") from error
        self.understood[routed.event.id] = routed
        self.event_ids[body] = routed.event.id

    @cached_property
    def _births(self) -> dict[str, list[float]]:
        """When each subject's numbers began at 1: anew after its item has expired."""
        births = defaultdict(list)
        for write in self.run.table.writes:
            if write.item["sk"] == "incident" and write.item["version"] == 1:
                births[write.item["pk"].removeprefix("subject#")].append(write.at)
        return births

    def identity(self, incident_id: str, at: float) -> str:
        """Names an incident for good, even where its number comes again."""
        born = bisect(self._births[incident_id.rpartition("-")[0]], at)
        return f"{incident_id}/{born}"

    @cached_property
    def recorded(self) -> list[Recorded]:
        """Every alert's row, in the order in which they were committed."""
        rows, counts = [], Counter[str]()
        for write in self.run.table.writes:
            item = write.item
            if is_row_key((item["pk"], item["sk"])):
                absorbed = item["decision"] in _ABSORBED
                incident = self.identity(item["incident"], write.at) if absorbed else ""
                counts[incident] += 1
                number = counts[incident] if absorbed else 0
                routed = self.understood.get(item["event_id"]) or self._news(item)
                rows.append(Recorded(write.at, item, incident, number, routed))
        return rows

    def _news(self, item: Item) -> RoutedAlert:
        """The event by which the router told itself of a channel that fails, or works again."""
        raw = {
            "id": item["event_id"],
            "source": OWN_SOURCE,
            "detail-type": CHANNEL_HEALTH,
            "time": item["at"],
            "detail": unpacked(item["event"]),
        }
        return self._routed(raw)

    def _routed(self, raw: object) -> RoutedAlert:
        deps = self.run.router
        return understand(raw, deps.config, deps.plugins, deps.essential, deps.runtime.clock())

    @cached_property
    def states(self) -> dict[str, SubjectState]:
        """The last state of every incident there was, by its id."""
        return {
            self.identity(write.item["id"], write.at): state
            for write, state in self.stored_states
            if "number" in write.item
        }

    @cached_property
    def stored_states(self) -> list[tuple[Write, SubjectState]]:
        """Every state that was ever stored, with its write."""
        return [(write, to_state(write.item)) for write in self.run.table.writes if "state" in write.item]

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
    def failed(self) -> dict[tuple[str, str], float]:
        """Incidents and channels of which the ledger says that a delivery failed for good, and when it last did."""
        return {
            (self.identity(each["incident"], write.at), each["channel"]): write.at
            for write, each in _deliveries(self.run)
            if each["outcome"] == "failed"
        }

    @cached_property
    def tries(self) -> dict[tuple[str, str], list[Try]]:
        """What reached a remote, by incident and channel; without what was said while history was unreachable."""
        found = defaultdict(list)
        for channel, remote in self.run.remotes.items():
            for each in remote.tries:
                if not each.incident.endswith("-0"):
                    found[self.identity(each.incident, each.at), channel].append(each)
        return found

    def heard(self, incident: str, channel: str) -> list[Try]:
        return [each for each in self.tries.get((incident, channel), ()) if each.accepted]

    def silences_of(self, subject: Subject) -> list[Muting]:
        return [each for each in self.run.plan.silences if subject.name == each.name]

    def undisturbed(self, channel: str) -> bool:
        """Whether nothing befell this channel's remote, history, or the function in this run."""
        return self.run.plan.history_is_sound and not self.run.plan.moods.get(channel)


Promise = Callable[[Outcome], Iterable[str]]


def everything_is_accounted_for(outcome: Outcome) -> Iterator[str]:
    """An event that was accepted is in history, or on the dead-letter queue."""
    rows = {(each.item["pk"], each.item["sk"]) for each in outcome.recorded}
    buried = {each.body for each in outcome.run.buried}
    for arrival in outcome.run.accepted:
        if arrival.raw is None or arrival in outcome.run.dropped:
            continue
        alert = outcome.understood[arrival.raw["id"]].alert
        if row_key(alert.id) not in rows and arrival.body not in buried:
            yield f"event {arrival.raw['id']} ({alert.cause} of {alert.subject.text}) is nowhere"


def only_trouble_buries_events(outcome: Outcome) -> Iterator[str]:
    """An event that can be read ends on the dead-letter queue only if history failed or the function died."""
    plan = outcome.run.plan
    if plan.history_is_sound:
        for buried in outcome.run.buried:
            often = not buried.reason and (plan.doubled or plan.undeleted)  # SQS itself counts receives, not failures
            if not often and buried.body not in {body or "-" for body in outcome.unreadable}:
                yield f"buried for no reason ({buried.reason!r}): {buried.body[:80]}"


def bad_input_is_buried_with_its_reason(outcome: Outcome) -> Iterator[str]:
    """What cannot be read is on the dead-letter queue, with the reason; once, if nothing went wrong."""
    run = outcome.run
    sound = run.plan.history_is_sound and not (run.plan.sqs or run.plan.doubled or run.plan.undeleted)
    for body in outcome.unreadable:
        copies = [each for each in run.buried if each.body == (body or "-")]
        hint = "Router Due" in body
        if not hint and not any(each.reason for each in copies) and not (copies and not run.plan.history_is_sound):
            yield f"not buried with a reason: {body[:60]!r}"
        if sound and len(copies) > 1:
            yield f"buried {len(copies)} times: {body[:60]!r}"


def no_record_fails_with_its_neighbour(outcome: Outcome) -> Iterator[str]:
    """What comes again is what could not be written: nothing that this very receive has put into history."""
    run = outcome.run
    if any("lost" in name for name in run.plan.table):
        return  # a commit that was not answered may have been done
    written = {(write.by, write.item["event_id"]) for write in run.table.writes if "event_id" in write.item}
    for refused in run.refused:
        if (refused.by, outcome.event_ids.get(refused.body)) in written:
            yield f"event {outcome.event_ids[refused.body]} was put into history, and given back"


def the_last_receive_ends_well(outcome: Outcome) -> Iterator[str]:
    """On its last receive a record is told without history and buried with the reason: it is not given back again."""
    if not outcome.run.plan.sqs:
        for refused in outcome.run.refused:
            if refused.receives >= MAX_RECEIVES:
                yield f"given back for the last time: {refused.body[:80]}"


def no_batch_raises(outcome: Outcome) -> Iterator[str]:
    """A failure is a record's, never the batch's: its neighbours would come again with it."""
    yield from outcome.run.broken


def an_occurrence_is_counted_once(outcome: Outcome) -> Iterator[str]:
    """An incident counts each of its occurrences once, however often and in however many events it came."""
    rows = Counter((each.item["pk"], each.item["sk"]) for each in outcome.recorded)
    if outcome.run.plan.retention > _LONG:
        yield from (f"row {key} was written {count} times" for key, count in rows.items() if count > 1)
    counted = Counter(each.incident for each in outcome.recorded if each.number)
    for incident_id, incident, _ in outcome.incidents:
        if incident.count != counted[incident_id]:
            yield f"{incident_id} counts {incident.count}, not {counted[incident_id]}"


def everything_drains(outcome: Outcome) -> Iterator[str]:
    """In the end nothing is due, nothing is waited for, and every incident is over."""
    for incident_id, incident, state in outcome.incidents:
        if state.due_at is not None:
            yield f"{incident_id} stays due"
        if not incident.over:
            yield f"{incident_id} stays {incident.status}"


def outbox_entries_keep_their_rules(outcome: Outcome) -> Iterator[str]:
    """The rules that `OutboxEntry` states hold in every state that was ever stored."""
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


def every_channel_is_told_or_failed(outcome: Outcome) -> Iterator[str]:
    """What is said of a cell in the end is that it was sent, or failed, or that there was nothing to say."""
    for incident_id, channel, _, entry in outcome.entries:
        if entry.is_behind:
            yield f"{channel} stays behind with {incident_id}"
        if entry.outcome == "retry" and not (entry.stateful and entry.last_kind_sent is None):
            yield f"{channel} waits for ever to be tried again with {incident_id}"


def every_alert_is_told(outcome: Outcome) -> Iterator[str]:
    """A counted alert is told to each channel that it reaches: by a notification that counts it, or it failed."""
    for row in outcome.recorded:
        if not row.number:
            continue
        incident_id = row.incident
        for channel in row.channels:
            told = any(each.count >= row.number for each in outcome.heard(incident_id, channel))
            over_before = channel == "pager" and not outcome.heard(incident_id, channel)
            failed = outcome.failed.get((incident_id, channel), 0.0) >= row.at
            if not (told or over_before or failed):
                yield f"{channel} never hears of {row.item['cause']}, number {row.number} of {incident_id}"


def nothing_is_said_twice(outcome: Outcome) -> Iterator[str]:
    """A revision is accepted once; once more for each answer that never came, and each crash or failed record."""
    for (incident_id, channel), tries in outcome.tries.items():
        accepted = [each for each in tries if each.accepted]
        for each, again in pairwise(sorted(accepted, key=lambda each: (each.dispatch.revision, each.at))):
            if each.dispatch.revision != again.dispatch.revision:
                continue
            if each.answered and not each.invocation.troubled_since(each.at):
                yield f"{channel} is told revision {again.dispatch.revision} of {incident_id} twice"


def windows_hold_back(outcome: Outcome) -> Iterator[str]:
    """Between two updates of an incident that neither got worse nor came back lies at least the window; it grows."""
    for (incident_id, channel), tries in outcome.tries.items():
        known = [each for each in tries if each.accepted and each.answered]
        heard = [each for each in known if not each.invocation.troubled_since(each.at)]  # the others open no window
        for number, (before, after) in enumerate(pairwise(heard)):
            worse = after.dispatch.severity.worse_than(before.dispatch.severity)
            on = after.kind is Kind.UPDATED and before.kind is not Kind.RESOLVED and after.reopened == before.reopened
            if on and not worse:
                rung = sum(each.kind is not Kind.RESOLVED for each in heard[: number + 1])
                if after.at - before.at < _window(rung) - 1:
                    yield f"{channel} is told of {incident_id} again after {after.at - before.at:.0f} s"


def _deliveries(run: Simulation) -> Iterator[tuple[Write, Item]]:
    """What the ledger says, with the write that brought it there."""
    for write in run.table.writes:
        if is_delivery_key((write.item["pk"], write.item["sk"])):
            yield from ((write, each) for each in each_delivery(write.item))


def _window(rung: int) -> float:
    return DEDUP_WINDOW if rung == 1 else WINDOW_STEPS[min(rung - 2, len(WINDOW_STEPS) - 1)]


def a_window_ends_in_time(outcome: Outcome) -> Iterator[str]:
    """What was held back is told when the window ends, however many alerts come; and at once where none is open."""
    for row in outcome.recorded:
        if not row.number:
            continue
        incident_id = row.incident
        for channel in row.channels:
            if not outcome.undisturbed(channel) or outcome.silences_of(row.routed.alert.subject):
                continue
            heard = outcome.heard(incident_id, channel)
            told = next((each.at for each in heard if each.count >= row.number), None)
            latest = _latest(row, heard)
            if told is None or told > latest:
                yield f"{channel} hears {row.number} of {incident_id} at {told}, later than {latest}: {row.at}"


def _latest(row: Recorded, heard: list[Try]) -> float:
    before = [each for each in heard if each.count < row.number]
    if not before or before[-1].kind is Kind.RESOLVED:
        return row.at + _SLACK
    if all(row.routed.alert.severity.worse_than(each.dispatch.severity) for each in before):
        return row.at + _SLACK
    rung = sum(each.kind is not Kind.RESOLVED for each in before)
    return max(row.at, before[-1].at + _window(rung)) + _SLACK


def a_failed_send_opens_no_window(outcome: Outcome) -> Iterator[str]:
    """After `failed`, the next alert is tried at once; after `retry`, no later than the schedule has it."""
    if not outcome.run.plan.history_is_sound:
        return
    for row in outcome.recorded:
        if outcome.silences_of(row.routed.alert.subject):
            continue
        for channel in row.channels if row.number else ():
            tries = outcome.tries.get((row.incident, channel), [])
            before = [each for each in tries if each.at <= row.at or (each.accepted and each.count < row.number)]
            if not before or before[-1].accepted or not before[-1].answered or before[-1].mood in {"picky", "buggy"}:
                continue
            if outcome.failed.get((row.incident, channel), 0.0) >= row.at:
                continue  # it came while what failed was under way
            wait = 0.0 if before[-1].mood == "gone" else _LONGEST_RETRY
            following = next((each.at for each in tries if each.at > before[-1].at and each.count >= row.number), None)
            if following is None and not (channel == "pager" and not outcome.heard(row.incident, channel)):
                yield f"{channel} failed, and is never tried again with number {row.number} of {row.item['incident']}"
            elif following is not None and following > row.at + wait + _SLACK:
                yield f"{channel} failed, and is tried again only after {following - row.at:.0f} s"


def no_resolve_overtakes(outcome: Outcome) -> Iterator[str]:
    """`resolved` comes after an `opened`; alone only as the one word that it opened and is over."""
    for (incident_id, channel), tries in outcome.tries.items():
        opened = said_over = False
        unsure = not outcome.run.plan.history_is_sound  # a crash before the send looks like one after it
        for each in tries:
            if each.kind is not Kind.RESOLVED and each.accepted:
                opened, said_over = True, False
            elif each.kind is Kind.RESOLVED and not opened and channel == "pager" and not unsure:
                yield f"pager hears that {incident_id} is over, of which it never heard"
            elif each.kind is Kind.RESOLVED and each.accepted:
                if said_over and not unsure:
                    yield f"{channel} hears twice that {incident_id} is over"
                if not opened and not each.dispatch.is_first:
                    yield f"{channel} hears that {incident_id} is over before it hears of it"
                said_over = True
            unsure = unsure or not each.answered or bool(each.invocation.troubles)


def nothing_stays_open_remotely(outcome: Outcome) -> Iterator[str]:
    """What is over is over on the stateful remote too, unless it refused to hear it."""
    pager = outcome.run.remotes["pager"]
    for incident_id, channel, incident, entry in outcome.entries:
        if channel == "pager" and incident.over and incident.dedup_key in pager.open and entry.outcome != "failed":
            yield f"{incident_id} is over, and stays open on the pager"


def one_remote_alert_for_one_incident(outcome: Outcome) -> Iterator[str]:
    """The stateful remote opens an alert once for each opening of the incident."""
    pager = outcome.run.remotes["pager"]
    allowed = Counter(each.dedup_key for each in pager.tries if each.incident.endswith("-0"))
    for _, incident, _ in outcome.incidents:
        allowed[incident.dedup_key] += 1 + incident.reopened
    for key, count in pager.openings.items():
        if count > allowed[key]:
            yield f"{key} was opened {count} times on the pager, not {allowed[key]}"


def decisions_follow_the_rules(outcome: Outcome) -> Iterator[str]:
    """An alert older than what its subject has recovered from since is already resolved; a newer one is not."""
    quiet: dict[str, float] = defaultdict(float)
    if outcome.run.plan.retention < _LONG:
        return
    for row in outcome.recorded:
        alert = row.routed.alert
        where = alert.subject.fingerprint
        if row.decision is Decision.RESOLVING:
            began = alert.started_at or alert.created_at
            since = began if alert.cause == "task_completed" and began else alert.at
            quiet[where] = max(quiet[where], since)
        over = alert.at < quiet[where]
        if row.decision in _ABSORBED and over and alert.cause not in {"container_exited", "deployment_failed"}:
            yield f"{alert.cause} of {where} was over and is {row.decision}"
        if row.decision is Decision.ALREADY_RESOLVED and not over:
            yield f"{alert.cause} of {where} was not over and is {row.decision}"


def silences_hold(outcome: Outcome) -> Iterator[str]:
    """While a silence lasts, from a minute after it was added on, nothing it matches opens or goes on anywhere."""
    if not outcome.run.plan.history_is_sound:
        return
    for incident_id, incident, _ in outcome.incidents:
        for muting in outcome.silences_of(incident.subject):
            for channel in outcome.run.remotes:
                for each in outcome.tries.get((incident_id, channel), ()):
                    told = each.kind is not Kind.RESOLVED
                    if told and START + muting.begins + _TAKES_EFFECT < each.at < START + muting.ends:
                        yield f"{channel} hears of {incident_id}, which is silenced"


def only_a_silence_silences(outcome: Outcome) -> Iterator[str]:
    """What is held back names a silence that matches it and was there; a minute after the end none holds any more."""
    sound = outcome.run.plan.history_is_sound
    for row in outcome.recorded:
        if row.decision is not Decision.SILENCED:
            continue
        number = int(row.item["silence"].removeprefix("silence-"))
        muting = outcome.run.plan.silences[number]
        ends = muting.ends if sound else muting.planned  # the last known ones hold while history is unreachable
        if muting not in outcome.silences_of(row.routed.alert.subject):
            yield f"{row.item['id']} is silenced by {muting}, which does not match it"
        if not START + muting.begins <= row.at <= START + ends + _TAKES_EFFECT:
            yield f"{row.item['id']} is silenced at {row.at - START:.0f} by {muting}"


def what_outlasts_a_silence_is_opened_since_then(outcome: Outcome) -> Iterator[str]:
    """The first alert after the end opens the incident, since the first that was held back and not ended meanwhile."""
    since: dict[str, float] = {}
    if outcome.run.plan.retention < _LONG:
        return
    for row in outcome.recorded:
        alert = row.routed.alert
        where = alert.subject.fingerprint
        if row.decision is Decision.SILENCED:
            since[where] = min(since.get(where, alert.at), alert.at)
        elif row.number != 1 and (row.decision is Decision.RESOLVING or alert.stopped):
            since.pop(where, None)  # it may have ended what was held back
        if row.number == 1 and where in since:
            incident = outcome.states[row.incident].incident
            assert incident
            if incident.opened_at > since[where] + LAPSE_AFTER:
                continue  # it had lapsed
            if incident.opened_at > since[where]:
                yield f"{row.incident} was opened at {incident.opened_at}, and held back since {since[where]}"
        if row.number:
            since.pop(where, None)


def the_ledger_is_true(outcome: Outcome) -> Iterator[str]:
    """A delivery is noted with the incident that it was of, even if a later one has taken its place meanwhile."""
    tries: dict[tuple[object, str], set[tuple[str, int]]] = defaultdict(set)
    for channel, remote in outcome.run.remotes.items():
        for each in remote.tries:
            tries[each.invocation, channel].add((each.incident, each.dispatch.attempt))
    for write, item in _deliveries(outcome.run):
        if made := tries.get((write.by, item["channel"])):
            unsent = item["answer"].startswith(("no time", "not tried"))
            if not unsent and (item["incident"], item["attempt"]) not in made:
                yield f"{item['channel']} is said to have been told of {item['incident']}, and was told of {made}"


def budgets_hold(outcome: Outcome) -> Iterator[str]:
    """No endpoint is given more turns within its period than its budget allows, and no more messages than turns."""
    sources = outcome.run.router.config.channels
    given: dict[str, set[float]] = defaultdict(set)
    turns: Counter[str] = Counter()
    for write in outcome.run.table.writes:
        if (write.item["pk"], write.item["sk"]) == CHANNEL_STATES_KEY:
            for endpoint, times in to_channel_states(write.item).sent_at.items():
                turns[endpoint] += sum(time == max(times) for time in times) if max(times) not in given[endpoint] else 0
                given[endpoint] |= {*times}
                yield from (
                    f"{name} was given {len(times)} turns at once"
                    for name, source in sources.items()
                    if source.endpoint == endpoint and len(times) > source.budget[0]
                )
    for name, remote in outcome.run.remotes.items():
        messages = {each.message for each in remote.tries if each.mood != "picky" and not each.incident.endswith("-0")}
        if len(messages) > turns[sources[name].endpoint]:
            yield f"{name} was sent {len(messages)} messages with {turns[sources[name].endpoint]} turns"


def there_are_no_storms(outcome: Outcome) -> Iterator[str]:
    """A channel hears of an incident no more often than it has alerts and endings, and one for each trouble."""
    for (incident_id, channel), tries in outcome.tries.items():
        heard = [each for each in tries if each.accepted and each.answered]
        troubles = {id(each.invocation) for each in tries if each.invocation.troubles}
        _, incident, _ = next(each for each in outcome.incidents if each[0] == incident_id)
        if len(heard) > incident.count + 1 + incident.reopened + len(troubles):
            yield f"{channel} hears {len(heard)} times of {incident_id}, which counts {incident.count}"


def secrets_stay_secret(outcome: Outcome) -> Iterator[str]:
    """Neither the options of a channel nor the environment of a task is in history."""
    for write in outcome.run.table.writes:
        if SECRET in repr(write.item):
            yield f"a secret is in {write.item['pk']} {write.item['sk']}"


PROMISES: tuple[Promise, ...] = (
    everything_is_accounted_for,
    only_trouble_buries_events,
    bad_input_is_buried_with_its_reason,
    no_record_fails_with_its_neighbour,
    the_last_receive_ends_well,
    no_batch_raises,
    an_occurrence_is_counted_once,
    everything_drains,
    outbox_entries_keep_their_rules,
    every_channel_is_told_or_failed,
    every_alert_is_told,
    nothing_is_said_twice,
    windows_hold_back,
    a_window_ends_in_time,
    a_failed_send_opens_no_window,
    no_resolve_overtakes,
    nothing_stays_open_remotely,
    one_remote_alert_for_one_incident,
    decisions_follow_the_rules,
    silences_hold,
    only_a_silence_silences,
    what_outlasts_a_silence_is_opened_since_then,
    the_ledger_is_true,
    budgets_hold,
    there_are_no_storms,
    secrets_stay_secret,
)


def broken(run: Simulation) -> list[str]:
    """What is broken after a run; empty where every promise was kept."""
    outcome = Outcome(run)
    return [f"{promise.__name__}: {what}" for promise in PROMISES for what in promise(outcome)]
