"""`history why`: for one task, what happened, what the router decided, and who was notified or why not."""

import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import click
from rich.text import Text

from router.causes import cause_words
from router.cli.history.show import alerts_of_task, incident_row
from router.cli.history.source import as_json, reads_history
from router.cli.history.tables import SEVERITY_STYLES, counted, local_time, to_json
from router.cli.output import console, echo
from router.history.items import DECISION, REASON, iso
from router.history.store import History
from router.history.table import Item
from router.incident.state import OutboxEntry, SubjectState
from router.messages.phrases import span
from router.model import Decision, Outcome, Reason

REASONS: Mapping[Decision, str] = {
    Decision.ANNOUNCED: "The incident opened, reopened or got worse, so it was announced at once.",
    Decision.HELD_BACK: "The incident was already announced and this alert was no worse: it was counted for the digest "
    "at the end of the dedup window.",
    Decision.ALREADY_RESOLVED: "A later event had already reported the recovery: recorded, no notification.",
    Decision.GATHERED: "The channel's rate limit was reached: it was bundled with other incidents in one message.",
    Decision.SILENCED: "A silence matched it: recorded, no notification.",
    Decision.NO_ROUTE: "No route in alert-router.toml matches it: recorded, no notification.",
    Decision.BELOW_THRESHOLD: "Its severity is info: recorded, no notification.",
    Decision.RESOLVING: "It reports a recovery: channels notified of an open incident are notified of its end.",
    Decision.UNREADABLE: "The router could not read it.",
}
_ROLES: Mapping[Reason, str] = {
    Reason.FIRST: "it opened the incident",
    Reason.WORSE: "announced in the window, because it was worse or could not wait",
    Reason.RETURNED: "the incident came back after it was resolved",
    Reason.DIGEST: "counted in a digest",
    Reason.REMINDER: "included in a reminder",
    Reason.ENDED: "included in the resolved message",
}


@click.command("why")
@click.argument("task_id", metavar="TASK-ID")
@as_json
@reads_history
def why_command(*, history: History, task_id: str, as_json: bool) -> None:
    """Explain what happened to a task, what was decided, and who was notified. TASK-ID: task id or ARN, or alert id."""
    now = time.time()
    row = history.row(task_id, now)
    rows = [row] if row else alerts_of_task(history, task_id, now)
    for alert in reversed(rows):
        state = history.incident(alert["incident"], now) if alert["incident"] else None
        deliveries = history.deliveries(alert["incident"], now) if alert["incident"] else ()
        channels = list(_by_channel(alert, state, deliveries))
        if as_json:
            echo(to_json(_explanation(alert, state, channels)))
        else:
            _show(alert, state, channels)


# --- who was notified -------------------------------------------------------------------------------------------------


def _by_channel(row: Item, state: SubjectState | None, deliveries: Sequence[Item]) -> Iterator[dict[str, Any]]:
    """For each channel of the incident, the first message that includes this alert, or the reason why there is none."""
    entries = state.outbox if state else {}
    for channel in dict.fromkeys([*entries, *(delivery["channel"] for delivery in deliveries)]):
        later = [
            delivery
            for delivery in deliveries
            if delivery["channel"] == channel and delivery["at"] >= row["recorded_at"]
        ]
        sent = next((delivery for delivery in later if delivery["outcome"] == Outcome.SENT), None)
        if sent:
            yield {"channel": channel, "notified": True, "at": sent["at"], "why": _why_sent(sent)}
        else:
            at = later[-1]["at"] if later else ""
            yield {"channel": channel, "notified": False, "at": at, "why": _why_not_sent(entries.get(channel), later)}


def _why_sent(delivery: Item) -> str:
    role = _ROLES[Reason(REASON.or_default(delivery.get("reason")))]
    return role if delivery["attempt"] == 1 else f"{role}, at attempt {delivery['attempt']}"


