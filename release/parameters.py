"""The parameters of the released template, and the conditions that depend on them.

A parameter has the name of its variable in docs/deploy.md, in CamelCase. CloudFormation cannot loop over a list, so
some lists have a greatest length, and a longer list is refused.
"""

from typing import Any, NamedTuple

from release.expressions import (
    Expression,
    all_of,
    any_of,
    equals,
    filled,
    head,
    is_set,
    item,
    negated,
    ref,
    starts_with,
)

LONGEST = {"AlertEmails": 10, "OperatorEmails": 10, "EventBusSenders": 5, "WatchedServices": 10}
SECRETS = ("SlackWebhookUrl", "TeamsWebhookUrl", "PagerdutyRoutingKey")
ON_OFF = ("on", "off")
NO_LINE = r"[^\r\n]"
ADDRESS = r'[^\s@,;<>"]+@[^\s@,;<>"]+\.[^\s@,;<>"]+'
KEY = r"arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:key/[A-Za-z0-9-]+"
CLUSTER = r"[A-Za-z0-9_*-]{1,255}"
SERVICE = r"[A-Za-z0-9_-]{1,255}"
DAYS = (1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653)
OWN_ALARMS = "alert-router-"  # an ALARM_NAME_PREFIX must match none of the router's own alarms


class Parameter(NamedTuple):
    """One parameter.

    Attributes:
        variable: its name in docs/deploy.md; empty if it exists only here.
        description: what people read in the console.
        default: None if a value is required.
        pattern: a regular expression for the whole value, in the syntax of Java and Python.
        values: the only values that it can have; empty if there are others.
        constraint: what the value must be.
        secret: whether it may be a secret, which CloudFormation must not show.
    """

    variable: str
    description: str
    default: str | None = ""
    pattern: str = ""
    values: tuple[str, ...] = ()
    constraint: str = ""
    secret: bool = False


def _list(element: str, longest: int | None = None) -> str:
    """A pattern for elements separated by commas, or for nothing."""
    times = "*" if longest is None else f"{{0,{longest - 1}}}"
    return f"(?:{element}(?:,{element}){times})?"


def _secret(variable: str, description: str) -> Parameter:
    reference = "ssm:/path, secretsmanager:name or secretsmanager:name#key"
    return Parameter(
        variable,
        f"{description}: {reference}",
        pattern=f"(?!ssm:[^/]){NO_LINE}*",
        constraint=f"must be a reference such as {reference}",
        secret=True,
    )


def _addresses(variable: str, description: str, name: str) -> Parameter:
    longest = LONGEST[name]
    constraint = f"must be up to {longest} addresses, separated by commas without spaces"
    return Parameter(variable, description, pattern=_list(ADDRESS, longest), constraint=constraint)


_own_prefixes = "|".join(f"{OWN_ALARMS[:length]}$" for length in range(1, len(OWN_ALARMS)))

