"""`make release`: the released template is what `osls package` makes of the same values."""

import hashlib
import json
import re
import shlex
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import botocore.session
import pytest
from botocore import xform_name
from hypothesis import given, settings
from hypothesis import strategies as st

from local_aws import LocalAws
from release.__main__ import release
from release.parameters import LONGEST, PARAMETERS
from release.template import RENAMED, STAGE
from router.version import VERSION
from tests.template.cloudformation import Evaluation, parsed
from tests.template.packaged import ENVIRONMENT, EVERYTHING, Packaged

pytestmark = [pytest.mark.template, pytest.mark.xdist_group("template")]

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "deploy.md").read_text("utf-8")
LEAST = {
    "HEARTBEAT_SCHEDULE": "off",
    "OPERATOR_EMAILS": "operator@example.com",
    "PAGERDUTY_ROUTING_KEY": "",
    "PROFILE": "lean",
    "SLACK_WEBHOOK_URL": "",
}
OF_THE_STACK = {"DEPLOYMENT_BUCKET", "STACK_TAGS"}  # CodeBucket, and the tags of the stack itself
FILES = ["function.zip", "layer.zip", "sbom.cdx.json", "template.json"]


def camel_case(variable: str) -> str:
    return "".join(word.capitalize() for word in variable.split("_"))


def parameters(**environment: str) -> dict[str, str]:
    """The parameters for values of the deploying shell; a list in them has no spaces and nothing twice."""
    lists = {"ALERT_EMAILS", "ECS_CLUSTERS", "EVENT_BUS_SENDERS", "VPC_SUBNETS", "WATCHED_SERVICES"}
    values = {
        name: ",".join(dict.fromkeys(map(str.strip, value.split(",")))) if name in lists else value
        for name, value in environment.items()
    }
    code = {"CodeBucket": "bucket", "FunctionKey": "function.zip", "LayerKey": "layer.zip"}
    return code | {camel_case(name): value for name, value in values.items() if name not in OF_THE_STACK}


def template(dist: Path) -> Any:
    return json.loads((dist / "template.json").read_text("utf-8"))


def evaluated(dist: Path, **environment: str) -> Evaluation:
    return Evaluation(template(dist), parameters(**ENVIRONMENT | environment))


def comparable(evaluation: Evaluation, outputs: Mapping[str, Any]) -> Any:
    """Resources and outputs, with names that do not depend on how they were made."""
    names = RENAMED | {name: neutral_name(name, resource) for name, resource in evaluation.resources.items()}
    resources = renamed(evaluation.resources, names)
    for resource in resources.values():
        properties = resource["Properties"]
        if resource["Type"] == "AWS::Events::Rule" and "EventPattern" in properties:
            properties["EventPattern"] = renamed(parsed(properties["EventPattern"]), names)
        if resource["Type"] == "AWS::Logs::LogGroup":
            properties["RetentionInDays"] = int(properties["RetentionInDays"])
        for statement in properties.get("Policy", {}).get("Statement", []):  # of the event bus
            statement["Sid"] = "named by the sender, or by its place"
    resources["RouterLambdaFunction"]["Properties"].pop("Code")
    resources["DependenciesLambdaLayer"]["Properties"].pop("Content")
    return {"Resources": resources, "Outputs": renamed(outputs, names)}


def neutral_name(name: str, resource: Mapping[str, Any]) -> str:
    properties = resource["Properties"]
    if resource["Type"] == "AWS::SNS::Subscription":
        return f"{properties['TopicArn']['Ref']} to {properties['Endpoint']}"
    if name.startswith("RunningTasks"):
        return str(properties["AlarmName"])
    if properties.get("Name", "").endswith("-tick"):
        return "TickRule"
    return "TickPermission" if name.startswith("RouterEventBridgeLambdaPermission") else RENAMED.get(name, name)


def renamed(node: Any, names: Mapping[str, str]) -> Any:
    if isinstance(node, list):
        return [renamed(element, names) for element in node]
    if isinstance(node, str):
        return names.get(node, node.replace("${HistoryTable.Arn}", "${AlertHistory.Arn}"))
    if not isinstance(node, dict):
        return node
    if set(node) == {"suffix"}:
        return {"wildcard": f"*{node['suffix']}"}  # which matches the same
    if set(node) == {"wildcard"} and "*" not in node["wildcard"]:
        return node["wildcard"]  # which matches the same, too
    return {names.get(key, key): renamed(value, names) for key, value in node.items()}


