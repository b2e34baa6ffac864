"""Plain: the router's packages used in the obvious way: clients at the top, a Session per channel, a conditional put,
the channels in parallel.
"""

import json
import os
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import boto3
import pluggy
import requests
from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit
from botocore.exceptions import ClientError

logger = Logger(service="alerts")
metrics = Metrics(namespace="Alerts", service="alerts")
dynamodb = boto3.client("dynamodb")
sns = boto3.client("sns")
hookspec, hookimpl = pluggy.HookspecMarker("alerts"), pluggy.HookimplMarker("alerts")


class Specification:
    @hookspec
    def channel(self) -> Any:
        """Something with `send(text, key)`."""


class Email:
    @hookimpl
    def channel(self) -> Any:
        return self

    def send(self, text: str, _key: str) -> None:
        sns.publish(TopicArn=os.environ["SNS_TOPIC_ARN"], Subject="ECS alert", Message=text)


class Webhook:
    def __init__(self, url: str) -> None:
        self.url = url
        self.session = requests.Session()

    @hookimpl
    def channel(self) -> Any:
        return self

    def send(self, text: str, key: str) -> None:
        self.session.post(self.url, json=self.body(text, key), timeout=10).raise_for_status()

    def body(self, text: str, _key: str) -> dict[str, Any]:
        return {"text": text}


class Teams(Webhook):
    def body(self, text: str, _key: str) -> dict[str, Any]:
        block = {"type": "TextBlock", "text": text, "wrap": True}
        content = {"type": "AdaptiveCard", "version": "1.4", "body": [block]}
        kind = "application/vnd.microsoft.card.adaptive"
        return {"type": "message", "attachments": [{"contentType": kind, "content": content}]}


class PagerDuty(Webhook):
    def body(self, text: str, key: str) -> dict[str, Any]:
        payload = {"summary": text, "source": key, "severity": "critical"}
        routing_key = os.environ["PAGERDUTY_ROUTING_KEY"]
        return {"routing_key": routing_key, "event_action": "trigger", "dedup_key": key, "payload": payload}


plugins = pluggy.PluginManager("alerts")
plugins.add_hookspecs(Specification)
plugins.load_setuptools_entrypoints("alerts")
for channel in (
    Email(),
    Webhook(os.environ["SLACK_WEBHOOK_URL"]),
    Teams(os.environ["TEAMS_WEBHOOK_URL"]),
    PagerDuty(os.environ["PAGERDUTY_EVENTS_URL"]),
):
    plugins.register(channel)
pool = ThreadPoolExecutor(4)


@logger.inject_lambda_context
@metrics.log_metrics(capture_cold_start_metric=True)
def handler(event: Any, context: Any) -> dict[str, Any]:
    del context
    for record in event["Records"]:
        handle(json.loads(record["body"]))
    return {"batchItemFailures": []}


def handle(event: Any) -> None:
    detail = event["detail"]
    key = f"{detail.get('clusterArn')}#{detail.get('group')}"
    text = f"ECS task of {detail.get('group')} stopped: {detail.get('stoppedReason')}"
    if not claimed(key, event):
        logger.info("already announced", extra={"key": key})
        return
    for sent in [pool.submit(channel.send, text, key) for channel in plugins.hook.channel()]:
        sent.result()
    metrics.add_metric("Announced", MetricUnit.Count, 1)
    done = {"id": {"S": event["id"]}, "until": {"N": str(int(time.time()) + 7_776_000)}, "text": {"S": text}}
    dynamodb.put_item(TableName=os.environ["HISTORY_TABLE"], Item=done)


def claimed(key: str, event: Any) -> bool:
    now = int(time.time())
    try:
        dynamodb.put_item(
            TableName=os.environ["HISTORY_TABLE"],
            Item={"id": {"S": key}, "until": {"N": str(now + 900)}, "event": {"S": json.dumps(event)}},
            ConditionExpression="attribute_not_exists(#id) OR #until < :now",
            ExpressionAttributeNames={"#id": "id", "#until": "until"},
            ExpressionAttributeValues={":now": {"N": str(now)}},
        )
    except ClientError as error:
        if error.response["Error"]["Code"] != "ConditionalCheckFailedException":
            raise
        return False
    return True
