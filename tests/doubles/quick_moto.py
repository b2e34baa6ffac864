"""moto without work that no test looks at. With it, tests of the command line would take twice as long.

Before each transaction it copies every item, in case the transaction fails. The router's transactions only put items,
and a put replaces an item; so to undo it, moto needs no more than the dicts that hold the items.

For each attribute of an item in an answer it tries some sixty names under which a Python object might have it; with
each answer it looks for the methods of its own class, and draws 52 characters by lot. And it prepares for calls with
`requests`: all of ours go through botocore.
"""

import copy
import functools
from typing import Any

from moto.core import models, responses
from moto.core.serialize import ResponseSerializer
from moto.core.utils import method_names_from_class
from moto.dynamodb.models.table import Table

_serialize_structure = ResponseSerializer._serialize_type_structure  # noqa: SLF001 - no public way for any of this


def _with_the_same_items(table: Any, _memo: dict[int, Any]) -> Any:
    copied = copy.copy(table)
    copied.items = copy.copy(table.items)
    for key, of_partition in table.items.items():
        copied.items[key] = copy.copy(of_partition)
    return copied


def _serialize_attribute(self: Any, serialized: Any, value: Any, shape: Any, key: str) -> None:
    if shape.name != "AttributeValue" or not isinstance(value, dict) or not key:
        _serialize_structure(self, serialized, value, shape, key)
        return
    attribute = self.MAP_TYPE()
    for type_name, content in value.items():
        self._serialize(attribute, content, shape.members[type_name], type_name)
    self._default_serialize(serialized, attribute, shape, key)


def _same_request_id(headers: dict[str, Any] | None = None) -> str:
    request_id = "A" * 52
    if headers is not None:
        headers["x-amzn-requestid"] = request_id
    return request_id


@functools.cache  # once is enough
def hurry() -> None:
    """From now on, in this process."""
    models.RESPONSES_METHODS.clear()
    for owner, name, quicker in (
        (Table, "__deepcopy__", _with_the_same_items),
        (ResponseSerializer, "_serialize_type_structure", _serialize_attribute),
        (responses, "method_names_from_class", functools.cache(method_names_from_class)),
        (responses, "gen_amzn_requestid_long", _same_request_id),
    ):
        setattr(owner, name, quicker)
