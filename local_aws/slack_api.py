"""A stand-in for Slack's Web API on loopback: one workspace with channels, messages, threads, edits, scopes and limits.

It answers as the method pages of https://docs.slack.dev/reference/methods say, and where those are silent as reports of
users say; such a place names the report. `SlackWorkspace` is the behaviour, `SlackApiDouble` the server in front of it.
"""

import json
import math
import re
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, NamedTuple
from urllib.parse import parse_qs, parse_qsl, urlsplit

from local_aws.slack import layout_problem
from local_aws.webhook import WebhookDouble

BOT_TOKEN = "xoxb-0000000000-0000000000-placeholder"  # noqa: S105 - of the form that Slack documents; a dummy secret
ALERTS = "C0000000001"
"""The channel that a workspace has from the start."""
_TIER_3 = (50, 60.0)  # calls, and the seconds in which Slack takes so many
_POSTS = (5, 5.0)  # of one channel: one a second, and short bursts; Slack does not say how short
_POST_TEXT, _UPDATE_TEXT = 40_000, 4_000  # characters: a longer post is cut, a longer update refused
_METADATA = 8_000  # bytes; Slack does not publish the figure
_EVENT_TYPE = re.compile("[A-Za-z0-9_-]+")
_PAGE, _LARGEST_PAGE = 100, 999


@dataclass(slots=True)
class SlackMessage:
    """One message. `thread_ts` is that of its root, "" for a root; `changed_at` is the time of its last edit."""

    ts: str
    app_id: str
    text: str = ""
    blocks: Sequence[Any] = ()
    attachments: Sequence[Any] = ()
    metadata: Mapping[str, Any] = field(default_factory=dict)
    thread_ts: str = ""
    broadcast: bool = False
    posted_at: float = 0.0
    changed_at: float = 0.0


@dataclass(slots=True)
class SlackChannel:
    """A channel, with the apps that are its members, and its messages in the order of their `ts`."""

    id: str
    name: str
    private: bool = False
    archived: bool = False
    members: set[str] = field(default_factory=set)
    messages: list[SlackMessage] = field(default_factory=list)

    def find(self, ts: str) -> SlackMessage | None:
        return next((message for message in self.messages if message.ts == ts), None)

    def replies(self, ts: str) -> list[SlackMessage]:
        return [message for message in self.messages if message.thread_ts == ts]


@dataclass(slots=True)
class SlackApp:
    """An app that is installed in the workspace, with the scopes of its bot token."""

    id: str
    scopes: set[str]
    revoked: bool = False


class Call(NamedTuple):
    """One call of a method, and the error word it was answered with; "" if it succeeded."""

    method: str
    arguments: Mapping[str, Any]
    error: str
    at: float


class Answer(NamedTuple):
    """The response to a call."""

    status: int
    headers: Mapping[str, str]
    body: Mapping[str, Any]


_Method = Callable[[SlackApp, Mapping[str, Any]], Mapping[str, Any]]


class _Refused(Exception):
    def __init__(self, word: str, **more: Any) -> None:
        self.word = word
        self.more = more
        super().__init__(word)


