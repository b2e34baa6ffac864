"""CHANGELOG.md has the form of Keep a Changelog, and agrees with the version of the code."""

import re
from datetime import date
from pathlib import Path

import pytest

from release.notes import notes
from router.version import VERSION
from tests.golden.freeze import GOLDEN, READER

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "CHANGELOG.md").read_text("utf-8")
SECTIONS = re.findall(r"^## (.+)$", TEXT, re.MULTILINE)
_RELEASE = re.compile(r"(\d+\.\d+\.\d+) – (\d{4}-\d\d-\d\d)")
RELEASES = [match.groups() for title in SECTIONS if (match := _RELEASE.fullmatch(title))]


def test_the_sections_are_versions_with_dates_the_newest_first() -> None:
    assert SECTIONS[0] == "Unreleased" or len(RELEASES) == len(SECTIONS)
    assert len(RELEASES) >= len(SECTIONS) - 1
    dates = [date.fromisoformat(on) for _, on in RELEASES]
    assert dates == sorted(dates, reverse=True)


def test_the_subsections_are_those_of_keep_a_changelog() -> None:
    titles = set(re.findall(r"^### (.+)$", TEXT, re.MULTILINE))
    assert titles <= {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}


def test_the_version_of_the_code_has_a_section_unless_it_is_still_unreleased() -> None:
    assert SECTIONS[0] == "Unreleased" or RELEASES[0][0] == VERSION


def test_each_release_has_frozen_items() -> None:
    """`python -m tests.golden.freeze` writes them: see CONTRIBUTING.md."""
    assert [version for version, _ in RELEASES if not (GOLDEN / version / READER).exists()] == []


def test_the_notes_of_a_release_are_its_section_with_links_to_the_files_of_its_tag() -> None:
    section = "## 0.2.0 – 2027-01-31\n\nSee [docs](docs/deploy.md), [web](https://a.example).\n"
    text = f"# Changelog\n\n{section}\n## 0.1.0 – 2026-11-30\n"
    url = "https://github.com/o/r/blob/v0.2.0"
    assert notes(text, "0.2.0", url) == f"See [docs]({url}/docs/deploy.md), [web](https://a.example).\n"
    with pytest.raises(ValueError, match=r"no section for 0\.3\.0"):
        notes(text, "0.3.0", url)
