"""The variants to compare: the packaged router and the references, each with bytecode."""

import compileall
import hashlib
import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Mapping
from pathlib import Path
from py_compile import PycInvalidationMode

from benchmarks.lambda_ import Variant
from benchmarks.servers import Servers
from router.coldstart.tls import CERTIFICATES

ROOT = Path(__file__).resolve().parent.parent
LAYER = ROOT / ".build" / "layer" / "python"  # as deployed
STOCK = ROOT / ".build" / "benchmark-packages"  # the same packages as pip installs them, for the references
WORK = ROOT / ".build" / "benchmark"

_TABLE = "history"
_BUNDLES = ("AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE")


def prepare() -> None:
    """Lays out the packages as in Lambda. Raises SystemExit on another version of Python."""
    if sys.version_info[:2] != (3, 13):
        raise SystemExit("run the benchmark with Python 3.13, the function's own version")
    shutil.rmtree(WORK, ignore_errors=True)
    package = WORK / "router"
    no_bytecode = shutil.ignore_patterns("__pycache__", "cli", "__main__.py")
    for name in ("router", "plugins"):
        shutil.copytree(ROOT / name, package / name, ignore=no_bytecode)
    shutil.copy(ROOT / "alert-router.toml", package)
    shutil.copytree(ROOT / "benchmarks" / "references", WORK / "references", ignore=no_bytecode)
    shutil.copy(ROOT / "benchmarks" / "unlimited.py", WORK / "references")
    compileall.compile_dir(WORK / "references", quiet=1, invalidation_mode=PycInvalidationMode.CHECKED_HASH)
    subprocess.run([sys.executable, ROOT / "layer" / "compile_function.py", package], check=True)  # noqa: S603
    _install(ROOT / "layer" / "requirements.txt", STOCK)


def _install(requirements: Path, target: Path) -> None:
    """Installs into a directory, with bytecode, unless it is up to date."""
    stamp = target / "requirements.sha256"
    fingerprint = hashlib.sha256(requirements.read_bytes()).hexdigest()
    if stamp.is_file() and stamp.read_text() == fingerprint:
        return
    shutil.rmtree(target, ignore_errors=True)
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--require-hashes"]
    subprocess.run([*pip, "--target", str(target), "--requirement", str(requirements)], check=True)  # noqa: S603
    stamp.write_text(fingerprint)


def _as_deployed(certificates: Path, layer: Path) -> Path:
    """Copies the layer, with the benchmark's certificates instead of certifi's."""
    shutil.copytree(LAYER, layer, ignore=shutil.ignore_patterns(CERTIFICATES))
    shutil.copytree(certificates, layer / CERTIFICATES)
    return layer


def variants(servers: Servers) -> dict[str, Variant]:
    """The variants by name. `ours` is the router as deployed; `unlimited` has no rate limits (`unlimited.py`).

    All use the same certificates: the router as a directory in its layer, the others as a file. The packages of the
    others, beyond those of Lambda, are as pip installs them.
    """
    environment = function_environment(servers)
    without_bundle = {name: value for name, value in environment.items() if name not in _BUNDLES}
    references, package = WORK / "references", WORK / "router"
    ours = (package, _as_deployed(servers.layer / CERTIFICATES, WORK / "layer"))
    site_packages = Path(sysconfig.get_paths()["purelib"])
    compared = (
        Variant("ours", "router.handler.lambda_handler", ours, without_bundle),
        Variant("unlimited", "unlimited.handler", (*ours, references), without_bundle),
        Variant("plain", "plain.handler", (references, STOCK), environment),
        Variant("blog", "blog.handler", (references, STOCK), environment),
        Variant("one channel", "one_channel.handler", (references,), environment),
        Variant("one channel, no client", "one_channel_no_client.handler", (references,), environment),
        Variant("apprise", "apprise_notifier.handler", (references, site_packages), environment),
        Variant("floor", "floor.handler", (references,), environment),
    )
    return {variant.name: variant for variant in compared}


def function_environment(servers: Servers) -> Mapping[str, str]:
    """The environment variables of a function, with the addresses of the servers."""
    bundle = str(servers.bundle)
    return {
        "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE",
        "AWS_SECRET_ACCESS_KEY": "benchmark",
        "AWS_SESSION_TOKEN": "benchmark",
        **{f"AWS_ENDPOINT_URL_{name.upper()}": servers.url(name) for name in ("dynamodb", "sns", "sqs")},
        **dict.fromkeys(_BUNDLES, bundle),
        "HISTORY_TABLE": _TABLE,
        "QUEUE_URL": f"{servers.url('sqs')}/000000000000/events",
        "DUE_QUEUE_URL": f"{servers.url('sqs')}/000000000000/due",
        "DLQ_URL": f"{servers.url('sqs')}/000000000000/dead",
        "MAX_RECEIVES": "5",
        "STAGE": "dev",
        "SNS_TOPIC_ARN": "arn:aws:sns:us-east-1:000000000000:alerts",
        "OPERATORS_TOPIC_ARN": "arn:aws:sns:us-east-1:000000000000:operators",
        "SLACK_WEBHOOK_URL": f"{servers.url('slack')}/services/T00000000/B00000000/XXXXXXXXXXXXXXXXXXXXXXXX",
        "TEAMS_WEBHOOK_URL": f"{servers.url('teams')}/workflows/abcdef/triggers/manual/paths/invoke?sig=abcdefghijkl",
        "PAGERDUTY_ROUTING_KEY": "0123456789abcdef0123456789abcdef",
        "PAGERDUTY_EVENTS_URL": f"{servers.url('pagerduty')}/v2/enqueue",
        "ALERT_ROUTER_CONFIG": os.environ.get("BENCHMARK_CONFIG", "alert-router.toml"),
        "POWERTOOLS_SERVICE_NAME": "ecs-alert-router",
        "POWERTOOLS_METRICS_NAMESPACE": "EcsAlertRouter",
        "POWERTOOLS_LOG_LEVEL": "INFO",
    }
