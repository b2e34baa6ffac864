r"""Removes from text from outside what is invisible and hides or reorders text, once, before a plugin gets it.

`router.ecs.normalise` does it for each text of an event, and `router.messages.hygiene` once more for each finished
notification, which also holds texts of the configuration, of operators, of plugins and of logs. So a channel only has
to escape the markup of its own format.

Removed:

- control characters (C0, DEL, C1), except newline and tab. Carriage returns and the other line breaks of
  `str.splitlines` become a newline;
- bidirectional marks, embeddings, overrides and isolates, which make text read differently from what it says;
- all other characters that Unicode calls default-ignorable (DerivedCoreProperties.txt), which have no width and no
  glyph: zero-width spaces, word joiners, soft hyphens, fillers, tags. A flag that is spelled with tags (England's)
  becomes a black flag;
- interlinear annotations and the layout controls of hieroglyphs;
- halves of surrogate pairs, which UTF-8 cannot encode, and noncharacters, which XML cannot hold.

Kept, because they change how a visible character looks and hide nothing:

- a zero-width joiner or non-joiner between two characters of a script or emoji that uses it: `👩‍💻`, `می‌خواهم`;
- one variation selector after a visible character: `❤️`, and the variants of kanji. More than one carries hidden data.

Letters of right-to-left scripts, private-use characters and characters that are not assigned yet stay.
"""

import re
from urllib.parse import quote

# Texts, which `re` compiles and keeps when the first is needed: `clean` returns most texts after one search or none.
_LINE_BREAK = "\r\n|[\r\x0b\x0c\x1c-\x1e\x85\u2028\u2029]"
_HIDDEN = (
    "[\x00-\x08\x0e-\x1b\x1f\x7f-\x9f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b\u200e\u200f"
    "\u202a-\u202e\u2060-\u206f\u3164\ud800-\udfff\ufdd0-\ufdef\ufeff\uffa0\ufff0-\ufffb\ufffe\uffff"
    "\U00013430-\U0001343f\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e00ff\U000e01f0-\U000e0fff"
    + "".join(f"{chr(plane * 0x10000 + 0xFFFE)}{chr(plane * 0x10000 + 0xFFFF)}" for plane in range(1, 17))
    + "]"
)
_SELECTORS = "\ufe00-\ufe0f\U000e0100-\U000e01ef"
_STRAY_SELECTOR = f"(?<![^\\s\u200c\u200d{_SELECTORS}])[{_SELECTORS}]"
# Arabic to Myanmar, Khmer and Mongolian, arrows and symbols that emoji begin with, emoji.
_JOINED = "\u0600-\u109f\u1780-\u18af\u2190-\u2bff\U0001f000-\U0001faff"
_STRAY_JOINER = f"(?<![{_JOINED}{_SELECTORS}])[\u200c\u200d]|[\u200c\u200d](?![{_JOINED}])"
# Of the characters above those that `str.isprintable` takes for visible.
_HIDDEN_BUT_PRINTABLE = f"[\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u3164\uffa0{_SELECTORS}]"

_LINK = re.compile(r"https://[A-Za-z0-9.-]+(?::[0-9]{1,5})?(?:[/?#].*)?")
# What RFC 3986 allows in a path, query or fragment; but no @, which pings on Slack, and no quotation mark.
_LINK_CHARACTERS = "/?#%!$&()*+,;=:~"


def clean(text: str) -> str:
    """The text without the characters above; it may have several lines."""
    if text.replace("\n", "").isprintable() and (text.isascii() or not re.search(_HIDDEN_BUT_PRINTABLE, text)):
        return text
    text = re.sub(_HIDDEN, "", re.sub(_LINE_BREAK, "\n", text))
    return re.sub(_STRAY_JOINER, "", re.sub(_STRAY_SELECTOR, "", text))


def visible(text: str) -> str:
    """The text with `\\u202e` in place of each character that `clean` would take out, newlines and tabs excepted.

    It stays what it was if it is JSON.
    """
    text = text.replace("\r\n", "\n")
    if text.replace("\n", "").replace("\t", "").isprintable() and (
        text.isascii() or not re.search(_HIDDEN_BUT_PRINTABLE, text)
    ):
        return text
    return re.sub(f"{_HIDDEN}|{_LINE_BREAK}|{_STRAY_SELECTOR}|{_STRAY_JOINER}", _escaped, text)


def _escaped(match: re.Match[str]) -> str:
    units = match[0].encode("utf-16-be", "surrogatepass").hex()
    return "".join(f"\\u{units[place : place + 4]}" for place in range(0, len(units), 4))


def single_line(text: str) -> str:
    """The clean text as one line: each run of white space is one space, with none at the ends."""
    return " ".join(clean(text).split())


def link(url: str) -> str:
    """The URL as ASCII that needs no escaping in JSON; "" unless it is an https URL of a plain host.

    Other characters are percent-encoded. `https://good.example@evil.example` has no plain host.
    """
    url = clean(url).strip()
    return quote(url, safe=_LINK_CHARACTERS) if _LINK.fullmatch(url) else ""
