"""The promises about what happens in few runs only: other versions, other writers, an operator, and polls."""

import math
from collections import Counter, defaultdict
from collections.abc import Iterator
from itertools import takewhile

from router.aws.queues import WITHOUT_HISTORY
from router.ecs.conditions import TOO_FEW_TASKS
from router.ecs.fields import moment
from router.history.items import (
    is_row_key,
    unpacked_state,
)
from router.history.table import Item, Key
from router.model import (
    EndedBy,
    Kind,
)
from tests.simulation.actors import NEW_ENDING, NEW_FIELD
from tests.simulation.boundary import Invocation
from tests.simulation.plan import MINUTE
from tests.simulation.polling import FAMILY
from tests.simulation.promises import (
    ENOUGH_PROCESSES,
    Outcome,
    Promise,
    recovers_from,
    subject_of,
)
from tests.simulation.simulation import START

_BELOW_FOR = 300.0  # seconds until a shortage is reported
_TWO_ROUNDS = 2 * 300.0 + 60.0  # seconds: `[poll] every`, and a tick
_SECONDS_TO_WAIT = 150.0  # until a record is received again, and for invocations before it


def nothing_is_done_after_an_invocation(outcome: Outcome) -> Iterator[str]:
    """A thread that was left behind, frozen and thawed in a later invocation, neither sends nor writes anything."""
    for channel, remote in outcome.run.remotes.items():
        for attempt in remote.tries:
            if attempt.begun > min(attempt.invocation.done or math.inf, attempt.invocation.ends):
                late = attempt.begun - attempt.invocation.ends
                yield f"{channel} is sent {attempt.incident} {late:.0f} s after the end of {attempt.invocation.name}"
    for write in outcome.run.table.writes:
        if isinstance(write.by, Invocation) and write.at > (write.by.done or math.inf):
            yield f"{write.by.name} has ended, and writes {write.item['pk']}"


def contention_is_no_outage(outcome: Outcome) -> Iterator[str]:
    """Faster writers cause no dead letters, and what they delay is handled seconds after they stop."""
    plan, run = outcome.run.plan, outcome.run
    if not plan.contention or not plan.history_answers or plan.sqs:
        return
    yield from (f"{letter.body[:60]} is a dead letter" for letter in run.buried if letter.reason == WITHOUT_HISTORY)
    for name in run.remotes:
        if any(attempt.incident.endswith("-0") for attempt in outcome.sent_to(name)):
            yield f"{name} is told that history is unavailable"
    if plan.processes < ENOUGH_PROCESSES:
        return
    came: dict[str, float] = {}
    for arrival in run.accepted:
        if arrival.raw and arrival not in run.dropped:
            came.setdefault(arrival.raw["id"], arrival.comes)
    for row in outcome.recorded:
        if (at := came.get(row.item["event_id"])) is not None and not row.unmuted:
            ends = max([at, *(START + period.ends for period in plan.contention if START + period.begins <= row.at)])
            if row.at > ends + _SECONDS_TO_WAIT:
                yield f"event {row.item['event_id']} is recorded {row.at - ends:.0f} s after the contention"


def what_was_announced_without_history_ends_with_its_incident(outcome: Outcome) -> Iterator[str]:
    """Once it is redriven, the channels that knew of it are not told again, and the pager's alert is resolved.

    Unless history knew it before: then its incident has been announced as usual, as soon as that was possible.
    """
    run = outcome.run
    backfills = {(by, outcome.event_ids.get(body)) for by, body in run.backfills}
    for row in outcome.recorded:
        announced = outcome.backfilled.get(row.item["event_id"], set())
        learned = (row.by, row.item["event_id"]) in backfills
        for channel in announced if row.number == 1 and learned else ():
            tries = outcome.tries.get((row.incident, channel), ())
            before_its_end = takewhile(lambda attempt: attempt.kind is not Kind.RESOLVED, tries)
            if any(attempt.kind is Kind.OPENED for attempt in before_its_end):
                yield f"{channel} is told again that {row.incident} is open"
    left = {
        outcome.understood[event].alert.subject.key
        for letter in run.buried
        if (event := outcome.event_ids.get(letter.body))
    }
    failed = {incident.rpartition("-")[0] for incident, channel in outcome.failed if channel == "pager"}
    counted = {
        row.alert.subject.key
        for row in outcome.recorded
        if row.number and "pager" in outcome.backfilled.get(row.item["event_id"], ()) and not row.unmuted
    }
    for attempt in outcome.sent_to("pager"):
        subject = subject_of(attempt)
        is_open = attempt.incident.endswith("-0") and attempt.dedup_key in run.remotes["pager"].open
        if is_open and attempt.answered and subject in counted - left - failed:
            yield f"{attempt.incident} was redriven, and stays open on the pager"


