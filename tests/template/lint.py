"""What cfn-lint knows of CloudFormation. It is imported late: every worker collects these tests, and one runs them."""

# ruff: noqa: PLC0415  see above

import json
from pathlib import Path
from typing import Any

_FORWARDER = Path(__file__).resolve().parents[2] / "deploy" / "forwarder.yml"


def schema_of(kind: str) -> dict[str, Any]:
    """CloudFormation's own schema of a type of resources."""
    from cfnlint.schema import PROVIDER_SCHEMA_MANAGER

    schema: dict[str, Any] = PROVIDER_SCHEMA_MANAGER.get_resource_schema("us-east-1", kind).schema
    return schema


def forwarder() -> dict[str, Any]:
    """deploy/forwarder.yml, the stack for other accounts."""
    import cfnlint.decode

    template, problems = cfnlint.decode.decode(str(_FORWARDER))
    assert problems == []
    plain: dict[str, Any] = json.loads(json.dumps(template))
    return plain
