"""Builds what the Lambda layer holds: the packages of requirements.txt, for arm64 and Python 3.13, in .build/layer.

Any machine and any Python from 3.11 on will do: pip downloads wheels for the function's platform, none for this one.
`serverless deploy` calls this on its own (deploy/prepare.js). After a change of requirements.in:

    uv pip compile --universal --generate-hashes --no-header --no-annotate --python-version 3.11 \\
        layer/requirements.in -o layer/requirements.txt

Packages with channel plugins are added in plugins.txt, which is not there until somebody adds one
(docs/write-a-channel.md).
"""

# ruff: noqa: INP001  a script that is run by its path, not a package

import compileall
import fcntl
import gzip
import hashlib
import json
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from importlib.metadata import distributions
from pathlib import Path
from py_compile import PycInvalidationMode
from typing import Any

from ca_directory import write_ca_directory  # type: ignore[import-not-found]  # found beside this script
from function_bytecode import compiles  # type: ignore[import-not-found]  # as above

ROOT = Path(__file__).resolve().parent.parent
REQUIREMENTS = (ROOT / "layer" / "requirements.txt", ROOT / "layer" / "plugins.txt")
BOTOCORE = ROOT / "layer" / "botocore.txt"  # not shipped: the service models are made of it
BUILD = ROOT / ".build"
LAYER = BUILD / "layer"
FINGERPRINT = BUILD / "layer.fingerprint"  # beside the layer, not in it: all that is in it gets shipped

PLUGIN_GROUP = "ecs_alert_router"
PLUGIN_INDEX = "ecs_alert_router_plugins.json"  # router/channels/plugins.py looks for it on the path

CERTIFICATES = "ecs_alert_router_certificates"  # router/coldstart/tls.py looks for it on the path
MODELS = "aws_models"  # router/aws/clients.py looks for it on the path
CALLS = {  # of the function; a test holds it to the code
    "dynamodb": ("BatchGetItem", "PutItem", "Query", "TransactWriteItems"),
    "ecs": ("DescribeTaskDefinition",),
    "logs": ("GetLogEvents",),
    "secretsmanager": ("GetSecretValue",),
    "sns": ("ListSubscriptionsByTopic", "Publish"),
    "sqs": ("SendMessage",),
    "ssm": ("GetParameter",),
}

UNUSED = (
    # Of Powertools the function imports Logger and metrics, and nothing that these import needs the two.
    "aws_lambda_powertools/event_handler",
    "aws_lambda_powertools/utilities/parser",
    # requests would guess encodings with it at the price of 7 ms of a cold start, and takes UTF-8 without it.
    "charset_normalizer",
)

TARGET = (
    "--only-binary=:all:",
    "--platform=manylinux2014_aarch64",
    "--python-version=3.13",
    "--implementation=cp",
)


class BuildError(Exception):
    """Says in one line why there is no layer."""


def main() -> int:
    """Build the layer unless it is up to date; return the exit code."""
    try:
        with _alone():
            built = build()
    except BuildError as error:
        _say(str(error))
        return 1
    _say(f"built, {_size() / 1e6:.1f} MB" if built else "up to date")
    return 0


def build() -> bool:
    """Build the layer unless its fingerprint says that it is up to date; return whether it was built."""
    fingerprint = _fingerprint()
    if LAYER.is_dir() and FINGERPRINT.is_file() and FINGERPRINT.read_text() == fingerprint:
        return False
    # Removed first: what is interrupted from here on is built again.
    FINGERPRINT.unlink(missing_ok=True)
    with tempfile.TemporaryDirectory(dir=BUILD) as scratch:
        packages = Path(scratch, "layer", "python")  # Lambda puts /opt/python on the path
        _download(packages, _requirements())
        _drop_unused(packages)
        shutil.rmtree(packages / "bin", ignore_errors=True)  # command lines of the packages; nobody calls them there
        _forget_paths(packages)
        _index_plugins(packages)
        _write_models(packages, Path(scratch, "botocore"))
        _write_certificates(packages)
        _compile(packages)
        shutil.rmtree(LAYER, ignore_errors=True)
        packages.parent.rename(LAYER)
    FINGERPRINT.write_text(fingerprint)
    return True