PARAMETERS = {
    "CodeBucket": Parameter("", "The S3 bucket, in this region, that holds the two archives", None),
    "FunctionKey": Parameter("", "The key of function.zip in the bucket", None),
    "LayerKey": Parameter("", "The key of layer.zip in the bucket", None),
    "Stage": Parameter(
        "",
        "Part of every name, so that several stacks can exist",
        "dev",
        pattern="[A-Za-z0-9-]{1,30}",
        constraint="must be up to 30 letters, digits and hyphens",
    ),
    "Production": Parameter(
        "PRODUCTION",
        "on: refuses literal secrets, protects the table, keeps logs longer. Empty: by Stage, off for dev, test, local",
        values=("", *ON_OFF),
    ),
    "Profile": Parameter("PROFILE", "lean: no key of your own, no dashboard, three alarms", values=("", "lean")),
    "AlertEmails": _addresses("ALERT_EMAILS", "Who gets the alerts by e-mail", "AlertEmails"),
    "OperatorEmails": _addresses(
        "OPERATOR_EMAILS", "Who is notified if the router itself fails. Empty: as AlertEmails", "OperatorEmails"
    ),
    "SlackWebhookUrl": _secret("SLACK_WEBHOOK_URL", "A Slack incoming webhook"),
    "TeamsWebhookUrl": _secret("TEAMS_WEBHOOK_URL", "A Teams workflow"),
    "PagerdutyRoutingKey": _secret("PAGERDUTY_ROUTING_KEY", "An Events API v2 integration key"),
    "PagerdutyEventsUrl": Parameter("PAGERDUTY_EVENTS_URL", "Another Events API host, such as the EU's"),
    "EcsClusters": Parameter(
        "ECS_CLUSTERS",
        "Only these clusters; batch-* is possible. Empty: all",
        pattern=_list(CLUSTER),
        constraint="must be names of clusters, separated by commas without spaces",
    ),
    "AlarmNamePrefix": Parameter(
        "ALARM_NAME_PREFIX",
        "CloudWatch alarms whose names start with this prefix are sent too",
        "ecs-",
        pattern=f"(?!{_own_prefixes}|{OWN_ALARMS}){NO_LINE}+",
        constraint="must not be empty, and must not match the router's own alarms (alert-router-)",
    ),
    "CodedeployApplicationPrefix": Parameter(
        "CODEDEPLOY_APPLICATION_PREFIX",
        "Blue/green deployments of CodeDeploy applications whose names start with this prefix are sent too",
        "AppECS-",
        pattern=f"{NO_LINE}+",
        constraint="must not be empty",
    ),
    "LifecycleEvents": Parameter(
        "LIFECYCLE_EVENTS", "on: records every state of tasks and container instances", "off", values=ON_OFF
    ),
    "ContainerExitedEvents": Parameter(
        "CONTAINER_EXITED_EVENTS", "on: tasks can report their own containers that exited", "off", values=ON_OFF
    ),
    "EventLogDays": Parameter(
        "EVENT_LOG_DAYS",
        "Keeps every ECS event unchanged in a log group for this many days. Empty: off",
        values=("", *map(str, DAYS)),
    ),
    "EventBusSenders": Parameter(
        "EVENT_BUS_SENDERS",
        "Accounts (12 digits) or organizations (o-...) that may forward their events. Empty: no event bus",
        pattern=_list("(?:[0-9]{12}|o-[a-z0-9]{10,32})", LONGEST["EventBusSenders"]),
        constraint=f"must be up to {LONGEST['EventBusSenders']} accounts or organizations, separated by commas",
    ),
    "HeartbeatSchedule": Parameter(
        "HEARTBEAT_SCHEDULE",
        "When the heartbeat is sent: rate(...), cron(...) in UTC, or off",
        "cron(0 9 ? * MON *)",
        pattern=r"off|rate\([1-9][0-9]* (?:minute|hour|day)s?\)|cron\([^()]+\)",
        constraint="must be rate(...), cron(...) or off",
    ),
    "Dashboard": Parameter("DASHBOARD", "Empty: on, unless Profile is lean", values=("", *ON_OFF)),
    "KmsKeyArn": Parameter(
        "KMS_KEY_ARN",
        "An existing key to use instead of a new one",
        pattern=f"(?:{KEY})?",
        constraint="must be the ARN of a KMS key",
    ),
    "WatchedServices": Parameter(
        "WATCHED_SERVICES",
        "Services to watch for too few running tasks, such as prod/checkout; needs Container Insights",
        pattern=_list(f"{SERVICE}/{SERVICE}", LONGEST["WatchedServices"]),
        constraint=f"must be up to {LONGEST['WatchedServices']} times CLUSTER/SERVICE, separated by commas",
    ),
    "SecretsKmsKeyArns": Parameter(
        "SECRETS_KMS_KEY_ARNS",
        "Customer managed keys that encrypt referenced secrets",
        pattern=_list(KEY),
        constraint="must be ARNs of KMS keys, separated by commas without spaces",
    ),
    "HistoryTable": Parameter(
        "HISTORY_TABLE",
        "An existing history table to use instead of a new one; KmsKeyArn must be its key",
        pattern="(?:[A-Za-z0-9_.-]{3,255})?",
        constraint="must be the name of a DynamoDB table",
    ),
    "AlertRouterConfig": Parameter("ALERT_ROUTER_CONFIG", "The configuration in function.zip", "alert-router.toml"),
    "PermissionsBoundary": Parameter(
        "PERMISSIONS_BOUNDARY",
        "The ARN of the policy that bounds the function's role",
        pattern=r"(?:arn:aws[a-z-]*:iam::(?:[0-9]{12}|aws):policy/\S+)?",
        constraint="must be the ARN of an IAM policy",
    ),
    "RolePath": Parameter(
        "ROLE_PATH",
        "The path of the function's role",
        "/",
        r"/(?:[\w+=,.@-]+/)*",
        constraint="must begin and end with /",
    ),
    "VpcSubnets": Parameter(
        "VPC_SUBNETS",
        "Runs the function in these subnets",
        pattern=_list("subnet-[0-9a-f]{8,17}"),
        constraint="must be ids of subnets, separated by commas without spaces",
    ),
    "VpcSecurityGroups": Parameter(
        "VPC_SECURITY_GROUPS",
        "The function's security groups in VpcSubnets",
        pattern=_list("sg-[0-9a-f]{8,17}"),
        constraint="must be ids of security groups, separated by commas without spaces",
    ),
    "FunctionArchitecture": Parameter(
        "FUNCTION_ARCHITECTURE", "The function's processor", "arm64", values=("arm64", "x86_64")
    ),
}


def parameters_section(architectures: tuple[str, ...]) -> dict[str, Any]:
    """The section `Parameters`; `architectures` are those that the layer runs on."""
    section = {name: _declaration(parameter) for name, parameter in PARAMETERS.items()}
    section["FunctionArchitecture"]["AllowedValues"] = list(architectures)
    return section


