"""Where history is read from: which table, by which credentials, and what the reading costs. Nothing here writes."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import wraps
from typing import Any

import click

from router.aws import clients
from router.errors import HistoryError
from router.history.store import AlertQuery, History
from router.history.table import DynamoTable, Item

_AT_ONCE = 10  # requests; as many connections as a client keeps
_METERED = {"Query", "BatchGetItem"}

as_json = click.option("--json", "as_json", is_flag=True, help="JSON Lines instead of a table; times in UTC.")


def reads_history(command: Callable[..., None]) -> Callable[..., None]:
    """Adds --table, --stage and --verbose, and passes the history that they name as `history`."""

    @click.option(
        "--table", envvar="HISTORY_TABLE", help="The table's name; else that of --stage. [env: HISTORY_TABLE]"
    )
    @click.option(
        "--stage", default="dev", show_default=True, help="Take the table of the stack deployed to this stage."
    )
    @click.option("--verbose", "-v", is_flag=True, help="Say what the reading cost.")
    @wraps(command)
    def with_history(*arguments: Any, table: str | None, stage: str, verbose: bool, **options: Any) -> None:
        began = time.monotonic()
        source, meter = find_table(table, stage)
        try:
            # Nothing is written through it, so it keeps nothing: no retention.
            command(*arguments, history=History(source, retention=0.0), **options)
        finally:
            if verbose:
                click.echo(f"{meter}, {time.monotonic() - began:.1f} s", err=True)

    return with_history


def find_table(table: str | None, stage: str) -> "tuple[DynamoTable, Meter]":
    """The table of that name, else the one that the stage's stack gives out.

    Raises HistoryError where there is no region, no credentials or no stack.
    """
    try:
        name = table or clients.stack_outputs(stage)["TableName"]
        client = clients.dynamodb()
    except Exception as error:
        raise HistoryError(
            f"the history of stage {stage} is not found ({error}): name its --stage or --table"
        ) from error
    return DynamoTable(client, name), Meter(client)


class Meter:
    """Adds up what DynamoDB says that a client's reads have cost."""

    def __init__(self, client: Any) -> None:
        """Read units are asked for with each request from now on; that costs nothing."""
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
    """The alerts asked for, newest first; the shards of a day are asked at the same time."""
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        yield from history.each_alert(wanted, now, pool.map)
