"""Google Chat, through a webhook of a space: a card for each message, and one thread per incident.

https://developers.google.com/workspace/chat/quickstart/webhooks and
https://developers.google.com/workspace/chat/api/reference/rest/v1/spaces.messages/create.
Webhooks cannot edit messages.
"""

import json
import re
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

from router import ChannelConfig, Message, Notification, Option, PayloadRejected, PermanentError, hookimpl, post_json

# Characters. A message may have 32,000 bytes; an escaped character has up to six.
_TITLE, _TEXT, _LOG, _FACT_COUNT, _LABEL, _VALUE, _STATUS, _MENTION = 200, 1200, 700, 8, 30, 100, 80, 200
_LINK_COUNT, _LINK_LABEL, _URL = 3, 40, 500
_BAD_REQUEST = 400
_ESCAPES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;"})
# Without it, Google Chat ignores the thread.
_REPLY = "messageReplyOption=REPLY_MESSAGE_FALLBACK_TO_NEW_THREAD"


class GoogleChat:
    """Options: `webhook_url`, the secret URL of a space's webhook, with its key and token."""

    limit = 32_000  # bytes
    options = (Option("webhook_url", required=True, secret=True, description="URL of a webhook, with key and token."),)
    secret_options = ("webhook_url",)
    threads = True
    budget = (1, 1.0)  # for a space, shared by all apps in it

    def __init__(self, config: ChannelConfig) -> None:
        self._url = config.options["webhook_url"]
        if not {"key", "token"} <= parse_qs(urlsplit(self._url).query).keys():
            raise ValueError("webhook_url must be the whole URL, …/v1/spaces/…/messages?key=…&token=…")

    def render(self, notification: Notification) -> dict[str, Any]:
        """A card. `text` is marked up and mentions people, so only what the configuration mentions goes there."""
        message, incident = notification.message, notification.incident
        header = {"title": message.status[:_STATUS] or notification.alert.severity.upper(), "subtitle": incident.id}
        card = {"header": header, "sections": [{"widgets": [*_widgets(message)]}]}
        body = {"cardsV2": [{"cardId": incident.id, "card": card}], "fallbackText": message.title[:_TITLE]}
        mention = {"text": notification.mention[:_MENTION]} if notification.mention else {}
        return {**body, **mention, **_thread(notification)}

    def render_plain(self, notification: Notification) -> dict[str, Any]:
        """One line, without any character that marks up."""
        title = re.sub("[*_~`<>|]", " ", notification.message.title[:_TITLE])
        return {"text": f"{title} ({notification.incident.id})", **_thread(notification)}

    def send(self, payload: dict[str, Any]) -> None:
        """Posts the message; Google Chat answers with its name."""
        try:
            response = post_json(f"{self._url}&{_REPLY}", payload)
        except PermanentError as error:
            kind = PayloadRejected if error.status == _BAD_REQUEST else PermanentError
            failure = kind(str(error), status=error.status, answer=error.answer)
        else:
            if _has_name(response.text):
                return
            failure = PermanentError("Google Chat did not answer with the message", status=response.status)
        raise failure  # outside of `except`, so that its context holds no other error


def _thread(notification: Notification) -> dict[str, Any]:
    """The thread of the incident. Its key is the incident's id, so nothing needs to be remembered."""
    return {} if notification.bundled else {"thread": {"threadKey": notification.incident.id}}


def _has_name(body: str) -> bool:
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        return False
    return isinstance(answer, dict) and bool(answer.get("name"))


def _widgets(message: Message) -> Iterator[dict[str, Any]]:
    """The widgets of a card. Their texts are a subset of HTML."""
    title = _escaped((message.headline or message.title).strip()[:_TITLE])
    lines = [f"<b>{title}</b>" if title else "", _escaped(message.text.strip()[:_TEXT])]
    yield {"textParagraph": {"text": "\n".join(filter(None, lines)) or "-"}}
    for label, value in message.facts[:_FACT_COUNT]:
        if value.strip():
            yield {"decoratedText": {"topLabel": _escaped(label[:_LABEL]), "text": _escaped(value[:_VALUE])}}
    if log := message.log_excerpt.strip()[-_LOG:]:
        yield {"textParagraph": {"text": _escaped(log)}}
    buttons = [
        {"text": label[:_LINK_LABEL] or "Open", "onClick": {"openLink": {"url": url}}}
        for label, url in message.links[:_LINK_COUNT]
        if len(url) <= _URL
    ]
    if buttons:
        yield {"buttonList": {"buttons": buttons}}


def _escaped(text: str) -> str:
    return text.translate(_ESCAPES)


@hookimpl
def register_channels(register: Callable[[str, type[GoogleChat]], None]) -> None:
    register("google-chat", GoogleChat)
