"""The Serverless Framework 3 deploys the same serverless.yml as osls does."""

import time
from pathlib import Path

import pytest

from local_aws.deploy import deploy, function_logs
from local_aws.server import running
from local_aws.slack import SlackDouble
from local_aws.stories import died, put, stamped

pytestmark = [pytest.mark.check, pytest.mark.end_to_end, pytest.mark.xdist_group("end_to_end_serverless3")]

SERVERLESS3 = Path(".serverless3", "node_modules", ".bin", "serverless")  # in the checkout; `make check` installs it
ENDPOINT = Path(__file__).parents[1] / "serverless3" / "endpoint.js"
CONFIGURATION = Path(__file__).parents[2] / "local_aws" / "demo.toml"
PATIENCE = 180.0  # seconds


def test_serverless_3_deploys_a_stack_that_alerts() -> None:
    with running(enforce_iam=True) as aws, SlackDouble() as slack:
        environment = {
            "SLACK_WEBHOOK_URL": slack.webhook_url,
            "ALERT_EMAILS": "oncall@example.com",
            "NODE_OPTIONS": f'--require "{ENDPOINT}"',
        }
        stack = deploy(aws, environment=environment, configuration=CONFIGURATION, cli=SERVERLESS3)
        put(stamped(died("checkout"), time.time()), aws.client("events"))
        ends = time.monotonic() + PATIENCE
        while not slack.received and time.monotonic() < ends:
            time.sleep(0.1)
        assert ["service checkout " in str(request.payload["text"]) for request in slack.received] == [True], "".join(
            function_logs(aws, stack)[-40:]
        )
