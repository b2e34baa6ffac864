"""What the packaged CloudFormation template promises. The local AWS skips or ignores much of this."""

import json
import re
import subprocess
import sys
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pytest

from router.history.table import INDEXES, TABLE, Index
from tests.template.lint import forwarder, schema_of
from tests.template.packaged import EVERYTHING, Packaged

pytestmark = [pytest.mark.template, pytest.mark.xdist_group("template")]

QUEUES = ("EventsQueue", "DueQueue", "SelfReportsQueue", "DeadLetterQueue")
READ = ("EventsQueue", "DueQueue", "SelfReportsQueue")  # by the function
RULES = ("EcsRule", "AlarmRule", "CodeDeployRule", "NoticeRule", "ContainerExitedRule")
ROOT = Path(__file__).resolve().parents[2]
KEY = {"Fn::GetAtt": ["EncryptionKey", "Arn"]}


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


def test_cfn_lint_finds_nothing_and_ignores_nothing(
    packaged: Packaged, everything: Packaged, least: Packaged, dist: Path
) -> None:
    """In any template: starting it for each takes longer than the check."""
    lint = Path(sys.executable).with_name("cfn-lint")
    templates = [packaging.template_file for packaging in (packaged, everything, least)]
    command = [lint, *templates, dist / "template.json", ROOT / "deploy" / "forwarder.yml"]
    result = subprocess.run(command, cwd="/", capture_output=True, text=True, check=False)
    assert (result.returncode, result.stdout) == (0, "")
    assert not list(ROOT.glob(".cfnlintrc*"))


def test_two_packagings_differ_only_in_their_timestamp(packaged: Packaged, packaged_again: Packaged) -> None:
    assert packaged.without_timestamps() == packaged_again.without_timestamps()


def test_history_expires_by_the_ttl_attribute(packaged: Packaged) -> None:
    table = packaged.properties("HistoryTable")
    assert table["TimeToLiveSpecification"] == {"AttributeName": "ttl", "Enabled": True}


