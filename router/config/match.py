"""The `match` of routes, rules, maintenance windows and silences: facts of an alert, compared with globs.

A value is a glob or a list of globs; case is ignored. A fact matches if some value of it matches a glob, or all its
globs are negative, and none of its values matches a negative one, such as `!staging`. A fact that an alert lacks
matches nothing. All facts of a `match` must match. The one exception is `cluster = "*"`, which means every alert: an
alarm may have no cluster.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache

from router.config.globs import compiled
from router.model import Alert, SubjectKind

Match = Mapping[str, tuple[str, ...]]
"""Fact to globs. An empty one matches every alert."""

FACTS: Mapping[str, str] = {
    "account": "The account's id of 12 digits.",
    "alarm": "The name of a CloudWatch alarm.",
    "cause": "What went wrong, such as out_of_memory (docs/classification.md); rules see it before they change it.",
    "cluster": 'The name of the cluster; of a CloudWatch alarm, the one that its dimensions name. "*" is every alert.',
    "container": "The name of a container of the task.",
    "detail_type": "The event's detail-type, such as ECS Task State Change.",
    "event_name": "The event's eventName, such as SERVICE_TASK_PLACEMENT_FAILURE; of AWS Health, its eventTypeCode.",
    "exit_code": "The exit code of a container of the task.",
    "family": "The family of a task that belongs to no service.",
    "image": "The image of a container of the task.",
    "reason": "A reason that ECS gives: the task's, service's or a container's.",
    "region": "The region, such as eu-west-1.",
    "rule": "The rule that decided: a row of docs/classification.md, a plugin or one of [[rules]].",
    "service": "The name of the service; of a CloudWatch alarm, the one that its dimensions name.",
    "severity": "Exactly this severity.",
    "stop_code": "Why ECS stopped the task, such as TaskFailedToStart.",
    "subject": "Kind and name, such as service:web, instance:i-0abc, daemon:agent, deployment-group:APPLICATION/GROUP.",
    "task_definition": "Family and revision of the task definition, such as web:42.",
}
"""What routes, rules and maintenance windows can match, and what it is."""

SILENCE_FACTS: Mapping[str, str] = {**FACTS, "task": "The id of the task."}
"""What silences can match."""

ALWAYS = frozenset({"account", "cause", "cluster", "detail_type", "region", "rule", "severity", "subject"})
"""The facts that every alert has, as far as `*` is concerned."""


def facts_of(alert: Alert) -> dict[str, list[str]]:
    """The alert's facts, in lower case. A fact that it lacks has no values."""
    subject, alarm = alert.subject, alert.alarm
    kind, name = subject.kind, subject.name
    dimensions = alarm.dimensions if alarm else {}
    containers = alert.remaining
    facts: dict[str, Iterable[str]] = {
        "account": (subject.account,),
        "alarm": (name,) if kind is SubjectKind.ALARM else (),
        "cause": (alert.cause,),
        "cluster": (dimensions.get("ClusterName", "") if alarm else subject.cluster,),
        "container": [container.name for container in containers],
        "detail_type": (alert.detail_type,),
        "event_name": (alert.event_name,),
        "exit_code": [str(container.exit_code) for container in containers if container.exit_code is not None],
        "family": (name,) if kind is SubjectKind.FAMILY else (),
        "image": [container.image for container in containers],
        "reason": (alert.reason, alert.event_reason, *(container.reason for container in containers)),
        "region": (subject.region,),
        "rule": (alert.rule, *alert.rule.split(RULE_SEPARATOR)),
        "service": (name,) if kind is SubjectKind.SERVICE else (dimensions.get("ServiceName", ""),),
        "severity": (alert.severity.value,),
        "stop_code": (alert.stop_code,),
        "subject": (subject.text,),
        "task": (alert.task,),
        "task_definition": (alert.task_definition,),
    }
    return {fact: [value.lower() for value in values if value not in _ABSENT] for fact, values in facts.items()}


_ABSENT = {"", "-"}
RULE_SEPARATOR = ", then "
"""Separates the table's rule from the user's own rule in `Alert.rule`."""


def matches(match: Match, facts: Mapping[str, Sequence[str]]) -> bool:
    """Whether all facts of `match` match. `facts` are as `facts_of` gives them."""
    for fact, globs in match.items():
        if values := facts[fact]:
            if not accepts(globs)(values):
                return False
        elif fact != "cluster" or not accepts_all(globs):
            return False
    return True


def everything(match: Match) -> bool:
    """Whether it matches every alert."""
    return all(fact in ALWAYS and accepts_all(globs) for fact, globs in match.items())


@lru_cache(maxsize=8192)
def accepts_all(globs: tuple[str, ...]) -> bool:
    """Whether the globs match every value."""
    positive, negative = split(globs)
    return not negative and any(not glob.strip("*") for glob in positive)


@lru_cache(maxsize=8192)
def split(globs: tuple[str, ...]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The positive globs and, without their `!`, the negative ones."""
    negative = tuple(glob[1:] for glob in globs if glob.startswith("!"))
    return tuple(glob for glob in globs if not glob.startswith("!")), negative


@lru_cache(maxsize=8192)  # enough for all of a thousand silences and a hundred routes
def accepts(globs: tuple[str, ...]) -> Callable[[Sequence[str]], bool]:
    """A predicate of a fact's values, in lower case."""
    positive, negative = split(globs)
    is_wanted, is_refused = compiled(positive), compiled(negative)

    def wants(values: Sequence[str]) -> bool:
        for value in values:  # noqa: SIM110 - any() takes twice as long, and there may be hundreds of routes
            if is_wanted(value):
                return True
        return False

    def accepts_all_but(values: Sequence[str]) -> bool:
        return not any(map(is_refused, values)) and (wants(values) if positive else bool(values))

    return accepts_all_but if negative else wants
