"""Where AWS clients are made; nothing else knows botocore's sessions. Endpoints follow the SDK's own AWS_ENDPOINT_URL.

botocore alone, imported late: boto3 brings S3's transfers along, and multiprocessing. What else is done here for cold
starts, and what each saves, is in docs/performance.md. Where it finds no hold, in another botocore or without the
layer, the SDK does what it always does.
"""

import logging
import os
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

from router.coldstart import tls
from router.coldstart.imports import import_without_package

log = logging.getLogger("ecs-alert-router.aws.clients")

_USER_AGENT = "ecs-alert-router"  # botocore would put its own together anew for each call: a sixth of what that costs
SERVICES = frozenset({"dynamodb", "ecs", "logs", "secretsmanager", "sns", "sqs", "ssm"})
"""What the function speaks to."""
_EVENT_NAMES = SERVICES | {"cloudwatch-logs", "secrets-manager"}  # as botocore's events may call them, too
_CREDENTIALS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
MODELS = "aws_models"  # what layer/build.py calls the service models that it puts on the path, without their prose

_SETTINGS: Mapping[str, Any] = {
    "connect_timeout": 2,
    "read_timeout": 5,
    # The deadline of an invocation is near; what is not done in three tries is tried again by the queue.
    "attempts": 3,
    # One thread per channel may settle while others read.
    "max_pool_connections": 10,
    # A fourth of the CPU of each call: what is asked is made by this code alone, and the service looks at it anyway.
    "parameter_validation": False,
}

# What only decorates a message is asked once, and not for long.
_BRIEFLY: Mapping[str, Any] = {"connect_timeout": 1, "read_timeout": 2, "attempts": 1}


def dynamodb() -> Any:
    return _client("dynamodb")


def sqs() -> Any:
    return _client("sqs")


def sns() -> Any:
    return _client("sns")


def ecs() -> Any:
    return _client("ecs")


def ec2() -> Any:
    return _client("ec2")


def ssm() -> Any:
    return _client("ssm")


def secretsmanager() -> Any:
    return _client("secretsmanager")


def stack_outputs(stage: str) -> dict[str, str]:
    """What the stack that is deployed to a stage gives out, by name. Raises what the client raises."""
    (found,) = _client("cloudformation").describe_stacks(StackName=f"ecs-alert-router-{stage}")["Stacks"]
    return {output["OutputKey"]: output["OutputValue"] for output in found.get("Outputs", [])}


class LazyClient:
    """A client that is made when something is first asked of it: most invocations have no need of SQS."""

    def __init__(self, make: Callable[[], Any]) -> None:
        self._make = cache(make)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._make(), name)


@cache
def ecs_of(region: str) -> Any:
    return aws_client("ecs", region, **_BRIEFLY)


@cache
def logs_of(region: str) -> Any:
    return aws_client("logs", region, **_BRIEFLY)


def aws_client(service: str, region: str = "", *, attempts: int, **settings: Any) -> Any:
    """A low-level client of an AWS service, from a session that the whole process shares.

    A session of its own would cost a client 80 ms of a cold start.

    Args:
        region: where it is not the function's own.
        attempts: at a call, the first included.
        settings: as for `botocore.config.Config`: `connect_timeout`, `read_timeout` (seconds).
    """
    with _making:  # making clients is not safe in threads, and enrichment makes them in some
        session = _session() if service in SERVICES else _other_session()
        from botocore.config import Config  # noqa: PLC0415 - half of the time of a cold start; for commands without AWS

        # botocore itself knows AWS_DEFAULT_REGION alone; the deployment and the other SDKs, AWS_REGION.
        region_name = region or os.environ.get("AWS_REGION") or None
        retries = {"mode": "standard", "total_max_attempts": attempts}  # the other mode reads a file of rules: 5 ms
        config = Config(user_agent=_USER_AGENT, retries=retries, **settings)
        return session.create_client(service, region_name=region_name, config=config, **_credentials())


_making = threading.Lock()


def _client(service: str) -> Any:
    return aws_client(service, **_SETTINGS)


