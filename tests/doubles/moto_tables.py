"""moto's DynamoDB, without the copy of every item that it makes before each transaction, in case the transaction fails.

It is the half of what the tests of the command line would take. The router's transactions only put items, and a put
replaces an item; so to undo it, moto needs no more than the dicts that hold the items.
"""

import copy
from typing import Any

from moto.dynamodb.models.table import Table


def _with_the_same_items(table: Any, _memo: dict[int, Any]) -> Any:
    copied = copy.copy(table)
    copied.items = copy.copy(table.items)
    for key, of_partition in table.items.items():
        copied.items[key] = copy.copy(of_partition)
    return copied


def copy_no_items() -> None:
    """From now on, in this process."""
    Table.__deepcopy__ = _with_the_same_items  # type: ignore[attr-defined]  # it has none of its own
