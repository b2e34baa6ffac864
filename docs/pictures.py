"""Draws the pictures of the docs: `make docs-images`. Each is the page that `simulate --html` makes of an event.

It needs Chromium (`apt-get install chromium fonts-noto-cjk fonts-noto-color-emoji fonts-inter`) and the packages of
`npm ci`. `images/drawn.json` says from which page each picture was drawn; a test compares that with the current page.
"""

import json
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

from click.testing import CliRunner
from PIL import Image, ImageChops
from rich.progress import track

from docs.examples import EXAMPLES, MORE
from local_aws.events import Raw
from router.cli import main
from router.ecs.classify import classify
from router.ecs.normalise import normalise
from router.model import Severity

DOCS = Path(__file__).parent
IMAGES = DOCS / "images"
DRAWN = IMAGES / "drawn.json"
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
WIDTH, HEIGHT = 976, 4000  # CSS pixels; the empty part below is cut off
MARGIN = 16
PHOTOS = ("report-desk.png", "report-phone.png")  # docs/photos.py takes them


class Picture(NamedTuple):
    """What is drawn.

    Attributes:
        enrichment: the enrichment of the event, for `simulate --enrichment`.
        options: further options of `simulate`.
        others: more events, for a message about several incidents.
    """

    event: Raw
    enrichment: Mapping[str, Any]
    options: Sequence[str] = ()
    others: Sequence[Raw] = ()


def announced() -> dict[str, Picture]:
    """An event of each cause that is announced, by cause: the first of the most severe."""
    by_cause: dict[str, tuple[Severity, Picture]] = {}
    for raw, known in [
        *((example.event, example.enrichment) for example in EXAMPLES),
        *((raw, None) for raw in MORE.values()),
    ]:
        verdict = classify(normalise(raw))
        severity = by_cause[verdict.cause][0] if verdict.cause in by_cause else Severity.INFO
        if verdict.severity.at_least(Severity.WARNING) and verdict.severity.rank > severity.rank:
            by_cause[verdict.cause] = verdict.severity, Picture(raw, known or {})
    return {cause: picture for cause, (_, picture) in by_cause.items()}


def pictures() -> dict[str, Picture]:
    """All pictures, by file name."""
    causes = announced()
    crash = causes["essential_container_exited"]
    japanese = ["--config", str(DOCS / "japanese.toml")]
    return {
        **{f"{cause}.png": picture for cause, picture in causes.items()},
        "chat.png": causes["out_of_memory"]._replace(options=["--channel", "slack", "--channel", "teams"]),
        "updated.png": crash._replace(options=["--kind", "updated"]),
        "gathered.png": crash._replace(
            options=["--kind", "gathered"], others=[example.event for example in causes.values()]
        ),
        "resolved.png": crash._replace(options=["--kind", "resolved"]),
        "mail.png": causes["out_of_memory"]._replace(options=["--config", str(DOCS / "mail.toml")]),
        "japanese.png": causes["out_of_memory"]._replace(options=japanese),
        "japanese-crash.png": crash._replace(options=japanese),
        "japanese-image.png": causes["image_pull_failed"]._replace(options=japanese),
    }


def page(picture: Picture) -> str:
    """The page that `simulate --html` makes of it."""
    with tempfile.TemporaryDirectory() as directory:
        files = {"event": [picture.event, *picture.others], "found": picture.enrichment}
        event, enrichment = (Path(directory, f"{name}.json") for name in files)
        for path, content in zip((event, enrichment), files.values(), strict=True):
            path.write_text(json.dumps(content), "utf-8")
        out = Path(directory, "page.html")
        arguments = ["simulate", str(event), "--enrichment", str(enrichment), "--html", str(out), *picture.options]
        result = CliRunner().invoke(main, arguments, catch_exceptions=False)
        assert result.exit_code == 0, result.output
        return out.read_text("utf-8")


def digest(drawn: str) -> str:
    """A short hash of a page, without the renderer that is embedded in it."""
    return sha256(re.sub(r"(?s)<script>.*?</script>|<meta http-equiv[^>]*>", "", drawn).encode()).hexdigest()[:16]


def draw(drawn: str, to: Path, browser: str) -> None:
    """Saves a screenshot of the page, with the colours that the browser drew."""
    with tempfile.TemporaryDirectory() as directory:
        source = Path(directory, "page.html")
        source.write_text(drawn, "utf-8")
        flags = ["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--force-device-scale-factor=1"]
        flags.append("--disable-features=IsolateSandboxedIframes")  # a frame in another process may be painted too late
        size = f"--window-size={WIDTH},{HEIGHT}"
        profile, shot = f"--user-data-dir={directory}/profile", Path(directory, "shot.png")
        command = [browser, *flags, size, profile, f"--screenshot={shot}", source.as_uri()]
        subprocess.run(command, check=True, capture_output=True, timeout=60)  # noqa: S603 - a browser that was found
        with Image.open(shot) as image:
            _trimmed(image.convert("RGB")).save(to, optimize=True)


def _trimmed(image: Image.Image) -> Image.Image:
    """The image without the empty part below."""
    empty = Image.new("RGB", image.size, image.getpixel((0, 0)))
    box = ImageChops.difference(image, empty).getbbox()
    bottom = min(image.height, (box[3] if box else 0) + MARGIN)
    return image.crop((0, 0, image.width, bottom))


def stale(drawn: Mapping[str, str]) -> Iterator[tuple[str, str, str]]:
    """The name, page and digest of each picture that is out of date."""
    for name, picture in pictures().items():
        html = page(picture)
        if drawn.get(name) != digest(html) or not (IMAGES / name).is_file():
            yield name, html, digest(html)


def remembered() -> dict[str, str]:
    known: dict[str, str] = json.loads(DRAWN.read_text("utf-8")) if DRAWN.is_file() else {}
    return known


if __name__ == "__main__":
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        sys.exit("no Chromium is installed: apt-get install chromium fonts-noto-cjk fonts-noto-color-emoji fonts-inter")
    IMAGES.mkdir(exist_ok=True)
    known = remembered()
    for name, html, of_page in track(list(stale(known)), "Drawing"):
        draw(html, IMAGES / name, browser)
        known[name] = of_page
    DRAWN.write_text(json.dumps({name: known[name] for name in pictures()}, indent=1) + "\n", "utf-8")
    for path in IMAGES.iterdir():
        if path != DRAWN and path.name not in {*known, *PHOTOS}:
            path.unlink()
