"""E-mail, and whatever else subscribes to an Amazon SNS topic: plain text, with attributes for filter policies.

Limits: https://docs.aws.amazon.com/sns/latest/api/API_Publish.html. About ten mails a second per topic.
"""

import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from router import ChannelConfig, Notification, PayloadRejected, PermanentError, TransientError, hookimpl
from router.aws.clients import aws_client  # AWS's own channel alone: it shares the session and its TLS context

_TOPIC = re.compile(r"arn:aws[a-z-]*:sns:([a-z0-9-]+):[0-9]{12}:[A-Za-z0-9_-]{1,256}")
_SUBJECT = 99  # characters: "less than 100"
_MESSAGE = 262_144  # bytes, attributes included
_ATTRIBUTE, _TITLE, _LABEL, _VALUE, _PLAIN = 256, 500, 40, 2000, 4000  # characters; our own bounds
# What neither mail nor an SQS subscriber's XML can carry, and marks that make text run backwards.
_UNWANTED = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ufffe\uffff]"
)

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
    """Options: `topic_arn`, a standard topic (a FIFO topic cannot have e-mail subscriptions)."""

    limit = _MESSAGE  # SNS counts what stands in the JSON, which is a little less than the JSON
    budget = (5, 1.0)  # past some 10 e-mails a second SNS ends the subscription

    def __init__(self, config: ChannelConfig) -> None:
        self._topic = config.options["topic_arn"]
        arn = _TOPIC.fullmatch(self._topic)
        if arn is None:
            raise ValueError(f"topic_arn is not the ARN of a standard SNS topic: {self._topic}")
        # One attempt: the deliver step alone retries, and it waits in a queue instead of in here.
        self._client = aws_client("sns", arn[1], connect_timeout=3, read_timeout=8, attempts=1)

    def render(self, notification: Notification) -> dict[str, Any]:
        """What `publish` takes, but for the topic."""
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
        from botocore import exceptions  # noqa: PLC0415 - commands without AWS do not pay for it

        try:
            self._client.publish(TopicArn=self._topic, **payload)
        except exceptions.ClientError as error:
            raise _by_code(error.response) from error
        except (exceptions.HTTPClientError, exceptions.ConnectionError) as error:
            raise TransientError(f"no answer from SNS: {type(error).__name__}") from error
        except exceptions.BotoCoreError as error:
            raise PermanentError(f"SNS could not be asked: {type(error).__name__}") from error


def _by_code(answer: Mapping[str, Any]) -> TransientError | PermanentError:
    """SNS's error code decides; of a code that is not in the table, the status."""
    status = answer.get("ResponseMetadata", {}).get("HTTPStatusCode")
    code, text = (str(answer.get("Error", {}).get(key, "")) for key in ("Code", "Message"))
    later = status is not None and (status == 429 or status >= 500)  # noqa: PLR2004 - HTTP's own numbers
    error = _ERRORS.get(code, TransientError if later else PermanentError)
    return error(f"SNS answered {code}: {text[:200]}", status=status, answer=f"{code}: {text}")


def _prefixed(notification: Notification, title: str) -> str:
    """A subject that every mail program shows as it is: fewer than 100 characters of printable ASCII."""
    state = "resolved" if notification.kind == "resolved" else notification.alert.severity
    ascii_title, ascii_cause = (_line(_ascii(text[:_TITLE])) for text in (title, notification.alert.cause))
    line = f"[{state.upper()}] {ascii_title or ascii_cause}".strip()
    return line if len(line) <= _SUBJECT else line[: _SUBJECT - 3] + "..."


def _ascii(text: str) -> str:
    """`Café…` becomes `Cafe...`; what has no likeness in ASCII is left out."""
    return unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()


def _subject(notification: Notification) -> str:
    """The localised title where it is ASCII, else the English one; the prefix alone says that it is resolved."""
    alert = notification.alert
    titles = [alert.title] if notification.kind == "resolved" else [notification.message.title, alert.title]
    if notification.bundled:  # the English title is the worst one's alone
        titles = [notification.message.title, f"{len(notification.bundled)} incidents, one of them: {alert.title}"]
    title = next((title for title in titles if title.isascii() and _line(title)), alert.title)
    return _prefixed(notification, title)


def _mail(notification: Notification, limit: int) -> str:
    """At most `limit` bytes; the id that finds the rest is never cut."""
    message, incident = notification.message, notification.incident
    facts, details = (
        _table([(_line(label)[:_LABEL], _line(value)[:_VALUE]) for label, value in pairs])
        for pairs in (message.facts, message.details)
    )
    links = "\n".join(f"{_line(label)[:_LABEL]}: {_line(url)}" for label, url in message.links)
    title = _line(message.title) or _line(notification.alert.title) or _line(notification.alert.cause)
    said = [_clean(message.lead), _clean(message.reason), _line(message.hint) and f"=> {_line(message.hint)}"]
    parts = [title, *said, facts, _clean(message.log_excerpt), links, details]
    text = "\n\n".join(part for part in parts if part)
    footer = "\n" if notification.bundled else f"\n\n-- \n{incident.id}\n"
    return _cut(text, limit - len(footer.encode())) + footer


def _table(facts: Sequence[tuple[str, str]]) -> str:
    """One `Label: value` a line. No columns: mail programs show plain text in a proportional font."""
    return "\n".join(f"{label}: {value}" for label, value in facts)


def _attributes(notification: Notification) -> dict[str, str]:
    """For filter policies. SNS refuses an empty value, so what is empty or unknown is left out."""
    alert = notification.alert
    subject = alert.subject
    values = {
        "severity": alert.severity,
        "cause": alert.cause,
        "cluster": subject.cluster.removeprefix("-"),
        "service": subject.name if subject.kind == "service" else "",
        "kind": notification.kind,
    }
    lines = {key: _line(value)[:_ATTRIBUTE] for key, value in values.items()}
    return {key: line for key, line in lines.items() if line}


def _clean(text: str) -> str:
    return _UNWANTED.sub("", text).strip()


def _line(text: str) -> str:
    return " ".join(_clean(text).split())


def _cut(text: str, limit: int) -> str:
    """At most `limit` bytes of UTF-8, cut between characters."""
    encoded = text.encode()
    if len(encoded) <= limit:
        return text
    return encoded[: limit - len("…".encode())].decode(errors="ignore") + "…"


@hookimpl
def register_channels(register: Callable[[str, type[Sns]], None]) -> None:
    register("sns", Sns)
