"""Configured channels: the plugin makes a channel when it is first needed, and again when its secrets have changed."""

import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from typing import Any, Self, TypeVar
from urllib.parse import urlsplit

from router.channels.plugins import Channel, ChannelFactory, declared_options
from router.channels.secrets import Secrets, is_reference
from router.errors import PermanentError
from router.model import ChannelConfig, short_hash
from router.text.redaction import known_parts, without_known

_LOOPBACK = re.compile(r"localhost|::1|127(\.[0-9]{1,3}){3}")
DEFAULT_BUDGET = (1, 1.0)
"""Messages, and the seconds within which an endpoint accepts that many, if the plugin does not say."""


class OptionMissing(PermanentError):
    """The plugin requires an option that is not set.

    Attributes:
        option: its name.
    """

    def __init__(self, option: str) -> None:
        self.option = option
        super().__init__(f"{option!r} is missing")


class ConfiguredChannel:
    """A channel of the configuration, made when it is first needed.

    Attributes:
        config: as configured; its options may be references to secrets.
        factory: what the plugin registered for the channel's kind.
    """

    def __init__(self, config: ChannelConfig, factory: ChannelFactory, secrets: Secrets) -> None:
        self.config = config
        self.factory = factory
        self.secrets = secrets
        self._opened: tuple[ChannelConfig, Channel] | None = None

    @classmethod
    def of(cls, config: ChannelConfig, channel: Channel) -> Self:
        """A configured channel for a channel that already exists."""
        configured = cls(config, lambda _: channel, Secrets(no_secret_client, no_secret_client, time.monotonic))
        configured.open()
        return configured

    @property
    def stateful(self) -> bool:
        """See `router.channels.plugins.Channel`."""
        return bool(self._plugin_attribute("stateful", default=False))

    @property
    def threads(self) -> bool:
        """Whether later messages about an incident edit the first one or reply to it."""
        threads: bool | str = self._plugin_attribute("threads", default=False)
        return bool(self.config.options.get(threads)) if isinstance(threads, str) else bool(threads)

    def _plugin_attribute(self, attribute: str, *, default: Any) -> Any:
        """An optional attribute of the channel; of its class, if the channel has not been made yet."""
        return getattr(self._opened[1] if self._opened else self.factory, attribute, default)

    @property
    def endpoint(self) -> str:
        """Identifies what the channel sends to, without showing a secret. Two channels may share a webhook."""
        named: tuple[str, ...] = getattr(self.factory, "endpoint_options", ())
        names = named or secret_names(self.factory) or tuple(self.config.options)
        values = (str(self.config.options.get(name, "")) for name in sorted(names))
        return short_hash(self.config.kind, *values) if self.config.options else self.config.name

    @property
    def budget(self) -> tuple[int, float]:
        """Messages, and the seconds within which the endpoint accepts that many; see `router.channels.plugins`."""
        budget: tuple[int, float] = self._plugin_attribute("budget", default=DEFAULT_BUDGET)
        return budget

    @property
    def has_secret_references(self) -> bool:
        """Whether a secret must be read to make the channel."""
        options = self.config.options.items()
        return any(is_reference(value) for name, option in options for _, value in _leaves(name, option))

    def open(self, *, refresh: bool = False) -> tuple[ChannelConfig, Channel]:
        """The channel, and its configuration with the secrets in it.

        Args:
            refresh: read the secrets even if they were read within the last five minutes.

        Raises:
            OptionMissing: an option that the plugin requires is not set.
            PermanentError: a secret cannot be read, or the plugin refuses the configuration.
            TransientError: a secret cannot be read at the moment.
        """
        options = with_secrets(self.config.options, partial(self.secrets.read, refresh=refresh))
        if self._opened is None or self._opened[0].options != options:
            config = replace(self.config, options=options)
            self._opened = config, self._make(config)
        return self._opened

    def reload_secrets(self) -> bool:
        """Reads the secrets again, and returns whether that made a new channel. Raises the errors of `open`."""
        before = self._opened
        return self.has_secret_references and self.open(refresh=True) is not before

    def without_secrets(self, text: str) -> str:
        """The text without the values of the channel's options; see `without_values`."""
        return without_values(text, (self._opened[0] if self._opened else self.config).options)

    def secret_options_in(self, texts: Iterable[str]) -> list[str]:
        """The names of the secret options whose value, or a part of whose URL, is in one of the texts.

        A plugin that does not say which of its options are secrets may be given one in any of them.
        """
        options = (self._opened[0] if self._opened else self.config).options
        names = secret_names(self._opened[1] if self._opened else self.factory) or tuple(options)
        leaves = [leaf for name in names for leaf in _leaves(name, options.get(name, ""))]
        text = "\n".join(texts)
        return [name for name, value in leaves if text != without_known(text, known_parts(str(value)))]

    def _make(self, config: ChannelConfig) -> Channel:
        def make() -> Channel:
            _refuse_plain_http(config.options)
            channel = self.factory(config)
            _check_budget(channel)
            return channel

        return call_plugin(make, config.options)


