"""Amazon SNS, for e-mail and any other subscriber of a topic: plain text, with attributes for filter policies.

Limits and error codes: https://docs.aws.amazon.com/sns/latest/api/API_Publish.html.

This channel takes its client from the router's own factory, as only the shipped channels for AWS's services do:
docs/write-a-channel.md tells authors to use boto3. The router calls AWS anyway, and sharing its botocore session and
TLS context saves some 100 ms of each cold start. The import contract in pyproject.toml names these exceptions.
"""

import re
import unicodedata
from collections.abc import Callable, Sequence
from typing import Any

from router import (
    ChannelConfig,
    Incident,
    Notification,
    Option,
    PayloadRejected,
    PermanentError,
    TransientError,
    hookimpl,
)
from router.aws.calls import call
from router.aws.clients import aws_client

_TOPIC = re.compile(r"arn:aws[a-z-]*:sns:([a-z0-9-]+):[0-9]{12}:[A-Za-z0-9_-]{1,256}")
# Characters. SNS's model in botocore: "UTF-8 text with no line breaks or control characters, and less than 100
# characters long".
_SUBJECT = 99
_SUBJECT_BYTES = 4 * _SUBJECT
_NAME = 16  # characters of a name that a subject always keeps
_MESSAGE = 262_144  # bytes, including the attributes
_ATTRIBUTE, _TITLE, _LABEL, _VALUE, _PLAIN = 256, 500, 40, 2000, 4000  # our own; characters, _PLAIN in bytes

_ERRORS: dict[str, type[TransientError | PermanentError]] = {
    **dict.fromkeys(("InvalidParameter", "InvalidParameterValue", "ParameterValueInvalid"), PayloadRejected),
    **dict.fromkeys(("NotFound", "AuthorizationError", "EndpointDisabled"), PermanentError),
    **dict.fromkeys(
        ("KMSDisabled", "KMSNotFound", "KMSAccessDenied", "KMSInvalidState", "KMSOptInRequired"), PermanentError
    ),
    "KMSThrottling": TransientError,
}


class Sns:
    """Options: `topic_arn`, of a standard topic, because a FIFO topic cannot have e-mail subscriptions."""

    options = (Option("topic_arn", required=True, description="ARN of a standard topic."),)
    limit = _MESSAGE  # bytes; SNS counts the values only, which are a little smaller than the JSON
    budget = (5, 1.0)  # above about 10 e-mails a second, SNS ends the subscription

    def __init__(self, config: ChannelConfig) -> None:
        self._topic = config.options["topic_arn"]
        arn = _TOPIC.fullmatch(str(self._topic))
        if arn is None:
            raise ValueError("topic_arn must be the ARN of a standard SNS topic, as arn:aws:sns:REGION:ACCOUNT:NAME")
        # One attempt, because only the deliver step retries, and it waits in a queue.
        self._client = aws_client("sns", arn[1], connect_timeout=3, read_timeout=8, attempts=1)

    def render(self, notification: Notification) -> dict[str, Any]:
        """The arguments of `publish`, without the topic."""
        attributes = _attributes(notification)
        taken = sum(len(name) + len("String") + len(value.encode()) for name, value in attributes.items())
        return {
            "Subject": _subject(notification),
            "Message": _mail(notification, _MESSAGE - taken - _SUBJECT_BYTES),
            "MessageAttributes": {
                name: {"DataType": "String", "StringValue": value} for name, value in attributes.items()
            },
        }

    def render_plain(self, notification: Notification) -> dict[str, Any]:
        return {"Subject": _plain_subject(notification), "Message": _mail(notification, _PLAIN)}

    def send(self, payload: dict[str, Any]) -> None:
        """Publishes the message.

        Raises:
            PayloadRejected: SNS finds a parameter invalid, so plain text may be accepted.
            PermanentError: the topic is gone, or the function may not publish to it.
            TransientError: SNS throttles, failed or is unreachable.
        """
        call("SNS", self._client.publish, _ERRORS, TopicArn=self._topic, **payload)


def _subject(notification: Notification) -> str:
    """Severity, status and title in the reader's language, in fewer than 100 characters of UTF-8.

    If it is too long, the middle of the name and then of the cluster is left out, so that the cause and both stay
    recognisable.
    """
    message, subject = notification.message, notification.alert.subject
    title = next(filter(None, map(_visible, (message.headline, message.title, notification.alert.cause))), "?")
    line = f"[{status}] {title}" if (status := _visible(message.status)) else title
    for name in filter(None, (subject.name, subject.cluster)):
        before, separator, after = line.rpartition(name)
        if separator and _length(line) > _SUBJECT:
            line = before + _middle_cut(name, max(_NAME, len(name) - (_length(line) - _SUBJECT))) + after
    return _middle_cut(line, _SUBJECT).strip()