def _credentials() -> dict[str, str]:
    """Those of the environment, where they are for good: botocore would first make each thing that may know others.

    In the function they are Lambda's own, and outlive it; elsewhere, too, they come before all others.
    """
    known = all(os.environ.get(name) for name in _CREDENTIALS[:2])
    if not known or any(name in os.environ for name in ("AWS_CREDENTIAL_EXPIRATION", "AWS_SECURITY_TOKEN")):
        return {}
    return {name.lower(): value for name in _CREDENTIALS if (value := os.environ.get(name))}


@cache
def _session() -> Any:
    """For `SERVICES`. AWS gives the function another botocore now and then: that may be slower, and must be right."""
    try:
        return _lean_session()
    except Exception as error:  # noqa: BLE001 - whatever has changed there
        log.warning("botocore is not as it was, so clients are made the long way: %s: %s", type(error).__name__, error)
        return _other_session()


def _lean_session() -> Any:
    botocore_session = _botocore_session()
    from botocore.handlers import BUILTIN_HANDLERS, REGISTER_FIRST, REGISTER_LAST  # noqa: PLC0415 - as above
    from botocore.loaders import Loader, instance_cache  # noqa: PLC0415

    class Models(Loader):  # type: ignore[misc]  # botocore has no type information
        @instance_cache  # type: ignore[untyped-decorator]
        def list_available_services(self, type_name: str) -> list[str]:
            """What this session is for. The original looks into each of 440 directories for a file: some 30 ms."""
            del type_name
            return sorted(SERVICES)

    session = botocore_session.Session(include_builtin_handlers=False)
    events = session.get_component("event_emitter")
    register = {REGISTER_FIRST: events.register_first, REGISTER_LAST: events.register_last}
    for name, handler, *order in filter(_concerns, BUILTIN_HANDLERS):
        register.get(order[0] if order else None, events.register)(name, handler)
    stated = (session.get_config_variable("data_path") or "").split(os.pathsep)  # AWS_DATA_PATH
    own = (str(path) for entry in sys.path if (path := Path(entry, MODELS)).is_dir())
    session.register_component("data_loader", Models([*filter(None, stated), *own]))
    _share_context()
    return session


@cache
def _other_session() -> Any:
    """For all other services: botocore's own, whole."""
    import botocore.session  # noqa: PLC0415 - as above

    return botocore.session.get_session()


def _concerns(builtin: Sequence[Any]) -> bool:
    """Whether what botocore does at an event by itself can be of `SERVICES`.

    The others, nine tenths of it, are S3's, EC2's and so on, and of documentation: 7 ms of each cold start.
    """
    when, _, what = str(builtin[0]).partition(".")
    return when != "docs" and what.partition(".")[0] in {"", "*", *_EVENT_NAMES}


def _botocore_session() -> Any:
    """The module, without what writes docstrings, a parser of HTML included: 6 ms of each cold start, and nobody reads
    them here. They stay empty.
    """
    writer = ModuleType("botocore.docs.docstring")
    writer.__getattr__ = lambda _name: lambda *_, **__: ""  # type: ignore[method-assign]  # whatever it is called
    return import_without_package("botocore.session", empty="botocore.docs", instead={writer.__name__: writer})


@cache
def _share_context() -> None:
    """botocore loads the CA bundle anew for each connection; here its pools get a context that has it already.

    The method is private. Should botocore rename it, botocore does again what it always did: correct, and 16 ms slower
    for each connection. A test notices.
    """
    from botocore import httpsession  # noqa: PLC0415 - as above

    set_up = getattr(httpsession.URLLib3Session, "_setup_ssl_cert", None)
    if set_up is None:
        return

    def setup_ssl_cert(self: Any, pool: Any, url: str, verify: Any) -> None:
        set_up(self, pool, url, verify)
        if url.startswith("https:") and verify and pool.proxy is None:
            pool.conn_kw["ssl_context"] = tls.context("" if verify is True else verify)
            pool.ca_certs = None  # they are in the context

    httpsession.URLLib3Session._setup_ssl_cert = setup_ssl_cert  # noqa: SLF001 - see above
