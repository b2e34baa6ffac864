"""The process behind `running()`: MiniStack, patched in six places to behave like AWS.

Runs as `python -m local_aws.emulator`, with its settings in the environment and a pipe from its parent as standard
input. It patches private names of MiniStack, so the version is pinned, and a test checks the names.
"""

# ruff: noqa: SLF001  see above

import functools
import hashlib
import io
import json
import os
import shlex
import signal
import sys
import tempfile
import threading
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import ministack.app
from ministack.core import iam_actions, iam_evaluator, lambda_runtime
from ministack.services import eventbridge, lambda_svc
from ministack.services.cloudformation import changesets, engine, handlers, stacks

from local_aws.server import CLOCK

# Variables of this process that a function must not see (server.py).
PRIVATE_SETTINGS = ("AUTH", "BIND_HOST", "GATEWAY_PORT", "MINISTACK_HOST", "RUNTIME_PYTHON", "TMPDIR")

# Lambda looks for modules in the function's code, then in its layers, then in the runtime's own packages.
BOOTSTRAP = """#!/bin/sh
unset {private}
export PYTHONPATH="$LAMBDA_TASK_ROOT:{layers}:{clock}" TZ=:UTC LANG=en_US.UTF-8
export AWS_EXECUTION_ENV=AWS_Lambda_{runtime} AWS_LAMBDA_LOG_GROUP_NAME=/aws/lambda/{function}
exec {python} -m function_clock "$_HANDLER"
"""


class RuntimeClientWorker(lambda_runtime.ProvidedWorker):  # type: ignore[misc]  # MiniStack has no type information
    """Runs a Python function with AWS's own runtime client, against the Runtime API that MiniStack has for binaries.

    MiniStack's own worker for Python is a script whose logs, errors and search path differ from AWS.
    """

    def __init__(self, func_name: str, config: dict[str, Any], code_zip: bytes) -> None:
        layers = [unpacked_layer(lambda_svc._resolve_layer_zip(layer)) for layer in config.get("Layers", [])]
        script = BOOTSTRAP.format(
            private=" ".join(PRIVATE_SETTINGS),
            layers=":".join(shlex.quote(str(layer / "python")) for layer in layers),
            clock=shlex.quote(str(Path(tempfile.gettempdir(), CLOCK))),
            runtime=config["Runtime"],
            function=func_name,
            python=shlex.quote(os.environ["RUNTIME_PYTHON"]),
        )
        super().__init__(func_name, config, _with_bootstrap(code_zip, script))


def _with_bootstrap(code_zip: bytes, script: str) -> bytes:
    package = io.BytesIO(code_zip)
    with zipfile.ZipFile(package, "a") as archive:
        # A fixed date makes the bytes equal each time, and MiniStack unpacks equal bytes only once.
        archive.writestr(zipfile.ZipInfo("bootstrap"), script)
    return package.getvalue()


_unpacking = threading.Lock()


def unpacked_layer(content: bytes) -> Path:
    """Return the directory that stands in for /opt with this layer, unpacked on first use."""
    with _unpacking:
        return _unpack(content)


@functools.cache
def _unpack(content: bytes) -> Path:
    directory = Path(tempfile.gettempdir(), "opt", hashlib.sha256(content).hexdigest())
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        archive.extractall(directory)
    return directory


def use_runtime_client() -> None:
    """Run Python functions with AWS's runtime client, and keep the error payload that it reports."""
    original = lambda_runtime._worker_class_for

    def worker_class_for(config: dict[str, Any]) -> Any:
        return RuntimeClientWorker if config.get("Runtime", "").startswith("python") else original(config)

    lambda_runtime._worker_class_for = worker_class_for
    lambda_svc._execute_function_warm = lambda_svc._execute_function_provided_warm


def let_invocations_end() -> None:
    """Let each environment that a deployment replaces end its invocation first, with the code that it has."""
    kill = lambda_runtime.kill_workers

    def kill_after_its_invocation(worker: Any) -> None:
        with worker._lock:  # held while the function runs
            kill([worker])

    def retire(workers: Iterable[Any]) -> None:
        for worker in workers:
            threading.Thread(target=kill_after_its_invocation, args=(worker,), daemon=True).start()

    lambda_runtime.kill_workers = retire


def accept_events_of_aws() -> None:
    """Let PutEvents accept sources that start with "aws.", so that tests can send ECS events."""
    eventbridge._put_events = functools.partial(eventbridge._put_events, allow_aws_source=True)


