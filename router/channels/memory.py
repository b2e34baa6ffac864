"""Channel memory: what a channel's `send` returned for an incident, as far as it can be kept.

It is stored in the outbox entry, and the channel gets it back with its next notification about the incident. Whatever
the plugin returned, the message was sent, so nothing here raises.
"""

import json
import logging
from collections.abc import Iterator, Mapping

from router.channels.configured import ConfiguredChannel

log = logging.getLogger("ecs-alert-router.channels.memory")

LIMIT = 1024
"""Bytes of the memory as compact JSON in UTF-8: it is part of the subject's item, which every change writes."""


def memory_of(answer: object, channel: ConfiguredChannel) -> Mapping[str, str] | None:
    """Returns the memory to store for the channel, or None to keep what is stored. Logs what it cannot store."""
    if answer is None:
        return None
    try:
        memory = dict(answer) if isinstance(answer, Mapping) else None
    except Exception:  # noqa: BLE001 - a mapping of the plugin's own making
        memory = None
    problem = "it is not a mapping" if memory is None else next(_problems(memory, channel), "")
    if problem:
        log.warning("channel %s: what its plugin's send returned is not kept: %s", channel.config.name, problem)
        return None
    return memory


def _problems(memory: Mapping[object, object], channel: ConfiguredChannel) -> Iterator[str]:
    if not all(isinstance(text, str) for pair in memory.items() for text in pair):
        yield "its names and values must be texts"
        return
    size = len(json.dumps(memory, ensure_ascii=False, separators=(",", ":")).encode(errors="replace"))
    if size > LIMIT:
        yield f"it has {size} bytes, and at most {LIMIT} are kept"
    texts = [str(text) for pair in memory.items() for text in pair]
    for option in channel.secret_options_in(texts):
        yield f"it contains the secret option {option!r}"
