"""The deployed stack that faults are injected into, and how often each channel's double was told of each service."""

import os
import re
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from local_aws.deploy import Stack, deploy, function_logs
from local_aws.events import Raw
from local_aws.mailbox import Mailbox
from local_aws.pagerduty import PagerDutyDouble
from local_aws.runtime import ROOT
from local_aws.server import LocalAws, running
from local_aws.slack import SlackDouble
from local_aws.stories import put_together, stamped
from local_aws.teams import TeamsDouble
from local_aws.webhook import WebhookDouble
from router.history.store import AlertQuery, History
from router.history.table import DynamoTable
from tests.doubles.deployed import DeployedStack, eventually, lines_about, settings

CHANNELS = ("email", "slack", "teams", "pagerduty")
PATIENCE = 240.0  # seconds; what waits longest is a lease of 64 s and the tick after it
_SOON = 120.0  # seconds
_PUT_AT_ONCE = 10  # events: of one PutEvents
_DURATION = re.compile(r"\bDuration: ([0-9.]+) ms")

Report = Callable[[str], None]
"""Prints what a scenario is doing."""


class Told(NamedTuple):
    """How often a channel was told of a service: of its failure, that it is over, and without history.

    For PagerDuty these are alerts, however many events were sent about them.
    """

    announced: int = 0
    resolved: int = 0
    without_history: int = 0


@dataclass(frozen=True)
class Stage(DeployedStack):
    teams: TeamsDouble
    pagerduty: PagerDutyDouble
    report: Report

    def deploy_again(self, checkout: Path, **changed: str) -> None:
        """Deploys a version, with other values of some settings of alert-router.toml."""
        _deploy(self.aws, settings(self.slack, self.teams, self.pagerduty), checkout, **changed)

    def happen_together(self, raws: Sequence[Raw]) -> None:
        """All of them at once, as far as EventBridge takes them."""
        client = self.aws.client("events")
        for start in range(0, len(raws), _PUT_AT_ONCE):
            now = time.time()
            put_together([stamped(raw, now) for raw in raws[start : start + _PUT_AT_ONCE]], client)

    @contextmanager
    def waiting_events(self) -> Iterator[None]:
        """What happens meanwhile waits in the events queue, and then comes in full batches."""
        client = self.aws.client("lambda")
        queue = self.stack.events_queue_url.rpartition("/")[2]
        mappings = client.list_event_source_mappings(FunctionName=self.stack.function_name)["EventSourceMappings"]
        (mapping,) = [mapping["UUID"] for mapping in mappings if mapping["EventSourceArn"].endswith(f":{queue}")]
        client.update_event_source_mapping(UUID=mapping, Enabled=False)
        yield
        client.update_event_source_mapping(UUID=mapping, Enabled=True)

    def set_visibility_timeout(self, seconds: int) -> None:
        """Of the events queue: how soon a record that failed is received again."""
        attributes = {"VisibilityTimeout": str(seconds)}
        self.aws.client("sqs").set_queue_attributes(QueueUrl=self.stack.events_queue_url, Attributes=attributes)

    def set_variable(self, name: str, value: str) -> None:
        """Of the function's environment, until the next deployment."""
        client, function = self.aws.client("lambda"), self.stack.function_name
        variables = client.get_function_configuration(FunctionName=function)["Environment"]["Variables"]
        client.update_function_configuration(
            FunctionName=function, Environment={"Variables": {**variables, name: value}}
        )

    def processes(self) -> list[int]:
        """The processes in which the function runs: all that the emulator, which leads their group, has started."""
        columns = ["-o", "pid=", "-o", "pgid=", "-o", "stat="]
        listed = subprocess.run(["ps", "-A", *columns], capture_output=True, text=True, check=True)
        rows = (line.split() for line in listed.stdout.splitlines())
        group = self.aws.process_group
        return [int(pid) for pid, of, state in rows if int(of) == group != int(pid) and not state.startswith("Z")]

    def kill_function(self) -> int:
        """Ends every process of the function as a failing host would. Returns how many there were."""
        processes = self.processes()
        for process in processes:
            os.kill(process, signal.SIGKILL)
        return len(processes)

    def until(self, what: str, condition: Callable[[], Any], patience: float = PATIENCE) -> Any:
        """The first true result of the condition. Raises AssertionError after so many seconds."""
        self.report(what)
        return eventually(condition, self, patience)

    def double(self, channel: str) -> WebhookDouble:
        doubles: dict[str, WebhookDouble] = {"slack": self.slack, "teams": self.teams, "pagerduty": self.pagerduty}
        return doubles[channel]

    def messages(self, channel: str) -> list[Any]:
        """Everything that the channel accepted, in the order of arrival."""
        if channel == "email":
            return [f"{mail.subject}\n{mail.text}" for mail in self.mailbox.mails]
        return [received.payload for received in self.double(channel).received]

    def told(self, channel: str, service: str) -> Told:
        if channel != "pagerduty":
            return counted(service, self.messages(channel))
        alerts = [alert for alert in self.pagerduty.alerts if lines_about(service, alert.events)]
        resolved = sum(alert.status == "resolved" for alert in alerts)
        return Told(len(alerts), resolved, sum(_is_without_history(alert.events) for alert in alerts))

    def all_told(self, services: Iterable[str]) -> bool:
        return all(self.told(channel, service).announced for service in services for channel in CHANNELS)

    def is_settled(self) -> bool:
        """Whether every event was handled, and nothing is due soon. The digest of a window is not due soon."""
        return self.is_drained() and not self._records().due(time.time() + _SOON)

    def dead_letters(self) -> int:
        return self.messages_on(self.stack.dead_letter_queue_url)

    def decisions(self, service: str) -> list[str]:
        """Of all alerts of the service that are in history."""
        now = time.time()
        query = AlertQuery(now - 3600, now + 60, limit=None, subject=f"service:{service}")
        return [str(row["decision"]) for row in self._records().alerts(query, now)]

    def _records(self) -> History:
        return History(DynamoTable(self.aws.client("dynamodb"), self.stack.table_name), 0.0)

    def longest_invocation(self) -> float:
        """Seconds."""
        durations = _DURATION.findall("\n".join(function_logs(self.aws, self.stack)))
        return max(map(float, durations), default=0.0) / 1000


