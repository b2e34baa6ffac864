"""Blog: what most tutorials do. Clients made in the handler, get-then-put, one channel after the other."""

import json
import os
import time
from typing import Any

import boto3
import requests


def handler(event: Any, _context: Any) -> dict[str, Any]:
    for record in event["Records"]:
        handle(json.loads(record["body"]))
    return {"batchItemFailures": []}


def handle(event: Any) -> None:
    detail = event["detail"]
    table = boto3.resource("dynamodb").Table(os.environ["HISTORY_TABLE"])
    key = f"{detail.get('clusterArn')}#{detail.get('group')}"
    text = f"ECS task of {detail.get('group')} stopped: {detail.get('stoppedReason')}"
    seen = table.get_item(Key={"id": key}).get("Item")
    if seen and int(seen["until"]) > time.time():
        print("already announced", key)
        return
    table.put_item(Item={"id": key, "until": int(time.time()) + 900, "text": text})
    sns = boto3.client("sns")
    sns.publish(TopicArn=os.environ["SNS_TOPIC_ARN"], Subject="ECS alert", Message=json.dumps(event, indent=2))
    requests.post(os.environ["SLACK_WEBHOOK_URL"], json={"text": text}, timeout=10)
    requests.post(os.environ["TEAMS_WEBHOOK_URL"], json=card(text), timeout=10)
    requests.post(os.environ["PAGERDUTY_EVENTS_URL"], json=trigger(key, text), timeout=10)
    table.put_item(Item={"id": event["id"], "until": int(time.time()) + 7_776_000, "text": text, "sent": True})


def card(text: str) -> dict[str, Any]:
    content = {"type": "AdaptiveCard", "version": "1.4", "body": [{"type": "TextBlock", "text": text, "wrap": True}]}
    return {
        "type": "message",
        "attachments": [{"contentType": "application/vnd.microsoft.card.adaptive", "content": content}],
    }


def trigger(key: str, text: str) -> dict[str, Any]:
    return {
        "routing_key": os.environ["PAGERDUTY_ROUTING_KEY"],
        "event_action": "trigger",
        "dedup_key": key,
        "payload": {"summary": text, "source": key, "severity": "critical"},
    }
