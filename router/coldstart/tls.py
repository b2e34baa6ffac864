"""One TLS context for everybody whom the process speaks to.

To load a CA bundle takes 16 ms of CPU, and botocore and requests would each do it for every connection. The layer has
the same certificates in a directory, of which OpenSSL opens the one file that it needs (`layer/ca_directory.py`).
"""

import os
import ssl
import sys
import threading
from functools import cache
from pathlib import Path

import certifi

CERTIFICATES = "ecs_alert_router_certificates"  # certifi's, each by its name: layer/build.py puts them on the path

_loading = threading.Lock()


def context(bundle: str = "") -> ssl.SSLContext:
    """Verifies hosts against a bundle; loaded once, whoever asks first.

    Args:
        bundle: a file, or a directory of hashed certificates; "" for certifi's.

    Raises:
        OSError: it cannot be read.
    """
    with _loading:
        return _loaded(bundle)


@cache
def _loaded(bundle: str) -> ssl.SSLContext:
    bundle = bundle or _shipped() or certifi.where()
    in_directory = Path(bundle).is_dir()
    return ssl.create_default_context(cafile=None if in_directory else bundle, capath=bundle if in_directory else None)


def _shipped() -> str:
    """The layer's directory; "" without the layer."""
    return next((str(path) for entry in sys.path if (path := Path(entry, CERTIFICATES)).is_dir()), "")


def load() -> None:
    """Loads, in a thread, the bundle that AWS clients use: OpenSSL reads it while Python goes on."""
    bundle = os.environ.get("AWS_CA_BUNDLE") or os.environ.get("REQUESTS_CA_BUNDLE", "")
    threading.Thread(target=context, args=(bundle,), name="certificates", daemon=True).start()
