"""Shows that the simulation finds bugs: each mutant puts one bug into a copy of the router, and a seed catches it.

`python -m tests.simulation.mutants [WORD]` prints, of each mutant whose name contains WORD, the seed that catches it
and the promise that it breaks, or the test that catches it. It exits with 1 if a mutant survives, and stops if the text
to be mutated no longer exists.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
_WIDTH = 160  # characters of what a seed shows
_RUNS = 1_000  # seeds until a mutant is taken to survive; not seconds, which are few on a busy machine


class Mutant(NamedTuple):
    """A bug: in `file`, `text` becomes `bug`.

    `first`: a seed that caught it, where the search begins. A change of the router may move it: enter the new one then.
    `test`: the test that catches it instead, where no run of the simulation gets there, or one in hundreds.
    """

    name: str
    file: str
    text: str
    bug: str
    first: int = 0
    test: str = ""


MUTANTS = (
    Mutant(
        "rows are written without a condition",
        "history/store.py",
        "Put(row_item(row, self._ttl(row.alert.severity, now), now), row.version)",
        "Put(row_item(row, self._ttl(row.alert.severity, now), now))",
        first=2,
    ),
    Mutant(
        "the state is written without a condition",
        "history/store.py",
        "Put(state_item(state, self._longest_ttl(now), now), state.version)",
        "Put(state_item(state, self._longest_ttl(now), now))",
        first=16,
    ),
    Mutant(
        "a state does not know its most recent alerts",
        "incident/recent.py",
        "    return state.recent.get(recent_id(id_)) if state.recent else None\n",
        "    return None\n",
        first=10,
    ),
    Mutant(
        "a row that a crash has left missing is never written",
        "occurrence.py",
        "        if recorded.is_written or (recorded.version",
        "        if True or (recorded.version",
        first=10,
    ),
    Mutant(
        "an event is acknowledged although its row is missing",
        "claim.py",
        "errors=outcome.missing_rows)",
        "errors={})",
        first=18,
    ),
    Mutant(
        "a dispatch is recorded as sent before it is sent",
        "claim.py",
        "        state, dispatches = take_lease(state, now, grant)\n",
        "        state, dispatches = take_lease(state, now, grant)\n"
        "        from router.incident.outbox import Delivery, Outcome, apply_delivery\n"
        "        for dispatch in dispatches:\n"
        "            state = apply_delivery(state, Delivery(dispatch, Outcome.SENT), lease.owner, now, 0.0)\n",
        first=61,
    ),
    Mutant(
        "a failed send is swallowed",
        "deliver.py",
        "        return _retry(job, _error_text(error, channel), error.retry_after, unanswered=unanswered)",
        "        return Delivery(job.dispatch, Outcome.SENT, str(error))",
        first=69,
    ),
    Mutant(
        "outbox entries are not leased",
        "incident/outbox.py",
        "if entry.due_at is not None and entry.due_at <= now and not entry.is_leased(now)",
        "if entry.is_behind or (entry.due_at is not None and entry.due_at <= now)",
        first=10,
    ),
    Mutant(
        "news that arrives during a lease is suppressed",
        "incident/state.py",
        "return bool(self.lease_owner) and self.lease_ends_at > now",
        "return False",
        first=805,
    ),
    Mutant(
        "the window restarts with each alert",
        "incident/lifecycle.py",
        "            entry = entry._replace(due_at=entry.window_ends_at)\n",
        "            window_ends_at = now + entry.dedup_window\n"
        "            entry = entry._replace(window_ends_at=window_ends_at, due_at=window_ends_at)\n",
        first=4,
    ),
    Mutant(
        "a failed send opens a window",
        "incident/outbox.py",
        "            entry = _failed(entry)\n",
        "            entry = _sent(entry, delivery.dispatch, now)._replace(outcome=Outcome.FAILED)\n",
        first=1,
    ),
    Mutant(
        "one failing channel makes all of them due again",
        "incident/outbox.py",
        "    return state._replace(\n        outbox={**state.outbox, delivery.dispatch.channel: entry}, latest_sent=",
        "    others = dict(state.outbox)\n"
        "    if delivery.outcome is Outcome.RETRY:\n"
        "        others = {\n"
        "            name: other._replace(wanted_revision=other.sent_revision + 1, due_at=entry.due_at)\n"
        "            for name, other in others.items()\n"
        "        }\n"
        "    return state._replace(\n        outbox={**others, delivery.dispatch.channel: entry}, latest_sent=",
        first=17,
    ),
    Mutant(
        "a leased entry is never due again after a crash",
        "incident/outbox.py",
        "due_at=terms.until,",
        "due_at=None,",
        first=4,
    ),
    Mutant(
        "a stateful channel that was never triggered is resolved",
        "incident/outbox.py",
        "return knows or (in_doubt if entry.stateful else entry.is_behind)",
        "return knows or entry.is_behind",
        first=240,
    ),
    Mutant(
        "a stateful channel that may have been triggered is never resolved",
        "incident/outbox.py",
        "return knows or (in_doubt if entry.stateful else entry.is_behind)",
        "return knows or (not entry.stateful and entry.is_behind)",
        first=24,
    ),
    Mutant(
        "a duplicate is counted once more",
        "occurrence.py",
        "    if recorded is None:\n        after = _apply(state, new",
        "    if True:\n        after = _apply(state, new",
    ),
    Mutant(
        "quiet_from is ignored",
        "incident/recovery.py",
        "return alert.at < _quiet_from(state, cause_key(alert))",
        "return False",
        first=13,
    ),
    Mutant(
        "the tick does not query what is due",
        "tick.py",
        "due = deps.runtime.history.due(deps.runtime.clock())",
        "due = deps.runtime.history.due(0.0)",
        first=16,
    ),
    Mutant(
        "a delivery is recorded in the incident that replaced its own",
        "settle.py",
        "newest.incident.number == number",
        "newest.incident.number",
        first=4_250,
    ),
    Mutant(
        "nothing is done on the last receive",
        "inbox.py",
        "if _receives(received[key]) >= max_receives}",
        "if _receives(received[key]) > max_receives}",
        first=69,
    ),
    Mutant(
        "a failure of the dead-letter queue is swallowed",
        "inbox.py",
        '        log.exception("the dead-letter queue did not take it: %s", reason)\n        return [message_id]',
        '        log.exception("the dead-letter queue did not take it: %s", reason)\n        return []',
        test="tests/unit/test_inbox.py",
    ),
    Mutant(
        "one subject's failure fails the whole batch",
        "history/store.py",
        "if len(left) > 1 and _failed_together(result)]",
        "if False]",
        test="tests/unit/test_inbox.py",
    ),
    Mutant(
        "a granted send is not charged to its rate limit",
        "claim.py",
        "return allocation.channel_states if changed else None",
        "return None",
        first=16,
    ),
    Mutant(
        "a rate limit grants one send too many",
        "channels/rate_limit.py",
        "left = limit.rate_limit.limit - len(sent_at)",
        "left = limit.rate_limit.limit - len(sent_at) + 1",
        first=16,
    ),
    Mutant(
        "an entry that waits for a bundle is never checked again",
        "incident/outbox.py",
        "due_at=terms.retry_at[name], throttled=True",
        "due_at=None, throttled=True",
        first=16,
    ),
    Mutant(
        "a bundle is recorded only for the worst of its incidents",
        "settle.py",
        "            for state, dispatch in job.members:\n                deliveries",
        "            for state, dispatch in job.members[:1]:\n                deliveries",
        first=10,
    ),
    Mutant(
        "a lapse waits for a channel that fails",
        "incident/lifecycle.py",
        "if any(entry.due_at is not None and not entry.attempt for",
        "if any(entry.due_at is not None for",
        first=5,
    ),
    Mutant(
        "an open incident is notified during a silence",
        "claim.py",
        "return postpone(state, now, silence.recheck_at(now)) if silence else state",
        "return state",
        first=68,
    ),
    Mutant(
        "alerts that a silence suppressed are forgotten",
        "incident/lifecycle.py",
        "opened_at=min(alert.at, silenced.since) if silenced else alert.at,",
        "opened_at=alert.at,",
        first=39,
    ),
    Mutant(
        "a silence outlives its early end",
        "config/silences.py",
        "self._read_once, self._next_read = True, now + READ_EVERY",
        "self._read_once, self._next_read = True, now + 60 * READ_EVERY",
        first=337,
    ),
    # what lasts
    Mutant(
        "an incident lapses although a condition continues",
        "incident/recovery.py",
        "    if state.conditions:\n        return state._replace(lapse_at=None)\n",
        "",
        first=21,
    ),
    Mutant(
        "a condition that outlasts a silence lapses",
        "incident/lifecycle.py",
        "    state = _add_to_incident(state._replace(muted=None), muted.alert, None)\n",
        "    state = _add_to_incident(state._replace(muted=None), muted.alert, None)._replace(lapse_at=now + HOUR)\n",
        first=239,
    ),
    Mutant(
        "a steady state ends a dead container",
        "ecs/conditions.py",
        "ends=(Ended(TOO_FEW_TASKS, EndedBy.STEADY_STATE),)",
        'ends=(Ended("container/", EndedBy.STEADY_STATE),)',
        first=5,
    ),
    Mutant(
        "missing data end an alarm",
        "ecs/conditions.py",
        "return Effects(uncertain=(ALARM,))",
        "return _end(ALARM, EndedBy.ALARM_OK)",
        first=461,
    ),
    Mutant(
        "the answer to one approval ends all of them",
        "ecs/conditions.py",
        "return Effects(ends=(Ended(key, by),), ends_occurrences=False) if by else _NOTHING",
        "return Effects(ends=(Ended(HOOK, by),), ends_occurrences=False) if by else _NOTHING",
        first=282,
    ),
    Mutant(
        "an end between two reports of a condition ends the newer one",
        "incident/recovery.py",
        "reported_at=known.reported_at if known and late else alert.at,",
        "reported_at=min(known.reported_at, alert.at) if known else alert.at,",
        first=232,
    ),
    Mutant(  # at a limit that a large service reaches: every task has a dead container
        "conditions beyond the limit are forgotten",
        "incident/recovery.py",
        "len(conditions) >= CONDITIONS_REMEMBERED:\n        key = OTHERS\n",
        "len(conditions) >= 50:\n        return\n",
        first=39,
    ),
    Mutant(
        "a rollback is recognised only if its report comes before its end",
        "incident/recovery.py",
        "    if not alert.deployment:\n        return state._replace(deployment_resolved_at=",
        "    if alert.deployment not in state.rollbacks:\n        return state._replace(deployment_resolved_at=",
        first=2003,
    ),
    Mutant(
        "a failed deployment is forgotten once its incident has recovered",
        "incident/lifecycle.py",
        "if recovered and key == FAILED_DEPLOYMENT}",
        "if False}",
        first=2003,
    ),
    Mutant(
        "the stop of a task whose end was announced ends nothing",
        "incident/lifecycle.py",
        "remember(state, _reassessed(apply_ends(state, alert, now), alert, now, timing), alert)",
        "remember(state, _reassessed(state, alert, now, timing), alert)",
        first=3,
    ),
    Mutant(
        "what AWS says has ended is kept",
        "incident/recovery.py",
        "        if findings.get(key) is None\n",
        "",
        first=275,
    ),
    Mutant(
        "nobody is reminded",
        "incident/state.py",
        "        return max(self.sent_at, self.reminded_at or self.sent_at) + self.remind\n",
        "        return None\n",
        first=21,
    ),
    Mutant(
        "a reminder that fails is due again at once",
        "incident/lifecycle.py",
        "name: request_send(entry, now)._replace(reminded_at=now)",
        "name: request_send(entry, now)",
        first=3_212,
    ),
    Mutant(
        "the end of a silence opens nothing",
        "incident/suppression.py",
        "    if not conditions:\n        return state\n",
        "    if True:\n        return state\n",
        first=668,
    ),
    Mutant(  # the newer of two silenced conditions ends within its silence, and the older does not: rarer still
        "only the newest silenced alert can open an incident",
        "incident/suppression.py",
        "conditions = tuple(dict.fromkeys((*earlier, *conditions)))",
        "conditions = tuple(conditions)",
        test="tests/unit/incident/test_recovery.py",
    ),
    # what comes back
    Mutant(
        "a return waits for half an hour",
        "incident/outbox.py",
        "due_at=entry.due_at if scheduled else now)",
        "due_at=entry.due_at if scheduled else now + 1800.0 * (entry.last_kind_sent is Kind.RESOLVED))",
    ),
    Mutant(
        "a subject that flaps has no quiet time",
        "incident/recovery.py",
        "    if not incident.reopened:\n        return timing.resolve_after\n",
        "    if True:\n        return timing.resolve_after\n",
        first=2,
    ),
    Mutant(
        "an end that nobody has begun to send becomes an update",
        "incident/outbox.py",
        "    untried = entry.is_behind and",
        "    untried = False and entry.is_behind and",
        first=18,
    ),
    Mutant(
        "a channel that missed a return hears plainly that it is over, twice",
        "incident/outbox.py",
        "is_first=not entry.knows_incident,",
        "is_first=entry.last_kind_sent is None,",
        first=1_280,
    ),
    Mutant(
        "an approval that comes while a message is sent waits like a digest",
        "incident/outbox.py",
        "immediate=entry.immediate and entry.wanted_revision > dispatch.revision,",
        "immediate=False,",
        first=1_291,
    ),
    Mutant(
        "a page that did not get through is neither sent nor failed",
        "incident/outbox.py",
        "        if tried and before.is_behind and not entry.is_behind:\n",
        "        if False:\n",
        first=11,
    ),
    # leases, doubts and counts
    Mutant(
        "a lease ends before its invocation",
        "claim.py",
        "return InvocationLease(owner, ends + LEASE_MARGIN,",
        "return InvocationLease(owner, now + LEASE_MARGIN,",
        first=5,
    ),
    Mutant(
        "a process that died while it was sending leaves no doubt",
        "incident/outbox.py",
        "in_doubt=entry.in_doubt or bool(entry.lease_owner),",
        "in_doubt=entry.in_doubt,",
        first=1_054,
    ),
    Mutant(
        "a later answer forgets that an earlier one never came",
        "incident/outbox.py",
        "        in_doubt=entry.in_doubt or delivery.unanswered,\n        outcome=",
        "        in_doubt=delivery.unanswered,\n        outcome=",
        first=130,
    ),
    Mutant(  # an alert within the second of a send, of which no later one is sent: one seed in thousands
        "what comes while a message is sent is not counted",
        "incident/outbox.py",
        "suppressed={cause: count for cause, count in untold.items() if count > 0},\n        only_self_reports",
        "suppressed={},\n        only_self_reports",
        test="tests/unit/incident/test_outbox.py",
    ),
    Mutant(
        "what lapsed comes back as the same incident",
        "incident/lifecycle.py",
        "resolved_at = incident.ended_at if incident.status is IncidentStatus.RESOLVED else None",
        "resolved_at = incident.ended_at",
        first=11,
    ),
    Mutant(
        "what is due of an incident is dropped when the next one replaces it",
        "incident/lifecycle.py",
        "        version=0,\n        archived=True,\n",
        "        version=0,\n        outbox={},\n        archived=True,\n",
        first=592,
    ),
    Mutant(
        "the rate limits that others have charged meanwhile are ignored",
        "history/store.py",
        "puts.append(Put(channel_states_item(channel_states), channel_states.version))",
        "puts.append(Put(channel_states_item(channel_states)))",
        test="tests/unit/history/test_store.py",
    ),
    Mutant(  # a transaction of three channels is never that large
        "more deliveries than a transaction takes are recorded at once",
        "settle.py",
        "most = MAX_PUTS - 1",
        "most = MAX_PUTS + 1",
        test="tests/unit/test_settle.py",
    ),
    # what continues, and what ends it
    Mutant(
        "an incident resolves although a condition continues",
        "incident/recovery.py",
        "active = bool(state.conditions) or bool(continuing_causes(state))",
        "active = bool(continuing_causes(state))",
        first=16,
    ),
    Mutant(
        "the stop of another task ends a dead container",
        "ecs/conditions.py",
        'stopped = Ended(container_key(event.task, ""), EndedBy.TASK_STOPPED)',
        'stopped = Ended("container/", EndedBy.TASK_STOPPED)',
        first=180,
    ),
    Mutant(
        "the quiet time of a subject that flaps does not grow",
        "incident/recovery.py",
        "QUIET_TIMES = (HOUR, 4 * HOUR)",
        "QUIET_TIMES = (HOUR, HOUR)",
        first=15,
    ),
    # hanging, contention, and other versions
    Mutant(
        "a thread that was left behind sends when it thaws",
        "deliver.py",
        "    time_left(0.0)\n    return channel.send(payload)",
        "    return channel.send(payload)",
        first=16,
    ),
    Mutant(
        "a batch that gets no answer from DynamoDB is tried subject by subject",
        "history/store.py",
        "return isinstance(result, HistoryUnavailable) and result.answered",
        "return isinstance(result, HistoryUnavailable)",
        test="tests/unit/history/test_store.py",
    ),
    Mutant(
        "contention counts as an outage",
        "inbox.py",
        "last = [key for key, result in results.items() if result.error and key in final - contended]",
        "last = [key for key, result in results.items() if result.error and key in final]",
        first=50,
    ),
    Mutant(
        "a contended record waits for the visibility timeout",
        "inbox.py",
        "        deps.queues.give_back(record, delay)\n",
        "",
        first=490,
    ),
    Mutant(
        "an item of a newer version is read all the same",
        "history/items.py",
        "    refuse_newer(item)\n    outer, outer_unknown",
        "    outer, outer_unknown",
        first=11,
    ),
    Mutant(
        "what a newer version stored in an item is dropped",
        "history/items.py",
        '        **unknown["item"],\n        "pk": pk,',
        '        "pk": pk,',
        first=11,
    ),
    Mutant(
        "a value that only a newer version knows is replaced by the default",
        "history/codec.py",
        "return unknown if unknown is not None and value == self.default else str(value)",
        "return str(value)",
        first=30,
    ),
    Mutant(
        "a damaged item is overwritten, and not set aside",
        "history/store.py",
        "puts = [Put(damaged_item(item, str(error), ttl, now)), Put(replacement,",
        "puts = [Put(replacement,",
        first=22,
    ),
    # an operator redrives
    Mutant(
        "what was announced without history is announced again when it is redriven",
        "outage.py",
        "record_outage_sends(state, announced, before, attempt.now) if counts else (state, ())",
        "(state, ())",
        first=69,
    ),
    Mutant(
        "the alert that was opened without history stays open",
        "incident/outbox.py",
        "    if over and entry.outage_alert:",
        "    if False:",
        first=2,
    ),
    Mutant(
        "the alert that was opened without history stays open if history knew the event",
        "outage.py",
        "            known = request_outage_end(known, announced, attempt.now)\n",
        "",
        first=2,
    ),
    # polls
    Mutant(
        "a service that is below its count for a moment is reported",
        "poll/services.py",
        "BELOW_FOR = 300.0",
        "BELOW_FOR = 0.0",
        first=1,
    ),
    Mutant(
        "a service that runs enough tasks again is forgotten",
        "poll/services.py",
        "            if before and before.reported:\n",
        "            if False:\n",
        first=19,
    ),
    Mutant(
        "a service that falls short again is never reported",
        "poll/services.py",
        "        if service.state in {ENOUGH, GONE}:\n            shortfalls.pop(service.arn, None)\n",
        "        if False:\n            shortfalls.pop(service.arn, None)\n",
        first=77,
    ),
    Mutant(
        "a run that does not come is never reported",
        "poll/runs.py",
        "missing, due = Overdue(NOT_STARTED, due), due + schedule.period",
        "missing, due = None, due + schedule.period",
        first=129,
    ),
    Mutant(
        "the next completed run does not end what is overdue",
        "ecs/conditions.py",
        "overdue = (missing, unfinished) if completed else ()",
        "overdue = ()",
        first=3,
    ),
    Mutant(
        "polls come before what is due",
        "tick.py",
        "    due = deps.runtime.history.due(deps.runtime.clock())\n",
        "    _poll(deps, deadline)\n    due = deps.runtime.history.due(deps.runtime.clock())\n",
        test="tests/unit/test_polling.py",
    ),
)


def caught(mutant: Mutant) -> str:
    """The line about the seed or test that catches the mutant; "" if it survives."""
    with tempfile.TemporaryDirectory() as directory:
        for part in ("router", "tests"):
            shutil.copytree(ROOT / part, Path(directory, part))  # with what Python has compiled, which saves seconds
        shutil.copy(ROOT / "pyproject.toml", directory)
        path = Path(directory, "router", mutant.file)
        code = path.read_text("utf-8")
        if code.count(mutant.text) != 1:
            raise ValueError(f"{mutant.name}: its text is not in {mutant.file} (any more), or more than once")
        path.write_text(code.replace(mutant.text, mutant.bug), "utf-8")
        return _tested(mutant, directory) if mutant.test else _simulated(mutant, directory)


def _tested(mutant: Mutant, directory: str) -> str:
    done = _run(directory, "pytest", "-q", "-n", "0", "-x", "-p", "no:cacheprovider", mutant.test)
    lines = [line for line in done.stdout.splitlines() if line.startswith("FAILED")]
    return lines[0].removeprefix("FAILED ") if lines else ""


def _simulated(mutant: Mutant, directory: str) -> str:
    done = _run(directory, "tests.simulation.soak", "--runs", str(_RUNS), "--seed", str(mutant.first))
    lines = (done.stdout or done.stderr).splitlines()
    if done.returncode == 0 or not done.stdout:
        return "" if done.stdout else lines[-1]
    return f"{lines[0].partition(':')[0]}: {lines[1].strip()[:_WIDTH]}"


def _run(directory: str, module: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
    environ = {**os.environ, "PYTHONPATH": directory}
    return subprocess.run(
        [sys.executable, "-m", module, *arguments],
        cwd=directory,
        env=environ,
        capture_output=True,
        text=True,
        check=False,
    )


def main() -> int:
    chosen = [mutant for mutant in MUTANTS if all(word in mutant.name for word in sys.argv[1:])]
    survivors = 0
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for mutant, line in zip(chosen, pool.map(caught, chosen), strict=True):
            print(f"{mutant.name}\n    {line or 'SURVIVES'}", flush=True)
            survivors += not line
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main())
