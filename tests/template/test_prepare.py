"""deploy/prepare.js: checks the settings, and adds subscriptions and permissions to the stack."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from local_aws import DeployError, LocalAws
from local_aws.deploy import VISIBLE, run_osls
from router.config.production import is_production
from tests.template.packaged import ENVIRONMENT, EVERYTHING, Packaged, package

ROOT = Path(__file__).resolve().parents[2]
BUS = "arn:aws:events:eu-west-1:111122223333:event-bus/data"

pytestmark = [pytest.mark.template, pytest.mark.xdist_group("template")]


def subscribers(packaged: Packaged, topic: str) -> set[str]:
    subscriptions = packaged.of_type("AWS::SNS::Subscription").values()
    assert {subscription["Protocol"] for subscription in subscriptions} <= {"email"}
    return {subscription["Endpoint"] for subscription in subscriptions if subscription["TopicArn"] == {"Ref": topic}}


def permitted(packaged: Packaged, action: str) -> list[Any]:
    (policy,) = packaged.properties("IamRoleLambdaExecution")["Policies"]
    statements = policy["PolicyDocument"]["Statement"]
    return [resource for statement in statements if action in statement["Action"] for resource in statement["Resource"]]


def test_each_alert_address_is_subscribed_to_the_alerts_topic(packaged: Packaged) -> None:
    assert subscribers(packaged, "AlertsTopic") == {"first@example.com", "second@example.com"}


def test_operators_default_to_the_alert_addresses(packaged: Packaged) -> None:
    assert subscribers(packaged, "OperatorsTopic") == {"first@example.com", "second@example.com"}


def test_only_named_operators_are_subscribed(least: Packaged) -> None:
    assert subscribers(least, "OperatorsTopic") == {"operator@example.com"}


def test_all_problems_are_reported_together(local_aws: LocalAws, tmp_path: Path) -> None:
    invalid = {
        "ALERT_EMAILS": "first@example.com,nobody,@example.com",
        "EVENT_LOG_DAYS": "13",
        "SLACK_WEBHOOK_URL": "https://hooks.slack.com/workflows/T/A/1",
    }
    with pytest.raises(DeployError) as raised:
        package(local_aws, tmp_path / "package", **invalid)
    error = str(raised.value)
    assert "ALERT_EMAILS: not an email address: nobody, @example.com" in error
    assert "EVENT_LOG_DAYS: must be one of 1, 3, 5," in error
    assert "channels.slack: " in error


def checked(tmp_path: Path, channel: str) -> subprocess.CompletedProcess[str]:
    """deploy/check_config.py, as deploy/prepare.js runs it, for a channel besides the stack's own topic."""
    file = tmp_path / "alert-router.toml"
    own = '[channels.email]\nkind = "sns"\ntopic_arn = "env:SNS_TOPIC_ARN"\n'
    second = f"[channels.data]\n{channel}\n"
    file.write_text(f'{own}{second}[[routes]]\nchannels = ["email", "data"]\n', "utf-8")
    environment = {
        "ALERT_ROUTER_CONFIG": str(file),
        "PATH": os.defpath,
        "SNS_TOPIC_ARN": "arn:aws:sns:us-east-1:000000000000:alerts",
        "DATA_TOPIC": "arn:aws:sns:eu-west-1:111122223333:data",
        "DATA_BUS": BUS,
    }
    check: list[str | Path] = [sys.executable, ROOT / "deploy" / "check_config.py"]
    return subprocess.run(check, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)


