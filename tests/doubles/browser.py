"""A real browser, without a window: Debian's chromium or Chrome, driven by Playwright. Nothing is downloaded."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from playwright.sync_api import Browser, Page, ViewportSize, sync_playwright

PROGRAM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
"""Where a browser is, or None."""
PHONE = ViewportSize(width=390, height=844)
DESK = ViewportSize(width=1240, height=900)


@contextmanager
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=PROGRAM, args=["--no-sandbox"])
        yield opened
        opened.close()


def look_at(
    opened: Browser, file: Path, size: ViewportSize, colours: Literal["light", "dark"]
) -> tuple[Page, list[str]]:
    """Opens the page. Returns it, and its console messages, errors and requests for other resources."""
    page = opened.new_page(viewport=size, color_scheme=colours)
    wrong: list[str] = []
    page.on("console", lambda message: wrong.append(message.text))
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("request", lambda request: wrong.append(request.url) if request.url != file.as_uri() else None)
    page.goto(file.as_uri())
    return page, wrong
