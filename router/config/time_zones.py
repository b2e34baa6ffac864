"""Time zones by name."""

from datetime import UTC, tzinfo


def zone(name: str) -> tzinfo:
    """A time zone by its IANA name. Raises ValueError, OSError or KeyError, as `zoneinfo.ZoneInfo` does, if unknown."""
    if name == "UTC":  # the shipped setting; importing zoneinfo adds 3 ms to a cold start
        return UTC
    from zoneinfo import ZoneInfo  # noqa: PLC0415

    return ZoneInfo(name)
