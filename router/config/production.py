"""What production rejects and other stages warn of: literal secrets, plain http and link-local URLs.

Everyone who can read the repository, the template or the function's settings can read a literal secret. Alerts must not
be sent by plain http, nor to the link-local addresses from which AWS hands out credentials.
"""

import ipaddress
import re
import socket
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from router.channels.plugins import Plugins
from router.channels.secrets import is_reference
from router.config.references import from_environment, variable_of

_NOT_PRODUCTION = ("dev", "test", "local")  # stages, unless PRODUCTION says otherwise
# The function's variables that hold a secret, whether or not a channel refers to them.
_VARIABLES = ("SLACK_WEBHOOK_URL", "TEAMS_WEBHOOK_URL", "PAGERDUTY_ROUTING_KEY")
_NOT_SECRET = ("PAGERDUTY_EVENTS_URL", *_VARIABLES)  # or already checked
_SETTINGS = frozenset({"kind", "language", "time_zone", "dedup_window"})  # keys of a channel that are not options
# Strings: `re` compiles them when they are first needed, and few functions ever need them.
_CONFIDENTIAL = (
    r"(?i)pass(word|wd|phrase)|pwd|secret|token|credential|authorization|webhook"
    r"|(api|access|private|routing|integration|signing)[-_]?key|(^|[-_])key$"
)
_RANDOM = (
    r"(?<![A-Za-z0-9])(?=[A-Za-z0-9]*[A-Za-z])(?:[A-Za-z0-9]{20,}|(?=[A-Za-z0-9]*[0-9])[A-Za-z0-9]{16,})"
    r"|[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
)
_METADATA = ipaddress.ip_network(
    "fd00:ec2::/32"
)  # the metadata service by IPv6 (Amazon EC2 User Guide, instance metadata)
_USERINFO = re.compile(r"://[^/?#\s@]+@")
_LITERAL = "is a literal secret: refer to it by ssm:/path or secretsmanager:name"


class Problems(NamedTuple):
    """Problems, which stop a deployment, and warnings; each names its place and the fix, and contains no secret."""

    problems: tuple[str, ...]
    warnings: tuple[str, ...]


class _Value(NamedTuple):
    """A text in the configuration.

    Attributes:
        path: the keys that lead to it, below the table of its channel or plugin.
        text: its value; for `env:NAME`, the value of the variable.
    """

    path: tuple[str, ...]
    text: str


def is_production(environ: Mapping[str, str]) -> bool:
    """Whether this is production: PRODUCTION, otherwise the stage, decides. An unknown word in PRODUCTION means yes."""
    stated = environ.get("PRODUCTION", "").strip().lower()
    if stated:
        return stated not in {"false", "off"}
    return environ.get("STAGE", "dev") not in _NOT_PRODUCTION


def check(table: Mapping[str, Any], plugins: Plugins, environ: Mapping[str, str]) -> Problems:
    """Checks every value of the TOML `table` and of the function's variables. Never raises."""
    always: list[str] = []
    in_production: list[str] = []
    for place, options, declaring in _tables(table, plugins):
        for value in _values((), options, environ):
            name = ".".join((place, *value.path))
            if value.text.lower().startswith("file:"):
                always.append(f"{name}: is a file URL, to which nothing can be sent: use https")
            elif problem := _doubtful_host(value.text):
                in_production.append(f"{name}: {problem}: use an https URL of the service")
            if _is_secret(value, _secret_options(declaring)):
                in_production.append(f"{name}: {_LITERAL}")
    referred = {variable for text in _texts(table) if (variable := variable_of(text)) is not None}
    in_production += [f"{variable}: {_LITERAL}" for variable in _exposed(environ) if variable not in referred]
    if is_production(environ):
        return Problems((*always, *in_production), ())
    return Problems(tuple(always), tuple(in_production))