@contextmanager
def _alone() -> Iterator[None]:
    """Hold the lock of this checkout: two deployments may package at the same time."""
    BUILD.mkdir(exist_ok=True)
    with (BUILD / "layer.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _fingerprint() -> str:
    """Sum up all that the layer's bytes depend on: the requirements, these scripts, and whether there is bytecode.

    The requirements hold the packages' hashes: another wheel under the same name is another requirement.
    """
    scripts = sorted((ROOT / "layer").glob("*.py"))
    files = [hashlib.sha256(path.read_bytes()).hexdigest() for path in (*_requirements(), BOTOCORE, *scripts)]
    return hashlib.sha256("\n".join([*files, str(compiles())]).encode()).hexdigest()


def _requirements() -> list[Path]:
    return [path for path in REQUIREMENTS if path.is_file()]


def _download(target: Path, requirements: Iterable[Path]) -> None:
    # pip's own bytecode would be for this Python and would carry time stamps: --no-compile.
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input", "install", "--quiet")
    how = ("--require-hashes", "--no-deps", "--no-compile", f"--target={target}")
    what = [f"--requirement={path}" for path in requirements]
    command = [*pip, *TARGET, *how, *what]
    # In ROOT: a path in plugins.txt means the same wherever the build is called from.
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)  # noqa: S603  fixed words
    if "No module named pip" in result.stderr:
        raise BuildError(f"{sys.executable} has no pip; install it, or name another Python in the variable PYTHON")
    if result.returncode:
        raise BuildError(f"pip could not get the packages: {_reason(result.stderr)}")


def _forget_paths(packages: Path) -> None:
    """Drop where a wheel of plugins.txt lay on this machine: equal layers, equal bytes, and nobody's paths in AWS."""
    for origin in packages.glob("*.dist-info/direct_url.json"):
        record = origin.with_name("RECORD")
        kept = [line for line in record.read_text().splitlines(keepends=True) if origin.name not in line]
        record.write_text("".join(kept))
        origin.unlink()


def _drop_unused(packages: Path) -> None:
    """Leave out what is large and what nobody needs, unless a plugin asks for it."""
    _, plugins = REQUIREMENTS
    wanted = re.sub("[-_.]+", "_", plugins.read_text().lower()) if plugins.is_file() else ""  # any spelling pip takes
    for name in (each for each in UNUSED if each not in wanted):
        for path in (packages / name, *packages.glob(f"{name}-*.dist-info")):
            shutil.rmtree(path, ignore_errors=True)


def _write_models(packages: Path, scratch: Path) -> None:
    """Ship as much of the services' models as the function calls, without their prose, which is nine tenths of them.

    To read them whole, botocore would spend 50 ms and 10 MB at each cold start. Plugins that call something else make
    their clients with boto3, which does not look here. Where botocore.txt names no botocore, the function reads the
    runtime's own models.
    """
    _download(scratch, [BOTOCORE])
    data = scratch / "botocore" / "data"
    if not data.is_dir():
        return
    for service, operations in CALLS.items():
        newest = max(data.joinpath(service).iterdir())
        directory = packages / MODELS / service / newest.name
        _write_json(directory / "service-2.json", _without_prose(_of(_read(newest, "service-2"), operations)))
        _write_json(directory / "endpoint-rule-set-1.json", _without_prose(_read(newest, "endpoint-rule-set-1")))
    endpoints = _read(data, "endpoints")
    for partition in endpoints["partitions"]:
        partition["services"] = {}  # rules say where they are: botocore asks here what regions there are
    _write_json(packages / MODELS / "endpoints.json", endpoints)


