"""`ecs-alert-router expect`: the runs that are expected, and `[[expect]]` tables for the account's schedules."""

import json
import re
import time
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import click

from router.aws import clients
from router.cli.config import config_option, load_plugins
from router.cli.groups import CommandGroup
from router.cli.output import echo, echo_json
from router.cli.stack import Stack, reaches_stack
from router.config.parse import parse, read
from router.errors import HistoryError
from router.history.items import iso
from router.history.store import AlertQuery
from router.model import SubjectKind
from router.poll.schedule import next_due, parse_schedule
from router.poll.state import Expectation

_GRACE = 15  # minutes; the default of `grace`
_RUN_TASK = re.compile(r"arn:[^:]+:scheduler:::aws-sdk:ecs:runTask", re.IGNORECASE)
_LOOKED_BACK = 90 * 86_400.0  # seconds
_ALERTS = 20  # of a family; those about a missing or refused run do not show a start


@click.group("expect", cls=CommandGroup)
def expect_group() -> None:
    """The runs that must start and finish in time ([[expect]] in alert-router.toml)."""


# --- list -------------------------------------------------------------------------------------------------------------


@expect_group.command("list")
@config_option
@click.option("--json", "as_json", is_flag=True, help="JSON Lines, in UTC.")
@reaches_stack
def list_command(*, path: Path, stack: Stack, as_json: bool) -> None:
    """Show when each expected run ran last, and when it is due next."""
    config, now = parse(read(path), load_plugins(), {}), time.time()
    watches = stack.history.run_poll(now).watches
    for expected in config.expect:
        watch = watches.get(expected.name)
        line = {
            "name": expected.name,
            "family": expected.family,
            "cluster": expected.cluster,
            "schedule": expected.schedule.text,
            "last": _iso(max(watch.started_at if watch else 0.0, _last_start(expected, stack, now)) or None),
            "due": _iso(watch.due_at if watch else None),
        }
        if as_json:
            echo_json(line)
        else:
            due = line["due"] or ("never again" if watch else "known after the next tick")
            place = f"{expected.family} in {expected.cluster}, {expected.schedule.text}"
            echo(f"{expected.name} ({place}): last {line['last'] or 'unknown'}, due {due}")
    if not config.expect:
        echo("no run is expected: add [[expect]] tables; ecs-alert-router expect learn prints some", err=True)


def _last_start(expected: Expectation, stack: Stack, now: float) -> float:
    """When the newest run started that history knows; 0.0 for none."""
    subject = f"{SubjectKind.FAMILY.value}:{expected.family}"
    query = AlertQuery(now - _LOOKED_BACK, now, _ALERTS, subject=subject, cluster=expected.cluster)
    rows = stack.history.rows([row["id"] for row in stack.history.each_alert(query, now)], now).values()
    return max((float(row.get("started_at") or row.get("created_at") or 0.0) for row in rows), default=0.0)


def _iso(at: float | None) -> str | None:
    return None if at is None else iso(at)


# --- learn ------------------------------------------------------------------------------------------------------------


@expect_group.command("learn")
@click.option("--region", default="", help="The region to ask; default: that of the environment.")
def learn_command(*, region: str) -> None:
    """Print [[expect]] tables for the ECS tasks that EventBridge Scheduler and EventBridge rules run."""
    try:
        scheduler, events = clients.scheduler_of(region), clients.events_of(region)
        runs = [*from_schedules(_schedules(scheduler)), *from_rules(_rules(events))]
    except Exception as error:
        hint = "pass --region, and check the credentials"
        raise HistoryError(f"the schedules cannot be read ({error}): {hint}") from error
    names: set[str] = set()
    for run in runs:
        unique = next(name for name in _names(run.name) if name not in names)
        names.add(unique)
        echo(_table(run._replace(name=unique)))
    echo(f"{len(runs)} schedules run ECS tasks", err=True)


class Learned(NamedTuple):
    """A schedule that runs an ECS task.

    Attributes:
        family, cluster: "" if the schedule does not tell.
        flexible: minutes within which EventBridge may start it.
        ends_at: clock time after which it runs nothing any more, or None.
    """

    name: str
    family: str
    cluster: str
    expression: str
    time_zone: str = "UTC"
    flexible: int = 0
    ends_at: float | None = None


