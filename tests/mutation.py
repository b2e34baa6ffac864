"""Runs mutmut on `router/incident`, and lists the mutants that no unit test notices: `make mutation`.

It goes on where it stopped: what was killed is tried again only if its function has changed, what survived is tried
again each time. It exits with 1 if a mutant survives that docs/mutation.md does not explain.
"""

import re
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs/mutation.md"
MUTMUT = Path(sys.executable).with_name("mutmut")
_CAUGHT = ("killed", "timeout")
_ROW = re.compile(r"\| `(?P<function>[\w.]+)` \| `(?P<line>.+)` \| `(?P<mutant>.*)` \| (?P<why>.+) \|")


class Change(NamedTuple):
    """A line of a function, such as `outbox.drop`, and what a mutant makes of it."""

    function: str
    line: str
    mutant: str


def explained(page: str) -> dict[Change, str]:
    """The mutants in the tables of the page, with the reason why no test can or should notice each."""
    rows = filter(None, map(_ROW.fullmatch, page.splitlines()))
    return {Change(row["function"], row["line"], row["mutant"]): row["why"] for row in rows}


def change_of(name: str, diff: str) -> Change:
    """The change of a mutant that mutmut calls `router.incident.outbox.x_drop__mutmut_3`."""
    module, _, function = name.removeprefix("router.incident.").partition("__mutmut_")[0].partition(".")
    path = re.sub("^x_?", "", function).strip("ǁ").replace("ǁ", ".")
    changed = dict.fromkeys("-+", "")
    for line in diff.splitlines():
        if line[:1] in changed and not line.startswith(("---", "+++")):
            changed[line[0]] += line[1:].strip()
    return Change(f"{module}.{path}", changed["-"], changed["+"])


def _ask(*arguments: str) -> str:
    return subprocess.run([MUTMUT, *arguments], cwd=ROOT, capture_output=True, text=True, check=True).stdout


def _results() -> Mapping[str, str]:
    """The status of each mutant by its name."""
    lines = (line.strip().rpartition(": ") for line in _ask("results", "--all", "true").splitlines())
    return {name: status for name, _, status in lines if "__mutmut_" in name}


def _run(*names: str) -> None:
    (ROOT / "mutants/mutmut-stats.json").unlink(missing_ok=True)  # else only new tests would reach a new function
    subprocess.run([MUTMUT, "run", *names], cwd=ROOT, check=True)


def main() -> int:
    survived = [name for name, status in _results().items() if status == "survived"]
    _run()
    if again := [name for name in survived if _results().get(name) == "survived"]:
        _run(*again)
    results = _results()
    known = explained(PAGE.read_text("utf-8"))
    survivors = {name: _ask("show", name) for name, status in results.items() if status not in _CAUGHT}
    news = {name: diff for name, diff in survivors.items() if change_of(name, diff) not in known}
    for diff in news.values():
        print(diff)
    caught = len(results) - len(survivors)
    print(", ".join(f"{count} {status}" for status, count in Counter(results.values()).most_common()))
    print(f"{caught} of {len(results)} mutants are noticed: {caught / len(results):.1%}.")
    print(f"docs/mutation.md explains {len(survivors) - len(news)} of the others; not these: {[*news] or 'none'}")
    return 1 if news else 0


if __name__ == "__main__":
    sys.exit(main())
