"""Writes dist/: `python -m release [--out DIRECTORY]`.

It packages the checkout with the Serverless CLI, as a deployment does, and needs no AWS account.
"""

import argparse
import hashlib
import json
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Any

from local_aws.deploy import DeployError, run_osls
from local_aws.runtime import ROOT, StartError
from local_aws.server import LocalAws, running
from release.sbom import bill_of_materials
from release.template import SETTINGS, STAGE, released, variants
from router.version import VERSION

FUNCTION, LAYER = "function.zip", "layer.zip"
ARCHIVES = {"ecs-alert-router.zip": FUNCTION, "dependencies.zip": LAYER}  # the CLI's names, and those of a release
TEMPLATE, BILL, CHECKSUMS = "template.json", "sbom.cdx.json", "SHA256SUMS"


def main() -> int:
    """Write the release; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m release", description="Writes a release.")
    parser.add_argument("--out", type=Path, default=ROOT / "dist", help="the directory, dist/ by default")
    directory = parser.parse_args().out
    try:
        with running() as aws:
            release(aws, directory)
    except (DeployError, StartError) as error:
        print(f"release: {error}", file=sys.stderr)  # noqa: T201  a command
        return 1
    print((directory / CHECKSUMS).read_text(), end="")  # noqa: T201  as above
    return 0


def release(aws: LocalAws, directory: Path) -> None:
    """Write all files of a release into the directory.

    Raises:
        DeployError: the checkout cannot be packaged.
    """
    directory.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        run_osls(aws, "package", "--stage", STAGE, "--package", scratch, environment=SETTINGS)
        packaged = json.loads(Path(scratch, "cloudformation-template-update-stack.json").read_text("utf-8"))
        for packed, name in ARCHIVES.items():
            shutil.copyfile(Path(scratch, packed), directory / name)
    template = released(packaged, _patterns(packaged), _architectures(directory / LAYER), VERSION)
    _write(directory / TEMPLATE, template)
    _write(directory / BILL, bill_of_materials(VERSION, directory / FUNCTION, directory / LAYER))
    names = sorted((FUNCTION, LAYER, TEMPLATE, BILL))
    lines = [f"{hashlib.sha256((directory / name).read_bytes()).hexdigest()}  {name}\n" for name in names]
    (directory / CHECKSUMS).write_text("".join(lines))


def _patterns(packaged: dict[str, Any]) -> list[dict[str, Any]]:
    request = json.dumps({"resources": packaged["Resources"], "variants": variants()})
    command = ["node", str(ROOT / "release" / "patterns.js")]
    answer = subprocess.run(command, input=request, capture_output=True, text=True, check=True)  # noqa: S603  fixed words
    patterns: list[dict[str, Any]] = json.loads(answer.stdout)
    return patterns


def _architectures(layer: Path) -> tuple[str, ...]:
    """The processors on which the layer runs: both, unless one of its packages contains compiled code."""
    with zipfile.ZipFile(layer) as archive:
        compiled = any(name.endswith(".so") for name in archive.namelist())
    return ("arm64",) if compiled else ("arm64", "x86_64")


def _write(file: Path, content: dict[str, Any]) -> None:
    file.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", "utf-8")


if __name__ == "__main__":
    sys.exit(main())
