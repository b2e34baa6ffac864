"""A stand-in for Lambda's Python: a virtual environment with only the packages of AWS's runtime.

As a script, it makes that environment, and needs no installed package.
"""

import fcntl
import hashlib
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
REQUIREMENTS = ROOT / "local_aws" / "runtime-requirements.txt"
ENVIRONMENT = ROOT / ".build" / "lambda-runtime"


class StartError(Exception):
    """The local AWS did not start; the message ends with its last output."""


def runtime_python() -> Path:
    """Return the interpreter. It is installed on first use (some seconds) and when its requirements change."""
    ENVIRONMENT.parent.mkdir(exist_ok=True)
    with ENVIRONMENT.with_suffix(".lock").open("w") as lock:  # several test workers may ask at the same time
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not _is_current():
            _create()
    return ENVIRONMENT / "bin" / "python"


def _is_current() -> bool:
    stamp = ENVIRONMENT / "fingerprint"
    return stamp.is_file() and stamp.read_text() == _fingerprint()


def _create() -> None:
    base = _run(ROOT / "layer" / "find-python")
    _run(base, "-m", "venv", "--clear", "--without-pip", ENVIRONMENT)  # its own pip would take longer than the packages
    pip = (sys.executable, "-m", "pip", f"--python={ENVIRONMENT / 'bin' / 'python'}", "--disable-pip-version-check")
    # Not compiled: the functions compile the fraction that they import.
    _run(*pip, "install", "--quiet", "--no-compile", "--require-hashes", "--requirement", REQUIREMENTS)
    (ENVIRONMENT / "fingerprint").write_text(_fingerprint())


def _run(*command: str | Path) -> str:
    result = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603  fixed arguments
    if result.returncode:
        raise StartError(f"cannot create Lambda's Python in {ENVIRONMENT}:\n{result.stderr.strip()}")
    return result.stdout.strip()


def _fingerprint() -> str:
    return hashlib.sha256(REQUIREMENTS.read_bytes()).hexdigest()


if __name__ == "__main__":
    runtime_python()
