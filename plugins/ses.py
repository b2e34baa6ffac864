"""Amazon SES: e-mail in HTML and text, one thread per incident.

Limits, headers and errors: https://docs.aws.amazon.com/ses/latest/APIReference-V2/API_SendEmail.html and
https://docs.aws.amazon.com/ses/latest/dg/header-fields.html.

**Threads.** SES replaces the Message-ID of each mail, so no mail can refer to the one that this channel chose for the
first. So every mail of an incident, the first included, refers to the same id, which no mail has: Gmail and the clients
that read References group by it. Later mails also refer to the id that SES gave to the first, which the channel
remembers. Outlook groups by Thread-Index, which is the same in all of them. Every client also groups by the subject, so
the subject stays the same, except for "Re: ", and what changes, such as the severity, is in the first line.
"""

import base64
import hashlib
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

from router import (
    ChannelConfig,
    Incident,
    Message,
    Notification,
    Option,
    PayloadRejected,
    PermanentError,
    TransientError,
    hookimpl,
)
from router.aws.calls import call
from router.aws.clients import aws_client

_ADDRESS = r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@(?:[A-Za-z0-9-]{1,63}\.)+[A-Za-z0-9-]{2,63}"
_SENDER = rf'(?:"?([^"<>\\]*?)"?\s*<({_ADDRESS})>|({_ADDRESS}))'
_RECIPIENTS = 50  # of one mail
# Characters.
_SUBJECT, _TITLE, _TEXT, _REASON, _HINT, _LOG = 200, 300, 3000, 1500, 1000, 3000
_FACT_COUNT, _LABEL, _VALUE = 20, 60, 300
_LINK_COUNT, _LINK_LABEL, _URL = 6, 100, 1500
_HTML = 95_000  # bytes; Gmail cuts a mail off at about 102 KB
_DAY_QUOTA_PAUSE = 3600.0  # seconds; the quota is that of the last 24 hours

_ERRORS: dict[str, type[TransientError | PermanentError]] = {
    **dict.fromkeys(("MessageRejected", "BadRequestException"), PayloadRejected),
    **dict.fromkeys(("NotFoundException", "MailFromDomainNotVerifiedException"), PermanentError),
    **dict.fromkeys(("LimitExceededException", "SendingPausedException", "AccountSuspendedException"), PermanentError),
}
_ADVICE = {
    "not verified": "verify the address or its domain in SES, in the region of the router; while SES keeps the account "
    "in its sandbox, each recipient too",
    "AccessDenied": "the function may not send from this address: deploy again, so that the deployment permits it",
    "NotFoundException": "SES does not know the identity or its configuration set in the region of the router",
    "MailFromDomainNotVerified": "repair the MX record of the MAIL FROM domain, or take it off the identity",
    "LimitExceeded": "ask AWS for more",
    "SendingPaused": "sending is paused for the account or the configuration set: resume it in SES",
    "AccountSuspended": "AWS has ended the account's sending: SES's reputation dashboard says why",
}

# The colour of the bar. White letters stand out from each, and the bar says in words what it means.
_COLOURS = {"critical": "#b3001b", "error": "#b54708", "warning": "#7a5c00", "info": "#1d4ed8"}
_RESOLVED = "#18794e"
_FONT = "font-family:-apple-system,Segoe UI,Roboto,Helvetica,Arial,sans-serif"  # no quotes: they end the attribute
_MONOSPACE = "font-family:Consolas,Menlo,monospace;white-space:pre-wrap;word-break:break-word"
# Clients that know dark mode take this; Outlook for Windows and Gmail's apps choose colours by themselves.
_STYLE = (
    ":root{color-scheme:light dark;supported-color-schemes:light dark}"
    "@media (prefers-color-scheme:dark){"
    ".page{background:#1b1b1f!important;color:#ececf1!important}"
    ".box{background:#2a2a31!important;color:#ececf1!important}"
    ".muted{color:#b5b5c0!important}a{color:#8ab4f8!important}}"
)
_ESCAPES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;"})


