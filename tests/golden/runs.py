"""Runs of the real router that write every kind of item of the history table, with every optional attribute.

Each run is a short story. All that it writes is kept, also what is written over later: some attributes are set for a
while only.
"""

from collections.abc import Callable
from typing import Any
from unittest.mock import patch

from local_aws import events
from router.aws.home import ExpectedRun, Home
from router.cli.replay.memory_table import MemoryTable
from router.config.rules import UserRule
from router.config.settings import Poll, Route
from router.config.silences import Silences
from router.errors import PermanentError, TransientError
from router.history.items import iso, state_key
from router.history.store import History, SubjectWrite
from router.history.table import Item
from router.incident.lifecycle import close
from router.model import HEARTBEAT, OWN_SOURCE, Severity, Subject, SubjectKind
from router.poll.schedule import every
from router.poll.state import Expectation
from router.tick import tick
from router.verify import verify
from tests.doubles.ecs_account import EcsAccount, Throttled
from tests.doubles.inbox import MAX_RECEIVES, receive, record
from tests.doubles.inbox import without_history as unavailable
from tests.doubles.service_events import SPOT, deployed, steady
from tests.doubles.world import DAY, HOUR, MINUTE, Recorder, World

Raw = events.Raw
WEB = Subject(events.ACCOUNT, events.REGION, events.CLUSTER, SubjectKind.SERVICE, "web")
ALL_CHANNELS = Route(Severity.ERROR, channels=("chat", "slack", "email", "pager"), mention="<!here>", language="ja")
QUIET_CHANNELS = Route(Severity.WARNING, channels=("slack", "email"), time_zone="Asia/Tokyo", dedup_window=600.0)
RULES = (
    UserRule("payments", {"service": ("pay",)}, runbook_url="https://wiki.example.com/pay"),
    UserRule("envoy may exit", {"container": ("envoy",)}, severity=Severity.INFO),
    UserRule("a scale-in ends what fails", {"cause": ("stopped_by_scheduler",), "service": ("calm",)}, resolves=True),
    UserRule("no news", {"cause": ("hook_failed", "deployment_rolling_back"), "service": ("calm",)}, Severity.INFO),
)


class WatchedTable(MemoryTable):
    """Keeps everything that was ever stored, in order."""

    def __init__(self) -> None:
        super().__init__()
        self.written: list[Item] = []

    def _store(self, item: Item) -> None:
        super()._store(item)
        self.written.append(item)

    def damage(self, item: Item) -> None:
        """Replaces an item by one that cannot be read, and that nobody has written."""
        super()._store(item)


class Chat(Recorder):
    """A channel with a memory."""

    def send(self, payload: dict[str, Any]) -> dict[str, str]:  # type: ignore[override]  # both are allowed
        super().send(payload)
        return {"ts": f"1760000000.{self.tried:06}", "channel": "C0123456789"}


class Run(World):
    """A world whose table is watched and which polls."""

    def __init__(self, **settings: Any) -> None:
        settings = {"routes": (ALL_CHANNELS, QUIET_CHANNELS), "rules": RULES, **settings}
        super().__init__(**settings)
        self.watched = self.table = WatchedTable()
        history = History(self.table, self.config.retention, {Severity.CRITICAL: 365 * DAY})
        self.keep_in(history, silences=Silences(history.silences))
        self.account = EcsAccount(prod={"web": {}, "api": {}})
        self.poll()

    def make_channels(self) -> dict[str, Recorder]:
        return {"chat": Chat("chat"), **super().make_channels()}

    def poll(self, *expected: Expectation) -> None:
        """Expects these runs from now on."""
        self.config = self.config._replace(expect=expected)
        runs = frozenset(ExpectedRun(run.name, run.family, run.cluster) for run in expected)
        home = Home(events.ACCOUNT, events.REGION, lambda: self.account, lambda: None, self.config.poll.services, runs)
        self.router = self.router._replace(config=self.config, home=home, verify=lambda states: verify(states, home))

    def wait(self, seconds: float, step: float = MINUTE) -> None:
        """Lets time pass, with whole ticks."""
        end = self.now + seconds
        with patch("router.tick.probe", lambda *_: 0):  # it stores nothing, and takes most of the time of a tick
            while self.now < end:
                self.now = min(self.now + step, end)
                tick(self.router, self.deadline())

    def happen(self, *raws: Raw, **attributes: Any) -> None:
        """Events arrive by the queue in one batch, at the time of the clock."""
        self.now += 1
        named = (raw | {"id": f"event-{self.now}-{number}", "time": iso(self.now)} for number, raw in enumerate(raws))
        receive(self, *(record(raw["id"], raw) | attributes for raw in named))

    def announce_without_history(self, raw: Raw) -> None:
        """The last receive of an event, and the table does not answer."""
        history = self.history
        unavailable(self)
        self.happen(raw, attributes={"ApproximateReceiveCount": str(MAX_RECEIVES)})
        self.keep_in(history)

    def redrive(self) -> None:
        """The newest dead letter comes back to the events queue."""
        message = self.sqs.on("dead-letters")[-1]
        notes = {name: {"stringValue": note["StringValue"]} for name, note in message["MessageAttributes"].items()}
        receive(self, record("m1", message["MessageBody"]) | {"messageAttributes": notes})

    def close(self, subject: Subject) -> None:
        """Closes its incident by hand."""
        (state,) = self.history.load([state_key(subject)], self.now)
        closed = close(state, "ann", "the service was deleted", self.now)
        self.history.commit_all(self.now, [SubjectWrite(state=closed)])