def _declaration(parameter: Parameter) -> dict[str, Any]:
    optional = {
        "Default": parameter.default,
        "AllowedPattern": parameter.pattern and f"^{parameter.pattern}$",
        "AllowedValues": list(parameter.values),
        "ConstraintDescription": parameter.constraint,
        "NoEcho": parameter.secret,
    }
    given = {key: value for key, value in optional.items() if value or (key == "Default" and value is not None)}
    return {"Type": "String", "Description": parameter.description, **given}


def slot(name: str, index: int) -> Expression:
    """The element of a list with a greatest length; empty if the list is shorter."""
    return item(index, ",", filled(name, "," * LONGEST[name]))


def conditions() -> dict[str, Expression]:
    """The section `Conditions`."""
    return {
        "IsProduction": any_of(
            equals(ref("Production"), "on"),
            all_of(
                equals(ref("Production"), ""),
                negated(any_of(*(equals(ref("Stage"), stage) for stage in ("dev", "test", "local")))),
            ),
        ),
        "IsNotLean": negated(equals(ref("Profile"), "lean")),
        "HasDashboard": any_of(
            equals(ref("Dashboard"), "on"), all_of(equals(ref("Dashboard"), ""), {"Condition": "IsNotLean"})
        ),
        "HasKmsKeyArn": is_set("KmsKeyArn"),
        "HasKey": any_of({"Condition": "HasKmsKeyArn"}, {"Condition": "IsNotLean"}),
        "CreatesKey": all_of(negated({"Condition": "HasKmsKeyArn"}), {"Condition": "IsNotLean"}),
        "CreatesTable": equals(ref("HistoryTable"), ""),
        "HasClusters": is_set("EcsClusters"),
        "HasClusterGlobs": negated(equals(head("*", ref("EcsClusters")), ref("EcsClusters"))),
        "HasLifecycleEvents": equals(ref("LifecycleEvents"), "on"),
        "HasContainerExitedEvents": equals(ref("ContainerExitedEvents"), "on"),
        "HasEventLog": is_set("EventLogDays"),
        "HasEventBus": is_set("EventBusSenders"),
        "HasHeartbeat": negated(equals(ref("HeartbeatSchedule"), "off")),
        "HasSecretsKeys": is_set("SecretsKmsKeyArns"),
        "HasPermissionsBoundary": is_set("PermissionsBoundary"),
        "HasVpc": is_set("VpcSubnets"),
        "HasOperatorEmails": is_set("OperatorEmails"),
        **_of_secrets(),
        **_of_slots(),
    }


def _of_secrets() -> dict[str, Expression]:
    conditions: dict[str, Expression] = {}
    for name in SECRETS:
        conditions[f"{name}IsParameter"] = starts_with(name, "ssm:/")
        conditions[f"{name}IsSecret"] = starts_with(name, "secretsmanager:")
    for kind in ("Parameter", "Secret"):
        conditions[f"Reads{kind}s"] = any_of(*({"Condition": f"{name}Is{kind}"} for name in SECRETS))
    conditions["ReadsAny"] = any_of({"Condition": "ReadsParameters"}, {"Condition": "ReadsSecrets"})
    conditions["DecryptsSecrets"] = all_of({"Condition": "ReadsAny"}, {"Condition": "HasSecretsKeys"})
    return conditions


def _of_slots() -> dict[str, Expression]:
    def taken(name: str, index: int) -> Expression:
        return negated(equals(slot(name, index), ""))

    conditions: dict[str, Expression] = {}
    for index in range(LONGEST["AlertEmails"]):
        conditions[f"HasAlertEmail{index}"] = taken("AlertEmails", index)
        conditions[f"HasOperatorEmail{index}"] = any_of(
            taken("OperatorEmails", index),
            all_of(negated({"Condition": "HasOperatorEmails"}), {"Condition": f"HasAlertEmail{index}"}),
        )
    for index in range(LONGEST["EventBusSenders"]):
        organization = equals(head("-", slot("EventBusSenders", index)), "o")
        conditions[f"Sender{index}IsOrganization"] = organization
        conditions[f"Sender{index}IsAccount"] = all_of(
            taken("EventBusSenders", index), negated({"Condition": f"Sender{index}IsOrganization"})
        )
    for index in range(LONGEST["WatchedServices"]):
        conditions[f"HasWatchedService{index}"] = taken("WatchedServices", index)
    return conditions


def rules_section() -> dict[str, Any]:
    """The section `Rules`: what a pattern for a single parameter cannot say."""
    unset = [equals(ref(name), "") for name in ("VpcSubnets", "VpcSecurityGroups")]
    both_or_none = any_of(all_of(*unset), all_of(*map(negated, unset)))
    description = "VpcSubnets and VpcSecurityGroups must be set together"
    return {"Vpc": {"Assertions": [{"Assert": both_or_none, "AssertDescription": description}]}}
