"""The cost of a million events by AWS's list prices in us-east-1. For another region, pass other `Prices`.

Lambda:   GB-seconds × memory × duration, and a price per request (arm64)
DynamoDB: on demand, per million write and read request units; a transaction writes each item twice
SQS:      per million requests; with batches of ten a message costs three tenths
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Prices:
    """US dollars, list prices of us-east-1 (aws.amazon.com/lambda/pricing and /dynamodb/pricing/on-demand, 2025)."""

    gb_second_arm64: float = 0.0000133334
    gb_second_x86: float = 0.0000166667
    million_invocations: float = 0.20
    million_write_units: float = 0.625
    million_read_units: float = 0.125
    million_sqs_requests: float = 0.40


@dataclass(frozen=True, slots=True)
class Use:
    """The resources that one event uses on average.

    Attributes:
        seconds: billed for the function at `memory` MB.
        writes, reads: request units of DynamoDB.
        events: in one invocation.
    """

    seconds: float
    memory: int
    writes: float
    reads: float
    events: float = 1.0
    sqs_requests: float = 0.0
    x86: bool = False


def million(use: Use, prices: Prices | None = None) -> dict[str, float]:
    """US dollars for a million events, by service and in total."""
    price = prices or Prices()
    gb_second = price.gb_second_x86 if use.x86 else price.gb_second_arm64
    parts = {
        "lambda": 1e6 * use.seconds * use.memory / 1024 * gb_second + price.million_invocations / use.events,
        "dynamodb": use.writes * price.million_write_units + use.reads * price.million_read_units,
        "sqs": use.sqs_requests * price.million_sqs_requests,
    }
    return {**parts, "total": sum(parts.values())}


VCPU_MB = 1769  # Lambda guide, "Configure memory": with this memory, a function has one vCPU


def billed(cpu: float, waiting: float, memory: int) -> float:
    """Billed seconds for `cpu` seconds of one vCPU and `waiting` seconds, at the CPU share of a memory size."""
    return waiting + cpu / min(1.0, memory / VCPU_MB)
