"""A new version is deployed while an incident is open, tasks crash and retries are due; then the old one again."""

import re
import shutil
import tempfile
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from local_aws.deploy import OSLS, VISIBLE, function_logs
from local_aws.runtime import ROOT
from local_aws.stories import died
from tests.chaos.result import Result, dead_letters, misses_and_repeats, recover, told_of
from tests.chaos.stage import CHANNELS, Report, Stage, deployed

_OPEN = "open"  # its incident is open before the first deployment, and it goes on crashing
_VERSION = "0.1.0+chaos"
_CRASH_EVERY = 0.5  # seconds
_NEW_SERVICE_AFTER = 8  # crashes


def run(report: Report) -> Result:
    with deployed(report) as stage, tempfile.TemporaryDirectory(prefix="checkout-") as directory:
        _copy_of_checkout(Path(directory))
        stage.slack.answer_with(500, "internal_error", times=1000)
        stage.happen(died(_OPEN))
        others = [channel for channel in CHANNELS if channel != "slack"]
        stage.until("an incident opens", lambda: all(stage.told(channel, _OPEN).announced for channel in others))
        with _crashing(stage) as crashes:
            report("deploying a new version and configuration while tasks crash")
            stage.deploy_again(Path(directory), dedup_window="20m")
            stage.slack.answer_as_usual()
            stage.until("Slack works again, and its retries are due", lambda: stage.told("slack", _OPEN).announced)
            report("deploying the version before while tasks crash")
            stage.deploy_again(ROOT)
        crashes[_OPEN] += 1
        services = [*crashes]
        stage.until("every channel is told", lambda: stage.all_told(services))
        stage.until("nothing is left to do", stage.is_settled)
        broken = [*recover(stage, services), *misses_and_repeats(stage.told, services), *dead_letters(stage)]
        broken += _miscounted(stage, crashes)
        if f'"version":"{_VERSION}"' not in "".join(function_logs(stage.aws, stage.stack)):
            broken.append("the new version has not run")
        counts = f"2 deployments, {crashes.total()} crashes of {len(crashes)} services, {told_of(stage, services)}"
        return Result("deploy", counts, tuple(broken))


def _copy_of_checkout(directory: Path) -> None:
    """With another version of the code."""
    for name in (*VISIBLE, OSLS.parts[0]):
        if name != "router":
            (directory / name).symlink_to(ROOT / name)
    shutil.copytree(ROOT / "router", directory / "router", ignore=shutil.ignore_patterns("__pycache__"))
    version = directory / "router" / "version.py"
    version.write_text(re.sub('VERSION = ".*"', f'VERSION = "{_VERSION}"', version.read_text("utf-8")), "utf-8")


@contextmanager
def _crashing(stage: Stage) -> Iterator[Counter[str]]:
    """Tasks of the open service crash all the time, and every few seconds one of a new service. Counts them."""
    crashes: Counter[str] = Counter()
    over = threading.Event()

    def crash() -> None:
        while not over.wait(_CRASH_EVERY):
            number, position = divmod(crashes.total(), _NEW_SERVICE_AFTER)
            service = _OPEN if position else f"new-{number}"
            stage.happen(died(service))
            crashes[service] += 1

    thread = threading.Thread(target=crash)
    thread.start()
    try:
        yield crashes
    finally:
        over.set()
        thread.join()


def _miscounted(stage: Stage, crashes: Counter[str]) -> Iterator[str]:
    """The services of which history does not have every crash once, and the steady state."""
    for service, count in crashes.items():
        if (rows := len(stage.decisions(service)) - 1) != count:
            yield f"history has {rows} of {count} crashes of {service}"
