"""The files in the function's package and in the layer."""

import ast
import json
import marshal
import re
import subprocess
import sys
import zipfile
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import botocore.session
import pytest
from botocore import xform_name

from local_aws.runtime import runtime_python
from router.aws.clients import SERVICES
from tests.doubles.lambda_environment import UNREACHABLE
from tests.template.packaged import Packaged

pytestmark = [pytest.mark.template, pytest.mark.xdist_group("template")]

FUNCTION = "ecs-alert-router.zip"
LAYER = "dependencies.zip"
ROOT = Path(__file__).resolve().parents[2]
PAGE = (Path(__file__).resolve().parents[2] / "docs" / "deploy.md").read_text("utf-8")


TABLE = "ecs_alert_router_precompiled.marshal"


def test_the_function_contains_only_core_channels_and_configuration(packaged: Packaged) -> None:
    files = packaged.files(FUNCTION)
    assert {"router/handler.py", "alert-router.toml"} <= set(files)
    assert any(fnmatch(name, "plugins/*.py") for name in files)
    others = [
        name for name in files if not re.fullmatch(r"(ecs_alert_)?router/.*\.pyc?|plugins/.*|alert-router\.toml", name)
    ]
    assert others in ([TABLE], [])
    assert others or sys.version_info[:2] != (3, 13)


def test_the_command_line_is_not_shipped(packaged: Packaged) -> None:
    assert [name for name in packaged.files(FUNCTION) if name.startswith("router/cli/") or "__main__" in name] == []


def test_other_configurations_in_the_checkout_are_not_shipped(packaged: Packaged) -> None:
    assert [name for name in packaged.files(FUNCTION) if name.endswith(".toml")] == ["alert-router.toml"]


def precompiled_modules(packaged: Packaged, archive: str) -> dict[str, tuple[str, bool, bytes, bytes]]:
    """The modules of the table in an archive, with their files in the archive."""
    root = "python/" if archive == LAYER else ""
    with zipfile.ZipFile(packaged.directory / archive) as opened:
        if root + TABLE not in opened.namelist():
            return {}
        _, modules, *_ = marshal.loads(opened.read(root + TABLE))
    return {name: (root + file, *rest) for name, (file, *rest) in modules.items()}


def modules_and_bytecode(packaged: Packaged, archive: str) -> tuple[set[str], set[str], set[int]]:
    """The modules of an archive, those that are compiled in it, and the flags of the bytecode (PEP 552)."""
    with zipfile.ZipFile(packaged.directory / archive) as opened:
        names = opened.namelist()
        bytecode = [name for name in names if name.endswith(".pyc")]
        flags = {int.from_bytes(opened.read(name)[4:8], "little") for name in bytecode}
    compiled = {re.sub(r"__pycache__/(.*)\.cpython-313\.pyc", r"\1.py", name) for name in bytecode}
    compiled |= {file for file, *_ in precompiled_modules(packaged, archive).values()}
    return {name for name in names if name.endswith(".py")}, compiled, flags


def test_the_function_contains_the_code_of_exactly_its_modules(packaged: Packaged) -> None:
    """Flags 3 mean that a hash is checked; 0 would compare a date, and the zip does not keep dates."""
    modules, compiled, flags = modules_and_bytecode(packaged, FUNCTION)
    assert flags <= {3}
    assert compiled in (modules, set())
    assert compiled or sys.version_info[:2] != (3, 13)


def test_packaging_neither_reads_nor_changes_the_bytecode_in_the_checkout(
    checkout: Path, packaged: Packaged, packaged_again: Packaged
) -> None:
    """Any Python process in the checkout can write or remove bytecode in the meantime."""
    assert (packaged_again.directory / FUNCTION).read_bytes() == (packaged.directory / FUNCTION).read_bytes()
    for name in ("plugins", "router"):
        assert (checkout / name / "__pycache__" / "other.cpython-313.pyc").read_bytes() == b"of another process"