def a_newer_item_is_left_untouched(outcome: Outcome) -> Iterator[str]:
    """Nobody writes an item that only a newer version can read, and its events are not announced without it."""
    for key, begins, ends in outcome.run.reserved:
        for write in outcome.run.table.writes:
            if (write.item["pk"], write.item["sk"]) == key and begins < write.at < ends:
                yield f"{key} is written at {write.at - START:.0f}, and belongs to a newer version"
    plan = outcome.run.plan
    if plan.reserved and plan.history_answers and not (plan.doubled or plan.undeleted):  # which use up the receives
        for name in outcome.run.remotes:
            yield from (
                f"{name} is told of {attempt.incident} without history"
                for attempt in outcome.sent_to(name)
                if attempt.incident.endswith("-0")
            )


def nothing_of_a_newer_version_is_lost(outcome: Outcome) -> Iterator[str]:
    """What the next version has stored, and this version does not know, is written back."""
    if not outcome.run.plan.newer:
        return
    known: dict[Key, set[str]] = defaultdict(set)
    for write in outcome.run.table.writes:
        item = write.item
        if "version" not in item or is_row_key((item["pk"], item["sk"])):
            continue
        seen, before = _new_parts(item), known[item["pk"], item["sk"]]
        if item["version"] > 1 and not before - {"ending"} <= seen:
            yield f"{item['pk']} {item['sk']} loses {sorted(before - seen)} at {write.at - START:.0f}"
        if "ending" in before and "other ending" in seen:
            yield f"{item['pk']} loses what ended its incident at {write.at - START:.0f}"
        known[item["pk"], item["sk"]] = seen - {"other ending"}


def _new_parts(item: Item) -> set[str]:
    """What of an item only the next version knows."""
    parts = {"field"} if NEW_FIELD in item else set()
    if "state" in item:
        state = unpacked_state(item)
        ended_by = (state.get("incident") or {}).get("ended_by")
        parts |= {"field of the state"} if NEW_FIELD in state else set()
        parts |= {"ending"} if ended_by == NEW_ENDING else set()
        parts |= {"other ending"} if ended_by == EndedBy.OTHER else set()
    return parts


def a_damaged_item_affects_only_itself(outcome: Outcome) -> Iterator[str]:
    """A damaged item is set aside, its subject starts again, and later alerts are announced."""
    run = outcome.run
    for pk, (damaged_at, subject) in run.damaged.items():
        later = [write for write in run.table.writes if write.at > damaged_at]
        own = [write for write in later if write.item["pk"] == pk]
        if any(write.item["sk"] == "incident" for write in own) and not any("reason" in write.item for write in own):
            yield f"the damaged item of {subject} was overwritten, and not set aside"
        newest = next((write.item for write in reversed(own) if write.item["sk"] == "incident"), {})
        if newest.keys() & {"due_at", "open_shard"}:
            yield f"{subject} stays open after its item was damaged"
        for write in later if run.plan.history_answers else ():
            row = write.item
            if not is_row_key((row["pk"], row["sk"])) or row["subject"] != subject or row["decision"] != "announced":
                continue
            routed = outcome.understood.get(row["event_id"])
            for target in routed.targets if routed else ():
                tries = [
                    attempt for attempt in run.remotes[target.channel].tries if pk == f"subject#{subject_of(attempt)}"
                ]
                if not run.plan.moods.get(target.channel) and not any(attempt.at >= write.at - 1 for attempt in tries):
                    yield f"{target.channel} is not told of {row['cause']} of {subject}, whose item was damaged"


