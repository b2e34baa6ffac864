"""Runs Lambda's runtime client with a clock that a test moves ahead (`LocalAws.advance`).

The local AWS copies this file to a directory of its own, from where the functions run it. The clock is the machine's
plus the seconds in the file `ahead` beside it. The time that Lambda leaves an invocation stays the machine's.
"""

import runpy
import time
from pathlib import Path
from types import SimpleNamespace

from awslambdaric import lambda_context  # of Lambda's Python (runtime.py)

_AHEAD = Path(__file__).with_name("ahead")
_machine = time.time


def now() -> float:
    """Epoch seconds."""
    return _machine() + float(_AHEAD.read_text())


if __name__ == "__main__":
    lambda_context.time = SimpleNamespace(time=_machine)
    time.time = now
    runpy.run_module("awslambdaric", run_name="__main__")
