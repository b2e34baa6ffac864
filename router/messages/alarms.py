"""What a message says about a CloudWatch alarm: which metric of what had which values, and what the threshold is.

It says only what the event says. `Alarm.comparison` tells whether there is too much or too little of something.
"""

from collections.abc import Iterator, Sequence

from router.messages import console
from router.messages.phrases import phrase, span
from router.model import Alarm, Alert, Subject, SubjectKind
from router.text.subject_names import subject_in_cluster

_TASKS = "RunningTaskCount"  # of Container Insights
_COUNTS = {_TASKS: "running_tasks", "DesiredTaskCount": "desired_tasks", "PendingTaskCount": "pending_tasks"}
_UNITS = {"Percent": " %", "Seconds": " s", "Milliseconds": " ms"}
# Metrics of AWS services that always have one unit; alarms seldom state it.
_UNIT_OF = {
    "CPUUtilization": "Percent",
    "MemoryUtilization": "Percent",
    "EBSFilesystemUtilization": "Percent",
    "CPUReservation": "Percent",
    "MemoryReservation": "Percent",
    "TargetResponseTime": "Seconds",
}
_COUNTED = ("SampleCount", "TC", "TS", "PR")  # statistics that have another unit than their metric
_SIGNS = {">": ">", ">=": "≥", "<": "<", "<=": "≤"}
_DIGITS = 4  # significant ones, of a very large value or a fraction
_LARGE = 1e15
_DIMENSIONS_SHOWN = 2
_CHILDREN_NAMED = 10
_CHILDREN_LINKED = 3
_EXPRESSION_SHOWN = 200  # characters


# --- title ------------------------------------------------------------------------------------------------------------


def too_few_tasks(alert: Alert) -> bool:
    """Whether the alarm says that too few tasks are running."""
    alarm = alert.alarm
    return alarm is not None and (alarm.missing_tasks or (_counts_tasks(alarm) and alarm.comparison.startswith("<")))


def too_many_tasks(alert: Alert) -> bool:
    alarm = alert.alarm
    return alarm is not None and _counts_tasks(alarm) and alarm.comparison.startswith(">")


def _counts_tasks(alarm: Alarm) -> bool:
    return alarm.metric == _TASKS and not alarm.expression and alarm.statistic not in _COUNTED


def cause_in_title(alert: Alert, language: str) -> str:
    """The cause in plain words, if the alarm says what is wrong; otherwise ""."""
    if too_few_tasks(alert):
        return phrase("too_few_tasks", language)
    return phrase("too_many_tasks", language) if too_many_tasks(alert) else ""


def service_of(alert: Alert) -> Subject | None:
    """The ECS service that the alarm's metric belongs to."""
    dimensions = alert.alarm.dimensions if alert.alarm else {}
    service, cluster = dimensions.get("ServiceName"), dimensions.get("ClusterName")
    if not service or not cluster:
        return None
    return alert.subject._replace(cluster=cluster, kind=SubjectKind.SERVICE, name=service)


# --- text -------------------------------------------------------------------------------------------------------------


def sentence(alert: Alert, language: str) -> str:
    """What the alarm measured, or which alarms set it off; "" if the event does not say."""
    alarm = alert.alarm
    if alarm is None:
        return ""
    is_composite = alarm.composite_rule or alarm.children
    measured = _children(alarm, language) if is_composite else _measured(alert, alarm, language)
    if measured.startswith(("the ", "service ")):  # a metric's own name keeps its case
        measured = measured[0].upper() + measured[1:]
    return measured


def _children(alarm: Alarm, language: str) -> str:
    if not alarm.triggered:
        return ""
    names = list(alarm.children)
    shown = ", ".join(names[:_CHILDREN_NAMED])
    more = len(names) - _CHILDREN_NAMED
    return phrase(
        "alarm_children",
        language,
        names=shown + (phrase("alarm_children_more", language, count=more) if more > 0 else ""),
    )


def _measured(alert: Alert, alarm: Alarm, language: str) -> str:
    words = {"metric": _metric(alarm, language), "during": _during(alarm, language)}
    if alarm.missing_tasks and alarm.values and (service := service_of(alert)):
        missing = _range(tuple(map(abs, alarm.values)))  # below zero if the alarm subtracts the desired tasks
        return phrase(
            "alarm_tasks_missing", language, service=subject_in_cluster(service, language), count=missing, **words
        )
    if alarm.no_data:
        key = "alarm_data_missing" if alarm.state == "ALARM" else "alarm_insufficient_data"
        return phrase(key, language, **words)
    if not alarm.values:
        return ""
    unit = unit_of(alarm)
    words["values"] = _range(alarm.values) + unit
    if alarm.lower is not None and alarm.upper is not None:
        band = f"{number(alarm.lower)}{unit}", f"{number(alarm.upper)}{unit}"
        return phrase("alarm_outside_band", language, lower=band[0], upper=band[1], **words)
    if alarm.threshold is None:
        return phrase("alarm_value", language, **words)
    return phrase("alarm_threshold", language, threshold=f"{number(alarm.threshold)}{unit}", **words)


def _metric(alarm: Alarm, language: str) -> str:
    """`CPUUtilization of service orders in prod`."""
    if alarm.expression:
        name = alarm.label or phrase("alarm_expression", language)
    elif alarm.metric in _COUNTS:
        name = phrase(f"alarm_{_COUNTS[alarm.metric]}", language)
    else:
        name = alarm.metric or phrase("alarm_metric", language)
    owner = _owner(alarm, language)
    if owner:
        name = phrase("alarm_metric_of", language, metric=_spaced(name, language), owner=_followed(owner, language))
    return _followed(name, language)


