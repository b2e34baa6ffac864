"""The bundle: one message about many incidents, worst first, where one for each would be more than anybody can read.

Incidents with the same severity and cause in the same cluster share a line; each is named as long as there is room.
Accounts and clusters take turns with their lines, so that a flood in one leaves the others their share of the message.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import groupby, islice

from router.causes import cause_words, mid_sentence
from router.channels.round_robin import round_robin
from router.incident.state import Dispatch, SubjectState
from router.messages import console
from router.messages.hygiene import cleaned
from router.messages.phrases import part_labels, phrase, status
from router.messages.render import LINKS, cause_in_title, command, pages, without_middle
from router.model import ChannelConfig, Incident, Kind, Message, Notification, Severity, SubjectKind
from router.text.subject_names import subject_name

ROOM = 2800
"""Characters of a message's text: Slack takes 3,000 in a section, escapes included."""
_LINE = 700  # characters of the names in one line, so that the first does not take the room of all
_SHORTEST_LINE = 100  # of the names, however many lines there are
_HEAD = 100  # characters that a line takes before its names, about
_CAUSES = 3  # named of one incident
_LINK_NAME = 30  # characters of a name in a link's label
_CLUSTER_SHOWN = 60  # characters of a cluster's name in the title
_NO_CLUSTER = {"-", ""}
_ORDER = {Kind.OPENED: 0, Kind.UPDATED: 1, Kind.RESOLVED: 2}

Member = tuple[Incident, Dispatch]


def bundle(
    parts: Sequence[tuple[SubjectState, Dispatch]],
    config: ChannelConfig,
    singles: Sequence[Callable[[], Notification]] = (),
) -> Notification:
    """What a channel is asked to say of many incidents at once.

    Its kind is `opened` as soon as one of them is new, `resolved` only if all are over; `bundled` holds them all.

    Args:
        singles: render the notifications about those of the incidents of which the channel has a memory.
    """
    members = sorted(((state.incident, dispatch) for state, dispatch in parts if state.incident), key=_worst_first)
    worst, dispatch = members[0]
    incidents = tuple(incident for incident, _ in members)
    language = dispatch.options.language or config.language
    facts = (
        (phrase("label_incidents", language), _severities(incidents, language)),
        (phrase("label_more", language), command("history open", config)),
    )
    message = Message(
        _title(incidents, dispatch.kind, language),
        "\n".join(_lines(members, language)),
        facts,
        _links(incidents, language),
        status=status(dispatch.kind, worst, language),
        headline=_title(incidents, Kind.OPENED, language),
        labels=part_labels(language),
    )
    mention = "" if dispatch.kind is Kind.RESOLVED else dispatch.options.mention
    return cleaned(
        Notification(
            kind=dispatch.kind,
            message=message,
            alert=worst.alert,
            incident=worst,
            mention=mention,
            bundled=incidents,
            revision=dispatch.revision,
            remembered=tuple(single() for single in singles),
        )
    )


def _worst_first(member: Member) -> tuple[int, int, str, str, str, float]:
    incident, dispatch = member
    cause, subject = incident.alert.cause, incident.subject
    rank = -incident.severity.rank
    return _ORDER[dispatch.kind], rank, cause, subject.cluster, subject.account, incident.opened_at


# --- title ------------------------------------------------------------------------------------------------------------


def _title(incidents: Sequence[Incident], kind: Kind, language: str) -> str:
    is_over = kind is Kind.RESOLVED
    places = _places(incidents, language)
    if not places:
        place = ""
    elif language == "ja":
        place = f" ({places})" if is_over else f"、{places}"
    else:
        place = f" ({places})" if places[0].isdigit() else f" {places}"
    key = "title_gathered_resolved" if is_over else "title_gathered"
    return phrase(key, language, count=len(incidents), place=place)


def _places(incidents: Sequence[Incident], language: str) -> str:
    """`in prod`, `in 3 clusters`, or `4 in prod, 2 alarms`: alarms and channels are in no cluster."""
    clusters = sorted({incident.subject.cluster for incident in incidents} - _NO_CLUSTER)
    if not clusters:
        return ""
    place = (
        phrase("in_clusters", language, count=len(clusters))
        if len(clusters) > 1
        else phrase("in_cluster", language, cluster=without_middle(clusters[0], _CLUSTER_SHOWN))
    )
    outside = [incident for incident in incidents if incident.subject.cluster in _NO_CLUSTER]
    if not outside:
        return place
    alarms = sum(incident.subject.kind is SubjectKind.ALARM for incident in outside)
    parts = [phrase("counted_place", language, count=len(incidents) - len(outside), place=place)]
    parts += [phrase("alarms", language, count=alarms)] if alarms else []
    parts += [phrase("others", language, count=len(outside) - alarms)] if alarms < len(outside) else []
    return phrase("list_separator", language).join(parts)


