"""`make chaos`: the deployed stack under real faults, counted at the channels' doubles."""

import argparse
import sys
import time
import traceback
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor

from rich.console import Console

from tests.chaos import hot_service, kill, new_version, outage
from tests.chaos.result import Result
from tests.chaos.stage import Report

SCENARIOS: Mapping[str, Callable[[Report], Result]] = {
    "kill": kill.run,
    "hang": outage.hang,
    "refuse": outage.refuse,
    "lost": outage.lost,
    "hot": hot_service.run,
    "deploy": new_version.run,
}
_AT_ONCE = 3
"""Scenarios, each with its own local AWS: most of the time they wait."""
_progress = Console(stderr=True, highlight=False)


def main() -> None:
    """Runs the scenarios that are named, or all. Exit code 1 if a promise did not hold."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.chaos", description=__doc__)
    parser.add_argument("scenarios", nargs="*", metavar="SCENARIO", help=f"of {', '.join(SCENARIOS)}; all if none")
    names = parser.parse_args().scenarios or [*SCENARIOS]
    if unknown := {*names} - {*SCENARIOS}:
        parser.error(f"there is no scenario {', '.join(sorted(unknown))}")
    with ProcessPoolExecutor(_AT_ONCE) as pool:  # processes, as the command line under test changes the environment
        results = [*pool.map(_run, names)]
    sys.exit(any(result.broken for result in results))


def _run(name: str) -> Result:
    began, doing = time.monotonic(), ""

    def report(what: str) -> None:
        nonlocal doing
        doing = what
        _progress.print(f"{time.monotonic() - began:6.1f} s  {name}: {what}", soft_wrap=True)

    try:
        result = SCENARIOS[name](report)
    except Exception:  # noqa: BLE001 - the other scenarios run all the same
        traceback.print_exc()
        result = Result(name, "given up", (f"while {doing}",))
    print(f"{result.line} ({time.monotonic() - began:.0f} s)", flush=True)
    return result


if __name__ == "__main__":
    main()
