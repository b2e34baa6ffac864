"""`ecs-alert-router config`: whether alert-router.toml is right, before it is deployed."""

import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path

import click

from router.channels import plugins
from router.config import parse as config
from router.config.silences import Silence

ROOT = Path(__file__).parents[2]


def load_plugins() -> plugins.Plugins:
    """Those of this checkout, as the function has them."""
    return plugins.load(ROOT / "plugins")


config_option = click.option(
    "--config",
    "path",
    type=click.Path(path_type=Path),
    default=ROOT / "alert-router.toml",
    help="The file; alert-router.toml beside the code if not given.",
)


@click.group("config")
def config_group() -> None:
    """The configuration, alert-router.toml."""


@config_group.command("check")
@config_option
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@click.pass_context
def check(context: click.Context, path: Path, *, as_json: bool) -> None:
    """Say all that is wrong, or "ok" with the channels and routes. References are read from this environment."""
    found = config.load(path, load_plugins(), os.environ)
    if as_json:
        click.echo(
            json.dumps(
                {
                    "ok": not found.problems,
                    "problems": found.problems,
                    "warnings": found.warnings,
                    "channels": {name: source.config.kind for name, source in found.channels.items()},
                    "unset": found.unset,
                    "disabled": found.disabled,
                    "routes": [list(route.channels) for route in found.routes],
                    "maintenance": [window.id for window in found.maintenance],
                }
            )
        )
    elif found.problems:
        click.echo("\n".join(found.problems), err=True)
    else:
        click.echo(_described(found))
    for warning in found.warnings:
        click.echo(f"warning: {warning}", err=True)
    context.exit(1 if found.problems else 0)


def choose(names: tuple[str, ...], found: config.Config) -> set[str]:
    """The channels that --channel names; without it, all of them."""
    known = {*found.channels, *found.unset, *found.disabled}
    for name in names:
        if name not in known:
            raise click.BadParameter(f"there is no channel {name!r}; there is {', '.join(sorted(known))}")
    return {*names} or known


def _described(found: config.Config) -> str:
    lines = ["ok"]
    lines += [f"channel {name} ({source.config.kind})" for name, source in found.channels.items()]
    lines += [f"channel {name}: not configured, {option} is unset" for name, option in found.unset.items()]
    lines += [
        f"route {position}: {route.severity} and worse to {', '.join(route.channels)}"
        for position, route in enumerate(found.routes, start=1)
    ]
    lines += [f"maintenance {described(window)}: {matchers(window.match)}" for window in found.maintenance]
    return "\n".join(lines)


def described(silence: Silence) -> str:
    """Its id, and why it is there."""
    return f"{silence.id} ({silence.reason})" if silence.reason else silence.id


def matchers(match: Mapping[str, Iterable[str]]) -> str:
    return ", ".join(f"{fact}={glob}" for fact, globs in match.items() for glob in globs) or "everything"
