"""Render: the message of a notification, in the reader's language and time zone. Channels lay it out; see `Message`.

What failed and since when comes first, then ECS's own words, then what to do. A message about a problem that continues
says how often it occurred; one about its end is short.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any, NamedTuple, assert_never

from router.causes import CRASHED, KILLED, cause_words, in_language, mid_sentence
from router.config.time_zones import zone
from router.ecs.exit_codes import SIGKILL, asked_to_stop
from router.ecs.stop_reason import image, parse
from router.incident.state import Dispatch
from router.messages import alarms, api_calls, console, containers, health_events
from router.messages.hints import Hint, Situation, hint, named, worded
from router.messages.hygiene import cleaned
from router.messages.phrases import ordinal, part_labels, phrase, span, status
from router.model import (
    Alert,
    ChannelConfig,
    Container,
    EndedBy,
    Enrichment,
    Incident,
    IncidentStatus,
    Kind,
    Message,
    Notification,
    Reason,
    Recurrence,
    Severity,
    Silenced,
    Subject,
    SubjectKind,
)
from router.text.subject_names import TASK_SHOWN, subject_in_cluster

_LATEST = datetime(9999, 12, 30, tzinfo=UTC).timestamp()  # still has a date in every time zone
_NO_NEWS = "essential container in task exited"
_REASON_SHOWN = 1024  # characters; what ECS itself allows a container's reason
_NEW = 3600.0  # seconds after a deployment in which it is suspected of what happens
_TASKS_SHOWN = 10
_TITLE = 130  # characters; Slack's header takes 150, its sign and the severity included
_NAME_SHOWN = 20  # characters that stay of a name in a title, if they have to be that few
LINKS = 4
"""Links of a message: what Slack shows on one line of a phone."""
_DIGEST_SHOWN = len("sha256:") + 12
_ECR = re.compile(r"[0-9]{12}\.dkr[.-]ecr[^/]*/")
_COMMIT = re.compile(r"(:[0-9a-f]{12})[0-9a-f]{20,}$")  # a commit's hash as a tag
_CRASH = "essential_container_exited"
# Alerts about a service that stopped tasks explain; its own page does not list those.
_EXPLAINED_BY_STOPPED_TASKS = {
    "deployment_failed",
    "deployment_rolling_back",
    "deployment_stopped",
    "service_task_start_impaired",
    "service_discovery_instance_unhealthy",
    "vpc_lattice_target_unhealthy",
}
# Prefixes of `startedBy` that name what starts a task on its own; a service's tasks have the id of a deployment.
_STARTERS = {
    "events-rule/": "EventBridge rule",
    "chronos-schedule/": "EventBridge Scheduler",
}


class _MessageContext(NamedTuple):
    """Everything that a message is made of.

    Attributes:
        advice: what to do; None where there is nothing to say, or it is over.
    """

    dispatch: Dispatch
    incident: Incident
    config: ChannelConfig
    enrichment: Enrichment
    advice: Hint | None = None

    @property
    def alert(self) -> Alert:
        """The alert that the message describes."""
        return self.dispatch.alert or self.incident.alert

    @property
    def over(self) -> bool:
        return self.dispatch.kind is Kind.RESOLVED

    @property
    def other_cause(self) -> str:
        """The cause that a reminder is about, if what the alert reported has ended meanwhile; else ""."""
        continuing = self.dispatch.continuing
        if self.dispatch.reason is not Reason.REMINDER or not continuing or self.alert.cause in continuing:
            return ""
        return next(iter(continuing))

    @property
    def gap(self) -> str:
        """Between two sentences."""
        return "" if self.config.language == "ja" else " "

    def phrase(self, key: str, **values: Any) -> str:
        return phrase(key, self.config.language, **values)

    def clock(self, time: float) -> str:
        return _clock(time, self.config)

    def span(self, seconds: float) -> str:
        return span(seconds, self.config.language)

    def about(self, seconds: float) -> str:
        """A span of time in one unit."""
        return span(seconds, self.config.language, units_shown=1)


def notification(
    dispatch: Dispatch,
    incident: Incident,
    config: ChannelConfig,
    enrichment: Enrichment | None = None,
    messages: dict[Any, Message] | None = None,
) -> Notification:
    """What a channel is asked to say, with the message in that channel's language.

    Args:
        enrichment: what is known beyond the event (`router.enrichment.enrich`).
        messages: those of this incident so far; channels that are told the same, in the same words, share one.
    """
    language, time_zone = dispatch.options.language or config.language, dispatch.options.time_zone or config.time_zone
    config = replace(config, language=language, time_zone=time_zone)
    alert = dispatch.alert or incident.alert
    wording = (
        dispatch.kind,
        dispatch.reason,
        dispatch.is_first,
        alert.id,
        tuple(dispatch.suppressed.items()),
        language,
        time_zone,
    )
    messages = {} if messages is None else messages
    if wording not in messages:
        messages[wording] = _message(_MessageContext(dispatch, incident, config, enrichment or Enrichment()))
    mention = "" if dispatch.kind is Kind.RESOLVED else dispatch.options.mention  # a recovery mentions nobody
    return cleaned(
        Notification(
            kind=dispatch.kind,
            message=messages[wording],
            alert=alert,
            incident=incident,
            mention=mention,
            reason=dispatch.reason,
            remote=dispatch.remote,
            revision=dispatch.revision,
            in_doubt=dispatch.in_doubt,
        )
    )


def _message(story: _MessageContext) -> Message:
    hint, advice = _advice(story)
    story = story._replace(advice=hint)
    reason = "" if story.over or story.other_cause else _reason(story.alert)
    return Message(
        title=_title(story, story.dispatch.kind),
        text="\n".join(filter(None, [_lead(story), _other_containers(story), reason, advice])),
        facts=(
            *_labelled(_facts(story), story),
            *story.enrichment.facts.items(),
            *_labelled(_about_the_log(story), story),  # last, because channels show the log below the facts
        ),
        links=_links(story),
        log_excerpt="" if story.over else story.enrichment.log_excerpt,
        reason=reason,
        hint=advice,
        details=_labelled(_details(story), story),
        status=status(story.dispatch.kind, story.incident, story.config.language),
        headline=_title(story, Kind.OPENED),
        labels=part_labels(story.config.language),
        incident_title=_incident_title(story.incident, story.config.language),
    )


def _labelled(values: Mapping[str, str], story: _MessageContext) -> tuple[tuple[str, str], ...]:
    return tuple((story.phrase(f"label_{name}"), value) for name, value in values.items() if value)


# --- what and where ---------------------------------------------------------------------------------------------------


def _title(story: _MessageContext, kind: Kind) -> str:
    """The cause and where. If that is too long, the middle of the name is left out, then that of the cluster's."""
    subject = _subject(story.alert)
    title = _title_about(subject, story, kind)
    if len(title) > _TITLE:
        subject = subject._replace(name=without_middle(subject.name, len(subject.name) - len(title) + _TITLE))
        title = _title_about(subject, story, kind)
    if len(title) > _TITLE:
        subject = subject._replace(cluster=without_middle(subject.cluster, len(subject.cluster) - len(title) + _TITLE))
        title = _title_about(subject, story, kind)
    return title


