"""Builds the Lambda layer in .build/layer: the packages of requirements.txt, for Python 3.13 and an architecture.

This runs on any machine and on Python 3.11 or newer, because pip downloads wheels for the function's platform.
`serverless deploy` runs it (deploy/prepare.js) with the function's architecture, arm64 or x86_64. After a change of
requirements.in, compile the requirements again:

    uv pip compile --universal --generate-hashes --no-header --no-annotate --python-version 3.11 \\
        layer/requirements.in -o layer/requirements.txt

To add packages with channel plugins, list them in layer/plugins.txt, a file that you create
(docs/write-a-channel.md).
"""

# ruff: noqa: INP001  a script that is run by its path, not a package

import compileall
import fcntl
import gzip
import hashlib
import json
import os
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

from ca_directory import write_ca_directory  # type: ignore[import-not-found]  # beside this script
from compile_function import compiles  # type: ignore[import-not-found]  # as above
from precompile import write_table  # type: ignore[import-not-found]  # as above

ROOT = Path(__file__).resolve().parent.parent
REQUIREMENTS = (ROOT / "layer" / "requirements.txt", ROOT / "layer" / "plugins.txt")
BOTOCORE = ROOT / "layer" / "botocore.txt"  # as in Lambda's runtime; the service models are extracted from it
BUILD = ROOT / ".build"
LAYER = BUILD / "layer"
RUNTIME = BUILD / "botocore"  # as in Lambda's runtime; not shipped, but compile_function.py imports it
FINGERPRINT = BUILD / "layer.fingerprint"  # outside the layer, because everything in the layer is shipped

UNPACKED = "/opt"  # the layer's directory in Lambda, for tracebacks
PLUGIN_GROUP = "ecs_alert_router"
PLUGIN_INDEX = "ecs_alert_router_plugins.json"  # router/channels/plugins.py looks for this name on sys.path

CERTIFICATES = "ecs_alert_router_certificates"  # router/coldstart/tls.py looks for this name on sys.path
MODELS = "aws_models"  # router/coldstart/botocore_session.py looks for this name on sys.path
CALLS = {  # the operations that the function calls; a test compares them with the code
    "cloudwatch": ("DescribeAlarms",),
    "dynamodb": ("BatchGetItem", "PutItem", "Query", "TransactWriteItems"),
    "ecs": (
        "DescribeContainerInstances",
        "DescribeServiceDeployments",
        "DescribeServices",
        "DescribeTaskDefinition",
        "DescribeTasks",
        "ListClusters",
        "ListServices",
        "ListTasks",
    ),
    "events": ("PutEvents",),
    "logs": ("GetLogEvents",),
    "secretsmanager": ("GetSecretValue",),
    "sesv2": ("SendEmail",),
    "sns": ("ListSubscriptionsByTopic", "Publish"),
    "sqs": ("ChangeMessageVisibility", "SendMessage"),
    "ssm": ("GetParameter",),
}

IMPORTED = (  # what a first event imports, for the table that precompile.py writes
    "aws_lambda_powertools.logging",
    "aws_lambda_powertools.metrics",
    "botocore.session",
    "pluggy",
    "requests",
)

UNUSED = (
    # The function uses Powertools' Logger and metrics. They need no event handler, and only the utilities in `USED`.
    "aws_lambda_powertools/event_handler",
    "aws_lambda_powertools/utilities/*",
    # With it, requests guesses the encoding of answers. Without it, requests assumes UTF-8.
    "charset_normalizer",
)
USED = {"jmespath_utils", "typing"}

PLATFORMS = {"arm64": "manylinux2014_aarch64", "x86_64": "manylinux2014_x86_64"}  # by the names that Lambda uses
ARCHITECTURE = os.environ.get("FUNCTION_ARCHITECTURE") or "arm64"
TARGET = (
    "--only-binary=:all:",
    f"--platform={PLATFORMS.get(ARCHITECTURE, ARCHITECTURE)}",
    "--python-version=3.13",
    "--implementation=cp",
)


