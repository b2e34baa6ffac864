"""The local AWS patches private names of MiniStack; a test pins them, and the version."""

# ruff: noqa: SLF001  the test is about private names

import inspect
import queue
import threading
from importlib.metadata import version
from types import SimpleNamespace

import ministack.app
import pytest
from ministack.core import iam_actions, lambda_runtime
from ministack.services import eventbridge, lambda_svc
from ministack.services.cloudformation import changesets, engine, handlers, stacks

from local_aws import emulator
from local_aws.emulator import ecs_resource


def test_ministack_still_has_the_private_names_that_the_emulator_patches() -> None:
    """Review a new version of MiniStack before using it."""
    assert version("ministack") == "1.5.33"
    signatures = {
        lambda_runtime.ProvidedWorker.__init__: ["self", "func_name", "config", "code_zip"],
        lambda_runtime._worker_class_for: ["config"],
        lambda_runtime.kill_workers: ["workers"],
        lambda_svc._resolve_layer_zip: ["attachment"],
        lambda_svc._execute_function_warm: ["func", "event", "request_id"],
        lambda_svc._execute_function_provided_warm: ["func", "event", "request_id"],
        eventbridge._put_events: ["data", "allow_aws_source"],
        ministack.app.pin_request_origin: ["source_ip", "secure_transport"],
        iam_actions.extract_resource_arn: [
            "service",
            "method",
            "path",
            "headers",
            "body",
            "query_params",
            "region",
            "account_id",
        ],
        engine._evaluate_conditions: ["template", "params"],
        engine._resolve_refs: ["value", "resources", "params", "conditions", "mappings", "stack_name", "stack_id"],
    }
    assert {name: list(inspect.signature(name).parameters) for name in signatures} == signatures
    imported = [module._evaluate_conditions for module in (changesets, handlers, stacks)]
    assert imported == [engine._evaluate_conditions] * 3


@pytest.mark.parametrize(
    ("operation", "request_", "resource"),
    [
        ("DescribeServices", {"cluster": "prod", "services": ["web", "api"]}, "arn:service/prod/web"),
        ("DescribeServices", {"services": ["web"]}, "arn:service/default/web"),
        (
            "DescribeServices",
            {"cluster": "prod", "services": ["arn:other:service/prod/web"]},
            "arn:other:service/prod/web",
        ),
        ("DescribeTasks", {"cluster": "arn:cluster/prod", "tasks": ["t1"]}, "arn:task/prod/t1"),
        ("DescribeTasks", {"cluster": "prod", "tasks": []}, "*"),
        ("StopTask", {"cluster": "prod", "task": "t1"}, "arn:task/prod/t1"),
        ("ListTasks", {"cluster": "prod", "family": "web"}, "*"),
        ("ListClusters", {}, "*"),
    ],
)
def test_a_policy_can_name_what_an_ecs_action_is_about(
    operation: str, request_: dict[str, object], resource: str
) -> None:
    """As on AWS: "Actions, resources, and condition keys for Amazon Elastic Container Service"."""
    assert ecs_resource(operation, request_, "arn") == resource


def test_an_environment_that_is_replaced_ends_its_invocation_first(monkeypatch: pytest.MonkeyPatch) -> None:
    killed: queue.SimpleQueue[object] = queue.SimpleQueue()
    monkeypatch.setattr(lambda_runtime, "kill_workers", lambda workers: killed.put(*workers))
    emulator.let_invocations_end()
    busy, idle = (SimpleNamespace(_lock=threading.Lock()) for _ in range(2))
    with busy._lock:
        lambda_runtime.kill_workers([busy, idle])
        assert killed.get(timeout=10) is idle
        assert killed.empty()
    assert killed.get(timeout=10) is busy