def _title_about(subject: Subject, story: _MessageContext, kind: Kind) -> str:
    other, language = story.other_cause, story.config.language
    cause = cause_words(other, language) if other else cause_in_title(story.alert, language)
    key = f"title_{kind}"
    if kind is Kind.RESOLVED and story.incident.status is IncidentStatus.UNCONFIRMED:
        key = "title_unconfirmed"
    planned = story.alert.subject.kind is SubjectKind.HEALTH_EVENT  # nothing fails yet
    if kind is Kind.UPDATED and story.incident.severity.at_least(Severity.ERROR) and not planned:
        key = "title_updated_failure"
    where = _where(subject, story)
    return story.phrase(key, cause=cause if kind is Kind.OPENED else mid_sentence(cause), subject=where)


def without_middle(name: str, room: int) -> str:
    """The name in that many characters, or in 20 if that is less: its ends tell more than its middle."""
    room = max(room, _NAME_SHOWN)
    if len(name) <= room:
        return name
    start = room // 2
    return f"{name[:start]}…{name[start + 1 - room :]}"


def cause_in_title(alert: Alert, language: str) -> str:
    """The cause in plain words, as exactly as the alert tells it."""
    if more_exact := alarms.cause_in_title(alert, language) or health_events.cause_in_title(alert, language):
        return more_exact
    code = alert.culprit.exit_code if alert.culprit else None
    if alert.cause != _CRASH or code is None or code == 0 or asked_to_stop(code):
        return cause_words(alert.cause, language)
    return in_language(KILLED if code == SIGKILL else CRASHED, language)


