"""What the event of a CloudWatch alarm says: what the alarm watches, which values crossed which threshold, and whether
CloudWatch suppresses its actions.

The threshold and the comparison are not in the alarm's configuration, only in the state's reason and `reasonData`. So
whether there is too much or too little of something comes from the reason's "greater than" or "less than", never from
the name of the metric.

Sources: "Alarm events and EventBridge", "Mute alarms" and "Suppress composite alarm actions" in the Amazon CloudWatch
User Guide, and events of real alarms.
"""

import json
import math
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from router.ecs.fields import NAME_LIMIT, TEXT_LIMIT, line, mapping, mappings, moment, text
from router.model import Alarm
from router.text.characters import single_line
from router.text.redaction import redacted

DESCRIPTION_LIMIT = 1024  # CloudWatch's own limit
EXPRESSION_LIMIT = 2048  # the longest expression of metric math
RULE_LIMIT = 10_240  # CloudWatch's own limit for an `alarmRule`
_REASON_DATA_LIMIT = 65_536  # a composite alarm's is the longest: one object for each child
_KEPT = 30  # dimensions (CloudWatch's own limit), values and children

_NUMBER = r"[-+]?[0-9.]+(?:[eE][-+]?[0-9]+)?"
_COMPARISON = re.compile(r"\b(?:was|were) (greater|less) than (or equal to )?the (?:lower |upper )?threshold")
_THRESHOLD = re.compile(rf"threshold \(({_NUMBER})\)")
_VALUES = (re.compile(r"datapoints? \[([^\]]*)\]"), re.compile(r"crossed the threshold: \[([^\]]*)\]"))
_BAND = {"lower": re.compile(r"lower thresholds? \[([^\]]*)\]"), "upper": re.compile(r"upper thresholds? \[([^\]]*)\]")}
_OUT_OF = re.compile(r"\b([0-9]{1,6}) out of the last ([0-9]{1,6}) datapoints?\b")
_ALL_OF = re.compile(r"\b([0-9]{1,6}) datapoints?\b")
_NO_DATA = re.compile(r"\bno datapoints? (?:was|were) received for ([0-9]{1,6}) period")
_TIME_OF_VALUE = re.compile(r"\([^)]*\)")  # day first; never read
_CHANGED = re.compile(r"(arn:[^:]*:cloudwatch:[^:]*:[^:]*:alarm:.{1,255}?) transitioned to ")
_IN_RULE = re.compile(r"""\b(?:ALARM|OK|INSUFFICIENT_DATA)\s*\(\s*(?:"([^"]+)"|'([^']+)'|([^()"'\s]+))\s*\)""")
_URL = re.compile(r"https://[A-Za-z0-9][!#-;=?-~]*")  # ASCII without quotes and angle brackets
_DIFFERENCE = re.compile(r"\s*(?:FILL\(\s*)?(\w+)(?:\s*,[^()]*\))?\s*-\s*(?:FILL\(\s*)?(\w+)(?:\s*,[^()]*\))?\s*")


def parse_alarm(detail: Mapping[str, Any]) -> Alarm:
    """What the event's detail says about the alarm. Anything may be missing or garbage; then it is left out."""
    state, configuration = mapping(detail, "state"), mapping(detail, "configuration")
    reason, data = line(state, "reason", TEXT_LIMIT), _reason_data(state)
    watched = _watched(configuration)
    lower, upper = _bound("lower", reason, data), _bound("upper", reason, data)
    values = _values(reason, data)
    comparison = _comparison(reason, values, lower, upper)
    breaching, evaluated = _counts(reason)
    children, triggered = _children(reason, data, configuration)
    description = text(configuration, "description", DESCRIPTION_LIMIT)
    by, because, until = _suppression(detail, state, configuration)
    return Alarm(
        state=line(state, "value").upper(),
        previous_state=line(mapping(detail, "previousState"), "value").upper(),
        namespace=watched.namespace,
        metric=watched.metric,
        label=watched.label,
        dimensions=watched.dimensions,
        statistic=watched.statistic,
        unit=watched.unit,
        period=watched.period if watched.period is not None else _number(data.get("period")),
        expression=watched.expression,
        missing_tasks=_DEFICIT.get(watched.difference, "") == comparison[:1] != "",
        comparison=comparison,
        values=values,
        breaching=breaching,
        evaluated=evaluated,
        threshold=_threshold(reason, data),
        lower=lower,
        upper=upper,
        no_data=bool(_NO_DATA.search(reason)) or line(state, "value").upper() == "INSUFFICIENT_DATA",
        description=redacted(description),
        runbook_url=first_url(description),
        children=children,
        triggered=triggered,
        composite_rule=line(configuration, "alarmRule", RULE_LIMIT),
        suppressed_by=by,
        suppressed_reason=because,
        suppressed_until=until,
    )


