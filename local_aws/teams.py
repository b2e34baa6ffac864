"""A stand-in for a Teams workflow on loopback: it accepts what the trigger accepts, and posts what Teams can show.

A workflow answers 202 before it posts, so the sender never learns that a post failed. `failed_runs` has those posts.
Rules: https://learn.microsoft.com/connectors/teams and https://adaptivecards.io/explorer.
"""

import json
import re
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qs, urlsplit

from local_aws.webhook import Received, WebhookDouble

# The form of the URLs that workflows have today; a dummy secret.
_PATH = "/powerautomate/automations/direct/workflows/0123456789abcdef0123456789abcdef/triggers/manual/paths/invoke"
_QUERY = "?api-version=1&sp=%2Ftriggers%2Fmanual%2Frun&sv=1.0&sig=XXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXX"
# Bytes. A post may have 28 KB, envelope included, which was seen to be 4,444 (MicrosoftDocs/msteams-docs issue 11274).
_POST, _ENVELOPE = 28_672, 4_444
_CARD = "application/vnd.microsoft.card.adaptive"
_STYLES = {"default", "emphasis", "good", "attention", "warning", "accent"}
_MOST_ACTIONS = 6


class TeamsDouble(WebhookDouble):
    """`received`: the cards that were posted. `failed_runs`: the reasons why others were not."""

    path = _PATH

    def __init__(self) -> None:
        super().__init__()
        self._failed_runs: list[str] = []

    @property
    def webhook_url(self) -> str:
        return f"{self.host}{_PATH}{_QUERY}"

    @property
    def failed_runs(self) -> list[str]:
        """The run history's errors for requests that were accepted but could not be posted."""
        with self._changed:
            return list(self._failed_runs)

    def judge(self, path: str, headers: Mapping[str, str], body: bytes) -> tuple[int, str]:
        return judge(path, headers, body)

    def accepts(self, status: int, body: str) -> bool:
        del body  # an accepted request's answer is empty, or anything the workflow's author chose
        return status in {200, 202}

    def arrive(self, message: Received) -> None:
        if problem := unpostable(message.payload):
            self._failed_runs.append(problem)
        else:
            super().arrive(message)


# --- the trigger ------------------------------------------------------------------------------------------------------


def judge(path: str, headers: Mapping[str, str], body: bytes) -> tuple[int, str]:
    """Status and body of the trigger's answer to a post."""
    parts = urlsplit(path)
    if parts.path != _PATH:
        return _refuse(404, "WorkflowNotFound", "The workflow could not be found.")
    if "sig" not in parse_qs(parts.query) or any(name.lower() == "authorization" for name in headers):
        return _refuse(401, "DirectApiAuthorizationRequired", "The request must be authenticated by its 'sig' alone.")
    try:
        payload = json.loads(body)
    except ValueError:
        return _refuse(400, "InvalidRequestContent", "The request content is not valid JSON.")
    attachments = payload.get("attachments") if isinstance(payload, dict) else None
    if not isinstance(attachments, list) or payload.get("type") != "message":
        return _refuse(400, "TriggerInputSchemaMismatch", "The input body does not match the trigger's schema.")
    return 202, ""


def _refuse(status: int, code: str, message: str) -> tuple[int, str]:
    return status, json.dumps({"error": {"code": code, "message": message}})


# --- the post ---------------------------------------------------------------------------------------------------------


def unpostable(payload: Mapping[str, Any]) -> str:
    """Why the workflow could not post this, or ""."""
    size = len(json.dumps(payload, ensure_ascii=False, separators=(",", ":")).encode(errors="replace"))
    if size + _ENVELOPE > _POST:
        return f"MessageSizeExceeded: {size + _ENVELOPE} of {_POST} bytes"
    attachments = payload.get("attachments") or [None]
    return next(filter(None, map(_attachment, attachments)), "")


def _attachment(attachment: Any) -> str:
    if not isinstance(attachment, dict) or attachment.get("contentType") != _CARD:
        return "not an adaptive card"
    return _card(attachment.get("content"))


def _card(card: Any) -> str:
    if not isinstance(card, dict) or card.get("type") != "AdaptiveCard":
        return "content is not an AdaptiveCard"
    if not re.fullmatch(r"1\.[0-5]", str(card.get("version"))):
        return f"version {card.get('version')} is not one that Teams shows"
    actions = card.get("actions", [])
    if len(actions) > _MOST_ACTIONS:
        return f"{len(actions)} actions are more than Teams shows"
    if not card.get("body"):
        return "a card without a body"
    return _first_problem([*card["body"], *actions])


def _first_problem(elements: Any) -> str:
    if not isinstance(elements, list) or not elements:
        return "a container without elements"
    return next(filter(None, map(_element, elements)), "")


def _element(element: Any) -> str:
    rule = _RULES.get(str(element.get("type"))) if isinstance(element, dict) else None
    return rule(element) if rule else f"not an element that the trigger's cards may have: {str(element)[:80]}"


def _text_block(element: Mapping[str, Any]) -> str:
    text = element.get("text")
    return "" if isinstance(text, str) and text.strip() else "a TextBlock without text"


def _container(element: Mapping[str, Any]) -> str:
    style = element.get("style", "default")
    return _first_problem(element.get("items")) if style in _STYLES else f"no such style: {style}"


def _fact_set(element: Mapping[str, Any]) -> str:
    facts = element.get("facts")
    named = isinstance(facts, list) and facts and all(_is_fact(fact) for fact in facts)
    return "" if named else "a FactSet needs facts with a title and a value"


def _is_fact(fact: Any) -> bool:
    return isinstance(fact, dict) and all(isinstance(fact.get(key), str) and fact[key] for key in ("title", "value"))


def _open_url(element: Mapping[str, Any]) -> str:
    url = re.fullmatch(r"https?://[!-~]+", str(element.get("url", "")))
    return "" if url and element.get("title") else "an Action.OpenUrl needs a title and an absolute URL"


_RULES: Mapping[str, Callable[[Mapping[str, Any]], str]] = {
    "TextBlock": _text_block,
    "Container": _container,
    "FactSet": _fact_set,
    "Action.OpenUrl": _open_url,
}
