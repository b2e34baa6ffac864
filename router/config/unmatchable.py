"""What a `match` can never match: unknown causes, names that AWS does not allow, facts that no alert has together."""

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import NamedTuple

from router.causes import CAUSES
from router.config.forms import known, shown
from router.config.globs import WILDCARDS, compiled
from router.config.match import RULE_SEPARATOR, Match, split
from router.ecs.classify import RULES
from router.model import CHANNEL_HEALTH, RUN_OVERDUE, SERVICE_COUNT, Severity, SubjectKind

STOP_CODES = (
    "TaskFailedToStart",
    "EssentialContainerExited",
    "UserInitiated",
    "ServiceSchedulerInitiated",
    "SpotInterruption",
    "TerminationNotice",
    "InfrastructureHealth",
)
DETAIL_TYPES = (
    "ECS Task State Change",
    "ECS Container Instance State Change",
    "ECS Container Instance Health Change",
    "ECS Service Action",
    "ECS Deployment State Change",
    "CloudWatch Alarm State Change",
    "ECS Hook State Change",
    "ECS Daemon Service Action",
    "ECS Daemon Deployment State Change",
    "CodeDeploy Deployment State-change Notification",
    "CloudWatch Alarm Configuration Change",
    "AWS API Call via CloudTrail",
    "AWS Health Event",
    "Container Exited",
    "CloudWatch Alarm Contributor State Change",
    CHANNEL_HEALTH,
    SERVICE_COUNT,
    RUN_OVERDUE,
)
EVENT_NAMES = ("RunTask", "StartTask", "AWS_ECS_TASK_PATCHING_RETIREMENT", "AWS_ECS_OPERATIONAL_ISSUE")
"""Event names that are not causes: API calls that CloudTrail records, and types of AWS Health events."""
_TASKS = ("container", "image", "exit_code", "stop_code", "task_definition", "task", "family")
_APART = ({"service", "family"}, *({"alarm", fact} for fact in (*_TASKS, "event_name")))
_APART_FROM_EVENTS = tuple({"event_name", fact} for fact in _TASKS if fact not in {"task_definition", "family"})
_KINDS = tuple(kind.value for kind in SubjectKind if kind.value)


class Known(NamedTuple):
    """The names that alerts can have; None if any name is possible, because a plugin may give it."""

    causes: Collection[str] | None
    rules: Collection[str] | None


BUILT_IN = Known(CAUSES.keys(), {rule.name for rule in RULES})


class _Shape(NamedTuple):
    """The values that a fact can have.

    Attributes:
        whole: a regular expression that matches every such value.
        characters: a regular expression that matches each character of such a value.
        what: how to write one, for the reader of an error.
    """

    whole: str
    characters: str
    what: str


def _name(what: str) -> _Shape:
    return _Shape("[a-z0-9_-]{1,255}", "[a-z0-9_-]", f"the {what}'s name, not its ARN: letters, digits, - and _")


_SHAPES: Mapping[str, _Shape] = {
    "account": _Shape("[0-9]{12}", "[0-9]", "an account's id of 12 digits"),
    "region": _Shape("[a-z]{2,}(-[a-z]+)+-[0-9]+", "[a-z0-9-]", "a region such as eu-west-1"),
    "cluster": _name("cluster"),
    "service": _name("service"),
    "family": _name("task family"),
    "container": _name("container"),
    "task": _Shape("[a-z0-9-]+", "[a-z0-9-]", "the task's id, not its ARN"),
    "task_definition": _Shape(
        "[a-z0-9_-]+:[0-9]+", "[a-z0-9_:-]", "family and revision, such as web:42 or web:*, not an ARN"
    ),
    "exit_code": _Shape("-?[0-9]{1,10}", "[0-9-]", "an exit code such as 137"),
    "event_name": _Shape("[a-z0-9_]+", "[a-z0-9_]", "an event's name such as SERVICE_TASK_PLACEMENT_FAILURE"),
    "alarm": _Shape("(?!arn:).+", ".", "the alarm's name, not its ARN"),
    "image": _Shape(r"\S+", r"\S", "an image, without spaces"),
    "subject": _Shape(f"({'|'.join(_KINDS)}):.+", ".", f"kind and name, such as service:web; {known(_KINDS)}"),
}


def unmatchable(match: Match, names: Known = BUILT_IN) -> Iterator[tuple[str, str]]:
    """The facts whose globs can never match, each with the reason; the fact is "" if it is all of them together."""
    for fact, globs in match.items():
        problems = [problem for glob in globs if (problem := _problem_of(fact, glob.removeprefix("!"), names))]
        yield from ((fact, problem) for problem in problems)
        if not problems and _excludes_all(globs):
            yield fact, f"matches nothing: {', '.join(globs)} excludes all that it names"
    for facts in (*_APART, *_APART_FROM_EVENTS):
        if facts <= match.keys():
            yield "", f"never matches: no alert has both {' and '.join(sorted(facts))}"


