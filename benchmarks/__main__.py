"""`python -m benchmarks`, or `make bench`: compares the router with other ways to send ECS alerts, on this machine.

It prints a table and writes .build/benchmark/result.json. With --docs it writes the table into docs/performance.md. The
exit code is 1 if a variant did not do its work, and never because of a figure, because machines differ.
"""

import argparse
import json
import os
import platform
import re
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks import rows
from benchmarks.report import lines, money, package_sizes
from benchmarks.rows import Bench, Samples
from benchmarks.servers import running
from benchmarks.variants import ROOT, WORK, prepare, variants

ROWS = {
    "cold": rows.cold,
    "small": rows.small,
    "warm": rows.warm,
    "realistic": rows.realistic,
    "storm": rows.storm,
    "calls": rows.calls,
    "memory": rows.memory,
    "growth": rows.growth,
}
_PAGE = ROOT / "docs" / "performance.md"
_TABLE = re.compile(r"(<!-- table -->\n).*?(<!-- end of table -->)", re.DOTALL)


def measure(names: list[str], rounds: int, console: Console) -> dict[str, Samples]:
    measured = {}
    with tempfile.TemporaryDirectory() as directory, running(Path(directory)) as servers:
        bench = Bench(servers, variants(servers), rounds)
        for name in names:
            with console.status(f"{name}: {(ROWS[name].__doc__ or '').splitlines()[0]}"):
                measured[name] = ROWS[name](bench)
            console.print(f"{name}: measured")
    return measured


def machine() -> str:
    info = Path("/proc/cpuinfo")
    models = re.findall(r"model name\s*: (.*)", info.read_text()) if info.is_file() else []
    model = models[0] if models else platform.processor() or platform.machine()
    return f"{os.cpu_count()} × {model}, Python {platform.python_version()}, {datetime.now(UTC):%Y-%m-%d}"


def as_json(measured: dict[str, Samples], figures: list[Any]) -> str:
    result = {
        "machine": machine(),
        "samples": {name: samples.values for name, samples in measured.items()},
        "figures": [figure._asdict() for figure in figures],
    }
    return json.dumps(result, indent=2) + "\n"


def markdown(figures: list[Any]) -> str:
    entries = [("what", "measured", "least – most", "goal", "")]
    entries += [
        (f.what, f.shown, f.spread, f.goal, {True: "met", False: "**missed**", None: ""}[f.met]) for f in figures
    ]
    text = ["| " + " | ".join(row) + " |" for row in entries]
    return "\n".join([machine(), "", text[0], "|---|---|---|---|---|", *text[1:]]) + "\n"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=9, help="rounds of each short row; long rows have fewer")
    parser.add_argument("--only", help=f"rows to measure, separated by commas: {', '.join(ROWS)}")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    parser.add_argument("--docs", action="store_true", help="write the table into docs/performance.md")
    options = parser.parse_args()
    names = options.only.split(",") if options.only else list(ROWS)
    console = Console(stderr=True)
    prepare()
    try:
        measured = measure(names, options.rounds, console)
    except AssertionError as error:
        print(f"a variant did not do its work: {error}", file=sys.stderr)
        return 1
    figures = [*lines(measured), *package_sizes(), *money(measured)]
    text = as_json(measured, figures)
    (WORK / "result.json").write_text(text, "utf-8")
    if options.json:
        print(text)
    else:
        table = Table("what", "measured", "least – most", "goal", "")
        for figure in figures:
            met = {True: "met", False: "missed", None: ""}[figure.met]
            table.add_row(figure.what, figure.shown, figure.spread, figure.goal, met)
        Console().print(table)
    if options.docs:
        page = _PAGE.read_text("utf-8")
        _PAGE.write_text(_TABLE.sub(lambda found: found[1] + markdown(figures) + found[2], page), "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