class Ses:
    """Options: `from`, a verified address, with or without a name; `to`, a list of up to 50; `reply_to`, optional."""

    limit = 40_000_000  # bytes; Gmail shows no more than `_HTML`, though
    options = (
        Option("from", required=True, description="Sender: a verified address, or Name <address>."),
        Option("to", required=True, description="List of up to 50 addresses."),
        Option("reply_to", description="Address that answers, and wishes to get no more of these mails, go to."),
    )
    threads = True
    budget = (1, 1.0)  # what an account in the sandbox may send

    def __init__(self, config: ChannelConfig) -> None:
        self._name, self._from = _sender(config.options["from"])
        self._to = _recipients(config.options["to"])
        self._reply_to = _address("reply_to", config.options["reply_to"]) if "reply_to" in config.options else ""
        self._language = config.language

    @cached_property
    def _client(self) -> Any:
        """The client of the router's region, which only the function knows. Only the deliver step retries."""
        return aws_client("sesv2", connect_timeout=3, read_timeout=8, attempts=1)

    def render(self, notification: Notification) -> dict[str, Any]:
        """The mail without its addresses: subject, headers, and the two bodies."""
        return {**self.render_plain(notification), "html": _html(notification, self._language)}

    def render_plain(self, notification: Notification) -> dict[str, Any]:
        """The mail without HTML."""
        subject = _subject(notification)
        reply = "" if notification.reason == "first" or notification.bundled else "Re: "
        return {
            "subject": reply + subject,
            "headers": {
                "Auto-Submitted": "auto-generated",  # no out-of-office replies
                **_thread(notification, subject, self._from.partition("@")[2]),
            },
            "text": "\n\n".join(_text(notification)) + "\n",
        }

    def send(self, payload: dict[str, Any]) -> dict[str, str] | None:
        """Sends the mail; returning means that SES has accepted it, not that it has arrived.

        Returns:
            The id that SES gave to the first mail of the incident.

        Raises:
            PayloadRejected: SES finds the mail invalid, so one of plain text may be accepted.
            PermanentError: an identity is not verified, sending is paused, or the function may not send.
            TransientError: SES throttles, failed or is unreachable, or the day's quota is used up.
        """
        mail = {
            "FromEmailAddress": self._from,
            "Destination": {"ToAddresses": [*self._to]},
            "Content": {"Raw": {"Data": self._mime(payload)}},
        }
        try:
            response = call("SES", self._client.send_email, _ERRORS, **mail)
        except TransientError as error:
            if "Daily message quota" not in error.answer:
                raise
            raise TransientError(
                str(error), retry_after=_DAY_QUOTA_PAUSE, status=error.status, answer=error.answer
            ) from error
        except PermanentError as error:
            raise _with_advice(error) from error
        is_first = " " not in payload["headers"].get("References", " ")
        return {"message_id": self._identity(response["MessageId"])} if is_first else None

    def _identity(self, message_id: str) -> str:
        """The Message-ID that SES gives to a mail."""
        region = self._client.meta.region_name
        host = "email" if region == "us-east-1" else region
        return f"<{message_id}@{host}.amazonses.com>"

    def _mime(self, payload: dict[str, Any]) -> bytes:
        """The mail as it is sent, in ASCII.

        Written by hand, since the email package takes some 20 ms to load, and breaks long ids in References. Everything
        is on a single line already, and what is not ASCII is encoded, so no text can add a header.
        """
        sender = f"{_phrase(self._name)} <{self._from}>" if self._name else self._from
        headers = {"From": sender, "To": ",\r\n ".join(self._to), "Subject": _encoded(payload["subject"])}
        if self._reply_to:
            headers |= {
                "Reply-To": self._reply_to,
                "List-Unsubscribe": f"<mailto:{self._reply_to}?subject=unsubscribe>",
            }
        headers |= {name: _encoded(value).replace("> <", ">\r\n <") for name, value in payload["headers"].items()}
        bodies = [("plain", payload["text"]), *([("html", payload["html"])] if "html" in payload else [])]
        boundary = "=_" + hashlib.blake2b(repr(payload).encode(errors="replace"), digest_size=12).hexdigest()
        lines = [
            *(f"{name}: {value}" for name, value in headers.items()),
            "MIME-Version: 1.0",
            f'Content-Type: multipart/alternative; boundary="{boundary}"',
            "",
            *(line for subtype, body in bodies for line in _part(boundary, subtype, body)),
            f"--{boundary}--",
            "",
        ]
        return "\r\n".join(lines).encode("ascii")


# --- options ----------------------------------------------------------------------------------------------------------


def _address(option: str, value: Any) -> str:
    if not isinstance(value, str) or not re.fullmatch(_ADDRESS, value.strip()):
        raise ValueError(f"{option} must be an address such as alerts@example.com; a domain in its ASCII form (xn--…)")
    return value.strip()


def _sender(value: Any) -> tuple[str, str]:
    """The name, or "", and the address."""
    match = re.fullmatch(_SENDER, value.strip()) if isinstance(value, str) and value.isprintable() else None
    if match is None:
        raise ValueError("from must be an address such as alerts@example.com, or ECS alerts <alerts@example.com>")
    return (match[1] or "").strip(), match[2] or match[3]


def _recipients(value: Any) -> tuple[str, ...]:
    """A list, or one text with commas, as a variable can hold it."""
    addresses = [address for address in value.split(",") if address.strip()] if isinstance(value, str) else value
    if not isinstance(addresses, list | tuple) or not 1 <= len(addresses) <= _RECIPIENTS:
        raise ValueError(f'to must be a list of 1 to {_RECIPIENTS} addresses, as ["ops@example.com"]')
    return tuple(_address("to", address) for address in addresses)


