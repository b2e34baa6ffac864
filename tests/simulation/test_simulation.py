"""Keeps the promises under thousands of faults, and checks the simulation itself: the same seed gives the same run."""

import functools
import hashlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from router.model import Decision
from tests.simulation.mutants import MUTANTS, Mutant
from tests.simulation.plan import MOODS, RARE_MOODS, WORLDS, plan
from tests.simulation.promises import Outcome
from tests.simulation.scheduler import Crashed, Process, QueueDouble, Scheduler, ThreadingDouble
from tests.simulation.simulation import Simulation
from tests.simulation.verdict import judge, trace

SEEDS = int(os.environ.get("SIMULATION_SEEDS", "20"))  # each has about eight subjects; `make check` runs 40
_CHUNKS = range(0, 500, 25)
ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_the_text_that_each_mutant_replaces_still_exists(mutant: Mutant) -> None:
    """Otherwise `make mutants` stops. Running it takes minutes; do so after a change to the claim, for example."""
    assert (ROOT / "router" / mutant.file).read_text("utf-8").count(mutant.text) == 1


@pytest.mark.parametrize("first", _CHUNKS)
def test_every_promise_is_kept(first: int) -> None:
    for seed in range(first, first + SEEDS // len(_CHUNKS)):
        verdict = judge(seed)
        assert not verdict.broken, str(verdict)


# --- the same seed gives the same run ---------------------------------------------------------------------------------

_EVENTFUL = (16, 17, 69, 22, 4)
_TOGETHER = (16, 17, 69, 89, 67, 22, 4, 66, 7, 79, 87, 13, 3, 11, 51)
"""Short runs in which nearly everything occurs; it need not be all, as a changed plan changes what a seed is."""


def _fingerprint(seed: int) -> str:
    return hashlib.sha256("\n".join(trace(Simulation(seed).run())).encode()).hexdigest()


@functools.cache
def _first_fingerprint(seed: int) -> str:
    return _fingerprint(seed)


@pytest.mark.xdist_group("replays")  # in one process, which runs each seed once for all of them
@pytest.mark.parametrize(
    "seed", [_EVENTFUL[0], *(pytest.param(seed, marks=pytest.mark.check) for seed in _EVENTFUL[1:])]
)
def test_a_seed_replays_exactly(seed: int) -> None:
    assert _first_fingerprint(seed) == _fingerprint(seed)


@pytest.mark.xdist_group("replays")
@pytest.mark.parametrize(
    ("hash_seed", "seeds"),
    [
        ("0", _EVENTFUL[:1]),
        pytest.param("0", _EVENTFUL[1:], marks=pytest.mark.check),
        pytest.param("4711", _EVENTFUL, marks=pytest.mark.check),
    ],
)
def test_a_seed_replays_exactly_in_another_process(hash_seed: str, seeds: tuple[int, ...]) -> None:
    """Also if sets and dicts of strings have a different order."""
    code = f"from tests.simulation.test_simulation import _fingerprint\nprint(*map(_fingerprint, {seeds}), sep='\\n')"
    environ = {**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(ROOT)}
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=environ, capture_output=True, text=True, check=True
    )
    assert run.stdout.split() == [_first_fingerprint(seed) for seed in seeds]


# --- the runs contain what the promises are about ---------------------------------------------------------------------


_WANTED = (
    {*Decision} - {Decision.NO_ROUTE, Decision.UNREADABLE}
    | {"opened", "updated", "resolved", "lapsed", "reopened", "another incident", "channel_failing"}
    | {*MOODS, *RARE_MOODS.values(), "fine"}
    | {"CRASH", "TIME-OUT", "<answer lost>", "<hangs>", "history unavailable", "by SQS"}
    # rare worlds
    | {*WORLDS}
    | {"more than 50 conditions"}
    | {"a thread thaws", "another writer is faster", "announced without history is learned of", "put back by redrive"}
    | {"due again by redrive", "read from a newer version", "left to a newer version", "set aside", "50 subjects"}
    | {"the due index has more than a page", "given back within seconds"}
    | {"too_few_tasks", "task_overdue", "retirement_scheduled", "enough_tasks", "run_completed"}
)


@pytest.mark.check  # about the simulation, not about the router
def test_every_decision_and_fault_occurs() -> None:
    """Each decision, fault, crash and timeout, and what the rare worlds are about."""
    wanted = set(_WANTED)
    for seed in (*_TOGETHER, *range(200)):
        wanted -= set(_occurrences(Outcome(Simulation(seed).run())))
        if not wanted:
            break
    assert not wanted


_NOTED = (
    "CRASH",
    "TIME-OUT",
    "<answer lost>",
    "<hangs>",
    "another writer is faster",
    "the due index has more than a page",
)


def _occurrences(outcome: Outcome) -> Iterator[str]:
    run = outcome.run
    tries = [attempt for remote in run.remotes.values() for attempt in remote.tries]
    incidents = [incident for _, incident, _ in outcome.incidents]
    noted = {what for _, _, words in run.log.lines for what in words}
    yield from (row.decision for row in outcome.recorded)
    yield from (row.alert.cause for row in outcome.recorded)
    yield from (attempt.mood for attempt in tries)
    yield from (attempt.kind for attempt in tries)
    yield from (word for word in _NOTED if any(word in str(what) for what in noted))
    yield from (buried.reason or "by SQS" for buried in run.buried)
    yield from (incident.status for incident in incidents)
    yield from (incident.ended_by for incident in incidents if incident.ended_by)
    yield from ("reopened" for incident in incidents if incident.reopened)
    yield from ("another incident" for incident in incidents if incident.number > 1)
    yield from ("channel_failing" for incident in incidents if "channel_failing" in incident.causes)
    yield from _rare_occurrences(outcome)


