"""Time zones by name."""

from datetime import UTC, tzinfo


def zone(name: str) -> tzinfo:
    """A time zone by its IANA name. Raises what `zoneinfo.ZoneInfo` raises where there is none: ValueError, OSError,
    KeyError.
    """
    if name == "UTC":  # as shipped: to import zoneinfo takes 3 ms of a cold start
        return UTC
    from zoneinfo import ZoneInfo  # noqa: PLC0415

    return ZoneInfo(name)
