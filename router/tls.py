"""One TLS context for everybody whom the process speaks to.

To load a CA bundle takes 16 ms of CPU, and botocore and requests would each do it for every connection.
"""

import os
import ssl
import threading
from functools import cache
from pathlib import Path

import certifi

_loading = threading.Lock()


def context(bundle: str) -> ssl.SSLContext:
    """Verifies hosts against a bundle: a file, or a directory of hashed certificates; loaded once, whoever asks first.

    Raises:
        OSError: it cannot be read.
    """
    with _loading:
        return _loaded(bundle)


@cache
def _loaded(bundle: str) -> ssl.SSLContext:
    in_directory = Path(bundle).is_dir()
    return ssl.create_default_context(cafile=None if in_directory else bundle, capath=bundle if in_directory else None)


def load() -> None:
    """Loads, in a thread, the bundle that AWS clients use: OpenSSL reads it while Python goes on."""
    bundle = os.environ.get("AWS_CA_BUNDLE") or os.environ.get("REQUESTS_CA_BUNDLE") or certifi.where()
    threading.Thread(target=context, args=(bundle,), name="certificates", daemon=True).start()
