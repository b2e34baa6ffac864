"""Shows that the simulation finds bugs: each mutant puts one bug into a copy of the router, and a seed catches it.

`python -m tests.simulation.mutants [WORD]` prints the seed that catches each mutant whose name contains WORD, and the
promise that it breaks. It exits with 1 if a mutant survives, and stops if the text to be mutated no longer exists.
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
_RUNS = 1_000  # seeds until a mutant is taken to survive; not seconds, which are few on a busy machine


class Mutant(NamedTuple):
    """A bug: in `file`, `text` becomes `bug`.

    `first`: a seed that caught it, where the search begins. A change of the router may move it: enter the new one then.
    """

    name: str
    file: str
    text: str
    bug: str
    first: int = 0


MUTANTS = (
    Mutant(
        "rows are written without a condition",
        "history/store.py",
        "Put(row_item(row, self._ttl(row.alert.severity, now), now), row.version)",
        "Put(row_item(row, self._ttl(row.alert.severity, now), now))",
    ),
    Mutant(
        "the state is written without a condition",
        "history/store.py",
        "Put(state_item(state, self._longest_ttl(now), now), state.version)",
        "Put(state_item(state, self._longest_ttl(now), now))",
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
    ),
    Mutant(
        "a failed send is swallowed",
        "deliver.py",
        "        return _retry(job, _error_text(error, channel), error.retry_after, unanswered=unanswered)",
        "        return Delivery(job.dispatch, Outcome.SENT, str(error))",
    ),
    Mutant(
        "outbox entries are not leased",
        "incident/outbox.py",
        "if entry.due_at is not None and entry.due_at <= now and not entry.is_leased(now)",
        "if entry.is_behind or (entry.due_at is not None and entry.due_at <= now)",
    ),
    Mutant(
        "news that arrives during a lease is suppressed",
        "incident/state.py",
        "return bool(self.lease_owner) and self.lease_ends_at > now",
        "return False",
        first=853,
    ),
    Mutant(
        "the window restarts with each alert",
        "incident/lifecycle.py",
        "            entry = entry._replace(due_at=entry.window_ends_at)\n",
        "            window_ends_at = now + entry.dedup_window\n"
        "            entry = entry._replace(window_ends_at=window_ends_at, due_at=window_ends_at)\n",
    ),
    Mutant(
        "a failed send opens a window",
        "incident/outbox.py",
        "            entry = _failed(entry)\n",
        "            entry = _sent(entry, delivery.dispatch, now)._replace(outcome=Outcome.FAILED)\n",
        first=15,
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
    ),
    Mutant(
        "a leased entry is never due again after a crash",
        "incident/outbox.py",
        "due_at=terms.until,",
        "due_at=None,",
    ),
    Mutant(
        "a stateful channel that was never triggered is resolved",
        "incident/outbox.py",
        "owed = entry.in_doubt or bool(entry.lease_owner) if entry.stateful else entry.is_behind",
        "owed = entry.is_behind",
        first=30,
    ),
    Mutant(
        "a stateful channel that may have been triggered is never resolved",
        "incident/outbox.py",
        "owed = entry.in_doubt or bool(entry.lease_owner) if entry.stateful else entry.is_behind",
        "owed = not entry.stateful and entry.is_behind",
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
    ),
    Mutant(
        "the tick does not query what is due",
        "tick.py",
        "due = deps.runtime.history.due(deps.runtime.clock())",
        "due = deps.runtime.history.due(0.0)",
    ),
    Mutant(
        "a delivery is recorded in the incident that replaced its own",
        "settle.py",
        "newest.incident.number == number",
        "newest.incident.number",
        first=1_095,
    ),
    Mutant(
        "nothing is done on the last receive",
        "inbox.py",
        "if _receives(received[key]) >= max_receives}",
        "if _receives(received[key]) > max_receives}",
    ),
    Mutant(
        "a failure of the dead-letter queue is swallowed",
        "inbox.py",
        '        log.exception("the dead-letter queue did not take it: %s", reason)\n        return [message_id]',
        '        log.exception("the dead-letter queue did not take it: %s", reason)\n        return []',
    ),
    Mutant(
        "one subject's failure fails the whole batch",
        "history/store.py",
        "if len(left) > 1 and _failed_together(result)]",
        "if False]",
        first=5_500,
    ),
    Mutant(
        "a granted send is not charged to its rate limit",
        "claim.py",
        "return allocation.channel_states if changed else None",
        "return None",
    ),
    Mutant(
        "a rate limit grants one send too many",
        "channels/rate_limit.py",
        "left = limit.rate_limit.limit - len(sent_at)",
        "left = limit.rate_limit.limit - len(sent_at) + 1",
    ),
    Mutant(
        "an entry that waits for a bundle is never checked again",
        "incident/outbox.py",
        "due_at=terms.retry_at[name], throttled=True",
        "due_at=None, throttled=True",
    ),
    Mutant(
        "a bundle is recorded only for the worst of its incidents",
        "settle.py",
        "            for state, dispatch in job.members:\n                deliveries",
        "            for state, dispatch in job.members[:1]:\n                deliveries",
    ),
    Mutant(
        "a lapse waits for a channel that fails",
        "incident/lifecycle.py",
        "if any(entry.due_at is not None and not entry.attempt for",
        "if any(entry.due_at is not None for",
    ),
    Mutant(
        "an open incident is notified during a silence",
        "claim.py",
        "return postpone(state, now, silence.recheck_at(now)) if silence else state",
        "return state",
    ),
    Mutant(
        "alerts that a silence suppressed are forgotten",
        "incident/lifecycle.py",
        "opened_at=min(alert.at, silenced.since) if silenced else alert.at,",
        "opened_at=alert.at,",
    ),
    Mutant(
        "a silence outlives its early end",
        "config/silences.py",
        "self._read_once, self._next_read = True, now + READ_EVERY",
        "self._read_once, self._next_read = True, now + 60 * READ_EVERY",
    ),
    # what lasts
    Mutant(
        "an incident lapses although a condition continues",
        "incident/recovery.py",
        "return state if lapses or state.lapse_at is None else state._replace(lapse_at=None)",
        "return state",
    ),
    Mutant(
        "a condition that outlasts a silence lapses",
        "incident/lifecycle.py",
        "    state = state._replace(lapse_at=None)  # a condition continues, or nothing would be muted\n",
        "",
        first=1006,
    ),
    Mutant(
        "a steady state ends a dead container",
        "ecs/conditions.py",
        "ends=(Ended(TOO_FEW_TASKS, EndedBy.STEADY_STATE),)",
        "ends=(Ended(CONTAINER, EndedBy.STEADY_STATE),)",
        first=5,
    ),
    Mutant(
        "missing data end an alarm",
        "ecs/conditions.py",
        "return Effects(uncertain=(ALARM,))",
        "return _end(ALARM, EndedBy.ALARM_OK)",
    ),
    Mutant(
        "the answer to one approval ends all of them",
        "ecs/conditions.py",
        "return Effects(ends=(Ended(key, by),), ends_occurrences=False) if by else _NOTHING",
        "return Effects(ends=(Ended(HOOK, by),), ends_occurrences=False) if by else _NOTHING",
    ),
    Mutant(
        "an end between two reports of a condition ends the newer one",
        "incident/recovery.py",
        "reported_at=known.reported_at if known and late else alert.at,",
        "reported_at=min(known.reported_at, alert.at) if known else alert.at,",
        first=10,
    ),
    Mutant(  # few subjects have more than 200 conditions, so the limit is lower here
        "conditions beyond the limit are forgotten",
        "incident/recovery.py",
        "len(conditions) >= CONDITIONS_REMEMBERED:\n        key = OTHERS\n",
        "len(conditions) >= 1:\n        return\n",
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
        "    after = apply_ends(state, alert, now)\n    if after == state",
        "    after = state\n    if after == state",
    ),
    Mutant(
        "what AWS says has ended is kept",
        "incident/recovery.py",
        "        if findings.get(key) is None\n",
        "",
        first=16,
    ),
    Mutant(
        "nobody is reminded",
        "incident/state.py",
        "        return max(self.sent_at, self.reminded_at or 0.0) + self.remind\n",
        "        return None\n",
        first=12,
    ),
    Mutant(
        "a reminder that fails is due again at once",
        "incident/lifecycle.py",
        "name: request_send(entry, now)._replace(reminded_at=now)",
        "name: request_send(entry, now)",
        first=20,
    ),
    Mutant(
        "the end of a silence opens nothing",
        "incident/suppression.py",
        "    if not conditions:\n        return state\n",
        "    if True:\n        return state\n",
    ),
    Mutant(
        "only the newest silenced alert can open an incident",
        "incident/suppression.py",
        "conditions = tuple(dict.fromkeys((*earlier, *conditions)))",
        "conditions = tuple(conditions)",
    ),
    # what comes back
    Mutant(
        "a return waits for half an hour",
        "incident/outbox.py",
        "due_at=entry.due_at if scheduled else now)",
        "due_at=entry.due_at if scheduled else now + 1800.0 * (entry.last_kind_sent is Kind.RESOLVED))",
        first=11,
    ),
    Mutant(
        "a subject that flaps has no quiet time",
        "incident/recovery.py",
        "    if not incident.reopened:\n        return timing.resolve_after\n",
        "    if True:\n        return timing.resolve_after\n",
        first=1,
    ),
    Mutant(
        "an end that nobody has begun to send becomes an update",
        "incident/outbox.py",
        "    untried = entry.is_behind and",
        "    untried = False and entry.is_behind and",
        first=2,
    ),
    Mutant(
        "a channel that missed a return hears plainly that it is over, twice",
        "incident/outbox.py",
        "is_first=not entry.knows_incident,",
        "is_first=entry.last_kind_sent is None,",
    ),
    Mutant(
        "an approval that comes while a message is sent waits like a digest",
        "incident/outbox.py",
        "immediate=entry.immediate and entry.wanted_revision > dispatch.revision,",
        "immediate=False,",
        first=1046,
    ),
    Mutant(
        "a page that did not get through is neither sent nor failed",
        "incident/outbox.py",
        "        if tried and before.is_behind and not entry.is_behind:\n",
        "        if False:\n",
        first=11,
    ),
)


def caught(mutant: Mutant) -> str:
    """The line about the seed that catches the mutant; "" if it survives."""
    with tempfile.TemporaryDirectory() as directory:
        for part in ("router", "tests"):
            shutil.copytree(ROOT / part, Path(directory, part), ignore=shutil.ignore_patterns("__pycache__"))
        path = Path(directory, "router", mutant.file)
        code = path.read_text("utf-8")
        if code.count(mutant.text) != 1:
            raise ValueError(f"{mutant.name}: its text is not in {mutant.file} (any more), or more than once")
        path.write_text(code.replace(mutant.text, mutant.bug), "utf-8")
        soak = [sys.executable, "-m", "tests.simulation.soak", "--runs", str(_RUNS), "--seed", str(mutant.first)]
        done = subprocess.run(
            soak,
            cwd=directory,
            env={**os.environ, "PYTHONPATH": directory},
            capture_output=True,
            text=True,
            check=False,
        )
    lines = (done.stdout or done.stderr).splitlines()
    if done.returncode == 0 or not done.stdout:
        return "" if done.stdout else lines[-1]
    return f"{lines[0].partition(':')[0]}: {lines[1].strip()}"


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