@pytest.mark.parametrize(("variant", "settings"), [("packaged", {}), ("everything", EVERYTHING), ("least", LEAST)])
def test_the_released_template_deploys_what_the_cli_deploys_with_the_same_values(
    variant: str, settings: dict[str, str], dist: Path, request: pytest.FixtureRequest
) -> None:
    packaged = request.getfixturevalue(variant).template
    for name in ("ServerlessDeploymentBucket", "ServerlessDeploymentBucketPolicy"):
        packaged["Resources"].pop(name, None)
    packaged["Outputs"] = {name: output for name, output in packaged["Outputs"].items() if "Export" not in output}
    theirs = Evaluation(packaged, {})
    ours = evaluated(dist, **settings)
    outputs = {name: output for name, output in ours.outputs.items() if name != "Version"}
    assert comparable(ours, outputs) == comparable(theirs, theirs.outputs)


def test_every_value_is_a_parameter_of_the_same_name() -> None:
    documented = set(re.findall(r"^\| `([A-Z_]+)` \|", PAGE, re.MULTILINE))
    assert {parameter.variable: name for name, parameter in PARAMETERS.items() if parameter.variable} == {
        variable: camel_case(variable) for variable in documented - OF_THE_STACK
    }


def test_an_existing_table_is_used_instead_of_a_new_one(dist: Path) -> None:
    evaluation = evaluated(dist, HISTORY_TABLE="theirs")
    assert "AlertHistory" not in evaluation.resources
    assert evaluation.outputs["TableName"]["Value"] == "theirs"
    text = json.dumps(evaluation.resources)
    assert "AlertHistory" not in text
    assert ":table/theirs/index/*" in text


OTHERS = {
    "Production": ("on", "off"),
    "Profile": ("lean",),
    "AlertEmails": ("a@example.com,b@example.com",),
    "OperatorEmails": ("operator@example.com",),
    "SlackWebhookUrl": ("ssm:/ops/slack", "secretsmanager:ops/chat#slack"),
    "TeamsWebhookUrl": ("secretsmanager:ops/teams",),
    "PagerdutyRoutingKey": ("ssm:/ops/pager",),
    "EcsClusters": ("prod", "prod,batch-*"),
    "LifecycleEvents": ("on",),
    "ContainerExitedEvents": ("on",),
    "EventLogDays": ("14",),
    "EventBusSenders": ("111122223333,o-a1b2c3d4e5",),
    "HeartbeatSchedule": ("off",),
    "Dashboard": ("on", "off"),
    "KmsKeyArn": (EVERYTHING["KMS_KEY_ARN"],),
    "WatchedServices": ("prod/checkout,prod/api",),
    "SecretsKmsKeyArns": (EVERYTHING["SECRETS_KMS_KEY_ARNS"],),
    "HistoryTable": ("theirs",),
    "PermissionsBoundary": (EVERYTHING["PERMISSIONS_BOUNDARY"],),
    "RolePath": ("/applications/",),
    "VpcSubnets": ("subnet-0123abcd",),
    "VpcSecurityGroups": ("sg-0123abcd",),
    "FunctionArchitecture": ("x86_64",),
}
"""Other values than the default of each parameter on which something depends."""


def substitutes(text: str) -> set[str]:
    """The names that `Fn::Sub` replaces in a text."""
    return {name.partition(".")[0] for name in re.findall(r"\$\{([^!}]+)\}", text)}


def references(node: Any) -> Iterator[str]:
    """The names of resources that it refers to, and of pseudo parameters."""
    if isinstance(node, list):
        for element in node:
            yield from references(element)
    if isinstance(node, dict):
        match node:
            case {"Ref": name}:
                yield name
            case {"Fn::GetAtt": [name, _]}:
                yield name
            case {"Fn::Sub": [str(text), dict(own)]}:
                yield from substitutes(text) - own.keys()
            case {"Fn::Sub": str(text)}:
                yield from substitutes(text)
        depends = node.get("DependsOn", [])
        yield from [depends] if isinstance(depends, str) else depends
        for value in node.values():
            yield from references(value)


@given(st.fixed_dictionaries({}, optional={name: st.sampled_from(values) for name, values in OTHERS.items()}))
@settings(max_examples=60, deadline=None)
def test_with_any_values_nothing_refers_to_a_resource_that_is_left_out(dist: Path, given_: dict[str, str]) -> None:
    evaluation = Evaluation(template(dist), parameters() | given_)
    used = {name for name in references([evaluation.resources, evaluation.outputs]) if not name.startswith("AWS::")}
    assert used - evaluation.resources.keys() == set()


