"""`ecs-alert-router config`: checks alert-router.toml before it is deployed."""

import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path

import click

from router.channels import plugins
from router.cli.output import echo
from router.config.parse import load
from router.config.settings import Config
from router.config.silences import Silence

ROOT = Path(__file__).parents[2]


def load_plugins() -> plugins.Plugins:
    """The plugins of this checkout, which the function has too."""
    return plugins.load(ROOT / "plugins")


config_option = click.option(
    "--config",
    "path",
    type=click.Path(path_type=Path),
    default=ROOT / "alert-router.toml",
    help="The configuration file; default: alert-router.toml of this checkout.",
)


@click.group("config")
def config_group() -> None:
    """The configuration, alert-router.toml."""


@config_group.command("check")
@config_option
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@click.pass_context
def check(context: click.Context, path: Path, *, as_json: bool) -> None:
    """List every problem, or print "ok" with the channels and routes. env: values come from this environment."""
    config = load(path, load_plugins(), os.environ)
    if as_json:
        echo(
            json.dumps(
                {
                    "ok": not config.problems,
                    "problems": config.problems,
                    "warnings": config.warnings,
                    "channels": {name: channel.config.kind for name, channel in config.channels.items()},
                    "unset": config.unset,
                    "disabled": config.disabled,
                    "routes": [list(route.channels) for route in config.routes],
                    "maintenance": [window.id for window in config.maintenance],
                }
            )
        )
    elif config.problems:
        echo("\n".join(config.problems), err=True)
    else:
        echo(_described(config))
    for warning in config.warnings:
        echo(f"warning: {warning}", err=True)
    context.exit(1 if config.problems else 0)


def choose(names: tuple[str, ...], config: Config) -> set[str]:
    """The channels that --channel names; all of them without it. Raises click.BadParameter for an unknown one."""
    known = {*config.channels, *config.unset, *config.disabled}
    for name in names:
        if name not in known:
            raise click.BadParameter(f"there is no channel {name!r}; known channels: {', '.join(sorted(known))}")
    return {*names} or known


def _described(config: Config) -> str:
    lines = ["ok"]
    lines += [f"channel {name} ({channel.config.kind})" for name, channel in config.channels.items()]
    lines += [f"channel {name}: not configured, {option} is unset" for name, option in config.unset.items()]
    lines += [
        f"route {position}: {route.severity} and worse to {', '.join(route.channels)}"
        for position, route in enumerate(config.routes, start=1)
    ]
    lines += [f"maintenance {described(window)}: {matchers(window.match)}" for window in config.maintenance]
    return "\n".join(lines)


def described(silence: Silence) -> str:
    """The silence's id and reason."""
    return f"{silence.id} ({silence.reason})" if silence.reason else silence.id


def matchers(match: Mapping[str, Iterable[str]]) -> str:
    """`fact=glob` for each glob, or "everything"."""
    return ", ".join(f"{fact}={glob}" for fact, globs in match.items() for glob in globs) or "everything"
