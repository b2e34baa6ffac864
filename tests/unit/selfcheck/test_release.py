"""The digests by which `doctor` compares the function with a checkout."""

from pathlib import Path

import pytest

from router.selfcheck.release import digests


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    for name in ("router/cli/main.py", "router/handler.py", "router/__main__.py", "plugins/slack.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    (tmp_path / "alert-router.toml").write_text("language = 'en'\n")
    return tmp_path


def changed(checkout: Path, name: str, text: str = "changed") -> set[str]:
    """What differs after a file was written."""
    before = digests(checkout, checkout / "alert-router.toml")
    (checkout / name).write_text(text, newline="")
    after = digests(checkout, checkout / "alert-router.toml")
    return {part for part in before if before[part] != after[part]}


@pytest.mark.parametrize(
    ("name", "part"),
    [("router/handler.py", "code"), ("plugins/slack.py", "plugins"), ("alert-router.toml", "configuration")],
)
def test_a_change_of_what_is_deployed_changes_its_digest_alone(checkout: Path, name: str, part: str) -> None:
    assert changed(checkout, name) == {part}


@pytest.mark.parametrize("name", ["router/cli/main.py", "router/__main__.py", "plugins/notes.txt"])
def test_what_is_not_deployed_does_not_count(checkout: Path, name: str) -> None:
    assert changed(checkout, name) == set()


def test_the_end_of_a_line_does_not_count(checkout: Path) -> None:
    assert changed(checkout, "alert-router.toml", "language = 'en'\r\n") == set()


def test_a_missing_configuration_has_no_digest(checkout: Path) -> None:
    assert digests(checkout, checkout / "nowhere.toml")["configuration"] == ""
