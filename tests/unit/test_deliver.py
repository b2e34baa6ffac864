"""Deliver: channels side by side, each of which fails alone."""

import itertools
import logging
import threading
from collections.abc import Callable
from functools import partial
from typing import Any, NoReturn

import pytest

from local_aws import events
from router.channels.configured import ConfiguredChannel
from router.channels.plugins import Channel
from router.context import LONGEST_SEND, Job
from router.deadline import Deadline
from router.deliver import deliver
from router.errors import PayloadRejected, PermanentError, TransientError
from router.incident.state import Delivery, Dispatch, SubjectState
from router.model import ChannelConfig, Kind, Notification, Outcome, Severity
from tests.doubles.world import World

LONG_ENOUGH = 20.0  # seconds; a test that waits so long has failed


def announced() -> Notification:
    world = World()
    world.receive(events.task_stopped())
    return world.slack.told[0]


NOTIFICATION = announced()


class Sink:
    """Takes what it is sent, and does beforehand what the test wants."""

    def __init__(self, *before: Callable[[], object]) -> None:
        self.before = list(before)
        self.sent: list[dict[str, Any]] = []

    def render(self, notification: Notification) -> dict[str, Any]:
        return {"rich": notification.message.title}

    def send(self, payload: dict[str, Any]) -> None:
        if self.before:
            self.before.pop(0)()
        self.sent.append(payload)


class PlainSink(Sink):
    def render_plain(self, notification: Notification) -> dict[str, Any]:
        return {"plain": notification.message.title}


def raises(error: Exception) -> Callable[[], NoReturn]:
    def fail() -> NoReturn:
        raise error

    return fail


def job(channel: Channel | None, name: str = "chat", *, revision: int = 1, unusable: str = "", **options: Any) -> Job:
    dispatch = Dispatch(name, Kind.OPENED, revision, 1, is_first=True, severity=Severity.ERROR, suppressed={})
    config = ChannelConfig(name, "sink", options)
    source = ConfiguredChannel.of(config, channel) if channel else None
    return Job(SubjectState(NOTIFICATION.incident.subject), dispatch, config, lambda: NOTIFICATION, source, unusable)


def delivered(*jobs: Job) -> dict[str, Delivery]:
    """What came of each job, by channel."""
    done = [answer for batch in deliver(jobs, long_enough()) for answer in batch]
    assert sorted(id(job) for job, _ in done) == sorted(map(id, jobs))
    return {job.config.name: delivery for job, delivery in done}


def long_enough() -> Deadline:
    return Deadline.after(LONG_ENOUGH)


def hurried() -> Callable[[], float]:
    """A clock that is a second on whenever somebody looks at it."""
    return partial(next, itertools.count())


def outcome_of(channel: Channel | None, **settings: Any) -> Delivery:
    return delivered(job(channel, **settings))["chat"]


# --- side by side -----------------------------------------------------------------------------------------------------


def test_without_jobs_deliver_does_nothing() -> None:
    assert list(deliver([], long_enough())) == []


def test_channels_are_notified_in_parallel() -> None:
    """Each is sent to only when the other is being sent to as well."""
    together = threading.Barrier(2, timeout=LONG_ENOUGH)
    done = delivered(job(Sink(together.wait), "a"), job(Sink(together.wait), "b"))
    assert [answer.outcome for answer in done.values()] == [Outcome.SENT, Outcome.SENT]


def test_answers_that_come_within_a_second_are_known_together() -> None:
    """Each record costs as much as all in one. Here the clock stands still."""
    quick_answers = threading.Event()
    slow = job(Sink(lambda: quick_answers.wait(LONG_ENOUGH)), "slow")
    quick = job(Sink(quick_answers.set), "quick")
    (together,) = deliver([slow, quick], long_enough(), lambda: 0.0)
    assert {told.config.name for told, _ in together} == {"slow", "quick"}


