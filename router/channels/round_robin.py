"""Takes turns between accounts and clusters, so that a flood in one does not crowd out the others.

Anyone who may run tasks in an account can cause any number of incidents there. So the lines of a bundled message, or
the messages that a pager accepts, are shared: in each turn every account gets one, and the clusters of an account take
turns, too.
"""

from collections.abc import Callable, Iterable
from itertools import chain, zip_longest
from typing import Any, TypeVar

T = TypeVar("T")


def round_robin(items: Iterable[T], rank: Callable[[T], Any], *levels: Callable[[T], str]) -> list[T]:
    """All the items, the lowest rank first within each turn.

    Args:
        rank: what each group's items, and the items of one turn, are sorted by.
        levels: the groups that take turns, the outermost first: such as the account, then the cluster within it.
    """
    if not levels:
        return sorted(items, key=rank)
    groups: dict[str, list[T]] = {}
    for item in items:
        groups.setdefault(levels[0](item), []).append(item)
    queues = (map(_Slot, round_robin(group, rank, *levels[1:])) for group in groups.values())
    turns = ([slot.item for slot in turn if slot] for turn in zip_longest(*queues))
    return list(chain.from_iterable(sorted(turn, key=rank) for turn in turns))


class _Slot:
    """Wraps an item, which may itself be None or false."""

    def __init__(self, item: Any) -> None:
        self.item = item
