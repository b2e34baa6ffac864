"""`ecs-alert-router demo`: deploys the router to a local AWS, lets tasks fail, and shows every message it sends."""

import contextlib
import re
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.markup import escape
from rich.panel import Panel

from router.cli.history import LIST_COLUMNS, OPEN_COLUMNS, show_incident_of, table_of
from router.cli.output import console, echo
from router.cli.preview import slack_panel
from router.history.store import AlertQuery, History
from router.history.table import DynamoTable

if TYPE_CHECKING:
    from local_aws.mailbox import Mail, Mailbox
    from local_aws.slack import SlackDouble
    from local_aws.stories import Story

EXPECTED_WITHIN = 60.0  # seconds to wait for the expected messages
SETTLE_FOR = 2.0  # seconds to wait for messages that must not come


@dataclass(frozen=True)
class _Arrived:
    """The messages that the recipients got, in order of arrival."""

    slack: list[dict[str, Any]]
    mails: "list[Mail]"


@click.command("demo")
@click.pass_context
def demo_command(context: click.Context) -> None:
    """Deploy to a local AWS, send events of failing ECS tasks, and show the resulting alerts.

    Everything runs on this machine, and nothing is left running. The exit code is 0 only if exactly the expected
    messages arrive.
    """
    try:
        from local_aws.stories import stories  # noqa: PLC0415 - only a checkout has a local AWS
    except ModuleNotFoundError as error:
        raise click.ClickException(f"the demo runs from a checkout ({error.name} is missing): make demo") from error
    with contextlib.ExitStack() as stack:
        scenarios = stories()
        history, arrived = _run(scenarios, stack)
        _show(scenarios, arrived, history)
        findings = list(_findings(scenarios, arrived))
    for finding in findings:
        echo(f"unexpected: {finding}", err=True)
    if not findings:
        console().print("\n[bold green]Every expected message arrived exactly once, and no other message arrived.[/]")
    context.exit(1 if findings else 0)


# --- run --------------------------------------------------------------------------------------------------------------


def _run(scenarios: "Sequence[Story]", stack: contextlib.ExitStack) -> "tuple[History, _Arrived]":
    from local_aws.deploy import deploy  # noqa: PLC0415
    from local_aws.mailbox import Mailbox  # noqa: PLC0415
    from local_aws.server import running  # noqa: PLC0415
    from local_aws.slack import SlackDouble  # noqa: PLC0415
    from local_aws.stories import in_order, send  # noqa: PLC0415

    slack = stack.enter_context(SlackDouble())
    with _step("starting a local AWS"):
        aws = stack.enter_context(running())
    with _step("deploying the stack with the Serverless Framework CLI (CloudFormation, EventBridge, SQS, Lambda, …)"):
        configuration = Path(__file__).parents[2] / "local_aws" / "demo.toml"
        environment = {"SLACK_WEBHOOK_URL": slack.webhook_url, "ALERT_EMAILS": "oncall@example.com"}
        deployed = deploy(aws, environment=environment, configuration=configuration)
        mailbox = Mailbox(aws, deployed.alerts_topic_arn)
    events = in_order(scenarios)
    with _step(f"sending {len(events)} ECS events through EventBridge"):
        send(events, aws.client("events"))
    with _step("waiting for the last messages (a digest, and a resolve after quiet time)"):
        arrived = _wait(scenarios, slack, mailbox)
    return History(DynamoTable(aws.client("dynamodb"), deployed.table_name), retention=0.0), arrived


def _wait(scenarios: "Sequence[Story]", slack: "SlackDouble", mailbox: "Mailbox") -> "_Arrived":
    """Waits for the expected messages, some of which may be bundled, then a little longer for unexpected ones."""
    ends = time.monotonic() + EXPECTED_WITHIN
    while time.monotonic() < ends and any(_findings(scenarios, _arrived(slack, mailbox))):
        time.sleep(0.1)
    time.sleep(SETTLE_FOR)
    return _arrived(slack, mailbox)


def _arrived(slack: "SlackDouble", mailbox: "Mailbox") -> _Arrived:
    return _Arrived([dict(received.payload) for received in slack.received], mailbox.mails)


@contextlib.contextmanager
def _step(what: str) -> Iterator[None]:
    """Shows the current step on stderr, and how long it took."""
    progress, began = console(stderr=True), time.monotonic()
    with progress.status(what) if progress.is_terminal else contextlib.nullcontext():
        yield
    progress.print(f"[dim]{time.monotonic() - began:5.1f} s[/]  {what}")


# --- show -------------------------------------------------------------------------------------------------------------


def _show(scenarios: "Sequence[Story]", arrived: "_Arrived", history: History) -> None:
    out, now = console(), time.time()
    out.rule("What happened")
    for story in scenarios:
        out.print(f"  service:{story.service:9} {story.name}")
    out.rule("What Slack got")
    for payload in arrived.slack:
        out.print(slack_panel(payload))
    out.rule("What the e-mail subscribers got")
    for mail in arrived.mails[:1]:
        out.print(Panel(escape(mail.text.strip()), title=escape(mail.subject), title_align="left", width=100))
    for mail in arrived.mails[1:]:
        out.print(f"  and: {escape(mail.subject)}")
    out.rule("The decision about each alert (ecs-alert-router history list)")
    alerts = history.alerts(AlertQuery(now - 3600, now + 60, 100), now)
    out.print(table_of(alerts, LIST_COLUMNS))
    out.print(f"\n  {_totals(Counter(str(alert['decision']) for alert in alerts))}")
    out.rule("What is still open (ecs-alert-router history open)")
    incidents = history.open_incidents(now)
    out.print(table_of(incidents, OPEN_COLUMNS))
    if incidents:
        out.rule(f"One incident in detail (ecs-alert-router history show {incidents[0]['id']})")
        show_incident_of(history, incidents[0]["id"], now)


def _totals(counts: "Counter[str]") -> str:
    return ", ".join(f"{count} {decision}" for decision, count in counts.most_common())


# --- check ------------------------------------------------------------------------------------------------------------


def _findings(scenarios: "Sequence[Story]", arrived: "_Arrived") -> Iterator[str]:
    """Messages that are missing, and messages that were not expected."""
    channels: dict[str, Callable[[str], list[str]]] = {
        "e-mail": lambda service: [
            mail.attributes["kind"] for mail in arrived.mails if mail.attributes.get("service") == service
        ],
        "Slack": lambda service: [kind for payload in arrived.slack for kind in _kinds(service, payload)],
    }
    for story in scenarios:
        for channel, kinds_of in channels.items():
            kinds = tuple(kinds_of(story.service))
            if kinds != story.expected:
                yield f"{channel} of service:{story.service} ({story.name}): {kinds}, expected {story.expected}"


def _kinds(service: str, payload: dict[str, Any]) -> Iterator[str]:
    """The kinds of notification about a service in one message, which may be a bundle if the machine is slow."""
    text = payload["text"]
    if f"service {service} in " in text:
        yield ("resolved" if "RESOLVED · " in text else "updated" if ", ongoing · " in text else "opened")
    for label, names in re.findall(r"• [^•]*?, [0-9]+ (new|ongoing|resolved) incidents? \([^)]*\): ([^•]*)", text):
        if re.search(rf"\b{service}\b", names):
            yield {"new": "opened", "ongoing": "updated", "resolved": "resolved"}[label]
