"""`ecs-alert-router redrive`: sends failed deliveries as the current state, and processes dead letters, each once."""

import json
import time
from typing import Any

import pytest
from click.testing import CliRunner, Result

from local_aws import events
from router.cli import main
from router.cli import redrive as redrive_module
from router.errors import PermanentError, TransientError
from router.history.items import iso
from router.model import Decision, Kind
from tests.doubles.account import Account
from tests.doubles.place import without_place

OPENED, UPDATED, RESOLVED = Kind.OPENED, Kind.UPDATED, Kind.RESOLVED


def died(task: str = "t1", service: str = "web") -> events.Raw:
    return events.task_stopped(task=task, service=service, stoppedAt=iso(time.time()), event_id=f"{task}-{service}")


def steady() -> events.Raw:
    return events.service_action(createdAt=iso(time.time() + 1))


def redrive(account: Account, *words: str) -> Result:
    since = () if "--since" in words else ("--since", "1d")
    return without_place(CliRunner().invoke(main, ["redrive", *words, *since, *account.options]))


def outcomes(account: Account, *words: str) -> list[tuple[str, str]]:
    """(channel or event, outcome) of each line."""
    found = [json.loads(line) for line in redrive(account, "--json", *words).stdout.splitlines()]
    return [(delivery["channel"] or delivery["what"], delivery["outcome"]) for delivery in found]


def broken_slack(account: Account, *raws: events.Raw) -> None:
    """Slack refuses permanently what the others accept, and then recovers."""
    account.world.slack.failure = lambda: PermanentError("the webhook is gone")
    account.decisions(*raws)
    account.world.slack.failure = lambda: None


def bury(account: Account, body: str, **notes: str) -> None:
    attributes = {name: {"DataType": "String", "StringValue": note} for name, note in notes.items()}
    account.sqs.send_message(QueueUrl=account.dead_letter_url, MessageBody=body, MessageAttributes=attributes)


def row_of(account: Account, task: str) -> dict[str, Any]:
    (row,) = account.world.history.by_occurrence(task, time.time())
    return row


# --- what failed for good ---------------------------------------------------------------------------------------------


def test_a_failed_delivery_is_sent_as_the_current_state_once_to_that_channel_only(account: Account) -> None:
    broken_slack(account, died("t1"), died("t2"))
    broken_slack(account, died("t3"))
    assert outcomes(account) == [("slack", "due again: notifying now")]
    assert account.world.slack.told == []  # the command itself sends nothing
    account.deliver(account.due_url)
    (told,) = account.world.slack.told
    assert (told.kind, told.incident.count) == (OPENED, 3)
    assert account.world.email.kinds == [OPENED]
    assert account.world.pager.kinds == [OPENED]


def test_redrive_can_be_repeated(account: Account) -> None:
    broken_slack(account, died())
    assert outcomes(account) == [("slack", "due again: notifying now")]
    assert outcomes(account) == [("slack", "skipped: due already")]
    account.deliver(account.due_url)
    assert outcomes(account) == [("slack", "skipped: told meanwhile")]
    account.deliver(account.due_url)
    assert account.world.slack.kinds == [OPENED]


def test_an_incident_that_was_sent_in_the_meantime_is_skipped(account: Account) -> None:
    broken_slack(account, died("t1"))
    account.decisions(died("t2"))
    assert account.world.slack.kinds == [OPENED]
    assert outcomes(account) == [("slack", "skipped: told meanwhile")]


def test_a_failed_end_is_sent(account: Account) -> None:
    account.world.now -= 600
    account.world.receive(died())
    account.world.pager.failure = lambda: PermanentError("no")
    account.world.receive(steady())
    account.world.wait(400)
    account.world.pager.failure = lambda: None
    assert outcomes(account) == [("pager", "due again: notifying now")]
    account.deliver(account.due_url)
    assert account.world.pager.kinds == [OPENED, RESOLVED]


def test_a_pager_that_never_had_an_incident_gets_no_resolve(account: Account) -> None:
    account.world.pager.failure = lambda: PermanentError("no")
    account.decisions(died())
    account.world.pager.failure = lambda: None
    account.decisions(steady())
    account.world.now += 400
    account.world.tick()
    assert outcomes(account) == [("pager", "skipped: over, and the channel has nothing to resolve")]


def test_a_dry_run_changes_nothing(account: Account) -> None:
    broken_slack(account, died())
    bury(account, json.dumps(died("t2", "api")))
    expected = [
        ("slack", "would be due again"),
        ("ECS Task State Change service:api", "would go back on the events queue"),
    ]
    assert outcomes(account, "--dry-run") == expected
    assert outcomes(account, "--dry-run") == expected  # it is visible again immediately
    assert account.deliver(account.due_url) == 0
    assert account.deliver(account.events_url) == 0