@pytest.mark.skipif(sys.version_info[:2] != (3, 13), reason="only Python 3.13 compiles for the function")
def test_the_tables_contain_the_modules_of_a_first_event(packaged: Packaged) -> None:
    """The function's modules contain a hash of their sources, which someone may edit in the Lambda console."""
    function, layer = precompiled_modules(packaged, FUNCTION), precompiled_modules(packaged, LAYER)
    assert {"router.handler", "router.pipeline", "router.deliver", "router.channels.http"} <= set(function)
    assert {"requests.sessions", "urllib3.connectionpool", "pluggy._manager"} <= set(layer)
    assert all(hashed for _, _, hashed, _ in function.values())


@pytest.mark.parametrize("name", ["pluggy", "requests", "aws_lambda_powertools"])
def test_the_layer_contains_the_routers_packages_with_their_metadata(packaged: Packaged, name: str) -> None:
    """Packages read their own version from the dist-info."""
    files = packaged.files(LAYER)
    assert f"python/{name}/__init__.py" in files
    assert any(fnmatch(file, f"python/{name}-*.dist-info/METADATA") for file in files)


def test_the_layer_contains_the_index_of_its_plugins(packaged: Packaged) -> None:
    """Without it, every cold start would search all packages for plugins."""
    assert "python/ecs_alert_router_plugins.json" in packaged.files(LAYER)


def test_the_layers_service_models_are_reduced_to_the_calls_of_the_function(packaged: Packaged) -> None:
    """A plugin that calls other operations creates its client with boto3, which does not use these models."""
    with zipfile.ZipFile(packaged.directory / LAYER) as archive:
        model = json.loads(archive.read("python/aws_models/sns/2010-03-31/service-2.json"))
    assert set(model["operations"]) == {"ListSubscriptionsByTopic", "Publish"}
    assert {"PublishInput", "PublishResponse", "String", "NotFoundException"} <= set(model["shapes"])
    assert "CreateTopicInput" not in model["shapes"]
    assert "documentation" not in json.dumps(model)


