"""README.ja.md says in Japanese what README.md says.

Each section has a mark, which is a hash of the English section. If a test says that a section has changed: translate
the change, then set the mark to the hash that the test shows.
"""

import hashlib
import re
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import pytest

from docs.pages import anchor

ROOT = Path(__file__).parents[3]
_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_HEADING = re.compile(r"^(?=#+ )", re.MULTILINE)
_ABOVE_A_HEADING = re.compile(r'^(?:<a id="([\w-]+)"></a>\n)?<!-- README\.md: (\w+) -->\n', re.MULTILINE)


class Section(NamedTuple):
    """A heading with what stands below it, up to the next heading."""

    level: int
    title: str
    text: str

    @property
    def blocks(self) -> list[str]:
        """The code; comments of a shell may be translated."""
        found = _BLOCK.findall(self.text)
        return [re.sub(r" +# .*$", "", code, flags=re.MULTILINE) if kind == "sh" else code for kind, code in found]

    @property
    def prose(self) -> str:
        return _BLOCK.sub("", self.text)

    @property
    def code(self) -> Counter[str]:
        return Counter(re.findall(r"`([^`\n]+)`", self.prose))

    @property
    def links(self) -> Counter[str]:
        return Counter(target for target in re.findall(r"\]\(([^)]+)\)", self.prose) if not target.startswith("README"))

    @property
    def rows(self) -> list[tuple[list[str], list[str], int]]:
        """Of each row of a table: its code, its links, and how many cells it has."""
        rows = re.findall(r"^\|.+\|$", self.prose, re.MULTILINE)
        return [(re.findall(r"`([^`]+)`", row), re.findall(r"\]\(([^)]+)\)", row), row.count("|")) for row in rows]

    @property
    def hash(self) -> str:
        return hashlib.sha256(" ".join(self.text.split()).encode()).hexdigest()[:8]


def sections(text: str) -> list[Section]:
    """Headings are not looked for in code, in which `#` starts a comment."""
    hidden = _BLOCK.sub(lambda block: block[0].replace("#", "\0"), text)
    parts = [part.replace("\0", "#") for part in _HEADING.split(hidden) if part.startswith("#")]
    return [Section(*_title(part)) for part in parts]


def _title(part: str) -> tuple[int, str, str]:
    marks, _, rest = part.partition(" ")
    title, _, text = rest.partition("\n")
    return len(marks), title, text


ENGLISH_TEXT, JAPANESE_TEXT = ((ROOT / name).read_text("utf-8") for name in ("README.md", "README.ja.md"))
ENGLISH = sections(ENGLISH_TEXT)
JAPANESE = sections(_ABOVE_A_HEADING.sub("", JAPANESE_TEXT))
MARKS = _ABOVE_A_HEADING.findall(JAPANESE_TEXT)
each_section = pytest.mark.parametrize("number", range(len(ENGLISH)), ids=[section.title for section in ENGLISH])


def test_it_has_the_same_headings_with_the_same_anchors() -> None:
    assert [section.level for section in JAPANESE] == [section.level for section in ENGLISH]
    assert [id_ for id_, _ in MARKS[1:]] == [anchor(section.title) for section in ENGLISH[1:]]


@each_section
def test_a_section_was_translated_after_it_changed(number: int) -> None:
    section, mark = ENGLISH[number], MARKS[number][1]
    assert mark == section.hash, f"README.md, {section.title!r}: translate the change, then set the mark {section.hash}"


@each_section
def test_a_section_has_the_same_commands_code_links_and_tables(number: int) -> None:
    japanese, english = JAPANESE[number], ENGLISH[number]
    assert japanese.blocks == english.blocks
    assert japanese.code == english.code
    assert japanese.links == english.links
    assert japanese.rows == english.rows


def test_each_readme_links_to_the_other() -> None:
    assert "\n[日本語](README.ja.md)\n" in ENGLISH_TEXT
    assert "\n[English](README.md)\n" in JAPANESE_TEXT
