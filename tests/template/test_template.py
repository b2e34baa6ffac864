"""What the packaged CloudFormation template promises. The local AWS skips or ignores much of this."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from router.table import INDEXES, TABLE, Index
from tests.template.packaged import Packaged

pytestmark = [pytest.mark.template, pytest.mark.xdist_group("template")]

QUEUES = ("EventsQueue", "DueQueue", "DeadLetterQueue")
RULES = ("EcsRule", "AlarmRule", "ContainerExitedRule")


def arn_of(name: str) -> dict[str, list[str]]:
    return {"Fn::GetAtt": [name, "Arn"]}


def as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def role_statements(packaged: Packaged) -> list[dict[str, Any]]:
    (policy,) = packaged.properties("IamRoleLambdaExecution")["Policies"]
    statements: list[dict[str, Any]] = policy["PolicyDocument"]["Statement"]
    return statements


def statements_about(packaged: Packaged, kind: str, resource: Any) -> list[dict[str, Any]]:
    policies = packaged.of_type(kind).values()
    return [
        statement
        for policy in policies
        for statement in policy["PolicyDocument"]["Statement"]
        if statement["Resource"] == resource
    ]


def test_cfn_lint_finds_nothing(packaged: Packaged) -> None:
    lint = Path(sys.executable).with_name("cfn-lint")
    result = subprocess.run([lint, packaged.template_file], capture_output=True, text=True, check=False)
    assert (result.returncode, result.stdout) == (0, "")


def test_two_packagings_differ_in_nothing_but_their_time(packaged: Packaged, packaged_again: Packaged) -> None:
    assert packaged.without_timestamps() == packaged_again.without_timestamps()


def test_history_expires_by_the_attribute_ttl(packaged: Packaged) -> None:
    table = packaged.properties("HistoryTable")
    assert table["TimeToLiveSpecification"] == {"AttributeName": "ttl", "Enabled": True}


def test_history_can_be_restored_to_any_second(packaged: Packaged) -> None:
    table = packaged.properties("HistoryTable")
    assert table["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}


def test_history_is_encrypted(packaged: Packaged) -> None:
    assert packaged.properties("HistoryTable")["SSESpecification"] == {"SSEEnabled": True}


def test_history_outlives_the_stack(packaged: Packaged) -> None:
    table = packaged.resource("HistoryTable")
    assert (table["DeletionPolicy"], table["UpdateReplacePolicy"]) == ("Retain", "Retain")


def test_history_has_no_fixed_name_that_a_second_stack_would_clash_with(packaged: Packaged) -> None:
    assert "TableName" not in packaged.properties("HistoryTable")


def test_no_index_projects_keys_or_everything(packaged: Packaged) -> None:
    """DynamoDB refuses keys among the projected attributes, and more than 100 of them; ALL would double each write."""
    table = packaged.properties("HistoryTable")
    projected = 0
    for index in table["GlobalSecondaryIndexes"]:
        keys = {key["AttributeName"] for key in index["KeySchema"]} | {"pk", "sk"}
        attributes = index["Projection"].get("NonKeyAttributes", [])
        assert index["Projection"]["ProjectionType"] in {"INCLUDE", "KEYS_ONLY"}, index["IndexName"]
        assert not keys & set(attributes), index["IndexName"]
        assert len(attributes) <= 20, index["IndexName"]
        projected += len(attributes)
    assert projected <= 100


def test_the_table_has_the_keys_and_indexes_that_the_router_knows(packaged: Packaged) -> None:
    table = packaged.properties("HistoryTable")
    types = {attribute["AttributeName"]: attribute["AttributeType"] for attribute in table["AttributeDefinitions"]}

    def known(schema: list[dict[str, str]], projects: tuple[str, ...] | None = None) -> Index:
        partition, sort = (key["AttributeName"] for key in schema)
        assert types[partition] == "S"
        return Index(partition, sort, "N" if types[sort] == "N" else "S", projects)

    def comparable(index: Index) -> Index:
        return replace(index, projects=tuple(sorted(index.projects or ())))

    assert known(table["KeySchema"]) == TABLE
    found = {
        index["IndexName"]: known(index["KeySchema"], tuple(index["Projection"]["NonKeyAttributes"]))
        for index in table["GlobalSecondaryIndexes"]
    }
    assert {name: comparable(index) for name, index in found.items()} == {
        name: comparable(index) for name, index in INDEXES.items()
    }


def test_lists_can_leave_out_what_has_expired(packaged: Packaged) -> None:
    """DynamoDB deletes up to two days late, so every index that is shown says when its rows expire."""
    indexes = packaged.properties("HistoryTable")["GlobalSecondaryIndexes"]
    shown = [index for index in indexes if index["Projection"]["ProjectionType"] == "INCLUDE"]
    assert [index["IndexName"] for index in shown if "ttl" not in index["Projection"]["NonKeyAttributes"]] == []


@pytest.mark.parametrize("queue", ["EventsQueue", "DueQueue"])
def test_a_message_stays_invisible_for_six_times_the_functions_timeout(packaged: Packaged, queue: str) -> None:
    timeout = packaged.properties("RouterLambdaFunction")["Timeout"]
    assert packaged.properties(queue)["VisibilityTimeout"] >= 6 * timeout


@pytest.mark.parametrize("queue", ["EventsQueue", "DueQueue"])
def test_what_fails_as_often_as_the_function_is_told_becomes_a_dead_letter(packaged: Packaged, queue: str) -> None:
    variables = packaged.properties("RouterLambdaFunction")["Environment"]["Variables"]
    assert packaged.properties(queue)["RedrivePolicy"] == {
        "deadLetterTargetArn": arn_of("DeadLetterQueue"),
        "maxReceiveCount": int(variables["MAX_RECEIVES"]),
    }


@pytest.mark.parametrize("queue", QUEUES)
def test_queues_are_encrypted(packaged: Packaged, queue: str) -> None:
    assert packaged.properties(queue)["SqsManagedSseEnabled"] is True


def test_dead_letters_are_kept_for_as_long_as_sqs_can(packaged: Packaged) -> None:
    assert packaged.properties("DeadLetterQueue")["MessageRetentionPeriod"] == 14 * 24 * 3600


def test_a_failed_record_does_not_take_its_batch_along(packaged: Packaged) -> None:
    mappings = packaged.of_type("AWS::Lambda::EventSourceMapping").values()
    assert [mapping["FunctionResponseTypes"] for mapping in mappings] == [["ReportBatchItemFailures"]] * 2
    assert not any("MaximumBatchingWindowInSeconds" in mapping for mapping in mappings)


def test_every_target_of_a_rule_has_a_dead_letter_queue_and_a_retry_policy(packaged: Packaged) -> None:
    targets = [target for rule in packaged.of_type("AWS::Events::Rule").values() for target in rule["Targets"]]
    assert len(targets) == len(RULES) + 1  # and the tick
    for target in targets:
        assert target["DeadLetterConfig"] == {"Arn": arn_of("DeadLetterQueue")}
        assert {"MaximumEventAgeInSeconds", "MaximumRetryAttempts"} == target["RetryPolicy"].keys()


def test_only_the_rules_of_this_stack_may_send_to_the_events_queue(packaged: Packaged) -> None:
    statements = statements_about(packaged, "AWS::SQS::QueuePolicy", arn_of("EventsQueue"))
    (allowed,) = [statement for statement in statements if statement["Effect"] == "Allow"]
    assert allowed["Principal"] == {"Service": "events.amazonaws.com"}
    assert allowed["Action"] == "sqs:SendMessage"
    assert allowed["Condition"] == {"ArnEquals": {"aws:SourceArn": [arn_of(rule) for rule in RULES]}}


def test_only_the_rules_and_the_tick_may_send_to_the_dead_letter_queue(packaged: Packaged) -> None:
    statements = statements_about(packaged, "AWS::SQS::QueuePolicy", arn_of("DeadLetterQueue"))
    (allowed,) = [statement for statement in statements if statement["Effect"] == "Allow"]
    *rules, tick = allowed["Condition"]["ArnEquals"]["aws:SourceArn"]
    assert rules == [arn_of(rule) for rule in RULES]
    (name,) = [rule["Name"] for rule in packaged.of_type("AWS::Events::Rule").values() if "ScheduleExpression" in rule]
    assert tick["Fn::Sub"].endswith(f":rule/{name}")


@pytest.mark.parametrize("queue", QUEUES)
def test_queues_refuse_plain_http(packaged: Packaged, queue: str) -> None:
    statements = statements_about(packaged, "AWS::SQS::QueuePolicy", arn_of(queue))
    (denied,) = [statement for statement in statements if statement["Effect"] == "Deny"]
    assert denied["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
    assert (denied["Principal"], denied["Action"]) == ("*", "sqs:*")


@pytest.mark.parametrize("topic", ["AlertsTopic", "OperatorsTopic"])
def test_topics_refuse_plain_http(packaged: Packaged, topic: str) -> None:
    statements = statements_about(packaged, "AWS::SNS::TopicPolicy", {"Ref": topic})
    (denied,) = [statement for statement in statements if statement["Effect"] == "Deny"]
    assert denied["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}


@pytest.mark.parametrize("topic", ["AlertsTopic", "OperatorsTopic"])
def test_topics_are_encrypted_with_a_key_that_alarms_may_use(packaged: Packaged, topic: str) -> None:
    assert packaged.properties(topic)["KmsMasterKeyId"] == {"Ref": "TopicsKey"}
    key = packaged.properties("TopicsKey")
    assert key["EnableKeyRotation"] is True
    principals = [statement["Principal"] for statement in key["KeyPolicy"]["Statement"]]
    assert {"Service": "cloudwatch.amazonaws.com"} in principals


def test_only_alarms_of_this_account_may_publish_to_the_operators(packaged: Packaged) -> None:
    statements = statements_about(packaged, "AWS::SNS::TopicPolicy", {"Ref": "OperatorsTopic"})
    (allowed,) = [statement for statement in statements if statement["Effect"] == "Allow"]
    assert allowed["Principal"] == {"Service": "cloudwatch.amazonaws.com"}
    assert allowed["Condition"] == {"StringEquals": {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}}


def test_every_alarm_goes_to_the_operators_and_not_to_the_router(packaged: Packaged) -> None:
    """An alarm of the router's own that began with the default prefix would have to be announced by the router."""
    alarms = packaged.of_type("AWS::CloudWatch::Alarm")
    (default,) = packaged.properties("AlarmRule")["EventPattern"]["detail"]["alarmName"]
    for alarm in alarms.values():
        assert alarm["AlarmActions"] == [{"Ref": "OperatorsTopic"}]
        assert not alarm["AlarmName"].startswith(default["prefix"])


