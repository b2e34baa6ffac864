"""Pauses Python's garbage collection while Lambda starts the function.

Nearly all objects that a cold start makes are kept, so a collection finds little and takes time. Importing this module
begins the pause, and `resume` ends it.
"""

import gc
import os

if "AWS_LAMBDA_INITIALIZATION_TYPE" in os.environ:
    gc.disable()


def resume() -> None:
    """Ends the pause. Objects that exist by now are never collected."""
    gc.freeze()
    gc.enable()
