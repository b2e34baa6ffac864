"""Draws messages side by side as an HTML page, close to what recipients see.

This module draws Slack blocks, mail and PagerDuty events itself. The official renderer (npm `adaptivecards`) draws
Teams cards. Payloads of other kinds are shown as text.
"""

import html
import json
import re
from base64 import b64encode
from collections.abc import Callable, Iterable, Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

from router.cli.preview import lines
from router.text.characters import visible

HERE = Path(__file__).parent
RENDERER = HERE.parents[1] / "node_modules/adaptivecards/dist/adaptivecards.min.js"

Payload = Mapping[str, Any]
_text = html.escape
_MARKUP = re.compile(
    r"<(?P<url>https?://[^|<>]+)(?:\|(?P<label>[^<>]*))?>"
    r"|```\n?(?P<fence>.*?)\n?```|`(?P<code>[^`\n]+)`|\*(?P<bold>[^*\n]+)\*",
    re.DOTALL,
)


class Drawing(NamedTuple):
    """One message.

    Attributes:
        caption: the channel and the size of the message.
        error: the reason why there is no message, or "".
    """

    caption: str
    kind: str
    payload: Payload
    error: str = ""


class Story(NamedTuple):
    """One event, the decision about it, and its messages."""

    title: str
    verdict: str
    drawings: Sequence[Drawing]


def page(stories: Iterable[Story]) -> str:
    """The HTML page. Its content policy blocks all requests, and all scripts but its own."""
    body = "\n".join(_section(story) for story in stories)
    scripts = [path.read_text("utf-8") for path in (RENDERER, HERE / "page.js") if RENDERER.is_file()]
    allowed = [f"'sha256-{b64encode(sha256(script.encode()).digest()).decode()}'" for script in scripts] or ["'none'"]
    policy = f"default-src 'none'; style-src 'unsafe-inline'; img-src data:; script-src {' '.join(allowed)}"
    return "\n".join(
        [
            '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{_text(policy)}">',
            f"<title>ecs-alert-router</title>\n<style>\n{(HERE / 'page.css').read_text('utf-8')}</style>\n</head>",
            f"<body>\n{body}",
            *(f"<script>{script}</script>" for script in scripts),
            "</body>\n</html>\n",
        ]
    )


def _section(story: Story) -> str:
    order = [*_KINDS]
    drawings = sorted(
        story.drawings, key=lambda drawing: order.index(drawing.kind) if drawing.kind in order else len(order)
    )
    drawn = "\n".join(map(_figure, drawings)) or "<p>No message is sent.</p>"
    return (
        f'<section>\n<h1>{_text(visible(story.title))}</h1>\n<p class="verdict">{_text(visible(story.verdict))}</p>\n'
        f'<div class="messages">\n{drawn}\n</div>\n</section>'
    )


def _figure(drawing: Drawing) -> str:
    if drawing.error:
        drawn = f'<p class="wrong">{_text(visible(drawing.error))}</p>'
    else:
        drawn = _KINDS.get(drawing.kind, _plain)(drawing.payload)
    return (
        f'<figure><figcaption>{_text(visible(drawing.caption))}</figcaption><div class="drawn">{drawn}</div></figure>'
    )


def _plain(payload: Payload) -> str:
    return f"<pre>{_text(chr(10).join(lines(payload)))}</pre>"


def _link(url: str, label: str) -> str:
    href = _text(url) if url.startswith("https://") else ""
    return f'<a href="{href}">{_text(label)}</a>'


# --- Slack ------------------------------------------------------------------------------------------------------------


def _slack(payload: Payload) -> str:
    attachments = "".join(
        f'<div class="bar" style="border-color:{_colour(attachment)}">{_blocks(attachment)}</div>'
        for attachment in payload.get("attachments", [])
    )
    blocks = _blocks(payload) or _mrkdwn(payload.get("text", ""))
    sender = '<div class="from">ecs-alert-router<small>APP</small></div>'
    return f'<div class="slack">{sender}{blocks}{attachments}</div>'


