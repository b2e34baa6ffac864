"""What is read from the events of CloudWatch alarms, and that garbage harms nothing."""

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local_aws import events
from router.ecs.alarms import first_url, parse_alarm

WEB = {"ClusterName": "prod", "ServiceName": "web"}


def state(reason: str, **state: Any) -> dict[str, Any]:
    return {"state": {"value": "ALARM", "reason": reason, **state}}


@pytest.mark.parametrize(
    ("reason", "comparison", "values", "counts", "threshold"),
    [
        ("1 datapoint [9.0] was greater than the threshold (5.0).", ">", (9.0,), (1, 1), 5.0),
        ("3 datapoints [1.0, 1.0, 0.0] were less than the threshold (2.0).", "<", (1.0, 1.0, 0.0), (3, 3), 2.0),
        (
            "1 datapoint [95.0 (20/11/24 20:34:00)] was greater than or equal to the threshold (90.0).",
            ">=",
            (95.0,),
            (1, 1),
            90.0,
        ),
        (
            (
                "2 out of the last 3 datapoints [-1.5 (28/11/26 18:10:00), 2e-05 (28/11/26 18:09:00)] were less than "
                "or equal to the threshold (1.0) (minimum 2 datapoints for OK -> ALARM transition)."
            ),
            "<=",
            (-1.5, 2e-05),
            (2, 3),
            1.0,
        ),
        (
            (
                "1 datapoint was less than the threshold (1.0). The most recent datapoint which crossed the threshold: "
                "[0.0 (01/12/25 13:34:00)]."
            ),
            "<",
            (0.0,),
            (1, 1),
            1.0,
        ),
        ("1 datapoint [0.1] was not greater than the threshold (50.0).", "", (0.1,), (1, 1), 50.0),
        ("6 out of 6 time series evaluated to ALARM", "", (), (0, 0), None),
        ("Unchecked: Initial alarm creation", "", (), (0, 0), None),
    ],
)
def test_the_reason_says_how_the_values_stand_to_the_threshold(
    reason: str, comparison: str, values: tuple[float, ...], counts: tuple[int, int], threshold: float | None
) -> None:
    alarm = parse_alarm(state(f"Threshold Crossed: {reason}"))
    assert (alarm.comparison, alarm.values, alarm.threshold) == (comparison, values, threshold)
    assert (alarm.breaching, alarm.evaluated) == counts


def test_reason_data_stands_in_for_a_reason_without_numbers() -> None:
    data = json.dumps({"recentDatapoints": [45628.0, None, 1], "threshold": 10000.0, "period": 300})
    alarm = parse_alarm(state("Threshold Crossed", reasonData=data))
    assert (alarm.values, alarm.threshold, alarm.period) == ((45628.0, 1.0), 10000.0, 300.0)


@pytest.mark.parametrize(("value", "comparison"), [("0.0", "<"), ("0.5", ">"), ("0.2", "")])
def test_of_an_anomaly_the_value_says_on_which_side_of_the_band_it_is(value: str, comparison: str) -> None:
    reason = (
        f"Thresholds Crossed: 1 out of the last 1 datapoints [{value} (03/10/19 15:58:00)] was less than the lower "
        "thresholds [0.1] or greater than the upper thresholds [0.3] (minimum 1 datapoint for OK -> ALARM transition)."
    )
    alarm = parse_alarm(state(reason))
    assert (alarm.comparison, alarm.lower, alarm.upper, alarm.threshold) == (comparison, 0.1, 0.3, None)


@pytest.mark.parametrize(
    ("expression", "comparison", "missing"),
    [
        ("desired - FILL(running, 0)", "greater", True),
        ("desired-running", "greater", True),
        ("desired - running", "less", False),
        ("running - desired", "less", True),
        ("running - desired", "greater", False),
        ("running + desired", "greater", False),
        ("running / desired", "less", False),
    ],
)
def test_tasks_are_missing_where_the_difference_of_desired_and_running_ones_says_so(
    expression: str, comparison: str, *, missing: bool
) -> None:
    raw = events.alarm(
        reason=f"Threshold Crossed: 1 datapoint [2.0] was {comparison} than the threshold (0.0).",
        metrics=[("running", "RunningTaskCount", WEB), ("desired", "DesiredTaskCount", WEB)],
        expression=expression,
    )
    assert parse_alarm(raw["detail"]).missing_tasks is missing


