"""Asks the person at the terminal before something is done that cannot be undone."""

import sys

import click

from router.cli.output import ask


def confirm(question: str) -> None:
    """Raises click.Abort if the answer is no, and click.UsageError if nobody can be asked."""
    if not is_terminal():
        raise click.UsageError("nobody can be asked here, because stdin is not a terminal: pass --yes to do it")
    ask(question)


def is_terminal() -> bool:
    return sys.stdin.isatty()
