"""Verifies a deployed stage in a real account: runs a task that fails, and waits until every channel is notified.

    make smoke STAGE=dev
    make smoke STAGE=prod CLUSTER=prod SUBNETS=subnet-0a1b,subnet-0c2d

It is a real alert and will page on-call wherever errors do. A second task then succeeds, so that the incident is
resolved like any other. Without CLUSTER and SUBNETS the tasks run in a temporary cluster, which is deleted afterwards,
and in the subnets of the default VPC.
"""

import os
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from router.aws import clients
from router.errors import HistoryUnavailable
from router.history.store import History
from router.history.table import DynamoTable, Item
from router.incident.state import OutboxEntry
from router.model import Outcome

NAME = "ecs-alert-router-smoke"
IMAGE = "public.ecr.aws/docker/library/busybox:1"
PATIENCE = 420.0  # seconds: Fargate takes a minute or two to start a task, and a channel's first retry half a minute
PAUSE = 3.0  # seconds between polls


class SmokeError(Exception):
    """The check failed; the message says in one line what is missing."""


@dataclass(frozen=True)
class Smoke:
    """The settings of a run.

    Attributes:
        ecs, ec2: low-level boto3 clients.
        cluster, subnets: where the task runs. If empty, a cluster is created, and the default subnets are used.
        clock, sleep: as in `time`, in seconds.
    """

    ecs: Any
    ec2: Any
    history: History
    say: Callable[[str], None]
    cluster: str = ""
    subnets: Sequence[str] = ()
    clock: Callable[[], float] = time.time
    sleep: Callable[[float], None] = time.sleep
    patience: float = PATIENCE
    family: str = field(default_factory=lambda: f"{NAME}-{uuid.uuid4().hex[:8]}")

    def run(self) -> bool:
        """Runs the task. Returns whether every routed channel was notified.

        Raises:
            SmokeError: the task could not be run, or nothing arrived.
            ClientError: AWS refused.
        """
        with self._cluster() as cluster:
            self.say(f"running a task that exits with 1: {self.family} in {cluster}")
            task = self._run_task(cluster, "exit 1")
            entries = self._outcomes(task)
            for channel, entry in entries.items():
                self.say(f"{channel}: {entry.outcome} {entry.response}".rstrip())
            self.say("running a task that succeeds, so that the incident is resolved in a few minutes")
            self._wait_until_stopped(cluster, self._run_task(cluster, "exit 0"))
        return all(entry.outcome is Outcome.SENT for entry in entries.values())

    @contextmanager
    def _cluster(self) -> Iterator[str]:
        if not self.cluster:
            self.ecs.create_cluster(clusterName=NAME)
        try:
            yield self.cluster or NAME
        finally:
            self._tidy_up()

    def _tidy_up(self) -> None:
        """Deletes the resources of the run. A resource that cannot be deleted costs nothing."""
        with suppress(ClientError):
            arns = self.ecs.list_task_definitions(familyPrefix=self.family)["taskDefinitionArns"]
            for arn in arns:
                self.ecs.deregister_task_definition(taskDefinition=arn)
            if not self.cluster:
                self.ecs.delete_cluster(cluster=NAME)

    def _run_task(self, cluster: str, command: str) -> str:
        """Starts a task; returns its id."""
        container = {"name": "smoke", "image": IMAGE, "essential": True, "command": ["sh", "-c", command]}
        self.ecs.register_task_definition(
            family=self.family,
            requiresCompatibilities=["FARGATE"],
            networkMode="awsvpc",
            cpu="256",
            memory="512",
            containerDefinitions=[container],
        )
        network = {"subnets": list(self.subnets) or self._default_subnets(), "assignPublicIp": "ENABLED"}
        answer = self.ecs.run_task(
            cluster=cluster,
            taskDefinition=self.family,
            launchType="FARGATE",
            networkConfiguration={"awsvpcConfiguration": network},
        )
        if not answer["tasks"]:
            raise SmokeError(f"the task was not started: {answer.get('failures')}")
        return str(answer["tasks"][0]["taskArn"]).rpartition("/")[2]

    def _default_subnets(self) -> list[str]:
        answer = self.ec2.describe_subnets(Filters=[{"Name": "default-for-az", "Values": ["true"]}])
        if not answer["Subnets"]:
            raise SmokeError(
                "there is no default VPC; pass subnets that can reach the internet: make smoke SUBNETS=subnet-…"
            )
        return [subnet["SubnetId"] for subnet in answer["Subnets"]]

    def _outcomes(self, task: str) -> Mapping[str, OutboxEntry]:
        """The outcome on each channel, once every channel was notified or has failed."""
        row = self._until(lambda: self._announced(task), "the alert is not in history")
        self.say(f"in history: {row['severity']} {row['cause']}, {row['decision']}")
        if not row["incident"]:
            raise SmokeError("no route in alert-router.toml matches the alert, so no channel was notified")
        entries: Mapping[str, OutboxEntry] = self._until(
            lambda: self._settled(str(row["incident"])), "a channel has not been notified yet"
        )
        return entries

    def _announced(self, task: str) -> Item | None:
        rows = self.history.by_occurrence(task, self.clock())
        return next((row for row in rows if row["severity"] == "critical"), None)

    def _settled(self, incident: str) -> Mapping[str, OutboxEntry]:
        state = self.history.incident(incident, self.clock())
        entries = state.outbox if state else {}
        return entries if all(entry.outcome in {Outcome.SENT, Outcome.FAILED} for entry in entries.values()) else {}

    def _wait_until_stopped(self, cluster: str, task: str) -> None:
        def stopped() -> bool:
            tasks = self.ecs.describe_tasks(cluster=cluster, tasks=[task])["tasks"]
            return not tasks or tasks[0]["lastStatus"] == "STOPPED"

        self._until(stopped, "the second task has not stopped")

    def _until(self, poll: Callable[[], Any], problem: str) -> Any:
        """The first true result of `poll`; raises SmokeError with the problem if there is none in time."""
        deadline = self.clock() + self.patience
        while not (result := poll()):
            if self.clock() >= deadline:
                minutes = self.patience / 60
                raise SmokeError(f'after {minutes:.0f} minutes {problem}; see "No message arrives" in docs/deploy.md')
            self.sleep(PAUSE)
        return result


def main() -> int:
    """Reads its settings from the environment, where make puts them; returns the exit code."""
    stage = os.environ.get("STAGE", "")
    if not stage:
        sys.stderr.write("smoke: which stage? make smoke STAGE=dev\n")
        return 2
    try:
        outputs = clients.stack_outputs(stage)
        history = History(DynamoTable(clients.dynamodb(), outputs["TableName"]), 0.0)
        subnets = [subnet for subnet in os.environ.get("SUBNETS", "").split(",") if subnet]
        cluster = os.environ.get("CLUSTER", "")
        smoke = Smoke(clients.ecs(), clients.ec2(), history, _say, cluster, subnets)
        works = smoke.run()
    except (SmokeError, HistoryUnavailable, ClientError, BotoCoreError) as error:
        _say(str(error))
        return 1
    _say("every channel works" if works else "a channel failed")
    return 0 if works else 1


def _say(line: str) -> None:
    sys.stderr.write(f"smoke: {line}\n")


if __name__ == "__main__":
    sys.exit(main())
