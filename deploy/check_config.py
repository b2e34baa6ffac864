"""Rejects an invalid alert-router.toml before anything is deployed.

deploy/prepare.js runs this with the function's settings. It grants the permissions for what is on stdout: the
`[enrich]` and `[poll]` settings, the topics of channels besides the stack's own, the event buses, and the senders of
e-mail. It also prints the names of the channels, for the check that no channel is removed that is still owed a message.
This script needs no installed package: the layer that has just been built has everything it imports.
"""

# ruff: noqa: INP001  a script that is run by its path, not a package

import importlib.util
import json
import logging
import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
RUNTIME_MODULES = (
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
PERMITTED = {"sns": "topic_arn", "eventbridge": "bus_arn", "ses": "from"}
"""For the kinds that call AWS: the option that says what the function must be permitted."""


def main() -> int:
    """Print every problem, one per line; return the exit code."""
    answer, sys.stdout = sys.stdout, sys.stderr  # a plugin may print while it is imported
    sys.dont_write_bytecode = True  # the layer is shipped as it was built
    sys.path[:0] = [str(ROOT), str(ROOT / ".build" / "layer" / "python")]
    if importlib.util.find_spec("boto3") is None:
        from unittest.mock import MagicMock  # noqa: PLC0415  its import takes a fifth of this script's time

        # Lambda's runtime has boto3; this machine may not. Here, channels only create a client and never use it.
        sys.modules.update(dict.fromkeys(RUNTIME_MODULES, MagicMock()))
        logging.getLogger("ecs-alert-router.aws").setLevel(logging.ERROR)  # it would warn of an unknown botocore
    problems, warnings, needs = _findings(Path(os.environ["ALERT_ROUTER_CONFIG"]))
    sys.stderr.writelines(f"{problem}\n" for problem in problems)
    sys.stderr.writelines(f"warning: {warning}\n" for warning in warnings)
    json.dump(needs, answer)
    answer.flush()
    return 1 if problems else 0


def _findings(file: Path) -> tuple[tuple[str, ...], tuple[str, ...], dict[str, object]]:
    """Problems, warnings, and what the deployment needs to know."""
    from router.channels import plugins  # noqa: PLC0415  the path has to be set first
    from router.channels.secrets import is_reference  # noqa: PLC0415  the path has to be set first
    from router.config.parse import load  # noqa: PLC0415
    from router.errors import ConfigError  # noqa: PLC0415

    try:
        config = load(file, plugins.load(ROOT / "plugins"), os.environ)
    except ConfigError as error:
        return error.problems, (), {}
    used: dict[str, dict[str, str]] = {kind: {} for kind in PERMITTED}
    for channel in (channel.config for channel in config.channels.values()):
        if option := PERMITTED.get(channel.kind):
            used[channel.kind][str(channel.options[option])] = channel.name
    by_reference = [
        f"channels.{name}.{PERMITTED[kind]}: must be the value itself, in the file or in a variable: "
        "the deployment permits it"
        for kind, values in used.items()
        for value, name in values.items()
        if is_reference(value)
    ]
    needs = {
        "channels": sorted(config.channels),
        "taskDefinition": config.enrich.task_definition,
        "logGroups": config.enrich.log_groups,
        "services": config.poll.services,
        "expect": bool(config.expect),
        "topics": sorted(used["sns"].keys() - {os.environ.get("SNS_TOPIC_ARN", "")}),
        "buses": sorted(used["eventbridge"]),
        "senders": sorted({sender.rpartition("<")[2].strip("> ") for sender in used["ses"]}),
    }
    return (*config.problems, *by_reference), config.warnings, needs


if __name__ == "__main__":
    os._exit(main())  # not sys.exit(): a plugin may have started a thread that never ends
