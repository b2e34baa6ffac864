"""`python -m router` is `ecs-alert-router`."""

import sys


def main() -> None:
    """Runs the command line; without the packages that it needs, says in one line how to install them."""
    try:
        from router.cli import main as command_line  # noqa: PLC0415 - what it needs may be missing
    except ModuleNotFoundError as error:
        if str(error.name).startswith(f"{__package__}."):
            raise
        missing = f"the command line needs {error.name}, which is not installed"
        sys.exit(f"Error: {missing}: {sys.executable} -m pip install ecs-alert-router")
    command_line()


if __name__ == "__main__":
    main()
