"""The notes of a release, from CHANGELOG.md: `python -m release.notes URL`.

URL is where the files of the tag are, such as `https://github.com/OWNER/ecs-alert-router/blob/v0.1.0`.
"""

import re
import sys
from pathlib import Path

from router.version import VERSION

CHANGELOG = Path(__file__).parents[1] / "CHANGELOG.md"


def notes(changelog: str, version: str, url: str) -> str:
    """The section of a version without its heading. Links to files of the repository become absolute.

    Raises:
        ValueError: the version has no section.
    """
    section = re.search(rf"^## {re.escape(version)} – [-\d]+\n(.*?)(?=^## |\Z)", changelog, re.DOTALL | re.MULTILINE)
    if section is None:
        raise ValueError(f"CHANGELOG.md has no section for {version}")
    return re.sub(r"\]\((?!https?:)", f"]({url.rstrip('/')}/", section[1]).strip() + "\n"


if __name__ == "__main__":
    sys.stdout.write(notes(CHANGELOG.read_text("utf-8"), VERSION, sys.argv[1]))