def test_the_silence_of_the_tick_is_an_alarm(packaged: Packaged) -> None:
    """A function that never runs sends no metric at all: missing data must count as bad."""
    alarm = packaged.properties("TickSilentAlarm")
    assert (alarm["MetricName"], alarm["Period"], alarm["TreatMissingData"]) == ("Invocations", 300, "breaching")
    assert (alarm["ComparisonOperator"], alarm["Threshold"]) == ("LessThanThreshold", 1)


def test_what_the_router_watches_of_itself(packaged: Packaged) -> None:
    metrics = {alarm["MetricName"] for alarm in packaged.of_type("AWS::CloudWatch::Alarm").values()}
    queues = {"ApproximateNumberOfMessagesVisible", "ApproximateAgeOfOldestMessage"}
    assert metrics == queues | {"Errors", "Throttles", "Invocations", "FailedInvocations"}


def test_each_permission_names_its_resource(packaged: Packaged) -> None:
    statements = role_statements(packaged)
    unbounded = [statement["Action"] for statement in statements if "*" in as_list(statement["Resource"])]
    assert unbounded == []


def test_no_permission_is_a_whole_service(packaged: Packaged) -> None:
    actions = [action for statement in role_statements(packaged) for action in as_list(statement["Action"])]
    assert [action for action in actions if action.endswith("*")] == []


def test_settings_that_are_not_set_arrive_as_empty_text(packaged: Packaged) -> None:
    variables = packaged.properties("RouterLambdaFunction")["Environment"]["Variables"]
    assert variables["TEAMS_WEBHOOK_URL"] == ""
    assert variables["SLACK_WEBHOOK_URL"] == "ssm:/ecs-alert-router/slack"


def test_the_outputs_name_all_that_the_stack_is_reached_by(packaged: Packaged) -> None:
    queues = {"EventsQueueUrl", "DueQueueUrl", "DeadLetterQueueUrl"}
    topics = {"AlertsTopicArn", "OperatorsTopicArn"}
    assert queues | topics | {"TableName", "FunctionName"} <= packaged.template["Outputs"].keys()
