"""What is shipped, and what is not."""

import re
from fnmatch import fnmatch

import pytest

from tests.template.packaged import Packaged

pytestmark = [pytest.mark.template, pytest.mark.xdist_group("template")]

FUNCTION = "ecs-alert-router.zip"
LAYER = "dependencies.zip"


def test_the_function_holds_the_core_the_channels_and_the_configuration_and_nothing_else(packaged: Packaged) -> None:
    files = packaged.files(FUNCTION)
    assert {"router/handler.py", "alert-router.toml"} <= set(files)
    assert any(fnmatch(name, "plugins/*.py") for name in files)
    others = [name for name in files if not re.fullmatch(r"router/.*\.py|plugins/.*|alert-router\.toml", name)]
    assert others == []


def test_the_command_line_is_not_shipped(packaged: Packaged) -> None:
    assert [name for name in packaged.files(FUNCTION) if name.startswith("router/cli/") or "__main__" in name] == []


@pytest.mark.parametrize("name", ["pluggy", "requests", "aws_lambda_powertools"])
def test_the_layer_holds_what_the_router_needs_with_its_metadata(packaged: Packaged, name: str) -> None:
    """Packages ask the dist-info for their own version."""
    files = packaged.files(LAYER)
    assert f"python/{name}/__init__.py" in files
    assert any(fnmatch(file, f"python/{name}-*.dist-info/METADATA") for file in files)


def test_the_layer_holds_the_index_of_its_plugins(packaged: Packaged) -> None:
    """Without it the function would search all packages at every cold start."""
    assert "python/ecs_alert_router_plugins.json" in packaged.files(LAYER)


def test_the_layer_leaves_out_what_the_runtime_has(packaged: Packaged) -> None:
    """A second botocore would add 25 MB and take the place of the one that AWS keeps up to date."""
    files = packaged.files(LAYER)
    assert [name for name in files if name.startswith(("python/boto3", "python/botocore", "python/s3transfer"))] == []


def test_all_bytecode_in_the_layer_is_for_the_functions_python(packaged: Packaged) -> None:
    bytecode = [name for name in packaged.files(LAYER) if name.endswith(".pyc")]
    assert [name for name in bytecode if not name.endswith(".cpython-313.pyc")] == []


def test_all_binaries_in_the_layer_are_for_arm64(packaged: Packaged) -> None:
    binaries = [name for name in packaged.files(LAYER) if name.endswith(".so")]
    assert [name for name in binaries if "aarch64" not in name] == []


def test_the_archives_are_the_same_each_time(packaged: Packaged, packaged_again: Packaged) -> None:
    """Equal bytes let a deployment without changes say so, and change nothing."""
    for archive in (FUNCTION, LAYER):
        first, second = (packaging.directory / archive for packaging in (packaged, packaged_again))
        assert first.read_bytes() == second.read_bytes(), archive
