"""Judges a seed: its run by the promises, and by comparison with a second run without the channel's faults."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from router.model import Kind, Reason, Subject, SubjectKind
from tests.simulation.plan import plan
from tests.simulation.promises import PROMISES, Outcome
from tests.simulation.rare_promises import RARE_PROMISES
from tests.simulation.remotes import Try
from tests.simulation.simulation import START, Endless, Simulation

_AGAIN = "python -m tests.simulation.soak"
_RACE = 3.0  # seconds between the messages of one moment: a rate limit, and the invocation that waits for it
_SHOWN = 400  # the last lines of a trace, which matter most


@dataclass(frozen=True, slots=True)
class Verdict:
    """The promises that a seed breaks; empty if it keeps all of them."""

    run: Simulation
    broken: Sequence[str]

    def __str__(self) -> str:
        seed = self.run.plan.seed
        lines = trace(self.run)
        left_out = [f"… {len(lines) - _SHOWN} earlier lines"] if len(lines) > _SHOWN else []
        return "\n".join(
            (
                f"seed {seed}: {len(self.broken)} violations. To run it again: {_AGAIN} --seed {seed} --runs 1",
                *(f"  {violation}" for violation in self.broken),
                f"{self.run.plan}",
                *left_out,
                *lines[-_SHOWN:],
            )
        )


def judge(seed: int) -> Verdict:
    """Runs a seed, twice if it has only the faults of one channel."""
    run = Simulation(seed)
    try:
        run.run()
    except Endless as error:
        return Verdict(run, [f"everything_drains: {error}"])
    except Exception as error:
        error.add_note(f"seed {seed}")
        raise
    outcome = Outcome(run)
    violations = [
        f"{promise.__name__}: {violation}" for promise in (*PROMISES, *RARE_PROMISES) for violation in promise(outcome)
    ]
    if run.plan.steady and run.plan.moods:
        violations += _visible_elsewhere(run)
    if run.plan.steady and run.plan.polls:
        violations += _delayed_by_polls(outcome)
    return Verdict(run, violations)


def _visible_elsewhere(run: Simulation) -> list[str]:
    """A channel's faults change neither what the other channels receive, nor its order."""
    calm = Simulation(replace(plan(run.plan.seed), moods={})).run()
    return [
        f"a_failed_channel_affects_only_itself: {name} gets other messages when {', '.join(run.plan.moods)} fails"
        for name in run.remotes
        if name not in run.plan.moods and not _same(received(run, name), received(calm, name))
    ]


def _delayed_by_polls(outcome: Outcome) -> list[str]:
    """Polls change nothing about what events report, even if ECS hangs."""
    run = outcome.run
    without = Simulation(replace(run.plan, polls=False)).run()
    polled = {subject.key for subject in outcome.polled_subjects}
    found = []
    for name in run.remotes:
        if name in run.plan.moods:
            continue  # when it answers, and what it accepts without an answer, is random in each of the two runs
        these, those = (
            {
                incident: tries
                for incident, tries in received(simulation, name).items()
                if incident.rpartition("-")[0] not in polled
            }
            for simulation in (run, without)
        )
        if not _same(these, those) or _later(these, those):
            found.append(f"polls_delay_no_alert: {name} gets other messages, or later ones, because of polls")
    return found


def _later(these: dict[str, list[Try]], those: dict[str, list[Try]]) -> bool:
    """Whether the first message about an incident comes later."""
    return any(tries[0].at > those[incident][0].at + _RACE for incident, tries in these.items())


def received(run: Simulation, channel: str) -> dict[str, list[Try]]:
    """What a channel accepted about each incident, except those about failing channels."""
    channel_subjects = {Subject("-", "-", "-", SubjectKind.CHANNEL, name).key for name in run.remotes}
    messages: dict[str, list[Try]] = {}
    for attempt in run.remotes[channel].tries:
        if attempt.accepted and attempt.incident.rpartition("-")[0] not in channel_subjects:
            messages.setdefault(attempt.incident, []).append(attempt)
    return messages


def _same(these: dict[str, list[Try]], those: dict[str, list[Try]]) -> bool:
    """Whether both are equivalent: a digest that is due with the end may be sent before it or be part of it."""
    return these.keys() == those.keys() and all(alike(these[incident], those[incident]) for incident in these)


def alike(these: Sequence[Try], those: Sequence[Try]) -> bool:
    """Whether both tell the same, or one tells an end that an alert of the same moment has prevented in the other.

    A failing channel shifts the invocations of a subject by milliseconds, so either may come first.
    """
    pairs = [(these, those), (_without_races(these), those), (these, _without_races(those))]
    return any(_gist(one) == _gist(other) and abs(len(one) - len(other)) <= 1 for one, other in pairs)


def _without_races(messages: Sequence[Try]) -> Sequence[Try]:
    """The messages without the ends that were withdrawn at once, and without the returns that withdrew them."""
    raced = {
        id(message)
        for end, back in pairwise(messages)
        if end.kind is Kind.RESOLVED and back.dispatch.reason is Reason.RETURNED and back.at - end.at < _RACE
        for message in (end, back)
    }
    return [message for message in messages if id(message) not in raced]


def _gist(messages: Sequence[Try]) -> tuple[Sequence[Kind], Sequence[int]]:
    kinds = [message.kind for message in messages if message.kind is not Kind.UPDATED]
    return kinds, [message.count for message in messages[-1:]]


def trace(run: Simulation) -> list[str]:
    """What happened, one line each: seconds since the start, thread, and what."""
    return [f"{at - START:12.3f} {who:28} {' '.join(map(str, what))}" for at, who, what in run.log.lines]