def _why_not_sent(entry: OutboxEntry | None, later: Sequence[Item]) -> str:
    """Why a channel has not been notified of an alert. `later`: its deliveries since the alert was recorded."""
    last = later[-1] if later else None
    answer = f": {last['answer']}" if last and last["answer"] else ""
    if last and last["outcome"] == Outcome.FAILED:
        return f"failed for good after {counted(last['attempt'], 'attempt')}{answer}"
    if last and last["outcome"] == Outcome.RETRY:
        due = f", next at {local_time(iso(entry.due_at))}" if entry and entry.due_at else ""
        return f"{counted(last['attempt'], 'attempt')} failed{due}{answer}"
    if entry and entry.is_behind:
        return "its message is being sent"
    if entry and entry.suppressed and entry.window_ends_at:
        return f"held back until the window ends at {local_time(iso(entry.window_ends_at))}"
    return "there was nothing to send"


# --- output -----------------------------------------------------------------------------------------------------------


def _explanation(row: Item, state: SubjectState | None, channels: Sequence[Item]) -> Item:
    """The explanation for JSON: the alert without its event, the decision, the incident and the channels."""
    alert = {name: value for name, value in row.items() if name != "event"}
    incident = incident_row(state.incident) if state and state.incident else None
    decision = Decision(DECISION.or_default(row["decision"]))
    return {**alert, "explanation": REASONS[decision], "incident": incident, "channels": list(channels)}


def _show(row: Item, state: SubjectState | None, channels: Sequence[Item]) -> None:
    out = console()
    out.rule(Text(f"{row['subject']} in {row['cluster']}"), align="left")
    for heading, lines in (
        ("What happened", _happened(row)),
        ("What was decided", _decided(row, state)),
        ("Who was notified", _lines(channels)),
    ):
        out.print(f"[bold]{heading}[/]")
        for line in lines:
            out.print(Text.assemble("  ", line), soft_wrap=not out.is_terminal)
    out.print()


def _happened(row: Item) -> Iterator[Text]:
    severity = row["severity"]
    what = cause_words(row["cause"], "en", over=row["resolves"])
    yield Text.assemble(f"{local_time(row['at'])}  ", (severity, SEVERITY_STYLES.get(severity, "")), f"  {what}")
    if row["reason"]:
        yield Text(f"ECS reason: {row['reason']}")
    for container in row["containers"]:
        code = "" if container["exit_code"] is None else f", exit code {container['exit_code']}"
        reason = f": {container['reason']}" if container["reason"] else ""
        yield Text(f"container {container['name']} {container['status']}{code}{reason}")
    stop = f", stop code {row['stop_code']}" if row["stop_code"] else ""
    yield Text(f"classified by the rule {row['rule']!r}: {row['cause']}{stop}", style="dim")


def _decided(row: Item, state: SubjectState | None) -> Iterator[Text]:
    yield Text.assemble((str(row["decision"]), "bold"), f". {REASONS[Decision(DECISION.or_default(row['decision']))]}")
    incident = state.incident if state else None
    if incident:
        since = f"since {local_time(iso(incident.opened_at))}"
        over = f", over after {span(incident.ended_at - incident.opened_at, 'en')}" if incident.ended_at else ""
        yield Text(f"incident {incident.id}: {incident.status}, {since}{over}, {counted(incident.count, 'alert')}")
    elif row["incident"]:
        yield Text(f"incident {row['incident']} has expired")


def _lines(channels: Sequence[Item]) -> Iterator[Text]:
    """A line for each channel, about its deliveries since the alert was recorded."""
    for channel in channels:
        when = f"{local_time(channel['at'])}  " if channel["at"] else ""
        mark = ("notified", "green") if channel["notified"] else ("not notified", "bold red")
        yield Text.assemble(f"{channel['channel']}: ", mark, f"  {when}{channel['why']}")
    if not channels:
        yield Text("no channel; see the decision above")