def crashing() -> Run:
    """Retries, a failure for good, doubt, a digest, worse alerts, a recovery, returns, flapping, the next incident."""
    run = Run()
    run.happen(deployed("SERVICE_DEPLOYMENT_IN_PROGRESS", run.now))
    run.pager.failure = lambda: PermanentError("400 invalid routing key", status=400, answer="invalid routing key")
    run.email.failure = lambda: TransientError("timed out")
    run.slack.failure = lambda: TransientError("503", status=503, answer="busy", retry_after=40)
    oom = events.container(
        exit_code=137,
        reason="OutOfMemoryError: Container killed due to memory usage",
        imageDigest="sha256:1f2d3c4b5a69788796a5b4c3d2e1f00f1e2d3c4b5a69788796a5b4c3d2e1f001",
        memory="512",
        healthStatus="UNHEALTHY",
    )
    secret = {"containerOverrides": [{"name": "app", "environment": [{"name": "PASSWORD", "value": "hunter2"}]}]}
    run.happen(_interrupted("0" * 32, run.now))
    run.wait(MINUTE)
    run.happen(_stopped("1" * 32, run.now, oom, overrides=secret))
    run.wait(3 * MINUTE)
    run.slack.failure = run.email.failure = run.pager.failure = lambda: None
    for task in "234567":
        run.happen(_stopped(task * 32, run.now))
        run.wait(20 * MINUTE)
    for task in "abcde":
        run.happen(steady(run.now))
        run.wait(80 * MINUTE, 5 * MINUTE)
        run.happen(_stopped(task * 32, run.now))
        run.wait(10 * MINUTE)
    run.happen(steady(run.now))
    run.wait(12 * HOUR, 10 * MINUTE)
    run.happen(_stopped("9" * 32, run.now))
    run.wait(25 * HOUR, 10 * MINUTE)
    return run


def dying_sidecars() -> Run:
    """Containers that exit in tasks that go on, as AWS reports it and as tasks report it themselves."""
    run = Run()
    task = "a" * 32
    died, runs = events.container("proxy", 1), events.container("proxy", status="RUNNING")
    for proxy in (died, runs, died):
        run.happen(_running(task, run.now, proxy))
        run.wait(2 * MINUTE)
    run.happen(_running(task, run.now, died, events.container("agent", 1)))
    run.happen(_running(task, run.now, events.container("envoy", 1)))
    run.happen(_reported(task, run.now))
    run.happen(_reported("b" * 32, run.now, service="api"))
    run.wait(2 * DAY, HOUR)
    run.happen(_scaled_in(task, run.now, events.container(exit_code=0), died))
    run.happen(_running("e" * 32, run.now, died))
    run.happen(_stopped("e" * 32, run.now, events.container(exit_code=1), died))
    run.happen(_reported("c" * 32, run.now, service="new"))
    run.wait(HOUR)
    for proxy in (died, runs):
        run.happen(_running("d" * 32, run.now, proxy))
    run.wait(HOUR)
    return run


