"""Notifications of every kind and severity, ordinary ones and hostile ones with text from outside in every place.

Each is as the router hands it to a channel, without control, bidirectional and other hidden characters
(`router.messages.hygiene`): a channel need not remove those.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace

from router.messages.hygiene import cleaned
from router.model import (
    Alert,
    Incident,
    IncidentStatus,
    Kind,
    Message,
    Notification,
    PartLabels,
    Severity,
    Subject,
    SubjectKind,
)
from router.text.characters import clean, single_line

LONG = 262_144  # characters; an event may have 256 KB

_SUBJECT = Subject("123456789012", "eu-west-1", "prod", SubjectKind.SERVICE, "web")
_ALERT = Alert(
    id="01J4S3Z5Y1ALERT",
    event_id="315c1398-40ff-a850-213b-158f73e60175",
    at=1723137542.67,
    severity=Severity.CRITICAL,
    cause="out_of_memory",
    resolves=False,
    rule="out-of-memory",
    title="Out of memory: service web in prod",
    subject=_SUBJECT,
    task="0d6e3df3e26e4d67ac070a491bda29f7",
    reason="OutOfMemoryError: Container killed due to memory usage",
)
_INCIDENT = Incident(
    number=3,
    status=IncidentStatus.OPEN,
    subject=_SUBJECT,
    severity=Severity.CRITICAL,
    causes={"out_of_memory": 2},
    tasks=(_ALERT.task,),
    alert=_ALERT,
    opened_at=_ALERT.at,
    last_at=_ALERT.at + 60,
)
_MESSAGE = Message(
    title="Out of memory: service web in prod",
    text=f"Container app exited with code 137.\n{_ALERT.reason}\nRaise its memory limit, or look for a leak.",
    facts=(("Cluster", "prod"), ("Exit code", "137"), ("タスク定義", "web:42")),
    links=(("View task", "https://eu-west-1.console.aws.amazon.com/ecs/v2/clusters/prod/tasks/1?region=eu-west-1"),),
    log_excerpt="java.lang.OutOfMemoryError: Java heap space\n    at com.example.Main.main(Main.java:42)",
    reason=_ALERT.reason,
    hint="Raise its memory limit, or look for a leak.",
    details=(("Severity", "critical"), ("Task", _ALERT.task)),
    status="CRITICAL",
    headline="Out of memory: service web in prod",
    incident_title="Out of memory: service web in prod",
)

# Texts that a stopped reason, a container's name or a log has contained, or could contain.
HOSTILE: Mapping[str, str] = {
    "nothing": "",
    "blank": " \r\n\t ",
    "control characters": "a" + "".join(map(chr, [*range(32), *range(127, 160)])) + "b",
    "text that runs backwards": "a\u202eb\u2066c\u200fd",
    "halves of surrogate pairs": "a\ud800b\udfffc",
    "emoji": "\U0001f469\u200d\U0001f4bb\U0001f600 " * 50,
    "Japanese": "メモリ不足のためコンテナが停止しました。" * 20,
    "mentions": "<!channel> <!here> <@U123> @everyone @here @channel @all <at>Everyone</at> &lt;at&gt;x&lt;/at&gt;",
    "Markdown": "# h\n- l\n1. n\n> q\n*i* **b** _i_ ~~s~~ `c` ```\nf\n``` [x](https://evil.example) ![x](https://evil.example)",
    "HTML": "<script>alert(1)</script><img src=x onerror=alert(1)><a href='https://evil.example'>x</a> &amp; &#60;",
    "headers": "x\r\nBcc: everybody@example.com\r\n\r\ny\u2028z",
    "JSON": '"}],"text":"x","attachments":[{"\\',
    "templates": "{{DATE(2024-08-08T17:19:02Z)}} ${x} @{y} {0} %s %n <%= z %>",
    "a formula": '=HYPERLINK("https://evil.example")\t+1\t-1\t@SUM(A1)',
    "256 KB of Japanese": "語" * LONG,
    "256 KB of lines": "- x\n" * (LONG // 4),
    "256 KB of syntax": '<*_[`&\\"' * (LONG // 8),
}


def notifications() -> Mapping[str, Notification]:
    """All of them, each under a name for the test's id."""
    return dict(_notifications())


def _notifications() -> Iterator[tuple[str, Notification]]:
    for kind in Kind:
        for severity in Severity:
            yield f"{kind}, {severity}", _notification(kind, _MESSAGE, replace(_ALERT, severity=severity))
        yield f"{kind}, many incidents", _of_many(_notification(kind, _MESSAGE, _ALERT))
    yield "opened, as an older router renders it", _notification(Kind.OPENED, _older(_MESSAGE), _ALERT)
    for kind in (Kind.OPENED, Kind.RESOLVED):  # a channel lays out `updated` as it does `opened`
        for name, text in HOSTILE.items():
            yield f"{kind}, {name}", _notification(kind, _hostile_message(text), _hostile_alert(text))


def _notification(kind: Kind, message: Message, alert: Alert) -> Notification:
    incident = replace(_INCIDENT, subject=alert.subject, severity=alert.severity, alert=alert)
    if kind is Kind.RESOLVED:
        incident = replace(incident, status=IncidentStatus.RESOLVED, ended_at=alert.at + 600)
    return cleaned(Notification(kind, message, alert, incident))


def _of_many(notification: Notification) -> Notification:
    """The notification for more messages than the channel's rate limit allows."""
    subjects = [_SUBJECT._replace(name=f"web-{number}") for number in range(200)]
    incidents = tuple(replace(notification.incident, subject=subject) for subject in subjects)
    text = ", ".join(subject.name for subject in subjects)
    title = "200 incidents in prod, worst first"
    text = f"200 new, critical, Out of memory in prod: {text}"
    message = Message(title, text, status=notification.message.status, headline=title)
    return replace(notification, message=message, incident=incidents[0], bundled=incidents)


def _older(message: Message) -> Message:
    """Without what newer routers add: a plugin must not depend on it."""
    return replace(message, status="", headline="", labels=PartLabels("", "", "", ""), incident_title="")


def _hostile_message(text: str) -> Message:
    links = ((text, f"https://example.com/{text}"), (text, f"javascript:{text}"), *_MESSAGE.links)
    facts = ((text, text), *((text[:300], text[:5000]) for _ in range(30)))
    return Message(
        title=text,
        text=f"{text}\n{text}\n{text}",
        facts=facts,
        links=links,
        log_excerpt=text,
        reason=text,
        hint=text,
        details=facts,
        status=text,
        headline=text,
        labels=PartLabels(text, text, text, text),
        incident_title=text,
    )


def _hostile_alert(text: str) -> Alert:
    name = single_line(text)[:255]  # as `router.ecs.normalise` leaves every name
    subject = _SUBJECT._replace(cluster=name, name=name)
    return replace(_ALERT, title=name, cause=name.lower() or "unknown", reason=clean(text), subject=subject)
