"""References to secrets: `ssm:/path` (a SecureString) and `secretsmanager:name` or `secretsmanager:name#key`.

A secret is read with a low-level boto3 client when it is first needed, and kept for five minutes.
"""

import json
import threading
from collections.abc import Callable, Mapping
from typing import Any

from router.deadline import time_left
from router.errors import DeadlineExceeded, PermanentError, TransientError

KEPT_FOR = 300.0  # seconds
_WAIT_FOR_ANOTHER = 8.0  # seconds for another thread to read the same secret; more than two attempts take
SSM = "ssm:"
SECRETS_MANAGER = "secretsmanager:"

# AWS's error codes that a retry does not help, with what to do; all other errors are transient.
_FINAL = {
    "AccessDeniedException": "the function may not read it: deploy again, so that its role is given the permission",
    "ParameterNotFound": "there is no such parameter: create it, or correct the reference",
    "ResourceNotFoundException": "there is no such secret: create it, or correct the reference",
    "ValidationException": "the reference is not well-formed",
    "InvalidRequestException": "the secret is marked for deletion: restore it",
    "DecryptionFailure": "its key may not be used by the function",
}


def is_reference(value: object) -> bool:
    """Whether a value of alert-router.toml or of the environment refers to a secret that is stored elsewhere."""
    return isinstance(value, str) and value.startswith((SSM, SECRETS_MANAGER))


class Secrets:
    """Reads secrets, and keeps each for `KEPT_FOR` seconds. Safe to use from several threads.

    Threads wait for each other only if they read the same secret: a store that hangs holds up no other channel.
    """

    def __init__(self, ssm: Callable[[], Any], secretsmanager: Callable[[], Any], clock: Callable[[], float]) -> None:
        """Makes no client yet.

        Args:
            ssm, secretsmanager: make the low-level boto3 client; called when a reference first needs one.
            clock: seconds from any starting point. It must not stand still while the process is frozen.
        """
        self._ssm = ssm
        self._secretsmanager = secretsmanager
        self._clock = clock
        self._kept: dict[str, tuple[str, float]] = {}
        self._clients: dict[str, Any] = {}
        self._locks: dict[str, threading.Lock] = {}

    def read(self, reference: str, *, refresh: bool = False) -> str:
        """The secret.

        Args:
            refresh: read it even if it was read within the last five minutes.

        Raises:
            PermanentError: it cannot be read; the message says what to do, and does not contain the secret.
            TransientError: AWS did not answer before the deadline that applies, or throttles.
        """
        lock = self._locks.setdefault(reference, threading.Lock())
        if not lock.acquire(timeout=_wait(reference)):
            raise TransientError(f"{reference} could not be read: another thread has been waiting for it", unsent=True)
        try:
            now = self._clock()
            value, until = self._kept.get(reference, ("", 0.0))
            if refresh or now >= until:
                value = self._fetch(reference)
                self._kept[reference] = value, now + KEPT_FOR  # as of when it was asked for: the thread may have frozen
        finally:
            lock.release()
        return value

    def _fetch(self, reference: str) -> str:
        try:
            if reference.startswith(SSM):
                return self._parameter(reference.removeprefix(SSM))
            return self._secret(reference.removeprefix(SECRETS_MANAGER))
        except PermanentError:
            raise
        except Exception as error:  # noqa: BLE001 - only the error code is safe to show
            response = getattr(error, "response", None) or {}  # it is None for botocore's timeouts
            code = response.get("Error", {}).get("Code", type(error).__name__)
        if code in _FINAL:
            raise PermanentError(f"{reference}: {_FINAL[code]}") from None
        raise TransientError(f"{reference} could not be read: {code}", unsent=True) from None

    def _parameter(self, name: str) -> str:
        client = self._client("ssm", self._ssm)
        return str(client.get_parameter(Name=name, WithDecryption=True)["Parameter"]["Value"])

    def _secret(self, name: str) -> str:
        name, _, key = name.partition("#")
        text = self._client("secretsmanager", self._secretsmanager).get_secret_value(SecretId=name).get("SecretString")
        if text is None:
            raise PermanentError(f"{SECRETS_MANAGER}{name}: it is binary; a channel needs text")
        return _member(name, key, text) if key else str(text)

    def _client(self, service: str, make: Callable[[], Any]) -> Any:
        if service not in self._clients:
            self._clients[service] = make()
        return self._clients[service]


def _wait(reference: str) -> float:
    """Raises TransientError if no time is left to read it."""
    try:
        return time_left(_WAIT_FOR_ANOTHER)
    except DeadlineExceeded as error:
        raise TransientError(f"{reference} could not be read: {error}", unsent=True) from None


def _member(name: str, key: str, text: str) -> str:
    """The text at `key` of a secret that is a JSON object."""
    try:
        members = json.loads(text)
    except ValueError:
        members = None
    if not isinstance(members, Mapping) or not isinstance(members.get(key), str):
        raise PermanentError(f"{SECRETS_MANAGER}{name}#{key}: the secret is no JSON object with a text of that key")
    return str(members[key])
