"""Adds the owner of a service to its messages."""

from collections.abc import Mapping

from router import Alert, hookimpl

_OWNERS: dict[str, str] = {}


@hookimpl
def configure_plugin(options: Mapping[str, str]) -> None:
    _OWNERS.update(options)


@hookimpl
def enrich_alert(alert: Alert) -> Mapping[str, str] | None:
    owner = _OWNERS.get(alert.subject.name)
    return {"Owner": owner} if owner else None
