"""Takes turns between accounts and clusters, so that a flood in one does not crowd out the others.

Whoever may run tasks in an account can make any number of incidents there. What is scarce, such as the lines of a
bundled message or the messages that a pager accepts, is shared: in each turn every account gets one, and within the
account every cluster in its turn.
"""

from collections.abc import Callable, Iterable
from itertools import chain, zip_longest
from typing import Any, TypeVar

T = TypeVar("T")


def round_robin(items: Iterable[T], rank: Callable[[T], Any], *levels: Callable[[T], str]) -> list[T]:
    """All the items, the lowest rank first within each turn.

    Args:
        rank: what each group's items, and the items of one turn, are sorted by.
        levels: what shares: first what is shared between, such as the account; then within it, such as the cluster.
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
    """An item that may itself be None or false."""

    def __init__(self, item: Any) -> None:
        self.item = item