def test_a_channel_can_be_selected(account: Account) -> None:
    for channel in account.world.channels.values():
        channel.failure = lambda: PermanentError("no")
    account.decisions(died())
    bury(account, json.dumps(died("t2")))
    assert outcomes(account, "--channel", "email") == [("email", "due again: notifying now")]
    assert account.dead_letters() == 1


def test_old_failures_are_left_out(account: Account) -> None:
    account.world.now -= 3600
    account.world.slack.failure = lambda: PermanentError("no")
    account.world.receive(died())
    assert outcomes(account, "--since", "30m") == []
    assert [channel for channel, _ in outcomes(account, "--since", "2h")] == ["slack"]


def test_a_redriven_delivery_can_fail_and_be_redriven_again(account: Account) -> None:
    broken_slack(account, died())
    outcomes(account)
    account.world.slack.failure = lambda: PermanentError("still gone")
    account.deliver(account.due_url)
    account.world.slack.failure = lambda: None
    assert outcomes(account) == [("slack", "due again: notifying now")]


# --- the dead-letter queue --------------------------------------------------------------------------------------------


def test_an_event_that_was_received_too_often_goes_back_and_is_announced(account: Account) -> None:
    bury(account, json.dumps(died()))
    result = redrive(account)
    assert (result.exit_code, account.dead_letters()) == (0, 0)
    assert "back on the events queue" in result.stdout
    assert account.deliver(account.events_url) == 1
    assert account.world.slack.kinds == [OPENED]


def test_an_event_that_eventbridge_could_not_deliver_goes_back(account: Account) -> None:
    bury(account, json.dumps(died()), ERROR_CODE="NO_PERMISSIONS", RULE_ARN="arn:aws:events:eu-west-1:1:rule/x")
    assert outcomes(account) == [("ECS Task State Change service:web", "back on the events queue")]
    account.deliver(account.events_url)
    assert account.world.slack.kinds == [OPENED]


def test_an_event_that_history_has_is_not_announced_again(account: Account) -> None:
    account.decisions(died())
    bury(account, json.dumps(died()))
    redrive(account)
    account.deliver(account.events_url)
    assert account.world.slack.kinds == [OPENED]


def test_an_event_announced_without_history_is_backfilled_and_nothing_is_sent(account: Account) -> None:
    bury(account, json.dumps(died()), reason="history unavailable", announced="slack,email")
    assert outcomes(account) == [("ECS Task State Change service:web", "into history, nothing is sent")]
    assert account.deliver(account.events_url) == 1
    account.world.wait(60, step=60)
    assert [channel.tried for channel in account.world.channels.values()] == [0, 0, 0]
    assert row_of(account, "t1")["decision"] == Decision.ANNOUNCED
    (incident,) = account.world.history.open_incidents(time.time())
    told = {
        delivery["channel"]: delivery["outcome"]
        for delivery in account.world.history.deliveries(incident["id"], time.time())
    }
    assert told == {"slack": "sent", "email": "sent", "pager": "failed"}


def test_alerts_after_a_backfilled_event_are_announced_as_usual(account: Account) -> None:
    bury(account, json.dumps(died()), reason="history unavailable", announced="slack,email")
    redrive(account)
    account.deliver(account.events_url)
    assert account.decisions(died("t2")) == [Decision.ANNOUNCED]  # to the pager, which was not notified
    assert [channel.kinds for channel in account.world.channels.values()] == [[], [], [OPENED]]
    account.decisions(steady())
    account.world.now += 400
    account.world.tick()
    assert [channel.kinds for channel in account.world.channels.values()] == [
        [RESOLVED],
        [RESOLVED],
        [OPENED, RESOLVED],
    ]


def test_unreadable_input_is_shown_and_kept_unless_deletion_is_requested(account: Account) -> None:
    bury(account, "not JSON", reason="not JSON: Expecting value")
    result = redrive(account)
    assert result.exit_code == 1
    assert "not JSON: Expecting value" in result.stdout
    assert "left: it cannot be read (--delete-unreadable)" in result.stdout
    assert result.stderr.splitlines()[-1] == "1 of 1 left"
    assert account.dead_letters() == 1
    assert outcomes(account, "--delete-unreadable") == [("not JSON", "deleted")]
    assert account.dead_letters() == 0


def test_input_that_has_become_readable_goes_back(account: Account) -> None:
    bury(account, json.dumps(died()), reason="cannot be understood: TypeError")
    assert outcomes(account) == [("ECS Task State Change service:web", "back on the events queue")]


def test_many_dead_letters_are_all_processed(account: Account) -> None:
    for number in range(25):
        bury(account, json.dumps(died(f"t{number}")))
        bury(account, f"junk {number}", reason="not JSON")
    result = redrive(account)
    assert (result.exit_code, result.stderr.splitlines()[-1]) == (1, "25 of 50 left")
    assert account.deliver(account.events_url) == 25
    assert account.dead_letters() == 25