def _incident_title(incident: Incident, language: str) -> str:
    """A title that every message about the incident shares, so that mail clients show them as one thread."""
    cause = cause_words(next(iter(incident.causes), incident.alert.cause), language)
    task = next(iter(incident.tasks), "")
    return phrase("title_opened", language, cause=cause, subject=subject_in_cluster(incident.subject, language, task))


def _subject(alert: Alert) -> Subject:
    return alarms.service_of(alert) or alert.subject


def _where(subject: Subject, story: _MessageContext) -> str:
    """The subject; for an alarm about a service whose title does not say what is wrong, the alarm and the service."""
    alert, language = story.alert, story.config.language
    if affected := health_events.affected_in_title(alert, language):
        return affected
    where = subject_in_cluster(subject, language, alert.task)
    if alarms.service_of(alert) is None or alarms.cause_in_title(alert, language):
        return where
    alarm = subject_in_cluster(alert.subject, language, alert.task)
    return story.phrase("alarm_in_service", alarm=alarm, service=where)


def _memory(story: _MessageContext) -> int | None:
    """MiB at which the culprit is killed; None if several containers are culprits and their limits differ."""
    limits = {containers.memory_limit(container, story.enrichment.memory) for container in story.alert.blamed}
    return limits.pop() if len(limits) == 1 else None


def _hint_values(story: _MessageContext) -> dict[str, str]:
    """What hints may name."""
    expires = story.alert.details.get("expiresAt", "")
    memory = _memory(story)
    return {
        "container": containers.joined(story.alert.blamed, story.config.language),
        "image": _short(_named_image(story.alert)),
        "memory": f"{memory:,}" if memory else "",
        "expires": _moment(expires, story),
        "new_revision": story.alert.task_definition if _is_new(story.enrichment.recurrence, story.alert) else "",
    }


def _culprits_image(alert: Alert) -> str:
    """The culprit's image; "" if several containers are culprits and their images differ."""
    images = {container.image for container in alert.blamed}
    return images.pop() if len(images) == 1 else ""


def _named_image(alert: Alert) -> str:
    """The image that the advice is about: the culprit's, unless the reason names another."""
    of_culprit, reference = _culprits_image(alert), parse(alert.reason).image
    own = image(of_culprit)
    if own and (reference is None or own.repository == reference.repository):
        return of_culprit
    return "" if len(alert.blamed) > 1 else str(reference or "")


def _is_new(past: Recurrence | None, alert: Alert) -> bool:
    """Whether it began soon after its revision was deployed, and not before."""
    if past is None or past.deployed_at is None:
        return False
    return 0 <= alert.at - past.deployed_at < _NEW and (past.previous or 0.0) < past.deployed_at


def _moment(text: str, story: _MessageContext) -> str:
    """A time in ISO 8601 as the reader's clock shows it; "" for any other text."""
    try:
        return story.clock(datetime.fromisoformat(text).timestamp())
    except (ValueError, OverflowError, OSError):
        return ""


