"""The message about several incidents."""

import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.incident.state import Dispatch, MessageOptions, SubjectState
from router.messages.bundle import ROOM, bundle
from router.model import ChannelConfig, Container, Kind, Severity, Subject
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
    account: str = "123456789012",
) -> tuple[SubjectState, Dispatch]:
    subject = Subject.from_text(account, "eu-west-1", cluster, name)
    alert = replace(ALERT, subject=subject, severity=severity, cause=cause)
    incident = replace(INCIDENT, subject=subject, severity=severity, causes={cause: count}, alert=alert)
    return SubjectState(subject, incident=incident), Dispatch(
        "ops", kind, 1, 1, is_first=False, severity=severity, suppressed={}, options=MessageOptions("<!here>")
    )


def test_the_worst_incidents_come_first_and_new_ones_before_ongoing_and_resolved_ones() -> None:
    parts = [
        part("service:over", kind=Kind.RESOLVED),
        part("service:old", kind=Kind.UPDATED),
        part("service:warned", Severity.WARNING, "spot_interruption"),
        part("service:dead"),
    ]
    told = bundle(parts, ENGLISH)
    assert [incident.subject.text for incident in told.bundled] == [
        "service:dead",
        "service:warned",
        "service:old",
        "service:over",
    ]
    assert told.message.text.splitlines() == [
        "• Out of memory in prod, 1 new incident (critical): service dead",
        "• Spot interruption in prod, 1 new incident (warning): service warned",
        "• Out of memory in prod, 1 ongoing incident (critical): service old",
        "• Out of memory in prod, 1 resolved incident (was critical): service over",
    ]


def test_incidents_with_one_cause_share_a_line_with_their_number() -> None:
    told = bundle([part("service:web", count=12), part("service:api"), part("family:nightly")], ENGLISH)
    assert told.message.text == (
        "• Out of memory in prod, 3 new incidents (critical): service web (12 alerts), service api, task family nightly"
    )


def crashed(name: str, code: int) -> tuple[SubjectState, Dispatch]:
    state, dispatch = part(name, cause="essential_container_exited")
    assert state.incident is not None
    alert = replace(state.incident.alert, containers=(Container("app", "STOPPED", code),), culprits=("app",))
    return state._replace(incident=replace(state.incident, alert=alert)), dispatch


@pytest.mark.parametrize(
    ("codes", "words"),
    [((1, 3), "Container crashed"), ((137, 137), "Container killed"), ((1, 137), "Essential container exited")],
)
def test_a_line_has_the_words_of_a_single_message_where_they_are_the_same_for_all(
    codes: tuple[int, ...], words: str
) -> None:
    told = bundle([crashed(f"service:s{number}", code) for number, code in enumerate(codes)], ENGLISH)
    assert told.message.text == f"• {words} in prod, 2 new incidents (critical): service s0, service s1"


def test_the_title_has_number_and_place() -> None:
    assert bundle([part("service:a"), part("service:b")], ENGLISH).message.title == "2 incidents in prod, worst first"
    elsewhere = bundle([part("service:a"), part("service:b", cluster="stage")], ENGLISH)
    assert elsewhere.message.title == "2 incidents in 2 clusters, worst first"
    nowhere = bundle([part("alarm:a", cluster="-"), part("alarm:b", cluster="-")], ENGLISH)
    assert nowhere.message.title == "2 incidents, worst first"
    assert nowhere.message.text == "• Out of memory, 2 new incidents (critical): a, b"
    over = bundle([part("service:a", kind=Kind.RESOLVED), part("service:b", kind=Kind.RESOLVED)], ENGLISH)
    assert over.message.title == "Resolved: 2 incidents in prod"


@pytest.mark.parametrize(
    ("language", "title", "over"),
    [
        (
            "en",
            "4 incidents (2 in prod, 1 alarm, 1 other), worst first",
            "Resolved: 4 incidents (2 in prod, 1 alarm, 1 other)",
        ),
        (
            "ja",
            "インシデント 4 件 (重大度順、prod 2 件、アラーム 1 件、その他 1 件)",
            "[解決済み] インシデント 4 件 (prod 2 件、アラーム 1 件、その他 1 件)",
        ),
    ],
)
def test_the_title_does_not_put_alarms_into_a_cluster(language: str, title: str, over: str) -> None:
    names = {"service:a": "prod", "service:b": "prod", "alarm:cpu": "-", "channel:slack": "-"}
    config = replace(ENGLISH, language=language)
    for kind, expected in ((Kind.OPENED, title), (Kind.RESOLVED, over)):
        parts = [part(name, cluster=cluster, kind=kind) for name, cluster in names.items()]
        assert bundle(parts, config).message.title == expected


