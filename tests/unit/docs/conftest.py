"""Fixtures for the commands."""

from tests.doubles.fixtures import account, recorded

__all__ = ["account", "recorded"]