def _short(image: str) -> str:
    """An image without ECR's host, which helps no one, and with only as much of a hash as distinguishes two images."""
    name, at, digest = _ECR.sub("", image).partition("@")
    return _COMMIT.sub("\\1…", name) + at + digest[:_DIGEST_SHOWN]


def _advice(story: _MessageContext) -> tuple[Hint | None, str]:
    """What to do: the hint and its words. Of several culprits, only what is right for all of them."""
    if story.over or story.other_cause:
        return None, ""
    known, advice = _hint_values(story), set()
    for culprit in story.alert.blamed or (None,):
        situation = _situation(story.alert, culprit)
        chosen = hint(situation, known)
        advice.add((chosen, worded(chosen, story.config.language, named(situation, known)) if chosen else ""))
    return advice.pop() if len(advice) == 1 else (None, "")


def _situation(alert: Alert, culprit: Container | None) -> Situation:
    """What the hint is chosen by."""
    details = alert.details
    own = parse(containers.reason_for_hint(alert, culprit))
    return Situation(
        cause=alert.cause,
        reason=own if own.error else parse(alert.reason),
        code=culprit.exit_code if culprit else None,
        image=culprit.image if culprit else "",
        launch=details.get("launchType", ""),
        metric=alert.alarm.metric if alert.alarm and alarms.too_few_tasks(alert) else "",
        hook=details.get("hookType", ""),
        refusal=details.get("refusal", ""),
        affects=details.get("affects", ""),
        beside=containers.codes_of_run(alert),
    )


# --- text -------------------------------------------------------------------------------------------------------------


def _lead(story: _MessageContext) -> str:
    """What happened, in one or two sentences."""
    match story.dispatch.kind:
        case Kind.OPENED:
            what_died = _culprit_sentence(story) or _about_the_cause(story)
            reporter = story.phrase("self_reported") if story.alert.self_reported else ""
            sentences = [
                what_died,
                reporter,
                health_events.pages_sentence(story.alert, story.config.language),
                _returns(story),
                _history_sentence(story),
                _held_back(story),
                _muted(story),
            ]
            description = story.alert.alarm.description if story.alert.alarm else ""
            return "\n".join(filter(None, [story.gap.join(filter(None, sentences)), description]))
        case Kind.UPDATED:
            return story.gap.join(filter(None, [_news(story), _latest(story), _returns(story), _continuing(story)]))
        case Kind.RESOLVED:
            return _over(story)
        case _:
            assert_never(story.dispatch.kind)


def _about_the_cause(story: _MessageContext) -> str:
    """The sentence that some causes have, with what a poll found."""
    details, key = story.alert.details, f"about_{story.alert.cause}"
    if details.get("taskId"):
        key = f"{key}_running"
    return phrase(
        key,
        story.config.language,
        default="",
        running=details.get("runningCount", "0"),
        desired=details.get("desiredCount", "0"),
        expected=details.get("expected", ""),
        due=_moment(details.get("dueAt", ""), story),
        task=details.get("taskId", ""),
        command=command("send-test", story.config),
    )


def _news(story: _MessageContext) -> str:
    """How often each cause occurred since the last message, and how often it all occurred since when."""
    incident, since_then = story.incident, story.dispatch.suppressed
    since = _clock_of_day(incident.opened_at, incident.last_at, story.config)
    without_data_since = story.dispatch.without_data_since
    if story.dispatch.reason is Reason.REMINDER and without_data_since is not None:
        time = story.clock(without_data_since)
        return story.phrase("reminder_without_data", time=time, since=story.clock(incident.opened_at))
    if story.dispatch.reason is Reason.REMINDER:
        return story.phrase("reminder", since=story.clock(incident.opened_at))
    if not since_then:
        return story.phrase("going_on_in_total", count=incident.count, since=since)
    counts = _counts(since_then, story, before=incident.causes)
    return story.phrase("going_on", counts=counts, total=incident.count, since=since)


