"""The items that released versions have written, and their readers: versions work on one table side by side.

Each directory beside this file is a released version. `freeze.py` has written it, and it never changes.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from router.history.table import Item, plain_item, typed_item
from router.version import VERSION
from tests.doubles.inbox import receive, record
from tests.doubles.world import World
from tests.golden.coverage import CHOICES, STORED_CHOICES, shown, wanted
from tests.golden.freeze import GOLDEN, ITEM, MEANING, MESSAGES, READER, fewest, pack_reader, runs, written
from tests.golden.meaning import from_json, meaning, to_json, written_back

RELEASES = sorted(path.parent for path in GOLDEN.glob(f"*/{READER}"))
ITEMS = sorted(file for release in RELEASES for file in release.glob(f"*{ITEM}"))
pytestmark = pytest.mark.xdist_group("golden")


def stored(file: Path) -> Item:
    return plain_item(from_json(file.read_text("utf-8")))


def recorded_meaning(file: Path) -> Any:
    return json.loads(file.with_name(file.name.replace(ITEM, MEANING)).read_text("utf-8"))


def differences(known: Any, read: Any, place: str = "") -> list[str]:
    """Where `read` does not say what is known. What it says beyond that is new."""
    if isinstance(known, dict) and isinstance(read, dict):
        return [text for name, entry in known.items() for text in differences(entry, read.get(name), f"{place}.{name}")]
    if isinstance(known, list) and isinstance(read, list) and len(known) == len(read):
        return [
            text
            for number, (one, other) in enumerate(zip(known, read, strict=True))
            for text in differences(one, other, f"{place}[{number}]")
        ]
    return [] if known == read else [f"{place}: {known!r} is now {read!r}"]


def content(item: Item) -> Any:
    """What it means, without the time at which the index finds it, which a version may choose when it writes."""
    found = meaning(item)
    return {name: item for name, item in found.items() if name != "due"} if isinstance(found, dict) else found


def id_of(file: Path) -> str:
    return f"{file.parent.name}/{file.name.removesuffix(ITEM)}"


# --- what a release has written, read by this version -----------------------------------------------------------------


@pytest.mark.parametrize("file", ITEMS, ids=id_of)
def test_an_item_of_a_release_means_what_it_meant(file: Path) -> None:
    assert differences(recorded_meaning(file), json.loads(to_json(meaning(stored(file))))) == []


@pytest.mark.parametrize("file", ITEMS, ids=id_of)
def test_nothing_is_lost_if_this_version_writes_an_item_of_a_release(file: Path) -> None:
    item = stored(file)
    back = written_back(item)
    assert back is None or content(plain_item(typed_item(back))) == content(item)


@pytest.mark.parametrize("release", RELEASES, ids=lambda path: path.name)
def test_a_release_has_items_with_everything_that_it_could_store(release: Path) -> None:
    """What it stores is changed only under a new version number: give the code one, if this fails."""
    if release.name == VERSION:
        frozen = [stored(file) for file in ITEMS if file.parent == release]
        assert wanted() - {entry for item in frozen for entry in shown(item)} == set()


@pytest.mark.parametrize("release", RELEASES, ids=lambda path: path.name)
def test_a_message_that_a_release_left_on_a_queue_is_handled(release: Path) -> None:
    """Its hints and dead letters may be received weeks later. None is announced twice, or ends as a dead letter."""
    for message in json.loads((release / MESSAGES).read_text("utf-8")):
        world = World()
        notes = {
            name: {"stringValue": note["StringValue"]} for name, note in message.get("MessageAttributes", {}).items()
        }
        assert receive(world, record("m1", message["MessageBody"]) | {"messageAttributes": notes}) == []
        assert world.sqs.on("dead-letters") == []
        assert not any(channel.tried for channel in world.channels.values())
        assert {row["decision"] for row in world.rows("alert#")} == ({"announced"} if notes else set())


# --- what this version writes, read by the readers of releases --------------------------------------------------------


@pytest.fixture(scope="module")
def items() -> list[Item]:
    """What this version writes: items with everything that it can store. Fails if the runs leave something out."""
    return fewest(written(runs()))


def answers(reader: Path, items: list[Item]) -> list[Any]:
    """What a packed reader makes of the items."""
    python = [sys.executable, "-S", str(reader)]  # without any installed package, which may have changed since
    given = to_json([typed_item(item) for item in items])
    result = subprocess.run(python, input=given, capture_output=True, text=True, check=False, encoding="utf-8")
    assert result.returncode == 0, result.stderr
    found: list[Any] = from_json(result.stdout)
    return found


@pytest.fixture(scope="module", params=[*RELEASES, None], ids=lambda path: path.name if path else "this version")
def read_by(request: pytest.FixtureRequest, items: list[Item], tmp_path_factory: pytest.TempPathFactory) -> list[Any]:
    """What the reader of a release makes of each item; or the reader of this version, packed as for a release."""
    if request.param is None:
        reader = tmp_path_factory.mktemp("reader") / READER
        pack_reader(reader)
    else:
        reader = request.param / READER
    return answers(reader, items)


def test_a_release_understands_what_this_version_writes(items: list[Item], read_by: list[Any]) -> None:
    """So that it can go on with the same table during a deployment and after a rollback."""
    for item, answer in zip(items, read_by, strict=True):
        assert differences(answer["meaning"], json.loads(to_json(meaning(item)))) == [], (item["pk"], item["sk"])


def test_every_closed_set_that_is_stored_is_covered() -> None:
    assert CHOICES.keys() == STORED_CHOICES


def test_nothing_is_lost_if_a_release_writes_an_item_of_this_version(items: list[Item], read_by: list[Any]) -> None:
    for item, answer in zip(items, read_by, strict=True):
        back = answer["written_back"]
        assert back is None or content(plain_item(back)) == content(item), (item["pk"], item["sk"])