def test_a_secret_of_each_kind_can_be_read_and_no_other(dist: Path) -> None:
    def readable(**settings: str) -> list[str]:
        evaluation = Evaluation(template(dist), parameters(**settings))
        (policy,) = evaluation.resources["IamRoleLambdaExecution"]["Properties"]["Policies"]
        statements = policy["PolicyDocument"]["Statement"]
        actions = ("ssm:GetParameter", "secretsmanager:GetSecretValue")
        arns = [arn for statement in statements if statement["Action"][0] in actions for arn in statement["Resource"]]
        return [arn["Fn::Sub"].rpartition("AccountId}:")[2] for arn in arns]

    assert readable() == []
    assert readable(SLACK_WEBHOOK_URL="https://hooks.slack.com/services/T/B/x") == []
    references = {
        "SLACK_WEBHOOK_URL": "secretsmanager:ops/chat#slack",
        "TEAMS_WEBHOOK_URL": "ssm:/ops/teams",
        "PAGERDUTY_ROUTING_KEY": "ssm:/ops/pager",
    }
    assert sorted(readable(**references)) == ["parameter/ops/pager", "parameter/ops/teams", "secret:ops/chat-??????"]


def test_nothing_of_the_packaging_is_left_in_the_template(dist: Path) -> None:
    text = (dist / "template.json").read_text("utf-8")
    assert re.findall(rf"[\w-]*0marker\w*|{STAGE}|us-east-1|0{{8,}}|Serverless", text) == []


@pytest.mark.parametrize(
    ("name", "right", "wrong"),
    [
        ("AlertEmails", "a@example.com,b@example.com", "a@example.com, b@example.com"),
        ("AlertEmails", "", ",".join(["a@example.com"] * 11)),
        ("AlarmNamePrefix", "alerting-", "alert-"),
        ("AlarmNamePrefix", "a-", "alert-router-dev-"),
        ("EcsClusters", "prod,batch-*", "prod/web"),
        ("EventBusSenders", "111122223333,o-a1b2c3d4e5", "12345"),
        ("HeartbeatSchedule", "off", "weekly"),
        ("KmsKeyArn", EVERYTHING["KMS_KEY_ARN"], "alias/mine"),
        ("RolePath", "/", "applications/"),
        ("SlackWebhookUrl", "ssm:/path", "ssm:name"),
        ("WatchedServices", "prod/checkout,prod/api", "checkout"),
    ],
)
def test_cloudformation_refuses_a_wrong_value(dist: Path, name: str, right: str, wrong: str) -> None:
    pattern = template(dist)["Parameters"][name]["AllowedPattern"]
    assert re.fullmatch(pattern, right)
    assert not re.fullmatch(pattern, wrong)


def test_no_list_is_cut_off_in_silence(dist: Path) -> None:
    """CloudFormation refuses a list that is longer than what the template repeats."""
    names = {"AlertEmails": "AlertEmail", "OperatorEmails": "OperatorEmail", "WatchedServices": "RunningTasks"}
    resources = template(dist)["Resources"]
    for name, repeated in names.items():
        assert len([resource for resource in resources if re.fullmatch(rf"{repeated}\d+", resource)]) == LONGEST[name]


def test_secrets_are_not_shown(dist: Path) -> None:
    declared = template(dist)["Parameters"]
    hidden = {name for name, parameter in declared.items() if parameter.get("NoEcho")}
    assert hidden == {"SlackWebhookUrl", "TeamsWebhookUrl", "PagerdutyRoutingKey"}


def test_the_checksums_are_those_of_all_other_files(dist: Path) -> None:
    lines = (dist / "SHA256SUMS").read_text().splitlines()
    assert lines == [f"{hashlib.sha256((dist / name).read_bytes()).hexdigest()}  {name}" for name in FILES]
    assert sorted(path.name for path in dist.iterdir()) == ["SHA256SUMS", *FILES]


def test_the_bill_of_materials_names_every_package_of_the_layer(dist: Path) -> None:
    bill = json.loads((dist / "sbom.cdx.json").read_text("utf-8"))
    assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.6")
    assert bill["metadata"]["component"]["version"] == VERSION
    function, layer = bill["components"]
    for component in (function, layer):
        (digest,) = component["hashes"]
        assert digest["content"] == hashlib.sha256((dist / component["name"]).read_bytes()).hexdigest()
    with zipfile.ZipFile(dist / "layer.zip") as archive:
        found = {re.match(r"python/(.+)-([^-]+)\.dist-info/METADATA", name) for name in archive.namelist()} - {None}
    stated = {(package["name"].replace("-", "_"), package["version"]) for package in layer["components"]}
    assert stated == {match.groups() for match in found if match}


