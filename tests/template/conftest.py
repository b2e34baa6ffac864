"""Packages the stack once for all tests of this directory."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from local_aws import LocalAws, running
from local_aws.deploy import VISIBLE, run_osls
from local_aws.runtime import ROOT
from release.__main__ import release
from tests.template.packaged import ENVIRONMENT, EVERYTHING, Packaged, package


@pytest.fixture(scope="session")
def local_aws() -> Iterator[LocalAws]:
    """The AWS to package against, which the CLI asks for the deployed layer."""
    with running() as aws:
        yield aws


@pytest.fixture(scope="session")
def packaged(local_aws: LocalAws, tmp_path_factory: pytest.TempPathFactory) -> Packaged:
    return package(local_aws, tmp_path_factory.mktemp("package"))


@pytest.fixture(scope="session")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the checkout in which another process has written bytecode."""
    copy = tmp_path_factory.mktemp("checkout")
    without_bytecode = shutil.ignore_patterns("__pycache__")
    for name in ("layer", "plugins", "router"):
        shutil.copytree(ROOT / name, copy / name, ignore=without_bytecode)
    for name in ("plugins", "router"):
        (copy / name / "__pycache__").mkdir()
        (copy / name / "__pycache__" / "other.cpython-313.pyc").write_bytes(b"of another process")
    for name in {*VISIBLE, "node_modules"} - {"layer", "plugins", "router"}:
        (copy / name).symlink_to(ROOT / name)
    return copy


@pytest.fixture(scope="session")
def packaged_again(local_aws: LocalAws, checkout: Path, tmp_path_factory: pytest.TempPathFactory) -> Packaged:
    """The same, packaged from the copy."""
    directory = tmp_path_factory.mktemp("package-again")
    run_osls(local_aws, "package", "--package", str(directory), environment=ENVIRONMENT, checkout=checkout)
    return Packaged(directory)


@pytest.fixture(scope="session")
def everything(local_aws: LocalAws, tmp_path_factory: pytest.TempPathFactory) -> Packaged:
    """Packaged with every setting at a value other than its default."""
    return package(local_aws, tmp_path_factory.mktemp("everything"), **EVERYTHING)


@pytest.fixture(scope="session")
def least(local_aws: LocalAws, tmp_path_factory: pytest.TempPathFactory) -> Packaged:
    """Packaged in the lean profile, with everything turned off that can be, named operators, and no secrets."""
    settings = {
        "ALARM_NAME_PREFIX": "",
        "DEPLOYMENT_BUCKET": "packages",
        "HEARTBEAT_SCHEDULE": "off",
        "OPERATOR_EMAILS": "operator@example.com",
        "PAGERDUTY_ROUTING_KEY": "",
        "PROFILE": "lean",
        "SLACK_WEBHOOK_URL": "",
    }
    return package(local_aws, tmp_path_factory.mktemp("least"), **settings)


@pytest.fixture(scope="session")
def dist(local_aws: LocalAws, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `make release` writes."""
    directory = tmp_path_factory.mktemp("dist")
    release(local_aws, directory)
    return directory
