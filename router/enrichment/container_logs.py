"""The last lines of a container's log in CloudWatch Logs, with secrets redacted.

Secrets are recognised by their own form (AWS, GitHub and Slack keys, JSON web tokens, private keys) or by the text
before them (`password=`, `Authorization:`, `://user:`). A secret that no pattern recognises is shown.
"""

import re
from collections.abc import Callable, Iterable
from typing import Any

from router.enrichment.task_definitions import LogStreams

LINES = 12
LINE = 300  # characters
TEXT = 2500  # characters of all lines
EVENT = 4000  # characters read from the end of one event
_MAX_EVENTS = 30  # log events to read; one may hold several lines, or only blank ones

REDACTED = "[redacted]"
_ESCAPES = "\x1b\\[[0-9;?]*[ -/]*[@-~]"  # terminal colours
_NAMES = (
    r"pass(?:word|wd|phrase)?|pwd|secret\w{0,40}|\w{0,40}token"
    r"|api[-_]?key|access[-_]?key(?:[-_]?id)?|private[-_]?key|credentials?"
)
# Strings, which `re` compiles and caches when the first log is read: most functions never read one.
_SECRETS = (
    (r"(?s)-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)", REDACTED),
    (r"\b(?:AKIA|ASIA|AIDA|AROA)[A-Z0-9]{16}\b", REDACTED),
    (r"\b(?:gh[pousr]_|github_pat_|glpat-|xox[a-z]-|xapp-|sk_live_|rk_live_|sk-)[\w-]{10,}", REDACTED),
    (r"\beyJ[\w-]{8,}\.[\w-]{8,}(?:\.[\w-]*)?", REDACTED),
    (r"https://hooks\.slack\.com/\S+", REDACTED),
    (r"(://[^\s:/@]{0,100}:)[^\s/@]{1,500}(?=@)", rf"\1{REDACTED}"),
    (
        r"(?i)\b(authorization[\"']?\s*[:=]\s*[\"']?)(?:(?:bearer|basic|digest|token)\s+)?[^\s\"',;]+",
        rf"\1{REDACTED}",
    ),
    (r"(?i)\b(bearer\s+)[\w.~+/=-]{10,}", rf"\1{REDACTED}"),
    (rf"(?i)((?:{_NAMES})[\"']?\s*[:=]\s*)(\"[^\"]*\"|'[^']*'|[^\s\"',;&]+)", rf"\1{REDACTED}"),
)


def tail(region: str, group: str, stream: str, client: Callable[[str], Any]) -> tuple[str, float | None]:
    """The last lines of a log stream, newest last, and when the last was logged. Raises any error of the client.

    Times inside the lines are the application's own. CloudWatch's `timestamp` (milliseconds, UTC) is when the log
    driver got the line.
    """
    answer = client(region).get_log_events(
        logGroupName=group, logStreamName=stream, limit=_MAX_EVENTS, startFromHead=False
    )
    events = [event for event in answer["events"] if event["message"].strip()]
    logged_at = events[-1].get("timestamp") if events else None
    return excerpt(event["message"] for event in events), logged_at and logged_at / 1000


def stream_of(streams: LogStreams, container: str, task: str) -> str:
    """`PREFIX/CONTAINER/TASK`, the awslogs driver's stream name if a prefix is configured; "" if none is."""
    return f"{streams.prefix}/{container}/{task}" if streams.prefix and task else ""


def excerpt(messages: Iterable[str]) -> str:
    """The last lines, limited in length, without terminal colours, with secrets redacted."""
    text = redacted(re.sub(_ESCAPES, "", "\n".join(map(_end, messages))))
    lines = [line.rstrip()[:LINE] for line in text.splitlines() if line.strip()]
    return "\n".join(lines[-LINES:])[-TEXT:]


def _end(message: str) -> str:
    """The end of a long event. It starts at a whole word, since no pattern would recognise half a secret."""
    if len(message) <= EVENT:
        return message
    return re.sub(r"\A\S*", "…", message[-EVENT:], count=1)


def redacted(text: str) -> str:
    """The text, with everything that looks like a secret replaced by `[redacted]`."""
    for pattern, replacement in _SECRETS:
        text = re.sub(pattern, replacement, text)
    return text
