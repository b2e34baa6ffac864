"""Freezes the items that this version writes, and its reader: `python -m tests.golden.freeze`.

Run it once, when a version is about to be released, and never again for that version: it refuses. CONTRIBUTING.md says
what the frozen items are for.
"""

import json
import logging
import subprocess
import sys
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from router.history.table import Item, plain_item, typed_item
from router.version import VERSION
from tests.golden.coverage import shown, wanted
from tests.golden.meaning import kind_of, meaning, to_json
from tests.golden.runs import RUNS, Run

GOLDEN = Path(__file__).parent
ROOT = GOLDEN.parents[1]
ITEM, MEANING, MESSAGES, READER = ".item.json", ".meaning.json", "messages.json", "reader.zip"
_WRITTEN_AT = (1980, 1, 1, 0, 0, 0)  # the earliest time of a zip; the same code gives the same bytes


_STANDINS = {  # for modules of which the reader needs nothing but names, so that it runs without any package
    "router/__init__.py": b"",
    "botocore/__init__.py": b"",
    "botocore/exceptions.py": b"class BotoCoreError(Exception): ...\n\n\nclass ClientError(Exception): ...\n",
}


def main() -> int:
    """Writes `tests/golden/VERSION`; returns the exit code."""
    directory = GOLDEN / VERSION
    if directory.exists():
        print(f"{VERSION} is frozen: every later version must read what is in {directory.relative_to(ROOT)}")  # noqa: T201
        return 1
    found = runs()
    frozen = named(fewest(written(found)))
    directory.mkdir()
    (directory / MESSAGES).write_text(to_json(queued(found), indent=1) + "\n", "utf-8")
    for name, item in frozen.items():
        (directory / f"{name}{ITEM}").write_text(to_json(typed_item(item), indent=1) + "\n", "utf-8")
        (directory / f"{name}{MEANING}").write_text(to_json(meaning(item), indent=1) + "\n", "utf-8")
    pack_reader(directory / READER)
    print(f"{len(frozen)} items and their reader are frozen in {directory.relative_to(ROOT)}")  # noqa: T201
    return 0


def runs() -> list[Run]:
    """All runs, after they have ended."""
    logging.disable(logging.CRITICAL)  # the runs provoke what the router warns of
    try:
        return [run() for run in RUNS]
    finally:
        logging.disable(logging.NOTSET)


def written(found: Iterable[Run]) -> list[Item]:
    """Every item that the runs have written, as it comes back from the table."""
    return [plain_item(typed_item(item)) for run in found for item in run.watched.written]


def queued(found: Iterable[Run]) -> list[Mapping[str, Any]]:
    """One message of each kind that the runs have put on a queue."""
    messages = [message for run in found for message in run.sqs.sent]
    return [*{(message["QueueUrl"], _detail_type(message)): message for message in messages}.values()]


def _detail_type(message: Mapping[str, Any]) -> str:
    return str(json.loads(message["MessageBody"])["detail-type"])


def fewest(found: Iterable[Item]) -> list[Item]:
    """Items that together show everything that is wanted; each adds as much as any other would, and is short.

    Raises ValueError if the runs leave something out.
    """
    candidates = [(item, shown(item), len(str(item))) for item in found]
    missing, chosen = wanted(), list[Item]()
    while missing:
        item, shows, _ = max(candidates, key=lambda candidate: (len(candidate[1] & missing), -candidate[2]))
        if not shows & missing:
            raise ValueError(f"no run writes an item with {', '.join(sorted(missing))}")
        chosen.append(item)
        missing -= shows
    return chosen


def named(frozen: Iterable[Item]) -> Mapping[str, Item]:
    """The items by names for their files: `state-1`, `state-2`, `alert-1`."""
    names: dict[str, Item] = {}
    for item in frozen:
        kind = kind_of(item)
        names[f"{kind}-{1 + sum(name.startswith(f'{kind}-') for name in names)}"] = item
    return names


def pack_reader(file: Path) -> None:
    """The modules that read stored items, with a program that does (`tests.golden.meaning`)."""
    with zipfile.ZipFile(file, "w") as archive:
        _add(archive, "__main__.py", (GOLDEN / "meaning.py").read_bytes())
        for path, content in _STANDINS.items():
            _add(archive, path, content)
        for path in _modules():
            _add(archive, path, (ROOT / path).read_bytes())


def _modules() -> list[str]:
    """The files of `router` that the reader imports."""
    program = (
        "import sys, types; router = sys.modules['router'] = types.ModuleType('router'); router.__path__ = ['router'];"
        "import router.history.items;"
        "print(*(module.__file__ for name, module in sys.modules.items() if name.startswith('router.')), sep='\\n')"
    )
    python = [sys.executable, "-c", program]
    printed = subprocess.run(python, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return sorted(str(Path(line).resolve().relative_to(ROOT)) for line in printed.splitlines())


def _add(archive: zipfile.ZipFile, path: str, content: bytes) -> None:
    entry = zipfile.ZipInfo(path, _WRITTEN_AT)
    entry.compress_type = zipfile.ZIP_DEFLATED
    archive.writestr(entry, content, compresslevel=9)


if __name__ == "__main__":
    sys.exit(main())
