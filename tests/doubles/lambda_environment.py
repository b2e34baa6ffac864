"""The environment variables of a function that starts where nothing that it calls can be reached."""

from collections.abc import Mapping

UNREACHABLE: Mapping[str, str] = {
    "AWS_REGION": "us-east-1",
    "AWS_ENDPOINT_URL_DYNAMODB": "http://127.0.0.1:9",  # nothing listens there, and nothing has to
    "AWS_ACCESS_KEY_ID": "x",
    "AWS_SECRET_ACCESS_KEY": "x",
    "HISTORY_TABLE": "history",
    "DUE_QUEUE_URL": "https://sqs.invalid/due",
    "DLQ_URL": "https://sqs.invalid/dead",
}
