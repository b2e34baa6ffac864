"""Finds the history table and measures what reading it costs. Nothing here writes."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import wraps
from typing import Any

import click

from router.aws import clients
from router.cli.output import echo
from router.errors import HistoryError
from router.history.store import AlertQuery, History
from router.history.table import DynamoTable, Item

_PARALLEL = 10  # requests; a client keeps that many connections
_METERED = {"Query", "BatchGetItem"}

as_json = click.option("--json", "as_json", is_flag=True, help="JSON Lines instead of a table; times in UTC.")


def reads_history(command: Callable[..., None]) -> Callable[..., None]:
    """Adds --table, --stage and --verbose, and passes the history of that table as `history`."""

    @click.option("--table", envvar="HISTORY_TABLE", help="The table's name, instead of --stage. [env: HISTORY_TABLE]")
    @click.option(
        "--stage", default="dev", show_default=True, help="Use the table of the stack deployed to this stage."
    )
    @click.option("--verbose", "-v", is_flag=True, help="Print the read units and requests used.")
    @wraps(command)
    def with_history(*arguments: Any, table: str | None, stage: str, verbose: bool, **options: Any) -> None:
        began = time.monotonic()
        source, meter = find_table(table, stage)
        try:
            # Retention only matters for writes, and these commands write nothing.
            command(*arguments, history=History(source, retention=0.0), **options)
        finally:
            if verbose:
                echo(f"{meter}, {time.monotonic() - began:.1f} s", err=True)

    return with_history


def find_table(table: str | None, stage: str) -> "tuple[DynamoTable, Meter]":
    """The table of that name, or else the one in the outputs of the stage's stack, with a meter for its reads.

    Raises HistoryError if there is no region, no credentials or no such stack.
    """
    try:
        name = table or clients.stack_outputs(stage)["TableName"]
        client = clients.dynamodb()
    except Exception as error:
        raise HistoryError(f"cannot find the history of stage {stage} ({error}): pass --stage or --table") from error
    return DynamoTable(client, name), Meter(client)


class Meter:
    """Adds up the read units that DynamoDB reports for a client's reads."""

    def __init__(self, client: Any) -> None:
        """From now on the client asks for the consumed capacity with each read, which is free."""
        self.costs: list[float] = []
        client.meta.events.register("provide-client-params.dynamodb", self._ask)
        client.meta.events.register("after-call.dynamodb", self._note)

    def __str__(self) -> str:
        return f"{sum(self.costs):g} read units in {len(self.costs)} requests"

    @staticmethod
    def _ask(params: dict[str, Any], model: Any, **_: Any) -> dict[str, Any] | None:
        return {**params, "ReturnConsumedCapacity": "TOTAL"} if model.name in _METERED else None

    def _note(self, parsed: dict[str, Any], model: Any, **_: Any) -> None:
        if model.name in _METERED:
            consumed = parsed.get("ConsumedCapacity") or []
            parts = consumed if isinstance(consumed, list) else [consumed]
            self.costs.append(sum(part.get("CapacityUnits", 0.0) for part in parts))


def each_alert(history: History, wanted: AlertQuery, now: float) -> Iterator[Item]:
    """Yields the alerts that match the query, newest first. The shards of a day are read in parallel."""
    with ThreadPoolExecutor(_PARALLEL) as pool:
        yield from history.each_alert(wanted, now, pool.map)
