"""The last lines of a container's log in CloudWatch Logs, without the secrets that people print.

What a secret looks like is guessed: by its own form (keys of AWS, GitHub, Slack; JSON web tokens; private keys), and
by what stands before it (`password=`, `Authorization:`, `://user:`). What no rule knows is shown.
"""

import re
from collections.abc import Callable, Iterable
from typing import Any

from router.enrichment.task_definitions import LogStreams

LINES = 12
LINE = 300  # characters
TEXT = 2500  # characters of all lines
EVENT = 4000  # characters of one event that are looked at, from its end
_ASKED = 30  # events; one may hold several lines, or none worth showing

REDACTED = "[redacted]"
_ESCAPES = "\x1b\\[[0-9;?]*[ -/]*[@-~]"  # a terminal's colours
_NAMES = (
    r"pass(?:word|wd|phrase)?|pwd|secret\w{0,40}|\w{0,40}token"
    r"|api[-_]?key|access[-_]?key(?:[-_]?id)?|private[-_]?key|credentials?"
)
# By their texts, which `re` compiles and keeps when a log is first read: most functions never read one.
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


def tail(region: str, group: str, stream: str, client: Callable[[str], Any]) -> str:
    """The last lines of a log stream, newest last. Raises what the client raises."""
    answer = client(region).get_log_events(logGroupName=group, logStreamName=stream, limit=_ASKED, startFromHead=False)
    return excerpt(event["message"] for event in answer["events"])


def stream_of(streams: LogStreams, container: str, task: str) -> str:
    """`PREFIX/CONTAINER/TASK`: how the awslogs driver names it where it has a prefix; "" where it has none."""
    return f"{streams.prefix}/{container}/{task}" if streams.prefix and task else ""


def excerpt(messages: Iterable[str]) -> str:
    """The last lines, bounded, without colours and secrets."""
    text = redacted(re.sub(_ESCAPES, "", "\n".join(map(_end, messages))))
    lines = [line.rstrip()[:LINE] for line in text.splitlines() if line.strip()]
    return "\n".join(lines[-LINES:])[-TEXT:]


def _end(message: str) -> str:
    """A long event's end, from the beginning of a word on: half a secret has nothing to be known by."""
    if len(message) <= EVENT:
        return message
    return re.sub(r"\A\S*", "…", message[-EVENT:], count=1)


def redacted(text: str) -> str:
    """The text, with `[redacted]` for what looks like a secret."""
    for pattern, instead in _SECRETS:
        text = re.sub(pattern, instead, text)
    return text
