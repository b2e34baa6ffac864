"""Reads fields of an event whose types are not known: AWS's events and whatever else arrives in their place."""

from collections.abc import Iterator, Mapping
from typing import Any


def mapping(fields: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    """The mapping under that key; empty if it is missing or of another type."""
    value = fields.get(key)
    return value if isinstance(value, Mapping) else {}


def mappings(fields: Mapping[str, Any], key: str) -> Iterator[Mapping[str, Any]]:
    """The mappings in the list under that key; none if it is missing or of another type."""
    value = fields.get(key)
    return (item for item in value if isinstance(item, Mapping)) if isinstance(value, list) else iter(())