@pytest.mark.check  # each of its archives is packaged twice in test_shipped_files.py
def test_a_release_is_reproducible(dist: Path, local_aws: LocalAws, tmp_path: Path) -> None:
    release(local_aws, tmp_path)
    assert [name for name in FILES if (dist / name).read_bytes() != (tmp_path / name).read_bytes()] == []


# --- docs/deploy.md ---------------------------------------------------------------------------------------------------


def section(title: str) -> str:
    return PAGE.partition(f"\n## {title}")[2].partition("\n## ")[0]


def test_the_commands_of_the_page_exist_and_name_parameters_of_the_template() -> None:
    blocks = re.findall(r"^```sh\n(.*?)^```$", section("Without Node"), re.DOTALL | re.MULTILINE)
    lines = "".join(blocks).replace("\\\n", " ").splitlines()
    model = botocore.session.get_session().get_service_model("cloudformation")
    operations = {xform_name(name, "-"): model.operation_model(name) for name in model.operation_names}
    seen = []
    for line in lines:
        _, service, operation, *words = shlex.split(line)
        if service == "s3":
            assert (operation, len(words)) == ("cp", 2)
            continue
        members = {xform_name(name, "-") for name in operations[operation].input_shape.members}
        assert {word.removeprefix("--") for word in words if word.startswith("--")} <= members
        assert set(re.findall(r"ParameterKey=(\w+)", line)) <= PARAMETERS.keys()
        seen.append(operation)
    assert seen == ["create-stack", "create-stack-set", "create-stack-instances"]


def test_the_page_states_the_greatest_lengths() -> None:
    text = " ".join(section("Without Node").split())
    assert (
        "`AlertEmails`, `OperatorEmails` and `WatchedServices` take up to 10 elements, `EventBusSenders` up to 5"
        in text
    )
    assert LONGEST == {"AlertEmails": 10, "OperatorEmails": 10, "EventBusSenders": 5, "WatchedServices": 10}


def test_the_page_states_the_sizes_of_the_archives(dist: Path) -> None:
    """In megabytes, unpacked and zipped. They differ a little by the Python that compiles them."""
    stated = re.search(
        r"The layer is ([\d.]+) MB, ([\d.]+) MB zipped; the function ([\d.]+) MB, ([\d.]+) MB zipped", PAGE
    )
    assert stated
    sizes = []
    for name in ("layer.zip", "function.zip"):
        with zipfile.ZipFile(dist / name) as archive:
            sizes += [sum(file.file_size for file in archive.infolist()), (dist / name).stat().st_size]
    assert [*map(float, stated.groups())] == pytest.approx([size / 1e6 for size in sizes], rel=0.1)


def test_a_watched_service_costs_as_many_alarms_as_it_has_metrics(dist: Path) -> None:
    """CloudWatch charges $0.10 for each metric of an alarm (its price list, "alarm metrics")."""
    alarm = template(dist)["Resources"]["RunningTasks0"]["Properties"]
    metrics = [metric for metric in alarm["Metrics"] if "MetricStat" in metric]
    assert f"can cost more than everything else | {len(metrics) * 0.10:.2f} |" in PAGE


def test_the_costs_of_a_quiet_stage_add_up_and_the_readme_rounds_them() -> None:
    rows = [line.strip("|").split("|") for line in section("What it costs").splitlines() if line.startswith("|")]
    prices = [[cell.strip(" *") for cell in row[-3:]] for row in rows if len(row) == 5][2:]
    *parts, sums = [[float(cell) for cell in row] for row in prices]
    assert [round(sum(column), 2) for column in zip(*parts, strict=True)] == sums
    left, used_up, lean = sums
    readme = " ".join((ROOT / "README.md").read_text("utf-8").split())
    assert (
        f"about ${left:.1f}0 a month if your account has free tiers left, ${used_up:.1f}0 if they are used up" in readme
    )
    assert lean < 1


def test_the_costs_count_the_alarms_of_each_profile(packaged: Packaged, least: Packaged) -> None:
    alarms = [len(variant.of_type("AWS::CloudWatch::Alarm")) for variant in (packaged, least)]
    assert f"| alarms | {alarms[0]}, or {alarms[1]}; 10 are free |" in PAGE
