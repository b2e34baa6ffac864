"""The history table in an emulator of DynamoDB, with the keys and indexes that the router declares."""

from typing import Any

from router.history.table import INDEXES, TABLE, Index


def create_history_table(client: Any, name: str) -> None:
    """Args: client: a low-level boto3 client."""
    types = {n: t for i in (TABLE, *INDEXES.values()) for n, t in ((i.partition, "S"), (i.sort, i.sort_type))}
    client.create_table(
        TableName=name,
        BillingMode="PAY_PER_REQUEST",
        KeySchema=_keys(TABLE),
        AttributeDefinitions=[{"AttributeName": name, "AttributeType": kind} for name, kind in types.items()],
        GlobalSecondaryIndexes=[
            {"IndexName": name, "KeySchema": _keys(index), "Projection": _projection(index)}
            for name, index in INDEXES.items()
        ],
    )


def _keys(index: Index) -> list[dict[str, str]]:
    return [
        {"AttributeName": index.partition, "KeyType": "HASH"},
        {"AttributeName": index.sort, "KeyType": "RANGE"},
    ]


def _projection(index: Index) -> dict[str, Any]:
    if index.projects is None:
        return {"ProjectionType": "ALL"}
    return {"ProjectionType": "INCLUDE", "NonKeyAttributes": list(index.projects)}
