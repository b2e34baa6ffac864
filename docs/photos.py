"""Takes the pictures of the report with a real browser, for an invented month: `make docs-images`."""

import random
import sys
import tempfile
from collections.abc import Iterator
from datetime import UTC
from functools import partial
from pathlib import Path
from typing import Any, Literal
from zoneinfo import ZoneInfo

from playwright.sync_api import Browser, ViewportSize

from docs.pictures import IMAGES
from local_aws import events
from local_aws.stories import NO_IMAGE, OOM, SCALE_IN
from router.cli.history.figures import add_alerts, add_incidents, figures
from router.cli.history.report import page
from router.errors import PermanentError, TransientError
from router.history.items import iso
from router.history.store import AlertQuery
from tests.doubles.browser import DESK, PHONE, PROGRAM, browser, look_at
from tests.doubles.world import DAY, HOUR, MINUTE, World

NOW = 1_795_350_000.0
DAYS = 28
SERVICES = {"checkout": 9, "api": 5, "search": 3, "web": 2, "billing": 1}  # how loud they are
TROUBLE: list[dict[str, Any]] = [
    {},
    {"containers": (events.container("app", 137, OOM),)},
    {"stop_code": "TaskFailedToStart", "reason": NO_IMAGE, "containers": (events.container("app", reason=NO_IMAGE),)},
    {"stop_code": "SpotInterruption", "reason": "Your Spot Task was interrupted."},
    {"stop_code": "ServiceSchedulerInitiated", "reason": "Task failed ELB health checks in (target-group app)"},
]


def a_month(chance: random.Random) -> Iterator[tuple[float, events.Raw]]:
    """The events of the month, in any order, with their times."""
    for day in range(DAYS):
        begins = NOW - (DAYS - day) * DAY
        for service, loud in SERVICES.items():
            for _ in range(3):
                yield _stopped(chance, service, begins + chance.random() * DAY, "ServiceSchedulerInitiated", SCALE_IN)
            if chance.random() < loud / 12:
                at, crashes, fields = (
                    begins + chance.random() * 20 * HOUR,
                    chance.randint(1, 3 * loud),
                    chance.choice(TROUBLE),
                )
                for number in range(crashes):
                    yield _stopped(chance, service, at + number * 90, **fields)
                ends = at + crashes * 90 + chance.random() ** 3 * 5 * HOUR
                yield ends, events.service_action(service=service, createdAt=iso(ends))
    for number in range(6):
        yield _stopped(chance, "payments", NOW - (30 - number) * MINUTE, **TROUBLE[1])


def _stopped(
    chance: random.Random,
    service: str,
    at: float,
    stop_code: str = "EssentialContainerExited",
    reason: str = "",
    **fields: Any,
) -> tuple[float, events.Raw]:
    task = f"{chance.getrandbits(128):032x}"
    detail = {"task": task, "service": service, "family": service, "stoppedAt": iso(at), **fields}
    return at, events.task_stopped(stop_code, reason or None, **detail)


def lived_through() -> World:
    """The router after that month, in which Slack sometimes limited its rate and the pager sometimes refused."""
    chance, world = random.Random(11), World()  # noqa: S311 - the same month each time
    world.now = NOW - DAYS * DAY
    for at, raw in sorted(a_month(chance), key=lambda timed: timed[0]):
        if at >= NOW:
            continue
        world.wait(max(at + 1 - world.now, 0.0), step=20 * MINUTE)
        world.now += 0.01  # two messages to one channel never share a millisecond
        slow, refused = chance.random() < 0.1, chance.random() < 0.05  # noqa: PLR2004
        world.slack.failure = partial(_now_and_then, TransientError("rate limited", retry_after=30), slow)
        world.pager.failure = partial(_now_and_then, PermanentError("no such service"), refused)
        world.receive(raw)
    return world


def _now_and_then(error: Exception, fails: bool) -> Exception | None:  # noqa: FBT001 - a `partial`'s argument
    return error if fails else None


def draw(world: World, language: str, zone: Any) -> str:
    """The report of that month."""
    report = figures(NOW - DAYS * DAY, NOW, zone)
    alerts = world.history.each_alert(AlertQuery(report.since, report.until, None), NOW)
    add_incidents(report, world.history, add_alerts(report, alerts, lambda _: None), NOW)
    return page(report, language, "ecs-alert-router-prod-HistoryTable", NOW)


def take(opened: Browser, text: str, name: str, size: ViewportSize, colours: Literal["light", "dark"]) -> None:
    with tempfile.TemporaryDirectory() as directory:
        file = Path(directory, "report.html")
        file.write_text(text, "utf-8")
        shown, _ = look_at(opened, file, size, colours)
        shown.screenshot(path=IMAGES / name)


def main() -> None:
    if PROGRAM is None:
        sys.exit("the pictures of the report need a browser: apt-get install chromium")
    world = lived_through()
    with browser() as opened:
        take(opened, draw(world, "en", UTC), "report-desk.png", ViewportSize({**DESK, "height": 1150}), "light")
        take(opened, draw(world, "ja", ZoneInfo("Asia/Tokyo")), "report-phone.png", PHONE, "dark")


if __name__ == "__main__":
    main()
