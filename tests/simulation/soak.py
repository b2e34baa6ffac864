"""Runs the simulation for a given time: `python -m tests.simulation.soak --seconds 600 --seed 1`.

Stops at the first seed that breaks a promise, shows everything that happened in its run, and exits with 1.
"""

import argparse
import sys
import time

from tests.simulation.verdict import judge, trace


def main() -> int:
    arguments = _parser().parse_args()
    ends = time.monotonic() + arguments.seconds
    runs = 0
    while runs < arguments.runs if arguments.runs else time.monotonic() < ends:
        verdict = judge(arguments.seed + runs)
        if verdict.broken:
            print(verdict)
            return 1
        if arguments.trace:
            print(verdict.run.plan, *trace(verdict.run), sep="\n")
        runs += 1
    print(f"{runs} seeds from {arguments.seed} on: every promise was kept")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation.soak", description="Simulates faults.")
    parser.add_argument("--seed", type=int, default=0, help="the first seed (default: 0)")
    parser.add_argument("--seconds", type=float, default=60.0, help="how long (default: 60)")
    parser.add_argument("--runs", type=int, default=0, help="how many seeds, instead of how long")
    parser.add_argument("--trace", action="store_true", help="show what happened even if all went well")
    return parser


if __name__ == "__main__":
    sys.exit(main())
