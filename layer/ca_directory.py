"""Turns a bundle of CA certificates into a directory of hashed names, as `openssl rehash` does.

OpenSSL parses the whole of a bundle, some 120 certificates in 16 ms. From a directory it opens only the file that it
needs. A file is named after X509_NAME_hash() of the certificate's subject (OpenSSL 1.0.0 and newer), followed by a
counter for subjects with the same hash: `5443e9e3.0`. Python's ssl module cannot compute this hash, and not every
machine has the openssl command, so this module parses the subject itself. A certificate (RFC 5280, 4.1) is ASN.1 in DER
(ITU-T X.690), and needs only a small part of it.
"""

# ruff: noqa: INP001  beside a script that is run by its path, not a package

import base64
import hashlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

_PEM = re.compile(r"-----BEGIN CERTIFICATE-----(.+?)-----END CERTIFICATE-----", re.DOTALL)
_VERSION, _SET = 0xA0, 0x31
_UTF8_STRING = 0x0C
# The types of strings that OpenSSL normalises (ASN1_MASK_CANON). It leaves all other values as they are.
_ENCODINGS = {
    _UTF8_STRING: "utf-8",
    0x13: "latin-1",  # PrintableString
    0x14: "latin-1",  # T61String
    0x16: "latin-1",  # IA5String
    0x1A: "latin-1",  # VisibleString
    0x1C: "utf-32-be",  # UniversalString
    0x1E: "utf-16-be",  # BMPString
}


def write_ca_directory(bundle: Path, directory: Path) -> None:
    """Writes each certificate of a PEM bundle into its own file of the directory, which must not exist yet."""
    directory.mkdir(parents=True)
    for certificate in _PEM.finditer(bundle.read_text("ascii", "ignore")):
        name = subject_hash(base64.b64decode(certificate[1]))
        number = len(list(directory.glob(f"{name}.*")))
        (directory / f"{name}.{number}").write_text(f"{certificate[0]}\n", "ascii")


def subject_hash(certificate: bytes) -> str:
    """X509_NAME_hash() of the subject of a certificate in DER, as eight hexadecimal digits."""
    (whole,) = _elements(certificate)
    signed, *_ = _elements(whole.content)
    fields = [field for field in _elements(signed.content) if field.tag != _VERSION]
    _serial, _algorithm, _issuer, _validity, subject, *_ = fields
    canonical = b"".join(_encoded(_SET, _normalised(part.content)) for part in _elements(subject.content))
    digest = hashlib.sha1(canonical, usedforsecurity=False).digest()
    return f"{int.from_bytes(digest[:4], 'little'):08x}"


class _Element(NamedTuple):
    tag: int
    content: bytes


def _elements(data: bytes) -> Iterator[_Element]:
    """The elements in DER bytes, one after the other."""
    while data:
        tag, length, start = data[0], data[1], 2
        if length & 0x80:  # long form: the length is in the next bytes
            start += length & 0x7F
            length = int.from_bytes(data[2:start], "big")
        yield _Element(tag, data[start : start + length])
        data = data[start + length :]


def _encoded(tag: int, content: bytes) -> bytes:
    length = len(content)
    if length < 0x80:  # noqa: PLR2004 - longer content needs the long form
        return bytes([tag, length]) + content
    size = (length.bit_length() + 7) // 8
    return bytes([tag, 0x80 | size]) + length.to_bytes(size, "big") + content


def _normalised(name: bytes) -> bytes:
    """A relative distinguished name as OpenSSL compares it (x509_name_canon): its attributes, sorted as a DER set."""
    attributes = []
    for attribute in _elements(name):
        kind, value = _elements(attribute.content)
        if encoding := _ENCODINGS.get(value.tag):
            value = _Element(_UTF8_STRING, _canonical(value.content.decode(encoding).encode()))
        attributes.append(_encoded(attribute.tag, _encoded(*kind) + _encoded(*value)))
    return b"".join(sorted(attributes))


def _canonical(text: bytes) -> bytes:
    """ASCII letters in lower case and runs of ASCII white space as one space, none at the ends, as OpenSSL does it."""
    return b" ".join(text.lower().split())
