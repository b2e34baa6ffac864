"""`ecs-alert-router redrive`: resends deliveries that failed for good, and reprocesses dead letters.

This command sends no notification itself. It makes outbox entries due, or puts messages back on the events queue; the
router processes them as usual, so nothing is sent twice. The command can be interrupted and repeated at any time: a
dead letter is deleted only after the events queue has it, and an entry that is already due stays due.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import click
from rich.progress import Progress

from router.aws.queues import DUE, TICK, WITHOUT_HISTORY
from router.cli.confirm import confirm
from router.cli.history import show_rows
from router.cli.history.options import Span
from router.cli.outboxes import counted, dropped
from router.cli.output import console, echo
from router.cli.preview import printable
from router.cli.stack import Stack, pause, reaches_stack
from router.ecs.normalise import normalise, parse
from router.errors import Contended, UnreadableEvent
from router.history.store import Attempt, Change, SubjectWrite
from router.incident.outbox import requeue
from router.incident.state import SubjectState
from router.model import OWN_SOURCE
from router.notify import NOT_CONFIGURED
from router.selfcheck.owed import owed

HIDDEN = 300
"""Seconds for which a message being looked at is hidden from other readers (SQS visibility timeout)."""
WAIT = 1  # seconds: long polling asks all SQS servers, so an empty answer means an empty queue
_SHOWN = 60  # characters of a body that cannot be read
_LEFT = "left"
_DUE_COLUMNS = {
    "Channel": "channel",
    "Messages due": "due",
    "Open incidents": "open_incidents",
    "Configured": "configured",
}
_DROP_COLUMNS = {"What": "what", "Channel": "channel", "Outcome": "outcome"}
_COLUMNS = {"When": "when", "What": "what", "Channel": "channel", "Why": "why", "Outcome": "outcome"}


@dataclass(frozen=True, slots=True)
class Redriven:
    """The result for one failed delivery or dead letter.

    Attributes:
        when: clock time of the failure, in seconds.
        what: the incident, or what the message is about.
        why: the reason for the failure.
        outcome: begins with `left` if someone still has to deal with it.
    """

    when: float
    what: str
    channel: str
    why: str
    outcome: str

    @property
    def left(self) -> bool:
        return self.outcome.startswith(_LEFT)


@click.command("redrive")
@click.option("--channel", "channels", multiple=True, metavar="NAME", help="Only failed deliveries of this channel.")
@click.option("--since", type=Span(), default="14d", show_default=True, help="Only failures this recent: 90m, 7d.")
@click.option("--due", "list_due", is_flag=True, help="Only list what each channel has yet to be sent.")
@click.option("--drop", metavar="NAME", help="Drop what this channel has yet to be sent. It cannot be undone.")
@click.option("--yes", is_flag=True, help="With --drop, do not ask for confirmation.")
@click.option("--dry-run", is_flag=True, help="Only show what would be done.")
@click.option("--delete-unreadable", is_flag=True, help="Delete dead letters that the router cannot read.")
@click.option("--json", "as_json", is_flag=True, help="JSON Lines instead of a table; times in seconds.")
@reaches_stack
@click.pass_context
def redrive_command(
    context: click.Context,
    *,
    stack: Stack,
    channels: tuple[str, ...],
    since: float,
    list_due: bool,
    drop: str | None,
    yes: bool,
    dry_run: bool,
    delete_unreadable: bool,
    as_json: bool,
) -> None:
    """Resend deliveries that failed for good, with the current state, and reprocess the dead-letter queue.

    Nothing is sent twice: deliveries that have succeeded since are skipped, and an event that is already in history is
    not announced again. The exit code is 1 if anything is left.

    Before a channel is removed from alert-router.toml, --due lists what it has yet to be sent, and --drop drops that.
    """
    configured = {*stack.settings.channels, *stack.settings.unset, *stack.settings.disabled}
    _check_names(stack, [*channels, *([drop] if drop else ())], configured, since)
    if list_due:
        rows = counted(owed(stack.history, time.time()), configured)
        show_rows(rows, _DUE_COLUMNS, "No channel is owed anything.", as_json=as_json)
        return
    if drop:
        context.exit(_drop(stack, drop, since, yes=yes or dry_run, dry_run=dry_run, as_json=as_json))
    begin = time.time() - since
    with Progress(console=console(stderr=True), disable=not console(stderr=True).is_terminal) as progress:
        done = list(_failed_deliveries(stack, channels, begin, progress, dry_run=dry_run))
        if stack.dead_letter_url and stack.events_url and not channels:
            letters = DeadLetters(stack, begin, time.time(), dry_run=dry_run, delete_unreadable=delete_unreadable)
            try:
                done += letters.redrive(progress)
            except Exception as error:
                raise click.ClickException(f"cannot process the dead-letter queue: {error}") from error
        elif not channels:
            echo("the dead-letter queue is skipped: pass --stage, or --dlq and --queue", err=True)
    show_rows([_row(redriven, as_json=as_json) for redriven in done], _COLUMNS, "Nothing has failed.", as_json=as_json)
    left = sum(redriven.left for redriven in done)
    if left:
        echo(f"{left} of {len(done)} left", err=True)
    context.exit(1 if left else 0)


def _check_names(stack: Stack, names: Sequence[str], configured: set[str], since: float) -> None:
    """Raises click.UsageError for a channel that neither the configuration nor history knows."""
    if {*names} <= configured:
        return
    now = time.time()
    failed = {item["channel"] for item in stack.history.failed_deliveries(now - since, now)}
    known = configured | failed | {entry.channel for entry in owed(stack.history, now)}
    for name in names:
        if name not in known:
            raise click.UsageError(f"there is no channel {name!r}; known channels: {', '.join(sorted(known))}")


def _drop(stack: Stack, channel: str, since: float, *, yes: bool, dry_run: bool, as_json: bool) -> int:
    """Drops what the channel has yet to be sent. Returns the exit code."""
    if not yes:
        confirm(f"Drop everything that channel {channel} has yet to be sent? It cannot be undone.")
    outcomes = dropped(stack, channel, time.time() - since, dry_run=dry_run)
    rows = [{"what": incident, "channel": channel, "outcome": outcome} for incident, outcome in outcomes.items()]
    nothing = f"Channel {channel} is owed nothing."
    show_rows(rows, _DROP_COLUMNS, nothing, as_json=as_json)
    return 1 if any(outcome.startswith(_LEFT) for outcome in outcomes.values()) else 0


def _row(redriven: Redriven, *, as_json: bool) -> dict[str, Any]:
    local = datetime.fromtimestamp(redriven.when).astimezone().strftime("%Y-%m-%d %H:%M:%S")
    texts = {name: printable(getattr(redriven, name)) for name in ("what", "channel", "why", "outcome")}
    return {"when": round(redriven.when, 3) if as_json else local} | texts


# --- failed deliveries ------------------------------------------------------------------------------------------------


def _failed_deliveries(
    stack: Stack, channels: tuple[str, ...], begin: float, progress: Progress, *, dry_run: bool
) -> Iterator[Redriven]:
    """One per incident and channel, however often it failed: the router then sends the newest state."""
    failures = stack.history.failed_deliveries(begin, time.time())
    newest = {(item["incident"], item["channel"]): item for item in failures}
    chosen = [item for (_, channel), item in newest.items() if not channels or channel in channels]
    task = progress.add_task("failed deliveries", total=len(chosen))
    for item in chosen:
        is_removed = item["answer"] == NOT_CONFIGURED and not channels
        outcome = _requeued(stack, item["incident"], item["channel"], dry_run=dry_run, is_removed=is_removed)
        when = datetime.fromisoformat(item["at"]).timestamp()
        yield Redriven(when, item["incident"], item["channel"], item["answer"], outcome)
        progress.advance(task)


def _requeued(stack: Stack, incident_id: str, channel: str, *, dry_run: bool, is_removed: bool) -> str:
    """Makes a failed notification due again. Returns the outcome in words.

    Args:
        is_removed: the channel is not in the configuration any more, so it would only fail again.
    """

    def read(attempt: Attempt) -> SubjectState | None:
        return stack.history.incident(incident_id, attempt.now)

    def change(state: SubjectState | None, attempt: Attempt) -> Change[str]:
        if state is None:
            return Change("skipped: the incident has expired")
        requeued, why_not = requeue(state, channel, attempt.now)
        if why_not:
            return Change(f"skipped: {why_not}")
        if is_removed:
            return Change(f"{_LEFT}: {NOT_CONFIGURED}; --drop {channel} drops it, --channel {channel} tries again")
        if dry_run:
            return Change("would be due again")
        return Change("due again", SubjectWrite(state=requeued))

    try:
        outcome, stored, _ = stack.history.update(read, change, time.time, pause)
    except Contended:
        return f"{_LEFT}: the router kept changing its incident at the same time; try again"
    return f"{outcome}: notifying {stack.hint(stored)}" if stored else outcome


# --- the dead-letter queue --------------------------------------------------------------------------------------------


@dataclass(slots=True)
class DeadLetters:
    """The dead-letter queue. It is emptied message by message, as far as possible."""

    stack: Stack
    begin: float
    end: float
    dry_run: bool
    delete_unreadable: bool

    def redrive(self, progress: Progress) -> list[Redriven]:
        """Processes every message. Messages that are left become visible again, even after an interruption."""
        task = progress.add_task("dead letters", total=self._count())
        done, kept = [], {}
        try:
            for message in self._messages():
                kept[message["MessageId"]] = message["ReceiptHandle"]
                redriven, taken_in = self._one(message)
                if redriven:
                    done.append(redriven)
                if taken_in:
                    self._delete(message)
                    del kept[message["MessageId"]]
                progress.advance(task)
        finally:
            for handle in kept.values():
                self.stack.sqs.change_message_visibility(
                    QueueUrl=self.stack.dead_letter_url, ReceiptHandle=handle, VisibilityTimeout=0
                )
        return done

    def _count(self) -> int:
        name = "ApproximateNumberOfMessages"
        answer = self.stack.sqs.get_queue_attributes(QueueUrl=self.stack.dead_letter_url, AttributeNames=[name])
        return int(answer["Attributes"][name])

    def _messages(self) -> Iterator[Mapping[str, Any]]:
        """Yields each message once, even if SQS delivers it again."""
        seen: set[str] = set()
        while True:
            answer = self.stack.sqs.receive_message(
                QueueUrl=self.stack.dead_letter_url,
                MaxNumberOfMessages=10,
                VisibilityTimeout=HIDDEN,
                WaitTimeSeconds=WAIT,
                MessageAttributeNames=["All"],
                AttributeNames=["All"],
            )
            messages = answer.get("Messages", [])
            if not messages:
                return
            yield from (message for message in messages if message["MessageId"] not in seen)
            seen |= {message["MessageId"] for message in messages}

    def _one(self, message: Mapping[str, Any]) -> tuple[Redriven | None, bool]:
        """The result, and whether the message may be deleted; no result if it is too old or arrived after the start."""
        when = _sent_at(message)
        if not self.begin <= when <= self.end:
            return None, False
        notes = _notes(message)
        why = notes.get("reason") or notes.get("ERROR_CODE") or "received too often"
        what = _about(message["Body"])
        if what:
            outcome, taken_in = self._back(message["Body"], notes)
        else:
            what, (outcome, taken_in) = message["Body"][:_SHOWN], self._unreadable()
        return Redriven(when, what, "", why, outcome), taken_in

    def _back(self, body: str, notes: Mapping[str, str]) -> tuple[str, bool]:
        """Puts an event back on the events queue; with its attributes, if it was announced without history."""
        backfilled = notes.get("reason") == WITHOUT_HISTORY
        kept = {name: notes[name] for name in ("reason", "announced") if backfilled and name in notes}
        what = "into history, nothing is sent" if backfilled else "back on the events queue"
        if self.dry_run:
            return f"would go {what}", False
        attributes = {name: {"DataType": "String", "StringValue": note} for name, note in kept.items()}
        try:
            self.stack.sqs.send_message(QueueUrl=self.stack.events_url, MessageBody=body, MessageAttributes=attributes)
        except Exception as error:  # noqa: BLE001 - after any failure the message stays in the dead-letter queue
            return f"{_LEFT}: the events queue did not take it ({error})", False
        return what, True

    def _unreadable(self) -> tuple[str, bool]:
        if not self.delete_unreadable:
            return f"{_LEFT}: it cannot be read (--delete-unreadable)", False
        return ("would be deleted", False) if self.dry_run else ("deleted", True)

    def _delete(self, message: Mapping[str, Any]) -> None:
        self.stack.sqs.delete_message(QueueUrl=self.stack.dead_letter_url, ReceiptHandle=message["ReceiptHandle"])


def _sent_at(message: Mapping[str, Any]) -> float:
    return int(message.get("Attributes", {}).get("SentTimestamp", 0)) / 1000


def _notes(message: Mapping[str, Any]) -> dict[str, str]:
    """The message's attributes: the router's own (`router.aws.queues`), or EventBridge's (ERROR_CODE, RULE_ARN, …)."""
    return {name: note.get("StringValue", "") for name, note in message.get("MessageAttributes", {}).items()}


def _about(body: str) -> str:
    """What an event is about; "" if the router cannot read it."""
    try:
        raw = parse(body)
        if isinstance(raw, Mapping) and raw.get("source") == OWN_SOURCE and raw.get("detail-type") in {DUE, TICK}:
            return str(raw["detail-type"])  # the invocation that receives it processes whatever is due
        event = normalise(raw)
    except UnreadableEvent:
        return ""
    return f"{event.detail_type} {event.subject.text}"
