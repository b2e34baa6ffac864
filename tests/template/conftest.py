"""Packages the stack once for all tests of this directory."""

from collections.abc import Iterator

import pytest

from local_aws import LocalAws, running
from tests.template.packaged import Packaged, package


@pytest.fixture(scope="session")
def local_aws() -> Iterator[LocalAws]:
    """An AWS to package against: the CLI asks it which layer it has."""
    with running() as aws:
        yield aws


@pytest.fixture(scope="session")
def packaged(local_aws: LocalAws, tmp_path_factory: pytest.TempPathFactory) -> Packaged:
    return package(local_aws, tmp_path_factory.mktemp("package"))


@pytest.fixture(scope="session")
def packaged_again(local_aws: LocalAws, tmp_path_factory: pytest.TempPathFactory) -> Packaged:
    return package(local_aws, tmp_path_factory.mktemp("package-again"))
