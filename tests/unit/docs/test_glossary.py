"""docs/glossary.md: public names use its terms, and none of the words that they replaced."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from router.cli import main

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs/glossary.md").read_text("utf-8")
ORDINARY = Path(__file__).with_name("ordinary_words.txt").read_text("utf-8").splitlines()
PACKAGES = ("router", "plugins", "router_conformance")
KEPT = {
    "GATHERED",  # a stored decision
    "HELD_BACK",  # a stored decision
    "gathered",  # `simulate --kind gathered` shows a bundle
    "reaches_stack",  # "reach" as in "reach AWS"
    "wanted_revision",  # the glossary's own term
}
"""Names that keep a replaced word, with the reason."""


def split(name: str) -> list[str]:
    """The words of an identifier, in lower case: `HTTPClient` and `http_client` are `http`, `client`."""
    return [word.lower() for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", name)]


def stems(word: str) -> set[str]:
    """The word, and the words that it may be an inflection of: `retry` for `retries`, `send` for `sending`."""
    found = {word}
    for ending, replacements in (
        ("ies", ("y",)),
        ("ied", ("y",)),
        ("s", ("",)),
        ("es", ("", "e")),
        ("ed", ("", "e")),
        ("ing", ("", "e")),
    ):
        if word.endswith(ending) and len(word) > len(ending) + 2:
            found |= {word.removesuffix(ending) + replacement for replacement in replacements}
    return found | {stem[:-1] for stem in found if len(stem) > 3 and stem[-1] == stem[-2]}  # `dropped`, `drop`


ROWS = [line.split("|")[1:4] for line in PAGE.splitlines() if line.startswith("| **")]
TERMS = [term for row in ROWS for term in re.findall(r"\*\*(.+?)\*\*", row[0])]
RETIRED = {word for row in ROWS for word in re.findall(r"`([a-z]+)`", row[2])}
KNOWN = {stem for term in TERMS for word in split(term) for stem in stems(word)} | {*ORDINARY}


def is_retired(name: str) -> bool:
    return name not in KEPT and any(stems(word) & RETIRED for word in split(name))


def unknown(name: str) -> list[str]:
    return [word for word in split(name) if len(word) > 1 and not stems(word) & (KNOWN | RETIRED)]


def public_names(source: str, stem: str) -> Iterator[str]:
    """A module's name, its public functions, classes and constants, and the public attributes of its classes."""
    yield stem
    pending: list[ast.stmt] = list(ast.parse(source).body)
    for node in pending:
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            names = [node.name]
        elif isinstance(node, ast.Assign):
            names = [target.id for target in node.targets if isinstance(target, ast.Name)]
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            names = [node.target.id]
        else:
            continue
        public = [name for name in names if not name.startswith(("_", "test_"))]  # a test's name is a sentence
        yield from public
        if public and isinstance(node, ast.ClassDef):
            pending += node.body


def command_names(command: click.Command, name: str) -> Iterator[str]:
    """The command's name, its options, and those of its subcommands."""
    yield name
    for parameter in command.params:
        yield from (option.strip("-") for option in (*parameter.opts, *parameter.secondary_opts))
    if isinstance(command, click.Group):
        for key, subcommand in command.commands.items():
            yield from command_names(subcommand, key)


MODULES = {path.relative_to(ROOT).as_posix(): path for package in PACKAGES for path in ROOT.glob(f"{package}/**/*.py")}
PLACES = {
    **{place: [*public_names(path.read_text("utf-8"), path.stem)] for place, path in MODULES.items()},
    "the command line": [*command_names(main, "ecs-alert-router")],
    "alert-router.toml": re.findall(
        r"^(?:# )?\[*([a-z_.]+)(?:\]|\s+=)", (ROOT / "alert-router.toml").read_text("utf-8"), re.MULTILINE
    ),
}


@pytest.mark.parametrize("place", PLACES)
def test_public_names_use_the_terms_of_the_glossary(place: str) -> None:
    """If not: use a term of docs/glossary.md, add one, or add an ordinary word to ordinary_words.txt."""
    assert {name: words for name in PLACES[place] if (words := unknown(name))} == {}


@pytest.mark.parametrize("place", PLACES)
def test_no_public_name_uses_a_replaced_word(place: str) -> None:
    assert [name for name in PLACES[place] if is_retired(name)] == []


@pytest.mark.parametrize("name", ["Standing", "standings", "OutboxCell", "RUNG", "sayings", "recalled", "wake_all"])
def test_a_replaced_word_is_detected(name: str) -> None:
    assert is_retired(name)


@pytest.mark.parametrize("name", ["Gizmo", "frobnicate_alert", "alert_frobnicated"])
def test_an_undefined_word_is_detected(name: str) -> None:
    assert unknown(name)


def test_each_term_is_defined_once_in_one_sentence() -> None:
    meanings = {row[0]: row[1].strip() for row in ROWS}
    assert [row for row, meaning in meanings.items() if not meaning.endswith(".")] == []
    headings = [row[0] for row in ROWS]
    assert sorted(headings) == sorted(set(headings))


def test_the_ordinary_words_are_sorted_and_none_is_a_replaced_or_defined_one() -> None:
    assert sorted(set(ORDINARY)) == ORDINARY
    assert {*ORDINARY} & RETIRED == set()
    assert {*ORDINARY} & {term.lower() for term in TERMS} == set()
