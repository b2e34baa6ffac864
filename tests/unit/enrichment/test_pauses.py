"""What is not requested for a minute: one scope at a time, and never more than fits into memory."""

from router.enrichment.pauses import PAUSE, Pauses


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_pause_ends_after_a_minute_and_affects_only_its_scope() -> None:
    clock = Clock()
    pauses = Pauses(clock)
    pauses.pause(("111122223333", "eu-west-1"))
    assert pauses.paused(("arn",), ("111122223333", "eu-west-1"))
    assert not pauses.paused(("arn",), ("111122223333", "us-east-1"))
    clock.now += PAUSE
    assert not pauses.paused(("111122223333", "eu-west-1"))


def test_after_a_flood_of_names_new_pauses_are_possible_when_the_old_ones_have_ended() -> None:
    clock = Clock()
    pauses = Pauses(clock)
    for number in range(5000):
        pauses.pause((f"arn-{number}",))
    assert pauses.paused(("arn-0",))
    assert sum(pauses.paused((f"arn-{number}",)) for number in range(5000)) == 1000
    clock.now += PAUSE
    pauses.pause(("another",))
    assert pauses.paused(("another",))
