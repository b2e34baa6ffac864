"""Groups of commands: their help shows whole sentences, and whatever is printed fits the encoding of the terminal."""

from typing import Any

import click

from router.cli.aws_errors import explained, is_from_aws
from router.cli.output import fit_encoding, shown
from router.errors import ConfigError, RouterError

_WHOLE = 1000  # characters of a command's first sentence, which the list of commands then wraps


class CommandGroup(click.Group):
    """Lists each command with its whole first sentence; click itself cuts it where the line ends."""

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        commands = [(name, self.get_command(ctx, name)) for name in self.list_commands(ctx)]
        rows = [(name, command.get_short_help_str(_WHOLE)) for name, command in commands if command]
        with formatter.section("Commands"):
            formatter.write_dl(rows)


CommandGroup.group_class = CommandGroup


class RouterGroup(CommandGroup):
    """Reports the errors of the router and of AWS in one line, with exit code 1."""

    def main(self, *arguments: Any, **options: Any) -> Any:
        """Runs the command line. What the encoding of the output lacks is written as JSON writes it, as `\\u2026`."""
        fit_encoding()
        return super().main(*arguments, **options)

    def make_context(self, *arguments: Any, **options: Any) -> click.Context:
        try:
            return super().make_context(*arguments, **options)
        except click.ClickException as error:
            raise shown(error) from error

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except click.ClickException as error:
            raise shown(error) from error
        except ConfigError as error:
            problems = "\n  ".join(["the configuration is invalid:", *error.problems])
            raise shown(click.ClickException(problems)) from error
        except RouterError as error:
            raise shown(click.ClickException(explained(error) or str(error))) from error
        except Exception as error:
            if not is_from_aws(error):
                raise
            raise shown(click.ClickException(explained(error) or " ".join(str(error).split()))) from error
