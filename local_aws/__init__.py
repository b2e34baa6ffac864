"""A local AWS for the demo and the end-to-end tests. It is never shipped.

    with running() as aws:
        stack = deploy(aws, environment={"SLACK_WEBHOOK_URL": "http://127.0.0.1:8080/hook"})
        aws.client("events").put_events(...)

MiniStack emulates the services, the real Serverless CLI deploys the real serverless.yml, and AWS's own runtime client
runs the packaged function with its layer. Nothing leaves the loopback interface.
"""

from local_aws.deploy import DeployError, Stack, deploy, function_logs, remove
from local_aws.runtime import StartError
from local_aws.server import LocalAws, running

__all__ = ["DeployError", "LocalAws", "Stack", "StartError", "deploy", "function_logs", "remove", "running"]
