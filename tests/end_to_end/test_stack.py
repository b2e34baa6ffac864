"""The stack as users deploy it, on a local AWS with IAM enforced: from EventBridge to Slack, e-mail and history.

The function runs under AWS's own runtime client, in an environment that holds only what Lambda's does.

All tests share the stack. Each service has a Slack channel of its own (`OWN_CHANNELS`), and so a rate limit of its own:
what Slack is told of one service never depends on what happens to another, however busy the machine is.
"""

import json
import os
import random
import re
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from deploy.smoke import Smoke
from local_aws.deploy import deploy, function_logs
from local_aws.events import codedeploy, container, service_action, task_stopped
from local_aws.mailbox import Mail, Mailbox
from local_aws.server import running
from local_aws.slack import SlackDouble
from local_aws.stories import OOM, died, put, stamped
from router.channels.rate_limit import SLOW_SEND
from router.history.store import History
from router.history.table import DynamoTable
from tests.doubles.deployed import DeployedStack, eventually

pytestmark = [pytest.mark.end_to_end, pytest.mark.xdist_group("end_to_end")]

PARAMETER = "/ecs-alert-router/end-to-end/slack"  # the function's role must be able to read this one and no other
DEMO = Path(__file__).parents[2] / "local_aws" / "demo.toml"
STREAM = Path(__file__).parents[3] / "shared" / "corpus" / "streams" / "defang-processexit-failure-se3n0qmzhzpm.jsonl"
STREAM_WEB, STREAM_API = "testproj_web-1bb0086", "testproj_api-f9b8e2b"
SERVICES = (
    *("bare", "belated", "broken", "buried", "busy", "gone", "layout", "named", "night", "oom", "phoenix", "stalled"),
    *("torn", "twins", STREAM_WEB, STREAM_API),
)
OWN_CHANNELS = {
    **{service: f'service = "{service}"' for service in SERVICES},
    "storm": 'service = "storm*"',
    "shop": 'subject = "deployment-group:AppECS-prod-shop/*"',
    "smoke": 'family = "ecs-alert-router-smoke-*"',
}
"""What matches the route to the channel `slack-NAME`. The channel `slack` gets everything else."""


@dataclass(frozen=True)
class Deployed(DeployedStack):
    own_slack: Mapping[str, SlackDouble]

    def slack_of(self, name: str) -> list[str]:
        """The notification texts that Slack accepted in a service's own channel."""
        return _texts(self.own_slack[name])

    def mails_about(self, service: str) -> list[Mail]:
        return [mail for mail in self.mailbox.mails if mail.attributes.get("service") == service]

    def kinds_mailed(self, service: str) -> list[str]:
        return [mail.attributes["kind"] for mail in self.mails_about(service)]


def _texts(slack: SlackDouble) -> list[str]:
    return [str(received.payload["text"]) for received in slack.received]


@pytest.fixture(scope="module")
def deployed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployed]:
    with ExitStack() as stack, running(enforce_iam=True) as aws:
        slack = stack.enter_context(SlackDouble())
        own_slack = {name: stack.enter_context(SlackDouble()) for name in OWN_CHANNELS}
        configuration = tmp_path_factory.mktemp("configuration") / "alert-router.toml"
        configuration.write_text(_with_own_channels(DEMO.read_text("utf-8"), own_slack), "utf-8")
        aws.client("ssm").put_parameter(Name=PARAMETER, Value=slack.webhook_url, Type="SecureString")
        environment = {"SLACK_WEBHOOK_URL": f"ssm:{PARAMETER}", "ALERT_EMAILS": "oncall@example.com"}
        outputs = deploy(aws, environment=environment, configuration=configuration)
        yield Deployed(aws, outputs, slack, Mailbox(aws, outputs.alerts_topic_arn), own_slack)


def _with_own_channels(configuration: str, own_slack: Mapping[str, SlackDouble]) -> str:
    """The configuration with the own channels, whose routes come before its own route, which takes every alert.

    The storm is not sent by e-mail: its bundled mail would delay those that the next tests wait for.
    """
    before, route, after = configuration.partition("[[routes]]")
    for name, slack in own_slack.items():
        channels = [f"slack-{name}"] if name == "storm" else ["email", f"slack-{name}"]
        before += f'[channels.slack-{name}]\nkind = "slack"\nwebhook_url = "{slack.webhook_url}"\n\n'
        before += f'[[routes]]\nmatch = {{ {OWN_CHANNELS[name]} }}\nseverity = "warning"\nchannels = {channels}\n\n'
    return before + route + after