def test_only_dimensions_that_all_metrics_share_count() -> None:
    raw = events.alarm(metrics=[("a", "X", WEB), ("b", "Y", WEB | {"ServiceName": "api"})], expression="a / b")
    assert parse_alarm(raw["detail"]).dimensions == {"ClusterName": "prod"}


def test_the_children_that_set_a_composite_alarm_off_are_those_that_the_event_names() -> None:
    arn = "arn:aws:cloudwatch:eu-west-1:123456789012:alarm:a: b/c"
    rule = {"configuration": {"alarmRule": 'ALARM("a: b/c") OR ALARM(d)'}}
    changed = parse_alarm(state(f"{arn} transitioned to ALARM at Friday 20 November, 2026 02:20:00 UTC") | rule)
    assert (changed.children, changed.triggered) == ({"a: b/c": arn}, True)
    listed = parse_alarm(state("", reasonData=json.dumps({"triggeringAlarms": [{"arn": arn}]})) | rule)
    assert listed.children == changed.children
    unknown = parse_alarm(state("") | rule)
    assert (unknown.children, unknown.triggered) == ({"a: b/c": "", "d": ""}, False)


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("Runbook https://wiki.example.com/a.", "https://wiki.example.com/a"),
        ("(see https://wiki.example.com/a_(b)), then https://other.example", "https://wiki.example.com/a_(b)"),
        ("<https://wiki.example.com/a?b=c#d>", "https://wiki.example.com/a?b=c#d"),
        ("手順 https://wiki.example.com/aを参照", "https://wiki.example.com/a"),
        ("http://wiki.example.com", ""),
        ("javascript:https://", ""),
        ("", ""),
    ],
)
def test_the_runbook_is_the_first_https_address_of_the_description(text: str, url: str) -> None:
    assert first_url(text) == url
    assert parse_alarm({"configuration": {"description": text}}).runbook_url == url


def test_a_description_is_kept_whole() -> None:
    assert parse_alarm({"configuration": {"description": " why\nand how\n"}}).description == "why\nand how"


def test_what_mutes_or_suppresses_an_alarm_is_named() -> None:
    muted = {"mutedByArn": "arn:aws:cloudwatch:eu-west-1:1:alarm-mute-rule:night", "muteWindowEnd": "1970-01-01T00:01Z"}
    alarm = parse_alarm({"muteDetail": muted})
    assert (alarm.suppressed_by, alarm.suppressed_until) == ("night", 60.0)
    suppressed = state("", actionsSuppressedBy="Alarm") | {"configuration": {"actionsSuppressor": "deploying"}}
    alarm = parse_alarm(suppressed)
    assert (alarm.suppressed_by, alarm.suppressed_reason) == ("deploying", "Actions suppressed by Alarm")
    assert parse_alarm(state("")).suppressed_by == ""


_NAMES = st.sampled_from(
    [
        *("state", "previousState", "configuration", "muteDetail", "metrics", "metricStat", "metric", "dimensions"),
        *("reason", "reasonData", "value", "period", "description", "alarmRule", "actionsSuppressedBy", "mutedByArn"),
        *("muteWindowEnd", "stat", "expression", "id", "returnData", "label", "name"),
    ]
)
_LEAVES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.sampled_from(
        ["[]", '{"recentDatapoints": [1e999, NaN, "x"], "threshold": {}}', "[" * 5000, "datapoint [x, 1]"]
    )
)
_GARBAGE = st.recursive(
    _LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_NAMES, inner), max_leaves=20
)


@given(detail=st.dictionaries(_NAMES, _GARBAGE))
def test_any_detail_is_an_alarm_with_finite_numbers_and_printable_lines(detail: dict[str, Any]) -> None:
    alarm = parse_alarm(detail)
    numbers = (*alarm.values, alarm.threshold, alarm.lower, alarm.upper, alarm.period, alarm.suppressed_until)
    assert all(number is None or math.isfinite(number) for number in numbers)
    assert "\n" not in alarm.metric + alarm.label + alarm.expression + alarm.suppressed_by
