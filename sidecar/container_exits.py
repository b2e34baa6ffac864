"""Reports containers that stop while their task keeps running. A single file that needs only the standard library.

ECS sends an event for such a stop, but with a delay, and not for a container that it restarts itself. This script
queries the task metadata endpoint (version 4) from inside the task, and puts a `Container Exited` event on the event
bus. Copy it into an image, and run it

    as a sidecar:                        python container_exits.py
    together with your own health check: python container_exits.py --once --state /tmp/container-exits.json

or call `check` from your own code. The task role needs `events:PutEvents` on the bus. The script never fails a health
check: it writes an error as one line to stderr, and tries again the next time.

Sources: "Amazon ECS task metadata endpoint version 4" in the Amazon ECS Developer Guide, PutEvents in the Amazon
EventBridge API Reference, "Container credential provider" in the AWS SDKs and Tools Reference Guide.
"""

import argparse
import hashlib
import hmac
import json
import os
import sys
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

SOURCE, DETAIL_TYPE = "ecs-alert-router", "Container Exited"
EVERY = 10.0  # seconds between checks
TIMEOUT = 5.0  # seconds per HTTP request
CREDENTIALS_HOST = "http://169.254.170.2"
_ENTRIES = 10  # maximum per PutEvents
_TARGET = "AWSEvents.PutEvents"
_CONTENT = "application/x-amz-json-1.1"

Json = dict[str, Any]


class Credentials(NamedTuple):
    key_id: str
    secret: str
    token: str


def check(environ: Mapping[str, str], reported: set[str], now: float) -> list[str]:
    """Checks once, and reports containers that have stopped. Adds their ids to `reported`.

    Args:
        reported: Docker's ids of the containers that were reported before.
        now: seconds since the epoch.

    Returns:
        The names of the containers that this call reported.

    Raises:
        OSError: the metadata endpoint, the credentials endpoint or EventBridge did not answer, or not with 200.
        ValueError, KeyError: an answer was not as documented, or EventBridge refused an event.
    """
    task = fetch(environ["ECS_CONTAINER_METADATA_URI_V4"] + "/task")
    stopped = [container for container in exited(task) if container["DockerId"] not in reported]
    for start in range(0, len(stopped), _ENTRIES):
        batch = stopped[start : start + _ENTRIES]
        put([event(task, container, environ) for container in batch], environ, now)
        reported.update(container["DockerId"] for container in batch)
    return [container["Name"] for container in stopped]


def exited(task: Json) -> Iterator[Json]:
    """The task's containers that failed while the task keeps running. ECS itself reports a task that stops."""
    if (task.get("KnownStatus"), task.get("DesiredStatus")) != ("RUNNING", "RUNNING"):
        return
    for container in task.get("Containers", []):
        if (
            container.get("Type", "NORMAL") == "NORMAL"
            and container.get("KnownStatus") == "STOPPED"
            and container.get("ExitCode") != 0
        ):
            yield container


def event(task: Json, stopped: Json, environ: Mapping[str, str]) -> Json:
    """The PutEvents entry for a stopped container; its detail has the format of ECS's own task state change."""
    arn = task["TaskARN"]
    prefix = arn.partition(":task/")[0]
    cluster = task["Cluster"].rpartition("/")[2]
    service = task.get("ServiceName")
    detail = {
        "clusterArn": f"{prefix}:cluster/{cluster}",
        "taskArn": arn,
        "taskDefinitionArn": f"{prefix}:task-definition/{task['Family']}:{task['Revision']}",
        "group": f"service:{service}" if service else f"family:{task['Family']}",
        "lastStatus": task["KnownStatus"],
        "desiredStatus": task["DesiredStatus"],
        "launchType": task.get("LaunchType", ""),
        "updatedAt": stopped.get("FinishedAt", ""),
        "containers": [
            _container(container)
            for container in task["Containers"]
            if container is stopped or container.get("KnownStatus") == "RUNNING"
        ],
    }
    return {
        "Source": SOURCE,
        "DetailType": DETAIL_TYPE,
        "Detail": json.dumps(detail),
        "Resources": [arn],
        "EventBusName": environ.get("EVENT_BUS_NAME", "default"),
    }


def _container(metadata: Json) -> Json:
    limit = metadata.get("Limits", {}).get("Memory")
    fields = {
        "name": metadata.get("Name"),
        "image": metadata.get("Image"),
        "imageDigest": metadata.get("ImageID"),
        "lastStatus": metadata.get("KnownStatus"),
        "exitCode": metadata.get("ExitCode"),
        "memory": str(limit) if limit else None,
    }
    return {name: value for name, value in fields.items() if value is not None}


