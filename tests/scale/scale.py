"""`make scale`: a hundred thousand alerts on the local AWS, what each question costs, and how hot the keys get."""

import sys
from collections.abc import Mapping

from rich.console import Console
from rich.progress import track

from local_aws.server import running
from router.history.table import INDEXES
from tests.doubles.dynamodb import create_history_table
from tests.scale.hot_keys import PER_KEY, WRITES, hottest, storm
from tests.scale.questions import OF_A_DAY, Cost, cost_of, export_of
from tests.scale.seeding import A_DAY, Seeded, newest_day, older_day

SIZES = (1, 10, 100)  # days of history
_progress = Console(stderr=True)


def main() -> None:
    """Prints two tables for docs/history.md. Exit code 1 if a question reads more because there is more history."""
    costs = _costs()
    print(f"| question | items | {' | '.join(f'{size * A_DAY:,} alerts' for size in SIZES)} |")
    print(f"|---|---|{'---|' * len(SIZES)}")
    for question, found in costs.items():
        entries = " | ".join(f"{cost.units:g} units, {cost.seconds:.2f} s" for _, cost in found)
        answers = dict.fromkeys(f"{answer:,}" for answer, _ in found)
        print(f"| {question} | {', '.join(answers)} | {entries} |")
    print()
    _print_keys("spread over 500 services, 4 clusters, the usual severities", storm_of={})
    _print_keys("all of one cluster", storm_of={"clusters": 1})
    sys.exit(any(found[0][1].units < found[-1][1].units for name, found in costs.items() if "whole" not in name))


def _costs() -> dict[str, list[tuple[int, Cost]]]:
    """Of each question, at each size."""
    costs: dict[str, list[tuple[int, Cost]]] = {}
    with running() as aws:
        client = aws.client("dynamodb")
        create_history_table(client, "history")
        seeded = newest_day(client, "history")
        for day in track(range(1, max(SIZES) + 1), "days of history", console=_progress):
            if day in SIZES:
                for name, found in _ask(seeded).items():
                    costs.setdefault(name, []).append(found)
            if day < max(SIZES):
                older_day(client, "history", day)
        whole = [cost_of(export_of(days), seeded) for days in SIZES]
    del costs["`export`"]
    return costs | {"`export`, whole history (each size its own)": whole}


def _ask(seeded: Seeded) -> dict[str, tuple[int, Cost]]:
    return {name: cost_of(question, seeded) for name, question in OF_A_DAY.items()}


def _print_keys(what: str, storm_of: Mapping[str, int]) -> None:
    found = hottest(storm(**storm_of))
    print(f"{WRITES:,} alerts in one second, {what}:\n")
    print("| | hottest key | its share | its writes in that second |\n|---|---|---|---|")
    for name in ("table", *INDEXES):
        if name in found:
            key, writes, total = found[name]
            over = f" (over {PER_KEY:,})" if writes > PER_KEY else ""
            print(f"| `{name}` | `{key}` | {writes / total:.2%} | {writes:,}{over} |")
    print()


if __name__ == "__main__":
    main()
