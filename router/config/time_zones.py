"""Time zones by name."""

from datetime import UTC, tzinfo
from zoneinfo import ZoneInfo


def zone(name: str) -> tzinfo:
    """A time zone by its IANA name. UTC, the default, works on machines without a time zone database.

    Raises:
        ValueError, OSError, KeyError: there is no such time zone; as `zoneinfo.ZoneInfo` raises them.
    """
    return UTC if name == "UTC" else ZoneInfo(name)
