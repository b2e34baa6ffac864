"""Phrases, in both languages."""

from string import Formatter

import pytest

from router.causes import CAUSES
from router.config.tables import LANGUAGES
from router.messages.phrases import PHRASES, phrase
from router.model import Kind, Severity


def placeholders(text: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(text) if name is not None}


@pytest.mark.parametrize("key", PHRASES)
def test_every_phrase_exists_in_every_language_with_the_same_placeholders(key: str) -> None:
    texts = PHRASES[key]
    assert set(texts) == set(LANGUAGES)
    assert all(text.strip() for text in texts.values())
    assert len({frozenset(placeholders(text)) for text in texts.values()}) == 1


@pytest.mark.parametrize("key", PHRASES)
def test_japanese_phrases_are_japanese(key: str) -> None:
    """Except phrases without words: `{cause}: {subject}` is the same in both."""
    words = "".join(literal for literal, _, _, _ in Formatter().parse(PHRASES[key]["en"]))
    assert PHRASES[key]["ja"] != PHRASES[key]["en"] or not any(map(str.isalpha, words))


@pytest.mark.parametrize("cause", CAUSES)
def test_every_cause_has_a_name_in_every_language(cause: str) -> None:
    words = CAUSES[cause]
    assert set(words._fields) == set(LANGUAGES)
    assert all(text.strip() for text in words)
    assert words.en.isascii()
    assert not words.ja.isascii()


@pytest.mark.parametrize("family", [("title", Kind), ("severity", Severity)])
def test_every_kind_and_every_severity_has_its_phrase(family: tuple[str, type[Kind | Severity]]) -> None:
    prefix, words = family
    assert {f"{prefix}_{word}" for word in words} <= set(PHRASES)


def test_inserted_text_is_not_read_as_a_placeholder() -> None:
    """Names come from outside and can contain braces."""
    filled = phrase("container_with_code", "en", container="{code} {0.__class__}", code=2)
    assert filled == "Container {code} {0.__class__} exited with code 2."


def test_a_missing_phrase_is_an_error_unless_there_is_a_default() -> None:
    assert phrase("exit_42", "en", default="") == ""
    with pytest.raises(KeyError):
        phrase("exit_42", "en")
