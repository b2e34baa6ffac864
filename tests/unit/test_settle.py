"""Settle: what many channels answer at once is recorded, however many they are."""

from collections.abc import Iterator, Sequence

import pytest

from router.context import Answered, Job
from router.deadline import Deadline
from router.errors import PermanentError, TransientError
from router.model import Kind
from tests.doubles.service_events import crash, steady
from tests.doubles.world import HOUR, MINUTE, START, Recorder, World, serially


class ManyHooks(World):
    """Webhooks behind a proxy that refuses them all, and an e-mail channel."""

    count = 120

    def make_channels(self) -> dict[str, Recorder]:
        hooks = {f"hook{number}": Recorder(f"hook{number}") for number in range(self.count)}
        for hook in hooks.values():
            hook.failure = lambda: PermanentError("refused", status=403)
        return {**hooks, "email": Recorder("email")}


def all_at_once(jobs: Sequence[Job], deadline: Deadline) -> Iterator[list[Answered]]:
    """As from threads, all of which answer within a second."""
    yield [answered for batch in serially(jobs, deadline) for answered in batch]


@pytest.mark.parametrize("count", [97, 98, 99, 120, 250])
def test_more_deliveries_than_one_transaction_takes_are_all_recorded_and_none_is_repeated(
    count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They once exceeded DynamoDB's limit of 100 items, were not recorded, and were sent again every two minutes."""
    monkeypatch.setattr(ManyHooks, "count", count)
    world = ManyHooks()
    world.router = world.router._replace(deliver=all_at_once)
    world.receive(crash("t1", START))
    world.wait(HOUR)
    assert world.email.kinds == [Kind.OPENED]
    assert {name: len(world.ledger(name)) for name in world.channels} == dict.fromkeys(world.channels, 1)
    assert {hook.tried for name, hook in world.channels.items() if name != "email"} == {1}


def test_an_end_that_is_being_sent_when_the_next_incident_opens_is_recorded_with_its_own_incident() -> None:
    """Its retries outlast the four hours in which an alert would have opened the incident again."""
    world = World()
    world.receive(crash("t1", START))
    world.slack.failure = lambda: TransientError("500", status=500)
    world.receive(steady(START + MINUTE))
    world.wait(6 * HOUR, step=5 * MINUTE)

    def accept_while_it_fails_again() -> None:
        world.slack.failure = lambda: None
        world.receive(crash("t2", world.now))

    world.slack.failure = accept_while_it_fails_again
    world.wait(HOUR)
    assert world.slack.kinds == [Kind.OPENED, Kind.OPENED, Kind.RESOLVED]  # the end arrives last, and once
    sent = [delivery["incident"][-1] for delivery in world.ledger("slack") if delivery["outcome"] == "sent"]
    assert sorted(sent) == ["1", "1", "2"]
