"""`ecs-alert-router history`: alerts, decisions and deliveries. Read-only credentials are enough.

Each command has its own file; `source.py` finds the table, `tables.py` formats rows.
"""

import click

from router.cli.groups import CommandGroup
from router.cli.history.export import export_command
from router.cli.history.forget import forget_command
from router.cli.history.listing import list_command, open_command
from router.cli.history.report import report_command
from router.cli.history.show import show_command, show_incident_of
from router.cli.history.source import reads_history
from router.cli.history.tables import LIST_COLUMNS, OPEN_COLUMNS, print_table, show_rows, table_of
from router.cli.history.timeline import timeline_command
from router.cli.history.top import top_command
from router.cli.history.why import why_command

__all__ = [
    "LIST_COLUMNS",
    "OPEN_COLUMNS",
    "history_group",
    "print_table",
    "reads_history",
    "show_incident_of",
    "show_rows",
    "table_of",
]


@click.group("history", cls=CommandGroup)
def history_group() -> None:
    """Query the history: every alert, incident and delivery."""


for command in (
    list_command,
    open_command,
    show_command,
    timeline_command,
    top_command,
    why_command,
    export_command,
    report_command,
    forget_command,
):
    history_group.add_command(command)
