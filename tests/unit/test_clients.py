"""Where AWS clients are made."""

import pytest

from router import clients


def test_a_client_goes_to_the_region_of_the_deployment(monkeypatch: pytest.MonkeyPatch) -> None:
    """boto3 alone does not know AWS_REGION."""
    monkeypatch.delenv("AWS_DEFAULT_REGION", raising=False)
    monkeypatch.setenv("AWS_REGION", "eu-west-3")
    assert clients.sqs().meta.region_name == "eu-west-3"


def test_without_it_boto3_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_REGION", "")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    assert clients.sqs().meta.region_name == "eu-west-1"