def from_schedules(schedules: Iterable[Mapping[str, Any]]) -> Iterator[Learned]:
    """The schedules that GetSchedule returns, with templated targets or with universal ones that call RunTask."""
    for schedule in schedules:
        target = schedule.get("Target", {})
        if parameters := target.get("EcsParameters"):
            definition, cluster = parameters.get("TaskDefinitionArn", ""), target.get("Arn", "")
        elif _RUN_TASK.fullmatch(target.get("Arn", "")):
            request = _request(target.get("Input", ""))
            definition, cluster = request.get("taskdefinition", ""), request.get("cluster", "default")
        else:
            continue
        window, ends = schedule.get("FlexibleTimeWindow", {}), schedule.get("EndDate")
        yield Learned(
            schedule.get("Name", ""),
            _family(definition),
            cluster.rpartition("/")[2],
            schedule.get("ScheduleExpression", ""),
            schedule.get("ScheduleExpressionTimezone") or "UTC",
            int(window.get("MaximumWindowInMinutes") or 0) if window.get("Mode") == "FLEXIBLE" else 0,
            ends.timestamp() if ends else None,
        )


def _request(text: str) -> dict[str, Any]:
    """The input of a universal target by its keys in lower case, since both spellings occur."""
    try:
        content = json.loads(text)
    except ValueError:
        return {}
    return {key.lower(): value for key, value in content.items()} if isinstance(content, dict) else {}


def from_rules(rules: Iterable[tuple[Mapping[str, Any], Iterable[Mapping[str, Any]]]]) -> Iterator[Learned]:
    """The schedules of EventBridge rules, each with its targets; rules know only UTC."""
    for rule, targets in rules:
        for target in targets:
            if parameters := target.get("EcsParameters"):
                family, cluster = _family(parameters["TaskDefinitionArn"]), target["Arn"].rpartition("/")[2]
                yield Learned(rule["Name"], family, cluster, rule["ScheduleExpression"])


def _family(definition: str) -> str:
    return definition.rpartition("/")[2].partition(":")[0]


def _schedules(scheduler: Any) -> Iterator[Mapping[str, Any]]:
    for summary in _pages(scheduler.list_schedules, "Schedules", State="ENABLED"):
        yield scheduler.get_schedule(Name=summary["Name"], GroupName=summary["GroupName"])


def _rules(events: Any) -> Iterator[tuple[Mapping[str, Any], list[Mapping[str, Any]]]]:
    for rule in _pages(events.list_rules, "Rules"):
        if rule.get("ScheduleExpression") and rule.get("State") != "DISABLED":
            yield rule, list(_pages(events.list_targets_by_rule, "Targets", Rule=rule["Name"]))


def _pages(call: Any, key: str, **parameters: Any) -> Iterator[Mapping[str, Any]]:
    token: dict[str, str] = {}
    while True:
        page = call(**parameters, **token)
        yield from page[key]
        if not page.get("NextToken"):
            return
        token = {"NextToken": page["NextToken"]}


def _names(name: str) -> Iterator[str]:
    """The name as a table may have it, and that name with a number."""
    clean = re.sub(r"[^A-Za-z0-9_.-]+", "-", name)[:60] or "run"
    yield clean
    yield from (f"{clean}-{number}" for number in range(2, 1000))


def _table(learned: Learned) -> str:
    if not (learned.family and learned.cluster):
        return f"# {learned.name}: its target does not say which task family it runs\n"
    fields = {
        "name": learned.name,
        "family": learned.family,
        "cluster": learned.cluster,
        "schedule": learned.expression,
        **({"time_zone": learned.time_zone} if learned.time_zone != "UTC" else {}),
        **({"grace": f"{_GRACE + learned.flexible}m"} if learned.flexible else {}),
    }
    lines = [f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in fields.items()]
    return "\n".join(["[[expect]]", *lines, f"# {_next(learned)}", ""])


def _next(learned: Learned) -> str:
    try:
        due = next_due(parse_schedule(learned.expression, learned.time_zone), time.time())
    except (ValueError, KeyError) as error:
        return f"remove this table: the schedule {error}"
    if due is None or (learned.ends_at is not None and due > learned.ends_at):
        return "remove this table: it is never due again"
    return f"due next {datetime.fromtimestamp(due, UTC):%Y-%m-%d %H:%M} UTC"