def test_several_causes_of_one_incident_are_counted_and_add_up() -> None:
    state, dispatch = part("service:web")
    assert state.incident
    causes = {"out_of_memory": 3, "image_pull_failed": 1, "a": 1, "b": 1}
    mixed = state._replace(incident=replace(state.incident, causes=causes)), dispatch
    assert "service web (6 alerts: out of memory 3 times, image pull failed once, a once, 1 other)" in (
        bundle([mixed], ENGLISH).message.text
    )
    assert "サービス web (アラート 6 件: メモリ不足 3 件、" in bundle([mixed], JAPANESE).message.text
    assert "その他 1 件)" in bundle([mixed], JAPANESE).message.text


def test_links_open_the_worst_incident_and_each_cluster() -> None:
    clusters = ["prod", "prod", "stage", "test", "dev"]
    parts = [part(f"service:web-{number}", cluster=cluster) for number, cluster in enumerate(clusters)]
    worst = part("service:checkout", cause="image_pull_failed")
    links = bundle([*parts, worst], ENGLISH).message.links
    assert [label for label, _ in links] == [
        "View service (checkout)",
        "View cluster (prod)",
        "View cluster (dev)",
        "View cluster (stage)",
    ]
    assert "/clusters/prod/services/checkout/" in links[0][1]


def test_severities_are_those_of_the_incidents() -> None:
    parts = [part("service:a", count=12), part("service:b"), part("service:c", Severity.ERROR)]
    assert bundle(parts, ENGLISH).message.facts[0] == ("Incidents", "2 critical, 1 error")
    assert bundle(parts, JAPANESE).message.facts[0] == ("インシデント", "重大 2 件、エラー 1 件")


@pytest.mark.parametrize(
    ("kinds", "kind", "mention"),
    [
        ((Kind.RESOLVED, Kind.OPENED), Kind.OPENED, "<!here>"),
        ((Kind.RESOLVED, Kind.UPDATED), Kind.UPDATED, "<!here>"),
        ((Kind.RESOLVED, Kind.RESOLVED), Kind.RESOLVED, ""),
    ],
)
def test_a_bundles_kind_is_that_of_its_worst_part_and_a_recovery_mentions_no_one(
    kinds: tuple[Kind, ...], kind: Kind, mention: str
) -> None:
    told = bundle([part(f"service:{kind}", kind=kind) for kind in kinds], ENGLISH)
    assert (told.kind, told.mention) == (kind, mention)


def test_a_japanese_bundle_has_the_same_content() -> None:
    told = bundle([part("service:web"), part("service:api")], JAPANESE)
    assert told.message.title == "インシデント 2 件 (重大度順、prod)"
    assert told.message.text == "• メモリ不足 (prod) 重大・新規 2 件: サービス web、サービス api"


def test_incidents_without_room_are_counted() -> None:
    """A line with too many names ends in "and N more"; too many lines end in the number of incidents left."""
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
def test_every_incident_is_named_or_counted_within_the_limit(
    parts: list[tuple[SubjectState, Dispatch]], config: ChannelConfig
) -> None:
    told = bundle(parts, config)
    assert len(told.bundled) == len(parts)
    assert len(told.message.text) <= ROOM + 80
    heads = re.findall(
        r"(?m)^• .*?(?:, |・新規 |・継続中 |・解決済み )(\d+) (?:new|ongoing|resolved|件)", told.message.text
    )
    left = re.search(r"… (?:and|他) (\d+)", told.message.text)
    names = "".join(incident.subject.text for incident in told.bundled)
    if not re.search(r"[\n\r\x0b\x0c\x1c-\x1e\x85\u2028\u2029…]|\d ", names):
        assert sum(map(int, heads)) + (int(left[1]) if left else 0) == len(parts)


# --- a flood does not hide the others ---------------------------------------------------------------------------------


def flooded(accounts: int, clusters: int, families: int) -> list[tuple[SubjectState, Dispatch]]:
    return [
        part(f"family:attack{number:03}", cluster=f"a{cluster:02}", account=f"{account:012}")
        for account in range(accounts)
        for cluster in range(clusters)
        for number in range(families)
    ]


@given(st.integers(1, 2), st.integers(1, 6), st.integers(1, 60), st.sampled_from([ENGLISH, JAPANESE]))
def test_a_flood_in_other_clusters_leaves_an_incident_its_name(
    accounts: int, clusters: int, families: int, config: ChannelConfig
) -> None:
    told = bundle([*flooded(accounts, clusters, families), part("service:payments", cluster="zz")], config)
    assert "payments" in told.message.text
    assert len(told.message.text) <= ROOM + 100


@given(st.integers(1, 12), st.integers(1, 60))
def test_a_flood_in_another_account_leaves_an_account_its_first_lines(clusters: int, families: int) -> None:
    mine = part("service:payments", cluster="zz", account="999999999999")
    told = bundle([*flooded(1, clusters, families), mine], ENGLISH)
    assert "payments" in "\n".join(told.message.text.splitlines()[:2])


def test_a_flood_of_a_cause_that_sorts_first_leaves_the_others_their_name() -> None:
    parts = [part(f"family:attack{number:03}", cause="a_cause", cluster="aa") for number in range(600)]
    assert "payments" in bundle([*parts, part("service:payments", cluster="zz")], ENGLISH).message.text
