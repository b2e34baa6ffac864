"""Draws the pictures of the docs from what the router really makes: `make docs-images`. A test compares them."""

import io
import re
from pathlib import Path

from rich._export_format import CONSOLE_SVG_FORMAT
from rich.console import Console

from local_aws.events import Raw, container, task_stopped
from local_aws.stories import OOM
from plugins.slack import Slack
from router.classify import alert, classify
from router.cli.preview import WIDTH, slack_panel
from router.incidents import Reach, Standing, Terms, Turn, absorb, lease
from router.model import ChannelConfig
from router.normalise import normalise
from router.render import notification

IMAGES = Path(__file__).parent / "images"
# Rich's own format fetches its font from elsewhere; a picture that stands in a repository fetches nothing.
_FORMAT = re.sub(r"@font-face \{\{.*?\}\}", "", CONSOLE_SVG_FORMAT, flags=re.DOTALL).replace("Fira Code", "monospace")


def slack_out_of_memory() -> str:
    """An SVG of the Slack message for a container that was killed for its memory."""
    config = ChannelConfig("slack", "slack", {"webhook_url": "https://hooks.slack.com/services/T0/B0/x"})
    killed: Raw = task_stopped(
        "EssentialContainerExited",
        "Essential container in task exited",
        container("app", 137, OOM),
        service="api",
        family="api",
    )
    event = normalise(killed)
    told = alert(event, classify(event))
    standing, _ = absorb(Standing(told.subject), told, [Reach("slack", 900)], told.at, 300)
    standing, (saying,) = lease(standing, told.at, Terms("picture", told.at, {"slack": Turn.ALONE}))
    assert standing.incident is not None
    payload = Slack(config).render(notification(saying, standing.incident, config))
    console = Console(record=True, width=WIDTH, file=io.StringIO(), force_terminal=True, highlight=False)
    console.print(slack_panel(payload))
    return console.export_svg(title="#alerts", unique_id="slack-out-of-memory", code_format=_FORMAT)


PICTURES = {"slack-out-of-memory.svg": slack_out_of_memory}

if __name__ == "__main__":
    IMAGES.mkdir(exist_ok=True)
    for name, draw in PICTURES.items():
        (IMAGES / name).write_text(draw(), "utf-8")