def _latest(story: _MessageContext) -> str:
    """The sentence about the container or the task, for a reader who has not seen the first message."""
    sentence, alert = "" if story.other_cause else _culprit_sentence(story), story.alert
    if not sentence or not alert.task:
        return sentence
    sentence = mid_sentence(sentence)
    if alert.at >= story.incident.last_at:
        return story.phrase("last_time", sentence=sentence)
    time = _clock_of_day(alert.at, story.incident.last_at, story.config)
    return story.phrase("at_a_time", time=time, sentence=sentence)


def _returns(story: _MessageContext) -> str:
    """How often it returned after it was reported as resolved, or failed again after a recovery."""
    incident = story.incident
    since = _clock_of_day(incident.opened_at, incident.last_at, story.config)
    if incident.flapping:
        return story.phrase("flapping", count=incident.relapses, since=since)
    if story.dispatch.reason is Reason.RETURNED and incident.reopened:
        return story.phrase("returned", count=incident.reopened, since=since)
    return ""


def _continuing(story: _MessageContext) -> str:
    """What else continues, or that nothing does at the moment."""
    counts, language = dict(story.dispatch.continuing), story.config.language
    if not counts:
        return story.phrase("recovered_for_now") if story.incident.status is IncidentStatus.RECOVERING else ""
    if story.dispatch.reason is not Reason.REMINDER or counts.get(story.alert.cause) == 1:
        counts.pop(story.alert.cause, None)  # the message describes it
    named = [
        story.phrase("continuing_cause", cause=mid_sentence(cause_words(cause, language)), count=count)
        for cause, count in counts.items()
    ]
    return story.phrase("continuing", causes=story.phrase("list_separator").join(named)) if named else ""


def _over(story: _MessageContext) -> str:
    """What ended it, how long it lasted and how often it occurred."""
    incident = story.incident
    match incident.status:
        case IncidentStatus.UNCONFIRMED if incident.ended_by is EndedBy.WITHOUT_DATA:
            key = "unconfirmed_without_data"
        case IncidentStatus.LAPSED | IncidentStatus.CLOSED | IncidentStatus.UNCONFIRMED:
            key = incident.status.value
        case IncidentStatus.RESOLVED:
            key = "over_unheard" if story.dispatch.is_first else "over"
        case IncidentStatus.OPEN | IncidentStatus.RECOVERING:  # never sent: only what is over is told as resolved
            key = "over"
        case _:
            assert_never(incident.status)
    # A recovery has the event time of what ended it: the quiet time that follows is not part of the trouble.
    lasted = max(0.0, (incident.ended_at or incident.last_at) - incident.opened_at)
    if key in {"over", "over_unheard"} and round(lasted) == 0:
        key = f"{key}_at_once"
    counts = mid_sentence(_counts(incident.causes, story))
    by = _with(incident.closed_by, incident.closed_because)
    over = story.phrase(key, lasted=story.span(lasted), counts=counts, by=by)
    returns = story.phrase("had_returned", count=incident.relapses) if incident.relapses else ""
    return story.gap.join(filter(None, [_ended_by(story), over, returns]))


def _ended_by(story: _MessageContext) -> str:
    incident = story.incident
    if incident.status is not IncidentStatus.RESOLVED or incident.ended_by is None:
        return ""
    return phrase(f"ended_{incident.ended_by}", story.config.language, default="")


def _held_back(story: _MessageContext) -> str:
    """Why no channel was notified earlier."""
    silenced = story.incident.silenced
    if silenced is None:
        return ""
    return story.phrase("held_back", since=story.clock(silenced.since), count=silenced.count, by=_silences(silenced))


def _muted(story: _MessageContext) -> str:
    until = story.alert.alarm.suppressed_until if story.alert.alarm else None
    return alarms.mute_sentence(story.alert, story.clock(until or 0.0), story.config.language)


def _silences(silenced: Silenced) -> str:
    return ", ".join(_with(name, reason) for name, reason in silenced.by.items())