def called(path: Path) -> set[str]:
    """The attribute names and strings in a module."""
    nodes = list(ast.walk(ast.parse(path.read_text("utf-8"))))
    texts = {node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    return texts | {node.attr for node in nodes if isinstance(node, ast.Attribute)}


def test_the_layer_has_the_models_of_exactly_the_operations_that_the_function_calls(packaged: Packaged) -> None:
    session = botocore.session.get_session()
    known = {
        service: {xform_name(name) for name in session.get_service_model(service).operation_names}
        for service in SERVICES
    }
    with zipfile.ZipFile(packaged.directory / LAYER) as archive:
        models = [name for name in archive.namelist() if fnmatch(name, "python/aws_models/*/service-2.json")]
        shipped = {name.split("/")[2]: set(json.loads(archive.read(name))["operations"]) for name in models}
    modules = [path for path in (ROOT / "router").rglob("*.py") if "cli" not in path.parts]
    used = set().union(*map(called, [*modules, *(ROOT / "plugins").glob("*.py")]))
    of_others = {"delete_item", "create_connection"}  # the command line's `history forget`; sockets
    assert shipped.keys() == SERVICES
    of_function = {xform_name(name) for operations in shipped.values() for name in operations}
    assert (used & set().union(*known.values())) - of_others == of_function


# The calls that Lambda makes with the role to read the queues and write the log, and those of the services to the key.
OF_LAMBDA = {
    "logs:CreateLogStream",
    "logs:PutLogEvents",
    "sqs:DeleteMessage",
    "sqs:GetQueueAttributes",
    "sqs:ReceiveMessage",
}
OF_THE_KEY = {
    "kms:Decrypt",
    "kms:DescribeKey",
    "kms:Encrypt",
    "kms:GenerateDataKey",
    "kms:ReEncryptFrom",
    "kms:ReEncryptTo",
}
WHERE_IT_IS_ON = {
    "ecs:DescribeTaskDefinition",  # [enrich]
    "logs:GetLogEvents",
    "ecs:ListClusters",  # [poll]
    "ecs:ListServices",
    "ecs:ListTasks",  # [[expect]]
    "events:PutEvents",  # channels of the kinds eventbridge and ses
    "sesv2:SendEmail",
}
BY_ANOTHER_NAME = {"dynamodb:TransactWriteItems": "dynamodb:PutItem"}  # a transaction of puts


def test_the_role_permits_what_the_function_calls_and_nothing_else(packaged: Packaged) -> None:
    """By the models in the layer, which hold the calls of the code."""
    with zipfile.ZipFile(packaged.directory / LAYER) as archive:
        models = [name for name in archive.namelist() if fnmatch(name, "python/aws_models/*/service-2.json")]
        calls = {
            f"{name.split('/')[2]}:{call}" for name in models for call in json.loads(archive.read(name))["operations"]
        }
    needed = {BY_ANOTHER_NAME.get(call, call) for call in calls} | OF_LAMBDA | OF_THE_KEY
    (policy,) = packaged.properties("IamRoleLambdaExecution")["Policies"]
    actions = [statement["Action"] for statement in policy["PolicyDocument"]["Statement"]]
    permitted = {action for names in actions for action in ([names] if isinstance(names, str) else names)}
    assert permitted == needed - WHERE_IT_IS_ON


@pytest.mark.parametrize("region", ["eu-west-1", "cn-north-1", "us-gov-west-1", "eusc-de-east-1"])
def test_the_layers_models_give_the_same_endpoints_as_botocore(packaged: Packaged, tmp_path: Path, region: str) -> None:
    with zipfile.ZipFile(packaged.directory / LAYER) as archive:
        archive.extractall(tmp_path, [name for name in archive.namelist() if "/aws_models/" in name])
    whole, trimmed = botocore.session.get_session(), botocore.session.get_session()
    trimmed.get_component("data_loader").search_paths.insert(0, str(tmp_path / "python" / "aws_models"))
    for service in SERVICES:
        urls = [
            session.create_client(service, region, aws_access_key_id="x", aws_secret_access_key="x").meta.endpoint_url
            for session in (whole, trimmed)
        ]
        assert urls[0] == urls[1]


def test_the_layer_contains_each_certificate_of_certifi_by_its_name(packaged: Packaged) -> None:
    with zipfile.ZipFile(packaged.directory / LAYER) as archive:
        bundle = archive.read("python/certifi/cacert.pem").count(b"BEGIN CERTIFICATE")
        names = [name for name in archive.namelist() if name.startswith("python/ecs_alert_router_certificates/")]
    assert all(re.fullmatch(r"python/ecs_alert_router_certificates/[0-9a-f]{8}\.[0-9]", name) for name in names)
    assert len(names) == bundle


def test_the_layer_omits_packages_that_the_runtime_has(packaged: Packaged) -> None:
    """A second botocore would add 25 MB and hide the one that AWS keeps up to date."""
    files = packaged.files(LAYER)
    assert [name for name in files if name.startswith(("python/boto3", "python/botocore", "python/s3transfer"))] == []


def test_of_powertools_utilities_the_layer_contains_what_logger_and_metrics_need(packaged: Packaged) -> None:
    names = {name.split("/")[3] for name in packaged.files(LAYER) if "/aws_lambda_powertools/utilities/" in name}
    assert {name for name in names if "." not in name} - {"__pycache__"} == {"jmespath_utils", "typing"}


def test_the_router_can_post_with_the_layers_packages_without_a_warning(packaged: Packaged, tmp_path: Path) -> None:
    """The layer has no package that guesses encodings; an answer without one is read as UTF-8."""
    for name in (LAYER, FUNCTION):
        with zipfile.ZipFile(packaged.directory / name) as archive:
            archive.extractall(tmp_path)
    program = (
        "import router.channels.http, requests, io; "
        "answer = requests.Response(); answer.raw = io.BytesIO('é'.encode()); "
        "print(answer.text, requests.compat.chardet)"
    )
    path = f"{tmp_path}:{tmp_path / 'python'}"
    command = [sys.executable, "-S", "-X", "utf8", "-W", "error", "-c", program]  # -S: no packages but the layer's
    result = subprocess.run(command, env={"PYTHONPATH": path}, capture_output=True, text=True, check=False)
    assert (result.stdout, result.stderr) == ("é None\n", "")


START = """
import json
import sys
from re import _compiler

texts, compile_pattern = [], _compiler.compile


def compile_and_count(pattern, flags=0):
    texts.append(str(pattern))
    return compile_pattern(pattern, flags)


_compiler.compile = compile_and_count
import router.handler
from router.coldstart.precompiled import read

classes = [value for module in list(sys.modules.values()) for value in vars(module).values() if isinstance(value, type)]
fields = [value._fields for value in classes if issubclass(value, tuple) and value.__module__.startswith("router.")]
tables = read(sys.path)
print(json.dumps([texts, len(tables.patterns), fields, list(tables.methods)]))
"""


@pytest.fixture(scope="module")
def started(packaged: Packaged, tmp_path_factory: pytest.TempPathFactory) -> list[Any]:
    """How the packaged function starts: what it compiles, what its tables contain, and its named tuples."""
    if sys.version_info[:2] != (3, 13):
        pytest.skip("only Python 3.13, the function's own version, compiles for it")
    directory = tmp_path_factory.mktemp("started")
    for name in (LAYER, FUNCTION):
        with zipfile.ZipFile(packaged.directory / name) as archive:
            archive.extractall(directory)
    environment = {
        **UNREACHABLE,
        "PYTHONPATH": f"{directory}:{directory / 'python'}",
        "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
        "PAGERDUTY_ROUTING_KEY": "0123456789abcdef0123456789abcdef",
    }
    command = [str(runtime_python()), "-c", START]
    process = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    values: list[Any] = json.loads(process.stdout.splitlines()[-1])
    return values


def test_the_function_starts_with_regular_expressions_that_are_compiled_already(started: list[Any]) -> None:
    """Some are compiled nevertheless: those of Lambda's own modules, and those within functions."""
    compiled, in_tables, *_ = started
    assert in_tables > 200
    assert len(compiled) < in_tables / 8, compiled


def test_the_functions_table_has_the_methods_of_its_named_tuples(started: list[Any]) -> None:
    *_, fields, methods = started
    arguments = [", ".join(names) + ("," if len(names) == 1 else "") for names in fields]
    expected = {f"lambda _cls, {names.rstrip(',')}: _tuple_new(_cls, ({names}))" for names in arguments}
    assert len(expected) > 50
    assert expected <= set(methods)


def test_all_bytecode_in_the_layer_is_for_the_functions_python(packaged: Packaged) -> None:
    bytecode = [name for name in packaged.files(LAYER) if name.endswith(".pyc")]
    assert [name for name in bytecode if not name.endswith(".cpython-313.pyc")] == []


def test_the_layers_bytecode_is_not_checked_against_dates(packaged: Packaged) -> None:
    """Flags 1 mean a hash that is not checked; 0 would compare a date, and compile again each time."""
    modules, compiled, flags = modules_and_bytecode(packaged, LAYER)
    assert flags <= {1}
    assert flags or sys.version_info[:2] != (3, 13)
    assert not compiled or modules <= compiled


def test_the_layer_has_the_documented_size(packaged: Packaged) -> None:
    (stated,) = re.findall(r"The layer is (\d+\.\d) MB, (\d+\.\d) MB zipped", PAGE)
    with zipfile.ZipFile(packaged.directory / LAYER) as archive:
        unzipped = sum(info.file_size for info in archive.infolist())
    zipped = (packaged.directory / LAYER).stat().st_size
    assert unzipped <= float(stated[0]) * 1e6 * 1.1
    assert zipped <= float(stated[1]) * 1e6 * 1.1


def test_all_binaries_in_the_layer_are_for_arm64(packaged: Packaged) -> None:
    binaries = [name for name in packaged.files(LAYER) if name.endswith(".so")]
    assert [name for name in binaries if "aarch64" not in name] == []


def test_the_archives_are_reproducible(packaged: Packaged, packaged_again: Packaged) -> None:
    """With equal bytes, a deployment without changes is recognised as such."""
    for archive in (FUNCTION, LAYER):
        first, second = (packaging.directory / archive for packaging in (packaged, packaged_again))
        assert first.read_bytes() == second.read_bytes(), archive
