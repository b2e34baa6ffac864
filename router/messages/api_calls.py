"""What a message says about a call of RunTask or StartTask that ECS refused."""

from router.messages.phrases import phrase
from router.model import Alert, SubjectKind

_CAUSE = "task_not_started"
_NAMES = {"RUNTASK": "RunTask", "STARTTASK": "StartTask"}


def sentence(alert: Alert, language: str) -> str:
    """Who made the call, and with what result; "" if the alert is about something else."""
    if alert.cause != _CAUSE or alert.event_name not in _NAMES:
        return ""
    details = alert.details
    requested, started = details.get("requested", ""), details.get("started", "")
    named = {
        "caller": details.get("caller") or phrase("caller_unknown", language),
        "call": _NAMES[alert.event_name],
    }
    if alert.subject.kind is SubjectKind.CALLER:
        unknown = phrase("call_unknown_task", language)
        refused = phrase("call_refused", language, **named)
        return f"{refused}{'' if language == 'ja' else ' '}{unknown}"
    if requested in {"", "1"}:
        return phrase("call_refused", language, **named)
    key = "call_started_none" if started == "0" else "call_started_fewer"
    return phrase(key, language, requested=requested, started=started, **named)
