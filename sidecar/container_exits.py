"""Reports containers that stop while their task keeps running. A single file that needs only the standard library.

ECS says so itself, but not at once and not always in time; this asks the task metadata endpoint (version 4) from inside
the task, and puts a `Container Exited` event on the event bus. Copy it into an image, and run it

    as a sidecar:                        python container_exits.py
    beside a health check that you have: python container_exits.py --once --state /tmp/container-exits.json

or call `check` from a handler of your own. The task role needs `events:PutEvents` on the bus. It never fails a health
check: what goes wrong is one line on stderr, and is tried again the next time.

Shapes: "Amazon ECS task metadata endpoint version 4" in the Amazon ECS Developer Guide, PutEvents in the Amazon
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


def check(environ: Mapping[str, str], told: set[str], now: float) -> list[str]:
    """Checks once, and reports containers that have stopped. The ids of those reported are added to `told`.

    Args:
        told: Docker's ids of the containers that were reported.
        now: seconds since the epoch.

    Returns:
        The names of the containers that were reported.

    Raises:
        OSError: the endpoint, the credentials or EventBridge did not answer, or not with 200.
        ValueError, KeyError: they answered something else than documented, or refused an event.
    """
    task = fetch(environ["ECS_CONTAINER_METADATA_URI_V4"] + "/task")
    ended = [each for each in exited(task) if each["DockerId"] not in told]
    for start in range(0, len(ended), _ENTRIES):
        some = ended[start : start + _ENTRIES]
        put([event(task, each, environ) for each in some], environ, now)
        told.update(each["DockerId"] for each in some)
    return [each["Name"] for each in ended]


def exited(task: Json) -> Iterator[Json]:
    """The task's containers that failed while the task keeps running. ECS itself reports a task that stops."""
    if (task.get("KnownStatus"), task.get("DesiredStatus")) != ("RUNNING", "RUNNING"):
        return
    for each in task.get("Containers", []):
        if (
            each.get("Type", "NORMAL") == "NORMAL"
            and each.get("KnownStatus") == "STOPPED"
            and each.get("ExitCode") != 0
        ):
            yield each


def event(task: Json, dead: Json, environ: Mapping[str, str]) -> Json:
    """One entry for PutEvents; its detail has the names and shapes of ECS's own task state change."""
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
        "updatedAt": dead.get("FinishedAt", ""),
        "containers": [
            _container(each) for each in task["Containers"] if each is dead or each.get("KnownStatus") == "RUNNING"
        ],
    }
    return {
        "Source": SOURCE,
        "DetailType": DETAIL_TYPE,
        "Detail": json.dumps(detail),
        "Resources": [arn],
        "EventBusName": environ.get("EVENT_BUS_NAME", "default"),
    }


def _container(each: Json) -> Json:
    limit = each.get("Limits", {}).get("Memory")
    known = {
        "name": each.get("Name"),
        "image": each.get("Image"),
        "imageDigest": each.get("ImageID"),
        "lastStatus": each.get("KnownStatus"),
        "exitCode": each.get("ExitCode"),
        "memory": str(limit) if limit else None,
    }
    return {name: value for name, value in known.items() if value is not None}


# --- AWS, by hand -----------------------------------------------------------------------------------------------------


def fetch(url: str, headers: Mapping[str, str] | None = None, body: bytes | None = None) -> Json:
    with urlopen(Request(url, body, dict(headers or {})), timeout=TIMEOUT) as answer:  # noqa: S310 - URLs are AWS's own
        found: Json = json.loads(answer.read())
        return found


def credentials(environ: Mapping[str, str]) -> Credentials:
    """Credentials of the task role, or those in the environment."""
    if "AWS_ACCESS_KEY_ID" in environ:
        names = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
        return Credentials(*(environ.get(name, "") for name in names))
    relative = environ.get("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI")
    url = CREDENTIALS_HOST + relative if relative else environ["AWS_CONTAINER_CREDENTIALS_FULL_URI"]
    token = environ.get("AWS_CONTAINER_AUTHORIZATION_TOKEN")
    found = fetch(url, {"Authorization": token} if token else {})
    return Credentials(found["AccessKeyId"], found["SecretAccessKey"], found.get("Token", ""))


def put(entries: list[Json], environ: Mapping[str, str], now: float) -> None:
    """Calls PutEvents. Raises ValueError if EventBridge rejects an entry."""
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


# --- running it -------------------------------------------------------------------------------------------------------


def main(arguments: list[str] | None = None) -> int:
    """Checks once or continuously. Always returns 0, so that it cannot make the task unhealthy."""
    parser = argparse.ArgumentParser(description="Reports containers that end while their task runs on.")
    parser.add_argument("--once", action="store_true", help="look once instead of every ten seconds")
    parser.add_argument("--state", type=Path, help="a file that remembers what was reported, for --once")
    options = parser.parse_args(arguments)
    told = _remembered(options.state)
    while True:
        try:
            for name in check(os.environ, told, time.time()):
                print(f"reported: {name} has stopped", file=sys.stderr)  # noqa: T201 - a script's log
            if options.state:
                options.state.write_text(json.dumps(sorted(told)), "utf-8")
        except (OSError, ValueError, KeyError) as error:
            print(f"not reported, will retry: {type(error).__name__}: {error}", file=sys.stderr)  # noqa: T201
        if options.once:
            return 0
        time.sleep(EVERY)


def _remembered(state: Path | None) -> set[str]:
    try:
        return set(json.loads(state.read_text("utf-8"))) if state else set()
    except (OSError, ValueError):
        return set()


if __name__ == "__main__":
    sys.exit(main())
