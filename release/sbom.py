"""The bill of materials of a release, in CycloneDX 1.6 JSON: what the two archives contain."""

import email.parser
import hashlib
import re
import uuid
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

NAME = "ecs-alert-router"
NAMESPACE = uuid.uuid5(uuid.NAMESPACE_DNS, NAME)
METADATA = re.compile(r"python/[^/]+\.dist-info/METADATA")


def bill_of_materials(version: str, function: Path, layer: Path) -> dict[str, Any]:
    """The whole document. It depends on the archives alone: it has no time, and its serial number is a hash of them."""
    router = {"type": "application", "bom-ref": NAME, "name": NAME, "version": version, "licenses": _licences("MIT")}
    packages = sorted(_packages(layer), key=lambda package: package["bom-ref"])
    archives = [_archive(function, []), _archive(layer, packages)]
    digests = "".join(archive["hashes"][0]["content"] for archive in archives)
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid5(NAMESPACE, digests)}",
        "version": 1,
        "metadata": {"component": router},
        "components": archives,
        "dependencies": [{"ref": NAME, "dependsOn": [archive["bom-ref"] for archive in archives]}],
    }


def _archive(file: Path, contents: list[dict[str, Any]]) -> dict[str, Any]:
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    hashes = [{"alg": "SHA-256", "content": digest}]
    return {"type": "file", "bom-ref": file.name, "name": file.name, "hashes": hashes, "components": contents}


def _packages(layer: Path) -> Iterator[dict[str, Any]]:
    """The Python packages in the layer, by their own metadata."""
    with zipfile.ZipFile(layer) as archive:
        for name in filter(METADATA.fullmatch, archive.namelist()):
            metadata = email.parser.Parser().parsestr(archive.read(name).decode())
            package = re.sub("[-_.]+", "-", str(metadata["Name"])).lower()  # PEP 503
            purl = f"pkg:pypi/{package}@{metadata['Version']}"
            licence = metadata["License-Expression"] or metadata["License"] or ""
            yield {
                "type": "library",
                "bom-ref": purl,
                "name": package,
                "version": metadata["Version"],
                "purl": purl,
                **({"licenses": _licences(licence)} if licence else {}),
            }


def _licences(name: str) -> list[dict[str, Any]]:
    """A name, because older packages state their licence in other words than SPDX's."""
    return [{"license": {"name": name.strip().splitlines()[0]}}]