def test_a_message_that_the_events_queue_refuses_stays_a_dead_letter(
    account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    bury(account, json.dumps(died()))
    options = [word if word != account.events_url else f"{account.events_url}-gone" for word in account.options]
    result = without_place(CliRunner().invoke(main, ["redrive", *options]))
    assert result.exit_code == 1
    assert "left: the events queue did not take it (" in result.stdout
    assert account.dead_letters() == 1


def test_an_unreachable_dead_letter_queue_is_an_error_of_one_line(account: Account) -> None:
    options = [word if word != account.dead_letter_url else f"{word}-gone" for word in account.options]
    result = without_place(CliRunner().invoke(main, ["redrive", *options]))
    assert (result.exit_code, result.stderr.count("\n")) == (1, 1)
    assert isinstance(result.exception, SystemExit)


def test_an_interruption_leaves_unprocessed_dead_letters_visible(
    account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Processed messages are gone from the queue, and the others are visible for the next run."""

    def interrupted(*_: object) -> bool:
        raise KeyboardInterrupt

    bury(account, json.dumps(died("t1")))
    bury(account, "junk")
    with monkeypatch.context() as patch:
        patch.setattr(redrive_module.DeadLetters, "_unreadable", interrupted)
        assert redrive(account).exit_code == 1
    assert account.deliver(account.events_url) == 1
    assert account.dead_letters() == 1
    assert outcomes(account) == [("junk", "left: it cannot be read (--delete-unreadable)")]


def test_nothing_to_redrive_has_exit_code_0(account: Account) -> None:
    result = redrive(account)
    assert (result.exit_code, result.stdout, result.stderr) == (0, "", "Nothing has failed.\n")


def test_without_queues_only_deliveries_are_redriven_with_a_note(account: Account) -> None:
    broken_slack(account, died())
    result = without_place(CliRunner().invoke(main, ["redrive", *account.options[:2]]))
    assert "due again: notifying within a minute" in result.stdout
    assert "the dead-letter queue is skipped" in result.stderr


# --- channels that are removed from the configuration -----------------------------------------------------------------


def due(account: Account) -> dict[str, tuple[int, int, bool]]:
    rows = [json.loads(line) for line in redrive(account, "--due", "--json").stdout.splitlines()]
    return {row["channel"]: (row["due"], row["open_incidents"], row["configured"]) for row in rows}


def test_a_channel_that_nobody_knows_is_refused(account: Account) -> None:
    broken_slack(account, died())
    for words in (["--channel", "slakc"], ["--drop", "slakc", "--yes"]):
        result = redrive(account, *words)
        assert result.exit_code == 2
        assert "there is no channel 'slakc'; known channels: email, pager, pagerduty, slack, teams" in result.stderr


def test_what_each_channel_has_yet_to_be_sent_is_listed(account: Account) -> None:
    """The pager, which is in no alert-router.toml here, still has to be told that the incident ended."""
    account.world.slack.failure = lambda: TransientError("down")
    account.decisions(died())
    assert due(account) == {"pager": (0, 1, False), "email": (0, 1, True), "slack": (1, 0, True)}


def test_what_is_dropped_is_never_sent_and_other_channels_keep_theirs(account: Account) -> None:
    account.world.slack.failure = lambda: TransientError("down")
    account.decisions(died())
    assert [outcome for _, outcome in outcomes(account, "--drop", "slack", "--dry-run")] == ["would be dropped"]
    assert redrive(account, "--drop", "slack").exit_code == 2  # nobody can be asked
    assert outcomes(account, "--drop", "slack", "--yes") == [("slack", "dropped")]
    assert "slack" not in due(account)
    account.world.slack.failure = lambda: None
    account.world.now = time.time() + 3600
    account.world.tick()
    assert account.world.slack.told == []
    assert account.world.pager.kinds == [OPENED]
    assert outcomes(account) == []


def test_a_delivery_to_a_removed_channel_is_left_with_what_to_type(account: Account) -> None:
    account.world.now -= 600
    account.world.receive(died())
    config = account.world.router.config
    channels = {name: channel for name, channel in config.channels.items() if name != "slack"}
    account.world.router = account.world.router._replace(config=config._replace(channels=channels))
    account.world.receive(steady())
    account.world.wait(400)
    assert outcomes(account) == [
        ("slack", "left: this channel is no longer configured; --drop slack drops it, --channel slack tries again")
    ]
    assert redrive(account, "--drop", "slack", "--yes").exit_code == 0
    assert [outcome.partition(":")[0] for _, outcome in outcomes(account)] == ["skipped"]