def _severities(incidents: Iterable[Incident], language: str) -> str:
    counts = Counter(incident.severity for incident in incidents)
    return phrase("list_separator", language).join(
        phrase("severity_count", language, count=counts[severity], severity=phrase(f"severity_{severity}", language))
        for severity in Severity
        if counts[severity]
    )


# --- text -------------------------------------------------------------------------------------------------------------


def _lines(members: Sequence[Member], language: str) -> Iterator[str]:
    """A line for each group while there is room; then how many are left."""
    room, left = ROOM, len(members)
    groups = _groups(members)
    names_room = min(_LINE, max(_SHORTEST_LINE, ROOM // len(groups) - _HEAD))
    for group in groups:
        incidents, dispatches = zip(*group, strict=True)
        names = _names(incidents, language, names_room)
        line = f"{_head(incidents, dispatches[0].kind, language)}: {names}"
        room -= len(line) + 1
        if room < 0:
            yield phrase("gathered_more", language, count=left)
            return
        left -= len(incidents)
        yield line


def _groups(members: Sequence[Member]) -> list[tuple[Member, ...]]:
    """The incidents that share a line. Accounts, and the clusters of each, take turns; in each turn the worst is first,
    and of what is as bad, what fewer incidents tell.
    """
    groups = [tuple(group) for _, group in groupby(members, key=lambda member: _worst_first(member)[:5])]
    return round_robin(groups, _group_rank, lambda group: _account(group[0]), lambda group: _cluster(group[0]))


def _group_rank(group: Sequence[Member]) -> tuple[int, int, int, str, str]:
    kind, severity, cause, cluster, *_ = _worst_first(group[0])
    return kind, severity, len(group), cause, cluster


def _account(member: Member) -> str:
    return member[0].subject.account


def _cluster(member: Member) -> str:
    return member[0].subject.cluster


def _head(incidents: Sequence[Incident], kind: Kind, language: str) -> str:
    severity, cluster = incidents[0].severity, incidents[0].subject.cluster
    place = "" if cluster in _NO_CLUSTER else phrase("in_cluster", language, cluster=cluster)
    if place:
        place = f" ({place})" if language == "ja" else f" {place}"
    return phrase(
        f"gathered_{kind}",
        language,
        severity=phrase(f"severity_{severity}", language),
        cause=_cause(incidents, language),
        place=place,
        count=len(incidents),
    )


def _cause(incidents: Sequence[Incident], language: str) -> str:
    """The words of a single message, such as "Container crashed", if they are the same for all that share the line."""
    exact = {cause_in_title(incident.alert, language) for incident in incidents}
    return exact.pop() if len(exact) == 1 else cause_words(incidents[0].alert.cause, language)


def _names(incidents: Sequence[Incident], language: str, room: int) -> str:
    """`service web, service api (12 alerts) and 3 more`: what is in trouble, and how many alerts if more than one."""
    names: list[str] = []
    separator = phrase("list_separator", language)
    for incident in incidents:
        name = _named(incident, language)
        room -= len(name) + 2
        if room < 0:
            return separator.join(names) + phrase("gathered_names_more", language, count=len(incidents) - len(names))
        names.append(name)
    return separator.join(names)


def _named(incident: Incident, language: str) -> str:
    """The name, with the number of alerts; with each cause's where the line's cause is not the only one."""
    name = subject_name(incident.subject, language, incident.alert.task)
    if incident.count == 1:
        return name
    causes = ""
    if len(incident.causes) > 1:
        most_frequent = Counter(incident.causes).most_common(_CAUSES)
        counts = [
            phrase("cause_counted", language, cause=mid_sentence(cause_words(cause, language)), count=count)
            for cause, count in most_frequent
        ]
        if others := incident.count - sum(count for _, count in most_frequent):
            counts.append(phrase("other_causes", language, count=others))
        causes = phrase("gathered_causes", language, causes=phrase("list_separator", language).join(counts))
    return phrase("gathered_alerts", language, name=name, count=incident.count, causes=causes)


# --- links ------------------------------------------------------------------------------------------------------------


def _links(incidents: Sequence[Incident], language: str) -> tuple[tuple[str, str], ...]:
    """The best page about the worst incident, then the clusters in the same order."""
    worst = incidents[0]
    links: dict[str, str] = {}
    for page, url in islice(pages(worst.alert), 1):
        name = without_middle(worst.subject.name, _LINK_NAME)
        links[url] = phrase("link_of", language, link=phrase(f"link_{page}", language), name=name)
    for incident in incidents:
        subject, site = incident.subject, console.site(incident.alert.partition, incident.subject.region)
        if site and subject.cluster not in _NO_CLUSTER:
            name = without_middle(subject.cluster, _LINK_NAME)
            label = phrase("link_of", language, link=phrase("link_cluster", language), name=name)
            links.setdefault(console.cluster(site, subject.cluster), label)
    return tuple((label, url) for url, label in links.items())[:LINKS]