def _with_advice(error: PermanentError) -> PermanentError:
    """The error with what to do about it; then no other layout would help."""
    advice = next((what for sign, what in _ADVICE.items() if sign in error.answer), "")
    return PermanentError(f"{error}: {advice}", status=error.status, answer=error.answer) if advice else error


# --- headers ----------------------------------------------------------------------------------------------------------


def _subject(notification: Notification) -> str:
    """The subject, which all mails of an incident share; a mail about several incidents has its own."""
    message, incident = notification.message, notification.incident
    if notification.bundled:
        return _line(f"[{message.status}] {message.title}")[:_SUBJECT]
    title = _line(message.incident_title) or f"{_line(incident.subject.name) or 'Alert'}: {incident.id}"
    return f"{title[:_SUBJECT]} (#{incident.number})"


def _thread(notification: Notification, subject: str, domain: str) -> dict[str, str]:
    """The headers by which clients put mails into a thread."""
    incident = notification.incident
    if notification.bundled:
        return {}
    root, first = f"<{incident.id}@{domain}>", notification.remote.get("message_id", "")
    return {
        "Message-ID": f"<{incident.id}.{notification.revision}.{notification.kind}@{domain}>",
        "In-Reply-To": first or root,
        "References": f"{root} {first}" if first else root,
        "Thread-Index": _thread_index(incident),
        "Thread-Topic": subject,
    }


def _thread_index(incident: Incident) -> str:
    """Outlook's: the upper six bytes of a Windows time, and a GUID (MS-OXOMSG, section 2.2.1.3)."""
    since_1601 = int((incident.opened_at + 11_644_473_600) * 10_000_000)
    guid = hashlib.blake2b(incident.id.encode(), digest_size=16).digest()
    return base64.b64encode(since_1601.to_bytes(8)[:6] + guid).decode()


def _encoded(text: str) -> str:
    """The text of a header: as it is, or as RFC 2047 encodes it."""
    if text.isascii() and text.isprintable() and "=?" not in text:
        return text
    from email.header import Header  # noqa: PLC0415 - only where it is needed

    return Header(_line(text), "utf-8", header_name="Thread-Topic").encode(linesep="\r\n")


def _phrase(name: str) -> str:
    return f'"{name}"' if name.isascii() else _encoded(name)


def _part(boundary: str, subtype: str, body: str) -> Iterator[str]:
    yield f"--{boundary}"
    yield f"Content-Type: text/{subtype}; charset=utf-8"
    yield "Content-Transfer-Encoding: base64"
    yield ""
    yield from base64.encodebytes(body.encode(errors="replace")).decode().splitlines()


def _line(text: str) -> str:
    """One line of printable characters."""
    line = " ".join(text[:2000].split())
    return (
        line if line.isprintable() else " ".join("".join(char if char.isprintable() else " " for char in line).split())
    )


# --- the text ---------------------------------------------------------------------------------------------------------


def _text(notification: Notification) -> Iterator[str]:
    """The paragraphs. The first line is what an inbox shows beside the subject."""
    message = _bounded(notification)
    labels = message.labels
    yield _heading(message)
    yield from filter(None, (message.lead.strip(), message.reason.strip()))
    if message.hint.strip():
        yield f"=> {message.hint.strip()}"
    yield from filter(None, ("\n".join(f"{label}: {url}" for label, url in message.links), _lines(message.facts)))
    if message.log_excerpt.strip():
        yield f"{labels.log}:\n{message.log_excerpt.rstrip()}"
    yield from filter(None, (_lines(message.details),))
    if not notification.bundled:
        yield f"-- \n{notification.incident.id}"


def _bounded(notification: Notification) -> Message:
    """The message with every text cut to what a mail shows."""
    message = notification.message
    title = _line(message.headline) or _line(message.title) or _line(notification.alert.cause) or "?"
    return replace(
        message,
        title=title[:_TITLE],
        text="\n".join((message.lead[:_TEXT], message.reason[:_REASON], message.hint[:_HINT])),
        reason=message.reason[:_REASON],
        hint=message.hint[:_HINT],
        facts=_pairs(message.facts),
        details=_pairs(message.details),
        links=tuple(
            (_line(label)[:_LINK_LABEL] or url, url)
            for label, url in message.links[:_LINK_COUNT]
            if len(url) <= _URL and url.startswith("https://")
        ),
        log_excerpt=message.log_excerpt[-_LOG:],
        status=_line(message.status)[:_LABEL],
        labels=message.labels._replace(
            hint=_line(message.labels.hint)[:_LABEL], log=_line(message.labels.log)[:_LABEL]
        ),
    )


