"""Rejects an invalid alert-router.toml before anything is deployed.

deploy/prepare.js runs this with the function's settings. It grants the permissions that the `[enrich]` settings on
stdout need. This script needs no installed package: the layer that has just been built has everything it imports.
"""

# ruff: noqa: INP001  a script that is run by its path, not a package

import importlib.util
import json
import os
import sys
from pathlib import Path
from unittest.mock import MagicMock

ROOT = Path(__file__).resolve().parent.parent
OF_THE_RUNTIME = (
    "boto3",
    "botocore",
    "botocore.config",
    "botocore.docs",
    "botocore.exceptions",
    "botocore.handlers",
    "botocore.httpsession",
    "botocore.loaders",
    "botocore.session",
)


def main() -> int:
    """Print every problem, one per line; return the exit code."""
    sys.dont_write_bytecode = True  # the layer is shipped as it was built
    sys.path[:0] = [str(ROOT), str(ROOT / ".build" / "layer" / "python")]
    if importlib.util.find_spec("boto3") is None:
        # AWS's runtime has boto3, the deploying machine may not. Here, channels only create a client and never use it.
        sys.modules.update(dict.fromkeys(OF_THE_RUNTIME, MagicMock()))
    problems, warnings, enrich = _findings(Path(os.environ["ALERT_ROUTER_CONFIG"]))
    sys.stderr.writelines(f"{problem}\n" for problem in problems)
    sys.stderr.writelines(f"warning: {warning}\n" for warning in warnings)
    json.dump(enrich, sys.stdout)
    return 1 if problems else 0


def _findings(file: Path) -> tuple[tuple[str, ...], tuple[str, ...], dict[str, object]]:
    """Problems, warnings, and the `[enrich]` settings that need permissions."""
    from router.channels import plugins  # noqa: PLC0415  the path has to be set first
    from router.config.parse import load  # noqa: PLC0415
    from router.errors import ConfigError  # noqa: PLC0415

    try:
        config = load(file, plugins.load(ROOT / "plugins"), os.environ)
    except ConfigError as error:
        return error.problems, (), {}
    enrich = {"taskDefinition": config.enrich.task_definition, "logGroups": config.enrich.log_groups}
    return config.problems, config.warnings, enrich


if __name__ == "__main__":
    sys.exit(main())