def test_an_out_of_memory_kill_reaches_slack_e_mail_and_history(deployed: Deployed) -> None:
    deployed.happen(died("oom", container("app", 137, OOM)))
    eventually(lambda: deployed.slack_of("oom") and deployed.kinds_mailed("oom"), deployed)
    (text,) = deployed.slack_of("oom")
    assert text.startswith("🔴 CRITICAL · Out of memory: service oom in prod – Container app was killed")
    assert deployed.kinds_mailed("oom") == ["opened"]
    (row,) = deployed.history("list", "--service", "oom")
    assert (row["severity"], row["cause"], row["decision"]) == ("critical", "out_of_memory", "announced")
    incident = eventually(lambda: _with_deliveries(deployed, row["incident"], 2), deployed)
    assert {(delivery["channel"], delivery["outcome"]) for delivery in incident["deliveries"]} == {
        ("slack-oom", "sent"),
        ("email", "sent"),
    }
    assert row["incident"] in {open_incident["id"] for open_incident in deployed.history("open")}


def _with_deliveries(deployed: Deployed, incident_id: str, count: int) -> Any:
    (incident,) = deployed.history("show", incident_id)
    return incident if len(incident["deliveries"]) >= count else None


def test_the_same_event_50_times_at_once_is_announced_once(deployed: Deployed) -> None:
    raw = stamped(died("twins"), time.time())
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: put(raw, deployed.aws.client("events")), range(50)))
    eventually(lambda: deployed.slack_of("twins") and deployed.kinds_mailed("twins"), deployed)
    eventually(deployed.is_drained, deployed)
    assert len(deployed.slack_of("twins")) == 1
    assert deployed.kinds_mailed("twins") == ["opened"]
    assert len(deployed.history("list", "--service", "twins")) == 1


def test_a_scale_in_notifies_no_one_and_is_recorded(deployed: Deployed) -> None:
    killed = container("app", 137)
    deployed.happen(
        task_stopped("ServiceSchedulerInitiated", "Scaling activity initiated by (x)", killed, service="night")
    )
    (row,) = eventually(lambda: deployed.history("list", "--service", "night"), deployed)
    assert (row["cause"], row["decision"]) == ("stopped_by_scheduler", "below threshold")
    assert deployed.slack_of("night") == []


def test_a_throttled_slack_is_notified_later_and_does_not_delay_e_mail(deployed: Deployed) -> None:
    slack = deployed.own_slack["busy"]
    slack.answer_with(429, '{"ok":false,"error":"rate_limited"}', headers={"Retry-After": "3"})
    deployed.happen(died("busy"))
    (message,) = eventually(lambda: slack.received, deployed)
    refused, _ = slack.requests
    assert message.at - refused.at >= 3
    (mail,) = eventually(lambda: deployed.mails_about("busy"), deployed)
    assert mail.at < message.at
    assert mail.attributes["kind"] == "opened"


def test_a_failing_resetting_or_stalling_slack_is_notified_later_and_does_not_delay_e_mail(deployed: Deployed) -> None:
    """E-mail is sent at once and Slack half a minute later. Nothing is lost, although Slack's answers never arrived."""
    deployed.own_slack["broken"].answer_with(500, "internal_error")
    deployed.own_slack["torn"].reset_connection()
    deployed.own_slack["stalled"].stall(15)  # longer than the channel's timeout; then it answers after all
    for service in ("broken", "torn", "stalled"):
        deployed.happen(died(service))
    for service in ("broken", "torn", "stalled"):
        eventually(partial(deployed.slack_of, service), deployed)
        assert deployed.kinds_mailed(service) == ["opened"]
    for service in ("broken", "torn"):
        (message,), (mail,) = deployed.own_slack[service].received, deployed.mails_about(service)
        assert mail.at < message.at