def _with(name: str, reason: str) -> str:
    return f"{name} ({reason})" if reason else name


def _culprit_sentence(story: _MessageContext) -> str:
    alert = story.alert
    if alert.alarm:
        return alarms.sentence(alert, story.config.language)
    return (
        api_calls.sentence(alert, story.config.language)
        or health_events.sentence(alert, story.config.language, story.clock)
        or containers.sentence(alert, story.config.language, story.enrichment.memory)
    )


def _other_containers(story: _MessageContext) -> str:
    return containers.line(story.alert, story.config.language) if story.dispatch.kind is Kind.OPENED else ""


def _history_sentence(story: _MessageContext) -> str:
    """What history knows: how often it has occurred, and whether it began with a deployment."""
    past, alert = story.enrichment.recurrence, story.alert
    if past is None:
        return ""
    if past.previous is None:
        return _deployed("first", past, alert, story)
    earlier = story.about(max(0.0, alert.at - past.previous))
    day, week = (ordinal(count + 1, story.config.language) for count in (past.last_day, past.last_week))
    counted = story.phrase("seen_before", day=day, week=week, earlier=earlier)
    newly = past.deployed_at is not None and past.previous < past.deployed_at
    return story.gap.join(filter(None, [counted, _deployed("again", past, alert, story) if newly else ""]))


def _deployed(key: str, past: Recurrence, alert: Alert, story: _MessageContext) -> str:
    if past.deployed_at is None or alert.at < past.deployed_at:
        return ""
    later = story.about(alert.at - past.deployed_at)
    what = "deployment" if alert.task_definition else "some_deployment"
    return story.phrase(f"{key}_after_{what}", later=later, revision=alert.task_definition)


def _reason(alert: Alert) -> str:
    """ECS's own words as one paragraph; "" where they say no more than the title does."""
    if alert.alarm and alert.alarm.triggered:
        return ""  # it is the ARN of the alarm that the text names
    if health_events.is_whole_reason(alert):
        return ""
    words = " ".join(alert.reason.split())
    if words.lower().startswith(_NO_NEWS):
        return ""
    return words if len(words) <= _REASON_SHOWN else words[: _REASON_SHOWN - 1] + "…"


def _counts(
    counts: Mapping[str, int], story: _MessageContext, *, before: Mapping[str, int] = MappingProxyType({})
) -> str:
    """`Out of memory 3 times, image pull failed once`; "3 more times" of a cause that occurred before these.

    Just `3 alerts` where the title names their cause, which it does in more exact words if it can.
    """
    if [*counts] == [story.alert.cause]:
        (count,) = counts.values()
        return story.phrase("more_alerts" if before.get(story.alert.cause, 0) > count else "alerts", count=count)
    parts: list[str] = []
    for cause, count in counts.items():
        words = cause_words(cause, story.config.language)
        key = "cause_more" if before.get(cause, 0) > count else "cause_counted"
        parts.append(story.phrase(key, cause=mid_sentence(words) if parts else words, count=count))
    return story.phrase("list_separator").join(parts)


def _clock(time: float, config: ChannelConfig) -> str:
    return _local(time, config).strftime("%Y-%m-%d %H:%M:%S %Z")


def _clock_of_day(time: float, now: float, config: ChannelConfig) -> str:
    """The time as the reader's clock shows it, without the date if it is the same day for the reader."""
    local = _local(time, config)
    is_today = local.date() == _local(now, config).date()
    return local.strftime("%H:%M:%S %Z") if is_today else _clock(time, config)


def _local(time: float, config: ChannelConfig) -> datetime:
    return datetime.fromtimestamp(min(time, _LATEST), UTC).astimezone(zone(config.time_zone))


# --- facts ------------------------------------------------------------------------------------------------------------


