"""Text as bad as it can be, and what must not be left of it: for the tests of every step that text goes through."""

import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import Any

from hypothesis import strategies as st

# Of every kind that must not reach a plugin, and what may look like one of them.
_NASTY = (
    "\x00\x07\x0b\x1b[31m\x7f\x85\x9b\r\r\n\t\n\u2028\u2029\ud800\udfff\ufffe\U0010ffff\u00ad\u034f\u061c\u115f\u180e"
    "\u200b\u200c\u200d\u200e\u200f\u202a\u202e\u2060\u2066\u2069\u206f\u3164\ufe0f\ufe0e\ufeff\ufff9\U000e0001"
    "\U000e0041\U000e0100👩💻❤خमx \u3000"
)
ANY_TEXT = st.lists(st.text(st.characters(exclude_categories=())) | st.text(st.sampled_from(_NASTY)), max_size=4).map(
    "".join
)
"""All of Unicode, halves of surrogate pairs included."""

# Format characters that are visible, such as the Arabic number sign, and the two that join visible characters.
_VISIBLE_FORMAT = {*map(chr, [*range(0x600, 0x606), 0x6DD, 0x70F, 0x890, 0x891, 0x8E2, 0x110BD, 0x110CD])}
_JOINERS = {"\u200c", "\u200d"}


def hidden_characters(text: str) -> set[str]:
    """The characters that must not reach a plugin, by their categories in Unicode."""
    return {character for character in {*text} - {"\n", "\t"} if _is_hidden(character)}


def _is_hidden(character: str) -> bool:
    category = unicodedata.category(character)
    if category == "Cf":
        return character not in _VISIBLE_FORMAT | _JOINERS
    is_noncharacter = ord(character) & 0xFFFE == 0xFFFE or 0xFDD0 <= ord(character) <= 0xFDEF
    return category in {"Cc", "Cs", "Zl", "Zp"} or is_noncharacter


def texts(value: Any) -> Iterator[str]:
    """Every text in a value made of dataclasses, tuples, lists and mappings."""
    if isinstance(value, str):
        yield value
    elif is_dataclass(value):
        for field in fields(value):
            yield from texts(getattr(value, field.name))
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from texts(key)
            yield from texts(item)
    elif isinstance(value, tuple | list):
        for item in value:
            yield from texts(item)
