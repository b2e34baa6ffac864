"""The stack as the real Serverless CLI packages it."""

import json
import re
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from local_aws import LocalAws
from local_aws.deploy import run_osls

ENVIRONMENT = {
    "ALERT_EMAILS": "first@example.com, second@example.com",
    "SLACK_WEBHOOK_URL": "ssm:/ecs-alert-router/slack",
    "PAGERDUTY_ROUTING_KEY": "secretsmanager:pagerduty#routing_key",
}


# Every setting at a value other than its default.
EVERYTHING = {
    "ALARM_NAME_PREFIX": "web-",
    "ALERT_EMAILS": "second@example.com",
    "CODEDEPLOY_APPLICATION_PREFIX": "blue-green-",
    "CONTAINER_EXITED_EVENTS": "on",
    "ECS_CLUSTERS": "prod, batch-*",
    "EVENT_BUS_SENDERS": "111122223333, o-a1b2c3d4e5",
    "EVENT_LOG_DAYS": "14",
    "HEARTBEAT_SCHEDULE": "rate(1 day)",
    "KMS_KEY_ARN": "arn:aws:kms:us-east-1:000000000000:key/1234abcd-12ab-34cd-56ef-1234567890ab",
    "LIFECYCLE_EVENTS": "on",
    "OPERATOR_EMAILS": "operator@example.com",
    "PERMISSIONS_BOUNDARY": "arn:aws:iam::000000000000:policy/boundary",
    "PRODUCTION": "on",
    "ROLE_PATH": "/applications/",
    "STACK_TAGS": "team=platform, cost-center=4=2",
    "VPC_SECURITY_GROUPS": "sg-0123abcd",
    "VPC_SUBNETS": "subnet-0123abcd,subnet-4567abcd",
    "WATCHED_SERVICES": "prod/checkout,prod/api,prod/api",
    "SECRETS_KMS_KEY_ARNS": "arn:aws:kms:us-east-1:000000000000:key/abcd1234-12ab-34cd-56ef-1234567890ab",
}


@dataclass(frozen=True)
class Packaged:
    """The output of one run of `osls package`."""

    directory: Path

    @property
    def template_file(self) -> Path:
        return self.directory / "cloudformation-template-update-stack.json"

    @property
    def template(self) -> dict[str, Any]:
        template: dict[str, Any] = json.loads(self.template_file.read_text())
        return template

    def resource(self, name: str) -> dict[str, Any]:
        resource: dict[str, Any] = self.template["Resources"][name]
        return resource

    def properties(self, name: str) -> dict[str, Any]:
        properties: dict[str, Any] = self.resource(name)["Properties"]
        return properties

    def of_type(self, kind: str) -> dict[str, dict[str, Any]]:
        """The properties of all resources of this type, by their logical ids."""
        resources = self.template["Resources"].items()
        return {name: resource["Properties"] for name, resource in resources if resource["Type"] == kind}

    def without_timestamps(self) -> str:
        """The template's text, without the time that each packaging puts into its location in the bucket."""
        return re.sub(r"serverless/[^\"]*/\d+-[^/\"]*/", "serverless/TIME/", self.template_file.read_text())

    def files(self, archive: str) -> list[str]:
        with zipfile.ZipFile(self.directory / archive) as package:
            return sorted(name for name in package.namelist() if not name.endswith("/"))


def package(aws: LocalAws, directory: Path, **environment: str) -> Packaged:
    run_osls(aws, "package", "--package", str(directory), environment={**ENVIRONMENT, **environment})
    return Packaged(directory)
