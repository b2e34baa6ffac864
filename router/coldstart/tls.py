"""One TLS context for all connections of the process.

botocore and requests would each load the CA bundle for every connection, which takes 16 ms of CPU. The layer also has
the certificates in a directory, from which OpenSSL opens only the file that it needs (`layer/ca_directory.py`).
"""

import ssl
import sys
import threading
from functools import cache
from pathlib import Path

import certifi

CERTIFICATES = "ecs_alert_router_certificates"
"""The directory on sys.path with certifi's certificates that `layer/build.py` writes."""

_loading = threading.Lock()


def context(bundle: str = "") -> ssl.SSLContext:
    """A context that verifies certificates and host names. Each bundle is loaded once, also if threads ask for it.

    Args:
        bundle: a file, or a directory of hashed certificates; "" for certifi's certificates.

    Raises:
        OSError: the bundle cannot be read.
    """
    with _loading:
        return _load(bundle)


@cache
def _load(bundle: str) -> ssl.SSLContext:
    bundle = bundle or _layer_directory() or certifi.where()
    is_directory = Path(bundle).is_dir()
    return ssl.create_default_context(cafile=None if is_directory else bundle, capath=bundle if is_directory else None)


def _layer_directory() -> str:
    """The directory in the layer; "" without the layer."""
    return next((str(path) for entry in sys.path if (path := Path(entry, CERTIFICATES)).is_dir()), "")
