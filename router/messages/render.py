"""Render: the message of a notification, in the reader's language and time zone. Channels lay it out; see `Message`.

What died and since when stands first, then ECS's own words, then what to do. A message that says that trouble goes on
counts; one that says that it is over is short.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, NamedTuple, assert_never

from router.causes import cause_words
from router.config.time_zones import zone
from router.ecs.exit_codes import meaning
from router.ecs.stop_reason import image, parse
from router.incident.state import Dispatch
from router.messages import console
from router.messages.hints import Hint, Situation, hint, named, worded
from router.messages.hygiene import cleaned
from router.messages.phrases import phrase, span
from router.model import (
    Alert,
    ChannelConfig,
    Container,
    Enrichment,
    Incident,
    IncidentStatus,
    Kind,
    Message,
    Notification,
    Recurrence,
    Silenced,
    Subject,
    SubjectKind,
)

_LATEST = datetime(9999, 12, 30, tzinfo=UTC).timestamp()  # still has a date in every time zone
_NO_NEWS = "essential container in task exited"
_REASON_SHOWN = 1024  # characters; what ECS itself allows a container's reason
_NEW = 3600.0  # seconds after a deployment in which it is suspected of what happens
_TASKS_SHOWN = 10
_TASK_SHOWN = 8  # characters of an id; enough to find it by
SIGKILL = 137  # 128 + 9
_DIGEST_SHOWN = len("sha256:") + 12
_ECR = re.compile(r"[0-9]{12}\.dkr[.-]ecr[^/]*/")
_COMMIT = re.compile(r"(:[0-9a-f]{12})[0-9a-f]{20,}$")  # a commit's hash as a tag
# Where ECS stopped the task, its containers' exit codes are no news: they were asked to stop.
_BY_ECS = {"ServiceSchedulerInitiated", "SpotInterruption", "TerminationNotice", "InfrastructureHealth"}
_TASK_COUNTS = {"RunningTaskCount", "DesiredTaskCount"}  # metrics of Container Insights


class _MessageContext(NamedTuple):
    """Everything that a message is made of.

    Attributes:
        advice: what to do; None where there is nothing to say, or it is over.
    """

    dispatch: Dispatch
    incident: Incident
    config: ChannelConfig
    found: Enrichment
    advice: Hint | None = None

    @property
    def alert(self) -> Alert:
        return self.incident.alert

    @property
    def over(self) -> bool:
        return self.dispatch.kind is Kind.RESOLVED

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
    found: Enrichment | None = None,
    made: dict[Any, Message] | None = None,
) -> Notification:
    """What a channel is asked to say, with the message in that channel's language.

    Args:
        found: what is known beyond the event (`router.enrichment.enrich`).
        made: messages of this incident so far; channels that are told the same, in the same words, share one.
    """
    language, time_zone = dispatch.options.language or config.language, dispatch.options.time_zone or config.time_zone
    config = replace(config, language=language, time_zone=time_zone)
    said = (dispatch.kind, dispatch.is_first, tuple(dispatch.suppressed.items()), language, time_zone)
    made = {} if made is None else made
    if said not in made:
        made[said] = _message(_MessageContext(dispatch, incident, config, found or Enrichment()))
    mention = "" if dispatch.kind is Kind.RESOLVED else dispatch.options.mention  # nobody is called for good news
    return cleaned(Notification(dispatch.kind, made[said], incident.alert, incident, mention))


def _message(story: _MessageContext) -> Message:
    known = _hint_values(story)
    if not story.over:
        story = story._replace(advice=_advice(story.alert, known))
    title = story.phrase(f"title_{story.dispatch.kind}", cause=_what(story), subject=_where(story))
    reason = "" if story.over else _reason(story.alert)
    names = named(_situation(story.alert), known)
    advice = worded(story.advice, story.config.language, names) if story.advice else ""
    return Message(
        title=title,
        text="\n".join(filter(None, [_lead(story), reason, advice])),
        facts=_labelled(_facts(story), story) + tuple(story.found.facts.items()),
        links=_links(story),
        log_excerpt="" if story.over else story.found.log_excerpt,
        reason=reason,
        hint=advice,
        details=_labelled(_details(story), story),
    )


def _labelled(values: Mapping[str, str], story: _MessageContext) -> tuple[tuple[str, str], ...]:
    return tuple((story.phrase(f"label_{name}"), value) for name, value in values.items() if value)


# --- what and where ---------------------------------------------------------------------------------------------------


def _what(story: _MessageContext) -> str:
    """The cause in plain words."""
    return (
        story.phrase("too_few_tasks")
        if _alarmed_service(story.alert)
        else cause_words(story.alert.cause, story.config.language)
    )


def _where(story: _MessageContext) -> str:
    subject = _alarmed_service(story.alert) or story.alert.subject
    name = subject.name
    if name == "-":  # an event may lack the group and the task definition, never the task
        name = story.alert.task[:_TASK_SHOWN]
    named = phrase(f"subject_{subject.kind}", story.config.language, default="", name=name) if name else ""
    if subject.cluster == "-":
        return named or subject.text
    return story.phrase("subject_in_cluster", subject=named or subject.text, cluster=subject.cluster)


def _alarmed_service(alert: Alert) -> Subject | None:
    """The service of which an alarm on Container Insights' task counts tells; its metric names it."""
    details = alert.details
    if details.get("metric") in _TASK_COUNTS and "ServiceName" in details:
        cluster = details.get("ClusterName", "-")
        return alert.subject._replace(cluster=cluster, kind=SubjectKind.SERVICE, name=details["ServiceName"])
    return None


