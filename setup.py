"""Builds the wheel, in which the folders `router` and `plugins` of a checkout are one package, `ecs_alert_router`.

Both are names that other distributions have too: the later one installed would overwrite files of the first, and each
would import modules of the other. In a checkout they stay, because the function and its plugins use these names.
Everything else about the distribution is in pyproject.toml.
"""

import re
import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).parent
PACKAGE = "ecs_alert_router"
NEW_NAMES = {"router": PACKAGE, "plugins": f"{PACKAGE}.plugins"}
IMPORT = re.compile(rf"^(\s*(?:from|import)\s+)({'|'.join(NEW_NAMES)})(?=[\s.])", re.MULTILINE)
OF_THE_FUNCTION = ("handler.py",)  # finds its configuration and plugins where Lambda has them


class OnePackage(build_py):  # type: ignore[misc]  # setuptools has no type information
    """Moves the modules after setuptools has collected them, and lets them import each other by their new names."""

    def run(self) -> None:
        """Builds from an empty directory, so that the wheel contains nothing that the checkout no longer has."""
        if self.editable_mode:
            super().run()
            return
        built = Path(self.build_lib)
        shutil.rmtree(built, ignore_errors=True)
        super().run()
        package = built / PACKAGE
        shutil.rmtree(package)  # the checkout's, which only refers to `router`
        (built / "router").rename(package)
        (built / "plugins").rename(package / "plugins")
        for name in OF_THE_FUNCTION:
            (package / name).unlink()
        shutil.copy(ROOT / "alert-router.toml", package)
        for module in built.rglob("*.py"):
            module.write_text(renamed(module.read_text("utf-8")), "utf-8")


def renamed(source: str) -> str:
    """The source of a module with the new names in its import statements."""
    return IMPORT.sub(lambda match: match[1] + NEW_NAMES[match[2]], source)


if __name__ == "__main__":
    setup(cmdclass={"build_py": OnePackage})
