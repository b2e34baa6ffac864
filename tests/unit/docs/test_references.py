"""Every reference to a heading, a file or a promise resolves."""

import re
from pathlib import Path

import pytest

from docs.pages import anchor
from tests.simulation.promises import PROMISES
from tests.simulation.rare_promises import RARE_PROMISES

ROOT = Path(__file__).parents[3]
PAGES = {
    path.relative_to(ROOT).as_posix(): path.read_text("utf-8") for path in (*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"))
}
FOLDERS = "benchmarks|deploy|docs|examples|layer|local_aws|plugins|router|router_conformance|sidecar|tests"
TO_BE_WRITTEN = {"plugins/mattermost.py", "layer/plugins.in", "layer/plugins.txt"}
"""Files that a page asks its reader to create."""


def prose(page: str) -> str:
    """The page without code blocks, in which `#` starts a comment."""
    return re.sub(r"^```.*?^```$", "", PAGES[page], flags=re.DOTALL | re.MULTILINE)


def headings(page: str) -> list[str]:
    return re.findall(r"^#+ (.+)$", prose(page), re.MULTILINE)


def anchors(page: str) -> set[str]:
    """Those of the headings, and those that the page sets itself."""
    return {anchor(heading) for heading in headings(page)} | {*re.findall(r'<a id="([\w-]+)">', prose(page))}


def texts() -> dict[str, str]:
    """The files that can refer to a page in a comment or docstring."""
    inside = [path for folder in FOLDERS.split("|") for path in (ROOT / folder).rglob("*")]
    suffixes = {".py", ".yml", ".toml", ".js", ".md"}
    files = [path for path in (*ROOT.iterdir(), *inside) if path.suffix in suffixes and path.is_file()]
    files += [ROOT / "Makefile", ROOT / ".env.example"]
    return {path.relative_to(ROOT).as_posix(): path.read_text("utf-8") for path in files}


@pytest.mark.parametrize("page", PAGES)
def test_every_link_resolves_to_a_file_and_a_heading(page: str) -> None:
    for target, fragment in re.findall(r"\]\((?!https?:)([^)#\s]*)#?([^)\s]*)\)", prose(page)):
        file = ((ROOT / page).parent / target).resolve() if target else ROOT / page
        assert file.exists(), target
        name = file.relative_to(ROOT).as_posix()
        if fragment:
            assert fragment in anchors(name), f"{name}#{fragment}"


@pytest.mark.parametrize("page", PAGES)
def test_a_file_that_a_page_names_exists(page: str) -> None:
    named = re.findall(rf"`((?:{FOLDERS})/[\w./-]+)`", prose(page))
    assert [name for name in named if name not in TO_BE_WRITTEN and not (ROOT / name).exists()] == []


def test_every_reference_to_a_page_and_a_heading_resolves() -> None:
    """In comments and docstrings: `docs/history.md`, or README, "Notification kinds"."""
    quoted = re.compile(r'\b(README|CONTRIBUTING|docs/[a-z-]+)(?:\.md)?[`)]*, "([^"\n]+)"')
    wrong = []
    for name, text in texts().items():
        pages = {f"docs/{page}" for page in re.findall(r"\bdocs/([a-z-]+\.md)\b", text)}
        wrong += [f"{name}: {page}" for page in pages - PAGES.keys()]
        named = [(f"{page}.md", heading) for page, heading in quoted.findall(text)]
        wrong += [f"{name}: {page}, {heading!r}" for page, heading in named if heading not in headings(page)]
    assert wrong == []


def test_every_test_and_invariant_that_reliability_names_exists() -> None:
    page = PAGES["docs/reliability.md"]
    files = {path.name for path in ROOT.glob("tests/**/test_*.py")}
    assert {*re.findall(r"`(test_\w+\.py)`", page)} <= files
    lists = re.findall(r"simulation: ((?:`\w+`(?:, )?)+)", page)
    invariants = {name for names in lists for name in re.findall(r"\w+", names)}
    assert invariants
    assert invariants <= {promise.__name__ for promise in (*PROMISES, *RARE_PROMISES)}