def _memory(story: _MessageContext) -> int | None:
    """MiB at which the culprit is killed; the task definition knows better than the event."""
    dead = story.alert.culprit
    return (story.found.memory.get(dead.name) or dead.memory) if dead else None


def _hint_values(story: _MessageContext) -> dict[str, str]:
    """What hints may name."""
    dead, expires = story.alert.culprit, story.alert.details.get("expiresAt", "")
    memory = _memory(story)
    return {
        "container": dead.name if dead else "",
        "image": _short(_named_image(story.alert)),
        "memory": f"{memory:,}" if memory else "",
        "expires": _moment(expires, story),
        "new_revision": story.alert.task_definition if _is_new(story.found.recurrence, story.alert) else "",
    }


def _named_image(alert: Alert) -> str:
    """The image that the advice is about: the culprit's, unless the reason names another."""
    dead, reference = alert.culprit, parse(alert.reason).image
    own = image(dead.image) if dead else None
    if dead and (reference is None or (own and own.repository == reference.repository)):
        return dead.image
    return str(reference or "")


def _is_new(past: Recurrence | None, alert: Alert) -> bool:
    """Whether it began soon after its revision was deployed, and not before."""
    if past is None or past.deployed_at is None:
        return False
    return 0 <= alert.at - past.deployed_at < _NEW and (past.previous or 0.0) < past.deployed_at


def _moment(text: str, story: _MessageContext) -> str:
    """ISO 8601 as the reader's clock shows it, or "" where it is something else."""
    try:
        return story.clock(datetime.fromisoformat(text).timestamp())
    except (ValueError, OverflowError, OSError):
        return ""


def _short(image: str) -> str:
    """Without ECR's host, which tells nobody anything, and with as much of a hash as tells two apart."""
    name, at, digest = _ECR.sub("", image).partition("@")
    return _COMMIT.sub("\\1…", name) + at + digest[:_DIGEST_SHOWN]


def _advice(alert: Alert, known: Mapping[str, str]) -> Hint | None:
    return hint(_situation(alert), known)


def _situation(alert: Alert) -> Situation:
    """What the hint is chosen by."""
    dead, details = alert.culprit, alert.details
    return Situation(
        cause=alert.cause,
        reason=parse(alert.reason),
        code=dead.exit_code if dead else None,
        image=dead.image if dead else "",
        launch=details.get("launchType", ""),
        metric=details.get("metric", ""),
        hook=details.get("hookType", ""),
    )


# --- text -------------------------------------------------------------------------------------------------------------


def _lead(story: _MessageContext) -> str:
    """What happened, in one or two sentences."""
    match story.dispatch.kind:
        case Kind.OPENED:
            what_died = _culprit_sentence(story) or phrase(story.alert.cause, story.config.language, default="")
            reporter = story.phrase("self_reported") if story.alert.self_reported else ""
            sentences = [what_died, reporter, _history_sentence(story), _held_back(story)]
            return story.gap.join(filter(None, sentences))
        case Kind.UPDATED:
            counts = _counts(story.dispatch.suppressed or story.incident.causes, story)
            since = story.clock(story.incident.opened_at)
            return story.phrase("going_on", counts=counts, total=story.incident.count, since=since)
        case Kind.RESOLVED:
            return _over(story)
        case _:
            assert_never(story.dispatch.kind)


