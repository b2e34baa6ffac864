"""Garbage collection pauses while Lambda starts the function, and nowhere else."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
PROGRAM = """
import gc
import router
during = gc.isenabled()
from router.coldstart import garbage_collection
garbage_collection.resume()
print(during, gc.isenabled(), gc.get_freeze_count() > 0)
"""


@pytest.mark.parametrize(
    ("lambda_starts", "during"), [({"AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand"}, "False"), ({}, "True")]
)
def test_collection_pauses_from_the_first_import_until_the_function_is_ready(
    lambda_starts: dict[str, str], during: str
) -> None:
    environ = {name: value for name, value in os.environ.items() if name != "AWS_LAMBDA_INITIALIZATION_TYPE"}
    result = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        cwd=ROOT,
        env=environ | lambda_starts,
        capture_output=True,
        text=True,
        check=True,
    )
    assert result.stdout.split() == [during, "True", "True"]
