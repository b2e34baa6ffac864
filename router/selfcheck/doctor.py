"""Checks that only the function itself can make, for `ecs-alert-router doctor`.

The command invokes the function with the event `Router Check`. Nothing is sent: each channel's secrets are read, a
message is rendered, and a connection to each of its addresses is opened and closed again. Such an event is never
accepted from a queue.
"""

import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from router.channels.configured import ConfiguredChannel
from router.context import Dependencies
from router.deadline import Deadline, applies
from router.errors import ChannelError, RouterError
from router.history.items import iso
from router.model import Incident
from router.selfcheck.probe import probe_incident, rendered
from router.selfcheck.release import digests

_ROOT = Path(__file__).parents[2]
_TIME_TO_CONNECT = 3.0  # seconds
_TIME_TO_CHECK = 15.0  # seconds for all channels, side by side


def check(deps: Dependencies, deadline: Deadline) -> dict[str, Any]:
    """The state of the function's code, channels and subscriptions, as JSON."""
    now = deps.runtime.clock()
    config = deps.config
    until = Deadline.after(min(_TIME_TO_CHECK, deadline.left() / 2), deadline.clock)
    problems, hosts = _channels(config.channels, probe_incident(now), until)
    answer: dict[str, Any] = {
        "release": digests(_ROOT, _ROOT / deps.configuration),
        "configuration": deps.configuration,
        "problems": list(config.problems),
        "unset": dict(config.unset),
        "channels": problems | dict(config.disabled),
        "hosts": hosts,
        "failing": {},
        "unconfirmed": None,
    }
    with suppress(RouterError):
        failures = deps.runtime.history.channel_states(now).failures
        answer["failing"] = {
            name: {"since": iso(failure.since), "response": failure.response}
            for name, failure in failures.items()
            if failure.recovered_at is None and name in config.channels
        }
    with suppress(Exception):  # the role may not list them
        answer["unconfirmed"] = [*deps.unconfirmed_subscriptions()]
    return answer


def _channels(
    channels: Mapping[str, ConfiguredChannel], incident: Incident, deadline: Deadline
) -> tuple[dict[str, str], dict[str, list[str]]]:
    """Why each channel could not send now, "" if it could; and the hosts of each that answered."""
    problems = dict.fromkeys(channels, "it was not checked in time")
    hosts: dict[str, list[str]] = {name: [] for name in channels}

    def check_one(name: str, source: ConfiguredChannel) -> None:
        problems[name] = _problem(source, incident, deadline, hosts[name])

    threads = [threading.Thread(target=check_one, args=pair, daemon=True) for pair in channels.items()]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(deadline.left())
    return dict(problems), hosts


def _problem(source: ConfiguredChannel, incident: Incident, deadline: Deadline, answered: list[str]) -> str:
    with applies(deadline):
        try:
            rendered(source, incident)
            wanted = dict.fromkeys(_hosts(source))
        except ChannelError as error:
            return source.without_secrets(str(error))
        except Exception as error:  # noqa: BLE001 - whatever a plugin raises may hold its secrets
            return f"its plugin raised {type(error).__name__}"
    for host, port in wanted:
        try:
            socket.create_connection((host, port), _TIME_TO_CONNECT).close()
        except OSError as error:
            return f"{host} cannot be reached: {error.strerror or error}"
        answered.append(host)
    return ""


def _hosts(source: ConfiguredChannel) -> Iterator[tuple[str, int]]:
    """The hosts and ports of the URLs that the channel has, in its options or as its plugin's own."""
    config, channel = source.open()
    for value in (*config.options.values(), *getattr(channel, "__dict__", {}).values()):
        if isinstance(value, str) and value.startswith(("https://", "http://")):
            url = urlsplit(value)
            if url.hostname:
                yield url.hostname, url.port or (443 if url.scheme == "https" else 80)