def _plain_subject(notification: Notification) -> str:
    """The subject if SNS refuses the other one: printable ASCII, and therefore English."""
    alert, kind = notification.alert, notification.kind
    severity = str(alert.severity).upper()
    status = {"opened": severity, "updated": f"{severity}, ongoing", "resolved": "RESOLVED"}[kind]
    cause = _ascii(alert.cause.replace("_", " ")).capitalize() or "Alert"
    name = _ascii(f"{alert.subject.kind.value.replace('-', ' ')} {alert.subject.name}")
    cluster = _ascii(alert.subject.cluster.removeprefix("-"))
    count = f"{len(notification.bundled)} incidents, the worst: " if notification.bundled else ""
    line = f"[{status}] {count}{cause}: {name}" + (f" in {cluster}" if cluster else "")
    return line if len(line) <= _SUBJECT else line[: _SUBJECT - 3].rstrip() + "..."


def _visible(text: str) -> str:
    """One line of printable characters: SNS refuses line breaks and control characters in a subject."""
    return " ".join("".join(char if char.isprintable() else " " for char in text[:_TITLE]).split())


def _ascii(text: str) -> str:
    """`Café…` becomes `Cafe...`; characters without an ASCII equivalent are left out."""
    ascii_text = unicodedata.normalize("NFKD", text[:_TITLE]).encode("ascii", "ignore").decode()
    return " ".join("".join(char for char in ascii_text if char.isprintable()).split())


def _length(text: str) -> int:
    """The length in UTF-16 code units. SNS does not say what it counts, and this is the strictest way."""
    return len(text) + sum(char > "\uffff" for char in text)


def _middle_cut(text: str, limit: int) -> str:
    """At most `limit` UTF-16 code units, with a "…" for what is left out in the middle; a little more of the start."""
    if _length(text) <= limit:
        return text
    start, end = text, ""
    kept_at_end = (limit - 1) * 2 // 5
    while _length(end) < kept_at_end:
        end = text[-len(end) - 1 :]
    end = end if _length(end) <= kept_at_end else end[1:]
    room = limit - 1 - _length(end)
    start = text[:room]
    while _length(start) > room:
        start = start[:-1]
    return f"{start.rstrip()}…{end.lstrip()}"


def _mail(notification: Notification, limit: int) -> str:
    """The text of the mail, at most `limit` bytes. The history id at its end is never cut off."""
    message, incident = notification.message, notification.incident
    title = message.headline or message.title or notification.alert.title or notification.alert.cause
    heading = f"[{message.status}] {title}" if message.status else title
    above = f"{heading}\n{message.lead}\n{'' if notification.bundled else incident.id}"
    shown_above = above[:_PLAIN].casefold()[:_PLAIN]
    log = message.log_excerpt.strip()
    parts = [
        heading,
        message.lead.strip(),
        message.reason.strip(),
        f"=> {_line(message.hint)}" if message.hint.strip() else "",
        "\n".join(f"{label[:_LABEL]}: {url}" for label, url in message.links),
        _table(message.facts),
        f"{message.labels.log[:_LABEL]}:\n{log}" if log else "",
        _table([(label, value) for label, value in message.details if not _is_shown(value, shown_above)]),
        "\n".join(map(_row, notification.bundled)),
    ]
    footer = "\n" if notification.bundled else f"\n\n-- \n{incident.id}\n"
    return _cut("\n\n".join(filter(None, parts)), limit - len(footer.encode())) + footer


def _row(incident: Incident) -> str:
    """An incident of a bundled message, whose text may have no room to name them all."""
    subject = incident.subject
    where = filter(None, (_line(subject.cluster.removeprefix("-")), _line(subject.account)))
    return "  ".join(("-", incident.severity, _line(incident.alert.cause), _line(subject.text), *where))


def _is_shown(value: str, text: str) -> bool:
    """Tells whether the casefolded text contains the value as a separate word."""
    word = value[:_VALUE].casefold()[:_VALUE]
    place = text.find(word)
    while place >= 0:
        end = place + len(word)
        if not any(char.isalnum() or char == "_" for char in text[max(0, place - 1) : place] + text[end : end + 1]):
            return True
        place = text.find(word, place + 1)
    return False


def _table(facts: Sequence[tuple[str, str]]) -> str:
    """One `Label: value` per line. No columns, since mail clients show plain text in a proportional font."""
    return "\n".join(f"{label[:_LABEL]}: {_line(value)[:_VALUE]}" for label, value in facts)


def _attributes(notification: Notification) -> dict[str, str]:
    """Message attributes for filter policies. SNS refuses empty values, so unknown attributes are left out."""
    alert = notification.alert
    subject = alert.subject
    values = {
        "severity": alert.severity,
        "cause": alert.cause,
        "cluster": subject.cluster.removeprefix("-"),
        "service": subject.name if subject.kind == "service" else "",
        "kind": notification.kind,
    }
    return {key: str(value)[:_ATTRIBUTE] for key, value in values.items() if value}


def _line(text: str) -> str:
    return " ".join(text.split())


def _cut(text: str, limit: int) -> str:
    """At most `limit` bytes of UTF-8, cut between characters."""
    encoded = text.encode()
    if len(encoded) <= limit:
        return text
    return encoded[: limit - len("…".encode())].decode(errors="ignore") + "…"


@hookimpl
def register_channels(register: Callable[[str, type[Sns]], None]) -> None:
    register("sns", Sns)