def test_history_can_be_restored_to_any_second(packaged: Packaged) -> None:
    table = packaged.properties("HistoryTable")
    assert table["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}


def test_history_is_encrypted_with_the_stacks_key(packaged: Packaged) -> None:
    encryption = {"SSEEnabled": True, "SSEType": "KMS", "KMSMasterKeyId": KEY}
    assert packaged.properties("HistoryTable")["SSESpecification"] == encryption


@pytest.mark.parametrize("name", ["HistoryTable", "EncryptionKey"])
def test_history_and_its_key_outlive_the_stack(packaged: Packaged, name: str) -> None:
    resource = packaged.resource(name)
    assert (resource["DeletionPolicy"], resource["UpdateReplacePolicy"]) == ("Retain", "Retain")


def test_production_protects_the_history_and_keeps_its_logs_longer(packaged: Packaged, everything: Packaged) -> None:
    for stack, production, days in ((packaged, False, 30), (everything, True, 90)):
        assert stack.properties("HistoryTable")["DeletionProtectionEnabled"] is production
        assert stack.properties("RouterLogGroup")["RetentionInDays"] == days
        variables = stack.properties("RouterLambdaFunction")["Environment"]["Variables"]
        assert variables["PRODUCTION"] == str(production).lower()


def test_history_has_no_fixed_name_so_that_two_stacks_cannot_clash(packaged: Packaged) -> None:
    assert "TableName" not in packaged.properties("HistoryTable")


def test_no_index_projects_its_keys_or_all_attributes(packaged: Packaged) -> None:
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
        return index._replace(projects=tuple(sorted(index.projects or ())))

    assert known(table["KeySchema"]) == TABLE
    indexes = {
        index["IndexName"]: known(index["KeySchema"], tuple(index["Projection"]["NonKeyAttributes"]))
        for index in table["GlobalSecondaryIndexes"]
    }
    assert {name: comparable(index) for name, index in indexes.items()} == {
        name: comparable(index) for name, index in INDEXES.items()
    }


def test_every_listed_index_projects_the_expiry(packaged: Packaged) -> None:
    """DynamoDB deletes up to two days late, so lists have to leave out expired rows themselves."""
    indexes = packaged.properties("HistoryTable")["GlobalSecondaryIndexes"]
    shown = [index for index in indexes if index["Projection"]["ProjectionType"] == "INCLUDE"]
    assert [index["IndexName"] for index in shown if "ttl" not in index["Projection"]["NonKeyAttributes"]] == []


@pytest.mark.parametrize("queue", READ)
def test_a_message_stays_invisible_for_six_times_the_functions_timeout(everything: Packaged, queue: str) -> None:
    timeout = everything.properties("RouterLambdaFunction")["Timeout"]
    assert everything.properties(queue)["VisibilityTimeout"] >= 6 * timeout


@pytest.mark.parametrize("queue", READ)
def test_an_event_becomes_a_dead_letter_after_the_functions_max_receives(everything: Packaged, queue: str) -> None:
    variables = everything.properties("RouterLambdaFunction")["Environment"]["Variables"]
    assert everything.properties(queue)["RedrivePolicy"] == {
        "deadLetterTargetArn": arn_of("DeadLetterQueue"),
        "maxReceiveCount": int(variables["MAX_RECEIVES"]),
    }


@pytest.mark.parametrize("variant", ["packaged", "everything"])
def test_queues_are_encrypted_and_reuse_their_data_key(variant: str, request: pytest.FixtureRequest) -> None:
    """Each call to KMS costs money; SQS can reuse a data key for up to a day."""
    key = {"packaged": KEY, "everything": EVERYTHING["KMS_KEY_ARN"]}[variant]
    queues = request.getfixturevalue(variant).of_type("AWS::SQS::Queue")
    assert queues.keys() == set(QUEUES) - ({"SelfReportsQueue"} if variant == "packaged" else set())
    for properties in queues.values():
        assert properties["KmsMasterKeyId"] == key
        assert properties["KmsDataKeyReusePeriodSeconds"] >= 3600


def test_all_logs_are_encrypted_and_expire(packaged: Packaged, everything: Packaged) -> None:
    groups = packaged.of_type("AWS::Logs::LogGroup") | everything.of_type("AWS::Logs::LogGroup")
    assert groups.keys() == {"RouterLogGroup", "EventLogGroup"}
    for group in groups.values():
        assert group["KmsKeyId"]
        assert group["RetentionInDays"] > 0


def test_dead_letters_are_kept_as_long_as_sqs_allows(packaged: Packaged) -> None:
    assert packaged.properties("DeadLetterQueue")["MessageRetentionPeriod"] == 14 * 24 * 3600


def test_a_failed_record_does_not_fail_its_batch(everything: Packaged) -> None:
    mappings = everything.of_type("AWS::Lambda::EventSourceMapping").values()
    assert [mapping["FunctionResponseTypes"] for mapping in mappings] == [["ReportBatchItemFailures"]] * len(READ)
    assert not any("MaximumBatchingWindowInSeconds" in mapping for mapping in mappings)


def test_a_flood_of_self_reports_neither_waits_with_events_of_aws_nor_takes_their_concurrency(
    everything: Packaged,
) -> None:
    """Two is the least that AWS allows."""
    mappings = everything.of_type("AWS::Lambda::EventSourceMapping").values()
    concurrency = {
        mapping["EventSourceArn"]["Fn::GetAtt"][0]: mapping["ScalingConfig"]["MaximumConcurrency"]
        for mapping in mappings
    }
    assert concurrency == {"EventsQueue": 10, "DueQueue": 2, "SelfReportsQueue": 2}
    for rule in ("ContainerExitedRule", "BusContainerExitedRule"):
        assert everything.properties(rule)["Targets"][0]["Arn"] == arn_of("SelfReportsQueue")


def test_without_the_setting_nothing_takes_self_reports(packaged: Packaged) -> None:
    text = packaged.template_file.read_text()
    assert "SelfReports" not in text
    assert "ContainerExited" not in text
    assert "Container Exited" not in text


@pytest.mark.parametrize("variant", ["packaged", "everything"])
def test_every_target_of_a_rule_has_a_dead_letter_queue_and_a_retry_policy(
    variant: str, request: pytest.FixtureRequest
) -> None:
    rules = request.getfixturevalue(variant).of_type("AWS::Events::Rule").values()
    targets = [target for rule in rules for target in rule["Targets"]]
    assert len(targets) == len(rules) >= 5  # with the tick and the heartbeat
    for target in targets:
        assert target["DeadLetterConfig"] == {"Arn": arn_of("DeadLetterQueue")}
        assert {"MaximumEventAgeInSeconds", "MaximumRetryAttempts"} == target["RetryPolicy"].keys()


@pytest.mark.parametrize(
    ("variant", "queue"),
    [
        *((variant, "EventsQueue") for variant in ("packaged", "everything", "least")),
        ("everything", "SelfReportsQueue"),
    ],
)
def test_only_the_rules_that_use_a_queue_may_send_to_it(
    variant: str, queue: str, request: pytest.FixtureRequest
) -> None:
    packaged = request.getfixturevalue(variant)
    statements = statements_about(packaged, "AWS::SQS::QueuePolicy", arn_of(queue))
    (allowed,) = [statement for statement in statements if statement["Effect"] == "Allow"]
    assert allowed["Principal"] == {"Service": "events.amazonaws.com"}
    assert allowed["Action"] == "sqs:SendMessage"
    rules = packaged.of_type("AWS::Events::Rule").items()
    senders = {name for name, rule in rules if rule["Targets"][0]["Arn"] == arn_of(queue)}
    (channel_states,) = allowed["Condition"].values()
    assert {source["Fn::GetAtt"][0] for source in channel_states["aws:SourceArn"]} == senders


@pytest.mark.parametrize("variant", ["packaged", "everything"])
def test_the_function_may_give_records_back_to_each_queue_that_it_reads(
    variant: str, request: pytest.FixtureRequest
) -> None:
    """Otherwise contended records would wait for the visibility timeout of six minutes."""
    packaged = request.getfixturevalue(variant)
    mappings = packaged.of_type("AWS::Lambda::EventSourceMapping").values()
    (allowed,) = [
        statement
        for statement in role_statements(packaged)
        if as_list(statement["Action"]) == ["sqs:ChangeMessageVisibility"]
    ]
    assert allowed["Resource"] == [mapping["EventSourceArn"] for mapping in mappings]


@pytest.mark.parametrize("variant", ["packaged", "everything"])
def test_the_function_may_send_a_copy_to_each_queue_that_it_reads(variant: str, request: pytest.FixtureRequest) -> None:
    """On the last receive, a copy of a contended record takes its place."""
    packaged = request.getfixturevalue(variant)
    mappings = packaged.of_type("AWS::Lambda::EventSourceMapping").values()
    (allowed,) = [
        statement for statement in role_statements(packaged) if as_list(statement["Action"]) == ["sqs:SendMessage"]
    ]
    read = [mapping["EventSourceArn"] for mapping in mappings]
    assert [queue for queue in read if queue not in allowed["Resource"]] == []


@pytest.mark.parametrize("variant", ["packaged", "everything", "least"])
def test_only_rules_may_send_to_the_dead_letter_queue(variant: str, request: pytest.FixtureRequest) -> None:
    packaged = request.getfixturevalue(variant)
    statements = statements_about(packaged, "AWS::SQS::QueuePolicy", arn_of("DeadLetterQueue"))
    (allowed,) = [statement for statement in statements if statement["Effect"] == "Allow"]
    *sources, tick = allowed["Condition"]["ArnEquals"]["aws:SourceArn"]
    rules = packaged.of_type("AWS::Events::Rule")
    ((tick_id, name),) = [(key, rule["Name"]) for key, rule in rules.items() if "Name" in rule]
    assert {source["Fn::GetAtt"][0] for source in sources} == rules.keys() - {tick_id}
    assert tick["Fn::Sub"].endswith(f":rule/{name}")


@pytest.mark.parametrize("queue", QUEUES)
def test_queues_refuse_plain_http(everything: Packaged, queue: str) -> None:
    statements = statements_about(everything, "AWS::SQS::QueuePolicy", arn_of(queue))
    (denied,) = [statement for statement in statements if statement["Effect"] == "Deny"]
    assert denied["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
    assert (denied["Principal"], denied["Action"]) == ("*", "sqs:*")


@pytest.mark.parametrize("topic", ["AlertsTopic", "OperatorsTopic"])
def test_topics_refuse_plain_http(packaged: Packaged, topic: str) -> None:
    statements = statements_about(packaged, "AWS::SNS::TopicPolicy", {"Ref": topic})
    (denied,) = [statement for statement in statements if statement["Effect"] == "Deny"]
    assert denied["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}


@pytest.mark.parametrize("topic", ["AlertsTopic", "OperatorsTopic"])
def test_topics_are_encrypted_with_the_stacks_key(packaged: Packaged, topic: str) -> None:
    assert packaged.properties(topic)["KmsMasterKeyId"] == KEY


def test_the_key_is_rotated_and_may_be_used_by_alarms_rules_and_logs(packaged: Packaged) -> None:
    key = packaged.properties("EncryptionKey")
    assert key["EnableKeyRotation"] is True
    conditions = {}
    users: set[str] = set()
    for statement in key["KeyPolicy"]["Statement"]:
        services = as_list(statement["Principal"].get("Service", []))
        users |= {service["Fn::Sub"] if isinstance(service, dict) else service for service in services}
        if services:
            assert {"kms:Decrypt", "kms:GenerateDataKey*"} <= set(statement["Action"])
            conditions[str(services[0])] = statement.get("Condition")
    # EventBridge names no source to KMS. With a condition on it, it would deliver nothing.
    assert conditions["events.amazonaws.com"] is None
    assert conditions["cloudwatch.amazonaws.com"] == {
        "StringEquals": {"aws:SourceAccount": {"Ref": "AWS::AccountId"}},
    }
    assert users == {"cloudwatch.amazonaws.com", "events.amazonaws.com", "logs.${AWS::Region}.amazonaws.com"}


def test_an_existing_key_is_used_everywhere_and_none_is_created(everything: Packaged) -> None:
    assert everything.of_type("AWS::KMS::Key") == {}
    assert "EncryptionKey" not in everything.template_file.read_text()
    assert everything.properties("HistoryTable")["SSESpecification"]["KMSMasterKeyId"] == EVERYTHING["KMS_KEY_ARN"]


def test_only_alarms_of_this_stack_may_publish_to_the_operators(packaged: Packaged) -> None:
    statements = statements_about(packaged, "AWS::SNS::TopicPolicy", {"Ref": "OperatorsTopic"})
    (allowed,) = [statement for statement in statements if statement["Effect"] == "Allow"]
    assert allowed["Principal"] == {"Service": "cloudwatch.amazonaws.com"}
    assert allowed["Condition"]["StringEquals"] == {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}
    pattern = allowed["Condition"]["ArnLike"]["aws:SourceArn"]["Fn::Sub"].rpartition(":")[2]
    names = [alarm["AlarmName"] for alarm in packaged.of_type("AWS::CloudWatch::Alarm").values()]
    assert [name for name in names if not fnmatchcase(name, pattern)] == []
    assert not fnmatchcase("alert-router-dev2-errors", pattern)


def test_every_alarm_goes_to_the_operators_and_not_to_the_router(packaged: Packaged) -> None:
    """If the name of one of its own alarms started with the prefix, the router would have to announce it."""
    alarms = packaged.of_type("AWS::CloudWatch::Alarm")
    (default,) = packaged.properties("AlarmRule")["EventPattern"]["detail"]["alarmName"]
    for alarm in alarms.values():
        assert alarm["AlarmActions"] == [{"Ref": "OperatorsTopic"}]
        assert not alarm["AlarmName"].startswith(default["prefix"])


def test_a_missing_tick_sets_off_an_alarm(packaged: Packaged) -> None:
    """A function that never runs sends no metric, so missing data must count as breaching."""
    alarm = packaged.properties("TickSilentAlarm")
    assert (alarm["MetricName"], alarm["Period"], alarm["TreatMissingData"]) == ("Invocations", 300, "breaching")
    assert (alarm["ComparisonOperator"], alarm["Threshold"]) == ("LessThanThreshold", 1)


def test_the_alarms_watch_these_metrics(packaged: Packaged) -> None:
    metrics = {alarm["MetricName"] for alarm in packaged.of_type("AWS::CloudWatch::Alarm").values()}
    queues = {"ApproximateNumberOfMessagesVisible", "ApproximateAgeOfOldestMessage"}
    assert metrics == queues | {"Errors", "Throttles", "Invocations", "FailedInvocations", "Unusable", "DamagedItems"}


def test_every_rule_that_receives_events_has_an_alarm_on_its_failures(everything: Packaged) -> None:
    alarms = everything.of_type("AWS::CloudWatch::Alarm").values()
    watched = [json.dumps(alarm["Dimensions"]) for alarm in alarms if alarm.get("MetricName") == "FailedInvocations"]
    rules = {name for name, rule in everything.of_type("AWS::Events::Rule").items() if "Name" not in rule}  # the tick's
    assert {name for name in rules if not any(f'"{name}"' in dimensions for dimensions in watched)} == set()


def test_each_permission_names_its_resource(everything: Packaged) -> None:
    """With two exceptions: AWS shows composite alarms only to a permission for all alarms, and network interfaces in a
    VPC have no name yet."""
    statements = role_statements(everything)
    unbounded = [statement["Action"] for statement in statements if "*" in as_list(statement["Resource"])]
    assert unbounded[:1] == [["cloudwatch:DescribeAlarms"]]
    assert all(action.startswith("ec2:") for actions in unbounded[1:] for action in actions)


def test_the_delayed_checks_of_the_due_queue_are_not_taken_for_a_loop(packaged: Packaged) -> None:
    """By default Lambda cuts a chain of messages after 16, and puts the last one on the dead-letter queue."""
    assert packaged.properties("RouterLambdaFunction")["RecursiveLoop"] == "Allow"


def test_the_function_writes_to_its_own_log_group_alone(packaged: Packaged) -> None:
    """The framework's own statements reach the groups of every stage whose name begins like this one's."""
    resources = [
        resource
        for statement in role_statements(packaged)
        if any(action.startswith("logs:") for action in statement["Action"])
        for resource in statement["Resource"]
    ]
    assert resources == [arn_of("RouterLogGroup")] * 2


def test_the_function_uses_the_key_only_through_the_services_that_it_encrypts_with(packaged: Packaged) -> None:
    about_the_key = [
        statement for statement in role_statements(packaged) if any("kms:" in action for action in statement["Action"])
    ]
    services = [as_list(statement["Condition"]["StringLike"]["kms:ViaService"]) for statement in about_the_key]
    assert {service.partition(".")[0] for service_names in services for service in service_names} == {
        "dynamodb",
        "sns",
        "sqs",
    }


def test_no_permission_covers_a_whole_service(packaged: Packaged) -> None:
    actions = [action for statement in role_statements(packaged) for action in as_list(statement["Action"])]
    assert [action for action in actions if action.endswith("*")] == []


def test_unset_settings_reach_the_function_as_empty_text(packaged: Packaged) -> None:
    variables = packaged.properties("RouterLambdaFunction")["Environment"]["Variables"]
    assert variables["TEAMS_WEBHOOK_URL"] == ""
    assert variables["SLACK_WEBHOOK_URL"] == "ssm:/ecs-alert-router/slack"


def test_the_outputs_name_every_resource_that_users_need(packaged: Packaged) -> None:
    queues = {"EventsQueueUrl", "DueQueueUrl", "DeadLetterQueueUrl"}
    topics = {"AlertsTopicArn", "OperatorsTopicArn"}
    assert queues | topics | {"TableName", "FunctionName"} <= packaged.template["Outputs"].keys()


# --- what can be on or off --------------------------------------------------------------------------------------------


def test_an_event_bus_is_created_only_if_senders_are_configured(packaged: Packaged, everything: Packaged) -> None:
    assert packaged.of_type("AWS::Events::EventBus") == {}
    account, organization = everything.properties("EventBus")["Policy"]["Statement"]
    assert account["Principal"] == {"AWS": {"Fn::Sub": "arn:${AWS::Partition}:iam::111122223333:root"}}
    assert organization["Condition"] == {"StringEquals": {"aws:PrincipalOrgID": "o-a1b2c3d4e5"}}
    name = everything.properties("EventBus")["Name"]
    for statement in (account, organization):
        assert statement["Action"] == "events:PutEvents"
        assert statement["Resource"]["Fn::Sub"].endswith(f":event-bus/{name}")


@pytest.mark.parametrize("rule", RULES)
def test_rules_of_the_event_bus_match_the_same_events(everything: Packaged, rule: str) -> None:
    twin = everything.properties(f"Bus{rule}")
    assert twin["EventPattern"] == everything.properties(rule)["EventPattern"]
    assert twin["EventBusName"] == {"Ref": "EventBus"}


def test_raw_events_are_logged_only_if_configured_and_only_by_their_rule(
    packaged: Packaged, everything: Packaged
) -> None:
    assert "EventLogGroup" not in packaged.template["Resources"]
    group = everything.properties("EventLogGroup")
    assert (group["LogGroupName"], group["RetentionInDays"]) == ("/aws/events/ecs/dev", 14)
    assert everything.properties("EventLogRule")["EventPattern"] == {"source": ["aws.ecs"]}
    text, values = everything.properties("EventLogPolicy")["PolicyDocument"]["Fn::Sub"]
    streams, events = json.loads(text)["Statement"]
    assert (streams["Action"], events["Action"]) == ("logs:CreateLogStream", "logs:PutLogEvents")
    assert events["Condition"] == {"ArnEquals": {"aws:SourceArn": "${Rule}"}}
    assert values == {"Group": arn_of("EventLogGroup"), "Rule": arn_of("EventLogRule")}


def test_the_heartbeat_uses_the_events_queue_and_can_be_turned_off(packaged: Packaged, least: Packaged) -> None:
    rule = packaged.properties("HeartbeatRule")
    assert (rule["ScheduleExpression"], rule["State"]) == ("cron(0 9 ? * MON *)", "ENABLED")
    assert rule["Targets"][0]["Arn"] == arn_of("EventsQueue")
    transformer = rule["Targets"][0]["InputTransformer"]
    told = re.sub(r"<(\w+)>", r'"\1"', transformer["InputTemplate"])
    assert json.loads(told)["detail-type"] == "Router Heartbeat"
    assert transformer["InputPathsMap"].keys() == set(re.findall(r"<(\w+)>", transformer["InputTemplate"]))
    assert least.properties("HeartbeatRule")["State"] == "DISABLED"


def dashboard_widgets(packaged: Packaged) -> list[dict[str, Any]]:
    text, values = packaged.properties("Dashboard")["DashboardBody"]["Fn::Sub"]
    assert values["Alarms"]["Fn::Join"][1][1]["Fn::Join"][1]
    filled = {name: value for name, value in values.items() if isinstance(value, str)} | {"Alarms": '"arn"'}
    for name in re.findall(r"\$\{([\w:]+)\}", text):
        text = text.replace("${" + name + "}", filled.get(name, name))
    widgets: list[dict[str, Any]] = json.loads(text)["widgets"]
    return widgets


def test_the_dashboard_shows_every_metric_of_the_router_and_every_alarm(packaged: Packaged, least: Packaged) -> None:
    assert "Dashboard" not in least.template["Resources"]
    text = json.dumps(dashboard_widgets(packaged))
    for metric in ("Sent", "Retry", "Failed", "Latency", "Announced", "HeldBack"):  # router/selfcheck/metrics.py
        assert f'MetricName=\\"{metric}\\"' in text, metric
    _, values = packaged.properties("Dashboard")["DashboardBody"]["Fn::Sub"]
    listed = {arn["Fn::GetAtt"][0] for arn in values["Alarms"]["Fn::Join"][1][1]["Fn::Join"][1]}
    assert listed == packaged.of_type("AWS::CloudWatch::Alarm").keys()


# --- upgrades ---------------------------------------------------------------------------------------------------------


ONLY_AT_FIRST = {("IamRoleLambdaExecution", "Path")}  # ROLE_PATH, which docs/deploy.md says cannot be changed


@pytest.mark.parametrize("variant", ["everything", "least"])
def test_no_setting_replaces_a_resource(variant: str, packaged: Packaged, request: pytest.FixtureRequest) -> None:
    """CloudFormation's own schemas list the properties that cannot be updated in place."""
    other = request.getfixturevalue(variant)
    common = packaged.template["Resources"].keys() & other.template["Resources"].keys()
    for name in common:
        kind = packaged.resource(name)["Type"]
        if kind == "AWS::Lambda::LayerVersion":  # a layer version is never updated; each deployment creates a new one
            continue
        for pointer in schema_of(kind).get("createOnlyProperties", []):
            path = pointer.split("/")[2:]
            same = at(packaged.properties(name), path) == at(other.properties(name), path)
            assert same or (name, *path) in ONLY_AT_FIRST, (name, path)


def at(properties: Any, path: list[str]) -> Any:
    for step in path:
        properties = properties.get(step) if isinstance(properties, dict) else None
    return properties


@pytest.mark.parametrize("variant", ["packaged", "everything"])
def test_no_number_is_turned_into_text(variant: str, request: pytest.FixtureRequest) -> None:
    """Except the function's variables, which are always text, and account ids."""

    def numbers(node: Any, place: str) -> list[str]:
        if isinstance(node, dict):
            return [path for key, value in node.items() for path in numbers(value, f"{place}/{key}")]
        if isinstance(node, list):
            return [path for value in node for path in numbers(value, place)]
        return [place] if isinstance(node, str) and re.fullmatch(r"-?\d+(\.\d+)?|true|false", node) else []

    resources = request.getfixturevalue(variant).template["Resources"]
    places = numbers(resources, "")
    allowed = re.compile(r".*/Environment/Variables/(MAX_RECEIVES|PRODUCTION)|.*/aws:SecureTransport")
    assert [place for place in places if not allowed.fullmatch(place)] == []


# --- PROFILE=lean, and what organizations require ---------------------------------------------------------------------


def test_a_lean_stack_has_no_key_and_encrypts_all_but_its_topics_with_keys_of_aws(least: Packaged) -> None:
    """AWS encrypts tables and logs by itself."""
    text = least.template_file.read_text()
    assert [word for word in ("EncryptionKey", "KmsKeyId", "KmsMasterKeyId", "kms:") if word in text] == []
    for queue in least.of_type("AWS::SQS::Queue").values():
        assert queue["SqsManagedSseEnabled"] is True


def test_a_lean_stack_has_three_alarms_and_the_same_tick(packaged: Packaged, least: Packaged) -> None:
    alarms = {alarm["AlarmName"].rpartition("-dev-")[2] for alarm in least.of_type("AWS::CloudWatch::Alarm").values()}
    assert alarms == {"dead-letters", "oldest-event", "tick-silent"}
    schedules = [
        [rule["ScheduleExpression"] for rule in stack.of_type("AWS::Events::Rule").values() if "Name" in rule]
        for stack in (packaged, least)
    ]
    assert schedules == [["rate(1 minute)"]] * 2


def test_the_role_and_the_function_meet_what_an_organization_requires(everything: Packaged) -> None:
    role = everything.properties("IamRoleLambdaExecution")
    assert role["PermissionsBoundary"] == EVERYTHING["PERMISSIONS_BOUNDARY"]
    assert role["Path"] == EVERYTHING["ROLE_PATH"]
    assert everything.properties("RouterLambdaFunction")["VpcConfig"] == {
        "SecurityGroupIds": ["sg-0123abcd"],
        "SubnetIds": ["subnet-0123abcd", "subnet-4567abcd"],
    }


def test_an_existing_bucket_is_used_instead_of_a_new_one(packaged: Packaged, least: Packaged) -> None:
    assert packaged.of_type("AWS::S3::Bucket")
    assert not least.of_type("AWS::S3::Bucket")
    assert least.properties("RouterLambdaFunction")["Code"]["S3Bucket"] == "packages"


def test_in_a_vpc_the_role_permits_network_interfaces_and_no_other_log_group(everything: Packaged) -> None:
    """AWS's managed policy for it permits every log group of the account."""
    assert "ManagedPolicyArns" not in everything.properties("IamRoleLambdaExecution")
    (network,) = [statement for statement in role_statements(everything) if statement["Action"][0].startswith("ec2:")]
    assert {"ec2:CreateNetworkInterface", "ec2:DeleteNetworkInterface"} < set(network["Action"])


# --- deploy/forwarder.yml ---------------------------------------------------------------------------------------------


def test_self_reports_are_forwarded_only_if_the_parameter_says_so() -> None:
    template = forwarder()
    assert template["Parameters"]["ContainerExitedEvents"]["Default"] == "off"
    conditional = {name for name, resource in template["Resources"].items() if "Condition" in resource}
    assert conditional == {"ContainerExitedRule", "ContainerExitedFailedAlarm"}
    assert "ecs-alert-router" not in json.dumps(template["Resources"]["ForwardRule"]["Properties"]["EventPattern"])


def test_self_reports_are_forwarded_by_the_same_pattern_that_the_stack_uses(everything: Packaged) -> None:
    pattern = forwarder()["Resources"]["ContainerExitedRule"]["Properties"]["EventPattern"]
    shipped = everything.properties("ContainerExitedRule")["EventPattern"]
    narrowed = pattern["detail"] | {"clusterArn": shipped["detail"]["clusterArn"]}  # by ECS_CLUSTERS
    assert pattern | {"detail": narrowed} == shipped
