"""How many examples hypothesis tries."""

from hypothesis import settings


def share(examples: int) -> int:
    """The `max_examples` of a property that takes longer than others: as many of `make check`'s 100, or as few.

    The profile in tests/conftest.py has the examples of the other properties; this number grows and shrinks with it.
    """
    return max(1, examples * settings().max_examples // 100)
