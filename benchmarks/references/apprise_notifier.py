"""Apprise with the same four targets. It keeps no history and does not deduplicate.

Its pauses between two messages to one target (up to 5.5 s) are switched off, in its favour.
"""

import json
import os
import socket
from typing import Any
from urllib.parse import urlsplit

import apprise
from apprise.plugins.base import NotifyBase

_HOSTS = {
    "hooks.slack.com": "SLACK_WEBHOOK_URL",
    "events.pagerduty.com": "PAGERDUTY_EVENTS_URL",
    "sns.us-east-1.amazonaws.com": "AWS_ENDPOINT_URL_SNS",
}
_resolve = socket.getaddrinfo


def _to_the_servers(host: Any, port: Any, *more: Any, **named: Any) -> Any:
    """Resolves the hosts that are built into Apprise to the benchmark's servers."""
    if host in _HOSTS:
        return _resolve("127.0.0.1", urlsplit(os.environ[_HOSTS[host]]).port, *more, **named)
    return _resolve(host, port, *more, **named)


socket.getaddrinfo = _to_the_servers
NotifyBase.request_rate_per_sec = 0
notifier = apprise.Apprise()
for url in (
    "slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ/",
    f"workflows://localhost:{urlsplit(os.environ['TEAMS_WEBHOOK_URL']).port}/{'a' * 32}/{'d' * 43}/",
    f"pagerduty://{'b' * 32}@{'c' * 20}/?image=no",
    f"sns://{'AHIAJGNT76XIMXDBIJYA'}/{'bu1dHSdO22pfaaVy/wmNsdljF4C07D3bndi9PQJ9'}/us-east-1/alerts",
):
    assert notifier.add(url), url
for target in notifier:
    target.request_rate_per_sec = 0


def handler(event: Any, _context: Any) -> dict[str, Any]:
    for record in event["Records"]:
        detail = json.loads(record["body"])["detail"]
        body = f"ECS task of {detail.get('group')} stopped: {detail.get('stoppedReason')}"
        assert notifier.notify(title="ECS alert", body=body)
    return {"batchItemFailures": []}
