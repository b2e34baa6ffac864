"""The configuration of a replay: every channel takes part under its own name, whether it is set or not."""

import os
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from router.channels.configured import ConfiguredChannel
from router.channels.plugins import Plugins
from router.cli.placeholders import filled
from router.config import parse as config
from router.config.parse import Config
from router.model import short_hash


class _Unset(ConfiguredChannel):
    """A channel with placeholders for what is unset.

    Two channels share an endpoint, and so its budget, where the file has the same text for both: `env:SLACK_URL`.
    """

    written = ""

    @property
    def endpoint(self) -> str:
        return short_hash(self.config.kind, self.written)


def settings_of(path: Path, loaded: Plugins) -> tuple[Config, tuple[str, ...]]:
    """The file with a stand-in for each channel that is unset, and what is wrong with it.

    A channel that cannot be used takes no part: in reality each of its sends would fail.

    Raises:
        ConfigError: the file cannot be read.
    """
    parse = partial(config.parse, plugins=loaded, environ=os.environ)
    table = config.read(path)
    found, complete = parse(table), parse(filled(table, parse))
    sources = {
        name: found.channels.get(name) or _unset(source, table["channels"][name])
        for name, source in complete.channels.items()
    }
    lacking = (
        f"channels.{name}: takes no part: {option} is unset, and its plugin accepts no placeholder"
        for name, option in complete.unset.items()
    )
    problems = (*complete.problems, *lacking)
    return complete._replace(channels=sources, disabled={}), problems


def _unset(source: ConfiguredChannel, content: Mapping[str, Any]) -> ConfiguredChannel:
    stand_in = _Unset(source.config, source.factory, source.secrets)
    named = getattr(source.factory, "secret_options", ()) or tuple(source.config.options)
    stand_in.written = "\x1f".join(str(content.get(name, "")) for name in sorted(named))
    return stand_in
