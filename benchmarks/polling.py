"""How long one round of `[poll] services` takes: `python -m benchmarks.polling`.

The answers come from a server on loopback, in ECS's shapes, with the 100 events that a service keeps. So the CPU time
is measured, and what AWS takes to answer is assumed (`SECONDS_PER_CALL`). The costs are those of Lambda, and of the
item that DynamoDB stores after each tick of a round and reads at each tick.
"""

import json
import math
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import botocore.session
from botocore.config import Config

from router.history.items import service_poll_item
from router.poll.services import continue_round
from router.poll.state import ServicePoll

SECONDS_PER_CALL = 0.05  # an assumption: what ECS takes within a region
MEMORY = 0.5  # GB; serverless.yml
PRICE = 0.0000133334  # dollars per GB-second on arm64, us-east-1
PRICE_OF_WRITE, PRICE_OF_READ = 0.625e-6, 0.125e-6  # dollars per KB written and 4 KB read, on demand, us-east-1
ROUNDS_A_MONTH = 30 * 24 * 12  # `every = "5m"`
TICKS_A_MONTH = 30 * 24 * 60
_ARN = "arn:aws:ecs:eu-west-1:123456789012"
_EVENTS = [
    {"id": f"{number:036}", "createdAt": 1.76e9, "message": f"(service s) has started 1 tasks: (task {number:032x})."}
    for number in range(100)
]


def _service(name: str) -> dict[str, Any]:
    return {
        "serviceArn": f"{_ARN}:service/prod/{name}",
        "serviceName": name,
        "clusterArn": f"{_ARN}:cluster/prod",
        "status": "ACTIVE",
        "desiredCount": 2,
        "runningCount": 2,
        "deployments": [{"status": "PRIMARY", "rolloutState": "COMPLETED", "createdAt": 1.76e9}],
        "events": _EVENTS,
    }


def _serve(services: int) -> ThreadingHTTPServer:
    arns = [f"{_ARN}:service/prod/s{number}" for number in range(services)]

    class Ecs(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            operation = self.headers["X-Amz-Target"].rpartition(".")[2]
            start = int(request.get("nextToken", 0))
            more = {"nextToken": str(start + 100)} if start + 100 < services else {}
            answers: dict[str, Any] = {
                "ListClusters": lambda: {"clusterArns": [f"{_ARN}:cluster/prod"]},
                "ListServices": lambda: {"serviceArns": arns[start : start + 100], **more},
                "DescribeServices": lambda: {"services": [_service(arn) for arn in request["services"]]},
            }
            body = json.dumps(answers[operation]()).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/x-amz-json-1.1")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Ecs)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


def _round(services: int) -> tuple[int, int, float, int]:
    """Calls, ticks, seconds of the thread's CPU time, and KB written to DynamoDB."""
    server = _serve(services)
    client = botocore.session.Session().create_client(
        "ecs",
        region_name="eu-west-1",
        endpoint_url=f"http://127.0.0.1:{server.server_port}",
        aws_access_key_id="x",
        aws_secret_access_key="x",  # noqa: S106 - the server on loopback checks none
        config=Config(parameter_validation=False),
    )
    calls = 0

    def count(**_: Any) -> None:
        nonlocal calls
        calls += 1

    client.meta.events.register("before-send", count)
    poll, ticks, seconds, written = ServicePoll(), 0, 0.0, 0
    while poll.clusters or not ticks:
        began = time.thread_time()
        poll, _ = continue_round(poll, client, 1.76e9 + 60 * ticks, 300.0, lambda: math.inf)
        seconds += time.thread_time() - began
        written += math.ceil(len(json.dumps(service_poll_item(poll))) / 1024)
        ticks += 1
    server.shutdown()
    return calls, ticks, seconds, written


def main() -> None:
    print("| services | calls a round | ticks | CPU a round | time a round | dollars a month |")
    print("|---:|---:|---:|---:|---:|---:|")
    for services in (50, 500, 5000):
        calls, ticks, cpu, written = _round(services)
        whole = cpu * 1769 / 512 + calls * SECONDS_PER_CALL  # at 512 MB, Lambda gives 512 / 1769 of a core
        dollars = (whole * MEMORY * PRICE + written * PRICE_OF_WRITE) * ROUNDS_A_MONTH + TICKS_A_MONTH * PRICE_OF_READ
        print(f"| {services} | {calls} | {ticks} | {cpu:.2f} s | {whole:.1f} s | {dollars:.2f} |")


if __name__ == "__main__":
    main()
