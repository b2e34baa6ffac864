"""Amazon SNS, for e-mail and any other subscriber of a topic: plain text, with attributes for filter policies.

Limits and error codes: https://docs.aws.amazon.com/sns/latest/api/API_Publish.html.

This channel takes its client from the router's own factory, which no other plugin does: docs/write-a-channel.md tells
authors to use boto3. The router calls AWS anyway, and sharing its botocore session and TLS context saves some 100 ms of
each cold start. The import contract in pyproject.toml names this one exception.
"""

import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from router import ChannelConfig, Notification, PayloadRejected, PermanentError, TransientError, hookimpl
from router.aws.clients import aws_client

_TOPIC = re.compile(r"arn:aws[a-z-]*:sns:([a-z0-9-]+):[0-9]{12}:[A-Za-z0-9_-]{1,256}")
_SUBJECT = 99  # characters: the API reference says "less than 100"
_MESSAGE = 262_144  # bytes, including the attributes
_ATTRIBUTE, _TITLE, _LABEL, _VALUE, _PLAIN = 256, 500, 40, 2000, 4000  # our own; characters, _PLAIN in bytes

_ERRORS: dict[str, type[TransientError | PermanentError]] = {
    **dict.fromkeys(("InvalidParameter", "InvalidParameterValue", "ParameterValueInvalid"), PayloadRejected),
    **dict.fromkeys(("NotFound", "AuthorizationError", "EndpointDisabled"), PermanentError),
    **dict.fromkeys(
        ("KMSDisabled", "KMSNotFound", "KMSAccessDenied", "KMSInvalidState", "KMSOptInRequired"), PermanentError
    ),
    **dict.fromkeys(
        ("InternalError", "KMSThrottling", "Throttling", "ThrottledException", "Throttled"), TransientError
    ),
    **dict.fromkeys(("ExpiredToken", "ExpiredTokenException", "RequestExpired"), TransientError),
}


class Sns:
    """Options: `topic_arn`, of a standard topic, because a FIFO topic cannot have e-mail subscriptions."""

    limit = _MESSAGE  # bytes; SNS counts the values only, which are a little smaller than the JSON
    budget = (5, 1.0)  # above about 10 e-mails a second, SNS ends the subscription

    def __init__(self, config: ChannelConfig) -> None:
        self._topic = config.options["topic_arn"]
        arn = _TOPIC.fullmatch(self._topic)
        if arn is None:
            raise ValueError(f"topic_arn is not the ARN of a standard SNS topic: {self._topic}")
        # One attempt, because only the deliver step retries, and it waits in a queue.
        self._client = aws_client("sns", arn[1], connect_timeout=3, read_timeout=8, attempts=1)

    def render(self, notification: Notification) -> dict[str, Any]:
        """The arguments of `publish`, without the topic."""
        attributes = _attributes(notification)
        taken = sum(len(name) + len("String") + len(value.encode()) for name, value in attributes.items())
        return {
            "Subject": _subject(notification),
            "Message": _mail(notification, _MESSAGE - taken - _SUBJECT),
            "MessageAttributes": {
                name: {"DataType": "String", "StringValue": value} for name, value in attributes.items()
            },
        }

    def render_plain(self, notification: Notification) -> dict[str, Any]:
        return {"Subject": _prefixed(notification, notification.alert.cause), "Message": _mail(notification, _PLAIN)}

    def send(self, payload: dict[str, Any]) -> None:
        """Publishes the message.

        Raises:
            PayloadRejected: SNS finds a parameter invalid, so plain text may be accepted.
            PermanentError: the topic is gone, or the function may not publish to it.
            TransientError: SNS throttles, failed or is unreachable.
        """
        from botocore import exceptions  # noqa: PLC0415 - commands that do not call AWS should not load botocore

        try:
            self._client.publish(TopicArn=self._topic, **payload)
        except exceptions.ClientError as error:
            raise _by_code(error.response) from error
        except (exceptions.HTTPClientError, exceptions.ConnectionError) as error:
            raise TransientError(f"no answer from SNS: {type(error).__name__}") from error
        except exceptions.BotoCoreError as error:
            raise PermanentError(f"SNS could not be called: {type(error).__name__}") from error


def _by_code(response: Mapping[str, Any]) -> TransientError | PermanentError:
    """The error for SNS's error code; for a code that is not in the table, the HTTP status decides."""
    status = response.get("ResponseMetadata", {}).get("HTTPStatusCode")
    code, text = (str(response.get("Error", {}).get(key, "")) for key in ("Code", "Message"))
    may_pass = status is not None and (status == 429 or status >= 500)  # noqa: PLR2004 - HTTP's own numbers
    error = _ERRORS.get(code, TransientError if may_pass else PermanentError)
    return error(f"SNS answered {code}: {text[:200]}", status=status, answer=f"{code}: {text}")


def _prefixed(notification: Notification, title: str) -> str:
    """A subject that every mail client shows unchanged: fewer than 100 characters of printable ASCII."""
    state = "resolved" if notification.kind == "resolved" else notification.alert.severity
    ascii_title, ascii_cause = (_ascii(text[:_TITLE]) for text in (title, notification.alert.cause))
    line = f"[{state.upper()}] {ascii_title or ascii_cause}".strip()
    return line if len(line) <= _SUBJECT else line[: _SUBJECT - 3] + "..."


def _ascii(text: str) -> str:
    """`Café…` becomes `Cafe...`; characters without an ASCII equivalent are left out."""
    return " ".join(unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().split())


def _subject(notification: Notification) -> str:
    """The localised title if it is ASCII, else the English one. For a resolved alert the prefix says what happened."""
    alert = notification.alert
    titles = [alert.title] if notification.kind == "resolved" else [notification.message.title, alert.title]
    if notification.bundled:  # the English title is that of the worst incident only
        titles = [notification.message.title, f"{len(notification.bundled)} incidents, one of them: {alert.title}"]
    title = next((title for title in titles if title.isascii() and title), alert.title)
    return _prefixed(notification, title)


def _mail(notification: Notification, limit: int) -> str:
    """The text of the mail, at most `limit` bytes. The history id at its end is never cut off."""
    message, incident = notification.message, notification.incident
    parts = [
        message.title or notification.alert.title or notification.alert.cause,
        message.lead.strip(),
        message.reason.strip(),
        f"=> {_line(message.hint)}" if message.hint.strip() else "",
        _table(message.facts),
        message.log_excerpt.strip(),
        "\n".join(f"{label[:_LABEL]}: {url}" for label, url in message.links),
        _table(message.details),
    ]
    footer = "\n" if notification.bundled else f"\n\n-- \n{incident.id}\n"
    return _cut("\n\n".join(filter(None, parts)), limit - len(footer.encode())) + footer


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