def _pairs(pairs: Sequence[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    return tuple((_line(label)[:_LABEL], " ".join(value[:_VALUE].split())) for label, value in pairs[:_FACT_COUNT])


def _heading(message: Message) -> str:
    return f"{message.status}: {message.title}" if message.status else message.title


def _lines(pairs: Iterable[tuple[str, str]]) -> str:
    return "\n".join(f"{label}: {value}" for label, value in pairs)


# --- HTML -------------------------------------------------------------------------------------------------------------


def _html(notification: Notification, language: str) -> str:
    """The whole page; without the parts that matter least, if Gmail would cut it off."""
    message = _bounded(notification)
    shorter = replace(message, details=(), log_excerpt="")
    for shown in (message, shorter, replace(shorter, facts=(), links=())):
        page = _page(notification, shown, language)
        if len(page.encode(errors="replace")) <= _HTML:
            break
    return page


def _page(notification: Notification, message: Message, language: str) -> str:
    """Tables and inline styles, as Outlook for Windows lays out mails with Word."""
    over = notification.kind == "resolved"
    colour = _RESOLVED if over else _COLOURS[notification.alert.severity]
    bar = (
        f"<td bgcolor='{colour}' style='background:{colour};color:#ffffff;padding:14px 20px;{_FONT}'>"
        f"<div style='font-size:13px;font-weight:bold'>{_escaped(message.status)}</div>"
        f"<h1 style='margin:0;font-size:19px'>{_escaped(message.title)}</h1></td>"
    )
    footer = "" if notification.bundled else notification.incident.id
    cells = [
        bar,
        *(_cell(part, "padding:12px 20px 0 20px;font-size:15px") for part in _parts(message)),
        _cell(footer, "padding:14px 20px;color:#5c5c66;font-size:12px", "muted"),
    ]
    rows = "".join(f"<tr>{cell}</tr>" for cell in cells)
    return (
        f"<!doctype html><html lang='{language}'><head><meta charset='utf-8'>"
        "<meta name='viewport' content='width=device-width'>"
        "<meta name='color-scheme' content='light dark'><meta name='supported-color-schemes' content='light dark'>"
        f"<title>{_escaped(message.title)}</title><style>{_STYLE}</style></head>"
        f"<body class='page' style='margin:0;background:#ffffff;color:#1b1b1f;{_FONT}'>"
        f"<div style='display:none'>{_escaped(_heading(message))}</div>"
        "<table role='presentation' width='100%' cellpadding='0' cellspacing='0' style='max-width:680px'>"
        f"{rows}</table></body></html>"
    )


def _parts(message: Message) -> Iterator[str]:
    """What happened, why, what to do; then the pages to open, the facts, the log, and where it happened."""
    labels = message.labels
    if message.lead.strip():
        yield _broken(message.lead.strip())
    if message.reason.strip():
        yield _box(message.reason.strip())
    if message.hint.strip():
        yield f"<strong>{_escaped(labels.hint)}</strong><br>{_broken(message.hint.strip())}"
    if message.links:
        yield " &middot; ".join(
            f"<a href='{_escaped(url)}' style='color:#1d4ed8'>{_escaped(label)}</a>" for label, url in message.links
        )
    if message.facts:
        yield _table(message.facts)
    if message.log_excerpt.strip():
        yield f"<strong>{_escaped(labels.log)}</strong>{_box(message.log_excerpt.strip())}"
    if message.details:
        yield _table(message.details)


def _table(pairs: Iterable[tuple[str, str]]) -> str:
    label, value = "padding:2px 12px 2px 0;color:#5c5c66;font-size:13px", "padding:2px 0;font-size:14px"
    rows = (f"<tr>{_cell(_escaped(one), label, 'muted')}{_cell(_escaped(two), value)}</tr>" for one, two in pairs)
    return f"<table cellpadding='0' cellspacing='0'>{''.join(rows)}</table>"


def _cell(content: str, style: str, name: str = "cell") -> str:
    """A table cell with the font, because tables do not inherit it in every client."""
    return f"<td class='{name}' valign='top' style='{style};{_FONT}'>{content}</td>"


def _box(text: str) -> str:
    style = f"background:#f1f1f4;color:#1b1b1f;margin-top:4px;padding:8px 10px;font-size:13px;{_MONOSPACE}"
    return f"<div class='box' style='{style}'>{_broken(text)}</div>"


def _broken(text: str) -> str:
    return _escaped(text).replace("\n", "<br>")


def _escaped(text: str) -> str:
    return text.translate(_ESCAPES)


@hookimpl
def register_channels(register: Callable[[str, type[Ses]], None]) -> None:
    register("ses", Ses)
