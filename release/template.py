"""Turns the packaged template into one static template with parameters.

`osls package` runs with a marker as the value of each setting. Here each marker becomes its parameter, and what a
setting can turn off becomes conditional. A test fills in parameters and compares the result with what `osls package`
makes of the same settings, so the two cannot differ.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from release.expressions import (
    NO_VALUE,
    Expression,
    behind,
    choice,
    filled,
    head,
    item,
    ref,
    split,
    substituted,
    text_of,
)
from release.parameters import LONGEST, SECRETS, conditions, parameters_section, rules_section, slot

Template = dict[str, Any]
PARTS = json.loads((Path(__file__).parents[1] / "deploy" / "parts.json").read_text("utf-8"))

STAGE = "stage0marker"
CLUSTER = "cluster0marker"
SENDERS = {"IsAccount": "000000000001", "IsOrganization": "o-sender0marker"}
SERVICE = "watched0cluster/watched0service"
ALERT_ADDRESS, OPERATOR_ADDRESS = "alert0marker@example.com", "operator0marker@example.com"
PARAMETER, SECRET = "parameter0marker", "secret0marker"
KEY = "arn:aws:kms:us-east-1:000000000000:key/key0marker"
MARKERS = {
    "ALARM_NAME_PREFIX": "alarm0marker",
    "CODEDEPLOY_APPLICATION_PREFIX": "codedeploy0marker",
    "HEARTBEAT_SCHEDULE": "rate(987654 days)",
    "PERMISSIONS_BOUNDARY": "arn:aws:iam::aws:policy/boundary0marker",
    "ROLE_PATH": "/path0marker/",
}
SETTINGS = {
    **MARKERS,
    "ALERT_EMAILS": ALERT_ADDRESS,
    "CONTAINER_EXITED_EVENTS": "on",
    "DASHBOARD": "on",
    "EVENT_BUS_SENDERS": ",".join(SENDERS.values()),
    "EVENT_LOG_DAYS": "1",
    "OPERATOR_EMAILS": OPERATOR_ADDRESS,
    "PAGERDUTY_EVENTS_URL": "",
    "PRODUCTION": "on",
    "SECRETS_KMS_KEY_ARNS": KEY,
    "SLACK_WEBHOOK_URL": f"ssm:/{PARAMETER}",
    "TEAMS_WEBHOOK_URL": f"secretsmanager:{SECRET}",
    "VPC_SECURITY_GROUPS": "sg-00000000",
    "VPC_SUBNETS": "subnet-00000000",
    "WATCHED_SERVICES": SERVICE,
}

# Parameters have the first two names, and nothing in a template can have the same one. The tick's contain the stage.
RENAMED = {
    "HistoryTable": "AlertHistory",
    "Dashboard": "RouterDashboard",
    f"Ecsalertrouter{STAGE}routerrule4EventBridgeRule": "TickRule",
    "RouterEventBridgeLambdaPermission4": "TickPermission",
}
CONDITIONS = {
    "eventBus": "HasEventBus",
    "eventLog": "HasEventLog",
    "dashboard": "HasDashboard",
    "containerExitedEvents": "HasContainerExitedEvents",
    "key": "CreatesKey",
}
REPLACEABLE = {"CreatesKey", "CreatesTable"}  # by an existing one, to which the same resources then refer
OF_THE_FRAMEWORK = ("ServerlessDeploymentBucket", "ServerlessDeploymentBucketPolicy")
SELF_REPORTS_MAPPING = "RouterEventSourceMappingSQSSelfReportsQueue"


def variants() -> list[dict[str, Any]]:
    """The settings for which deploy/patterns.js has to make event patterns."""
    prefixes = {
        "alarmNamePrefix": MARKERS["ALARM_NAME_PREFIX"],
        "codeDeployPrefix": MARKERS["CODEDEPLOY_APPLICATION_PREFIX"],
    }
    return [
        {**prefixes, "clusters": clusters, "lifecycleEvents": lifecycle}
        for clusters in ([], [CLUSTER])
        for lifecycle in (False, True)
    ]


def released(
    packaged: Template, patterns: Sequence[Mapping[str, Any]], architectures: tuple[str, ...], version: str
) -> Template:
    """The static template.

    Args:
        packaged: what `osls package` makes of `SETTINGS` and the stage `STAGE`.
        patterns: the event patterns of each of the `variants`, by rule.
        architectures: the processors on which the layer runs.
        version: the router's version.
    """
    template = json.loads(json.dumps(packaged))
    resources = template["Resources"]
    for name in OF_THE_FRAMEWORK:
        del resources[name]
    outputs = {name: output for name, output in template["Outputs"].items() if "Export" not in output}
    _set_properties(resources, patterns)
    _set_role(resources["IamRoleLambdaExecution"]["Properties"])
    _set_senders(resources["EventBus"]["Properties"]["Policy"])
    combined = _conditions_of(resources)
    _repeat(resources, combined)
    _encrypt(resources)
    for name in resources:
        resources[name] = _optional(resources[name], combined, combined.get(name, frozenset()))
        if combined.get(name):
            resources[name]["Condition"] = _joined(combined[name])
    for name, output in outputs.items():
        on = combined.get(_referred(output["Value"]) or "", frozenset()) - {"CreatesTable"}
        if on:
            outputs[name] = {**output, "Condition": "HasKey" if on == {"CreatesKey"} else _joined(on)}
    resources, outputs = (_existing(_renamed(part)) for part in (resources, outputs))
    conjunctions = {
        _joined(on): {"Fn::And": [{"Condition": condition} for condition in sorted(on)]}
        for on in combined.values()
        if len(on) > 1
    }
    return {
        "AWSTemplateFormatVersion": template["AWSTemplateFormatVersion"],
        "Description": f"ecs-alert-router {version}",
        "Metadata": {"Version": version},
        "Parameters": parameters_section(architectures),
        "Rules": rules_section(),
        "Conditions": conditions() | conjunctions,
        "Resources": substituted(resources, _texts()),
        "Outputs": {**substituted(outputs, _texts()), "Version": {"Value": version}},
    }


def _texts() -> dict[str, Expression]:
    """The expression for each marker that can be anywhere in a text."""
    names = {variable: _camel_case(variable) for variable in MARKERS}
    return {STAGE: ref("Stage")} | {MARKERS[variable]: ref(name) for variable, name in names.items()}


def _camel_case(variable: str) -> str:
    return "".join(word.capitalize() for word in variable.split("_"))


def _set_properties(resources: Template, patterns: Sequence[Mapping[str, Any]]) -> None:
    """Properties whose values are not texts, or depend on conditions."""
    function = resources["RouterLambdaFunction"]["Properties"]
    function["Code"] = {"S3Bucket": ref("CodeBucket"), "S3Key": ref("FunctionKey")}
    function["Architectures"] = [ref("FunctionArchitecture")]
    function["VpcConfig"] = choice(
        "HasVpc",
        {
            "SecurityGroupIds": split(",", filled("VpcSecurityGroups", "")),
            "SubnetIds": split(",", filled("VpcSubnets", "")),
        },
    )
    variables = function["Environment"]["Variables"]
    variables["PRODUCTION"] = choice("IsProduction", "true", "false")
    for name in (
        "SLACK_WEBHOOK_URL",
        "TEAMS_WEBHOOK_URL",
        "PAGERDUTY_ROUTING_KEY",
        "PAGERDUTY_EVENTS_URL",
        "ALERT_ROUTER_CONFIG",
    ):
        variables[name] = ref(_camel_case(name))
    layer = resources["DependenciesLambdaLayer"]["Properties"]
    layer["Content"] = {"S3Bucket": ref("CodeBucket"), "S3Key": ref("LayerKey")}
    layer["CompatibleArchitectures"] = [ref("FunctionArchitecture")]
    resources["RouterLogGroup"]["Properties"]["RetentionInDays"] = choice("IsProduction", 90, 30)
    resources["EventLogGroup"]["Properties"]["RetentionInDays"] = ref("EventLogDays")
    resources["HistoryTable"]["Properties"]["DeletionProtectionEnabled"] = choice(
        "IsProduction", then=True, otherwise=False
    )
    heartbeat = resources["HeartbeatRule"]["Properties"]
    heartbeat["State"] = choice("HasHeartbeat", "ENABLED", "DISABLED")
    default = parameters_section(())["HeartbeatSchedule"]["Default"]
    heartbeat["ScheduleExpression"] = choice("HasHeartbeat", ref("HeartbeatSchedule"), default)
    for rule in patterns[0]:
        resources[rule]["Properties"]["EventPattern"] = _pattern([variant[rule] for variant in patterns])


def _pattern(variants: Sequence[Any]) -> Any:
    """One event pattern for all variants. CloudFormation takes it as JSON, too, in which a list can have any length."""
    everywhere, lifecycle, *of_clusters = variants

    def either(plain: Any, with_lifecycle: Any) -> Any:
        return plain if plain == with_lifecycle else choice("HasLifecycleEvents", with_lifecycle, plain)

    anywhere = either(everywhere, lifecycle)
    if everywhere == of_clusters[0]:
        return anywhere
    return choice("HasClusters", either(*map(_within_clusters, of_clusters)), anywhere)


def _within_clusters(pattern: Any) -> Expression:
    """A pattern with matchers for each cluster in place of those for the marker."""
    clusters = split(",", ref("EcsClusters"))

    def matchers(before: str, after: str) -> Expression:
        return {"Fn::Join": ["", [before, {"Fn::Join": [f"{after},{before}", clusters]}, after]]}

    def exact_or_glob(exact: tuple[str, str], glob: tuple[str, str]) -> Expression:
        return choice("HasClusterGlobs", matchers(*glob), matchers(*exact))

    places = {
        "Arns": (
            {"suffix": f":cluster/{CLUSTER}"},
            exact_or_glob(('{"suffix":":cluster/', '"}'), ('{"wildcard":"*:cluster/', '"}')),
        ),
        "Within": ({"wildcard": f"*/{CLUSTER}/*"}, matchers('{"wildcard":"*/', '/*"}')),
        "Names": (CLUSTER, exact_or_glob(('"', '"'), ('{"wildcard":"', '"}'))),
    }
    text, values = text_of(pattern), {}
    for name, (marker, expression) in places.items():
        if text_of(marker) in text:
            text, values[name] = text.replace(text_of(marker), f"${{{name}}}"), expression
    return {"Fn::Sub": [text, values]}


def _set_role(role: Template) -> None:
    """The permissions that depend on parameters."""
    role["PermissionsBoundary"] = choice("HasPermissionsBoundary", ref("PermissionsBoundary"))
    (policy,) = role["Policies"]
    document = policy["PolicyDocument"]
    document["Statement"] = [_statement(statement) for statement in document["Statement"]]


def _statement(statement: Template) -> Template:
    resources = statement["Resource"]
    if resources == [{"Fn::GetAtt": ["EncryptionKey", "Arn"]}]:
        return choice("HasKey", statement)
    if resources == [KEY]:
        return choice("DecryptsSecrets", statement | {"Resource": split(",", ref("SecretsKmsKeyArns"))})
    if "ec2:CreateNetworkInterface" in statement["Action"]:
        return choice("HasVpc", statement)
    for marker, kind in ((PARAMETER, "Parameter"), (SECRET, "Secret")):
        if marker in text_of(resources):
            of_secrets = [_secret(resources, marker, kind, name) for name in SECRETS]
            others = [resource for resource in resources if marker not in text_of(resource)]
            changed = statement | {"Resource": [*of_secrets, *others]}
            return changed if others else choice(f"Reads{kind}s", changed)
    return statement


def _secret(resources: Sequence[Any], marker: str, kind: str, name: str) -> Expression:
    """The ARN of what a parameter refers to."""
    (pattern,) = [resource for resource in resources if marker in text_of(resource)]
    path = behind("ssm:/", name) if kind == "Parameter" else head("#", behind("secretsmanager:", name))
    return choice(f"{name}Is{kind}", substituted(pattern, {marker: path}))


def _set_senders(policy: Template) -> None:
    shipped = dict(zip(SENDERS, policy["Statement"], strict=True))
    policy["Statement"] = [
        choice(f"Sender{index}{kind}", substituted(statement | {"Sid": f"From{index}"}, {SENDERS[kind]: sender}))
        for index in range(LONGEST["EventBusSenders"])
        for sender in [slot("EventBusSenders", index)]
        for kind, statement in shipped.items()
    ]


def _conditions_of(resources: Template) -> dict[str, frozenset[str]]:
    """The conditions of each optional resource."""
    conditions = {
        "HistoryTable": frozenset({"CreatesTable"}),
        SELF_REPORTS_MAPPING: frozenset({CONDITIONS["containerExitedEvents"]}),
    }
    for part, names in PARTS["resources"].items():
        for name in names:
            conditions[name] = conditions.get(name, frozenset()) | {CONDITIONS[part]}
    watched = _named(resources, SERVICE.replace("/", "-"))
    for name, resource in resources.items():
        if resource["Type"] == "AWS::CloudWatch::Alarm" and name not in {watched, *PARTS["leanAlarms"]}:
            conditions[name] = conditions.get(name, frozenset()) | {"IsNotLean"}
    unknown = conditions.keys() - resources.keys()
    if unknown:
        raise ValueError(f"deploy/parts.json: no such resource: {', '.join(sorted(unknown))}")
    return conditions


def _joined(on: frozenset[str]) -> str:
    return "And".join(sorted(on))


def _repeat(resources: Template, combined: dict[str, frozenset[str]]) -> None:
    """Repeats the resources and statements of a list for each of its elements."""
    alerts = _named(resources, ALERT_ADDRESS)
    operators = _named(resources, OPERATOR_ADDRESS)
    alarm = _named(resources, SERVICE.replace("/", "-"))
    for index in range(LONGEST["AlertEmails"]):
        address = slot("AlertEmails", index)
        operator = choice("HasOperatorEmails", slot("OperatorEmails", index), address)
        resources[f"AlertEmail{index}"] = substituted(resources[alerts], {ALERT_ADDRESS: address})
        resources[f"OperatorEmail{index}"] = substituted(resources[operators], {OPERATOR_ADDRESS: operator})
        combined[f"AlertEmail{index}"] = frozenset({f"HasAlertEmail{index}"})
        combined[f"OperatorEmail{index}"] = frozenset({f"HasOperatorEmail{index}"})
    cluster, service = SERVICE.split("/")
    for index in range(LONGEST["WatchedServices"]):
        watched = slot("WatchedServices", index)
        parts = {
            SERVICE: watched,
            cluster: head("/", watched),
            service: item(1, "/", {"Fn::Join": ["", [watched, "/"]]}),
        }
        resources[f"RunningTasks{index}"] = substituted(resources[alarm], parts)
        combined[f"RunningTasks{index}"] = frozenset({f"HasWatchedService{index}"})
    for name in (alerts, operators, alarm):
        del resources[name]


def _named(resources: Template, marker: str) -> str:
    (name,) = [name for name, resource in resources.items() if marker in text_of(resource)]
    return str(name)


def _encrypt(resources: Template) -> None:
    """Encrypts with the key if there is one, as deploy/optional.js does."""
    for resource in resources.values():
        encryption = PARTS["encryption"].get(resource["Type"], {})
        properties = resource["Properties"]
        for name in encryption.get("byKey", ()):
            properties[name] = choice("HasKey", properties[name])
        for name, value in encryption.get("otherwise", {}).items():
            properties[name] = choice("HasKey", NO_VALUE, value)


def _optional(node: Any, combined: Mapping[str, frozenset[str]], given: frozenset[str]) -> Any:
    """Makes list elements conditional on `given` if they refer to a resource that may not exist."""
    if isinstance(node, dict):
        return {key: _optional(value, combined, given) for key, value in node.items()}
    if not isinstance(node, list):
        return node
    elements = []
    for element in node:
        on = combined.get(_referred(element) or "", frozenset()) - given - REPLACEABLE
        elements.append(choice(_joined(on), element) if on else _optional(element, combined, given))
    return elements


def _referred(value: Any) -> str | None:
    """The resource that a value refers to."""
    if not isinstance(value, dict):
        return None
    return value.get("Ref") or (value["Fn::GetAtt"][0] if "Fn::GetAtt" in value else None)


def _renamed(node: Any) -> Any:
    if isinstance(node, list):
        return [_renamed(element) for element in node]
    if not isinstance(node, dict):
        return node
    if node.get("Ref") in RENAMED and len(node) == 1:
        return ref(RENAMED[node["Ref"]])
    if "Fn::GetAtt" in node:
        name, attribute = node["Fn::GetAtt"]
        return {"Fn::GetAtt": [RENAMED.get(name, name), attribute]}
    return {RENAMED.get(key, key): _renamed(value) for key, value in node.items()}


def _existing(node: Any) -> Any:
    """Refers to the existing table or key where one is named."""
    table = {"Fn::Sub": "arn:${AWS::Partition}:dynamodb:${AWS::Region}:${AWS::AccountId}:table/${HistoryTable}"}
    arn = choice("CreatesTable", {"Fn::GetAtt": ["AlertHistory", "Arn"]}, table)
    indexes = {"Fn::Sub": ["${Table}/index/*", {"Table": arn}]}
    key = {"Fn::GetAtt": ["EncryptionKey", "Arn"]}
    replacements = {
        text_of(ref("AlertHistory")): choice("CreatesTable", ref("AlertHistory"), ref("HistoryTable")),
        text_of({"Fn::GetAtt": ["AlertHistory", "Arn"]}): arn,
        text_of({"Fn::Sub": "${HistoryTable.Arn}/index/*"}): indexes,
        text_of(key): choice("CreatesKey", key, ref("KmsKeyArn")),
    }

    def replaced(node: Any) -> Any:
        if isinstance(node, list):
            return [replaced(element) for element in node]
        if isinstance(node, dict):
            replacement = replacements.get(text_of(node)) if len(node) == 1 else None
            return replacement or {name: replaced(value) for name, value in node.items()}
        return node

    return replaced(node)