def test_shuffled_and_repeated_real_events_open_one_incident_per_subject(deployed: Deployed) -> None:
    """The events come fast, out of order and twice each; only messages that Slack accepted count."""
    if not STREAM.exists():
        pytest.skip("there is no corpus of real events beside this checkout")
    raws = [json.loads(line)["event"] for line in STREAM.read_text("utf-8").splitlines()] * 2
    random.Random(7).shuffle(raws)
    for raw in raws:
        put(raw, deployed.aws.client("events"))
    eventually(lambda: deployed.slack_of(STREAM_WEB), deployed)
    eventually(deployed.is_drained, deployed)
    rows = deployed.history("list", "--service", STREAM_WEB, "--since", "3650d", "--limit", "1000")
    assert Counter(row["cause"] for row in rows)["essential_container_exited"] == 4
    assert deployed.kinds_mailed(STREAM_WEB).count("opened") == 1
    assert len(deployed.slack_of(STREAM_WEB)) <= 3
    assert deployed.slack_of(STREAM_API) == []  # its tasks were only replaced


def test_a_layout_that_slack_rejects_is_sent_as_plain_text(deployed: Deployed) -> None:
    deployed.own_slack["layout"].answer_with(400, "invalid_blocks")
    deployed.happen(died("layout"))
    (text,) = eventually(lambda: deployed.slack_of("layout"), deployed)
    assert "service layout" in text
    attachments = [
        json.dumps(message.payload.get("attachments", "")) for message in deployed.own_slack["layout"].received
    ]
    assert not any("layout" in text for text in attachments)


def test_a_recovery_is_announced_after_it_has_lasted(deployed: Deployed) -> None:
    deployed.happen(died("phoenix"))
    eventually(lambda: deployed.slack_of("phoenix"), deployed)
    deployed.happen(service_action("SERVICE_STEADY_STATE", service="phoenix"))
    _, text = eventually(lambda: deployed.slack_of("phoenix")[1:] and deployed.slack_of("phoenix"), deployed)
    assert text.startswith("✅ RESOLVED · Container crashed: service phoenix in prod")


def test_unreadable_input_goes_to_the_dead_letter_queue_with_the_reason(deployed: Deployed) -> None:
    sqs = deployed.aws.client("sqs")
    sqs.send_message(QueueUrl=deployed.stack.events_queue_url, MessageBody="not JSON")

    def dead_letters() -> Any:
        return sqs.receive_message(
            QueueUrl=deployed.stack.dead_letter_queue_url, MessageAttributeNames=["All"], WaitTimeSeconds=1
        ).get("Messages")

    (message,) = eventually(dead_letters, deployed)
    assert message["Body"] == "not JSON"
    assert message["MessageAttributes"]["reason"]["StringValue"]


def test_redrive_processes_dead_letters_and_announces_nothing_twice(deployed: Deployed) -> None:
    """One event that could not be processed, and one that was announced while history was unreachable."""
    sqs, url = deployed.aws.client("sqs"), deployed.stack.dead_letter_queue_url
    sqs.send_message(QueueUrl=url, MessageBody=json.dumps(stamped(died("buried"), time.time())))
    notes = {"reason": "history unavailable", "announced": "slack,email"}
    sqs.send_message(
        QueueUrl=url,
        MessageBody=json.dumps(stamped(died("belated"), time.time())),
        MessageAttributes={name: {"DataType": "String", "StringValue": value} for name, value in notes.items()},
    )
    _, lines = deployed.type("redrive", "--json", "--since", "1h")
    assert {(line["what"], line["outcome"]) for line in lines} >= {
        ("ECS Task State Change service:buried", "back on the events queue"),
        ("ECS Task State Change service:belated", "into history, nothing is sent"),
    }
    eventually(lambda: deployed.slack_of("buried") and deployed.kinds_mailed("buried"), deployed)
    (row,) = eventually(lambda: deployed.history("list", "--service", "belated"), deployed)
    assert row["decision"] == "announced"
    assert (deployed.slack_of("belated"), deployed.kinds_mailed("belated")) == ([], [])


def test_closing_an_incident_notifies_its_channels_at_once(deployed: Deployed) -> None:
    deployed.happen(died("gone"))
    eventually(lambda: deployed.slack_of("gone") and deployed.kinds_mailed("gone"), deployed)
    (incident,) = [row for row in deployed.history("open") if row["subject"] == "service:gone"]
    exit_code, lines = deployed.type(
        "incident", "close", incident["id"], "--author", "ann", "--reason", "gone", "--yes", "--json"
    )
    assert (exit_code, lines) == (
        0,
        [{"id": incident["id"], "status": "closed", "due_channels": ["email", "slack-gone"]}],
    )
    eventually(lambda: deployed.slack_of("gone")[1:] and deployed.kinds_mailed("gone")[1:], deployed)
    assert deployed.kinds_mailed("gone") == ["opened", "resolved"]


