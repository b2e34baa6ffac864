"""One channel: like notify-slack of terraform-aws-modules, a widely used notifier. It makes clients of KMS and Security
Hub when it is imported, needed or not, and posts with the standard library.
"""

import base64
import json
import os
import urllib.parse
import urllib.request
from typing import Any

import boto3

REGION = os.environ.get("AWS_REGION", "us-east-1")
KMS = boto3.client("kms", region_name=REGION)
SECURITY_HUB = boto3.client("securityhub", region_name=REGION)


def webhook_url() -> str:
    url = os.environ["SLACK_WEBHOOK_URL"]
    if url.startswith("http"):
        return url
    return str(KMS.decrypt(CiphertextBlob=base64.b64decode(url))["Plaintext"].decode())


def handler(event: Any, _context: Any) -> dict[str, Any]:
    for record in event["Records"]:
        notify(json.loads(record["body"]))
    return {"batchItemFailures": []}


def notify(event: Any) -> None:
    if event["source"] == "aws.securityhub":
        mark_as_notified(event["detail"]["findings"])
    payload = {"channel": "alerts", "username": "ECS", "icon_emoji": ":aws:", "attachments": [attachment(event)]}
    data = urllib.parse.urlencode({"payload": json.dumps(payload)}).encode()
    request = urllib.request.Request(webhook_url())  # noqa: S310 - from the configuration
    with urllib.request.urlopen(request, data) as response:  # noqa: S310
        print(response.getcode())


def mark_as_notified(findings: Any) -> None:
    found = [{"Id": finding["Id"], "ProductArn": finding["ProductArn"]} for finding in findings]
    SECURITY_HUB.batch_update_findings(FindingIdentifiers=found, Workflow={"Status": "NOTIFIED"})


def attachment(event: Any) -> dict[str, Any]:
    """The fields of the event by name; this notifier has no knowledge of ECS."""
    fields = [
        {"title": name, "value": value if isinstance(value, str) else json.dumps(value), "short": True}
        for name, value in event["detail"].items()
    ]
    return {"fallback": event["detail-type"], "text": "AWS notification", "fields": fields, "mrkdwn_in": ["value"]}