def pass_for_encrypted() -> None:
    """Treat plain HTTP on the loopback interface as TLS, because the stack's policies refuse anything else."""

    def pin_request_origin(source_ip: str, _secure_transport: bool) -> None:  # noqa: FBT001  MiniStack's signature
        iam_evaluator.pin_request_origin(source_ip, secure_transport=True)

    ministack.app.pin_request_origin = pin_request_origin


# The parameter of an ECS action that names what it is about, and the type of that resource: "Actions, resources, and
# condition keys for Amazon Elastic Container Service" in the Service Authorization Reference.
ECS_RESOURCES = {
    "DescribeContainerInstances": ("containerInstances", "container-instance"),
    "DescribeServiceDeployments": ("serviceDeploymentArns", "service-deployment"),
    "DescribeServices": ("services", "service"),
    "DescribeTasks": ("tasks", "task"),
    "ListClusters": ("", ""),
    "ListServiceDeployments": ("service", "service"),
    "ListServices": ("", ""),
    "ListTasks": ("", ""),
    "StopTask": ("task", "task"),
    "UpdateService": ("service", "service"),
}


def authorize_ecs_by_resource() -> None:
    """Let policies name what an ECS action is about, as on AWS; MiniStack compares each with the cluster's ARN."""
    original = iam_actions.extract_resource_arn

    def extract_resource_arn(  # noqa: PLR0913, PLR0917  MiniStack's signature
        service: str, method: str, path: str, headers: Any, body: bytes, query_params: Any, region: str, account_id: str
    ) -> str:
        operation = headers.get("x-amz-target", "").rpartition(".")[2]
        if service == "ecs" and operation in ECS_RESOURCES:
            return ecs_resource(operation, json.loads(body), f"arn:aws:ecs:{region}:{account_id}")
        return str(original(service, method, path, headers, body, query_params, region, account_id))

    iam_actions.extract_resource_arn = extract_resource_arn


def ecs_resource(operation: str, request: Mapping[str, Any], prefix: str) -> str:
    """The ARN of the (first) resource that a request names, or "*" for an action that supports no resources."""
    parameter, kind = ECS_RESOURCES[operation]
    stated = request.get(parameter, "")
    named = str(stated if isinstance(stated, str) else next(iter(stated), ""))
    if named.startswith("arn:"):
        return named
    cluster = str(request.get("cluster", "default")).rpartition("/")[2]
    return f"{prefix}:{kind}/{cluster}/{named}" if named else "*"


def accept_functions_in_conditions() -> None:
    """Let Fn::Equals compare what Fn::Join, Fn::Select and Fn::Split make of parameters, as AWS does."""
    for module in (changesets, engine, handlers, stacks):
        module._evaluate_conditions = evaluated_conditions


def evaluated_conditions(template: dict[str, Any], parameters: dict[str, Any]) -> dict[str, bool]:
    """Which conditions of a template hold."""
    definitions, mappings = template.get("Conditions", {}), template.get("Mappings", {})

    @functools.cache
    def named(name: str) -> bool:
        return holds(definitions[name])

    def holds(condition: Any) -> bool:
        match condition:
            case {"Condition": name}:
                return named(name)
            case {"Fn::And": conditions}:
                return all(map(holds, conditions))
            case {"Fn::Or": conditions}:
                return any(map(holds, conditions))
            case {"Fn::Not": [negated]}:
                return not holds(negated)
            case {"Fn::Equals": sides}:
                left, right = (engine._resolve_refs(side, {}, parameters, {}, mappings, "", "") for side in sides)
                return str(left) == str(right)
        raise ValueError(f"Template error: unknown condition {condition}")

    return {name: named(name) for name in definitions}


def end_with_parent() -> None:
    """End this process and its functions when the parent ends for any reason, which closes the pipe."""

    def watch() -> None:
        sys.stdin.buffer.read()
        os.killpg(os.getpgrp(), signal.SIGKILL)

    threading.Thread(target=watch, daemon=True).start()


def main() -> None:
    end_with_parent()
    accept_events_of_aws()
    pass_for_encrypted()
    use_runtime_client()
    let_invocations_end()
    accept_functions_in_conditions()
    authorize_ecs_by_resource()
    ministack.app.main()


if __name__ == "__main__":
    main()