def test_a_bare_event_is_answered_with_its_decision_and_deliveries(deployed: Deployed) -> None:
    raw = stamped(died("bare"), time.time())
    answer = deployed.aws.client("lambda").invoke(FunctionName=deployed.stack.function_name, Payload=json.dumps(raw))
    summary = json.load(answer["Payload"])
    assert (summary["severity"], summary["cause"]) == ("critical", "essential_container_exited")
    assert summary["decision"] == "announced"
    assert sorted(summary["deliveries"], key=lambda delivery: str(delivery["channel"])) == [
        {"channel": "email", "kind": "opened", "outcome": "sent", "attempt": 1},
        {"channel": "slack-bare", "kind": "opened", "outcome": "sent", "attempt": 1},
    ]


def test_a_failed_blue_green_deployment_is_announced(deployed: Deployed) -> None:
    deployed.happen(codedeploy("FAILURE", application="AppECS-prod-shop"))
    (text,) = eventually(lambda: deployed.slack_of("shop"), deployed)
    assert text.startswith("🔴 CRITICAL · Deployment failed: ")
    assert "AppECS-prod-shop" in text


def test_the_heartbeat_reaches_every_channel_through_the_events_queue(deployed: Deployed) -> None:
    """The event is what EventBridge makes of the rule's input; the local AWS cannot run the rule's schedule."""
    heartbeat = {"source": "ecs-alert-router", "detail-type": "Router Heartbeat", "id": "week-48", "detail": {}}
    queue = deployed.stack.events_queue_url
    deployed.aws.client("sqs").send_message(QueueUrl=queue, MessageBody=json.dumps(heartbeat))
    for slack in (deployed.slack, *deployed.own_slack.values()):
        eventually(lambda: [text for text in _texts(slack) if "Weekly heartbeat" in text], deployed)  # noqa: B023
    eventually(lambda: [mail for mail in deployed.mailbox.mails if "Weekly heartbeat" in mail.subject], deployed)


class Ecs:
    """Runs no task, but sends EventBridge the events that ECS would send."""

    def __init__(self, deployed: Deployed) -> None:
        self._deployed = deployed
        self._command = ""
        self.calls: list[str] = []

    def __getattr__(self, name: str) -> Callable[..., Any]:
        def call(**request: Any) -> Any:
            self.calls.append(name)
            return {"taskDefinitionArns": ["arn"], "tasks": []}

        return call

    def register_task_definition(self, **definition: Any) -> None:
        (container,) = definition["containerDefinitions"]
        self._command = container["command"][-1]

    def run_task(self, **request: Any) -> Any:
        code = int(self._command.removeprefix("exit "))
        family, task = request["taskDefinition"], f"{code:032x}"
        self._deployed.happen(
            task_stopped(containers=[container("smoke", code)], service=None, family=family, task=task)
        )
        return {"tasks": [{"taskArn": f"arn:aws:ecs:eu-west-1:123456789012:task/prod/{task}"}]}


def test_the_smoke_test_waits_for_every_channel_and_leaves_nothing_running(deployed: Deployed) -> None:
    output: list[str] = []
    ecs = Ecs(deployed)
    history = History(DynamoTable(deployed.aws.client("dynamodb"), deployed.stack.table_name), 0.0)
    assert Smoke(ecs, None, history, output.append, subnets=["subnet-1"]).run()
    assert "in history: critical essential_container_exited, announced" in output
    assert {"slack-smoke: sent", "email: sent"} <= set(output)
    assert ecs.calls[0] == "create_cluster"
    assert ecs.calls[-2:] == ["deregister_task_definition", "delete_cluster"]


def test_no_secret_is_in_the_logs(deployed: Deployed) -> None:
    secret = deployed.slack.webhook_url.rpartition("/")[2]
    logs = "".join(function_logs(deployed.aws, deployed.stack))
    assert "START" in logs
    assert secret not in logs