def test_an_answer_waits_no_longer_than_a_second_for_those_of_slower_channels() -> None:
    answered = threading.Event()
    slow = job(Sink(lambda: answered.wait(LONG_ENOUGH)), "slow")
    quick = job(Sink(), "quick")
    batches = deliver([slow, quick], long_enough(), hurried())
    assert [told.config.name for told, _ in next(batches)] == ["quick"]
    answered.set()
    assert [told.config.name for told, _ in next(batches)] == ["slow"]
    assert list(batches) == []


def test_it_is_known_how_long_an_answer_waited_for_the_others() -> None:
    """A slow channel does not delay the budgets of the others (`router.channels.rate_limit.charge_at_completion`)."""
    now = 100.0

    def take_half_a_second() -> None:
        nonlocal now
        now += 0.5

    sink = Sink(lambda: None, take_half_a_second)
    jobs = [job(sink, revision=revision) for revision in (1, 2)]
    (together,) = deliver(jobs, long_enough(), lambda: now)
    assert [delivery.waited for _, delivery in together] == [0.5, 0.0]


def test_within_a_channel_the_order_is_kept() -> None:
    """Though the first takes longest: a resolve never overtakes its trigger."""
    started = threading.Event()
    sink = Sink(lambda: started.wait(LONG_ENOUGH))
    jobs = [job(sink, revision=revision) for revision in (1, 2, 3)]
    other = job(Sink(started.set), "other")
    done = [told for batch in deliver([*jobs, other], long_enough()) for told, _ in batch]
    assert [told.dispatch.revision for told in done if told is not other] == [1, 2, 3]


def test_a_channel_that_asks_to_wait_is_not_tried_again_in_this_invocation() -> None:
    """What comes before the time that it asked for is refused too, and counts against us."""
    sink = Sink(raises(TransientError("429", status=429, retry_after=7.0)))
    jobs = [job(sink, revision=answer) for answer in (1, 2)]
    done = [answer for batch in deliver(jobs, long_enough()) for answer in batch]
    assert [(delivery.outcome, delivery.retry_after) for _, delivery in done] == [(Outcome.RETRY, 7.0)] * 2
    assert done[1][1].response == "not tried: the channel asked to wait"
    assert sink.sent == []


def test_a_channel_that_hangs_past_the_deadline_is_left_behind_and_counts_as_a_retry() -> None:
    """The remote may have taken what was begun, but not what was not; the thread keeps no process alive, and should it
    come back, it sends nothing more.
    """
    begun, came_back = threading.Event(), threading.Event()

    def hang() -> None:
        begun.set()
        came_back.wait(LONG_ENOUGH)

    stuck = Sink(hang)
    hanging = [job(stuck, "stuck", revision=revision) for revision in (1, 2)]
    quick = job(Sink(lambda: begun.wait(LONG_ENOUGH)), "quick")
    now = 0.0
    batches = deliver([*hanging, quick], Deadline(LONG_ENOUGH, lambda: now), hurried())
    assert [(told, delivery.outcome) for told, delivery in next(batches)] == [(quick, Outcome.SENT)]
    now = LONG_ENOUGH
    last = next(batches)
    assert [(told, delivery.outcome) for told, delivery in last] == [(answer, Outcome.RETRY) for answer in hanging]
    assert [delivery.unanswered for _, delivery in last] == [True, False]
    assert list(batches) == []
    (thread,) = [thread for thread in threading.enumerate() if thread.name == "channel-stuck"]
    assert thread.daemon
    came_back.set()
    thread.join(LONG_ENOUGH)
    assert len(stuck.sent) == 1