class SlackWorkspace:
    """The behaviour of the API. Not safe for several threads at once.

    Attributes:
        channels: by id. apps: by token.
        calls: everything that was called, in order.
        edit_window: seconds for which messages may be edited; None for ever, as admins set it.
        unthreads: a reply to a deleted message becomes a message of the channel (slack-go/slack issue 1571); otherwise
            it is refused (slackapi/bolt-js issue 2307).
        limited: whether the rate limits hold.
    """

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self.clock = clock
        scopes = {"chat:write", "channels:history", "groups:history"}
        self.apps = {BOT_TOKEN: SlackApp("A0000000001", scopes)}
        self.channels = {ALERTS: SlackChannel(ALERTS, "alerts", members={"A0000000001"})}
        self.calls: list[Call] = []
        self.edit_window: float | None = None
        self.unthreads = True
        self.limited = True
        self._last_ts = 0
        self._recent: dict[str, deque[float]] = {}

    # --- what a test looks at, and what people do ---------------------------------------------------------------------

    def roots(self, channel: str = ALERTS) -> list[SlackMessage]:
        """The messages that a channel shows, without those that only its threads show."""
        return [message for message in self.channels[channel].messages if not message.thread_ts]

    def replies(self, ts: str, channel: str = ALERTS) -> list[SlackMessage]:
        return self.channels[channel].replies(ts)

    def delete(self, ts: str, channel: str = ALERTS) -> None:
        """Somebody deletes a message."""
        messages = self.channels[channel].messages
        messages[:] = [message for message in messages if message.ts != ts]

    def post_by_hand(self, text: str, channel: str = ALERTS, **fields: Any) -> SlackMessage:
        """Somebody, or another app, posts a message."""
        message = SlackMessage(self._ts(), fields.pop("app_id", "A9999999999"), text, **fields)
        self.channels[channel].messages.append(message)
        return message

    # --- calls --------------------------------------------------------------------------------------------------------

    def answer(self, method: str, token: str, arguments: Mapping[str, Any]) -> Answer:
        """The response to one call."""
        headers: dict[str, str] = {}
        status, error = 200, ""
        try:
            body = {"ok": True, **self._call(method, token, arguments)}
        except _Refused as refused:
            error = refused.word
            body = {"ok": False, "error": error, **refused.more}
            if error == "ratelimited":
                status, headers = 429, {"Retry-After": str(refused.more["retry_after"])}
                body = {"ok": False, "error": error}
        self.calls.append(Call(method, arguments, error, self.clock()))
        return Answer(status, headers, body)

    def _call(self, method: str, token: str, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
        methods: Mapping[str, _Method] = {
            "auth.test": self._test,
            "chat.postMessage": self._post,
            "chat.update": self._update,
            "chat.delete": self._delete,
            "conversations.history": self._history,
            "conversations.replies": self._replies,
        }
        handler = methods.get(method)
        if handler is None:
            raise _Refused("unknown_method")
        if not token:
            raise _Refused("not_authed")
        app = self.apps.get(token)
        if app is None:
            raise _Refused("invalid_auth")
        if app.revoked:
            raise _Refused("token_revoked")
        self._limit(method, arguments)
        return handler(app, arguments)

    def _limit(self, method: str, arguments: Mapping[str, Any]) -> None:
        """A refused call does not count. Each method has its own limit; of posts, each channel has one."""
        if not self.limited or method == "auth.test":
            return
        post = method == "chat.postMessage"
        limit, period = _POSTS if post else _TIER_3
        key = f"{method} {arguments.get('channel')}" if post else method
        now, recent = self.clock(), self._recent.setdefault(key, deque())
        while recent and recent[0] <= now - period:
            recent.popleft()
        if len(recent) >= limit:
            raise _Refused("ratelimited", retry_after=max(1, math.ceil(recent[0] + period - now)))
        recent.append(now)

    def _ts(self) -> str:
        """The id of a message: the time, and never the same twice."""
        self._last_ts = max(int(self.clock() * 1_000_000), self._last_ts + 1)
        return f"{self._last_ts // 1_000_000}.{self._last_ts % 1_000_000:06}"

    # --- chat.* -------------------------------------------------------------------------------------------------------

    def _post(self, app: SlackApp, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
        _need(app, "chat:write")
        channel = self._channel_by_name(arguments) or self._channel(arguments)
        if app.id not in channel.members:
            if channel.private:
                raise _Refused("channel_not_found")
            if "chat:write.public" not in app.scopes:
                raise _Refused("not_in_channel")
        _check_layout(arguments)
        thread_ts = self._thread(channel, arguments)
        metadata, warning = _metadata(arguments)
        now = self.clock()
        message = SlackMessage(
            ts=self._ts(),
            app_id=app.id,
            text=str(arguments.get("text") or "")[:_POST_TEXT],
            blocks=arguments.get("blocks") or (),
            attachments=arguments.get("attachments") or (),
            metadata=metadata or {},
            thread_ts=thread_ts,
            broadcast=bool(thread_ts and arguments.get("reply_broadcast")),
            posted_at=now,
            changed_at=now,
        )
        channel.messages.append(message)
        return {"channel": channel.id, "ts": message.ts, "message": self._shown(channel, message, full=True), **warning}

    def _thread(self, channel: SlackChannel, arguments: Mapping[str, Any]) -> str:
        thread_ts = str(arguments.get("thread_ts") or "")
        if not thread_ts:
            return ""
        root = channel.find(thread_ts)
        if root is None and self.unthreads:
            return ""
        if root is None or root.thread_ts:
            raise _Refused("thread_not_found")
        return thread_ts

    def _update(self, app: SlackApp, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
        _need(app, "chat:write")
        channel = self._channel(arguments)
        message = channel.find(str(arguments.get("ts")))
        if message is None:
            raise _Refused("message_not_found")
        if message.app_id != app.id:
            raise _Refused("cant_update_message")
        if self.edit_window is not None and self.clock() - message.posted_at > self.edit_window:
            raise _Refused("edit_window_closed")
        if len(str(arguments.get("text") or "")) > _UPDATE_TEXT:
            raise _Refused("msg_too_long")
        _check_layout(arguments)
        metadata, warning = _metadata(arguments)
        if "text" in arguments or "blocks" in arguments:
            message.text = str(arguments.get("text") or "")
            message.blocks = arguments.get("blocks") or ()
        if "attachments" in arguments:
            message.attachments = arguments["attachments"]
        if metadata is not None:
            message.metadata = metadata
        message.changed_at = self.clock()
        return {"channel": channel.id, "ts": message.ts, "text": message.text, **warning}

    def _delete(self, app: SlackApp, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
        _need(app, "chat:write")
        channel = self._channel(arguments)
        message = channel.find(str(arguments.get("ts")))
        if message is None:
            raise _Refused("message_not_found")
        if message.app_id != app.id:
            raise _Refused("cant_delete_message")
        self.delete(message.ts, channel.id)
        return {"channel": channel.id, "ts": message.ts}

    # --- conversations.* ----------------------------------------------------------------------------------------------

    def _history(self, app: SlackApp, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
        channel = self._readable(app, arguments)
        shown = [message for message in channel.messages if not message.thread_ts or message.broadcast]
        return self._page(channel, list(reversed(shown)), arguments)

    def _replies(self, app: SlackApp, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
        channel = self._readable(app, arguments)
        root = channel.find(str(arguments.get("ts")))
        if root is None:
            raise _Refused("thread_not_found")
        return self._page(channel, [root, *channel.replies(root.ts)], arguments)

    def _page(
        self, channel: SlackChannel, messages: Sequence[SlackMessage], arguments: Mapping[str, Any]
    ) -> Mapping[str, Any]:
        """Some of the messages between `oldest` and `latest`, and the cursor of the next ones."""
        oldest, latest = str(arguments.get("oldest") or "0"), str(arguments.get("latest") or "")
        inclusive = _flag(arguments.get("inclusive"))
        between = [
            message
            for message in messages
            if (_micros(oldest) < _micros(message.ts) or (inclusive and oldest == message.ts))
            and (not latest or _micros(message.ts) < _micros(latest) or (inclusive and latest == message.ts))
        ]
        start, limit = int(arguments.get("cursor") or 0), min(int(arguments.get("limit") or _PAGE), _LARGEST_PAGE)
        full = _flag(arguments.get("include_all_metadata"))
        page: dict[str, Any] = {
            "messages": [self._shown(channel, message, full=full) for message in between[start : start + limit]],
            "has_more": len(between) > start + limit,
        }
        if page["has_more"]:
            page["response_metadata"] = {"next_cursor": str(start + limit)}
        return page

    def _shown(self, channel: SlackChannel, message: SlackMessage, *, full: bool) -> dict[str, Any]:
        """A message as the API shows it; only `full` shows the payload of its metadata."""
        shown: dict[str, Any] = {
            "type": "message",
            "ts": message.ts,
            "app_id": message.app_id,
            "bot_id": message.app_id.replace("A", "B", 1),
            "text": message.text,
            "blocks": list(message.blocks),
            "attachments": list(message.attachments),
        }
        replies = channel.replies(message.ts)
        if message.thread_ts:
            shown["thread_ts"] = message.thread_ts
        elif replies:
            shown |= {"thread_ts": message.ts, "reply_count": len(replies), "latest_reply": replies[-1].ts}
        if message.broadcast:
            shown["subtype"] = "thread_broadcast"
        if message.metadata:
            shown["metadata"] = dict(message.metadata) if full else {"event_type": message.metadata["event_type"]}
        return shown

    def _readable(self, app: SlackApp, arguments: Mapping[str, Any]) -> SlackChannel:
        channel = self._channel(arguments, archived=True)
        if channel.private and app.id not in channel.members:
            raise _Refused("channel_not_found")
        _need(app, "groups:history" if channel.private else "channels:history")
        if app.id not in channel.members:
            raise _Refused("not_in_channel")
        return channel

    def _channel(self, arguments: Mapping[str, Any], *, archived: bool = False) -> SlackChannel:
        channel = self.channels.get(str(arguments.get("channel")))
        if channel is None:
            raise _Refused("channel_not_found")
        if channel.archived and not archived:
            raise _Refused("is_archived")
        return channel

    def _channel_by_name(self, arguments: Mapping[str, Any]) -> SlackChannel | None:
        """Posting takes the name of a public channel in place of its id; no other method does."""
        name = str(arguments.get("channel")).removeprefix("#")
        public = (channel for channel in self.channels.values() if not channel.private and not channel.archived)
        return next((channel for channel in public if channel.name == name), None)

    def _test(self, app: SlackApp, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
        del arguments
        return {"url": "https://example.slack.com/", "team_id": "T0000000001", "bot_id": app.id.replace("A", "B", 1)}


def _need(app: SlackApp, scope: str) -> None:
    if scope not in app.scopes:
        raise _Refused("missing_scope", needed=scope, provided=",".join(sorted(app.scopes)))


def _check_layout(arguments: Mapping[str, Any]) -> None:
    if problem := layout_problem(arguments):
        raise _Refused(problem)


def _metadata(arguments: Mapping[str, Any]) -> tuple[Mapping[str, Any] | None, Mapping[str, Any]]:
    """The metadata to store, None if there is none in the call; and what the response says of it.

    A wrong event type is a warning of a call that succeeds, without the metadata.
    """
    metadata = arguments.get("metadata")
    if metadata is None:
        return None, {}
    if metadata == {}:
        return {}, {}
    if not isinstance(metadata, dict) or not isinstance(metadata.get("event_payload"), dict):
        raise _Refused("invalid_metadata_format")
    if len(json.dumps(metadata).encode()) > _METADATA:
        raise _Refused("metadata_too_large")
    if not all(isinstance(value, str | int | float | bool) for value in metadata["event_payload"].values()):
        raise _Refused("invalid_metadata_format")
    if not _EVENT_TYPE.fullmatch(str(metadata.get("event_type"))):
        return None, {"warning": "invalid_metadata_schema"}
    return metadata, {}


def _flag(value: Any) -> bool:
    return str(value).lower() in {"true", "1"}


def _micros(ts: str) -> int:
    seconds, _, micros = ts.partition(".")
    return int(seconds) * 1_000_000 + int((micros or "0").ljust(6, "0")[:6])


class SlackApiDouble(WebhookDouble):
    """The workspace behind a server, on which a test can script failures as for the other doubles."""

    takes_get: ClassVar[bool] = True

    def __init__(self, workspace: SlackWorkspace | None = None) -> None:
        super().__init__()
        self.workspace = workspace or SlackWorkspace()

    @property
    def api_url(self) -> str:
        return f"{self.host}/api/"

    def judge(self, path: str, headers: Mapping[str, str], body: bytes) -> tuple[int, str, Mapping[str, str]]:
        parts = urlsplit(path)
        named = {name.lower(): value for name, value in headers.items()}
        arguments = {**dict(parse_qsl(parts.query)), **_arguments(named.get("content-type", ""), body)}
        scheme, _, token = named.get("authorization", "").partition(" ")
        with self._changed:
            answer = self.workspace.answer(
                parts.path.removeprefix("/api/"), token if scheme == "Bearer" else "", arguments
            )
        return answer.status, json.dumps(answer.body), answer.headers

    def accepts(self, status: int, body: str) -> bool:
        """None counts as received: `workspace` has the messages."""
        del status, body
        return False


def _arguments(content_type: str, body: bytes) -> Mapping[str, Any]:
    """A body of JSON, or of a form whose nested values are JSON."""
    if content_type.startswith("application/json"):
        content = json.loads(body or b"{}")
        return content if isinstance(content, dict) else {}
    form = {name: values[-1] for name, values in parse_qs(body.decode()).items()}
    nested = {name: json.loads(form[name]) for name in ("blocks", "attachments", "metadata") if form.get(name)}
    flags = {name: _flag(form[name]) for name in ("reply_broadcast",) if name in form}
    return {**form, **nested, **flags}