def first_url(text: str) -> str:
    """The first https URL in a text, without the punctuation that ends a sentence or closes a bracket; else ""."""
    match = _URL.search(text)
    url = match[0] if match else ""
    while url and (
        url[-1] in ".,;:!?*_~`'|" or (url[-1] in ")]}" and url.count(url[-1]) > url.count(_OPENING[url[-1]]))
    ):
        url = url[:-1]
    return url


_OPENING = {")": "(", "]": "[", "}": "{"}


def alarm_name(arn_or_name: str) -> str:
    """The name in an alarm's ARN, or the text itself. Names may hold colons and slashes."""
    prefix, separator, name = arn_or_name.partition(":alarm:")
    return name if separator and prefix.startswith("arn:") else arn_or_name


# --- what it watches --------------------------------------------------------------------------------------------------


class _Watched(NamedTuple):
    """The metric of an alarm. `difference` is set if its expression subtracts one metric from another: their names."""

    namespace: str = ""
    metric: str = ""
    label: str = ""
    dimensions: Mapping[str, str] = {}
    statistic: str = ""
    unit: str = ""
    period: float | None = None
    expression: str = ""
    difference: tuple[str, str] = ("", "")


# What an expression on the counts of Container Insights must be, compared with its threshold, if tasks are missing.
_DEFICIT = {("DesiredTaskCount", "RunningTaskCount"): ">", ("RunningTaskCount", "DesiredTaskCount"): "<"}


def _watched(configuration: Mapping[str, Any]) -> _Watched:
    queries = list(mappings(configuration, "metrics"))
    metrics = {line(query, "id"): stat for query in queries if (stat := mapping(query, "metricStat"))}
    computed = next(filter(_is_result, queries), {})
    expression = line(computed, "expression", EXPRESSION_LIMIT)
    first = next(iter(metrics.values()), {})
    metric = mapping(first, "metric")
    return _Watched(
        namespace=line(metric, "namespace"),
        metric=line(metric, "name"),
        label=line(computed, "label"),
        dimensions=_shared_dimensions(metrics.values()),
        statistic=line(first, "stat"),
        unit="" if expression else line(first, "unit"),
        period=_number(computed.get("period")) or _number(first.get("period")),
        expression=expression,
        difference=_difference(expression, metrics),
    )


def _is_result(query: Mapping[str, Any]) -> bool:
    """Whether the query is the expression that is compared; the band of an anomaly alarm is its threshold instead."""
    expression = line(query, "expression", EXPRESSION_LIMIT)
    return bool(expression) and query.get("returnData") is not False and not expression.startswith("ANOMALY_DETECTION")


def _shared_dimensions(stats: Any) -> dict[str, str]:
    """The dimensions that every metric of the alarm has, with the same value."""
    dimensions = [
        {
            name: value
            for name in list(mapping(mapping(stat, "metric"), "dimensions"))[:_KEPT]
            if (value := _dimension(stat, name))
        }
        for stat in stats
    ]
    first = dimensions[0] if dimensions else {}
    shared = {name: value for name, value in first.items() if all(other.get(name) == value for other in dimensions)}
    return {single_line(name)[:NAME_LIMIT]: value for name, value in shared.items()}


def _dimension(stat: Mapping[str, Any], name: object) -> str:
    return (
        line(mapping(mapping(stat, "metric"), "dimensions"), name)
        if isinstance(name, str) and single_line(name)
        else ""
    )


def _difference(expression: str, metrics: Mapping[str, Mapping[str, Any]]) -> tuple[str, str]:
    match = _DIFFERENCE.fullmatch(expression)
    if not match:
        return "", ""
    first, second = (line(mapping(metrics.get(name, {}), "metric"), "name") for name in match.groups())
    return first, second


# --- why it changed ---------------------------------------------------------------------------------------------------


def _reason_data(state: Mapping[str, Any]) -> Mapping[str, Any]:
    """`reasonData` is JSON in a string. Some states have none."""
    text = state.get("reasonData")
    if not isinstance(text, str) or len(text) > _REASON_DATA_LIMIT:
        return {}
    try:
        data = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return data if isinstance(data, dict) else {}


