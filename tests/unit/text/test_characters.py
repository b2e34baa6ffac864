"""router.text.characters: what is invisible and hides or reorders text is removed; what is visible stays."""

import re
import unicodedata

import pytest
from hypothesis import given

from router.text.characters import clean, link, single_line
from tests.doubles.text import ANY_TEXT, hidden_characters


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a\x00b\x1b[31mc\x7fd\x9fe", "ab[31mcde"),
        ("web\u202egpj.exe\u202c \u2066x\u2069\u200e\u200f\u061c", "webgpj.exe x"),
        ("z\u200be\ufeffr\u2060o\u00ad\u180e\u3164", "zero"),
        ("a\U000e0041\U000e007fb\U000e01f0", "ab"),
        ("a\ud800b\udfffc\ufffed\uffffe\ufdd0\U0010ffff", "abcde"),
        ("\tat com.example.Main\n  more", "\tat com.example.Main\n  more"),
        ("a\r\nb\rc\x0bd\x0ce\x85f\u2028g\u2029h", "a\nb\nc\nd\ne\nf\ng\nh"),
    ],
)
def test_hidden_characters_are_removed_and_line_breaks_become_newlines(text: str, expected: str) -> None:
    assert clean(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "👩\u200d💻 🧑🏽\u200d🤝\u200d🧑🏻 🏳\ufe0f\u200d🌈 🙂\u200d↔\ufe0f 🐻\u200d❄\ufe0f ❤\ufe0f 1\ufe0f\u20e3",
        "\u0645\u06cc\u200c\u062e\u0648",
        "क\u094d\u200dष",
        "葛\U000e0100城",
        "メモリ不足\u3000のため",
        "שלום",
        "é e\u0301 \u00a0 … — \ue0b0",
    ],
)
def test_visible_text_stays_with_what_joins_and_selects_its_glyphs(text: str) -> None:
    assert clean(text) == text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("w\u200deb", "web"),
        ("メモ\u200dリ", "メモリ"),
        ("👩\u200d\u200d💻", "👩💻"),
        ("👩\u200d", "👩"),
        ("a\ufe0f\ufe01\U000e0100\U000e01efb", "a\ufe0fb"),
        (" \ufe0f\u200d💻", " 💻"),
        ("\u061c\u200dغ", "غ"),
    ],
)
def test_joiners_and_selectors_without_a_use_are_removed(text: str, expected: str) -> None:
    assert clean(text) == expected


def test_every_character_is_either_visible_or_removed() -> None:
    """By the categories of Unicode, which the module does not ask."""
    characters = [character for character in map(chr, range(0x110000)) if len(f"a{character}b".splitlines()) == 1]
    cleaned = clean("\n".join(f"a{character}b" for character in characters))
    assert not hidden_characters(cleaned)
    for character, line in zip(characters, cleaned.split("\n"), strict=True):
        if line == "ab" and unicodedata.category(character)[0] in "LNPS":
            assert character in "\u115f\u1160\u3164\uffa0", ascii(character)  # the fillers, letters without a glyph


@given(ANY_TEXT)
def test_clean_text_is_utf_8_and_stays_as_it_is(text: str) -> None:
    assert not hidden_characters(clean(text))
    assert clean(clean(text)) == clean(text)
    clean(text).encode()


@given(ANY_TEXT)
def test_a_single_line_has_no_breaks_and_no_spaces_around_it(text: str) -> None:
    line = single_line(text)
    assert len(line.splitlines()) <= 1
    assert line == line.strip() == single_line(line)


# --- links ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://a.example/?b=1&c=~d_*(e)#f", "https://a.example/?b=1&c=~d_*(e)#f"),
        ("https://a.example:8443", "https://a.example:8443"),
        ("https://a.example/%E8%AA%9E$252F", "https://a.example/%E8%AA%9E$252F"),
        ('https://a.example/語 <x>|"`\\', "https://a.example/%E8%AA%9E%20%3Cx%3E%7C%22%60%5C"),
        ("https://a.example/@everyone", "https://a.example/%40everyone"),
        ("https://a.example/{{DATE()}}", "https://a.example/%7B%7BDATE()%7D%7D"),
        ("\u202ehttps://a.example/\x00", "https://a.example/"),
    ],
)
def test_a_link_is_ascii_that_needs_no_escaping(url: str, expected: str) -> None:
    assert link(url) == expected == link(expected)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "javascript:alert(1)",
        "http://plain.example/",
        "https://",
        "https:///x",
        "https://a b/",
        "https://a.example/\nx",
        "https://good.example@evil.example/",
        "https://good.example\\@evil.example/",
    ],
)
def test_what_is_not_an_https_url_of_a_plain_host_is_no_link(url: str) -> None:
    assert link(url) == ""


@given(ANY_TEXT)
def test_whatever_comes_in_no_link_can_end_its_markup(text: str) -> None:
    url = link(f"https://a.example/{text}")
    assert re.fullmatch(r"(https://a\.example/[!#$%&(-;=?A-Z_a-z~]*)?", url)