def test_in_a_storm_slack_is_notified_of_every_service_within_its_rate_limit(deployed: Deployed) -> None:
    names = [f"storm{number:02}" for number in range(40)]
    slack, began = deployed.own_slack["storm"], time.time()
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda name: deployed.happen(died(name)), names))
    eventually(lambda: all(_is_named(name, slack) for name in names), deployed)
    sent_at = sorted(request.at for request in slack.requests if request.at >= began)
    assert min(after - before for before, after in pairwise(sent_at)) > 1.0 - SLOW_SEND
    assert len(sent_at) <= 6
    rows = [row for name in names for row in deployed.history("list", "--service", name)]
    assert Counter(row["decision"] for row in rows).keys() <= {"announced", "gathered"}
    assert len(rows) == 40


def _is_named(service: str, slack: SlackDouble) -> bool:
    """Whether Slack was told of a service, in a message of its own or in a bundled one."""
    return any(re.search(rf"service {service}\b", json.dumps(received.payload)) for received in slack.received)


# --- the command line, about the deployed stage -----------------------------------------------------------------------


def test_the_command_line_asks_the_function_of_the_stage(deployed: Deployed) -> None:
    """send-test is sent by the Lambda, stack prints its environment, and doctor finds nothing but the demo's file."""
    exit_code, rows = deployed.type("send-test", "--stage", "dev", "--channel", "slack", "--json")
    assert (exit_code, rows) == (0, [{"channel": "slack", "kind": "opened", "outcome": "sent"}])
    assert [text for text in _texts(deployed.slack) if "TEST" in text]
    exit_code, (variables,) = deployed.type("stack", "--stage", "dev", "--json")
    assert (exit_code, variables["HISTORY_TABLE"]) == (0, deployed.stack.table_name)
    assert (variables["DLQ_URL"], variables["STAGE"]) == (deployed.stack.dead_letter_queue_url, "dev")
    _, checks = deployed.type("doctor", "--stage", "dev", "--json")
    found = {check["check"]: check["ok"] for check in checks}
    assert {"stack", "version", "subscriptions", "rules", "queues", "ticks", "dead letters"} <= found.keys()
    assert [check for check, ok in found.items() if not ok and check not in {"ticks", "dead letters"}] == [
        "configuration"
    ]


def test_a_message_names_the_stage_and_the_region_in_its_command(deployed: Deployed) -> None:
    deployed.happen(died("named"))
    eventually(lambda: deployed.kinds_mailed("named"), deployed)
    (mail,) = deployed.mails_about("named")
    assert f" --stage dev --region {deployed.aws.region}" in mail.text


ROOT = Path(__file__).parents[2]
RUNBOOK = re.findall(r"^```sh\n(.*?)^```$", (ROOT / "docs/operate.md").read_text("utf-8"), re.DOTALL | re.MULTILINE)


@pytest.mark.thorough  # in process, tests/unit/docs types the same commands
def test_the_runbook_works_as_typed_in_a_fresh_shell(deployed: Deployed, tmp_path: Path) -> None:
    """Nothing is set but the operator's credentials, region and stage. `doctor` may find something.

    The aws commands are compared with AWS's models in unit/docs, as version 1 of its CLI knows no AWS_ENDPOINT_URL.
    """
    deployed.happen(died("runbook"))
    incident = eventually(lambda: deployed.history("list", "--service", "runbook"), deployed)[0]["incident"]
    words = ("silence", "add", "--service", "x", "--for", "1h", "--reason", "y", "--json")
    ((silence,), names) = (deployed.type(*words)[1], {"k3f9x2a7m2c4q-12": incident})
    names["k3f9x2a"] = silence["id"]
    deployed.aws.client("sqs").purge_queue(QueueUrl=deployed.stack.dead_letter_queue_url)  # other tests left letters
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    environment = {**deployed.operator, "PATH": path, "HOME": str(tmp_path), "ECS_ALERT_ROUTER_STAGE": "dev"}
    for block in RUNBOOK:
        script = "\n".join(line for line in block.splitlines() if not line.startswith("aws "))
        for placeholder, name in names.items():
            script = re.sub(rf"{placeholder}\b(?!-)", name, script)
        script = script.replace("ecs-alert-router doctor", "ecs-alert-router doctor || [ $? = 1 ]")
        shell = subprocess.run(
            ["bash", "-euc", script], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
        )
        assert shell.returncode == 0, f"{script}\n{shell.stdout}\n{shell.stderr}"
        assert "Traceback" not in shell.stderr