def deploying() -> Run:
    """Deployments that fail, roll back and complete, and approvals with every answer."""
    run = Run()
    for name, number, reason in (
        ("FAILED", 1, ""),
        ("IN_PROGRESS", 2, "ECS deployment circuit breaker: rolling back to ecs-svc/2."),
        ("COMPLETED", 2, ""),
    ):
        run.happen(deployed(f"SERVICE_DEPLOYMENT_{name}", run.now, f"ecs-svc/{number}", reason))
        run.wait(MINUTE)
    run.wait(2 * DAY, HOUR)
    run.happen(_stopped("2" * 32, run.now))
    run.happen(deployed("SERVICE_DEPLOYMENT_IN_PROGRESS", run.now, "ecs-svc/3", "rolling back to ecs-svc/3."))
    run.happen(deployed("SERVICE_DEPLOYMENT_COMPLETED", run.now, "ecs-svc/3"))
    run.wait(HOUR)
    run.happen(_stopped("3" * 32, run.now))
    run.happen(deployed("SERVICE_DEPLOYMENT_COMPLETED", run.now, "ecs-svc/4"))
    run.wait(5 * HOUR)
    for answer in ("HOOK_SUCCEEDED", "HOOK_FAILED", ""):
        run.happen(_hook("HOOK_AWAITING_ACTION", run.now, answer))
        run.wait(MINUTE)
        if answer:
            run.happen(_hook(answer, run.now, answer))
        run.wait(6 * HOUR, 10 * MINUTE)
    run.happen(_hook("HOOK_AWAITING_ACTION", run.now, "rolls back"))
    back = {"service": "calm", "deploymentId": "ecs-svc/9", "updatedAt": iso(run.now)}
    run.happen(events.deployment("SERVICE_DEPLOYMENT_IN_PROGRESS", "rolling back to ecs-svc/9", **back))
    run.wait(6 * HOUR, 10 * MINUTE)
    run.happen(_stopped("4" * 32, run.now, service="calm"))
    run.wait(5 * MINUTE)
    run.happen(_scaled_in("5" * 32, run.now, service="calm"))
    run.wait(HOUR)
    run.happen(deployed("SERVICE_DEPLOYMENT_FAILED", run.now, "ecs-svc/6"))
    run.close(WEB)
    run.wait(MINUTE)
    return run


def alarming() -> Run:
    """Alarms of every form. They end, are deleted, lack data, or are not heard of for a week."""
    run = Run()
    for name in _ALARMS:
        run.happen(_alarm(name, run.now))
    run.wait(2 * HOUR)
    run.happen(_alarm("tasks", run.now, "OK"))
    run.happen(_alarm("muted", run.now, "OK"))
    run.wait(HOUR)
    run.happen(_alarm("muted", run.now))
    run.happen(events.alarm_deleted(name="ecs-band", at=iso(run.now)))
    run.happen(_alarm("parent", run.now, "INSUFFICIENT_DATA"))
    run.wait(9 * DAY, 6 * HOUR)
    return run


def instances() -> Run:
    """Container instances that are impaired, and healthy again or gone."""
    run = Run()
    other = {"ec2InstanceId": "i-2", "containerInstanceArn": events.arn("container-instance/prod/2")}
    run.happen(events.instance_health("IMPAIRED"))
    run.happen(events.instance_health("IMPAIRED", **other))
    run.wait(HOUR)
    run.happen(events.instance_health("OK"))
    run.happen(events.instance_state("INACTIVE", updatedAt=iso(run.now), **other))
    run.wait(HOUR)
    return run


def health_events() -> Run:
    """AWS Health retires tasks: one notice is closed, the other's time passes."""
    run = Run()
    dates = {"startTime": "Fri, 10 Oct 2025 17:00:00 GMT", "endTime": "Sat, 11 Oct 2025 17:00:00 GMT"}
    for number in "12":
        run.happen(events.health("prod|web", eventArn=f"arn:aws:health:eu-west-1::event/ECS/X/X_{number}", **dates))
    run.wait(HOUR)
    arn = "arn:aws:health:eu-west-1::event/ECS/X/X_1"
    run.happen(events.health("prod|web", eventArn=arn, statusCode="closed", **dates))
    run.wait(5 * DAY, HOUR)
    return run


