"""Configured channels: each is made by its plugin when it is first needed, and anew when its secrets have changed."""

import re
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Self
from urllib.parse import urlsplit

from router.channels.plugins import Channel, ChannelFactory
from router.channels.secrets import Secrets, is_reference
from router.errors import PermanentError
from router.model import ChannelConfig, short_hash

_LOOPBACK = re.compile(r"localhost|::1|127(\.[0-9]{1,3}){3}")
DEFAULT_BUDGET = (1, 1.0)
_SECRET_LENGTH = 8  # characters; shorter options (`#ops`, `eu`) are words, not secrets


class OptionMissing(PermanentError):
    """The plugin looked an option up that is not there."""

    def __init__(self, option: str) -> None:
        self.option = option
        super().__init__(f"{option!r} is missing")


class ConfiguredChannel:
    """Where a channel comes from.

    Attributes:
        config: as configured; its options may hold references to secrets.
    """

    def __init__(self, config: ChannelConfig, factory: ChannelFactory, secrets: Secrets) -> None:
        self.config = config
        self.factory = factory
        self.secrets = secrets
        self._made: tuple[ChannelConfig, Channel] | None = None

    @classmethod
    def of(cls, config: ChannelConfig, channel: Channel) -> Self:
        """A channel that is made already."""
        source = cls(config, lambda _: channel, Secrets(no_secret_client, no_secret_client, time.monotonic))
        source.open()
        return source

    @property
    def stateful(self) -> bool:
        """See `router.channels.plugins.Channel`; the class says it where the channel cannot be made yet."""
        return bool(self._plugin_attribute("stateful", default=False))

    def _plugin_attribute(self, attribute: str, *, default: Any) -> Any:
        """What the plugin says of itself; its class, where the channel is not made yet."""
        return getattr(self._made[1] if self._made else self.factory, attribute, default)

    @property
    def endpoint(self) -> str:
        """Names what the channel speaks to: the same for two channels that share a webhook; shows no secret."""
        named: tuple[str, ...] = getattr(self.factory, "secret_options", ()) or tuple(self.config.options)
        values = (str(self.config.options.get(name, "")) for name in sorted(named))
        return short_hash(self.config.kind, *values) if self.config.options else self.config.name

    @property
    def budget(self) -> tuple[int, float]:
        """Messages, and seconds within which the endpoint takes so many; see `router.channels.plugins.Channel`."""
        budget: tuple[int, float] = self._plugin_attribute("budget", default=DEFAULT_BUDGET)
        return budget

    @property
    def literal_secrets(self) -> tuple[str, ...]:
        """The options that the plugin calls secret, and that are no references."""
        options = self.config.options
        named: tuple[str, ...] = getattr(self.factory, "secret_options", ())
        return tuple(name for name in named if name in options and not is_reference(options[name]))

    @property
    def has_secret_references(self) -> bool:
        """Whether the channel can only be made by reading a secret."""
        return any(is_reference(value) for value in self.config.options.values())

    def open(self, *, refresh: bool = False) -> tuple[ChannelConfig, Channel]:
        """The channel, and its configuration with the secrets in it.

        Args:
            anew: read the secrets even if they were read lately.

        Raises:
            PermanentError: a secret cannot be read, or the plugin takes no channel so configured.
            TransientError: a secret cannot be read now.
        """
        options = {
            name: self.secrets.read(value, refresh=refresh) if is_reference(value) else value
            for name, value in self.config.options.items()
        }
        if self._made is None or self._made[0].options != options:
            config = replace(self.config, options=options)
            self._made = config, self._make(config)
        return self._made

    def reload_secrets(self) -> bool:
        """Reads the secrets once more; whether there is another channel now. Raises as `open`."""
        before = self._made
        return self.has_secret_references and self.open(refresh=True) is not before

    def without_secrets(self, text: str) -> str:
        """The text without the values of the channel's options, some of which are secrets."""
        return without_values(text, (self._made[0] if self._made else self.config).options)

    def _make(self, config: ChannelConfig) -> Channel:
        """A plugin says that it requires an option by looking it up; that it is wrong, by raising ValueError."""
        try:
            _refuse_plain_http(config.options)
            return _with_sound_budget(self.factory(config))
        except KeyError as error:
            raise OptionMissing(without_values(str(error.args[0]) if error.args else "", config.options)) from None
        except ValueError as error:
            problem = str(error)
        except Exception as error:  # noqa: BLE001 - a plugin that breaks disables its channel alone
            problem = f"its plugin raised {type(error).__name__}"
        raise PermanentError(without_values(problem, config.options))


def _refuse_plain_http(options: Mapping[str, Any]) -> None:
    """Whatever the plugin: an address is a secret, or gets secrets. Raises ValueError."""
    for name, value in options.items():
        if isinstance(value, str) and value.lower().startswith("http://"):
            host = urlsplit(value).hostname or ""
            if not _LOOPBACK.fullmatch(host):
                raise ValueError(f"{name} is plain http, which shows what is in it to everybody on the way: use https")


def _with_sound_budget(channel: Channel) -> Channel:
    """Raises ValueError."""
    match getattr(channel, "budget", DEFAULT_BUDGET):
        case (int(limit), int() | float() as period) if limit > 0 and period > 0:
            return channel
    raise ValueError("its plugin's budget must be (messages, seconds), such as (4, 60.0)")


def no_secret_client() -> Any:
    """In place of a client, where no secret is to be read."""
    raise PermanentError("no secret is read here")


def without_values(text: str, options: Mapping[str, Any]) -> str:
    """The text without the values of options, some of which are secrets: it names the option instead."""
    for name, value in sorted(options.items(), key=lambda each: len(str(each[1])), reverse=True):
        if len(str(value)) >= _SECRET_LENGTH and not is_reference(value):
            text = text.replace(str(value), f"[{name}]")
    return text