def _facts(story: _MessageContext) -> dict[str, str]:
    """What tells more about it than the text does."""
    incident, alert = story.incident, story.alert
    if story.over:
        ended = "recovered" if incident.status is IncidentStatus.RESOLVED else "ended"
        return {
            "since": story.clock(incident.opened_at),
            ended: story.clock(incident.ended_at) if incident.ended_at else "",
            "silenced": f"{incident.silenced.count} ({_silences(incident.silenced)})" if incident.silenced else "",
        }
    if story.other_cause:
        return {}
    text_has_times = story.dispatch.kind is Kind.UPDATED or incident.silenced is not None
    memory = _memory(story)
    several = len(incident.tasks) > 1 and story.dispatch.kind is Kind.UPDATED
    return {
        **alarms.facts(alert, story.config.language),
        **health_events.facts(alert, story.config.language, story.clock),
        "image": _image(alert),
        "task_definition": alert.task_definition,
        "memory": f"{memory:,} MiB" if memory and _may_be_memory(alert) else "",
        "lifecycle_stage": alert.details.get("lifecycleStage", ""),
        "instance": alert.details.get("ec2InstanceId", "") if alert.subject.kind is not SubjectKind.INSTANCE else "",
        "tasks": ", ".join(task[:TASK_SHOWN] for task in incident.tasks[:_TASKS_SHOWN]) if several else "",
        "since": "" if text_has_times else story.clock(incident.opened_at),
        "alerts": str(incident.count) if incident.count > 1 and story.dispatch.kind is Kind.OPENED else "",
    }


def _about_the_log(story: _MessageContext) -> dict[str, str]:
    logged_at = story.enrichment.logged_at
    if story.over or not story.enrichment.log_excerpt:
        return {}
    if logged_at is None:
        return {"log_lines": story.phrase("log_lines")}
    return {"log_lines": story.phrase("log_lines_until", time=story.clock(logged_at))}


def _may_be_memory(alert: Alert) -> bool:
    """Whether the culprits may have run out of memory although nothing says so. ECS also kills what does not stop."""
    if alert.cause == "out_of_memory" or alert.stop_code in containers.STOPPED_FROM_OUTSIDE or not alert.blamed:
        return False
    job_done = 0 in containers.codes_of_run(alert)
    return not job_done and all(
        container.exit_code == SIGKILL and container.health != "UNHEALTHY" for container in alert.blamed
    )


def _image(alert: Alert) -> str:
    name, digests = _culprits_image(alert), {container.digest for container in alert.blamed}
    known = "" if "@" in name or len(digests) != 1 else digests.pop()[:_DIGEST_SHOWN]
    return f"{_short(name)} ({known})" if name and known else _short(name)


def _essential(dead: Container | None, story: _MessageContext) -> str:
    flag = story.enrichment.essential.get(dead.name) if dead else None
    return "" if flag is None else story.phrase("yes" if flag else "no")


def _details(story: _MessageContext) -> dict[str, str]:
    """Where it happened and how to find it again, for channels that have room."""
    incident, alert = story.incident, story.alert
    subject, codes = incident.subject, {container.exit_code for container in alert.blamed}
    return {
        "severity": story.phrase(f"severity_{incident.severity}"),
        "subject": subject_in_cluster(subject, story.config.language, alert.task),
        "place": _place(subject, story.enrichment.account_name),
        "container": containers.joined(alert.blamed, story.config.language),
        "exit_code": str(next(iter(codes))) if len(codes) == 1 and codes != {None} else "",
        "essential": _essential(alert.culprit, story),
        "log_group": story.enrichment.logs[0],
        "task": alert.task,
        **_placement(alert),
        "more": command(f"history show {incident.id}", story.config),
    }


def command(words: str, config: ChannelConfig) -> str:
    """The command, with the stage and region of the router: the reader's shell may be set to others."""
    stage = f" --stage {config.stage}" if config.stage else ""
    region = f" --region {config.region}" if config.region else ""
    return f"ecs-alert-router {words}{stage}{region}"


def _place(subject: Subject, account_name: str) -> str:
    account = subject.account if subject.account != "-" else ""
    if account and account_name:
        account = f"{account_name} ({account})"
    return " ".join(part for part in (account, subject.region) if part and part != "-")