def silenced() -> Run:
    """Silences hold back crashes, and conditions that outlast them, before and during an incident."""
    run = Run()
    run.silence(run.now + HOUR, service="*", cluster="prod")
    run.silence(run.now + 2 * HOUR, id_="s2", alarm="*")
    run.happen(_alarm("tasks", run.now))
    run.happen(_running("a" * 32, run.now, events.container("proxy", 1)))
    run.happen(_stopped("1" * 32, run.now))
    run.wait(3 * HOUR)
    run.happen(_stopped("2" * 32, run.now))
    run.silence(run.now + HOUR, id_="s3", service="web")
    run.wait(2 * MINUTE)
    run.happen(_stopped("3" * 32, run.now))
    run.wait(2 * HOUR)
    run.happen(_stopped("4" * 32, run.now))
    run.wait(2 * MINUTE)
    run.happen(steady(run.now))
    run.happen(_stopped("5" * 32, run.now - HOUR))
    run.wait(HOUR)
    return run


def polled() -> Run:
    """Services with too few tasks, and runs that do not start or do not finish."""
    nightly = Expectation("nightly", "nightly", "prod", every("1h"), max_runtime=600.0)
    run = Run(poll=Poll(services=True, every=5 * MINUTE))
    run.poll(nightly)
    run.account.services["prod"] |= {f"s{number:02}": {} for number in range(30)}
    run.account.services["prod"] |= {"web": _DOWN, "api": _DOWN}
    run.wait(15 * MINUTE)
    run.account.services["prod"] |= {"web": {}, "api": {"status": "INACTIVE"}}
    run.wait(20 * MINUTE)
    run.account.services["prod"] |= {"web": _DOWN}
    run.wait(30 * MINUTE)
    run.account.fail("describe_services", [Throttled()] * 3)
    run.wait(10 * MINUTE)
    run.account.fail("list_services", [PermissionError("AccessDenied")])
    run.wait(10 * MINUTE)
    run.account.run("nightly", "e" * 32, run.now)
    run.wait(2 * HOUR)
    run.happen(_run_completed("e" * 32, run.now))
    run.account.tasks.clear()
    run.now += 5 * HOUR
    run.wait(2 * HOUR)
    run.account.services["prod"] |= {"web": {}}
    run.poll()
    run.wait(3 * HOUR)
    return run


def standalone() -> Run:
    """Runs of families that fail and complete; some that no route takes."""
    run = Run(routes=(ALL_CHANNELS._replace(match={"cluster": ("prod",)}, severity=Severity.CRITICAL),))
    run.happen(_stopped("1" * 32, run.now, service=None, family="pay"))
    run.happen(_interrupted("2" * 32, run.now))
    run.wait(HOUR)
    run.happen(_run_completed("3" * 32, run.now, family="pay"))
    run.happen(_stopped("4" * 32, run.now, service="pay"))
    run.wait(HOUR)
    return run


def crowded() -> Run:
    """More incidents than a channel may send, and channels that fail for long and recover."""
    run = Run()
    run.slack.budget = (1, 60.0)
    run.email.budget = (1, 60.0)
    run.happen(*(_interrupted(f"{number:032x}", run.now, service=f"s{number}") for number in range(8)))
    run.wait(HOUR)
    run.email.failure = lambda: TransientError("503", status=503)
    run.pager.budget = (1, 60.0)
    for number in range(8):
        run.happen(_stopped(f"{number:032x}", run.now, service=f"t{number}"))
    run.wait(HOUR)
    run.email.failure = lambda: None
    run.wait(HOUR)
    return run


def without_history() -> Run:
    """Alerts that were announced while the table was unavailable come back from the dead-letter queue."""
    run = Run()
    run.announce_without_history(_stopped("1" * 32, run.now))
    run.wait(MINUTE)
    run.redrive()
    run.wait(MINUTE)
    run.happen(steady(run.now))
    run.wait(HOUR)
    run.announce_without_history(_stopped("2" * 32, run.now))
    run.happen(steady(run.now))
    run.wait(HOUR)
    run.redrive()
    run.wait(HOUR)
    return run


def beating() -> Run:
    """The weekly heartbeat, and a damaged item."""
    run = Run()
    run.happen({"source": OWN_SOURCE, "detail-type": HEARTBEAT, "detail": {}, "account": events.ACCOUNT})
    run.happen(_stopped("1" * 32, run.now))
    (item,) = (row for row in run.table.rows() if row["sk"] == "incident")
    run.watched.damage({**item, "state": b"damaged"})
    run.happen(_stopped("2" * 32, run.now))
    return run


