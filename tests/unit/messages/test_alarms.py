"""Messages about alarms."""

from typing import Any

import pytest

from docs.pages import message
from local_aws import events
from router.messages.alarms import number

WEB = {"ClusterName": "prod", "ServiceName": "web"}


def alarm(reason: str = "", metric: str = "RunningTaskCount", value: str = "ALARM", **configuration: Any) -> Any:
    raw = events.alarm(value, reason=reason, metrics=[("m", metric, WEB)])
    raw["detail"]["configuration"] |= configuration
    return raw


def lead(raw: Any, language: str = "en") -> str:
    return message(raw, language).lead


LESS = "Threshold Crossed: 1 datapoint [1.0] was less than the threshold (2.0)."
MORE = "Threshold Crossed: 1 datapoint [9.0] was greater than the threshold (8.0)."


@pytest.mark.parametrize(
    ("reason", "metric", "title"),
    [
        (LESS, "RunningTaskCount", "Too few tasks running: service web in prod"),
        (MORE, "RunningTaskCount", "Too many tasks running: service web in prod"),
        (LESS, "DesiredTaskCount", "CloudWatch alarm: web-running-tasks (service web in prod)"),
        ("", "RunningTaskCount", "CloudWatch alarm: web-running-tasks (service web in prod)"),
    ],
)
def test_the_reason_decides_between_too_few_and_too_many_tasks(reason: str, metric: str, title: str) -> None:
    assert message(alarm(reason, metric), "en").title == title


@pytest.mark.parametrize(
    ("expression", "compared", "value"),
    [("d - r", "greater", "2.0"), ("r - d", "less", "-2.0"), ("FILL(r, 0) - d", "less", "-2.0")],
)
def test_as_many_tasks_are_missing_whichever_way_the_alarm_subtracts(
    expression: str, compared: str, value: str
) -> None:
    reason = f"Threshold Crossed: 1 datapoint [{value}] was {compared} than the threshold (0.0)."
    metrics = [("r", "RunningTaskCount", WEB), ("d", "DesiredTaskCount", WEB)]
    raw = events.alarm(reason=reason, metrics=metrics, expression=expression)
    assert lead(raw) == "Service web in prod is running fewer tasks than desired (2 missing)."


def test_only_an_alarm_on_too_few_tasks_has_the_hint_about_stopping_tasks() -> None:
    assert message(alarm(LESS), "en").hint
    assert not message(alarm(MORE), "en").hint


def test_several_datapoints_are_shown_as_a_range_over_a_period() -> None:
    reason = "Threshold Crossed: 3 datapoints [97.2, 98.1, 95.0] were greater than the threshold (90.0)."
    raw = alarm(reason, "CPUUtilization")
    assert lead(raw) == "CPUUtilization of service web in prod was 95–98.1 % for 3 min; the threshold is 90 %."
    assert lead(raw, "ja") == "サービス web (prod) の CPUUtilization が 3 分間 95–98.1 % でした。しきい値は 90 % です。"


def test_m_out_of_n_datapoints_are_not_shown_as_one_period() -> None:
    reason = "Threshold Crossed: 2 out of the last 3 datapoints [9.0, 9.0] were greater than the threshold (8.0)."
    assert "was 9 in 2 of the last 3 periods of 1 min; the threshold is 8." in lead(alarm(reason))


def test_missing_data_is_reported_as_such() -> None:
    reason = (
        "Threshold Crossed: no datapoints were received for 5 periods and 5 missing datapoints were treated as "
        "[Breaching]."
    )
    assert lead(alarm(reason)) == (
        "CloudWatch received no data for the number of running tasks of service web in prod for 5 min, and the alarm "
        "counts missing data as breaching."
    )
    unknown = alarm("Insufficient Data: 1 datapoint was unknown.", value="INSUFFICIENT_DATA")
    assert lead(unknown).startswith("CloudWatch does not have enough data to evaluate the alarm")


def test_the_unit_is_shown_only_if_it_is_certain() -> None:
    raw = alarm(MORE, "CPUUtilization")
    raw["detail"]["configuration"]["metrics"][0]["metricStat"]["metric"]["namespace"] = "Custom"
    assert "was 9; the threshold is 8." in lead(raw)
    raw["detail"]["configuration"]["metrics"][0]["metricStat"]["unit"] = "Milliseconds"
    assert "was 9 ms; the threshold is 8 ms." in lead(raw)


def test_a_composite_alarm_names_and_links_its_child_alarms() -> None:
    child = "arn:aws-cn:cloudwatch:cn-north-1:123456789012:alarm:orders/5xx"
    raw = alarm(
        f"{child} transitioned to ALARM at Friday 20 November, 2026 02:20:00 UTC", alarmRule="ALARM(orders/5xx)"
    )
    shown = message(raw, "en")
    assert shown.lead == "Triggered by alarm orders/5xx."
    console = "https://cn-north-1.console.amazonaws.cn/cloudwatch/home?region=cn-north-1"
    assert ("View alarm orders/5xx", f"{console}#alarmsV2:alarm/orders$2F5xx") in shown.links


def test_a_rules_runbook_has_priority_over_the_descriptions() -> None:
    shown = message(alarm(LESS, description="First https://wiki.example.com/a, then https://b.example"), "en")
    assert shown.links[0][1] == "https://wiki.example.com/a"
    assert len([url for _, url in shown.links if "example" in url]) == 1


def test_facts_have_metric_threshold_and_states() -> None:
    facts = dict(message(alarm(LESS), "en").facts)
    assert facts["Alarm"] == "web-running-tasks"
    assert facts["Metric"] == "ECS/ContainerInsights RunningTaskCount (Average, 1 min)"
    assert facts["Threshold"] == "< 2"
    assert facts["State"] == "OK → ALARM"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (97.2, "97.2"),
        (1.0, "1"),
        (45628.0, "45,628"),
        (1999.6, "1,999.6"),
        (0.020599, "0.0206"),
        (-0.0, "0"),
        (1e300, "1e+300"),
    ],
)
def test_numbers_are_short(value: float, text: str) -> None:
    assert number(value) == text
