"""The elements of HTML, as a browser reads it: for the tests that no text from outside becomes one."""

from html.parser import HTMLParser

MAIL_TAGS = {"html", "head", "meta", "title", "style", "body", "div", "table", "tr", "td", "h1", "strong", "br", "a"}
MAIL_ATTRIBUTES = {
    "bgcolor", "cellpadding", "cellspacing", "charset", "class", "content", "href", "lang", "name", "role", "style",
    "valign", "width",
}  # fmt: skip
"""What the HTML of an e-mail consists of."""


class Elements(HTMLParser):
    """The elements of a page, in order, each with its attributes."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(source)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    @property
    def names(self) -> set[str]:
        return {tag for tag, _ in self.found}

    @property
    def attributes(self) -> set[str]:
        return {name for _, attributes in self.found for name in attributes}

    @property
    def hrefs(self) -> list[str]:
        """Where its links lead."""
        return [attributes["href"] or "" for tag, attributes in self.found if tag == "a"]
