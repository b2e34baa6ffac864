"""A stand-in for hooks.slack.com on loopback: it accepts what Slack accepts, and rejects with Slack's error texts.

For the demo and the tests. Rules: https://docs.slack.dev/reference/block-kit/blocks and the error words of
https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from local_aws.webhook import WebhookDouble

# The same form as the example in Slack's own documentation; a dummy secret.
_PATH = "/services/T00000000/B00000000/XXXXXXXXXXXXXXXXXXXXXXXX"
_PATH_FORM = re.compile(r"/services/T[A-Z0-9]{8,}/B[A-Z0-9]{8,}/[A-Za-z0-9]{20,}")
_TOTAL_TEXT = 13_200  # characters of all blocks; Slack does not publish the figure (slackapi/bolt-js issue 2509)


class SlackDouble(WebhookDouble):
    """Accepts what Slack accepts: `received` are the messages that it would have posted."""

    content_type = "text/html"

    @property
    def webhook_url(self) -> str:
        return f"{self.host}{_PATH}"

    def judge(self, path: str, headers: Mapping[str, str], body: bytes) -> tuple[int, str]:
        del headers  # Slack reads the body as JSON whatever its content type
        return judge(path, body)

    def accepts(self, status: int, body: str) -> bool:
        return (status, body) == (200, "ok")


def judge(path: str, body: bytes) -> tuple[int, str]:
    """Status and body of Slack's answer to a post."""
    if not _PATH_FORM.fullmatch(path):
        return 404, "no_service"
    try:
        payload = json.loads(body)
    except ValueError:
        return 400, "invalid_payload"
    if not isinstance(payload, dict):
        return 400, "invalid_payload"
    problem = layout_problem(payload)
    return (400, problem) if problem else (200, "ok")


def layout_problem(payload: Mapping[str, Any]) -> str:
    """Slack's error code for an invalid payload, or ""."""
    attachments = payload.get("attachments") or []
    if not (payload.get("text") or payload.get("blocks") or attachments):
        return "no_text"
    if len(attachments) > 100:  # noqa: PLR2004 - the limits in this file are those of Slack's documentation
        return "too_many_attachments"
    groups = [payload.get("blocks") or [], *(attachment.get("blocks") or [] for attachment in attachments)]
    if any(len(group) > 50 or not all(map(_valid, group)) for group in groups):  # noqa: PLR2004
        return "invalid_blocks"
    return "msg_blocks_too_long" if sum(map(len, _texts(groups))) > _TOTAL_TEXT else ""


def _valid(block: Any) -> bool:
    rule = _RULES.get(str(block.get("type"))) if isinstance(block, dict) else None
    return rule is not None and rule(block) and len(block.get("block_id", "")) <= 255  # noqa: PLR2004


def _header(block: Mapping[str, Any]) -> bool:
    return _text(block.get("text"), 150, ("plain_text",))


def _section(block: Mapping[str, Any]) -> bool:
    fields = block.get("fields", [])
    if not fields:
        return _text(block.get("text"), 3000)
    return len(fields) <= 10 and all(_text(item, 2000) for item in fields)  # noqa: PLR2004


def _context(block: Mapping[str, Any]) -> bool:
    elements = block.get("elements", [])
    return 1 <= len(elements) <= 10 and all(_text(item, 3000) for item in elements)  # noqa: PLR2004


def _actions(block: Mapping[str, Any]) -> bool:
    elements = block.get("elements", [])
    return 1 <= len(elements) <= 25 and all(map(_button, elements))  # noqa: PLR2004


def _button(element: Any) -> bool:
    url = element.get("url", "")
    named = element.get("type") == "button" and _text(element.get("text"), 75, ("plain_text",))
    return named and len(url) <= 3000 and re.fullmatch(r"(https?://\S+)?", url) is not None  # noqa: PLR2004


def _text(value: Any, limit: int, types: tuple[str, ...] = ("plain_text", "mrkdwn")) -> bool:
    return (
        isinstance(value, dict)
        and value.get("type") in types
        and isinstance(value.get("text"), str)
        and 1 <= len(value["text"]) <= limit
    )


_RULES: Mapping[str, Callable[[Mapping[str, Any]], bool]] = {
    "header": _header,
    "section": _section,
    "context": _context,
    "actions": _actions,
    "divider": lambda _: True,
}


def _texts(value: Any) -> Iterator[str]:
    """Every `text` in blocks, at any depth."""
    if isinstance(value, list):
        for item in value:
            yield from _texts(item)
    elif isinstance(value, dict):
        for key, item in value.items():
            if key == "text" and isinstance(item, str):
                yield item
            else:
                yield from _texts(item)
