"""Reads fields of an event whose types are not known: AWS's events and whatever else arrives in their place."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from router.text.characters import clean, single_line

NAME_LIMIT = 255
"""ECS's own limit for services, clusters and families; CloudWatch's for alarms, metrics and dimensions."""
TEXT_LIMIT = 4096
"""Characters. ECS cuts its reasons at 1024; those of alarms are longer."""


def text(fields: Mapping[str, Any], key: str, limit: int = TEXT_LIMIT) -> str:
    """The text under that key, clean and cut at `limit` characters; "" if it is missing or of another type."""
    value = fields.get(key)
    return clean(value).strip()[:limit] if isinstance(value, str) else ""


def line(fields: Mapping[str, Any], key: str, limit: int = NAME_LIMIT) -> str:
    """The same on one line, with single spaces."""
    value = fields.get(key)
    return single_line(value)[:limit] if isinstance(value, str) else ""


def mapping(fields: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    """The mapping under that key; empty if it is missing or of another type."""
    value = fields.get(key)
    return value if isinstance(value, Mapping) else {}


def mappings(fields: Mapping[str, Any], key: str) -> Iterator[Mapping[str, Any]]:
    """The mappings in the list under that key; none if it is missing or of another type."""
    value = fields.get(key)
    return (item for item in value if isinstance(item, Mapping)) if isinstance(value, list) else iter(())


def moment(stated: str) -> float | None:
    """ISO 8601 as seconds since 1970; UTC if it has no zone. None for 0001-01-01, Go's "never"."""
    try:
        at = datetime.fromisoformat(stated)
        seconds = (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None
    return seconds if seconds > 0 else None