def _exposed(environ: Mapping[str, str]) -> Iterator[str]:
    """The function's variables that hold a literal secret. deploy/prepare.js names all in FUNCTION_VARIABLES."""
    for variable in _VARIABLES:
        if _is_literal(environ.get(variable, "")):
            yield variable
    for variable in environ.get("FUNCTION_VARIABLES", "").split():
        value = _Value((variable,), environ.get(variable, "").strip())
        if variable not in _NOT_SECRET and _is_secret(value, None):
            yield variable


def _tables(table: Mapping[str, Any], plugins: Plugins) -> Iterator[tuple[str, Mapping[str, Any], object]]:
    """The tables whose options plugins get: place, options, and the channel kind, which may declare its secrets."""
    for group in ("channels", "plugins"):
        content = table.get(group)
        for name, options in content.items() if isinstance(content, Mapping) else ():
            if isinstance(options, Mapping):
                kind = options.get("kind")
                yield f"{group}.{name}", options, plugins.kinds.get(kind) if isinstance(kind, str) else None


def _values(path: tuple[str, ...], node: Any, environ: Mapping[str, str]) -> Iterator[_Value]:
    if isinstance(node, Mapping):
        for key, member in node.items():
            if path or key not in _SETTINGS:
                yield from _values((*path, str(key)), member, environ)
    elif isinstance(node, list):
        for member in node:
            yield from _values(path, member, environ)
    elif isinstance(node, str):
        yield _Value(path, from_environment(node, environ))


def _texts(node: Any) -> Iterator[str]:
    if isinstance(node, str):
        yield node
    for member in node.values() if isinstance(node, Mapping) else node if isinstance(node, list) else ():
        yield from _texts(member)


def _secret_options(declaring: object) -> frozenset[str] | None:
    """The options that a channel kind declares as secrets; None if it declares nothing about its options."""
    names = getattr(declaring, "secret_options", None)
    options = getattr(declaring, "options", None)
    if names is None and not isinstance(options, tuple | list):
        return None
    stated = (option.name for option in options or () if getattr(option, "secret", False))
    return frozenset((*(names or ()), *stated))


def _is_secret(value: _Value, secret_options: frozenset[str] | None) -> bool:
    """Whether the value is a literal secret.

    Args:
        secret_options: as declared; with None, every URL and token is a secret.
    """
    if not _is_literal(value.text):
        return False
    if value.path[0] in (secret_options or ()) or _USERINFO.search(value.text):
        return True
    if secret_options is None:
        return "://" in value.text or _looks_secret(value)
    return len(value.path) > 1 and re.search(_CONFIDENTIAL, value.path[-1]) is not None


def _is_literal(text: str) -> bool:
    return bool(text.strip()) and not is_reference(text)


def _looks_secret(value: _Value) -> bool:
    if value.text.startswith("arn:"):  # names a resource, and gives no access
        return False
    return bool(re.search(_CONFIDENTIAL, value.path[-1]) or re.search(_RANDOM, value.text))


# --- URLs -------------------------------------------------------------------------------------------------------------


def _doubtful_host(text: str) -> str:
    """What is wrong with a URL; "" if nothing is wrong, or if the text is not a URL."""
    scheme, separator, _ = text.lower().partition("://")
    if not separator or scheme not in {"http", "https"}:
        return ""
    with suppress(ValueError):
        address = _address(urlsplit(text).hostname or "")
        if address and (address.is_link_local or address in _METADATA):
            return "is a link-local address, from which AWS hands out credentials"
    return "is plain http, which exposes it to everyone on the network path" if scheme == "http" else ""


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """The IP address of a host, in any notation that the system understands; None if it is a name."""
    with suppress(OSError):  # also 2852039166 and 0xA9.254.169.254
        return ipaddress.IPv4Address(socket.inet_aton(host))
    with suppress(ValueError):
        address = ipaddress.IPv6Address(host)
        return address.ipv4_mapped or address
    return None
