"""Where an installed command line looks: tests/packaging installs it. Here: what counts as a checkout."""

from pathlib import Path

import pytest

from router.cli import checkout
from router.cli.checkout import ROOT, configuration, is_checkout, root


def test_this_is_a_checkout() -> None:
    assert is_checkout(ROOT)


def test_a_directory_that_only_has_a_folder_of_plugins_is_none(tmp_path: Path) -> None:
    (tmp_path / "plugins").mkdir()
    (tmp_path / "alert-router.toml").touch()
    assert not is_checkout(tmp_path)


def test_in_a_checkout_the_current_directory_has_no_say_about_plugins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert root() == ROOT


def test_the_configuration_of_the_current_directory_comes_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert configuration() == ROOT / "alert-router.toml"
    (tmp_path / "alert-router.toml").touch()
    assert configuration().resolve() == tmp_path / "alert-router.toml"


def test_an_installed_command_line_takes_what_it_was_shipped_with_outside_of_a_checkout(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkout, "INSTALLED", True)
    monkeypatch.chdir(tmp_path)
    assert root() == checkout.PACKAGE
    monkeypatch.chdir(ROOT)
    assert root() == ROOT