_Made = TypeVar("_Made")


def call_plugin(function: Callable[[], _Made], options: Mapping[str, Any]) -> _Made:
    """Calls a plugin's function with these options.

    Raises:
        OptionMissing: it raised KeyError.
        PermanentError: it raised anything else. Only the text of a ValueError is shown, without the options' values.
    """
    try:
        return function()
    except KeyError as error:
        raise OptionMissing(without_values(str(error.args[0]) if error.args else "", options)) from None
    except ValueError as error:
        problem = str(error)
    except Exception as error:  # noqa: BLE001 - a broken plugin only disables its own channel
        problem = f"its plugin raised {type(error).__name__}"
    raise PermanentError(without_values(problem, options))


def secret_names(factory: object) -> tuple[str, ...]:
    """The names of the options that a kind's factory says are secrets."""
    names: tuple[str, ...] = getattr(factory, "secret_options", ())
    return names or tuple(option.name for option in declared_options(factory) or () if option.secret)


def with_secrets(value: Any, read: Callable[[str], str]) -> Any:
    """The value with each reference to a secret replaced by the secret, also inside of tables and lists."""
    if is_reference(value):
        return read(value)
    if isinstance(value, Mapping):
        return {key: with_secrets(option, read) for key, option in value.items()}
    if isinstance(value, list):
        return [with_secrets(option, read) for option in value]
    return value


def _leaves(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    """The values inside of an option's tables and lists, each with the option's name."""
    if isinstance(value, Mapping | list):
        for member in value.values() if isinstance(value, Mapping) else value:
            yield from _leaves(name, member)
    else:
        yield name, value


def _refuse_plain_http(options: Mapping[str, Any]) -> None:
    """Refuses plain http for every kind of channel: a URL is a secret or receives secrets. Loopback is for tests.

    Raises:
        ValueError: an option is a plain-http URL of another host.
    """
    leaves = [leaf for name, option in options.items() for leaf in _leaves(name, option)]
    for name, value in leaves:
        if isinstance(value, str) and value.lower().startswith("http://"):
            host = urlsplit(value).hostname or ""
            if not _LOOPBACK.fullmatch(host):
                raise ValueError(f"{name} is plain http, which exposes it to everyone on the network path: use https")


def _check_budget(channel: Channel) -> None:
    """Raises ValueError if the plugin's `budget` is not of its form."""
    match getattr(channel, "budget", DEFAULT_BUDGET):
        case (int(limit), int() | float() as period) if limit > 0 and period > 0:
            return
    raise ValueError("its plugin's budget must be (messages, seconds), such as (4, 60.0)")


class NoSecretRead(PermanentError):
    """A secret is needed in a place where secrets may not be read."""


def no_secret_client() -> Any:
    """Stands in for a client where no secret may be read. Raises NoSecretRead."""
    raise NoSecretRead("no secret is read here")


def without_values(text: str, options: Mapping[str, Any]) -> str:
    """The text with each option's value, which may be a secret, replaced by the option's name: `[webhook_url]`.

    The parts of a URL are replaced as well, in whatever case or spelling the text has them.
    """
    leaves = [leaf for name, option in options.items() for leaf in _leaves(name, option)]
    for name, value in sorted(leaves, key=lambda leaf: len(str(leaf[1])), reverse=True):
        if not is_reference(value):
            text = without_known(text, known_parts(str(value)), f"[{name}]")
    return text
