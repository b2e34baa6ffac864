"""What a seed shows: a run judged by the promises, and a second one without a channel's faults to compare with."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from router.model import Subject, SubjectKind
from tests.simulation.plan import plan
from tests.simulation.promises import broken
from tests.simulation.simulation import START, Endless, Simulation

_AGAIN = "python -m tests.simulation.soak"
_SHOWN = 400  # lines of a trace; the last ones tell most


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is broken under a seed; nothing where every promise was kept."""

    run: Simulation
    broken: Sequence[str]

    def __str__(self) -> str:
        seed = self.run.plan.seed
        lines = trace(self.run)
        left_out = [f"… {len(lines) - _SHOWN} lines before"] if len(lines) > _SHOWN else []
        return "\n".join(
            (
                f"seed {seed}: {len(self.broken)} broken. Again: {_AGAIN} --seed {seed} --runs 1",
                *(f"  {each}" for each in self.broken),
                f"{self.run.plan}",
                *left_out,
                *lines[-_SHOWN:],
            )
        )


def judge(seed: int) -> Verdict:
    """Runs a seed, twice if it has the faults of one channel alone."""
    run = Simulation(seed)
    try:
        run.run()
    except Endless as error:
        return Verdict(run, [f"everything_drains: {error}"])
    except Exception as error:
        error.add_note(f"seed {seed}")
        raise
    found = broken(run)
    if run.plan.steady and run.plan.moods:
        found += _visible_elsewhere(run)
    return Verdict(run, found)


def _visible_elsewhere(run: Simulation) -> list[str]:
    """A channel's faults change nothing of what the other channels hear, nor in what order."""
    calm = Simulation(replace(plan(run.plan.seed), moods={})).run()
    return [
        f"a_failed_channel_costs_only_itself: {name} hears something else when {', '.join(run.plan.moods)} fails"
        for name in run.remotes
        if name not in run.plan.moods and not _same(heard(run, name), heard(calm, name))
    ]


def heard(run: Simulation, channel: str) -> dict[str, list[tuple[str, int]]]:
    """What a channel heard of each incident, with its counts; but not that another channel fails, which is news."""
    news = {Subject("-", "-", "-", SubjectKind.CHANNEL, name).key for name in run.remotes}
    said: dict[str, list[tuple[str, int]]] = {}
    for each in run.remotes[channel].tries:
        if each.accepted and each.incident.rpartition("-")[0] not in news:
            said.setdefault(each.incident, []).append((each.kind, each.count))
    return said


def _same(these: dict[str, list[tuple[str, int]]], those: dict[str, list[tuple[str, int]]]) -> bool:
    """Whether both come to the same: a digest that falls due with the end may be said before it, or be part of it."""
    return these.keys() == those.keys() and all(
        _gist(these[incident]) == _gist(those[incident]) and abs(len(these[incident]) - len(those[incident])) <= 1
        for incident in these
    )


def _gist(said: list[tuple[str, int]]) -> tuple[list[str], int]:
    return [kind for kind, _ in said if kind != "updated"], said[-1][1]


def trace(run: Simulation) -> list[str]:
    """What happened, a line each: seconds since the start, who, what."""
    return [f"{at - START:12.3f} {who:28} {' '.join(map(str, what))}" for at, who, what in run.log.lines]
