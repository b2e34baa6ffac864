"""The configuration of a replay: every channel takes part under its own name, even if its options are not set."""

import os
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from router.channels.configured import ConfiguredChannel
from router.channels.plugins import Plugins
from router.cli.placeholders import filled
from router.config.parse import parse, read
from router.config.settings import Config
from router.model import short_hash


class _Unset(ConfiguredChannel):
    """A channel with placeholders for its unset options.

    Two channels share an endpoint, and so its rate limit, if the file has the same text for both: `env:SLACK_URL`.
    """

    written = ""

    @property
    def endpoint(self) -> str:
        return short_hash(self.config.kind, self.written)


def settings_of(path: Path, loaded: Plugins) -> tuple[Config, tuple[str, ...]]:
    """The configuration, with a stand-in for each unset channel, and its problems.

    A disabled channel takes no part: each of its sends would fail.

    Raises:
        ConfigError: the file cannot be read.
    """
    parse_table = partial(parse, plugins=loaded, environ=os.environ)
    table = read(path)
    config, complete = parse_table(table), parse_table(filled(table, parse_table))
    channels = {
        name: config.channels.get(name) or _unset(channel, table["channels"][name.partition("#")[0]])
        for name, channel in complete.channels.items()
    }
    missing = (
        f"channels.{name}: takes no part: {option} is unset, and its plugin accepts no placeholder"
        for name, option in complete.unset.items()
    )
    return complete._replace(channels=channels, disabled={}), (*complete.problems, *missing)


def _unset(channel: ConfiguredChannel, content: Mapping[str, Any]) -> ConfiguredChannel:
    stand_in = _Unset(channel.config, channel.factory, channel.secrets)
    named = getattr(channel.factory, "endpoint_options", ()) or getattr(channel.factory, "secret_options", ())
    _, _, place = channel.config.name.partition("#")  # as a route names it
    values = (str(content.get(option, "")) for option in sorted(named or channel.config.options))
    stand_in.written = "\x1f".join((*values, place))
    return stand_in
