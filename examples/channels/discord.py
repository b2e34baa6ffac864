"""Discord, through a webhook: one message per incident, which is edited as the incident develops.

Nobody is notified of an edit. So an incident that gets worse, or returns, is a new message, edited from then on.

https://docs.discord.com/developers/resources/webhook and https://docs.discord.com/developers/resources/message.
"""

import json
import re
from collections.abc import Callable
from typing import Any

from router import (
    ChannelConfig,
    Message,
    Notification,
    Option,
    PayloadRejected,
    PermanentError,
    RemoteGone,
    hookimpl,
    post_json,
)

# Characters. A title may have 256, a description 4,096, and all embeds of a message together 6,000.
_TITLE, _TEXT, _LOG, _FACT_COUNT, _LABEL, _VALUE, _MENTION = 250, 2000, 1000, 8, 40, 150, 200
_LINK_COUNT, _LINK_LABEL, _URL = 3, 50, 500
_COLOURS = {"critical": 0xB3001B, "error": 0xE8590C, "warning": 0xF2C037, "info": 0x3B82F6}
_RESOLVED = 0x2EB67D
_UNKNOWN_MESSAGE, _BAD_REQUEST = 10008, 400  # Discord's code, and the HTTP status for what it finds invalid


class Discord:
    """Options: `webhook_url`, the secret URL of a webhook; with `?thread_id=…` for a thread."""

    options = (Option("webhook_url", required=True, secret=True, description="URL of a webhook."),)
    secret_options = ("webhook_url",)
    limit, limit_unit = 6_000, "characters"  # of all texts of the embeds together
    threads = True
    budget = (5, 2.0)  # what Discord usually grants a webhook; its headers say what it grants this one

    def __init__(self, config: ChannelConfig) -> None:
        self._url, _, self._query = config.options["webhook_url"].partition("?")
        if not re.search(r"/api/(v[0-9]+/)?webhooks/[^/]+/[^/]+$", self._url):
            raise ValueError("webhook_url must look like https://discord.com/api/webhooks/…/…")

    def render(self, notification: Notification) -> dict[str, Any]:
        """One embed, and the message to edit. Only `content` notifies people, and only in a new message."""
        message, incident = notification.message, notification.incident
        over = notification.kind == "resolved"
        title = f"{message.status}: {message.headline}" if message.status else message.title
        embed = {
            "title": _literal(title, _TITLE) or incident.id,
            "description": _description(message),
            "color": _RESOLVED if over else _COLOURS[notification.alert.severity],
            "fields": [
                {"name": name, "value": text, "inline": True}
                for label, value in message.facts[:_FACT_COUNT]
                if (name := _literal(label, _LABEL)) and (text := _literal(value, _VALUE))
            ],
            "footer": {"text": incident.id},
        }
        return self._message(notification, notification.mention[:_MENTION], [embed])

    def render_plain(self, notification: Notification) -> dict[str, Any]:
        """One line."""
        line = f"{notification.message.title[:_TITLE]} ({notification.incident.id})"
        return self._message(notification, _literal(line, 2 * _TITLE), [])

    def _message(self, notification: Notification, content: str, embeds: list[dict[str, Any]]) -> dict[str, Any]:
        """With all fields: an edit keeps those that it leaves out, but for `allowed_mentions`."""
        is_new = notification.bundled or notification.reason in {"worse", "returned"}
        mentioned = ["everyone", "roles", "users"] if embeds and content else []
        body = {"content": content, "embeds": embeds, "allowed_mentions": {"parse": mentioned}}
        return {"body": body, "edits": "" if is_new else notification.remote.get("message_id", "")}

    def send(self, payload: dict[str, Any]) -> dict[str, str] | None:
        """Posts or edits. Without `wait`, Discord answers 204 even if it does not keep the message."""
        url = f"{self._url}/messages/{payload['edits']}" if payload["edits"] else self._url
        query = "&".join(filter(None, (self._query, "" if payload["edits"] else "wait=true")))
        try:
            response = post_json(
                f"{url}?{query}" if query else url, payload["body"], method="PATCH" if payload["edits"] else "POST"
            )
        except PermanentError as error:
            failure = _by_code(error)
        else:
            if payload["edits"]:
                return None  # the id that is remembered stays
            if isinstance(identity := _field(response.text, "id"), str):
                return {"message_id": identity}
            failure = PermanentError("Discord did not answer with the message", status=response.status)
        raise failure  # outside of `except`, so that its context holds no other error


def _by_code(error: PermanentError) -> PermanentError:
    kind = PayloadRejected if error.status == _BAD_REQUEST else PermanentError
    if _field(error.answer, "code") == _UNKNOWN_MESSAGE:
        kind = RemoteGone  # somebody deleted it
    return kind(str(error), status=error.status, answer=error.answer)


def _field(body: str, name: str) -> object:
    try:
        fields = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return fields.get(name) if isinstance(fields, dict) else None


def _description(message: Message) -> str:
    """What happened, why and what to do; the pages to open; the log."""
    links = [
        f"[{_literal(label, _LINK_LABEL) or 'link'}]({url.replace('(', '%28').replace(')', '%29')})"
        for label, url in message.links[:_LINK_COUNT]
        if len(url) <= _URL
    ]
    log = message.log_excerpt.strip()[-_LOG:].replace("`", "\N{MODIFIER LETTER GRAVE ACCENT}")
    parts = [_literal(message.text, _TEXT), " · ".join(links), f"```\n{log}\n```" if log else ""]
    return "\n\n".join(filter(None, parts))


def _literal(text: str, limit: int) -> str:
    """At most `limit` characters, escaped so that they format nothing and mention nobody."""
    escaped = re.sub(r"([\\`*_~|>#\[\]()<:@+-])", r"\\\1", text[:limit].strip())
    return escaped if len(escaped) <= limit else escaped[: limit - 1].rstrip("\\") + "…"


@hookimpl
def register_channels(register: Callable[[str, type[Discord]], None]) -> None:
    register("discord", Discord)
