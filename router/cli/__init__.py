"""The `ecs-alert-router` command line, for people and scripts. It is not shipped in the function.

Exit code 0: done. 1: a finding or failure, in one line on stderr. 2: wrong usage. Data goes to stdout, everything else
to stderr.
"""

import click

from router.cli.classify import classify_command
from router.cli.config import config_group
from router.cli.demo import demo_command
from router.cli.doctor import doctor_command
from router.cli.expect import expect_group
from router.cli.groups import RouterGroup
from router.cli.history import history_group
from router.cli.incident import incident_group
from router.cli.plugin import plugin_group
from router.cli.redrive import redrive_command
from router.cli.replay import replay_command
from router.cli.send_test import send_test_command
from router.cli.silence import silence_group
from router.cli.simulate import simulate_command
from router.cli.stack import stack_command
from router.version import VERSION


@click.group(cls=RouterGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(VERSION)
def main() -> None:
    """Classifies every Amazon ECS event, keeps a history of them, and alerts the right people once per incident."""


main.add_command(classify_command)
main.add_command(config_group)
main.add_command(demo_command)
main.add_command(expect_group)
main.add_command(doctor_command)
main.add_command(history_group)
main.add_command(incident_group)
main.add_command(plugin_group)
main.add_command(redrive_command)
main.add_command(replay_command)
main.add_command(send_test_command)
main.add_command(silence_group)
main.add_command(simulate_command)
main.add_command(stack_command)
