"""router.coldstart.botocore_session: the parts of botocore that are left out, and those that stay."""

import json
import os
import ssl
import subprocess
import sys
from pathlib import Path
from typing import Any

import botocore.session
import pytest
from botocore.handlers import BUILTIN_HANDLERS
from botocore.httpsession import URLLib3Session, get_cert_path

from router.aws import clients
from router.coldstart import tls
from router.coldstart.botocore_session import MODELS, serves

ROOT = Path(__file__).resolve().parents[3]


def event_names(service: str) -> set[str]:
    """The names under which botocore's events know a service."""
    model = botocore.session.get_session().get_service_model(service)
    return {service, model.service_id.hyphenize(), model.endpoint_prefix}


@pytest.mark.parametrize("service", sorted(clients.SERVICES))
def test_every_handler_for_a_service_of_the_function_is_registered(service: str) -> None:
    """Fails if botocore adds a handler for one of them under an unknown name."""
    names = event_names(service)
    needed = [event for event, *_ in BUILTIN_HANDLERS if names & {*event.split(".")} and not event.startswith("docs")]
    assert all(serves(event, clients.SERVICES) for event in needed)


def test_every_handler_for_all_services_is_registered() -> None:
    generic = [event for event, *_ in BUILTIN_HANDLERS if "." not in event]
    assert generic
    assert all(serves(event, clients.SERVICES) for event in generic)


@pytest.mark.parametrize("event", ["before-sign.s3.PutObject", "docs.*.ec2", "creating-client-class.iot-data"])
def test_handlers_of_other_services_are_left_out(event: str) -> None:
    assert not serves(event, clients.SERVICES)


DOCSTRINGS = """
import json, sys
from router.aws import clients
client = clients.dynamodb()
left_out = [name for name in ("botocore.docs", "botocore.docs.docstring", "html.parser") if name in sys.modules]
import boto3
other = boto3.client("sns")
import botocore.docs.docstring
written = bool(botocore.docs.docstring.ClientMethodDocstring.__mro__)
print(json.dumps([left_out, client.put_item.__doc__, str(other.publish.__doc__ or ""), bool(boto3.docs), written]))
"""


def test_the_writer_of_docstrings_is_left_out_and_can_be_imported_afterwards() -> None:
    """For example by a plugin that uses boto3; only the docstrings stay empty."""
    environment = {**os.environ, "AWS_REGION": "eu-west-1", "AWS_DEFAULT_REGION": "eu-west-1", "PYTHONPATH": str(ROOT)}
    output = subprocess.run(
        [sys.executable, "-c", DOCSTRINGS], env=environment, capture_output=True, text=True, check=True
    ).stdout
    assert json.loads(output) == [[], "", "", True, True]


def test_models_on_the_path_are_used_and_others_are_still_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The layer has such models. Without it, or for another service, botocore reads its own."""
    model = tmp_path / MODELS / "sns" / "2010-03-31" / "service-2.json"
    model.parent.mkdir(parents=True)
    metadata = {"serviceId": "SNS", "endpointPrefix": "sns", "apiVersion": "2010-03-31", "protocol": "query"}
    model.write_text(json.dumps({"metadata": metadata, "operations": {}, "shapes": {}}))
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    assert not hasattr(clients.sns(), "publish")
    assert hasattr(clients.sqs(), "send_message")


@pytest.fixture
def loaded_bundles(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Each CA bundle that the process loads."""
    bundles: list[Any] = []
    load = ssl.SSLContext.load_verify_locations

    def record_and_load(self: ssl.SSLContext, cafile: Any = None, *more: Any, **named: Any) -> None:
        bundles.append(cafile)
        load(self, cafile, *more, **named)

    monkeypatch.setattr(ssl.SSLContext, "load_verify_locations", record_and_load)
    tls._load.cache_clear()  # noqa: SLF001
    return bundles


def test_all_clients_share_one_tls_context(loaded_bundles: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """Fails if botocore renames the private method that is replaced: each connection would load the bundle again."""
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    contexts = []
    for client in (clients.dynamodb(), clients.sqs()):
        session: URLLib3Session = client._endpoint.http_session  # noqa: SLF001 - there is no public way
        pool = session._manager.connection_from_url("https://dynamodb.us-east-1.amazonaws.com")  # noqa: SLF001
        session._setup_ssl_cert(pool, "https://dynamodb.us-east-1.amazonaws.com", verify=True)  # noqa: SLF001
        assert pool.ca_certs is None
        assert pool.cert_reqs == "CERT_REQUIRED"
        contexts.append(pool.conn_kw["ssl_context"])
    assert contexts[0] is contexts[1]
    assert contexts[0].verify_mode is ssl.CERT_REQUIRED
    assert contexts[0].check_hostname
    assert loaded_bundles == [get_cert_path(verify=True)]
