"""docs/architecture.md: its tables list every module of the core once."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs/architecture.md").read_text("utf-8")
MERGED = {"last_resort": "outage", "belated": "outage", "runtime": "context"}
"""Modules that the page already shows under the name of the module that they were merged into."""


def modules() -> set[str]:
    """The core's modules, named as on the page, without packages' `__init__` and the command line."""
    paths = [path.relative_to(ROOT / "router").with_suffix("") for path in (ROOT / "router").glob("**/*.py")]
    names = {path.as_posix() for path in paths if not path.stem.startswith("__") and path.parts[0] != "cli"}
    return {MERGED.get(name, name) for name in names}


def test_every_module_of_the_core_is_listed_once() -> None:
    section = PAGE.partition("\n## Modules\n")[2].partition("\n### Outside the function\n")[0]
    listed = re.findall(r"^\| `([a-z_/]+)` \|", section, re.MULTILINE)
    assert sorted(listed) == sorted(modules())


def test_a_crash_takes_ten_lines_and_every_function_that_they_name_is_in_its_file() -> None:
    section = PAGE.partition("\n## A crash, in ten lines\n")[2].partition("\n## ")[0]
    lines = re.findall(r"^\d+\. .*$", section, re.MULTILINE)
    assert len(lines) == 10
    named = re.findall(r"\]\(\.\./([\w/]+\.py)\): `(\w+)`", section)
    assert named
    for path, function in named:
        assert f"def {function}(" in (ROOT / path).read_text("utf-8"), function
