"""`history why`: what happened to a task, what was decided, who was told, and why not."""

import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import click
from rich.text import Text

from router.causes import cause_words
from router.cli.history.show import found_task, incident_row
from router.cli.history.source import as_json, reads_history
from router.cli.history.tables import SEVERITY_STYLES, console, counted, local_time, to_json
from router.history.items import DECISION, KIND, iso
from router.history.store import History
from router.history.table import Item
from router.incident.state import OutboxEntry, SubjectState
from router.messages.phrases import span
from router.model import Decision, Kind, Outcome

REASONS: Mapping[Decision, str] = {
    Decision.ANNOUNCED: "It was news: the incident opened, came back or got worse, so it was to be told at once.",
    Decision.HELD_BACK: "The incident had been announced already and this was no worse: it was counted, for the digest "
    "at the end of the window.",
    Decision.ALREADY_RESOLVED: "By the time it came in, a later event had said that all was well: nobody was woken.",
    Decision.GATHERED: "There was more to say than the channel takes: it went into one message with others.",
    Decision.SILENCED: "A silence matched it: it was recorded, and nobody was told.",
    Decision.NO_ROUTE: "No route in alert-router.toml sends it anywhere: it was recorded, and nobody was told.",
    Decision.BELOW_THRESHOLD: "It is of severity info: recorded, and no reason to tell anybody.",
    Decision.RESOLVING: "It ends trouble of its subject: whoever was told of an open incident is told of its end.",
    Decision.UNREADABLE: "The router could not read it.",
}
_HEARD = {
    Kind.OPENED: "it opened the incident",
    Kind.UPDATED: "counted in an update",
    Kind.RESOLVED: "told when it was over",
}


@click.command("why")
@click.argument("task_id", metavar="TASK-ID")
@as_json
@reads_history
def why_command(*, history: History, task_id: str, as_json: bool) -> None:
    """What happened to a task, what was decided, who was told, and why not. TASK-ID: or its ARN, or an alert's id."""
    now = time.time()
    row = history.row(task_id, now)
    rows = [row] if row else found_task(history, task_id, now)
    for each in reversed(rows):
        state = history.incident(each["incident"], now) if each["incident"] else None
        deliveries = history.deliveries(each["incident"], now) if each["incident"] else ()
        told = list(_told(each, state, deliveries))
        if as_json:
            click.echo(to_json(_answer(each, state, told)))
        else:
            _show(each, state, told)


# --- who was told -----------------------------------------------------------------------------------------------------


def _told(row: Item, state: SubjectState | None, deliveries: Sequence[Item]) -> Iterator[dict[str, Any]]:
    """What each channel of the incident heard of this alert: the first message that counts it, or why there is none."""
    entries = state.outbox if state else {}
    for channel in dict.fromkeys([*entries, *(each["channel"] for each in deliveries)]):
        since = [each for each in deliveries if each["channel"] == channel and each["at"] >= row["recorded_at"]]
        heard = next((each for each in since if each["outcome"] == Outcome.SENT), None)
        if heard:
            yield _of(channel, told=True, at=heard["at"], why=_heard(heard))
        else:
            at = since[-1]["at"] if since else ""
            yield _of(channel, told=False, at=at, why=_unheard(entries.get(channel), since))


def _of(channel: str, *, told: bool, at: str, why: str) -> dict[str, Any]:
    return {"channel": channel, "told": told, "at": at, "why": why}


def _heard(delivery: Item) -> str:
    how = _HEARD[Kind(KIND.or_default(delivery["kind"]))]
    return how if delivery["attempt"] == 1 else f"{how}, at attempt {delivery['attempt']}"


def _unheard(entry: OutboxEntry | None, since: Sequence[Item]) -> str:
    """Why a channel has not heard of an alert."""
    last = since[-1] if since else None
    answer = f": {last['answer']}" if last and last["answer"] else ""
    if last and last["outcome"] == Outcome.FAILED:
        return f"failed for good after {counted(last['attempt'], 'attempt')}{answer}"
    if last and last["outcome"] == Outcome.RETRY:
        due = f", next at {local_time(iso(entry.due_at))}" if entry and entry.due_at else ""
        return f"{counted(last['attempt'], 'attempt')} failed{due}{answer}"
    if entry and entry.is_behind:
        return "its message is under way"
    if entry and entry.suppressed and entry.window_ends_at:
        return f"held back until the window ends at {local_time(iso(entry.window_ends_at))}"
    return "there was nothing to say to it"


# --- the answer -------------------------------------------------------------------------------------------------------


def _answer(row: Item, state: SubjectState | None, told: Sequence[Item]) -> Item:
    """For machines: the alert without its event, and all that came of it."""
    alert = {name: value for name, value in row.items() if name != "event"}
    incident = incident_row(state.incident) if state and state.incident else None
    return {
        **alert,
        "explanation": REASONS[Decision(DECISION.or_default(row["decision"]))],
        "incident": incident,
        "told": list(told),
    }


def _show(row: Item, state: SubjectState | None, told: Sequence[Item]) -> None:
    out = console()
    out.rule(Text(f"{row['subject']} in {row['cluster']}"), align="left")
    for heading, lines in (
        ("What happened", _happened(row)),
        ("What was decided", _decided(row, state)),
        ("Who was told", _lines(told)),
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
        yield Text(f"ECS said: {row['reason']}")
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


def _lines(told: Sequence[Item]) -> Iterator[Text]:
    """A line for each channel; what happened after the alert was recorded."""
    for each in told:
        when = f"{local_time(each['at'])}  " if each["at"] else ""
        mark = ("told", "green") if each["told"] else ("not told", "bold red")
        yield Text.assemble(f"{each['channel']}: ", mark, f"  {when}{each['why']}")
    if not told:
        yield Text("nobody: see what was decided")
