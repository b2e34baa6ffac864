"""Slack's Web API with a bot token: one message for each incident, which is edited as the incident develops.

The first message about an incident is its root. Each further one edits the root, so that it shows the newest state, and
then goes into the root's thread, because an edit notifies nobody. What is worse, or returns, is shown in the channel as
well. `plugins.slack` imports this module only if a channel has a `token`.

Methods and limits: https://docs.slack.dev/reference/methods. An error has status 200 and a word in the body; the words
are those of slack-ruby/slack-api-ref, and others that users have reported.
"""

import json
import logging
import re
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple
from urllib.parse import urlencode

from router import Notification, PayloadRejected, PermanentError, RemoteGone, TransientError, post_json

log = logging.getLogger("ecs-alert-router.plugins.slack")

API_URL = "https://slack.com/api/"
_ANSWER_LIMIT = 2_097_152  # bytes: a page of a channel's history with all its blocks
_UPDATED_OF_A_BUNDLE = 20  # messages; Slack takes about 50 updates a minute, and a send has ten seconds
_UPDATES_END = 4.0  # seconds after which a bundle is no longer kept waiting
_PAGE, _PAGES = 100, 3  # of a channel's history, searched for a message that may have arrived
_CLOCKS_DIFFER = 60.0  # seconds
_INCIDENT, _BUNDLE = "ecs_alert_router_incident", "ecs_alert_router_bundle"  # Slack allows no dots
_NOT_FOR_UPDATES = ("unfurl_links", "unfurl_media")
_MUCH_LATER = 3600.0  # seconds


class _Meaning(NamedTuple):
    """What an error word means.

    Attributes:
        advice: what to do about it; "" where nothing can be done.
        retry_after: seconds, or None for the usual schedule.
        unknown: the call may have succeeded nevertheless.
        status: the HTTP status that other services answer in its place; 401 lets the router read the token again.
    """

    error: type[TransientError | PermanentError]
    advice: str = ""
    retry_after: float | None = None
    unknown: bool = False
    status: int = 200


def _all(words: str, meaning: _Meaning) -> dict[str, _Meaning]:
    return dict.fromkeys(words.split(), meaning)


_ERRORS: Mapping[str, _Meaning] = {
    # Slack may have done it, or part of it. `request_timeout` means a body that was cut off, but not always.
    **_all(
        "internal_error fatal_error service_unavailable request_timeout update_failed",
        _Meaning(TransientError, unknown=True),
    ),
    **_all("ratelimited rate_limited", _Meaning(TransientError, status=429)),
    **_all("streaming_state_conflict external_channel_migrating", _Meaning(TransientError)),
    **_all(
        "team_added_to_org org_login_required message_limit_exceeded",
        _Meaning(TransientError, "the workspace is being moved, or is over its limit", _MUCH_LATER),
    ),
    **_all(
        "not_authed invalid_auth token_revoked token_expired account_inactive",
        _Meaning(PermanentError, "copy the app's bot token (xoxb-…) again", status=401),
    ),
    **_all("not_allowed_token_type is_bot", _Meaning(PermanentError, "use the app's bot token (xoxb-…)", status=401)),
    **_all("missing_scope", _Meaning(PermanentError, "give the app the scope chat:write, and install it again")),
    **_all(
        "no_permission access_denied accesslimited app_access_restricted team_access_not_granted "
        "two_factor_setup_required ekm_access_denied enterprise_is_restricted",
        _Meaning(PermanentError, "an administrator of the workspace must allow the app"),
    ),
    **_all(
        "channel_not_found not_in_channel",
        _Meaning(PermanentError, "check the channel's id, and invite the app with /invite in that channel"),
    ),
    **_all("is_archived is_inactive", _Meaning(PermanentError, "the channel is archived: name another one")),
    **_all("team_not_found", _Meaning(PermanentError, "name the channel by its id")),
    **_all(
        "restricted_action restricted_action_read_only_channel restricted_action_thread_only_channel "
        "posting_to_channel_denied messages_tab_disabled",
        _Meaning(PermanentError, "let the app post in that channel, or name another one"),
    ),
    # Not what was remembered, or it can no longer be changed or replied to.
    **_all(
        "message_not_found thread_not_found cant_update_message edit_window_closed cannot_reply_to_message "
        "restricted_action_thread_locked restricted_action_non_threadable_channel",
        _Meaning(RemoteGone),
    ),
    **_all("cant_broadcast_message no_dual_broadcast_content_update", _Meaning(PermanentError)),
    # Plain text, which has no metadata either, may be accepted.
    **_all(
        "no_text msg_too_long msg_too_large msg_blocks_too_long invalid_blocks invalid_blocks_format block_mismatch "
        "invalid_attachments too_many_attachments attachment_payload_limit_exceeded too_many_contact_cards "
        "markdown_text_conflict metadata_too_large invalid_metadata_format invalid_metadata_schema "
        "metadata_must_be_sent_from_app",
        _Meaning(PayloadRejected),
    ),
    **_all(
        "deprecated_endpoint method_deprecated unknown_method",
        _Meaning(PermanentError, "check api_url, or update the router"),
    ),
    # The router has a bug, or the word is about something that it never sends: files, drafts, Slack Connect.
    **_all(
        "invalid_arg_name invalid_arguments invalid_array_arg invalid_charset invalid_form_data invalid_post_type "
        "missing_post_type as_user_not_supported send_on_behalf_not_allowed duplicate_channel_not_found "
        "duplicate_message_not_found missing_file_data max_file_sharing_exceeded unable_to_share_files "
        "blocked_file_type",
        _Meaning(PermanentError, "please report this"),
    ),
}
_CHANNEL_LOST = frozenset({"channel_not_found", "not_in_channel", "is_archived", "is_inactive"})
"""Errors about the channel that is remembered; another one may be configured by now."""
_NO_BROADCAST = frozenset({"cant_broadcast_message", "no_dual_broadcast_content_update"})


