"""Fixtures for tests of the command line: they import moto and the whole CLI."""

from collections.abc import Iterator

import boto3
import pytest
from moto import mock_aws

from tests.doubles import history_cli
from tests.doubles.account import Account, make_account
from tests.doubles.world import World


@pytest.fixture
def recorded(monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """A router that writes its history to the table that the command line reads."""
    for _ in history_cli.account(monkeypatch):
        yield history_cli.recording()


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch) -> Iterator[Account]:
    """A stage's table, queues and router, for operators' commands; redrive does not wait for SQS."""
    for name in ("HISTORY_TABLE", "QUEUE_URL", "DUE_QUEUE_URL", "DLQ_URL", "AWS_PROFILE", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    monkeypatch.setattr("router.cli.redrive.WAIT", 0)
    with mock_aws():
        monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)
        yield make_account()
