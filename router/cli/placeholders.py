"""Placeholders for the options that a channel requires and that are unset, or secrets that are not read."""

from collections.abc import Callable, Mapping
from itertools import islice, product
from typing import Any

from router.channels.secrets import is_reference
from router.config.settings import Config

_PLACEHOLDERS = (
    "https://placeholder.invalid/services/T00000000/B00000000/placeholder",
    "https://placeholder.invalid/workflows/placeholder/triggers/manual/paths/invoke?sig=placeholder",
    "arn:aws:sns:us-east-1:000000000000:placeholder",
    "0" * 32,
    "arn:aws:events:us-east-1:000000000000:event-bus/placeholder",
    "placeholder@example.invalid",
    "whsec_cGxhY2Vob2xkZXItcGxhY2Vob2xkZXItcGxhY2Vob2xkZXI=",
    "1",
)
_MAX_TRIES = 1000  # combinations of placeholders

Parse = Callable[[Mapping[str, Any]], Config]


def filled(table: Mapping[str, Any], parse: Parse) -> dict[str, Any]:
    """The table of alert-router.toml, with a placeholder for each required option that is unset or secret.

    A channel whose plugin accepts none of the placeholders is left unchanged.
    """
    channels = table.get("channels")
    if not isinstance(channels, Mapping):
        return dict(table)
    return {**table, "channels": {name: _filled(name, content, parse) for name, content in channels.items()}}


def _filled(name: str, content: Any, parse: Parse, blanks: tuple[str, ...] = ()) -> Any:
    for values in islice(product(_PLACEHOLDERS, repeat=len(blanks)), _MAX_TRIES):
        attempt = {**content, **dict(zip(blanks, values, strict=True))} if blanks else content
        config = parse({"channels": {name: attempt}})
        if missing := _missing(name, config):
            return _filled(name, content, parse, (*blanks, *missing))
        if name in config.channels:
            return attempt
    return content


def _missing(name: str, config: Config) -> tuple[str, ...]:
    """The options that the channel still needs a value for."""
    if name in config.unset:
        return (config.unset[name],)
    channel = config.channels.get(name)
    return tuple(option for option, value in channel.config.options.items() if is_reference(value)) if channel else ()