@pytest.mark.parametrize("place", ["secret", "notify", "render"])
def test_a_thread_that_thaws_in_a_later_invocation_sends_nothing(place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lambda freezes what an invocation leaves behind. Wherever that is before the send, it may be hours until it goes
    on, and the incident may be over.
    """
    frozen, thawed = threading.Event(), threading.Event()

    def freeze(result: Any) -> Any:
        frozen.set()
        thawed.wait(LONG_ENOUGH)
        return result

    sink = Sink()
    left_behind = job(sink)
    assert left_behind.channel
    if place == "secret":
        made = left_behind.channel.open()
        monkeypatch.setattr(left_behind.channel, "open", lambda: freeze(made))
    elif place == "notify":
        left_behind = left_behind._replace(notify=lambda: freeze(NOTIFICATION))
    else:
        monkeypatch.setattr(sink, "render", lambda _: freeze({}))
    now = 0.0
    batches = deliver([left_behind], Deadline(0.1, lambda: now))
    ((_, delivery),) = next(batches)
    assert delivery.outcome is Outcome.RETRY
    (thread,) = [thread for thread in threading.enumerate() if thread.name == "channel-chat"]
    assert frozen.is_set()
    now = 3600.0
    thawed.set()
    thread.join(LONG_ENOUGH)
    assert sink.sent == []


@pytest.mark.parametrize(("left", "outcome"), [(LONGEST_SEND + 0.1, Outcome.SENT), (LONGEST_SEND - 0.1, Outcome.RETRY)])
def test_a_send_that_cannot_finish_in_time_is_not_started(left: float, outcome: Outcome) -> None:
    """So that the remote is known not to have it."""
    sink = Sink()
    begins = iter([0.0])  # with enough time; when the channel's turn comes, `left`
    deadline = Deadline(2 * LONGEST_SEND, lambda: next(begins, 2 * LONGEST_SEND - left))
    (((_, delivery),),) = deliver([job(sink)], deadline)
    assert (delivery.outcome, delivery.unanswered) == (outcome, False)
    assert len(sink.sent) == (outcome is Outcome.SENT)


def test_a_short_invocation_still_does_what_it_can() -> None:
    sink = Sink()
    (((_, delivery),),) = deliver([job(sink)], Deadline.after(LONGEST_SEND / 3))
    assert delivery.outcome is Outcome.SENT


@pytest.mark.parametrize("error", [None, PermanentError("gone")], ids=["taken", "failed"])
def test_it_is_known_how_long_a_channel_took(error: PermanentError | None) -> None:
    """In seconds, by the clock that is passed in; also where the channel failed."""
    now = 100.0

    def take_long() -> None:
        nonlocal now
        now += 2.5
        if error:
            raise error

    (((_, delivery),),) = deliver([job(Sink(take_long))], long_enough(), lambda: now)
    assert delivery.seconds == 2.5


def test_an_unsent_message_has_no_duration() -> None:
    """Rather than no seconds, which would make a channel look quick."""
    assert outcome_of(None, unusable="webhook_url must begin with https://").seconds is None
    (((_, late),),) = deliver([job(Sink())], Deadline.after(0.0))
    assert late.seconds is None


# --- how a channel fails ----------------------------------------------------------------------------------------------


def test_an_accepted_message_is_sent() -> None:
    sink = Sink()
    assert outcome_of(sink).outcome is Outcome.SENT
    assert sink.sent == [{"rich": NOTIFICATION.message.title}]


@pytest.mark.parametrize(
    ("error", "outcome", "retry_after", "unanswered"),
    [
        (TransientError("busy", retry_after=7, status=429), Outcome.RETRY, 7, False),
        (TransientError("down", status=503), Outcome.RETRY, None, False),
        (TransientError("timed out"), Outcome.RETRY, None, True),
        (PermanentError("gone", status=404), Outcome.FAILED, None, False),
    ],
)
def test_a_channel_says_how_it_failed(
    error: Exception, outcome: Outcome, retry_after: float | None, *, unanswered: bool
) -> None:
    """Without an answer, the remote may have taken it."""
    sink = Sink(raises(error))
    delivery = outcome_of(sink)
    assert (delivery.outcome, delivery.response) == (outcome, str(error))
    assert (delivery.retry_after, delivery.unanswered) == (retry_after, unanswered)
    assert sink.sent == []


@pytest.mark.parametrize("place", ["notify", "render", "send"])
def test_a_broken_plugin_fails_alone_and_its_error_text_is_not_shown(
    place: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It may hold the plugin's secrets: the type of the error must do."""
    fail = raises(RuntimeError("token hunter2"))
    broken = job(Sink(fail) if place == "send" else Sink(), "broken")
    if place == "render":
        assert broken.channel
        monkeypatch.setattr(broken.channel.open()[1], "render", lambda _: fail())
    if place == "notify":
        broken = broken._replace(notify=fail)
    with caplog.at_level(logging.DEBUG):
        done = delivered(broken, job(Sink(), "good"))
    assert done["good"].outcome is Outcome.SENT
    assert (done["broken"].outcome, done["broken"].response) == (Outcome.FAILED, "the plugin raised RuntimeError")
    assert "hunter2" not in caplog.text


def test_a_channel_that_cannot_be_used_fails_with_the_reason() -> None:
    delivery = outcome_of(None, unusable="url is missing")
    assert (delivery.outcome, delivery.response) == (Outcome.FAILED, "url is missing")


# --- the layout is rejected -------------------------------------------------------------------------------------------

REJECTED = raises(PayloadRejected("invalid_blocks", status=400))


def test_a_layout_that_is_rejected_is_sent_once_more_as_plain_text() -> None:
    sink = PlainSink(REJECTED)
    assert outcome_of(sink).outcome is Outcome.SENT
    assert sink.sent == [{"plain": NOTIFICATION.message.title}]


def test_plain_text_that_is_rejected_too_has_failed() -> None:
    sink = PlainSink(REJECTED, REJECTED)
    assert outcome_of(sink).outcome is Outcome.FAILED
    assert (sink.before, sink.sent) == ([], [])


def test_plain_text_that_finds_the_remote_busy_is_tried_again() -> None:
    sink = PlainSink(REJECTED, raises(TransientError("busy", retry_after=3, status=429)))
    delivery = outcome_of(sink)
    assert (delivery.outcome, delivery.retry_after) == (Outcome.RETRY, 3)


def test_a_plugin_without_plain_text_has_failed() -> None:
    delivery = outcome_of(Sink(REJECTED))
    assert (delivery.outcome, delivery.response) == (Outcome.FAILED, "invalid_blocks")


@pytest.mark.parametrize("error", [TransientError("busy"), PermanentError("gone"), RuntimeError("broken")])
def test_only_a_rejected_layout_is_sent_as_plain_text(error: Exception) -> None:
    sink = PlainSink(raises(error))
    outcome_of(sink)
    assert sink.sent == []


# --- what is recorded -------------------------------------------------------------------------------------------------


def test_the_remotes_answer_is_recorded_once_and_bounded() -> None:
    answer = outcome_of(Sink(raises(PermanentError("refused", answer="no_service")))).response
    assert answer == "refused (no_service)"
    answer = outcome_of(Sink(raises(PermanentError("refused: no_service", answer="no_service")))).response
    assert answer == "refused: no_service"
    assert len(outcome_of(Sink(raises(PermanentError("x" * 5000)))).response) == 300


@pytest.mark.parametrize("error", [TransientError, PermanentError, PayloadRejected])
def test_no_option_of_the_channel_is_recorded(error: type[TransientError | PermanentError]) -> None:
    """Which of its options are secrets only the plugin knows; short ones are words."""
    options = {"url": "https://hooks.example.com/T0/B0/abcdef", "key": "https://hooks.example.com", "room": "#ops"}
    failure = error(f"{options['url']} refused {options['room']}", answer=f"bad {options['key']}")
    answer = outcome_of(Sink(raises(failure)), **options).response
    assert answer == "[url] refused #ops (bad [key])"


# --- in which order ---------------------------------------------------------------------------------------------------


def test_the_channel_that_was_slowest_last_time_starts_first(monkeypatch: pytest.MonkeyPatch) -> None:
    begun: list[str] = []
    jobs = [job(Sink(partial(begun.append, name)), name) for name in ("fast", "slow", "new")]
    monkeypatch.setattr(threading.Thread, "start", threading.Thread.run)  # one after the other
    list(deliver(jobs, long_enough(), last_seconds={"fast": 0.1, "slow": 0.3}))
    assert begun == ["slow", "fast", "new"]


def test_how_long_a_channel_took_is_remembered() -> None:
    last_seconds: dict[str, float] = {}
    list(deliver([job(Sink(), "slack")], long_enough(), clock=hurried(), last_seconds=last_seconds))
    assert last_seconds["slack"] >= 1