def _write_certificates(packages: Path) -> None:
    """Ship certifi's certificates by name, too: to load its file takes 16 ms of each cold start."""
    bundle = packages / "certifi" / "cacert.pem"
    if bundle.is_file():
        write_ca_directory(bundle, packages / CERTIFICATES)


def _read(directory: Path, name: str) -> Any:
    packed = directory / f"{name}.json.gz"
    if packed.is_file():
        return json.loads(gzip.decompress(packed.read_bytes()))
    return json.loads((directory / f"{name}.json").read_bytes())


def _write_json(path: Path, content: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, separators=(",", ":")))


def _of(model: dict[str, Any], operations: Iterable[str]) -> dict[str, Any]:
    """A service's model with these operations alone, and the shapes that they lead to.

    Without `operationContextParams`, too: by them endpoints of other accounts are chosen, which nobody is spoken to
    by, and each call would look for them in all that it writes.
    """
    kept = {name: dict(model["operations"][name]) for name in operations}
    for each in kept.values():
        each.pop("operationContextParams", None)
    wanted, shapes = [*_named(kept)], {}
    while wanted:
        if (name := wanted.pop()) not in shapes:
            shapes[name] = model["shapes"][name]
            wanted += _named(shapes[name])
    return {**model, "operations": kept, "shapes": shapes}


def _named(part: Any) -> Iterator[str]:
    """The shapes that a part of a model refers to."""
    if isinstance(part, dict):
        if isinstance(part.get("shape"), str):
            yield part["shape"]
        part = list(part.values())
    if isinstance(part, list):
        for each in part:
            yield from _named(each)


def _without_prose(model: Any) -> Any:
    """A member of a shape may be called documentation, too; it is no text."""
    if isinstance(model, dict):
        kept = {name: each for name, each in model.items() if not (name == "documentation" and isinstance(each, str))}
        return {name: _without_prose(each) for name, each in kept.items()}
    return [_without_prose(each) for each in model] if isinstance(model, list) else model


def _index_plugins(packages: Path) -> None:
    """List the plugins that the packages announce: the function would search all of them at every cold start."""
    found = [
        {"distribution": distribution.name, "name": entry.name, "module": entry.value}
        for distribution in distributions(path=[str(packages)])
        for entry in distribution.entry_points
        if entry.group == PLUGIN_GROUP
    ]
    found.sort(key=lambda each: (each["distribution"], each["name"]))  # equal layers, equal bytes
    packages.mkdir(exist_ok=True)  # pip makes none if there is nothing to put there
    (packages / PLUGIN_INDEX).write_text(json.dumps(found, indent=2) + "\n")


def _size() -> int:
    """Bytes of the layer; Lambda takes 250 MB of function and layers together, unzipped."""
    return sum(file.stat().st_size for file in LAYER.rglob("*") if file.is_file())


def _reason(stderr: str) -> str:
    """Pick the line that says most from what pip printed."""
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    errors = [line.removeprefix("ERROR: ") for line in lines if line.startswith("ERROR: ")]
    return (errors or lines[-1:] or ["it did not say why"])[0]


def _compile(packages: Path) -> None:
    """Ship bytecode: Lambda's file system is read-only, so without it every cold start compiles every module anew."""
    if not compiles():
        _say("no bytecode, as this Python is not 3.13; cold starts take about twice as long")
        return
    compileall.compile_dir(
        packages,
        quiet=1,
        # Zip files lose the time stamps that bytecode is checked by; unchecked also keeps the bytes reproducible.
        invalidation_mode=PycInvalidationMode.UNCHECKED_HASH,
        stripdir=packages.parent,
        prependdir="/opt",  # where the files lie in Lambda, for tracebacks
    )


def _say(message: str) -> None:
    sys.stderr.write(f"layer: {message}\n")


if __name__ == "__main__":
    sys.exit(main())