class BuildError(Exception):
    """The layer could not be built; the message says why in one line."""


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
    """Build the layer unless it and the bytes of its files are up to date; return whether it was built."""
    fingerprint = _fingerprint()
    stated = FINGERPRINT.read_text().split() if FINGERPRINT.is_file() else []
    if LAYER.is_dir() and RUNTIME.is_dir() and stated[:1] == [fingerprint]:
        if stated[1:] == [_contents(BUILD)]:
            return False
        _say("its files have changed since it was built, so it is built again")
    # Removed first, so that an interrupted build is not taken for a finished one.
    FINGERPRINT.unlink(missing_ok=True)
    with tempfile.TemporaryDirectory(dir=BUILD) as scratch:
        packages = Path(scratch, "layer", "python")  # Lambda has /opt/python on sys.path
        _download(packages, _requirements())
        _drop_unused(packages)
        shutil.rmtree(packages / "bin", ignore_errors=True)  # the packages' console scripts
        _forget_paths(packages)
        _index_plugins(packages)
        runtime = Path(scratch, "botocore")
        runtime.mkdir()
        _download(runtime, [BOTOCORE])
        _write_models(packages, runtime / "botocore" / "data")
        _write_certificates(packages)
        _compile(packages)
        if compiles():
            write_table(IMPORTED, [packages, runtime], f"{UNPACKED}/python")
        contents = _contents(Path(scratch))  # where no other process writes bytecode, as it may once they are moved
        for directory, built in ((LAYER, packages.parent), (RUNTIME, runtime)):
            shutil.rmtree(directory, ignore_errors=True)
            built.rename(directory)
    FINGERPRINT.write_text(f"{fingerprint}\n{contents}\n")
    return True


@contextmanager
def _alone() -> Iterator[None]:
    """Hold a lock, because two deployments may package the same checkout at the same time."""
    BUILD.mkdir(exist_ok=True)
    with (BUILD / "layer.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _fingerprint() -> str:
    """Hash everything that the layer's bytes depend on: requirements, architecture, scripts, and bytecode or none.

    The requirements contain the packages' hashes, so a different wheel of the same version changes the fingerprint.
    """
    scripts = sorted((ROOT / "layer").glob("*.py"))
    files = [hashlib.sha256(path.read_bytes()).hexdigest() for path in (*_requirements(), BOTOCORE, *scripts)]
    return hashlib.sha256("\n".join([*files, ARCHITECTURE, str(compiles())]).encode()).hexdigest()


def _contents(root: Path) -> str:
    """Hash the names and bytes of all files that were built, bytecode included: a changed file must not be shipped."""
    found = (path for directory in (LAYER, RUNTIME) for path in (root / directory.name).rglob("*"))
    files = sorted(path for path in found if path.is_file() or path.is_symlink())
    lines = [f"{hashlib.sha256(path.read_bytes()).hexdigest()} {path.relative_to(root)}" for path in files]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def _requirements() -> list[Path]:
    return [path for path in REQUIREMENTS if path.is_file()]


def _download(target: Path, requirements: Iterable[Path]) -> None:
    """Install the requirements into the directory. Without any, pip would take a second to do nothing."""
    named = [path for path in requirements if _names_packages(path)]
    if not named:
        return
    # --no-compile, because pip would compile for the Python that runs it and store time stamps.
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input", "install", "--quiet")
    how = ("--require-hashes", "--no-deps", "--no-compile", f"--target={target}")
    what = [f"--requirement={path}" for path in named]
    command = [*pip, *TARGET, *how, *what]
    # cwd=ROOT: paths in plugins.txt are relative to the checkout.
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)  # noqa: S603  fixed words
    if "No module named pip" in result.stderr:
        raise BuildError(f"{sys.executable} has no pip; install it, or name another Python in the variable PYTHON")
    if result.returncode:
        raise BuildError(f"pip could not get the packages: {_reason(result.stderr)}")


def _names_packages(requirements: Path) -> bool:
    """Tell whether a file of requirements has more than comments and empty lines."""
    lines = map(str.strip, requirements.read_text("utf-8").splitlines())
    return any(line and not line.startswith("#") for line in lines)


def _forget_paths(packages: Path) -> None:
    """Remove the paths of local wheels: they differ between machines, and they do not belong in a shipped layer."""
    for origin in packages.glob("*.dist-info/direct_url.json"):
        record = origin.with_name("RECORD")
        kept = [line for line in record.read_text().splitlines(keepends=True) if origin.name not in line]
        record.write_text("".join(kept))
        origin.unlink()


def _drop_unused(packages: Path) -> None:
    """Remove the packages in `UNUSED`, except those of distributions that plugins.txt names."""
    _, plugins = REQUIREMENTS
    required = re.sub("[-_.]+", "_", plugins.read_text().lower()) if plugins.is_file() else ""  # PEP 503: one spelling
    for pattern in (pattern for pattern in UNUSED if pattern.partition("/")[0] not in required):
        for path in (*packages.glob(pattern), *packages.glob(f"{pattern}-*.dist-info")):
            if path.is_dir() and path.name not in USED:
                shutil.rmtree(path)