def _comparison(reason: str, values: tuple[float, ...], lower: float | None, upper: float | None) -> str:
    """How the values compare with the threshold. Of a band, the newest value shows the side: the reason names both."""
    if lower is not None or upper is not None:
        newest = values[0] if values else math.nan
        if lower is not None and newest < lower:
            return "<"
        return ">" if upper is not None and newest > upper else ""
    match = _COMPARISON.search(reason)
    if not match:
        return ""
    return {"greater": ">", "less": "<"}[match[1]] + ("=" if match[2] else "")


def _values(reason: str, data: Mapping[str, Any]) -> tuple[float, ...]:
    stated = next((match[1] for pattern in _VALUES if (match := pattern.search(reason))), "")
    return _numbers(stated) or _listed(data.get("recentDatapoints"))


def _bound(side: str, reason: str, data: Mapping[str, Any]) -> float | None:
    """One end of an anomaly alarm's band, at the newest datapoint."""
    match = _BAND[side].search(reason)
    stated = _numbers(match[1]) if match else ()
    return next(iter(stated or _listed(data.get(f"recent{side.capitalize()}Thresholds"))), None)


def _threshold(reason: str, data: Mapping[str, Any]) -> float | None:
    match = _THRESHOLD.search(reason)
    stated = _number(data.get("threshold"))
    return stated if stated is not None or not match else next(iter(_numbers(match[1])), None)


def _counts(reason: str) -> tuple[int, int]:
    """How many datapoints crossed the threshold, and of how many."""
    if match := _NO_DATA.search(reason):
        return int(match[1]), int(match[1])
    if match := _OUT_OF.search(reason):
        return int(match[1]), int(match[2])
    match = _ALL_OF.search(reason)
    return (int(match[1]), int(match[1])) if match else (0, 0)


def _children(reason: str, data: Mapping[str, Any], configuration: Mapping[str, Any]) -> tuple[dict[str, str], bool]:
    """A composite alarm's children by name, and whether they are those that set it off."""
    stated = [line(child, "arn", 2048) for child in mappings(data, "triggeringAlarms")]
    match = _CHANGED.search(reason)
    triggering = [arn for arn in stated if arn] or ([match[1]] if match else [])
    if triggering:
        return {alarm_name(arn)[:NAME_LIMIT]: arn if arn.startswith("arn:") else "" for arn in triggering[:_KEPT]}, True
    rule = line(configuration, "alarmRule", RULE_LIMIT)
    members = [next(filter(None, match.groups())) for match in _IN_RULE.finditer(rule)]
    return {alarm_name(name)[:NAME_LIMIT]: name if name.startswith("arn:") else "" for name in members[:_KEPT]}, False


# --- whether its actions are suppressed -------------------------------------------------------------------------------


def _suppression(
    detail: Mapping[str, Any], state: Mapping[str, Any], configuration: Mapping[str, Any]
) -> tuple[str, str, float | None]:
    """What suppresses the alarm, why, and until which clock time, which is known only for a mute window."""
    muted, suppressed = mapping(detail, "muteDetail"), line(state, "actionsSuppressedBy")
    if suppressed:
        by = alarm_name(line(configuration, "actionsSuppressor", 2048))[:NAME_LIMIT]
        return (
            by or "CloudWatch",
            line(state, "actionsSuppressedReason") or f"Actions suppressed by {suppressed}",
            None,
        )
    if muted:
        name = line(muted, "mutedByArn", 2048).rpartition(":alarm-mute-rule:")[2][:NAME_LIMIT]
        return name or "CloudWatch", "CloudWatch alarm mute rule", moment(line(muted, "muteWindowEnd"))
    return "", "", None


# --- fields that may be anything --------------------------------------------------------------------------------------


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def _listed(value: object) -> tuple[float, ...]:
    numbers = map(_number, value[:_KEPT]) if isinstance(value, list) else ()
    return tuple(number for number in numbers if number is not None)


def _numbers(text: str) -> tuple[float, ...]:
    """The numbers of `2.0 (28/11/26 18:10:00), 1.5`; none if any part is something else, such as `Breaching`."""
    parts = [part.strip() for part in _TIME_OF_VALUE.sub("", text).split(",")][:_KEPT]
    try:
        numbers = tuple(map(float, parts))
    except ValueError:
        return ()
    return numbers if all(map(math.isfinite, numbers)) else ()
