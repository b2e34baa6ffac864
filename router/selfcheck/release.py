"""Which code and configuration this is, so that `ecs-alert-router doctor` can compare the function with a checkout."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

_NOT_SHIPPED = ("cli/", "__main__.py")  # see `package` in serverless.yml
_SHOWN = 12  # hexadecimal digits of a digest


def digests(root: Path, configuration: Path) -> Mapping[str, str]:
    """The digests of what is deployed from a checkout.

    Args:
        root: the directory with `router/` and `plugins/`.
        configuration: the path of alert-router.toml.
    """
    return {
        "code": _digest(root / "router", _shipped(root / "router")),
        "plugins": _digest(root / "plugins", sorted((root / "plugins").glob("*.py"))),
        "configuration": _digest(configuration.parent, [configuration]),
    }


def _shipped(package: Path) -> Iterator[Path]:
    for path in sorted(package.rglob("*.py")):
        if not path.relative_to(package).as_posix().startswith(_NOT_SHIPPED):
            yield path


def _digest(base: Path, files: Iterable[Path]) -> str:
    """A digest of names and contents; "" if a file cannot be read. Line ends may differ between checkouts."""
    digest = hashlib.sha256()
    for path in files:
        try:
            content = path.read_bytes().replace(b"\r\n", b"\n")
        except OSError:
            return ""
        name = path.relative_to(base).as_posix()
        digest.update(f"{name}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()[:_SHOWN]
