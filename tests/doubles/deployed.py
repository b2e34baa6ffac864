"""A stack on the local AWS with doubles in place of its channels, as its recipients and an operator see it."""

import json
import re
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from click.testing import CliRunner

from local_aws.deploy import Stack, function_logs
from local_aws.events import Raw
from local_aws.mailbox import Mailbox
from local_aws.pagerduty import PagerDutyDouble
from local_aws.server import LocalAws
from local_aws.slack import SlackDouble
from local_aws.stories import put, stamped
from local_aws.teams import TeamsDouble
from router.cli import main

PATIENCE = 180.0  # seconds; the longest wait is for a cold start on a busy machine
_COUNTS = [f"ApproximateNumberOfMessages{which}" for which in ("", "NotVisible", "Delayed")]


@dataclass(frozen=True)
class DeployedStack:
    aws: LocalAws
    stack: Stack
    slack: SlackDouble
    mailbox: Mailbox

    def happen(self, raw: Raw) -> None:
        put(stamped(raw, time.time()), self.aws.client("events"))

    def history(self, *words: str) -> Any:
        exit_code, lines = self.type("history", *words, "--json")
        assert exit_code == 0, lines
        return lines

    @property
    def operator(self) -> dict[str, str]:
        """The environment of an operator's shell."""
        return {
            "AWS_ENDPOINT_URL": self.aws.endpoint,
            "AWS_REGION": self.aws.region,
            "AWS_DEFAULT_REGION": self.aws.region,
            "AWS_ACCESS_KEY_ID": self.aws.access_key,
            "AWS_SECRET_ACCESS_KEY": self.aws.secret_key,
        }

    def type(self, *words: str) -> tuple[int, Any]:
        """Exit code and JSON Lines of a command, which finds the stack by its stage."""
        result = CliRunner().invoke(main, words, env=self.operator)
        return result.exit_code, [json.loads(line) for line in result.stdout.splitlines()]

    def is_drained(self) -> bool:
        """Whether the events queue is empty, and nothing that was received from it is still being handled."""
        return self.messages_on(self.stack.events_queue_url) == 0

    def messages_on(self, queue_url: str) -> int:
        """The messages of a queue: visible, delayed, or received and not deleted."""
        answer = self.aws.client("sqs").get_queue_attributes(QueueUrl=queue_url, AttributeNames=_COUNTS)
        return sum(int(answer["Attributes"][name]) for name in _COUNTS)


def settings(slack: SlackDouble, teams: TeamsDouble, pagerduty: PagerDutyDouble) -> dict[str, str]:
    """The environment of a shell that deploys with all channels."""
    return {
        "SLACK_WEBHOOK_URL": slack.webhook_url,
        "TEAMS_WEBHOOK_URL": teams.webhook_url,
        "PAGERDUTY_ROUTING_KEY": pagerduty.routing_key,
        "PAGERDUTY_EVENTS_URL": pagerduty.events_url,
        "ALERT_EMAILS": "oncall@example.com",
    }


def lines_about(service: str, payload: Any) -> list[str]:
    """The lines of a message's texts that name the service: the title of its own message, or its line of a bundle."""
    named = re.compile(rf"\bservice {service}(?![\w-])")
    return [line for text in _texts(payload) for line in text.splitlines() if named.search(line)]


def _texts(value: Any) -> Iterator[str]:
    """Every text in JSON, at any depth."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping | list):
        for item in value.values() if isinstance(value, Mapping) else value:
            yield from _texts(item)


def eventually(condition: Callable[[], Any], deployed: DeployedStack, patience: float = PATIENCE) -> Any:
    """The first true result of the condition; raises AssertionError with the function's logs if there is none."""
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        if result := condition():
            return result
        time.sleep(0.1)
    logs = "".join(function_logs(deployed.aws, deployed.stack)[-40:])
    raise AssertionError(f"not within {patience:.0f} s; the function's last log lines:\n{logs}")
