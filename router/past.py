"""What history knows of an alert's subject and cause: how often before, and whether a deployment began it."""

from collections.abc import Sequence

from router.history import AlertsWanted, History
from router.items import seconds
from router.model import Alert, Past
from router.table import Item

DAY = 86400.0
WEEK = 7 * DAY
READ = 500
"""Rows of the subject that are looked at, the newest: one or two pages of its index."""
_DEPLOYMENT = "deployment_in_progress"
_DEPLOYMENTS_ASKED = 3  # rows that are read whole, for which deployment they are of


def past(alert: Alert, history: History, now: float) -> Past:
    """Raises HistoryUnavailable."""
    subject = alert.subject
    wanted = AlertsWanted(alert.at - WEEK, alert.at, READ, subject=subject.name)
    rows = history.alerts(wanted, now)
    ours = [row for row in rows if _place(row) == (subject.account, subject.region, subject.cluster)]
    times = [seconds(row["at"]) for row in ours if row["cause"] == alert.cause and row["id"] != alert.id]
    return Past(
        day=sum(time >= alert.at - DAY for time in times),
        week=len(times),
        at_least=len(rows) >= READ,
        previous=max(times, default=None),
        deployed_at=_deployed_at(alert, ours, history, now),
    )


def _place(row: Item) -> tuple[str, str, str]:
    return row["account"], row["region"], row["cluster"]


def _deployed_at(alert: Alert, rows: Sequence[Item], history: History, now: float) -> float | None:
    """When the deployment began that started the task; of what is not about a task, the newest deployment."""
    begun = [row for row in rows if row["cause"] == _DEPLOYMENT]
    if not alert.task:
        return seconds(begun[0]["at"]) if begun else None
    if not alert.deployment:
        return None
    whole = (history.row(row["id"], now) for row in begun[:_DEPLOYMENTS_ASKED])
    return next((seconds(row["at"]) for row in whole if row and row["deployment"] == alert.deployment), None)
