"""The lines of alert-router.toml that problems are about."""

import re
from collections.abc import Iterable

_HEADER = re.compile(r"\s*(\[\[?)\s*([^\[\]]+?)\s*\]\]?\s*(?:#.*)?")
_KEY = re.compile(r"""\s*("[^"]*"|'[^']*'|[A-Za-z0-9_-]+)\s*[.=]""")
_PLACE = re.compile(r"(?:[^\s:.\[\]]+|\[[0-9]+\]|\.)+(?=: )")


def with_lines(problems: Iterable[str], text: str) -> tuple[str, ...]:
    """The problems in the order of the file, each with the line of its place, if the file has it."""
    lines = _lines(text)
    placed = sorted(((_line(problem, lines), problem) for problem in problems), key=lambda pair: pair[0])
    return tuple(f"{problem} (line {line})" if line else problem for line, problem in placed)


def _line(problem: str, lines: dict[str, int]) -> int:
    """The line of the place, or of the smallest table around it; 0 if there is none."""
    match = _PLACE.match(problem)
    place = match[0] if match else ""
    while place and place not in lines:
        place = place.rpartition(".")[0]
    return lines.get(place, 0)


def _lines(text: str) -> dict[str, int]:
    """Place to line, as far as tables have headers and keys have lines of their own."""
    lines: dict[str, int] = {}
    counts: dict[str, int] = {}
    table = ""
    for number, line in enumerate(text.splitlines(), start=1):
        if header := _HEADER.fullmatch(line):
            table = re.sub(r"""\s*\.\s*|["']""", lambda match: "." if "." in match[0] else "", header[2])
            if header[1] == "[[":
                counts[table] = counts.get(table, 0) + 1
                lines.setdefault(table, number)
                table = f"{table}[{counts[table]}]"
            lines.setdefault(table, number)
        elif key := _KEY.match(line):
            name = key[1].strip("\"'")
            lines.setdefault(f"{table}.{name}".lstrip("."), number)
    return lines