# --- events -----------------------------------------------------------------------------------------------------------

_DOWN = {"runningCount": 0, "desiredCount": 2}


def _scaled_in(task: str, at: float, *containers: Raw, **fields: Any) -> Raw:
    because = {"stopCode": "ServiceSchedulerInitiated", "stoppedReason": "Scaling activity initiated by (deployment 1)"}
    return _stopped(task, at, *containers, **because, **fields)


def _interrupted(task: str, at: float, **fields: Any) -> Raw:
    return events.task_stopped("SpotInterruption", SPOT, task=task, stoppedAt=iso(at), **fields)


def _stopped(task: str, at: float, *containers: Raw, **fields: Any) -> Raw:
    times = {"createdAt": iso(at - 90), "startedAt": iso(at - 60), "stoppedAt": iso(at)}
    reason = ("EssentialContainerExited", "Essential container in task exited")
    return events.task_stopped(*reason, *(containers or (events.container(exit_code=1),)), task=task, **times | fields)


def _run_completed(task: str, at: float, family: str = "nightly") -> Raw:
    return _stopped(task, at, events.container(exit_code=0), service=None, family=family)


def _running(task: str, at: float, *containers: Raw) -> Raw:
    app = events.container(status="RUNNING")
    return events.task_event("RUNNING", containers=[app, *containers], task=task, updatedAt=iso(at))


def _reported(task: str, at: float, **fields: Any) -> Raw:
    return events.container_exited(events.container("logger", 2), task=task, updatedAt=iso(at), **fields)


def _hook(name: str, at: float, hook: str) -> Raw:
    return events.hook(name, service="calm", hookId=f"ecs-pause-{hook}", expiresAt=iso(at + HOUR), updatedAt=iso(at))


_WEB = {"ClusterName": "prod", "ServiceName": "web"}
_COUNTS = [("running", "RunningTaskCount", _WEB), ("desired", "DesiredTaskCount", _WEB)]
_BAND = "was less than the lower thresholds [0.1] or greater than the upper thresholds [0.3]"
_ALARMS: dict[str, dict[str, Any]] = {
    "tasks": {
        "reason": "Threshold Crossed: 2 out of the last 3 datapoints [1.0, 2.0] were greater than the threshold (0.0).",
        "metrics": _COUNTS,
        "expression": "desired - FILL(running, 0)",
    },
    "band": {
        "reason": f"Thresholds Crossed: 1 out of the last 1 datapoints [0.5] {_BAND}.",
        "metrics": _COUNTS[:1],
    },
    "silent": {"reason": "Threshold Crossed: no datapoints were received for 3 periods and 3 were [Breaching]."},
    "parent": {"reason": f"{events.arn('alarm:child', service='cloudwatch')} transitioned to ALARM at noon"},
    "muted": {},
    "suppressed": {},
}


def _alarm(name: str, at: float, value: str = "ALARM") -> Raw:
    """The alarm of that name, with what only its form has."""
    raw = events.alarm(value, name=f"ecs-{name}", at=iso(at), **_ALARMS[name])
    detail, state = raw["detail"], raw["detail"]["state"]
    configuration = detail.setdefault("configuration", {})
    match name:
        case "tasks":
            configuration |= {"description": "Too few tasks. Runbook: https://wiki.example.com/tasks"}
            configuration["metrics"][-1]["label"] = "missing tasks"
        case "band":
            configuration["metrics"][0]["metricStat"]["unit"] = "Count"
        case "parent":
            configuration |= {"alarmRule": "ALARM(ecs-child)"}
        case "muted":
            arn = events.arn("alarm-mute-rule:night", service="cloudwatch")
            detail["muteDetail"] = {"mutedByArn": arn, "muteWindowEnd": iso(at + HOUR)}
        case "suppressed":
            configuration |= {"actionsSuppressor": "deploying"}
            state |= {"actionsSuppressedBy": "Alarm", "actionsSuppressedReason": "Actions suppressed by Alarm"}
    return raw


RUNS: tuple[Callable[[], Run], ...] = (
    crashing,
    dying_sidecars,
    deploying,
    alarming,
    instances,
    health_events,
    silenced,
    polled,
    standalone,
    crowded,
    without_history,
    beating,
)