def _spaced(text: str, language: str) -> str:
    """Japanese has a space between its own characters and others, and none between two of its own."""
    return f" {text}" if language == "ja" and text[:1].isascii() else text


def _followed(text: str, language: str) -> str:
    return f"{text} " if language == "ja" and text[-1:].isascii() else text


def _owner(alarm: Alarm, language: str) -> str:
    """What the metric belongs to, by its dimensions."""
    dimensions = alarm.dimensions
    if {"ServiceName", "ClusterName"} <= dimensions.keys():
        service = Subject("", "", dimensions["ClusterName"], SubjectKind.SERVICE, dimensions["ServiceName"])
        return subject_in_cluster(service, language)
    if group := dimensions.get("TargetGroup"):  # targetgroup/NAME/ID
        return phrase("alarm_target_group", language, name=_second_part(group))
    if balancer := dimensions.get("LoadBalancer"):  # app/NAME/ID
        return phrase("alarm_load_balancer", language, name=_second_part(balancer))
    return ", ".join(f"{name} {value}" for name, value in list(dimensions.items())[:_DIMENSIONS_SHOWN])


def _second_part(text: str) -> str:
    parts = text.split("/")
    return parts[1] if len(parts) == 3 else text  # noqa: PLR2004


def _range(values: Sequence[float]) -> str:
    """`95 to 98.1`: the order of the datapoints does not matter then."""
    least, most = number(min(values)), number(max(values))
    return least if least == most else f"{least}–{most}"


def _during(alarm: Alarm, language: str) -> str:
    """How long the values have crossed the threshold; "" for one datapoint, which may be a sum."""
    if not alarm.period or alarm.evaluated <= 1:
        return ""
    if alarm.breaching == alarm.evaluated:
        return phrase("alarm_for", language, lasted=span(alarm.period * alarm.evaluated, language))
    period = span(alarm.period, language)
    return phrase("alarm_in_periods", language, breaching=alarm.breaching, evaluated=alarm.evaluated, period=period)


def unit_of(alarm: Alarm) -> str:
    """` %` and the like, to be put behind a value; "" where the unit is not certain."""
    if alarm.expression or alarm.statistic.startswith(_COUNTED):
        return ""
    of_aws = alarm.namespace.startswith("AWS/") or alarm.namespace == "ECS/ContainerInsights"
    return _UNITS.get(alarm.unit or (_UNIT_OF.get(alarm.metric, "") if of_aws else ""), "")


def number(value: float) -> str:
    """`97.2`, `45,628`, `0.0206`."""
    if not value:
        return "0"
    if abs(value) >= _LARGE or abs(value) < 1:
        return f"{value:.{_DIGITS}g}"
    return f"{value:,.2f}".rstrip("0").rstrip(".")


def mute_sentence(alert: Alert, until: str, language: str) -> str:
    """Why the message comes only now: CloudWatch muted the alarm. `until` is the end as the reader's clock shows it."""
    alarm = alert.alarm
    if alarm is None or alarm.suppressed_until is None:
        return ""
    return phrase("alarm_was_muted", language, rule=alarm.suppressed_by, until=until)


# --- facts and links --------------------------------------------------------------------------------------------------


def facts(alert: Alert, language: str) -> dict[str, str]:
    """What the alarm watches, by the keys of their labels."""
    alarm = alert.alarm
    if alarm is None:
        return {}
    states = [state for state in (alarm.previous_state, alarm.state) if state]
    return {
        "alarm": alert.subject.name if cause_in_title(alert, language) else "",
        "metric": _metric_fact(alarm, language),
        "threshold": _threshold_fact(alarm),
        "alarm_rule": _cut(alarm.composite_rule),
        "alarm_state": " → ".join(states),
    }


def _metric_fact(alarm: Alarm, language: str) -> str:
    if alarm.expression:
        return _cut(alarm.expression)
    how = [alarm.statistic, span(alarm.period, language) if alarm.period else ""]
    name = f"{alarm.namespace} {alarm.metric}".strip()
    return f"{name} ({', '.join(filter(None, how))})" if name and any(how) else name


def _threshold_fact(alarm: Alarm) -> str:
    unit = unit_of(alarm)
    if alarm.lower is not None and alarm.upper is not None:
        return f"{number(alarm.lower)}–{number(alarm.upper)}{unit}"
    if alarm.threshold is None:
        return ""
    return f"{_SIGNS.get(alarm.comparison, '')} {number(alarm.threshold)}{unit}".strip()


def _cut(text: str) -> str:
    return text if len(text) <= _EXPRESSION_SHOWN else text[: _EXPRESSION_SHOWN - 1] + "…"


def children_links(alert: Alert, language: str) -> Iterator[tuple[str, str]]:
    """(label, address) of the first children of a composite alarm, each in the region that its ARN names."""
    for name, arn in list(alert.alarm.children.items())[:_CHILDREN_LINKED] if alert.alarm else ():
        partition, region = _place(arn) or (alert.partition, alert.subject.region)
        if site := console.site(partition, region):
            yield phrase("link_child_alarm", language, name=name), console.alarm(site, name)


def _place(arn: str) -> tuple[str, str] | None:
    parts = arn.split(":", 4)
    return (parts[1], parts[3]) if len(parts) == 5 else None  # noqa: PLR2004
