"""`ecs-alert-router silence`: the command; what a silence suppresses is tested in `test_silences.py`."""

import json
import time
from datetime import datetime
from typing import Any

import pytest
from click.testing import CliRunner, Result

from local_aws import events
from router.cli import main
from router.history.items import iso
from router.model import Decision
from tests.doubles.account import TABLE, Account
from tests.doubles.place import without_place
from tests.doubles.world import DAY, HOUR, MINUTE


def run(*words: str) -> Result:
    return without_place(CliRunner().invoke(main, ["silence", *words, "--table", TABLE]))


def add(*words: str) -> dict[str, Any]:
    result = run("add", *words, "--reason", "moving the database", "--json")
    assert result.exit_code == 0, result.output
    return dict(json.loads(result.stdout))


def listed(*words: str) -> list[dict[str, Any]]:
    result = run("list", "--json", *words)
    assert result.exit_code == 0, result.output
    return [json.loads(line) for line in result.stdout.splitlines()]


def died(task: str = "t1", service: str = "web") -> events.Raw:
    return events.task_stopped(task=task, service=service, stoppedAt=iso(time.time()), event_id=f"{task}-{service}")


def seconds(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def test_an_added_silence_is_in_effect_and_has_author_reason_and_end(account: Account) -> None:
    said = add("--service", "web", "--cluster", "prod", "--for", "2h", "--author", "ann")
    assert said.items() >= {"author": "ann", "reason": "moving the database", "status": "active", "added": True}.items()
    assert said["match"] == {"service": ["web"], "cluster": ["prod"]}
    assert seconds(said["ends_at"]) - seconds(said["starts_at"]) == pytest.approx(2 * HOUR)
    assert account.decisions(died()) == [Decision.SILENCED]
    assert account.world.slack.tried == 0


def test_the_author_is_the_user_of_this_machine(account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOGNAME", "bob")
    assert add("--service", "web", "--for", "30m")["author"] == "bob"


def test_each_value_of_an_option_may_match_and_every_option_must(account: Account) -> None:
    add("--service", "web", "--service", "api-*", "--cluster", "prod", "--for", "1h")
    found = account.decisions(died("1", "web"), died("2", "API-eu"), died("3", "other"))
    assert found == [Decision.SILENCED, Decision.SILENCED, Decision.ANNOUNCED]


def test_a_value_that_begins_with_an_exclamation_mark_excludes(account: Account) -> None:
    add("--service", "!web", "--cluster", "prod", "--for", "1h")
    assert account.decisions(died("1", "web"), died("2", "api")) == [Decision.ANNOUNCED, Decision.SILENCED]


def test_every_fact_is_an_option_and_is_stored(account: Account) -> None:
    match = {"exit_code": ["137", "1"], "stop_code": ["Essential*"], "detail_type": ["ecs task*"], "reason": ["*exit*"]}
    words = ["--exit-code", "137", "--exit-code", "1", "--stop-code", "Essential*", "--detail-type", "ecs task*"]
    assert add(*words, "--stopped-reason", "*exit*", "--for", "1h")["match"] == match
    assert account.decisions(died()) == [Decision.SILENCED]


def test_add_shows_the_open_incidents_that_it_matches(account: Account) -> None:
    account.world.receive(died("1", "web"), died("2", "api"))
    result = run("add", "--service", "web", "--for", "1h", "--reason", "x", "--dry-run")
    assert result.exit_code == 0
    assert "matches 1 of the incidents that are open now" in result.stderr
    assert "service:web" in result.stdout
    assert "service:api" not in result.stdout
    assert listed() == []
    said = add("--service", "web", "--for", "1h")
    assert [incident.rpartition("-")[2] for incident in said["incidents"]] == ["1"]


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (("--for", "2h"), "this matches everything and would mute all alerts; pass --all to confirm"),
        (("--cluster", "*", "--for", "2h"), "this matches everything"),
        (("--service", "web"), "pass either --for 2h or --until 22:30"),
        (("--service", "web", "--for", "2h", "--until", "22:30"), "pass either --for"),
        (
            ("--service", "web", "--until", "2020-01-01T00:00"),
            "the silence would end before it starts, or has already ended",
        ),
        (("--service", "web", "--for", "2 hours"), "'2 hours' is not a duration"),
        (("--service", "web", "--until", "later"), "'later' is not a time; use 22:30"),
        (("--severity", "bad", "--for", "2h"), "--severity: 'bad' is no severity; there are critical"),
        (("--cause", "oom", "--for", "2h"), "did you mean out_of_memory?"),
        (("--exit-code", "OOM", "--for", "2h"), "--exit-code: must be an exit code such as 137, not 'OOM'"),
        (("--service", "web", "--family", "a", "--for", "2h"), "never matches: no alert has both family and service"),
        (("--account", "*", "--alert-region", "*", "--for", "2h"), "this matches everything"),
    ],
)
def test_wrong_options_are_rejected(words: tuple[str, ...], problem: str, account: Account) -> None:
    result = run("add", *words, "--reason", "x")
    assert result.exit_code == 2
    assert problem in result.stderr
    assert listed() == []


