"""The line on stderr by which a command says which stage or table it is about."""

from click.testing import Result

PLACES = (b"stage ", b"table ", b"from this machine")


def without_place(result: Result) -> Result:
    """The same result without that line, for tests of everything else."""
    first, _, rest = (result.stderr_bytes or b"").partition(b"\n")
    if first.startswith(PLACES):
        result.stderr_bytes = rest
    return result
