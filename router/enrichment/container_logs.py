"""The last lines of a container's log in CloudWatch Logs, with secrets redacted as far as they are recognised."""

import re
from collections.abc import Callable, Iterable
from typing import Any

from router.enrichment.task_definitions import LogStreams
from router.text.characters import clean
from router.text.redaction import redacted

LINES = 12
LINE = 300  # characters
TEXT = 2500  # characters of all lines
EVENT = 4000  # characters read from the end of one event
_MAX_EVENTS = 30  # log events to read; one may hold several lines, or only blank ones

_ESCAPES = "\x1b\\[[0-9;?]*[ -/]*[@-~]"  # terminal colours


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
    text = redacted(clean(re.sub(_ESCAPES, "", "\n".join(map(_end, messages)))))
    lines = [line.rstrip()[:LINE] for line in text.splitlines() if line.strip()]
    return "\n".join(lines[-LINES:])[-TEXT:]


def _end(message: str) -> str:
    """The end of a long event. It starts at a whole word, since no pattern would recognise half a secret."""
    if len(message) <= EVENT:
        return message
    return re.sub(r"\A\S*", "…", message[-EVENT:], count=1)