def test_all_silences_every_alert(account: Account) -> None:
    assert add("--all", "--for", "5m")["match"] == {}
    assert account.decisions(died(service="any")) == [Decision.SILENCED]


def test_a_reason_is_required(account: Account) -> None:
    result = run("add", "--service", "web", "--for", "2h")
    assert (result.exit_code, "Missing option '--reason'" in result.stderr) == (2, True)


def test_list_shows_active_pending_and_expired_ones_in_this_order(account: Account) -> None:
    tomorrow = iso(time.time() + DAY)
    pending = add("--service", "a", "--from", tomorrow, "--for", "1h")
    active = add("--service", "b", "--for", "1h")
    ended = add("--service", "c", "--for", "1h")
    assert run("end", ended["id"]).exit_code == 0
    found = [(item["id"], item["status"]) for item in listed()]
    assert found == [(active["id"], "active"), (pending["id"], "pending"), (ended["id"], "expired")]
    head, *lines = run("list").stdout.splitlines()
    assert head.split() == ["Silence", "Status", "From", "Until", "Matches", "Reason", "Author"]
    assert "service=b" in lines[0]


def test_expired_silences_are_listed_as_far_back_as_requested(account: Account) -> None:
    ended = add("--service", "c", "--for", "1h")
    run("end", ended["id"])
    now = time.time()
    (stored,) = account.world.history.all_silences(now)
    assert stored.status(now) == "expired"
    assert listed("--since", "1m") != []
    account.world.history.put_silence(stored._replace(ends_at=now - 10 * MINUTE), now)
    assert listed("--since", "1m") == []


def test_end_takes_effect_within_a_minute(account: Account) -> None:
    said = add("--service", "web", "--for", "2h")
    result = run("end", said["id"])
    assert result.stdout == f"silence {said['id']} has ended; matching alerts are announced again within a minute\n"
    assert account.decisions(died()) == [Decision.ANNOUNCED]
    assert account.world.history.silences(time.time()) != []  # its key has the planned end


def test_a_silence_that_cannot_be_ended_is_explained_in_one_line(account: Account) -> None:
    said = add("--service", "web", "--for", "2h")
    run("end", said["id"])
    again = run("end", said["id"])
    assert again.exit_code == 1
    assert again.stderr.startswith(f"Error: silence {said['id']} already ended at ")
    unknown = run("end", "nothing")
    assert (unknown.exit_code, unknown.stdout) == (1, "")
    assert unknown.stderr.count("\n") == 1


def test_an_empty_list_is_stated_in_text_and_not_in_json(account: Account) -> None:
    assert run("list").stderr == "No silences.\n"
    assert listed() == []