def _over(story: _MessageContext) -> str:
    incident = story.incident
    match incident.status:
        case IncidentStatus.LAPSED | IncidentStatus.CLOSED:
            key = incident.status.value
        case IncidentStatus.RESOLVED:
            key = "over_unheard" if story.dispatch.is_first else "over"
        case IncidentStatus.OPEN | IncidentStatus.RECOVERING:  # never sent: only what is over is told as resolved
            key = "over"
        case _:
            assert_never(incident.status)
    lasted = max(0.0, (incident.ended_at or incident.last_at) - incident.opened_at)
    counts = _counts(incident.causes, story)
    by = _with(incident.closed_by, incident.closed_because)
    return story.phrase(key, lasted=story.span(lasted), counts=counts, total=incident.count, by=by)


def _held_back(story: _MessageContext) -> str:
    """Why nothing was heard of it before."""
    silenced = story.incident.silenced
    if silenced is None:
        return ""
    return story.phrase("held_back", since=story.clock(silenced.since), count=silenced.count, by=_silences(silenced))


def _silences(silenced: Silenced) -> str:
    return ", ".join(_with(name, reason) for name, reason in silenced.by.items())


def _with(name: str, reason: str) -> str:
    return f"{name} ({reason})" if reason else name


def _culprit_sentence(story: _MessageContext) -> str:
    alert = story.alert
    dead = alert.culprit
    if watched := _alarmed_service(alert):
        return story.phrase("tasks_missing", service=watched.name, cluster=watched.cluster)
    if "description" in alert.details:
        return alert.details["description"]
    if alert.stop_code in _BY_ECS:
        return _stopped_by_ecs(story)
    if dead is None:
        return ""
    if alert.cause == "out_of_memory" and dead.exit_code != 0:
        memory = _memory(story)
        key = "container_killed_at" if memory else "container_killed"
        return story.phrase(key, container=dead.name, memory=f"{memory or 0:,}") + _after(story)
    return _exited(dead, story)


def _exited(dead: Container, story: _MessageContext) -> str:
    if dead.exit_code is None:
        never_ran = story.alert.stop_code == "TaskFailedToStart"
        return story.phrase("container_never_ran" if never_ran else "container_without_code", container=dead.name)
    means = meaning(dead.exit_code, story.config.language)
    key = "container_with_meaning" if means else "container_with_code"
    return story.phrase(key, container=dead.name, code=dead.exit_code, meaning=means) + _after(story)


def _stopped_by_ecs(story: _MessageContext) -> str:
    if not story.alert.stopped:
        return story.phrase("task_will_stop")
    ran = _ran(story.alert)
    return story.phrase("task_stopped_after", lasted=story.span(ran)) if ran is not None else ""


def _ran(alert: Alert) -> float | None:
    """How long the task ran, in seconds."""
    never_ran = alert.stop_code == "TaskFailedToStart"  # what has no start has its creation in `started_at`
    if not alert.stopped or never_ran or alert.started_at is None or alert.at < alert.started_at:
        return None
    return alert.at - alert.started_at


def _after(story: _MessageContext) -> str:
    """The sentence that tells how long it ran, to be put behind another."""
    ran = _ran(story.alert)
    return story.gap + story.phrase("it_ran", lasted=story.span(ran)) if ran is not None else ""


def _history_sentence(story: _MessageContext) -> str:
    """What history knows: how often it has been, and whether a deployment began it."""
    past, alert = story.found.recurrence, story.alert
    if past is None:
        return ""
    if past.previous is None:
        return _deployed("first", past, alert, story)
    earlier = story.about(max(0.0, alert.at - past.previous))
    counted = story.phrase("seen_before", day=past.last_day + 1, week=past.last_week + 1, earlier=earlier)
    newly = past.deployed_at is not None and past.previous < past.deployed_at
    return story.gap.join(filter(None, [counted, _deployed("again", past, alert, story) if newly else ""]))


def _deployed(key: str, past: Recurrence, alert: Alert, story: _MessageContext) -> str:
    if past.deployed_at is None or alert.at < past.deployed_at:
        return ""
    later = story.about(alert.at - past.deployed_at)
    what = "deployment" if alert.task_definition else "some_deployment"
    return story.phrase(f"{key}_after_{what}", later=later, revision=alert.task_definition)


def _reason(alert: Alert) -> str:
    """ECS's own words as one paragraph; the container's, where the task's say no more than the title does."""
    words = " ".join(alert.reason.split())
    if words.lower().startswith(_NO_NEWS):
        words = " ".join(alert.culprit.reason.split()) if alert.culprit else ""
    return words if len(words) <= _REASON_SHOWN else words[: _REASON_SHOWN - 1] + "…"


