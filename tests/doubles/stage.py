"""A deployed stage in memory: what AWS answers about it, and its function, which runs here."""

import io
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest
from botocore.exceptions import ClientError

from router.aws import clients
from router.inbox import handle
from tests.doubles.account import TABLE, Account
from tests.doubles.inbox import MAX_RECEIVES

TOPIC = "arn:aws:sns:eu-west-1:111122223333:ecs-alert-router-blue-AlertsTopic"


@dataclass
class Stage:
    """A stage, of which each attribute is what AWS answers.

    Attributes:
        name: no other stage is deployed.
        failure: the error message of a function that fails, or "".
        answer: in place of the function's own, or None.
    """

    account: Account
    name: str = "blue"
    status: str = "UPDATE_COMPLETE"
    rules: dict[str, str] = field(default_factory=lambda: {"ecs": "ENABLED", "tick": "ENABLED"})
    mappings: list[str] = field(default_factory=lambda: ["Enabled", "Enabled"])
    invocations: int = 14
    variables: dict[str, str] = field(default_factory=lambda: {"STAGE": "blue", "HISTORY_TABLE": TABLE})
    failure: str = ""
    answer: dict[str, Any] | None = None

    def install(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for name in ("functions", "stacks", "rules", "cloudwatch"):
            monkeypatch.setattr(clients, name, lambda: _Client(self))
        monkeypatch.setattr(clients, "stack_outputs", self.outputs)

    def outputs(self, stage: str) -> dict[str, str]:
        if stage != self.name:
            message = f"Stack with id ecs-alert-router-{stage} does not exist"
            raise ClientError({"Error": {"Code": "ValidationError", "Message": message}}, "DescribeStacks")
        return {
            "TableName": TABLE,
            "EventsQueueUrl": self.account.events_url,
            "DueQueueUrl": self.account.due_url,
            "DeadLetterQueueUrl": self.account.dead_letter_url,
            "AlertsTopicArn": TOPIC,
            "FunctionName": f"ecs-alert-router-{self.name}-router",
        }

    def invoke(self, payload: bytes) -> dict[str, Any]:
        if self.failure:
            error = {"errorMessage": self.failure}
            return {"FunctionError": "Unhandled", "Payload": io.BytesIO(json.dumps(error).encode())}
        world = self.account.world
        answer = handle(json.loads(payload), world.router, world.deadline(), MAX_RECEIVES)
        return {"Payload": io.BytesIO(json.dumps(self.answer or answer).encode())}


@dataclass
class _Client:
    """Answers as the clients of Lambda, CloudFormation, EventBridge and CloudWatch do."""

    stage: Stage

    def describe_stacks(self, **_: str) -> dict[str, Any]:
        return {"Stacks": [{"StackStatus": self.stage.status}]}

    def get_paginator(self, name: str) -> "_Client":
        assert name in {"list_stack_resources", "list_event_source_mappings"}
        return self

    def paginate(self, **_: str) -> Iterator[Mapping[str, Any]]:
        names = self.stage.rules
        rules = [
            {
                "ResourceType": "AWS::Events::Rule",
                "LogicalResourceId": f"{name.title()}Rule",
                "PhysicalResourceId": name,
            }
            for name in names
        ]
        mappings = [{"State": state, "EventSourceArn": "arn:x:queue", "UUID": "u-1"} for state in self.stage.mappings]
        yield {"StackResourceSummaries": rules, "EventSourceMappings": mappings}

    def describe_rule(self, Name: str, EventBusName: str = "") -> dict[str, str]:  # noqa: N803 - as boto3 names it
        return {"State": self.stage.rules[f"{EventBusName}|{Name}".removeprefix("|")]}

    def get_metric_statistics(self, **_: Any) -> dict[str, Any]:
        return {"Datapoints": [{"Sum": 1.0}] * self.stage.invocations}

    def get_function_configuration(self, **_: str) -> dict[str, Any]:
        return {"Environment": {"Variables": self.stage.variables}}

    def invoke(self, Payload: bytes, **_: str) -> dict[str, Any]:  # noqa: N803 - as above
        return self.stage.invoke(Payload)
