"""The botocore session of the function's AWS clients, reduced to what a cold start needs.

`router.coldstart` lists what each step saves. Everything here depends on details of botocore, which AWS updates in the
runtime from time to time. `router.aws.clients` uses botocore's own session if this one cannot be made.
"""

import os
import sys
from collections.abc import Collection, Sequence
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

from router.coldstart import tls

MODELS = "aws_models"
"""The directory on sys.path with the reduced service models that `layer/build.py` writes."""
_EVENT_NAMES = {"events": "eventbridge", "logs": "cloudwatch-logs", "secretsmanager": "secrets-manager"}
"""The second name under which botocore's events know a service."""


def make_session(services: Collection[str]) -> Any:
    """A `botocore.session.Session` that can make clients of `services` only.

    Raises:
        Exception: this botocore differs from the ones that this module knows.
    """
    session = _import_botocore().Session(include_builtin_handlers=False)
    _register_handlers(session, services)
    session.register_component("data_loader", _loader(session, services))
    _share_tls_context()
    return session


def _import_botocore() -> Any:
    """`botocore.session` without the modules that write docstrings. The docstrings of clients are empty.

    While botocore is imported, two empty modules replace `botocore.docs` and its writer. Afterwards `botocore.docs` can
    be imported as usual, for example by a plugin that uses boto3.
    """
    package, writer = ModuleType("botocore.docs"), ModuleType("botocore.docs.docstring")
    spec = find_spec(package.__name__)
    package.__path__ = list(spec.submodule_search_locations or ()) if spec else []
    writer.__getattr__ = lambda _name: lambda *_, **__: ""  # type: ignore[method-assign]  # any class, any arguments
    stand_ins = {module.__name__: module for module in (package, writer) if module.__name__ not in sys.modules}
    sys.modules.update(stand_ins)
    try:
        return import_module("botocore.session")
    finally:
        for name in stand_ins:
            sys.modules.pop(name, None)


def _register_handlers(session: Any, services: Collection[str]) -> None:
    """Registers botocore's event handlers, except those that only serve other services, which are nine of ten."""
    from botocore import handlers  # noqa: PLC0415 - after `_import_botocore`

    events = session.get_component("event_emitter")
    register = {handlers.REGISTER_FIRST: events.register_first, handlers.REGISTER_LAST: events.register_last}
    for event, handler, *order in handlers.BUILTIN_HANDLERS:
        if serves(event, services):
            register.get(order[0] if order else None, events.register)(event, handler)


def serves(event: str, services: Collection[str]) -> bool:
    """Whether handlers of a botocore event, such as `before-sign.s3.PutObject`, can run for one of `services`."""
    kind, _, rest = event.partition(".")
    names = {*services, *(_EVENT_NAMES[service] for service in services if service in _EVENT_NAMES)}
    return kind != "docs" and rest.partition(".")[0] in {"", "*", *names}


def _loader(session: Any, services: Collection[str]) -> Any:
    """Reads models from AWS_DATA_PATH, the layer and botocore, in this order."""
    from botocore.loaders import Loader, instance_cache  # noqa: PLC0415 - after `_import_botocore`

    class Models(Loader):  # type: ignore[misc]  # botocore has no type information
        @instance_cache  # type: ignore[untyped-decorator]
        def list_available_services(self, type_name: str) -> Sequence[str]:
            """botocore's own version looks for a file in each of its 440 directories."""
            del type_name
            return sorted(services)

    configured = (session.get_config_variable("data_path") or "").split(os.pathsep)
    shipped = [str(path) for entry in sys.path if (path := Path(entry, MODELS)).is_dir()]
    return Models([*filter(None, configured), *shipped])


@cache
def _share_tls_context() -> None:
    """Makes botocore's connection pools use `router.coldstart.tls` instead of loading the CA bundle themselves.

    The method that this replaces is private. If botocore renames it, botocore loads the bundle again for each
    connection, which is correct but slower; a test fails then.
    """
    from botocore.httpsession import URLLib3Session  # noqa: PLC0415 - after `_import_botocore`

    original = getattr(URLLib3Session, "_setup_ssl_cert", None)
    if original is None:
        return

    def setup_ssl_cert(self: Any, pool: Any, url: str, verify: Any) -> None:
        original(self, pool, url, verify)
        if url.startswith("https:") and verify and pool.proxy is None:
            pool.conn_kw["ssl_context"] = tls.context("" if verify is True else verify)
            pool.ca_certs = None  # the context has them

    URLLib3Session._setup_ssl_cert = setup_ssl_cert  # noqa: SLF001 - there is no public way
