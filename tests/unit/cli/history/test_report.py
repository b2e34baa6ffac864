"""`history report`: correct numbers on a readable page."""

import json
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from playwright.sync_api import Browser

from local_aws import events
from local_aws.stories import OOM
from router.cli.history import report
from router.cli.history.charts import horizontal
from router.cli.history.figures import DRAWN, Channel, figures
from router.cli.history.report_words import WORDS
from router.cli.history.top import Tally
from router.errors import PermanentError
from router.history.items import iso
from router.model import Decision, Kind, Outcome
from router_conformance.notifications import HOSTILE as HOSTILE_TEXTS
from tests.doubles.browser import DESK, PHONE, PROGRAM, browser, look_at
from tests.doubles.history_cli import account, died, recording, run
from tests.doubles.markup import Elements
from tests.doubles.oom import INCIDENT
from tests.doubles.text import ANY_TEXT, hidden_characters
from tests.doubles.world import DAY, HOUR, MINUTE, World

pytestmark = pytest.mark.xdist_group("report")  # the shared data is created once
HOSTILE = "<script>alert(1)</script><b>x"


def a_bad_week(world: World) -> None:
    """web crashes three times and recovers within 20 minutes; api runs out of memory and paging for it fails."""
    now = world.now
    world.now = now - 3 * DAY
    world.receive(*(died(number, 3 * DAY + (10 - number) * MINUTE) for number in range(1, 4)))
    world.wait(20 * MINUTE)
    at = now - 3 * DAY + 11 * MINUTE
    world.receive(events.service_action(createdAt=iso(at)))
    world.wait(HOUR, step=10 * MINUTE)
    world.now = now
    world.pager.failure = lambda: PermanentError("no such service")
    killed = (events.container("app", 137, OOM),)
    world.receive(died(5, 5 * MINUTE, service="api", containers=killed))
    world.receive(died(6, MINUTE, service=HOSTILE, stop_code="SpotInterruption", reason=HOSTILE))


def page(out: Path, *options: str) -> str:
    """The text of the page."""
    result = run("report", "--since", "4d", "--out", str(out), *options)
    assert (result.exit_code, result.stdout) == (0, ""), result.output
    return out.read_text("utf-8")


@dataclass(frozen=True)
class Week:
    """The report of a bad week: the pages by language, and the numbers."""

    directory: Path
    numbers: Any
    of_today: Any
    elsewhere: Any

    def file(self, language: str) -> Path:
        return self.directory / f"{language}.html"

    def page(self, language: str = "en") -> str:
        return self.file(language).read_text("utf-8")


@pytest.fixture(scope="module")
def week(tmp_path_factory: pytest.TempPathFactory) -> Week:
    directory = tmp_path_factory.mktemp("week")
    with pytest.MonkeyPatch.context() as monkeypatch:
        for _ in account(monkeypatch):
            a_bad_week(recording())
            for language in ("en", "ja"):
                page(directory / f"{language}.html", "--language", language)
            asked = (("--since", "4d"), ("--since", "1d"), ("--since", "1d", "--cluster", "elsewhere"))
            return Week(directory, *(json.loads(run("report", "--json", *options).stdout) for options in asked))
    raise AssertionError("an account yields once")


# --- the numbers ------------------------------------------------------------------------------------------------------


def test_the_numbers_are_those_of_what_was_sent(week: Week) -> None:
    found = week.numbers
    assert found["severities"] == {"critical": 4, "error": 0, "warning": 1, "info": 1}
    assert found["decisions"] == {"announced": 3, "held back by window": 2, "resolving": 1}
    assert sum(day["critical"] for day in found["over_time"]) == 4
    assert found["top_services"][0] == {"subject": "service:web", "cluster": "prod", "alerts": 3}
    assert found["top_causes"][0] == {"cause": "essential_container_exited", "alerts": 3}
    assert found["median_recovery"] == pytest.approx(20 * MINUTE, abs=1)
    assert found["channels"]["pager"] == {"sent": 2, "failed": 1}
    assert [incident["fingerprint"].rpartition(":")[2] for incident in found["incidents"]] == [HOSTILE, "api", "web"]
    assert len(found["still_open"]) == 2


def test_the_numbers_are_limited_to_the_given_period_and_cluster(week: Week) -> None:
    assert week.of_today["severities"]["critical"] == 1
    assert week.elsewhere["severities"]["critical"] == 0