def _placement(alert: Alert) -> dict[str, str]:
    """Where a task ran, and what started it."""
    details = alert.details
    starter, capacity_provider = details.get("startedBy", ""), details.get("capacityProviderName", "")
    prefix = next((prefix for prefix in _STARTERS if starter.startswith(prefix)), "")
    return {
        "caller": details.get("caller", "") if alert.subject.kind is not SubjectKind.CALLER else "",
        "availability_zone": details.get("availabilityZone", ""),
        "capacity_provider": capacity_provider,
        "launch_type": details.get("launchType", "") if capacity_provider not in {"FARGATE", "FARGATE_SPOT"} else "",
        "started_by": f"{_STARTERS[prefix]} {starter.removeprefix(prefix)}" if prefix else _person(starter),
    }


def _person(starter: str) -> str:
    """Who or what started a standalone task; a service's tasks have the id of a deployment, which tells nothing."""
    return "" if starter.lower().startswith("ecs-svc/") else starter


# --- links ------------------------------------------------------------------------------------------------------------


def _links(story: _MessageContext) -> tuple[tuple[str, str], ...]:
    """The runbook, pages of the consoles where the region is known, and the source of the hint; the best first."""
    alert = story.alert
    runbook = alert.runbook_url or (alert.alarm.runbook_url if alert.alarm else "")
    links = [(story.phrase("link_runbook"), runbook), *alarms.children_links(alert, story.config.language)]
    links += [(story.phrase(f"link_{name}"), url) for name, url in pages(alert, story.enrichment, over=story.over)]
    links.append((story.phrase("link_source"), story.advice.source if story.advice else ""))
    return tuple((label, url) for label, url in links if url)[:LINKS]


def pages(alert: Alert, enrichment: Enrichment | None = None, *, over: bool = False) -> Iterator[tuple[str, str]]:
    """(name, URL) of the pages of the AWS console about an alert, the most useful first; none if its place is unknown.

    The router needs no permission for them; only the page of a log stream needs a name from `enrichment`.
    """
    if health_event := health_events.page(alert):
        yield "health_event", health_event
    site = console.site(alert.partition, alert.subject.region)
    if site is None:
        return
    subject = _subject(alert)
    cluster = subject.cluster
    if cluster != "-":
        yield from _task_pages(alert, site, enrichment or Enrichment())
        if subject.kind is SubjectKind.SERVICE:
            yield from _service_pages(alert, site, subject)
        elif not alert.task and subject.kind is not SubjectKind.ALARM:
            yield "cluster", console.cluster(site, cluster)
    if alert.subject.kind is SubjectKind.ALARM:
        yield "alarm", console.alarm(site, alert.subject.name)
    if not over:
        yield from console.named_in(site, alert.reason)


def _task_pages(alert: Alert, site: console.Site, enrichment: Enrichment) -> Iterator[tuple[str, str]]:
    cluster = alert.subject.cluster
    if all(enrichment.logs):
        yield "logs", console.log_stream(site, *enrichment.logs)
    elif alert.task and alert.stop_code != "TaskFailedToStart":  # what never started has written nothing
        yield "logs", console.task_logs(site, cluster, alert.task)
    if alert.task:
        yield "task", console.task(site, cluster, alert.task)


def _service_pages(alert: Alert, site: console.Site, service: Subject) -> Iterator[tuple[str, str]]:
    cluster, name = service.cluster, service.name
    by_stopped_tasks = alert.cause in _EXPLAINED_BY_STOPPED_TASKS or alert.subject.kind is SubjectKind.ALARM
    if by_stopped_tasks or alert.stop_code == "TaskFailedToStart":
        yield "stopped_tasks", console.stopped_tasks(site, cluster, name)
    if alert.cause.startswith(("deployment_", "hook_")):
        yield "deployments", console.service(site, cluster, name, "deployments")
    else:
        yield "service", console.service(site, cluster, name)
