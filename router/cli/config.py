"""`ecs-alert-router config`: checks alert-router.toml before it is deployed."""

import json
import os
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path

import click
from click.core import ParameterSource

from router.channels import plugins
from router.cli.checkout import CONFIGURATION, configuration, root, router_importable, stated_configuration
from router.cli.deployed import find, function_environment, names_stage
from router.cli.groups import CommandGroup
from router.cli.output import echo
from router.config.parse import load, parse, read
from router.config.schema import json_schema
from router.config.settings import Config, Route
from router.config.silences import Silence
from router.config.unmatchable import BUILT_IN, Known
from router.errors import ConfigError
from router.model import Severity


def load_plugins() -> plugins.Plugins:
    """The plugins of the checkout, which the function has too; without one, those that the router is shipped with."""
    with router_importable():
        return plugins.load(root() / "plugins")


config_option = click.option(
    "--config",
    "path",
    type=click.Path(path_type=Path),
    default=stated_configuration,
    help="The configuration file; default: alert-router.toml of the current directory, else of the checkout.",
)


@click.group("config", cls=CommandGroup)
def config_group() -> None:
    """The configuration, alert-router.toml."""


@config_group.command("check")
@config_option
@click.option("--deployed", is_flag=True, help="Check the configuration of a deployed stage, with its values.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@names_stage()
@click.pass_context
def check(context: click.Context, path: Path, stage: str, *, deployed: bool, as_json: bool) -> None:
    """List every problem, or print "ok" with the channels and routes.

    env: values come from this environment; with --deployed, from the function of the stage, whose alert-router.toml is
    then this checkout's file of that name, unless --config names another.
    """
    environ: Mapping[str, str] = os.environ
    if deployed:
        environ = function_environment(find(stage))
        if context.get_parameter_source("path") is not ParameterSource.COMMANDLINE:
            path = configuration(environ.get("ALERT_ROUTER_CONFIG") or CONFIGURATION)
    elif context.get_parameter_source("stage") is ParameterSource.COMMANDLINE:
        raise click.UsageError("--stage needs --deployed: otherwise the values of this environment are checked")
    config = load(path, load_plugins(), environ)
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


@config_group.command("schema")
def schema() -> None:
    """Print the JSON Schema of alert-router.toml, with the kinds of channels of this checkout's plugins.

    Editors complete and check keys by it: the first line of the file names it.
    """
    echo(json_schema(load_plugins()), nl=False)


def choose(names: tuple[str, ...], config: Config) -> set[str]:
    """The channels that --channel names; all of them without it. Raises click.BadParameter for an unknown one."""
    known = {*config.channels, *config.unset, *config.disabled}
    for name in names:
        if name not in known:
            raise click.BadParameter(f"there is no channel {name!r}; known channels: {', '.join(sorted(known))}")
    return {*names} or known


def known_names() -> Known:
    """The causes and rules that alerts can have by this checkout's configurations; any, if it has none."""
    own: set[str] = set()
    causes: set[str] = set()
    files = sorted(root().glob("alert-router*.toml"))
    plugins_here = load_plugins()
    if not files or plugins_here.implements("classify_event"):
        return Known(None, None)
    for file in files:
        with suppress(ConfigError):
            rules = parse(read(file), plugins_here, {}).rules
            own |= {rule.name for rule in rules}
            causes |= {rule.cause for rule in rules if rule.cause}
    return Known({*(BUILT_IN.causes or ()), *causes}, {*(BUILT_IN.rules or ()), *own})


def _described(config: Config) -> str:
    lines = ["ok"]
    lines += [f"channel {name} ({channel.config.kind})" for name, channel in config.channels.items()]
    lines += [f"channel {name}: not configured, {option} is unset" for name, option in config.unset.items()]
    lines += [f"route {position}: {_route(route)}" for position, route in enumerate(config.routes, start=1)]
    lines += [f"maintenance {described(window)}: {matchers(window.match)}" for window in config.maintenance]
    return "\n".join(lines)


def _route(route: Route) -> str:
    """What it takes, when, and where it goes, in one line."""
    severity = route.severity if route.severity is Severity.CRITICAL else f"{route.severity} and worse"
    parts = (
        severity,
        matchers(route.match) if route.match else "",
        f"at {', '.join(hours.text for hours in route.hours)}" if route.hours else "",
    )
    then = ", then later routes too" if route.continues else ""
    return f"{', '.join(filter(None, parts))} to {', '.join(route.channels)}{then}"


def described(silence: Silence) -> str:
    """The silence's id and reason."""
    return f"{silence.id} ({silence.reason})" if silence.reason else silence.id


def matchers(match: Mapping[str, Iterable[str]]) -> str:
    """`fact=glob` for each glob, or "everything"."""
    return ", ".join(f"{fact}={glob}" for fact, globs in match.items() for glob in globs) or "everything"