def counted(service: str, messages: Iterable[Any]) -> Told:
    """How many of a channel's messages name a service, alone or in a bundle."""
    announced = resolved = without_history = 0
    for message in messages:
        lines = lines_about(service, message)
        if not lines:
            continue
        is_over = "RESOLVED" in str(message) or all("resolved incident" in line for line in lines)
        resolved += is_over
        announced += not is_over
        without_history += _is_without_history(message)
    return Told(announced, resolved, without_history)


def _is_without_history(message: Any) -> bool:
    return "History is unavailable" in str(message)


@contextmanager
def deployed(report: Report) -> Iterator[Stage]:
    """A local AWS with the stack as serverless.yml has it, for one scenario."""
    with (
        SlackDouble() as slack,
        TeamsDouble() as teams,
        PagerDutyDouble() as pagerduty,
        running(enforce_iam=True) as aws,
    ):
        report("deploying the stack to a local AWS")
        stack = _deploy(aws, settings(slack, teams, pagerduty), ROOT)
        yield Stage(aws, stack, slack, Mailbox(aws, stack.alerts_topic_arn), teams, pagerduty, report)


def _deploy(aws: LocalAws, environment: Mapping[str, str], checkout: Path, **changed: str) -> Stack:
    """Deploys with alert-router.toml as shipped, but for the quiet time after a recovery and what is changed."""
    text = (checkout / "alert-router.toml").read_text("utf-8")
    for name, value in {"resolve_after": "5s", **changed}.items():
        text, found = re.subn(f'^{name} = "[^"]*"', f'{name} = "{value}"', text, flags=re.MULTILINE)
        assert found, name
    with tempfile.TemporaryDirectory(prefix="configuration-") as directory:
        configuration = Path(directory, "alert-router.toml")
        configuration.write_text(text, "utf-8")
        return deploy(aws, environment=environment, checkout=checkout, configuration=configuration)
