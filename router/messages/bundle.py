"""Gathering: one message about many incidents, worst first, where one for each would be more than anybody can read.

Incidents with the same severity and cause in the same cluster share a line; each is named as long as there is room.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby

from router.causes import cause_words
from router.incident.state import Dispatch, SubjectState
from router.messages.hygiene import cleaned
from router.messages.phrases import part_labels, phrase, status
from router.model import ChannelConfig, Incident, Kind, Message, Notification, Severity, SubjectKind

ROOM = 2800
"""Characters of a message's text: Slack takes 3,000 in a section, escapes included."""
_LINE = 700  # characters of the names in one line, so that the first does not take the room of all
_ORDER = {Kind.OPENED: 0, Kind.UPDATED: 1, Kind.RESOLVED: 2}

Member = tuple[Incident, Dispatch]


def bundle(parts: Sequence[tuple[SubjectState, Dispatch]], config: ChannelConfig) -> Notification:
    """What a channel is asked to say of many incidents at once.

    Its kind is `opened` as soon as one of them is new, `resolved` only if all are over; `gathered` holds them all.
    """
    told = sorted(((each.incident, dispatch) for each, dispatch in parts if each.incident), key=_worst_first)
    worst, dispatch = told[0]
    language = dispatch.options.language or config.language
    resolved = "_resolved" if dispatch.kind is Kind.RESOLVED else ""
    place = _place((incident.subject.cluster for incident, _ in told), language)
    facts = (
        (phrase("label_severity", language), _severities(told, language)),
        (phrase("label_more", language), "ecs-alert-router history open"),
    )
    message = Message(
        title=phrase(f"title_gathered{resolved}", language, count=len(told), place=place),
        text="\n".join(_lines(told, language)),
        facts=facts,
        status=status(dispatch.kind, worst.severity, language),
        headline=phrase(f"headline_gathered{resolved}", language, count=len(told), place=place),
        labels=part_labels(language),
    )
    mention = "" if dispatch.kind is Kind.RESOLVED else dispatch.options.mention
    incidents = tuple(incident for incident, _ in told)
    return cleaned(Notification(dispatch.kind, message, worst.alert, worst, mention, incidents))


def _worst_first(part: Member) -> tuple[int, int, str, str, float]:
    incident, dispatch = part
    cause, cluster = incident.alert.cause, incident.subject.cluster
    return _ORDER[dispatch.kind], -incident.severity.rank, cause, cluster, incident.opened_at


def _place(clusters: Iterable[str], language: str) -> str:
    """` in prod`, ` in 3 clusters`, or nothing: an alarm, say, has no cluster."""
    known = sorted({*clusters} - {"-"})
    if len(known) > 1:
        return phrase("in_clusters", language, count=len(known))
    return phrase("in_cluster", language, cluster=known[0]) if known else ""


def _severities(told: Iterable[Member], language: str) -> str:
    counts = Counter(incident.severity for incident, dispatch in told)
    return ", ".join(f"{counts[each]} × {phrase(f'severity_{each}', language)}" for each in Severity if counts[each])


def _lines(told: Sequence[Member], language: str) -> Iterator[str]:
    """A line for each group while there is room; then how many are left."""
    room, left = ROOM, len(told)
    for (_, _, cause, cluster), group in groupby(told, key=lambda part: _worst_first(part)[:4]):
        members = list(group)
        worst, dispatch = members[0]
        head = phrase(
            f"gathered_{dispatch.kind}",
            language,
            severity=phrase(f"severity_{worst.severity}", language),
            cause=cause_words(cause, language),
            place=_place([cluster], language),
            count=len(members),
        )
        line = f"{head}: {_names([incident for incident, _ in members], language)}"
        room -= len(line) + 1
        if room < 0:
            yield phrase("gathered_more", language, count=left)
            return
        left -= len(members)
        yield line


def _names(incidents: Sequence[Incident], language: str) -> str:
    """`web, api × 12 and 3 more`: what is in trouble, and how often where it was more than once."""
    names: list[str] = []
    room = _LINE
    for incident in incidents:
        kind, name = incident.subject.kind, incident.subject.name
        text = name if kind is SubjectKind.SERVICE else phrase(f"subject_{kind}", language, default=name, name=name)
        text += f" × {incident.count}" if incident.count > 1 else ""
        room -= len(text) + 2
        if room < 0:
            return ", ".join(names) + phrase("gathered_names_more", language, count=len(incidents) - len(names))
        names.append(text)
    return ", ".join(names)