def _counts(counts: Mapping[str, int], story: _MessageContext) -> str:
    language = story.config.language
    return ", ".join(f"{count} × {cause_words(cause, language)}" for cause, count in counts.items())


def _clock(time: float, config: ChannelConfig) -> str:
    local = datetime.fromtimestamp(min(time, _LATEST), UTC).astimezone(zone(config.time_zone))
    return local.strftime("%Y-%m-%d %H:%M:%S %Z")


# --- facts ------------------------------------------------------------------------------------------------------------


def _facts(story: _MessageContext) -> dict[str, str]:
    """What tells more about it than the text does."""
    incident, alert = story.incident, story.alert
    times = {
        "since": story.clock(incident.opened_at),
        "until": story.clock(incident.ended_at) if story.over and incident.ended_at else "",
        "alerts": str(incident.count) if incident.count > 1 else "",
        "silenced": f"{incident.silenced.count}: {_silences(incident.silenced)}" if incident.silenced else "",
    }
    if story.over:
        return times
    dead, memory = alert.culprit, _memory(story)
    several = len(incident.tasks) > 1 and story.dispatch.kind is Kind.UPDATED
    return {
        "image": _image(dead),
        "task_definition": alert.task_definition,
        "memory": f"{memory:,} MiB" if memory and _may_be_memory(alert, dead) else "",
        "lifecycle_stage": alert.details.get("lifecycleStage", ""),
        "instance": alert.details.get("ec2InstanceId", "") if alert.subject.kind is not SubjectKind.INSTANCE else "",
        "tasks": ", ".join(task[:_TASK_SHOWN] for task in incident.tasks[:_TASKS_SHOWN]) if several else "",
        **times,
    }


def _may_be_memory(alert: Alert, dead: Container | None) -> bool:
    """Where it is memory, the text tells the limit."""
    return alert.cause != "out_of_memory" and dead is not None and dead.exit_code == SIGKILL


def _image(dead: Container | None) -> str:
    if dead is None or not dead.image:
        return ""
    known = "" if "@" in dead.image else dead.digest[:_DIGEST_SHOWN]
    return f"{_short(dead.image)} ({known})" if known else _short(dead.image)


def _essential(dead: Container | None, story: _MessageContext) -> str:
    flag = story.found.essential.get(dead.name) if dead else None
    return "" if flag is None else story.phrase("yes" if flag else "no")


def _details(story: _MessageContext) -> dict[str, str]:
    """Where it was and how to find it again, for whoever has room."""
    incident, alert = story.incident, story.alert
    subject, dead = incident.subject, alert.culprit
    return {
        "severity": story.phrase(f"severity_{incident.severity}"),
        "subject": subject.text,
        "cluster": "" if subject.cluster == "-" else subject.cluster,
        "place": " ".join(part for part in (subject.account, subject.region) if part != "-"),
        "container": dead.name if dead else "",
        "exit_code": str(dead.exit_code) if dead and dead.exit_code is not None else "",
        "essential": _essential(dead, story),
        "log_group": story.found.logs[0],
        "task": alert.task,
        "incident": incident.id,
        "more": f"ecs-alert-router history show {incident.id}",
    }


# --- links ------------------------------------------------------------------------------------------------------------


def _links(story: _MessageContext) -> tuple[tuple[str, str], ...]:
    """The runbook, pages of the consoles where the region is known, and the source of the hint."""
    alert = story.alert
    pages = [("runbook", alert.runbook_url)]
    if console.is_region(alert.subject.region):
        pages += _pages(alert, story)
    pages.append(("source", story.advice.source if story.advice else ""))
    return tuple((story.phrase(f"link_{name}"), url) for name, url in pages if url)


def _pages(alert: Alert, story: _MessageContext) -> Iterable[tuple[str, str]]:
    subject = _alarmed_service(alert) or alert.subject
    region, cluster = subject.region, subject.cluster
    if cluster != "-":
        if alert.task and not story.over:
            yield "task", console.task(region, cluster, alert.task)
        if all(story.found.logs) and not story.over:
            yield "logs", console.log_stream(region, *story.found.logs)
        if subject.kind is SubjectKind.SERVICE:
            about_deployment = alert.cause.startswith(("deployment_", "hook_"))
            yield (
                "service",
                console.service(region, cluster, subject.name, "deployments" if about_deployment else "health"),
            )
        elif not alert.task and subject.kind is not SubjectKind.ALARM:
            yield "cluster", console.cluster(region, cluster)
    if alert.subject.kind is SubjectKind.ALARM:
        yield "alarm", console.alarm(region, alert.subject.name)
