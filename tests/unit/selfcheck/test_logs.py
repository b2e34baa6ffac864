"""The log: made late, and then as Powertools makes it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]

# In a process of its own, since the Logger is made once in each; the handler at the root is Lambda's own.
PROGRAM = """
import logging, sys
logging.basicConfig(stream=sys.stdout, format="at the root: %(message)s", level=logging.DEBUG)
from router.selfcheck.logs import LazyLogger
logger = LazyLogger()
logger.append_keys(function_request_id="first")
made = lambda: "aws_lambda_powertools" in sys.modules
{said}
"""


def lines(said: str) -> list[str]:
    command = [sys.executable, "-c", PROGRAM.format(said=said)]
    environment = {"PYTHONPATH": str(ROOT), "POWERTOOLS_LOG_LEVEL": "INFO"}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout.splitlines()


def test_the_first_line_is_one_line_of_json_with_the_keys_that_were_given_before() -> None:
    (line,) = lines("logging.getLogger('ecs-alert-router.inbox').warning('%s went wrong', 'it')")
    said = json.loads(line)
    assert (said["message"], said["level"], said["function_request_id"]) == ("it went wrong", "WARNING", "first")
    assert said["service"] == "ecs-alert-router"


def test_later_lines_have_the_keys_that_were_given_last() -> None:
    said = lines(
        "log = logging.getLogger('ecs-alert-router.inbox'); log.error('one'); "
        "logger.append_keys(function_request_id='second'); log.error('two')"
    )
    assert [json.loads(line)["function_request_id"] for line in said] == ["first", "second"]


@pytest.mark.parametrize("before", ["", "log.error('one'); "])
def test_what_is_below_the_level_is_not_said(before: str) -> None:
    said = lines(f"log = logging.getLogger('ecs-alert-router.inbox'); {before}log.debug('not this'); log.info('this')")
    assert [json.loads(line)["message"] for line in said][-1:] == ["this"]
    assert len(said) == (2 if before else 1)


def test_until_something_is_said_nothing_is_imported() -> None:
    before, _, after = lines("print(made()); logging.getLogger('ecs-alert-router').error('x'); print(made())")
    assert (before, after) == ("False", "True")


def test_each_line_is_said_once_by_each_who_says_it() -> None:
    """Somebody else may listen at the same place."""
    said = lines(
        "log = logging.getLogger('ecs-alert-router'); log.addHandler(logging.StreamHandler(sys.stdout)); "
        "log.error('one'); log.error('two')"
    )
    assert sorted(line if line in {"one", "two"} else json.loads(line)["message"] for line in said) == [
        "one",
        "one",
        "two",
        "two",
    ]