def _write_models(packages: Path, data: Path) -> None:
    """Write the service models, reduced to the operations in `CALLS` and without documentation, which is 90 % of them.

    botocore needs less time and 12 MB less memory to read these (`router.coldstart`). Plugins that call other
    operations make their clients with boto3, which does not use these models. If botocore.txt names no botocore, no
    models are written and the function reads those of the runtime.
    """
    if not data.is_dir():
        return
    for service, operations in CALLS.items():
        newest = max(data.joinpath(service).iterdir())
        directory = packages / MODELS / service / newest.name
        model = _reduced(_read(newest, "service-2"), operations)
        rule_set = _read(newest, "endpoint-rule-set-1")
        _write_json(directory / "service-2.json", _without_documentation(model))
        _write_json(directory / "endpoint-rule-set-1.json", _without_documentation(rule_set))
    endpoints = _read(data, "endpoints")
    for partition in endpoints["partitions"]:
        partition["services"] = {}  # the rule sets have the endpoints; botocore only reads the regions from this file
    _write_json(packages / MODELS / "endpoints.json", endpoints)
    shutil.rmtree(data)  # 27 MB, which nothing else needs


def _write_certificates(packages: Path) -> None:
    """Write certifi's certificates into a directory as well: OpenSSL loads it faster than the file (`ca_directory`)."""
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


def _reduced(model: dict[str, Any], operations: Iterable[str]) -> dict[str, Any]:
    """The model with these operations only, and the shapes that they refer to.

    `operationContextParams` are removed. botocore uses them to choose account-specific endpoints, which the router
    does not use, and would search the parameters of each call for them.
    """
    kept = {name: dict(model["operations"][name]) for name in operations}
    for operation in kept.values():
        operation.pop("operationContextParams", None)
    unvisited, shapes = [*_shape_names(kept)], {}
    while unvisited:
        if (name := unvisited.pop()) not in shapes:
            shapes[name] = model["shapes"][name]
            unvisited += _shape_names(shapes[name])
    return {**model, "operations": kept, "shapes": shapes}


def _shape_names(part: Any) -> Iterator[str]:
    """The names of the shapes that a part of a model refers to."""
    if isinstance(part, dict):
        if isinstance(part.get("shape"), str):
            yield part["shape"]
        part = list(part.values())
    if isinstance(part, list):
        for element in part:
            yield from _shape_names(element)


def _without_documentation(model: Any) -> Any:
    """Removes the documentation texts, but keeps shape members of that name, which are mappings."""
    if isinstance(model, dict):
        return {
            name: _without_documentation(value)
            for name, value in model.items()
            if not (name == "documentation" and isinstance(value, str))
        }
    return [_without_documentation(element) for element in model] if isinstance(model, list) else model


def _index_plugins(packages: Path) -> None:
    """Write the packages' entry points of `PLUGIN_GROUP` into a file, so that no cold start has to search for them."""
    plugins = [
        {"distribution": distribution.name, "name": entry.name, "module": entry.value}
        for distribution in distributions(path=[str(packages)])
        for entry in distribution.entry_points
        if entry.group == PLUGIN_GROUP
    ]
    plugins.sort(key=lambda plugin: (plugin["distribution"], plugin["name"]))  # the layer's bytes are reproducible
    packages.mkdir(parents=True, exist_ok=True)  # pip has not made it if there is nothing to install
    (packages / PLUGIN_INDEX).write_text(json.dumps(plugins, indent=2) + "\n")


def _size() -> int:
    """Bytes of the layer. Lambda's limit for function and layers together is 250 MB, unzipped."""
    return sum(file.stat().st_size for file in LAYER.rglob("*") if file.is_file())


def _reason(stderr: str) -> str:
    """Pick pip's first error line, or else its last line."""
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    errors = [line.removeprefix("ERROR: ") for line in lines if line.startswith("ERROR: ")]
    return (errors or lines[-1:] or ["no error message"])[0]


def _compile(packages: Path) -> None:
    """Compile the packages. Lambda's file system is read-only, so otherwise every cold start compiles every module."""
    if not compiles():
        _say("no bytecode, as this Python is not 3.13; cold starts take about twice as long")
        return
    compileall.compile_dir(
        packages,
        quiet=1,
        # A zip file loses the time stamps that Python compares by default. Unchecked hashes are also reproducible.
        invalidation_mode=PycInvalidationMode.UNCHECKED_HASH,
        stripdir=packages.parent,
        prependdir=UNPACKED,
    )


def _say(message: str) -> None:
    sys.stderr.write(f"layer: {message}\n")


if __name__ == "__main__":
    sys.exit(main())