def _problem_of(fact: str, glob: str, names: Known) -> str:
    finite: Mapping[str, tuple[Collection[str] | None, str]] = {
        "cause": (names.causes, "is no cause of the router (docs/classification.md) or of your rules"),
        "rule": (names.rules, "is no rule of docs/classification.md and none of yours"),
        "severity": (tuple(Severity), "is no severity"),
        "stop_code": (STOP_CODES, "is no stop code of ECS"),
    }
    if fact in finite:
        possible, what = finite[fact]
        if possible is None or any(map(compiled((glob,)), (name.lower() for name in _parts(fact, glob, possible)))):
            return ""
        return f"{shown(glob)} {what}{_suggested(glob, possible)}"
    shape = _SHAPES.get(fact)
    return "" if shape is None or _fits(glob.lower(), shape) else f"must be {shape.what}, not {shown(glob)}"


def _parts(fact: str, glob: str, possible: Collection[str]) -> Collection[str]:
    """A glob may name the rule of the table and the user's own, as history shows them."""
    if fact != "rule" or RULE_SEPARATOR.strip(", ") not in glob:
        return possible
    return [f"{first}{RULE_SEPARATOR}{second}" for first in possible for second in possible]


def _suggested(glob: str, possible: Collection[str]) -> str:
    """Abbreviations of the field have no letters in common with the cause. A long list would help no one."""
    cause = _ABBREVIATIONS.get(glob.lower())
    suggestion = f"did you mean {cause}?" if cause in possible else known(possible, glob)
    return f"; {suggestion}" if suggestion.endswith("?") or len(possible) <= _LISTED else ""


_LISTED = 10  # names
_ABBREVIATIONS = {
    "oom": "out_of_memory",
    "oomkilled": "out_of_memory",
    "oom_killed": "out_of_memory",
    "cannotpullcontainererror": "image_pull_failed",
    "image_pull": "image_pull_failed",
    "crash": "essential_container_exited",
    "spot": "spot_interruption",
    "alarm": "cloudwatch_alarm",
    "failed": "deployment_failed",
}


def _fits(glob: str, shape: _Shape) -> bool:
    """Whether some value of that shape matches the glob. Of a glob with wildcards, only the characters are compared."""
    if not any(wildcard in glob for wildcard in WILDCARDS):
        return bool(re.fullmatch(shape.whole, glob))
    literal = re.sub(r"\[!?\]?[^\]]*\]|[*?\[]", "", glob)
    return bool(re.fullmatch(f"{shape.characters}*", literal))


def _excludes_all(globs: tuple[str, ...]) -> bool:
    positive, negative = split(globs)
    if any(not glob.strip("*") for glob in negative):
        return True
    is_refused = compiled(negative)
    return bool(positive) and bool(negative) and all(glob in negative or is_refused(glob.lower()) for glob in positive)


# --- what is probably a mistake ---------------------------------------------------------------------------------------


def doubtful(match: Match) -> Iterator[tuple[str, str]]:
    """The facts whose globs match something else than they seem to, each with the reason."""
    for fact, globs in match.items():
        look: Callable[[str], str] | None = _DOUBTS.get(fact)
        yield from ((fact, doubt) for glob in globs if look and (doubt := look(glob.removeprefix("!"))))


def _doubtful_reason(glob: str) -> str:
    has_wildcard = any(wildcard in glob for wildcard in WILDCARDS)
    return "" if has_wildcard else f"matches only a reason that is exactly this text; write {shown(f'*{glob}*')}"


def _unknown_event(glob: str) -> str:
    return _unknown(glob, [*(cause.upper() for cause in CAUSES), *EVENT_NAMES], "event name")


def _unknown_type(glob: str) -> str:
    return _unknown(glob, DETAIL_TYPES, "detail-type")


def _unknown(glob: str, names: Collection[str], what: str) -> str:
    """AWS adds names without notice, so an unknown one may be right."""
    if any(map(compiled((glob,)), (name.lower() for name in names))):
        return ""
    close = known(names, glob)
    suggestion = f"; {close}" if close.endswith("?") else ""
    return f"{shown(glob)} matches no {what} that this version knows{suggestion}"


_DOUBTS: Mapping[str, Callable[[str], str]] = {
    "reason": _doubtful_reason,
    "event_name": _unknown_event,
    "detail_type": _unknown_type,
}
