"""Invokes the function of a deployed stage, for the commands that ask the function itself."""

import json
from collections.abc import Mapping
from typing import Any

import click

from router.aws import clients
from router.cli.deployed import Deployed
from router.model import OWN_SOURCE


def invoke(deployed: Deployed, detail_type: str, detail: Mapping[str, Any], expected: str) -> dict[str, Any]:
    """What the function answers.

    Args:
        detail_type: of the event; the function does not accept it from a queue.
        expected: a key of every answer; without it, the function is of a version that does not know the event.

    Raises:
        click.ClickException: the function failed, or did not answer this event.
        Exception: what the client raises.
    """
    event = {"source": OWN_SOURCE, "detail-type": detail_type, "detail": detail}
    result = clients.functions().invoke(
        FunctionName=deployed.resources["FunctionName"], Payload=json.dumps(event).encode()
    )
    answer = json.loads(result["Payload"].read() or b"null")
    if result.get("FunctionError"):
        reason = answer.get("errorMessage", "") if isinstance(answer, Mapping) else ""
        raise click.ClickException(f"the function failed: {' '.join(str(reason).split()) or result['FunctionError']}")
    if not isinstance(answer, dict) or not {expected, "error"} & answer.keys():
        raise click.ClickException(f"the function does not know this command: deploy this version ({deployed.options})")
    return answer
