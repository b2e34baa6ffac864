"""`ecs-alert-router incident close`: the command sends nothing itself; the router sends the end as usual."""

import json
import time

import pytest
from click.testing import CliRunner, Result

from local_aws import events
from router.cli import main
from router.errors import TransientError
from router.history.items import iso
from router.model import Decision, Kind
from tests.doubles.account import Account
from tests.doubles.place import without_place

OPENED, RESOLVED = Kind.OPENED, Kind.RESOLVED


def died(task: str = "t1", at: float | None = None) -> events.Raw:
    return events.task_stopped(task=task, stoppedAt=iso(at or time.time()), event_id=f"{task}-{at}")


def open_incident(account: Account) -> str:
    return str(account.world.history.open_incidents(time.time())[0]["id"])


def close(account: Account, incident_id: str, *words: str) -> Result:
    why = () if "--reason" in words else ("--reason", "it is gone")
    return without_place(
        CliRunner().invoke(main, ["incident", "close", incident_id, "--yes", *why, *words, *account.options])
    )


def test_notified_channels_learn_who_closed_the_incident(account: Account) -> None:
    account.world.receive(died())
    incident_id = open_incident(account)
    result = close(account, incident_id, "--author", "ann", "--reason", "the host is gone")
    assert (result.exit_code, result.stdout) == (0, f"{incident_id} is closed; notifying now: email, pager, slack\n")
    assert account.world.slack.kinds == [OPENED]  # the command itself has sent nothing
    assert account.deliver(account.due_url) >= 1
    assert [channel.kinds for channel in account.world.channels.values()] == [[OPENED, RESOLVED]] * 3
    told = account.world.pager.told[-1]
    assert told.incident.status == "closed"
    assert "Closed manually by ann (the host is gone) after " in told.message.text
    assert account.world.history.open_incidents(time.time()) == []


def test_without_the_delayed_message_the_tick_sends_the_end(account: Account) -> None:
    account.world.receive(died())
    close(account, open_incident(account))
    account.world.now = time.time()
    account.world.tick()
    assert account.world.pager.kinds == [OPENED, RESOLVED]


def test_an_incident_that_is_over_cannot_be_closed(account: Account) -> None:
    account.world.receive(died())
    incident_id = open_incident(account)
    close(account, incident_id)
    again = close(account, incident_id)
    assert (again.exit_code, again.stdout) == (1, "")
    assert again.stderr == f"Error: {incident_id} is over already: closed\n"


def test_an_unknown_incident_cannot_be_closed(account: Account) -> None:
    for unknown in ("k3f9x2a7m2c4q-12", "nonsense"):
        result = close(account, unknown)
        assert (result.exit_code, result.stderr.startswith(f"Error: there is no incident {unknown}")) == (1, True)


def test_a_channel_that_missed_the_incident_gets_one_message_and_a_pager_none(account: Account) -> None:
    for channel in account.world.channels.values():
        channel.failure = lambda: TransientError("down")
    account.world.receive(died())
    close(account, open_incident(account))
    for channel in account.world.channels.values():
        channel.failure = lambda: None
    account.world.now = time.time() + 120
    account.world.tick()
    assert [channel.kinds[:1] for channel in account.world.channels.values()][:2] == [[RESOLVED], [RESOLVED]]


def test_earlier_alerts_notify_no_one_and_later_ones_open_the_next_incident(account: Account) -> None:
    account.world.receive(died())
    incident_id = open_incident(account)
    before = time.time() - 1
    close(account, incident_id)
    account.world.now = time.time()
    assert account.world.decisions(died("late", before)) == [Decision.ALREADY_RESOLVED]
    assert account.world.decisions(died("new", time.time() + 1)) == [Decision.ANNOUNCED]
    assert open_incident(account).endswith("-2")


def test_json_output_has_the_documented_fields(account: Account) -> None:
    account.world.receive(died())
    incident_id = open_incident(account)
    said = json.loads(close(account, incident_id, "--json").stdout)
    assert said == {"id": incident_id, "status": "closed", "due_channels": ["email", "pager", "slack"]}


def test_an_incident_is_not_closed_without_a_reason_or_an_answer(account: Account) -> None:
    """Nobody can be asked where stdin is no terminal; --yes is the answer."""
    account.world.receive(died())
    incident_id = open_incident(account)
    for words in (["--reason", "gone"], ["--yes"], ["--yes", "--reason", " "]):
        result = CliRunner().invoke(main, ["incident", "close", incident_id, *words, *account.options])
        assert result.exit_code == 2, words
        assert open_incident(account) == incident_id


@pytest.mark.parametrize(("typed", "is_closed"), [("y\n", True), ("n\n", False), ("\n", False)])
def test_a_terminal_is_asked(typed: str, account: Account, monkeypatch: pytest.MonkeyPatch, *, is_closed: bool) -> None:
    account.world.receive(died())
    monkeypatch.setattr("router.cli.confirm.is_terminal", lambda: True)
    words = ["incident", "close", open_incident(account), "--reason", "gone", *account.options]
    result = CliRunner().invoke(main, words, input=typed)
    assert "and notify its channels? It cannot be undone." in result.stderr
    assert result.exit_code == (0 if is_closed else 1)
    assert bool(account.world.history.open_incidents(time.time())) is not is_closed