class Bot:
    """An app in a Slack workspace, which posts to one channel. Several channels may have the same token."""

    def __init__(self, options: Mapping[str, str]) -> None:
        """Checks the options.

        Args:
            options: `token`, `channel` (preferably its id), and perhaps `api_url`.

        Raises:
            KeyError: an option is missing.
            ValueError: an option is wrong.
        """
        token, self._channel = options["token"], options["channel"]
        if "webhook_url" in options:
            raise ValueError("webhook_url and token exclude each other: remove one of them")
        if token.startswith(("xapp-", "xoxp-", "xoxe.xoxp-", "https:")):
            raise ValueError("token must be the app's bot token, which starts with xoxb-")
        if re.search(r"[\s/]", self._channel):
            raise ValueError("channel must be the channel's id, such as C0123456789: it is at the end of its details")
        self._api = f"{options.get('api_url', API_URL).rstrip('/')}/"
        self._headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json; charset=utf-8"}
        self._id = self._channel  # as in the last answer: only posting resolves a channel's name

    # --- render -------------------------------------------------------------------------------------------------------

    def payload(
        self,
        message: Mapping[str, Any],
        notification: Notification,
        lay_out: Callable[[Notification], Mapping[str, Any]],
        *,
        plain: bool = False,
    ) -> dict[str, Any]:
        """The payload: the message, and in `address` which message to edit, where to reply, and what to look for.

        Args:
            lay_out: makes the message of another notification.
            plain: without metadata, in case Slack rejects that.
        """
        incident = {"incident": notification.incident.id, "revision": notification.revision}
        event_type = _BUNDLE if notification.bundled else _INCIDENT
        address: dict[str, Any] = {**incident, "event_type": event_type}
        if thread := self._thread(notification.remote):
            address |= {"thread": thread, "broadcast": notification.reason in {"worse", "returned"}}
        if notification.in_doubt and not notification.bundled:
            address["since"] = f"{max(0.0, notification.incident.opened_at - _CLOCKS_DIFFER):.6f}"
        if members := self._members(notification, lay_out, plain=plain):
            address["members"] = members
        metadata = {} if plain else {"metadata": {"event_type": event_type, "event_payload": incident}}
        return {**message, "parse": "none", **metadata, "address": address}

    def _members(
        self, notification: Notification, lay_out: Callable[[Notification], Mapping[str, Any]], *, plain: bool
    ) -> list[dict[str, Any]]:
        """The payloads about a bundle's incidents that have a root of their own: it is edited, and nobody notified."""
        roots = [member for member in notification.remembered if (self._thread(member.remote) or {}).get("edit")]
        return [self.payload(lay_out(member), member, lay_out, plain=plain) for member in roots[:_UPDATED_OF_A_BUNDLE]]

    def _thread(self, remote: Mapping[str, str]) -> dict[str, Any] | None:
        """Where the incident continues, and whether that message is its own root; None if it starts with a new message.

        A message in another channel does not count: the configuration names a new one.
        """
        if not (remote.get("channel") and remote.get("ts")) or remote.get("to") != self._channel:
            return None
        return {"channel": remote["channel"], "ts": remote["ts"], "edit": "bundle" not in remote}

    # --- send ---------------------------------------------------------------------------------------------------------

    def send(self, payload: Mapping[str, Any]) -> Mapping[str, str]:
        """Edits the remembered message, then posts. Returns what to remember: the message where the incident continues.

        Raises:
            RemoteGone, PayloadRejected, PermanentError, TransientError: see `_ERRORS`.
        """
        message, address = _without_address(payload), payload["address"]
        self._update_members(address.get("members", ()))
        if thread := address.get("thread"):
            return self._continue(thread, message, address)
        if "since" in address and (adopted := self._adopt(message, address)):
            return adopted
        return self._remember(self._call("chat.postMessage", {"channel": self._channel, **message}), address)

    def _update_members(self, members: Any) -> None:
        """Edits the roots of a bundle's incidents. An edit that is refused does not hold back the bundle."""
        end = time.monotonic() + _UPDATES_END
        for member in members:
            try:
                self._update(member["address"]["thread"], _without_address(member))
            except PermanentError as error:
                log.warning("the message about %s stays as it is: %s", member["address"]["incident"], error)
            except TransientError as error:
                if error.status != _TOO_MANY:
                    raise
                return
            if time.monotonic() > end:
                return

    def _continue(
        self, thread: Mapping[str, Any], message: Mapping[str, Any], address: Mapping[str, Any]
    ) -> Mapping[str, str]:
        """Edits first, since that can be repeated; then replies, unless an earlier attempt has done so."""
        if thread["edit"]:
            self._update(thread, message)
        if "since" in address and self._has_replied(thread, message, address):
            return self._memory(thread["channel"], thread["ts"], bundle=not thread["edit"])
        return self._reply(thread, message, address)

    def _update(self, thread: Mapping[str, Any], message: Mapping[str, Any]) -> None:
        """Replaces all of the message: Slack keeps attachments, and sometimes blocks, that an update leaves out."""
        arguments = {name: value for name, value in message.items() if name not in _NOT_FOR_UPDATES}
        place = {"channel": thread["channel"], "ts": thread["ts"]}
        self._call("chat.update", {"blocks": [], "attachments": [], **arguments, **place}, remembered=True)

    def _reply(
        self, thread: Mapping[str, Any], message: Mapping[str, Any], address: Mapping[str, Any]
    ) -> Mapping[str, str]:
        """Replies in the thread. If the root was deleted just before, Slack makes a new message of the reply."""
        arguments = {**message, "channel": thread["channel"], "thread_ts": thread["ts"]}
        if address.get("broadcast"):
            try:
                answer = self._call("chat.postMessage", {**arguments, "reply_broadcast": True}, remembered=True)
            except PermanentError as error:
                if error.answer not in _NO_BROADCAST:
                    raise
                answer = self._call("chat.postMessage", arguments, remembered=True)
        else:
            answer = self._call("chat.postMessage", arguments, remembered=True)
        shown = answer.get("message")
        if isinstance(shown, dict) and "ts" in shown and "thread_ts" not in shown:
            return self._memory(thread["channel"], str(answer.get("ts")))
        return self._memory(thread["channel"], thread["ts"], bundle=not thread["edit"])

    def _remember(self, answer: Mapping[str, Any], address: Mapping[str, Any]) -> Mapping[str, str]:
        """What to remember of a new message. The answer has "…" in place of an id that the call contained."""
        channel = answer.get("channel")
        if isinstance(channel, str) and re.fullmatch("[A-Z0-9]+", channel):
            self._id = channel
        return self._memory(self._id, str(answer.get("ts", "")), bundle=address["event_type"] == _BUNDLE)

    def _memory(self, channel: str, ts: str, *, bundle: bool = False) -> Mapping[str, str]:
        memory = {"channel": channel, "ts": ts, "to": self._channel}
        return {**memory, "bundle": "yes"} if bundle else memory

    # --- after an attempt whose outcome is unknown --------------------------------------------------------------------

    def _adopt(self, message: Mapping[str, Any], address: Mapping[str, Any]) -> Mapping[str, str] | None:
        """What to remember of the root that an earlier attempt has posted; None if it has posted none.

        Anybody can post such metadata, but only our own messages can be edited: so it is edited in any case.
        """
        place = {"channel": self._id, "oldest": address["since"]}
        for candidate in self._search("conversations.history", place, address):
            if candidate.get("thread_ts", candidate["ts"]) != candidate["ts"]:
                continue  # a reply that is shown in the channel
            thread = {"channel": self._id, "ts": candidate["ts"], "edit": True}
            try:
                if _revision(candidate) != address["revision"]:
                    return self._continue(thread, message, {**address, "broadcast": True})
                self._update(thread, message)
            except RemoteGone:
                continue
            return self._memory(self._id, candidate["ts"])
        return None

    def _has_replied(self, thread: Mapping[str, Any], message: Mapping[str, Any], address: Mapping[str, Any]) -> bool:
        place = {"channel": thread["channel"], "ts": thread["ts"], "oldest": address["since"]}
        for candidate in self._search("conversations.replies", place, address):
            if (
                _revision(candidate) == address["revision"]
                and candidate["ts"] != thread["ts"]
                and "thread_ts" in candidate
            ):
                try:
                    self._update({"channel": thread["channel"], "ts": candidate["ts"]}, message)
                except RemoteGone:
                    continue
                return True
        return False

    def _search(self, method: str, place: Mapping[str, str], address: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
        """The messages about this incident. None if the app may not read the channel; then it is posted twice."""
        try:
            yield from self._messages(method, place, address)
        except PermanentError as error:
            log.warning("cannot look for a message that may have arrived, so it may arrive twice: %s", error)

    def _messages(
        self, method: str, place: Mapping[str, str], address: Mapping[str, Any]
    ) -> Iterator[Mapping[str, Any]]:
        cursor = ""
        for _ in range(_PAGES):
            arguments = {**place, "limit": str(_PAGE), "include_all_metadata": "true"}
            arguments |= {"cursor": cursor} if cursor else {}
            # Reading methods are documented with a query; some take JSON as well.
            answer = self._call(f"{method}?{urlencode(arguments)}", arguments)
            for candidate in answer.get("messages") or ():
                if (
                    isinstance(candidate, dict)
                    and isinstance(candidate.get("ts"), str)
                    and _is_about(candidate, address)
                ):
                    yield candidate
            cursor = (answer.get("response_metadata") or {}).get("next_cursor") or ""
            if not cursor:
                return

    # --- calls --------------------------------------------------------------------------------------------------------

    def _call(self, method: str, arguments: Mapping[str, Any], *, remembered: bool = False) -> Mapping[str, Any]:
        """Calls a method once. `remembered`: about a message that is remembered, so its channel may be gone, too."""
        failure: TransientError | PermanentError
        try:
            response = post_json(f"{self._api}{method}", arguments, headers=self._headers, answer_limit=_ANSWER_LIMIT)
        except (TransientError, PermanentError) as error:
            failure = _by_status(error, remembered=remembered)
        else:
            answer = _parsed(response.text)
            if answer.get("ok") is True:
                return answer
            failure = _by_word(str(answer.get("error", "")), remembered=remembered)
        raise failure  # outside of `except`, so that its context holds no other error


_TOO_MANY = 429


def _without_address(payload: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in payload.items() if name != "address"}


def _is_about(message: Mapping[str, Any], address: Mapping[str, Any]) -> bool:
    metadata = message.get("metadata")
    if not isinstance(metadata, dict) or metadata.get("event_type") != address["event_type"]:
        return False
    payload = metadata.get("event_payload")
    return isinstance(payload, dict) and payload.get("incident") == address["incident"]


def _revision(message: Mapping[str, Any]) -> Any:
    return message["metadata"]["event_payload"].get("revision")


def _parsed(text: str) -> Mapping[str, Any]:
    try:
        answer = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return answer if isinstance(answer, dict) else {}


def _by_word(word: str, *, remembered: bool) -> TransientError | PermanentError:
    """The error for a word. An unknown one is permanent, so that nothing is sent again and again for a day."""
    if not re.fullmatch("[a-z0-9_]{1,100}", word):
        return PermanentError("Slack did not answer ok: check api_url", status=200)
    meaning = _ERRORS.get(word, _Meaning(PermanentError))
    text = f"Slack answered {word}"
    if remembered and word in _CHANNEL_LOST:
        return RemoteGone(text, status=200, answer=word)
    text = f"{text}: {meaning.advice}" if meaning.advice else text
    status = None if meaning.unknown else meaning.status
    if issubclass(meaning.error, TransientError):
        return meaning.error(text, retry_after=meaning.retry_after, status=status, answer=word)
    return meaning.error(text, status=status, answer=word)


def _by_status(error: TransientError | PermanentError, *, remembered: bool) -> TransientError | PermanentError:
    """The error for an answer that is not a success. After a 5xx, Slack may have done it nevertheless."""
    word = _parsed(error.answer).get("error")
    if isinstance(word, str) and word in _ERRORS and error.status != _TOO_MANY:
        return _by_word(word, remembered=remembered)
    if isinstance(error, TransientError) and error.status not in {None, _TOO_MANY}:
        return TransientError(str(error), retry_after=error.retry_after, answer=error.answer)
    return error
