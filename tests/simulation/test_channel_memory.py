"""A channel with a memory keeps its promises under faults: the real Slack plugin, on a double of Slack's Web API.

The rest of the router is simulated as in `tests.simulation.simulation`. Beside the faults of the plan, people delete
messages.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from itertools import pairwise
from random import Random
from typing import Any
from unittest.mock import patch
from urllib.parse import parse_qsl, urlsplit

import pytest

from local_aws.slack_api import ALERTS, BOT_TOKEN, SlackMessage, SlackWorkspace
from plugins import _slack_api
from plugins.slack import Slack
from router.channels.configured import ConfiguredChannel
from router.channels.http import Response
from router.context import Answered, Job
from router.deadline import Deadline
from router.deliver import deliver
from router.errors import TransientError
from router.history.items import to_state
from router.incident.state import OutboxEntry, SendMode
from router.model import ChannelConfig, Kind, Outcome
from tests.simulation.boundary import Boundary
from tests.simulation.plan import plan
from tests.simulation.remotes import Line, Remote
from tests.simulation.simulation import START, Simulation

_SEEDS = 15
_TOGETHER = (27, 3)
"""Short runs in which nearly everything occurs; a changed plan changes what a seed is."""
_TIMEOUT = 10.0  # seconds after which a request gives up
_RETENTION = 90 * 86400.0  # seconds: numbers of incidents are not used again within a run


class SimulatedSlack:
    """`post_json` across a boundary: the moods of the plan decide whether a call arrives and is answered.

    Attributes:
        posted: every message that was posted, also those that were deleted later.
        deleted_at: virtual time of each deletion, by ts.
    """

    def __init__(self, boundary: Boundary, mood: Callable[[], str]) -> None:
        self.boundary, self.mood = boundary, mood
        self.workspace = SlackWorkspace(lambda: boundary.scheduler.now)
        self.posted: list[SlackMessage] = []
        self.deleted_at: dict[str, float] = {}

    def post_json(
        self, url: str, payload: Mapping[str, Any], *, headers: Mapping[str, str], answer_limit: int
    ) -> Response:
        assert answer_limit
        parts = urlsplit(url)
        method, arguments = parts.path.removeprefix("/api/"), {**dict(parse_qsl(parts.query)), **payload}
        mood = self.mood()
        return self.boundary.call(lambda: self._act(mood, method, arguments, headers), f"slack {method}", mood)

    def _act(self, mood: str, method: str, arguments: Mapping[str, Any], headers: Mapping[str, str]) -> Response:
        sleep, chance = self.boundary.scheduler.sleep, self.boundary.chance
        if mood == "busy":
            raise TransientError("429", status=429, retry_after=1 + 100 * chance.random())
        if mood in {"broken", "buggy"}:
            raise TransientError("500", status=500)
        if mood == "gone":
            return Response(200, json.dumps({"ok": False, "error": "token_revoked"}))
        if mood == "picky" and arguments.get("blocks"):
            return Response(200, json.dumps({"ok": False, "error": "invalid_blocks"}))
        if mood == "deaf" or (mood == "stuck" and chance.random() < 0.5):
            sleep(_TIMEOUT if mood == "deaf" else 60 + 120 * chance.random())
            raise TransientError("no answer")
        if mood == "late":
            late = _TIMEOUT + 15 * chance.random()  # before the router tries again
            take = partial(self._taken, method, arguments, headers)
            self.boundary.scheduler.at(self.boundary.scheduler.now + late, partial(_ignoring_errors, take))
            sleep(_TIMEOUT)
            raise TransientError("no answer")
        answer = self._taken(method, arguments, headers)
        if mood in {"mute", "stuck"}:
            sleep(_TIMEOUT * chance.random() if mood == "mute" else 60 + 120 * chance.random())
            raise TransientError("no answer")
        return answer

    def _taken(self, method: str, arguments: Mapping[str, Any], headers: Mapping[str, str]) -> Response:
        answer = self.workspace.answer(method, headers["Authorization"].removeprefix("Bearer "), arguments)
        if method == "chat.postMessage" and answer.body["ok"]:
            self.posted.append(self.workspace.channels[ALERTS].messages[-1])
        if answer.status != 200:
            raise TransientError("429", status=answer.status, retry_after=float(answer.headers["Retry-After"]))
        return Response(answer.status, json.dumps(answer.body))

    def delete(self, ts: str) -> None:
        self.workspace.delete(ts)
        self.deleted_at[ts] = self.boundary.scheduler.now


def _ignoring_errors(call: Callable[[], object]) -> None:
    """The answer is lost."""
    with suppress(TransientError):
        call()


class SlackSimulation(Simulation):
    """A run in which the channel `slack` is the real plugin.

    Attributes:
        orphaned: incidents of which a bundle told before it was known whether their own message had arrived.
    """

    def __init__(self, seed: int) -> None:
        super().__init__(replace(plan(seed), retention=_RETENTION))
        mood = Remote.mood
        self.slack = SimulatedSlack(self.remotes["slack"].boundary, lambda: mood(self.remotes["slack"]))
        self.orphaned: set[str] = set()
        config = ChannelConfig("slack", "slack", {"token": BOT_TOKEN, "channel": ALERTS})
        self._channel = ConfiguredChannel.of(config, Slack(config))

    def run(self) -> "SlackSimulation":
        chance = Random(f"deletions {self.plan.seed}")
        for _ in range(chance.choice((0, 0, 2, 6))):
            self.scheduler.at(START + chance.uniform(0, 2 * self.plan.storm), lambda: self._delete(chance))
        with patch.object(_slack_api, "post_json", self.slack.post_json):
            super().run()
        return self

    def _delete(self, chance: Random) -> None:
        if roots := self.slack.workspace.roots():
            self.slack.delete(chance.choice(roots).ts)

    def _deliver(self, jobs: Sequence[Job], deadline: Deadline) -> Iterator[list[Answered]]:
        for job in jobs:
            if job.config.name == "slack" and job.dispatch.mode is SendMode.BUNDLED:
                doubtful = (part for part in job.members if part[1].in_doubt and not part[1].remote)
                self.orphaned |= {state.incident.id for state, _ in doubtful if state.incident}
        lined = [job._replace(channel=self._line(job)) for job in jobs]
        return deliver(lined, deadline, lambda: self.scheduler.now)

    def _line(self, job: Job) -> ConfiguredChannel:
        if job.config.name == "slack":
            return self._channel
        return ConfiguredChannel.of(job.config, Line(self.remotes[job.config.name], job))

    # --- what came of it ----------------------------------------------------------------------------------------------

    @property
    def entries(self) -> dict[str, OutboxEntry]:
        """The last outbox entry of the channel for each incident."""
        entries = {}
        for write in self.table.writes:
            if "state" in write.item and "number" in write.item:
                state = to_state(write.item)
                if "slack" in state.outbox:
                    entries[write.item["id"]] = state.outbox["slack"]
        return entries

    def about(self, messages: Sequence[SlackMessage]) -> dict[str, list[SlackMessage]]:
        """The messages about one incident each, by its id. What was sent without history has no memory."""
        by_incident = defaultdict(list)
        for message in messages:
            incident = incident_of(message)
            if incident and not incident.endswith("-0"):
                by_incident[incident].append(message)
        return by_incident


def incident_of(message: SlackMessage) -> str:
    own = message.metadata.get("event_type") == "ecs_alert_router_incident"
    return str(message.metadata["event_payload"]["incident"]) if own else ""


def revision_of(message: SlackMessage) -> int:
    return int(message.metadata["event_payload"]["revision"])


Promise = Callable[[SlackSimulation], Iterator[str]]


def an_incident_has_one_root(run: SlackSimulation) -> Iterator[str]:
    """Another one is posted only after the one before was deleted, even if answers are lost and processes die."""
    roots = [message for message in run.slack.posted if not message.thread_ts]
    for incident, own in run.about(roots).items():
        for before, after in pairwise(own):
            deleted = run.slack.deleted_at.get(before.ts)
            if incident not in run.orphaned and (deleted is None or deleted > after.posted_at):
                yield f"{incident} has another root at {after.posted_at - START:.0f}"


def the_root_shows_the_newest_state(run: SlackSimulation) -> Iterator[str]:
    """The root that is remembered shows what the channel was told last, also if that was in a bundle."""
    now = {message.ts: message for message in run.slack.workspace.roots()}
    for incident, entry in run.entries.items():
        root = now.get(entry.remote.get("ts", ""))
        if root is None or "bundle" in entry.remote or not root.attachments or entry.outcome is not Outcome.SENT:
            continue
        if revision_of(root) != entry.sent_revision:
            yield f"the root of {incident} shows revision {revision_of(root)}, not {entry.sent_revision}"
        green = root.attachments[0]["color"] == "#2eb67d"
        if green != (entry.last_kind_sent is Kind.RESOLVED):
            yield f"the root of {incident} is {'' if green else 'not '}green"


def no_reply_comes_before_its_root(run: SlackSimulation) -> Iterator[str]:
    """Every reply is in a thread of its own incident, or below a bundle, and later than that message."""
    posted = {message.ts: message for message in run.slack.posted}
    for reply in run.slack.posted:
        if reply.thread_ts:
            root = posted.get(reply.thread_ts)
            if root is None or root.thread_ts or float(root.ts) >= float(reply.ts):
                yield f"a reply of {incident_of(reply)} has no root"
            elif incident_of(reply) and incident_of(root) not in {incident_of(reply), ""}:
                yield f"a reply of {incident_of(reply)} is in the thread of {incident_of(root)}"


def nothing_is_replied_twice(run: SlackSimulation) -> Iterator[str]:
    """A thread has each revision once, in their order."""
    replies = [message for message in run.slack.posted if message.thread_ts]
    for incident, own in run.about(replies).items():
        for ts, count in Counter((reply.thread_ts, revision_of(reply)) for reply in own).items():
            if count > 1:
                yield f"{incident} has {count} replies of revision {ts[1]}"
        revisions = [revision_of(reply) for reply in own]
        if revisions != sorted(revisions):
            yield f"the replies of {incident} are out of order: {revisions}"


def memory_ends_with_its_incident(run: SlackSimulation) -> Iterator[str]:
    """No two incidents remember the same message, unless it is a bundle."""
    owners = defaultdict(set)
    for incident, entry in run.entries.items():
        if entry.remote and "bundle" not in entry.remote:
            owners[entry.remote["ts"]].add(incident)
    yield from (f"{sorted(incidents)} share {ts}" for ts, incidents in owners.items() if len(incidents) > 1)


def everything_ends(run: SlackSimulation) -> Iterator[str]:
    """Each incident is told or failed in the end."""
    yield from (f"{incident} stays due" for incident, entry in run.entries.items() if entry.due_at is not None)


PROMISES: tuple[Promise, ...] = (
    an_incident_has_one_root,
    the_root_shows_the_newest_state,
    no_reply_comes_before_its_root,
    nothing_is_replied_twice,
    memory_ends_with_its_incident,
    everything_ends,
)


def broken(seed: int) -> list[str]:
    run = SlackSimulation(seed).run()
    return [f"{promise.__name__}: {violation}" for promise in PROMISES for violation in promise(run)]


@pytest.mark.parametrize("first", [0, *(pytest.param(seed, marks=pytest.mark.check) for seed in range(5, _SEEDS, 5))])
def test_every_promise_is_kept(first: int) -> None:
    found = {seed: violations for seed in range(first, first + 5) if (violations := broken(seed))}
    assert not found


@pytest.mark.check  # about the simulation, not about the router
def test_the_runs_contain_what_the_promises_are_about() -> None:
    """Edits, replies, bundles, deletions, adopted messages, and messages that are posted again."""
    wanted = {
        "edit",
        "reply",
        "bundle",
        "member of a bundle",
        "deleted",
        "search",
        "adopted",
        "posted again",
        "resolved",
    }
    for seed in (*_TOGETHER, *range(_SEEDS)):
        wanted -= set(_occurrences(SlackSimulation(seed).run()))
        if not wanted:
            return
    assert not wanted


def _occurrences(run: SlackSimulation) -> Iterator[str]:
    calls = [call for call in run.slack.workspace.calls if not call.error]
    methods = [call.method for call in calls]
    yield from ("edit" for method in methods if method == "chat.update")
    yield from ("search" for method in methods if method == "conversations.history")
    pairs = {*pairwise(methods)}
    yield from {"adopted"} if ("conversations.history", "chat.update") in pairs else ()
    yield from {"member of a bundle"} if ("chat.update", "chat.update") in pairs else ()
    yield from ("reply" for message in run.slack.posted if message.thread_ts)
    yield from ("bundle" for entry in run.entries.values() if "bundle" in entry.remote)
    yield from ("deleted" for _ in run.slack.deleted_at)
    roots = run.about([message for message in run.slack.posted if not message.thread_ts])
    yield from ("posted again" for own in roots.values() if len(own) > 1)
    yield from ("resolved" for entry in run.entries.values() if entry.last_kind_sent is Kind.RESOLVED)
