"""Placeholders for what a channel cannot be made without: options that are unset, and secrets that are not read."""

from collections.abc import Callable, Mapping
from itertools import islice, product
from typing import Any

from router.channels.secrets import is_reference
from router.config.parse import Config

_PLACEHOLDERS = (
    "https://placeholder.invalid/services/T00000000/B00000000/placeholder",
    "arn:aws:sns:us-east-1:000000000000:placeholder",
    "0" * 32,
    "placeholder@example.invalid",
    "1",
)
_MOST = 1000  # combinations that are tried

Parse = Callable[[Mapping[str, Any]], Config]


def filled(table: Mapping[str, Any], parse: Parse) -> dict[str, Any]:
    """alert-router.toml's table with a placeholder for each option that a plugin requires and that is unset or secret.

    A channel whose plugin accepts none of them stays as it is.
    """
    channels = table.get("channels")
    if not isinstance(channels, Mapping):
        return dict(table)
    made = {name: _filled(name, content, parse) for name, content in channels.items()}
    return {**table, "channels": made}


def _filled(name: str, content: Any, parse: Parse, blanks: tuple[str, ...] = ()) -> Any:
    for values in islice(product(_PLACEHOLDERS, repeat=len(blanks)), _MOST):
        attempt = {**content, **dict(zip(blanks, values, strict=True))} if blanks else content
        found = parse({"channels": {name: attempt}})
        if wanted := _wanted(name, found):
            return _filled(name, content, parse, (*blanks, *wanted))
        if name in found.channels:
            return attempt
    return content


def _wanted(name: str, found: Config) -> tuple[str, ...]:
    """The options that the channel still needs a value for."""
    if name in found.unset:
        return (found.unset[name],)
    source = found.channels.get(name)
    return tuple(option for option, value in source.config.options.items() if is_reference(value)) if source else ()