# --- polls ------------------------------------------------------------------------------------------------------------


def a_service_below_its_count_is_reported(outcome: Outcome) -> Iterator[str]:
    """A shortfall is reported after five to ten minutes, not earlier; it ends once enough tasks run again."""
    run, plan = outcome.run, outcome.run.plan
    if run.polled is None or not plan.polls or not plan.history_is_sound:
        return
    rows = [row for row in outcome.recorded if row.alert.cause == "too_few_tasks" and row.alert.effects.begins]
    faultless = START + (plan.storm if plan.ecs or plan.tick_missing else 0.0)  # before that, polls may fail
    for shortage in run.polled.shortages:
        own = [row for row in rows if row.alert.subject.name == shortage.service and shortage.begins <= row.at]
        own = [row for row in own if row.alert.at < shortage.ends]
        latest = max(shortage.begins, faultless) + _TWO_ROUNDS + outcome.promptly
        if latest < min(shortage.ends, run.polled.until) and not any(row.at <= latest for row in own):
            yield f"{shortage.service} is below its count from {shortage.begins - START:.0f} s on, unreported"
        yield from (
            f"{shortage.service} is reported after {row.at - shortage.begins:.0f} s"
            for row in own
            if row.at < shortage.begins + _BELOW_FOR - MINUTE
        )
        known_by = max(shortage.ends, faultless) + _TWO_ROUNDS + outcome.promptly
        subjects = {row.alert.subject for row in own}
        states = [state for subject in subjects if (state := outcome.state_at(subject, known_by))]
        again = any(
            other.service == shortage.service and other.begins > shortage.begins for other in run.polled.shortages
        )
        if known_by < run.polled.until and not again and any(TOO_FEW_TASKS in state.conditions for state in states):
            yield f"{shortage.service} runs enough tasks since {shortage.ends - START:.0f}, and that is not noticed"


def a_run_that_does_not_come_is_reported_once(outcome: Outcome) -> Iterator[str]:
    """A missing run is reported once, when its grace has passed, and ends with the next run that completes."""
    run, plan = outcome.run, outcome.run.plan
    if run.polled is None or not plan.polls or not plan.history_is_sound:
        return
    due = [row.routed.event for row in outcome.recorded if row.alert.cause == "task_overdue" and not row.unmuted]
    reported = Counter(math.floor(moment(event.details["dueAt"]) or 0) for event in due)
    missing = {round(time) for time in run.polled.missing}
    on_time = not (plan.ecs or plan.tick_missing)
    # Without a tick in time, the router sees no run before the first one that it waits for, and counts from that tick.
    tolerance = 1.0 if on_time else 2 * MINUTE
    for at, count in reported.items():
        if count > 1 or not any(abs(at - time) <= tolerance for time in missing):
            yield f"the run that was due at {at - START:.0f} is reported {count} times"
    for at in sorted(missing) if on_time else ():
        if not {at - 1, at, at + 1} & reported.keys():
            yield f"the run that was due at {at - START:.0f} never came, and that is not reported"
    for row in outcome.recorded:
        if row.alert.cause == "task_completed" and row.alert.subject.name == FAMILY:
            state = outcome.state_at(row.alert.subject, row.at)
            late = [
                key
                for key, condition in (state.conditions if state else {}).items()
                if condition.reported_at < recovers_from(row.alert)
            ]
            if late:
                yield f"a run has completed at {row.alert.at - START:.0f}, and {late} continues"


RARE_PROMISES: tuple[Promise, ...] = (
    a_service_below_its_count_is_reported,
    a_run_that_does_not_come_is_reported_once,
    nothing_is_done_after_an_invocation,
    contention_is_no_outage,
    what_was_announced_without_history_ends_with_its_incident,
    a_newer_item_is_left_untouched,
    nothing_of_a_newer_version_is_lost,
    a_damaged_item_affects_only_itself,
)