def _colour(attachment: Payload) -> str:
    stated = str(attachment.get("color", ""))
    return stated if re.fullmatch("#[0-9a-fA-F]{6}", stated) else "#dddddd"


def _blocks(holder: Payload) -> str:
    return "".join(_block(block) for block in holder.get("blocks", []))


def _block(block: Payload) -> str:
    elements = block.get("elements", [])
    match block["type"]:
        case "header":
            return f"<h2>{_text(block['text']['text'])}</h2>"
        case "context":
            return f'<div class="block context">{" ".join(_mrkdwn(element["text"]) for element in elements)}</div>'
    text = f"<div>{_mrkdwn(block['text']['text'])}</div>" if "text" in block else ""
    fields = "".join(f"<div>{_mrkdwn(field['text'])}</div>" for field in block.get("fields", []))
    return f'<div class="block">{text}{fields and f"""<div class="fields">{fields}</div>"""}</div>'


def _mrkdwn(text: str) -> str:
    """Slack's mrkdwn: links, `*bold*`, code, code blocks, and three escaped characters."""
    drawn, position = [], 0
    for match in _MARKUP.finditer(text):
        drawn += [_lines(text[position : match.start()]), _marked(match)]
        position = match.end()
    return "".join([*drawn, _lines(text[position:])])


def _marked(match: re.Match[str]) -> str:
    if url := match["url"]:
        return _link(html.unescape(url), html.unescape(match["label"] or url))
    if match["fence"] is not None:
        return f"<pre>{_text(html.unescape(match['fence']))}</pre>"
    if match["code"]:
        return f"<code>{_text(html.unescape(match['code']))}</code>"
    return f"<b>{_text(html.unescape(match['bold']))}</b>"


def _lines(text: str) -> str:
    return _text(html.unescape(text)).replace("\n", "<br>")


# --- other kinds ------------------------------------------------------------------------------------------------------


def _teams(payload: Payload) -> str:
    card = payload["attachments"][0]["content"]
    data = json.dumps(card).replace("<", "\\u003c")  # so that nothing in it can end the script element
    script = f'<script type="application/json">{data}</script>'
    return f'<div class="teams">{script}<div class="card">{_plain(card)}</div></div>'


def _mail(payload: Payload) -> str:
    return (
        f'<div class="mail"><h2>{_text(payload["Subject"])}</h2>'
        f'<div class="from">AWS Notifications &lt;no-reply@sns.amazonaws.com&gt;</div>'
        f"<pre>{_text(payload['Message'])}</pre></div>"
    )


def _html_mail(payload: Payload) -> str:
    """A mail in a frame of its own, in which no script runs, as in a mail client."""
    shown = payload.get("html") or f"<pre>{_text(payload['text'])}</pre>"
    return (
        f'<div class="mail"><h2>{_text(payload["subject"])}</h2>'
        '<iframe sandbox="" title="mail" style="border:0;height:640px;width:100%" '
        f'srcdoc="{_text(shown)}"></iframe></div>'
    )


def _pagerduty(payload: Payload) -> str:
    content = payload.get("payload", {})
    if not content:
        return f'<div class="pagerduty"><h2>Resolved</h2><span class="tag">{_text(payload["dedup_key"])}</span></div>'
    severity = f'<span class="tag {_text(content["severity"])}">{_text(content["severity"])}</span>'
    tags = severity + "".join(
        f'<span class="tag">{name}: {_text(str(content[name]))}</span>'
        for name in ("class", "component", "group", "source")
        if name in content
    )
    details = content.get("custom_details", {})
    rows = "".join(f"<tr><td>{_text(name)}</td><td>{_text(str(value))}</td></tr>" for name, value in details.items())
    links = "".join(f"<li>{_link(link['href'], link['text'])}</li>" for link in payload.get("links", []))
    return (
        f'<div class="pagerduty"><h2>{_text(content["summary"])}</h2>{tags}<table>{rows}</table><ul>{links}</ul></div>'
    )


_KINDS: Mapping[str, Callable[[Payload], str]] = {
    "slack": _slack,
    "teams": _teams,
    "sns": _mail,
    "ses": _html_mail,
    "pagerduty": _pagerduty,
}