def statements_for(needs: str) -> Any:
    """The statements of deploy/permissions.js for what deploy/check_config.py prints."""
    script = """
        const {channelStatements} = require('./deploy/permissions');
        console.log(JSON.stringify(channelStatements(JSON.parse(process.argv[1]))));
    """
    return json.loads(
        subprocess.run(["node", "-e", script, needs], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    )


@pytest.mark.parametrize("topic", ["arn:aws:sns:eu-west-1:111122223333:data", "env:DATA_TOPIC"])
def test_a_second_topic_may_be_published_to(topic: str, tmp_path: Path) -> None:
    needs = checked(tmp_path, f'kind = "sns"\ntopic_arn = "{topic}"').stdout
    assert json.loads(needs)["topics"] == ["arn:aws:sns:eu-west-1:111122223333:data"]
    assert statements_for(needs) == [
        {"Effect": "Allow", "Action": ["sns:Publish"], "Resource": ["arn:aws:sns:eu-west-1:111122223333:data"]}
    ]


@pytest.mark.parametrize("bus", [BUS, "env:DATA_BUS"])
def test_a_channel_for_a_bus_may_put_events_on_that_bus(bus: str, tmp_path: Path) -> None:
    needs = checked(tmp_path, f'kind = "eventbridge"\nbus_arn = "{bus}"').stdout
    assert statements_for(needs) == [{"Effect": "Allow", "Action": ["events:PutEvents"], "Resource": [BUS]}]


@pytest.mark.parametrize("sender", ["alerts@example.com", "ECS alerts <alerts@example.com>"])
def test_a_channel_for_mail_may_send_from_its_address_alone(sender: str, tmp_path: Path) -> None:
    """Whichever identity covers it: the address or its domain; SES asks for the configuration set, too."""
    needs = checked(tmp_path, f'kind = "ses"\nfrom = "{sender}"\nto = ["ops@example.com"]').stdout
    (statement,) = statements_for(needs)
    assert statement["Action"] == ["ses:SendEmail", "ses:SendRawEmail"]
    assert statement["Condition"] == {"StringEquals": {"ses:FromAddress": ["alerts@example.com"]}}
    resources = [resource["Fn::Sub"].rpartition(":")[2] for resource in statement["Resource"]]
    assert resources == ["identity/*", "configuration-set/*"]


def test_without_such_channels_nothing_is_permitted(tmp_path: Path) -> None:
    needs = checked(tmp_path, 'kind = "sns"\ntopic_arn = "env:SNS_TOPIC_ARN"').stdout
    assert statements_for(needs) == []


@pytest.mark.parametrize(
    ("channel", "option"),
    [
        ('kind = "sns"\ntopic_arn = "ssm:/data/topic"', "topic_arn"),
        ('kind = "eventbridge"\nbus_arn = "ssm:/data/bus"', "bus_arn"),
        ('kind = "ses"\nfrom = "ssm:/data/from"\nto = ["ops@example.com"]', "from"),
    ],
)
def test_what_the_deployment_cannot_know_is_refused(channel: str, option: str, tmp_path: Path) -> None:
    result = checked(tmp_path, channel)
    assert result.returncode == 1
    assert result.stderr.startswith(f"channels.data.{option}: must be the value itself")


def removed(owed: dict[str, dict[str, int]]) -> Any:
    """What deploy/owed.js says of a configuration that has the channels `slack` and `email`."""
    script = """
        const {removed} = require('./deploy/owed');
        const options = '--stage dev --region eu-west-1';
        console.log(JSON.stringify(removed(JSON.parse(process.argv[1]), ['slack', 'email'], options)));
    """
    command = ["node", "-e", script, json.dumps(owed)]
    return json.loads(subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout)


def test_a_channel_that_is_removed_while_messages_are_due_stops_the_deployment() -> None:
    found = removed({"slack": {"due": 9, "open_incidents": 9}, "pager": {"due": 2, "open_incidents": 3}})
    (problem,) = found["problems"]
    assert problem.startswith(
        "channels.pager: the configuration no longer has this channel, but 2 messages for it are due"
    )
    assert "ecs-alert-router redrive --drop pager --stage dev --region eu-west-1" in problem
    assert found["warnings"] == []


def test_a_channel_that_is_removed_before_the_end_of_an_incident_is_only_warned_of() -> None:
    """Otherwise no deployment could remove a channel while an incident is open."""
    found = removed({"pager": {"due": 0, "open_incidents": 1}})
    assert found["problems"] == []
    (warning,) = found["warnings"]
    assert warning.startswith(
        "channels.pager: the configuration no longer has this channel, which was notified of 1 open incident"
    )


def test_the_deployment_learns_the_names_of_all_usable_channels(tmp_path: Path) -> None:
    """A channel whose value is unset gets no messages either."""
    found = checked(tmp_path, 'kind = "sns"\ntopic_arn = "env:UNSET"').stdout
    assert json.loads(found)["channels"] == ["email"]


def test_a_deployment_without_any_usable_channel_is_refused() -> None:
    """The check that deploy/prepare.js runs, without an address for the topic."""
    environment = {"ALERT_ROUTER_CONFIG": "alert-router.toml", "PATH": os.defpath, "SNS_TOPIC_ARN": ""}
    check: list[str | Path] = [sys.executable, ROOT / "deploy" / "check_config.py"]
    result = subprocess.run(check, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert result.returncode == 1
    assert "no channel is usable" in result.stderr


WITHOUT_BOTO3 = """
import importlib.util, runpy
find_spec = importlib.util.find_spec
importlib.util.find_spec = lambda name, package=None: None if name == "boto3" else find_spec(name, package)
runpy.run_path("deploy/check_config.py", run_name="__main__")
"""


def test_a_machine_without_boto3_checks_the_configuration_and_says_nothing_about_it() -> None:
    """The topic's channel makes a client, for which there are stand-ins."""
    environment = {
        "ALERT_ROUTER_CONFIG": "alert-router.toml",
        "PATH": os.defpath,
        "SNS_TOPIC_ARN": "arn:aws:sns:us-east-1:000000000000:alerts",
    }
    check = [sys.executable, "-c", WITHOUT_BOTO3]
    result = subprocess.run(check, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert (result.returncode, result.stderr) == (0, "")


LITERAL = "https://hooks.slack.com/services/T00000000/B00000000/confidential"


@pytest.mark.parametrize("stage", ["production", pytest.param("prod-eu", marks=pytest.mark.check)])
def test_a_literal_secret_stops_the_deployment_of_every_stage_that_is_not_for_tests(
    local_aws: LocalAws, tmp_path: Path, stage: str
) -> None:
    words = ("package", "--stage", stage, "--package", str(tmp_path / "package"))
    with pytest.raises(DeployError, match=r"channels\.slack\.webhook_url: is a literal secret"):
        run_osls(local_aws, *words, environment=ENVIRONMENT | {"SLACK_WEBHOOK_URL": LITERAL})


def test_a_literal_secret_in_a_variable_stops_the_deployment_even_if_no_channel_refers_to_it(
    local_aws: LocalAws, tmp_path: Path
) -> None:
    configuration = tmp_path / "router.toml"
    configuration.write_text((ROOT / "alert-router.toml").read_text().replace("env:SLACK_WEBHOOK_URL", "ssm:/slack"))
    words = ("package", "--stage", "prod", "--package", str(tmp_path / "package"))
    with pytest.raises(DeployError, match="SLACK_WEBHOOK_URL: is a literal secret"):
        run_osls(
            local_aws,
            *words,
            environment=ENVIRONMENT | {"SLACK_WEBHOOK_URL": LITERAL},
            configuration=configuration,
        )


@pytest.mark.parametrize(
    ("stage", "setting", "production", "days"),
    [
        ("prod", "", True, 90),
        ("staging", "", True, 90),
        ("dev", "", False, 30),
        ("test", "", False, 30),
        ("local", "", False, 30),
        ("dev", "on", True, 90),
        ("prod", "off", False, 30),
    ],
)
def test_every_stage_is_production_except_those_for_tests_unless_the_setting_says_otherwise(
    stage: str, setting: str, *, production: bool, days: int
) -> None:
    values, problems = settings(stage, production=setting)
    assert (values["production"], values["logDays"], problems) == (production, days, [])


def test_a_stage_can_set_how_long_its_logs_are_kept() -> None:
    assert settings("prod", logDays="365")[0]["logDays"] == 365


def test_the_function_and_the_deployment_agree_on_what_production_is() -> None:
    for stage in ("prod", "production", "prod-eu", "dev", "test", "local", "staging", "live"):
        assert settings(stage)[0]["production"] is is_production({"STAGE": stage})


def settings(stage: str = "dev", **values: str) -> tuple[dict[str, Any], list[str]]:
    """The settings and problems that deploy/settings.js returns for custom.settings."""
    script = (
        "const {read} = require('./deploy/settings'); console.log(JSON.stringify(read(...JSON.parse(process.argv[1]))))"
    )
    arguments = json.dumps([values, {}, stage])
    result = subprocess.run(["node", "-e", script, arguments], cwd=ROOT, capture_output=True, text=True, check=True)
    output = json.loads(result.stdout)
    return output["settings"], output["problems"]


@pytest.mark.parametrize(
    ("setting", "value", "variable"),
    [
        ("alarmNamePrefix", "alert-router", "ALARM_NAME_PREFIX"),
        ("clusters", "prod, two words", "ECS_CLUSTERS"),
        ("containerExitedEvents", "maybe", "CONTAINER_EXITED_EVENTS"),
        ("dashboard", "perhaps", "DASHBOARD"),
        ("eventBusSenders", "12345", "EVENT_BUS_SENDERS"),
        ("heartbeat", "weekly", "HEARTBEAT_SCHEDULE"),
        ("historyTable", "a/b", "HISTORY_TABLE"),
        ("kmsKeyArn", "alias/mine", "KMS_KEY_ARN"),
        ("lifecycleEvents", "2", "LIFECYCLE_EVENTS"),
        ("architecture", "x86", "FUNCTION_ARCHITECTURE"),
        ("deploymentBucket", "My_Bucket", "DEPLOYMENT_BUCKET"),
        ("permissionsBoundary", "boundary", "PERMISSIONS_BOUNDARY"),
        ("production", "perhaps", "PRODUCTION"),
        ("profile", "cheap", "PROFILE"),
        ("rolePath", "applications", "ROLE_PATH"),
        ("tags", "team", "STACK_TAGS"),
        ("tags", "aws:team=x", "STACK_TAGS"),
        ("vpcSecurityGroups", "sg-0123abcd", "VPC_SUBNETS"),
        ("vpcSubnets", "subnet-0123abcd", "VPC_SECURITY_GROUPS"),
        ("secretsKeyArns", "mine", "SECRETS_KMS_KEY_ARNS"),
        ("watchedServices", "checkout", "WATCHED_SERVICES"),
        ("watchedServices", "prod/", "WATCHED_SERVICES"),
        ("watchedServices", "a/b/c", "WATCHED_SERVICES"),
        ("watchedServices", "prod/check out", "WATCHED_SERVICES"),
    ],
)
def test_an_invalid_setting_is_reported_with_its_variable(setting: str, value: str, variable: str) -> None:
    (problem,) = settings(**{setting: value})[1]
    assert problem.startswith(f"{variable}: ")


@pytest.mark.parametrize(
    ("profile", "dashboard", "expected"), [("", "", True), ("lean", "", False), ("lean", "on", True)]
)
def test_a_lean_stack_has_a_dashboard_only_if_asked_for(profile: str, dashboard: str, *, expected: bool) -> None:
    assert settings(profile=profile, dashboard=dashboard)[0]["dashboard"] is expected


def test_the_dashboard_can_be_turned_off() -> None:
    assert settings(dashboard="off")[0]["dashboard"] is False


def test_a_tag_may_contain_an_equals_sign() -> None:
    assert settings(tags="team=platform, cost=4=2")[0]["tags"] == {"team": "platform", "cost": "4=2"}


def test_an_empty_setting_counts_as_unset() -> None:
    names = [
        "alarmNamePrefix",
        "codeDeployPrefix",
        "clusters",
        "containerExitedEvents",
        "dashboard",
        "heartbeat",
        "eventLogDays",
        "historyTable",
        "profile",
        "rolePath",
        "tags",
        "vpcSubnets",
    ]
    assert settings(**dict.fromkeys(names, " ")) == settings()
    assert settings()[1] == []


def test_a_stage_uses_its_own_configuration_if_it_exists(local_aws: LocalAws, tmp_path: Path) -> None:
    own = tmp_path / "alert-router.staging.toml"
    own.write_text((ROOT / "alert-router.toml").read_text().replace('language = "en"', 'language = "ja"'))
    files = (own,)
    run_osls(
        local_aws,
        "package",
        "--stage",
        "staging",
        "--package",
        str(tmp_path / "out"),
        environment=ENVIRONMENT,
        files=files,
    )
    packaged = Packaged(tmp_path / "out")
    variables = packaged.properties("RouterLambdaFunction")["Environment"]["Variables"]
    assert variables["ALERT_ROUTER_CONFIG"] == own.name
    assert [name for name in packaged.files("ecs-alert-router.zip") if name.endswith(".toml")] == [own.name]


def test_a_customer_managed_key_decrypts_secrets_only_through_their_service(
    everything: Packaged,
) -> None:
    statements = everything.properties("IamRoleLambdaExecution")["Policies"][0]["PolicyDocument"]["Statement"]
    (decrypt,) = [statement for statement in statements if EVERYTHING["SECRETS_KMS_KEY_ARNS"] in statement["Resource"]]
    assert decrypt["Action"] == ["kms:Decrypt"]
    assert decrypt["Condition"]["StringLike"]["kms:ViaService"] == [
        "ssm.*.amazonaws.com*",
        "secretsmanager.*.amazonaws.com*",
    ]


def test_only_referenced_parameters_can_be_read(packaged: Packaged) -> None:
    arn = "arn:${AWS::Partition}:ssm:${AWS::Region}:${AWS::AccountId}:parameter/ecs-alert-router/slack"
    assert permitted(packaged, "ssm:GetParameter") == [{"Fn::Sub": arn}]


def test_a_referenced_secret_can_be_read_whatever_its_suffix(packaged: Packaged) -> None:
    arn = "arn:${AWS::Partition}:secretsmanager:${AWS::Region}:${AWS::AccountId}:secret:pagerduty-??????"
    assert permitted(packaged, "secretsmanager:GetSecretValue") == [{"Fn::Sub": arn}]


def test_without_references_no_secret_can_be_read(least: Packaged) -> None:
    assert permitted(least, "ssm:GetParameter") == []
    assert permitted(least, "secretsmanager:GetSecretValue") == []


def test_a_deployment_lists_addresses_that_receive_no_mail() -> None:
    """The addresses that are not confirmed, or that AWS has removed; to CloudFormation both seem to be subscribed."""
    script = """
        const {Aws} = require('./deploy/aws');
        const pages = [
          {Subscriptions: [{Endpoint: 'late@example.com', SubscriptionArn: 'PendingConfirmation'}], NextToken: '2'},
          {Subscriptions: [{Endpoint: 'there@example.com', SubscriptionArn: 'arn:aws:sns:eu-west-1:1:alerts:1'}]},
        ];
        const aws = new Aws({});
        aws.ask = async () => pages.shift();
        aws.unconfirmed('arn', ['late@example.com', 'there@example.com', 'forgotten@example.com'])
          .then((unconfirmed) => console.log(JSON.stringify(unconfirmed)));
    """
    result = subprocess.run(["node", "-e", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert json.loads(result.stdout) == ["late@example.com", "forgotten@example.com"]


@pytest.mark.parametrize(
    "provider",
    [
        "getAwsSdkV3Config: async () => ({region: 'eu-west-1', credentials: KEYS})",  # osls
        "getCredentials: async () => ({...KEYS, accountId: '1'})",  # Serverless 4
        "getCredentials: () => ({credentials: {getPromise() { Object.assign(this, KEYS); }}})",  # Serverless 3
    ],
)
def test_aws_is_asked_with_the_credentials_of_whichever_cli_deploys(provider: str) -> None:
    """`--aws-profile` names them to the CLI alone."""
    script = f"""
        const {{Aws}} = require('./deploy/aws');
        const KEYS = {{accessKeyId: 'a', secretAccessKey: 'b', sessionToken: 'c'}};
        const aws = new Aws({{getRegion: () => 'eu-west-1', {provider}}});
        aws.config().then((found) => console.log(JSON.stringify(found)));
    """
    result = subprocess.run(["node", "-e", script], cwd=ROOT, capture_output=True, text=True, check=True)
    keys = {"accessKeyId": "a", "secretAccessKey": "b", "sessionToken": "c"}
    assert json.loads(result.stdout) == {"region": "eu-west-1", "credentials": keys}


# --- permissions for enrichment ---------------------------------------------------------------------------------------


def enriched(enabled: dict[str, Any]) -> Any:
    """The statements for what `[enrich]` of alert-router.toml turns on."""
    script = """
        const {enrichStatements} = require('./deploy/permissions');
        console.log(JSON.stringify(enrichStatements(JSON.parse(process.argv[1]))));
    """
    command = ["node", "-e", script, json.dumps({"taskDefinition": False, "logGroups": []} | enabled)]
    return json.loads(subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout)


def test_the_shipped_configuration_grants_no_permission_for_enrichment(packaged: Packaged) -> None:
    assert permitted(packaged, "ecs:DescribeTaskDefinition") == []
    assert permitted(packaged, "logs:GetLogEvents") == []


def test_disabled_enrichment_gets_no_permission() -> None:
    assert enriched({}) == []


def test_enabling_task_definitions_permits_describing_them() -> None:
    statements = enriched({"taskDefinition": True})
    assert statements == [{"Effect": "Allow", "Action": ["ecs:DescribeTaskDefinition"], "Resource": "*"}]


def polled(enabled: dict[str, Any]) -> Any:
    """The statements for what `[poll]` of alert-router.toml turns on."""
    script = """
        const {pollStatements} = require('./deploy/permissions');
        console.log(JSON.stringify(pollStatements(JSON.parse(process.argv[1]))));
    """
    command = ["node", "-e", script, json.dumps(enabled)]
    return json.loads(subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout)


def test_polling_services_permits_listing_them_and_only_where_it_is_on() -> None:
    assert polled({"services": False}) == []
    (statement,) = polled({"services": False, "expect": True})
    assert statement["Action"] == ["ecs:ListTasks"]
    (statement,) = polled({"services": True})
    assert statement["Action"] == ["ecs:ListClusters", "ecs:ListServices"]


def test_only_configured_log_groups_can_be_read() -> None:
    (statement,) = enriched({"logGroups": ["/ecs/*", "web"]})
    assert statement["Action"] == ["logs:GetLogEvents"]
    assert [resource["Fn::Sub"].partition("log-group:")[2] for resource in statement["Resource"]] == [
        "/ecs/*:log-stream:*",
        "web:log-stream:*",
    ]


def test_each_watched_service_has_an_alarm_that_reaches_the_router(everything: Packaged) -> None:
    """Its name starts with the rule's prefix, so it is sent to the same channels, and its metrics name the service."""
    resources = everything.of_type("AWS::CloudWatch::Alarm").items()
    alarms = [alarm for name, alarm in resources if name.startswith("RunningTasks")]
    assert sorted(alarm["AlarmName"].partition("running-tasks-")[2] for alarm in alarms) == [
        "dev-prod-api",
        "dev-prod-checkout",
    ]
    (checkout,) = [alarm for alarm in alarms if alarm["AlarmName"].endswith("checkout")]
    running, desired, missing = checkout["Metrics"]
    for metric, name in ((running, "RunningTaskCount"), (desired, "DesiredTaskCount")):
        assert metric["MetricStat"]["Metric"] == {
            "Namespace": "ECS/ContainerInsights",
            "MetricName": name,
            "Dimensions": [{"Name": "ClusterName", "Value": "prod"}, {"Name": "ServiceName", "Value": "checkout"}],
        }
    assert missing["Expression"] == "desired - FILL(running, 0)"
    assert (checkout["ComparisonOperator"], checkout["Threshold"]) == ("GreaterThanThreshold", 0)


def test_a_plugin_may_print_and_start_a_thread_while_the_configuration_is_checked(tmp_path: Path) -> None:
    """Other output than the answer goes to stderr, and the check does not wait for the thread."""
    for name in ("deploy", "plugins"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "router").symlink_to(ROOT / "router")
    noisy = "import threading\nprint('imported')\nthreading.Thread(target=threading.Event().wait).start()\n"
    (tmp_path / "plugins" / "noisy.py").write_text(noisy)
    check: list[str | Path] = [sys.executable, tmp_path / "deploy" / "check_config.py"]
    topic = "arn:aws:sns:us-east-1:000000000000:alerts"
    environment = {"ALERT_ROUTER_CONFIG": str(ROOT / "alert-router.toml"), "SNS_TOPIC_ARN": topic}
    result = subprocess.run(check, env=environment, capture_output=True, text=True, check=True, timeout=60)
    assert json.loads(result.stdout)["channels"]
    assert "imported" in result.stderr


@pytest.mark.skipif(sys.version_info[:2] != (3, 13), reason="only Python 3.13 compiles for the function")
def test_packaging_says_if_the_function_gets_no_table_and_goes_on(local_aws: LocalAws, tmp_path: Path) -> None:
    for name in {*VISIBLE, "node_modules"} - {"plugins"}:
        (tmp_path / name).symlink_to(ROOT / name)
    shutil.copytree(ROOT / "plugins", tmp_path / "plugins", ignore=shutil.ignore_patterns("__pycache__"))
    ends = "import os, sys\nif sys.argv[0].endswith('precompile.py'):\n    os._exit(1)\n"
    (tmp_path / "plugins" / "ends.py").write_text(ends)
    words = ("package", "--package", str(tmp_path / "package"))
    output = run_osls(local_aws, *words, environment=ENVIRONMENT, checkout=tmp_path)
    assert "layer: no table of compiled modules" in output
    assert "plugins/ends.py" in Packaged(tmp_path / "package").files("ecs-alert-router.zip")
