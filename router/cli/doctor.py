"""`ecs-alert-router doctor`: checks a deployed stage from end to end, and says what to type about each finding.

The command invokes the function for what only the function can know: whether its secrets can be read and its channels
reached. It asks AWS for the rest. A check that cannot be made is a finding too. Nothing is sent and nothing is changed.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import click

from router.aws import clients
from router.cli.aws_errors import explained
from router.cli.checkout import configuration, is_checkout, root
from router.cli.deployed import Deployed, find, names_stage
from router.cli.invoke import invoke
from router.cli.output import echo, to_json
from router.model import CHECK
from router.selfcheck.release import digests

_TICKS = timedelta(minutes=15)  # CloudWatch shows a minute's invocations some minutes later
_WORKS = ("CREATE_COMPLETE", "UPDATE_COMPLETE", "UPDATE_ROLLBACK_COMPLETE", "IMPORT_COMPLETE")
_MAY_BE_OFF = "HeartbeatRule"  # HEARTBEAT_SCHEDULE=off


class Checked(NamedTuple):
    """The result of one check.

    Attributes:
        detail: what is as it should be, or what is not.
        command: what to type; "" if all is well.
    """

    check: str
    ok: bool
    detail: str
    command: str = ""


@click.command("doctor")
@click.option("--json", "as_json", is_flag=True, help="JSON Lines, one per check.")
@names_stage()
@click.pass_context
def doctor_command(context: click.Context, *, stage: str, as_json: bool) -> None:
    """Check a deployed stage: channels, secrets, subscriptions, rules, ticks, dead letters and version.

    Each finding says what to type. Nothing is sent and nothing is changed. The exit code is 1 if there is a finding.
    """
    deployed = find(stage)
    has_findings = False
    for checked in _all(deployed):
        has_findings = has_findings or not checked.ok
        echo(to_json(checked._asdict()) if as_json else _lines(checked))
    context.exit(1 if has_findings else 0)


def _lines(checked: Checked) -> str:
    line = f"{'ok     ' if checked.ok else 'finding'} {checked.check}: {checked.detail}"
    return f"{line}\n        type: {checked.command}" if checked.command else line


def _all(deployed: Deployed) -> Iterator[Checked]:
    """Every check, one after the other; one that fails does not keep the others from being made."""
    again = f"ecs-alert-router doctor {deployed.options}"
    for name, check in _CHECKS.items():
        try:
            yield from check(deployed)
        except click.ClickException as error:
            yield Checked(name, ok=False, detail=error.message, command=_logs(deployed))
        except Exception as error:  # noqa: BLE001 - whatever AWS or its SDK does
            reason = explained(error) or f"{type(error).__name__}: {' '.join(str(error).split())}"
            yield Checked(name, ok=False, detail=f"could not be checked: {reason}", command=again)


def _deploy(deployed: Deployed) -> str:
    return f"npx osls deploy --stage {deployed.stage} --region {deployed.region}"


def _logs(deployed: Deployed) -> str:
    return f"npx osls logs -f router --stage {deployed.stage} --region {deployed.region} --startTime 1h"


# --- the checks -------------------------------------------------------------------------------------------------------


def _stack(deployed: Deployed) -> Iterator[Checked]:
    (stack,) = clients.stacks().describe_stacks(StackName=f"ecs-alert-router-{deployed.stage}")["Stacks"]
    status = stack["StackStatus"]
    ok = status in _WORKS
    yield Checked("stack", ok, status, "" if ok else _deploy(deployed))


def _function(deployed: Deployed) -> Iterator[Checked]:
    """What the function says about itself, by invoking it."""
    answer = invoke(deployed, CHECK, {}, expected="release")
    yield _version(deployed, answer)
    yield _configuration(deployed, answer)
    yield from _channels(deployed, answer)
    yield _subscriptions(deployed, answer["unconfirmed"])


def _version(deployed: Deployed, answer: Mapping[str, Any]) -> Checked:
    if not is_checkout(root()):
        return Checked("version", ok=True, detail="not compared: that takes a checkout as the current directory")
    here, there = digests(root(), root() / answer["configuration"]), answer["release"]
    names = {"code": "router/", "plugins": "plugins/"}
    different = [place for name, place in names.items() if here[name] != there[name]]
    if different:
        detail = f"the function has another {' and another '.join(different)} than this checkout"
        return Checked("version", ok=False, detail=detail, command=_deploy(deployed))
    return Checked("version", ok=True, detail=f"the function has the code of this checkout ({here['code']})")


def _configuration(deployed: Deployed, answer: Mapping[str, Any]) -> Checked:
    file = answer["configuration"]
    check = f"ecs-alert-router config check --deployed {deployed.options}"
    if answer["problems"]:
        return Checked("configuration", ok=False, detail="; ".join(answer["problems"]), command=check)
    if digests(root(), configuration(file))["configuration"] != answer["release"]["configuration"]:
        detail = f"the function has another {file} than this checkout"
        return Checked("configuration", ok=False, detail=detail, command=_deploy(deployed))
    return Checked("configuration", ok=True, detail=f"the function has the {file} of this checkout")


def _channels(deployed: Deployed, answer: Mapping[str, Any]) -> Iterator[Checked]:
    """Each channel: whether it can be made, with its secrets, and reached; and whether its last message arrived."""
    for name, problem in answer["channels"].items():
        failing = answer["failing"].get(name)
        hosts = answer["hosts"].get(name)
        detail = problem or f"it can be made with its secrets{f', and {hosts[0]} can be reached' if hosts else ''}"
        if failing and not problem:
            detail = f"it has failed since {failing['since']}: {failing['response']}"
        ok = not problem and not failing
        command = "" if ok else f"ecs-alert-router send-test --channel {name} {deployed.options}"
        yield Checked(f"channel {name}", ok, detail, command)
    if not answer["channels"]:
        yield Checked("channels", ok=False, detail="no channel is configured", command=_deploy(deployed))


def _subscriptions(deployed: Deployed, unconfirmed: Iterable[str] | None) -> Checked:
    if unconfirmed is None:
        detail = "the function may not list the subscriptions of its topics"
        return Checked("subscriptions", ok=False, detail=detail, command=_deploy(deployed))
    waiting = list(unconfirmed)
    if not waiting:
        return Checked("subscriptions", ok=True, detail="every address is confirmed")
    topic = deployed.resources["AlertsTopicArn"]
    command = (
        f"aws sns subscribe --topic-arn {topic} --protocol email --notification-endpoint {waiting[0]}"
        f" --region {deployed.region}"
    )
    return Checked("subscriptions", ok=False, detail=f"not confirmed yet: {', '.join(waiting)}", command=command)


def _rules(deployed: Deployed) -> Iterator[Checked]:
    pages = clients.stacks().get_paginator("list_stack_resources")
    resources = [
        resource
        for page in pages.paginate(StackName=f"ecs-alert-router-{deployed.stage}")
        for resource in page["StackResourceSummaries"]
        if resource["ResourceType"] == "AWS::Events::Rule"
    ]
    events = clients.rules()
    for resource in resources:
        # A rule of an event bus has the id BUS|RULE; Ref gives that too.
        bus, _, name = resource["PhysicalResourceId"].rpartition("|")
        on_bus = {"EventBusName": bus} if bus else {}
        state = events.describe_rule(Name=name, **on_bus)["State"]
        if state != "ENABLED" and resource["LogicalResourceId"] != _MAY_BE_OFF:
            command = f"aws events enable-rule --name {name} --region {deployed.region}"
            command += f" --event-bus-name {bus}" if bus else ""
            yield Checked("rules", ok=False, detail=f"the rule {name} is disabled", command=command)
            return
    yield Checked("rules", ok=True, detail=f"{len(resources)} rules are there, and enabled where they are to be")


def _queues(deployed: Deployed) -> Iterator[Checked]:
    """Lambda reads the queues."""
    pages = clients.functions().get_paginator("list_event_source_mappings")
    mappings = [
        mapping
        for page in pages.paginate(FunctionName=deployed.resources["FunctionName"])
        for mapping in page["EventSourceMappings"]
    ]
    off = [mapping for mapping in mappings if mapping["State"] not in {"Enabled", "Enabling", "Updating"}]
    if off or not mappings:
        detail = f"Lambda does not read {off[0]['EventSourceArn'].rpartition(':')[2] if off else 'any queue'}"
        command = (
            f"aws lambda update-event-source-mapping --uuid {off[0]['UUID']} --enabled --region {deployed.region}"
            if off
            else _deploy(deployed)
        )
        yield Checked("queues", ok=False, detail=detail, command=command)
    else:
        yield Checked("queues", ok=True, detail=f"Lambda reads {len(mappings)} queues")


def _ticks(deployed: Deployed) -> Iterator[Checked]:
    """The function ran at least every second minute, so the tick arrives: it runs once a minute."""
    now = datetime.now(UTC)
    answer = clients.cloudwatch().get_metric_statistics(
        Namespace="AWS/Lambda",
        MetricName="Invocations",
        Dimensions=[{"Name": "FunctionName", "Value": deployed.resources["FunctionName"]}],
        StartTime=now - _TICKS,
        EndTime=now,
        Period=60,
        Statistics=["Sum"],
    )
    minutes = len([point for point in answer["Datapoints"] if point["Sum"] > 0])
    last = f"the function ran in {minutes} of the last {int(_TICKS.total_seconds() // 60)} minutes"
    if minutes:
        yield Checked("ticks", ok=True, detail=last)
    else:
        name = f"ecs-alert-router-{deployed.stage}-tick"
        command = f"aws events describe-rule --name {name} --region {deployed.region}"
        yield Checked("ticks", ok=False, detail=last, command=command)


def _dead_letters(deployed: Deployed) -> Iterator[Checked]:
    name = "ApproximateNumberOfMessages"
    answer = clients.sqs().get_queue_attributes(
        QueueUrl=deployed.resources["DeadLetterQueueUrl"], AttributeNames=[name]
    )
    count = int(answer["Attributes"][name])
    command = f"ecs-alert-router redrive --dry-run {deployed.options}" if count else ""
    detail = f"{count} on the dead-letter queue" if count else "the dead-letter queue is empty"
    yield Checked("dead letters", ok=not count, detail=detail, command=command)


_CHECKS: Mapping[str, Callable[[Deployed], Iterator[Checked]]] = {
    "stack": _stack,
    "function": _function,
    "rules": _rules,
    "queues": _queues,
    "ticks": _ticks,
    "dead letters": _dead_letters,
}
"""By the name that the check has in the output if it cannot be made."""