def _rare_occurrences(outcome: Outcome) -> Iterator[str]:
    run = outcome.run
    yield run.plan.world
    happened = {
        "more than 50 conditions": any(len(state.conditions) > 50 for _, state in outcome.stored_states),
        "a thread thaws": run.thawed,
        "announced without history is learned of": outcome.backfilled and run.backfills,
        "put back by redrive": run.redriven,
        "due again by redrive": any(write.by.name.startswith("redrive") for write in run.table.writes),
        "read from a newer version": any(state.unknown for _, state in outcome.stored_states),
        "left to a newer version": run.reserved,
        "set aside": run.set_aside,
        "50 subjects": len(outcome.rows_of) > 40,
        "given back within seconds": run.plan.contention and run.given_back,
    }
    yield from (what for what, did in happened.items() if did)


def test_plans_vary() -> None:
    plans = [plan(seed) for seed in range(200)]
    assert sum(faults.steady for faults in plans) > 10
    assert sum(faults.history_is_sound for faults in plans) > 50
    assert sum(bool(faults.outages) for faults in plans) > 10


# --- threads that take turns ------------------------------------------------------------------------------------------


def _scheduler() -> tuple[Scheduler, list[str]]:
    return Scheduler(0.0), []


def test_threads_run_in_the_order_of_virtual_time() -> None:
    scheduler, log = _scheduler()

    def work(name: str, pause: float) -> None:
        for _ in range(2):
            scheduler.sleep(pause)
            log.append(f"{name} at {scheduler.now:g}")

    scheduler.spawn("slow", Process("one"), lambda: work("slow", 3.0))
    scheduler.spawn("quick", Process("two"), lambda: work("quick", 2.0))
    scheduler.at(5.0, lambda: log.append("outside at 5"))
    scheduler.run()
    assert log == ["quick at 2", "slow at 3", "quick at 4", "outside at 5", "slow at 6"]


def test_a_killed_process_does_nothing_more() -> None:
    scheduler, log = _scheduler()
    process = Process("one")

    def work() -> None:
        try:
            scheduler.sleep(10.0)
            log.append("worked")
        except Crashed:
            log.append(f"killed at {scheduler.now:g}")
            raise

    scheduler.spawn("first", process, work)
    scheduler.spawn("second", process, work)
    scheduler.at(4.0, lambda: scheduler.kill(process))
    scheduler.run()
    assert log == ["killed at 4", "killed at 4"]


def test_a_frozen_thread_goes_on_when_it_is_thawed() -> None:
    scheduler, log = _scheduler()
    process = Process("one")

    def work() -> None:
        scheduler.sleep(3.0)
        log.append(f"thread at {scheduler.now:g}")

    scheduler.spawn("thread", process, work)
    scheduler.at(1.0, lambda: scheduler.freeze(process))
    scheduler.at(8.0, lambda: scheduler.thaw(process))
    scheduler.run()
    assert log == ["thread at 8"]


def test_a_thread_that_is_frozen_for_ever_ends_with_the_run() -> None:
    scheduler, log = _scheduler()
    process = Process("one")

    def work() -> None:
        try:
            scheduler.sleep(3.0)
        finally:
            log.append("ended")

    scheduler.spawn("thread", process, work)
    scheduler.at(1.0, lambda: scheduler.freeze(process))
    scheduler.run()
    assert log == ["ended"]


def test_a_thawed_thread_dies_with_the_process_that_thawed_it() -> None:
    scheduler, log = _scheduler()
    before, after = Process("before"), Process("after")
    after.left = [before]

    def work() -> None:
        scheduler.sleep(3.0)
        log.append("worked")

    scheduler.spawn("thread", before, work)
    scheduler.at(1.0, lambda: scheduler.kill(after))
    scheduler.run()
    assert not log


def test_a_reader_gets_what_arrives_before_its_timeout() -> None:
    scheduler, log = _scheduler()
    process, queues, threads = Process("one"), QueueDouble(scheduler), ThreadingDouble(scheduler)
    queue = queues.SimpleQueue()

    def write(item: str) -> None:
        scheduler.sleep(1.0)
        queue.put(item)

    def read() -> None:
        threads.Thread(target=write, args=("item",), name="writer", daemon=True).start()
        log.append(f"{queue.get(timeout=5.0)} at {scheduler.now:g}")
        with pytest.raises(queues.Empty):
            queue.get(timeout=5.0)
        log.append(f"nothing at {scheduler.now:g}")

    scheduler.spawn("reader", process, read)
    scheduler.run()
    assert log == ["item at 1", "nothing at 6"]


def test_an_error_in_a_thread_is_raised_by_the_run() -> None:
    scheduler, _ = _scheduler()

    def fail() -> None:
        scheduler.sleep(1.0)
        raise ValueError("seven")

    scheduler.spawn("bystander", Process("one"), lambda: scheduler.sleep(9.0))
    scheduler.spawn("culprit", Process("two"), fail)
    with pytest.raises(ValueError, match="seven"):
        scheduler.run()