# --- AWS without an SDK -----------------------------------------------------------------------------------------------


def fetch(url: str, headers: Mapping[str, str] | None = None, body: bytes | None = None) -> Json:
    with urlopen(Request(url, body, dict(headers or {})), timeout=TIMEOUT) as answer:  # noqa: S310 - URLs are AWS's own
        content: Json = json.loads(answer.read())
        return content


def credentials(environ: Mapping[str, str]) -> Credentials:
    """The credentials in the environment, otherwise those of the task role."""
    if "AWS_ACCESS_KEY_ID" in environ:
        names = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
        return Credentials(*(environ.get(name, "") for name in names))
    relative = environ.get("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI")
    url = CREDENTIALS_HOST + relative if relative else environ["AWS_CONTAINER_CREDENTIALS_FULL_URI"]
    token = environ.get("AWS_CONTAINER_AUTHORIZATION_TOKEN")
    answer = fetch(url, {"Authorization": token} if token else {})
    return Credentials(answer["AccessKeyId"], answer["SecretAccessKey"], answer.get("Token", ""))


def put(entries: list[Json], environ: Mapping[str, str], now: float) -> None:
    """Calls PutEvents. Raises ValueError if EventBridge refuses an entry."""
    region = environ.get("AWS_REGION") or entries[0]["Resources"][0].split(":")[3]
    url = environ.get("AWS_ENDPOINT_URL_EVENTS") or environ.get("AWS_ENDPOINT_URL") or _endpoint(region)
    body = json.dumps({"Entries": entries}).encode()
    answer = fetch(url, signed(url, body, region, credentials(environ), now), body)
    if answer.get("FailedEntryCount"):
        raise ValueError(f"EventBridge refused: {answer.get('Entries')}")


def _endpoint(region: str) -> str:
    return f"https://events.{region}.amazonaws.com{'.cn' if region.startswith('cn-') else ''}/"


def signed(url: str, body: bytes, region: str, keys: Credentials, now: float) -> dict[str, str]:
    """The headers of a POST to EventBridge, by AWS Signature Version 4."""
    parts = urlsplit(url)
    moment = datetime.fromtimestamp(now, UTC).strftime("%Y%m%dT%H%M%SZ")
    headers = {"content-type": _CONTENT, "host": parts.netloc, "x-amz-date": moment, "x-amz-target": _TARGET}
    if keys.token:
        headers["x-amz-security-token"] = keys.token
    names = ";".join(sorted(headers))
    lines = "".join(f"{name}:{headers[name]}\n" for name in sorted(headers))
    request = f"POST\n{parts.path or '/'}\n\n{lines}\n{names}\n{hashlib.sha256(body).hexdigest()}"
    scope = f"{moment[:8]}/{region}/events/aws4_request"
    text = f"AWS4-HMAC-SHA256\n{moment}\n{scope}\n{hashlib.sha256(request.encode()).hexdigest()}"
    key = f"AWS4{keys.secret}".encode()
    for step in scope.split("/"):
        key = hmac.digest(key, step.encode(), "sha256")
    signature = hmac.digest(key, text.encode(), "sha256").hex()
    proof = f"AWS4-HMAC-SHA256 Credential={keys.key_id}/{scope}, SignedHeaders={names}, Signature={signature}"
    return {**headers, "authorization": proof}


# --- command line -----------------------------------------------------------------------------------------------------


def main(arguments: list[str] | None = None) -> int:
    """Checks once or continuously. Always returns 0, so that it cannot make the task unhealthy."""
    parser = argparse.ArgumentParser(description="Reports containers that stop while their task keeps running.")
    parser.add_argument("--once", action="store_true", help="check once instead of every ten seconds")
    parser.add_argument("--state", type=Path, help="a file that remembers what was reported, for --once")
    options = parser.parse_args(arguments)
    reported = _read_state(options.state)
    while True:
        try:
            for name in check(os.environ, reported, time.time()):
                print(f"reported: {name} has stopped", file=sys.stderr)  # noqa: T201 - a script's log
            if options.state:
                options.state.write_text(json.dumps(sorted(reported)), "utf-8")
        except (OSError, ValueError, KeyError) as error:
            print(f"not reported, will retry: {type(error).__name__}: {error}", file=sys.stderr)  # noqa: T201
        if options.once:
            return 0
        time.sleep(EVERY)


def _read_state(state: Path | None) -> set[str]:
    try:
        return set(json.loads(state.read_text("utf-8"))) if state else set()
    except (OSError, ValueError):
        return set()


if __name__ == "__main__":
    sys.exit(main())