@pytest.mark.parametrize(("length", "hours"), [(DAY, 1), (2 * DAY, 1), (7 * DAY, 6), (30 * DAY, 24), (365 * DAY, 168)])
def test_the_time_axis_has_a_limited_number_of_intervals_and_ends_now(length: float, hours: float) -> None:
    until = datetime(2026, 11, 22, 12, 34, tzinfo=UTC).timestamp()
    made = figures(until - length, until, UTC)
    assert made.step.total_seconds() == hours * HOUR
    assert len(made.buckets) <= 63
    assert made.buckets[0].timestamp() <= until - length
    assert 0 < until - made.buckets[-1].timestamp() <= hours * HOUR


# --- the page ---------------------------------------------------------------------------------------------------------


class Page(HTMLParser):
    """What a browser would run or fetch."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.active: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        fetching = [name for name, value in attrs if name in {"src", "href", "xlink:href", "data", "action"}]
        if tag in {"script", "link", "iframe", "img", "object"} or fetching:
            self.active.append(f"{tag} {fetching}")


def test_the_page_needs_nothing_else_and_runs_nothing(week: Week) -> None:
    text = week.page()
    assert Page(text).active == []
    assert not re.search(r"url\(|@import", text)
    assert "default-src 'none'" in text


def outline(page: str) -> list[tuple[str, list[str]]]:
    """The elements, each with the names of its attributes."""
    return [(tag, [*attributes]) for tag, attributes in Elements(page).found]


def page_about(text: str) -> str:
    """A page with the text in every place that one from outside can have."""
    subject = INCIDENT.subject._replace(name=text, cluster=text)
    alert = replace(INCIDENT.alert, subject=subject, cause=text, reason=text)
    incident = replace(INCIDENT, subject=subject, alert=alert, causes={text: 1}, tasks=(text,))
    delivery = {"at": iso(incident.last_at), "channel": text, "kind": "opened", "outcome": "failed", "attempt": 1}
    total = figures(incident.opened_at - DAY, incident.last_at, UTC)
    total.incidents = [(incident, ({**delivery, "answer": text},))]
    total.channels = {text: Channel(Counter(failed=1), [{**delivery, "answer": text}])}
    total.tops = {
        "service": {(f"service:{text}", text): Tally(Counter(critical=1))},
        "cause": {(text,): Tally(Counter(critical=1))},
    }
    return report.page(total, "en", text, incident.last_at)


@settings(max_examples=30, deadline=None)
@given(st.sampled_from([*HOSTILE_TEXTS.values()]) | ANY_TEXT)
def test_no_text_adds_an_element_or_an_attribute_or_hides_anything(text: str) -> None:
    """Also not what another program wrote to the table, which holds anything but halves of surrogate pairs."""
    drawn = page_about(f"web{text[:5000]}".encode(errors="replace").decode())
    assert outline(drawn) == outline(page_about("web"))
    assert not hidden_characters(drawn)


def test_text_from_outside_is_text(week: Week) -> None:
    text = week.page()
    assert HOSTILE not in text
    assert HOSTILE.replace("<", "&lt;").replace(">", "&gt;") in text


@pytest.mark.parametrize(("language", "words"), [("en", "Out of memory"), ("ja", "メモリ不足")])
def test_the_page_is_available_in_both_languages(language: str, words: str, week: Week) -> None:
    text = week.page(language)
    assert f'<html lang="{language}">' in text
    assert words in text
    assert WORDS["over_time"][language] in text


def test_both_languages_have_every_phrase_with_the_same_placeholders() -> None:
    for key, words in WORDS.items():
        assert set(words) == {"en", "ja"}, key
        assert len({tuple(sorted(re.findall(r"{(\w+)}", text))) for text in words.values()}) == 1, key
    assert {*map(str, Decision), *map(str, Outcome), *map(str, Kind)} <= set(WORDS)


def test_days_start_at_midnight_in_the_readers_time_zone(recorded: World, tmp_path: Path) -> None:
    text = page(tmp_path / "report.html", "--time-zone", "Asia/Tokyo", "--to", "2026-11-22T20:00Z")
    assert "2026-11-23 05:00" in text
    assert "JST" in text


def test_an_empty_period_is_stated_on_the_page(recorded: World, tmp_path: Path) -> None:
    assert page(tmp_path / "report.html").count("No data in this period.") == 7


def test_a_chart_has_every_label_and_number_with_room_for_wide_ones() -> None:
    drawn = horizontal(["ヘルスチェックに失敗", "web"], {"": [7, 1234]}, ("accent",))
    assert all(text in drawn for text in ("ヘルスチェックに失敗", ">web<", ">7<", ">1,234<"))


def test_a_page_that_cannot_be_written_is_a_failure_in_one_line(recorded: World, tmp_path: Path) -> None:
    result = run("report", "--since", "1h", "--out", str(tmp_path / "no" / "report.html"))
    assert result.exit_code == 1
    assert result.stderr.endswith("report.html: cannot be written: No such file or directory\n")


# --- looked at --------------------------------------------------------------------------------------------------------

_FITS = "document.documentElement.scrollWidth <= window.innerWidth"
_OVERLAPS = """() => {
  const boxes = [...document.querySelectorAll('figure svg text')].map(e => [e.textContent, e.getBoundingClientRect()]);
  const cross = (a, b) => Math.min(a.right, b.right) - Math.max(a.left, b.left) > 2
      && Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) > 4;
  return boxes.flatMap(([t, a], i) => boxes.slice(i + 1).filter(([, b]) => a.width && b.width && cross(a, b))
      .map(([u]) => t + ' / ' + u));
}"""
_OUTSIDE = """() => [...document.querySelectorAll('figure svg text')].filter(e => {
  const a = e.getBoundingClientRect(), b = e.closest('figure').getBoundingClientRect();
  return a.width && (a.left < b.left || a.right > b.right);
}).map(e => e.textContent)"""
_CONTRAST = """() => {
  const rgb = colour => colour.match(/[0-9.]+/g).slice(0, 3).map(Number);
  const light = colour => { const [r, g, b] = rgb(colour).map(v => { v /= 255;
      return v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; }); return 0.2126*r + 0.7152*g + 0.0722*b; };
  const ratio = (a, b) => (Math.max(light(a), light(b)) + 0.05) / (Math.min(light(a), light(b)) + 0.05);
  const card = getComputedStyle(document.querySelector('figure')).backgroundColor;
  return [...document.querySelectorAll('figure svg text, .soft, h2, .status, .tile b, td span')].map(e => {
      const s = getComputedStyle(e); return ratio(e.closest('svg') ? s.fill : s.color, card); })
    .reduce((a, b) => Math.min(a, b));
}"""


@pytest.fixture(scope="module")
def opened() -> Iterator[Browser]:
    if PROGRAM is None:
        pytest.skip("no browser here: apt-get install chromium")
    with browser() as made:
        yield made


@pytest.mark.parametrize("colours", ["light", "dark"])
@pytest.mark.parametrize("language", ["en", "ja"])
def test_the_page_is_readable_on_phone_and_desktop_in_light_and_dark(
    language: str, colours: Literal["light", "dark"], opened: Browser, week: Week
) -> None:
    """Nothing overflows, overlaps or is cut off; contrast meets WCAG AA (4.5 to 1); nothing is fetched."""
    for size in (PHONE, DESK):
        shown, wrong = look_at(opened, week.file(language), size, colours)
        assert wrong == []
        assert shown.evaluate(_FITS)
        assert shown.evaluate(_OVERLAPS) == []
        assert shown.evaluate(_OUTSIDE) == []
        assert shown.evaluate(_CONTRAST) >= 4.5
        assert shown.locator("figure svg").count() == 6
        shown.close()


def test_an_incident_unfolds_when_tapped(opened: Browser, week: Week) -> None:
    shown, _ = look_at(opened, week.file("en"), PHONE, "light")
    incident = shown.locator("details.incident").nth(1)
    assert not incident.locator(".inner").is_visible()
    incident.locator("summary").click()
    assert incident.locator(".inner").is_visible()
    assert OOM in incident.inner_text()
    assert "no such service" in incident.inner_text()
    shown.close()


def test_the_length_of_bars_is_proportional_to_their_numbers(opened: Browser, week: Week) -> None:
    shown, _ = look_at(opened, week.file("en"), DESK, "light")
    bars = "[...document.querySelectorAll('#top_services svg .bars rect')].map(e => e.getBoundingClientRect().width)"
    widths = sorted(shown.evaluate(bars), reverse=True)
    assert [round(width / widths[-1]) for width in widths] == [3, 1, 1]
    shown.close()


def test_the_charts_show_the_severities_that_can_notify() -> None:
    assert [str(severity) for severity in DRAWN] == ["critical", "error", "warning"]
