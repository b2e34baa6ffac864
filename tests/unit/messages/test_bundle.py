"""One message about many incidents: read by a person, at night, on a phone."""

import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.incident.state import Dispatch, MessageOptions, SubjectState
from router.messages.bundle import ROOM, bundle
from router.model import ChannelConfig, Kind, Severity, Subject
from tests.doubles.oom import ALERT, INCIDENT

ENGLISH = ChannelConfig("ops", "slack", {})
JAPANESE = replace(ENGLISH, language="ja")


def part(
    name: str,
    severity: Severity = Severity.CRITICAL,
    cause: str = "out_of_memory",
    kind: Kind = Kind.OPENED,
    *,
    cluster: str = "prod",
    count: int = 1,
) -> tuple[SubjectState, Dispatch]:
    subject = Subject.from_text("123456789012", "eu-west-1", cluster, name)
    alert = replace(ALERT, subject=subject, severity=severity, cause=cause)
    incident = replace(INCIDENT, subject=subject, severity=severity, causes={cause: count}, alert=alert)
    return SubjectState(subject, incident=incident), Dispatch(
        "ops", kind, 1, 1, is_first=False, severity=severity, suppressed={}, options=MessageOptions("<!here>")
    )


def test_the_worst_stand_first_and_what_is_new_before_what_goes_on_and_what_is_over() -> None:
    parts = [
        part("service:over", kind=Kind.RESOLVED),
        part("service:old", kind=Kind.UPDATED),
        part("service:warned", Severity.WARNING, "spot_interruption"),
        part("service:dead"),
    ]
    told = bundle(parts, ENGLISH)
    assert [each.subject.text for each in told.bundled] == [
        "service:dead",
        "service:warned",
        "service:old",
        "service:over",
    ]
    assert told.message.text.splitlines() == [
        "• Out of memory in prod, 1 new (critical): dead",
        "• Spot interruption in prod, 1 new (warning): warned",
        "• Out of memory in prod, 1 still going on (critical): old",
        "• Out of memory in prod, 1 resolved (were critical): over",
    ]


def test_incidents_of_one_cause_share_a_line_that_says_how_often() -> None:
    told = bundle([part("service:web", count=12), part("service:api"), part("family:nightly")], ENGLISH)
    assert told.message.text == "• Out of memory in prod, 3 new (critical): web × 12, api, task nightly"


def test_the_title_says_how_many_and_where() -> None:
    assert bundle([part("service:a"), part("service:b")], ENGLISH).message.title == "2 incidents in prod, worst first"
    elsewhere = bundle([part("service:a"), part("service:b", cluster="stage")], ENGLISH)
    assert elsewhere.message.title == "2 incidents in 2 clusters, worst first"
    nowhere = bundle([part("alarm:a", cluster="-"), part("alarm:b", cluster="-")], ENGLISH)
    assert nowhere.message.title == "2 incidents, worst first"
    assert nowhere.message.text == "• Out of memory, 2 new (critical): a, b"
    over = bundle([part("service:a", kind=Kind.RESOLVED), part("service:b", kind=Kind.RESOLVED)], ENGLISH)
    assert over.message.title == "Resolved: 2 incidents in prod"


@pytest.mark.parametrize(
    ("kinds", "kind", "mention"),
    [
        ((Kind.RESOLVED, Kind.OPENED), Kind.OPENED, "<!here>"),
        ((Kind.RESOLVED, Kind.UPDATED), Kind.UPDATED, "<!here>"),
        ((Kind.RESOLVED, Kind.RESOLVED), Kind.RESOLVED, ""),
    ],
)
def test_its_kind_is_that_of_the_worst_news_and_nobody_is_called_for_good_news(
    kinds: tuple[Kind, ...], kind: Kind, mention: str
) -> None:
    told = bundle([part(f"service:{each}", kind=each) for each in kinds], ENGLISH)
    assert (told.kind, told.mention) == (kind, mention)


def test_japanese_says_the_same() -> None:
    told = bundle([part("service:web"), part("service:api")], JAPANESE)
    assert told.message.title == "インシデント 2 件 (prod) 重大順"
    assert told.message.text == "• メモリ不足 (prod) 新規 2 件 [重大]: web, api"


def test_what_has_no_room_is_counted() -> None:
    """Names that share a line end in "and N more"; lines that have no room, in how many incidents are left."""
    many = [part(f"service:a-rather-long-name-{number:04}") for number in range(500)]
    (line,) = bundle(many, ENGLISH).message.text.splitlines()
    shown = line.count("a-rather")
    assert line.endswith(f" and {500 - shown} more")
    causes = [part(f"service:{number}", cause=f"a_cause_that_takes_its_room_{number}") for number in range(100)]
    *lines, last = bundle(causes, ENGLISH).message.text.splitlines()
    assert last == f"… and {100 - len(lines)} more incidents"


@given(
    st.lists(
        st.builds(
            part,
            st.text(min_size=1, max_size=255).map(lambda name: f"service:{name}"),
            st.sampled_from(Severity),
            st.sampled_from(["out_of_memory", "image_pull_failed", "task_stopped"]),
            st.sampled_from(Kind),
            cluster=st.sampled_from(["prod", "stage", "-"]),
            count=st.integers(1, 10**6),
        ),
        min_size=1,
        max_size=60,
    ),
    st.sampled_from([ENGLISH, JAPANESE]),
)
def test_every_incident_is_named_or_counted_and_the_text_keeps_to_its_room(
    parts: list[tuple[SubjectState, Dispatch]], config: ChannelConfig
) -> None:
    told = bundle(parts, config)
    assert len(told.bundled) == len(parts)
    assert len(told.message.text) <= ROOM + 80
    heads = re.findall(r"(?m)^• .*?(?:, | 新規 | 継続中 | 解決 )(\d+) (?:new|still|resolved|件)", told.message.text)
    left = re.search(r"… (?:and|他) (\d+)", told.message.text)
    names = "".join(each.subject.text for each in told.bundled)
    if not re.search(r"[\n\r\x0b\x0c\x1c-\x1e\x85\u2028\u2029…]|\d ", names):
        assert sum(map(int, heads)) + (int(left[1]) if left else 0) == len(parts)
