"""A bundle of CA certificates as a directory in which OpenSSL finds each by its name, as `openssl rehash` makes it.

OpenSSL reads a bundle whole, some 120 certificates in 16 ms; of a directory it opens the one file that it needs. The
name of a file is X509_NAME_hash() of the certificate's subject (OpenSSL 1.0.0 and newer), and a number where subjects
share it: `5443e9e3.0`. Python's ssl does not tell that hash and the openssl command is not on every machine, so the
subject is read here: ASN.1 in DER (ITU-T X.690), of which a certificate (RFC 5280, 4.1) uses little.
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
# The strings that OpenSSL makes comparable (ASN1_MASK_CANON); it leaves all other values as they are.
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
    """Writes each certificate of a PEM bundle into a file of the directory, which is made."""
    directory.mkdir(parents=True)
    for found in _PEM.finditer(bundle.read_text("ascii", "ignore")):
        name = subject_hash(base64.b64decode(found[1]))
        number = len(list(directory.glob(f"{name}.*")))
        (directory / f"{name}.{number}").write_text(f"{found[0]}\n", "ascii")


def subject_hash(certificate: bytes) -> str:
    """X509_NAME_hash() of the subject of a certificate in DER: eight hexadecimal digits."""
    (whole,) = _elements(certificate)
    signed, *_ = _elements(whole.content)
    fields = [each for each in _elements(signed.content) if each.tag != _VERSION]
    _serial, _algorithm, _issuer, _validity, subject, *_ = fields
    canonical = b"".join(_encoded(_SET, _comparable(each.content)) for each in _elements(subject.content))
    digest = hashlib.sha1(canonical, usedforsecurity=False).digest()
    return f"{int.from_bytes(digest[:4], 'little'):08x}"


class _Element(NamedTuple):
    tag: int
    content: bytes


def _elements(data: bytes) -> Iterator[_Element]:
    """What DER bytes hold, one after the other."""
    while data:
        tag, length, start = data[0], data[1], 2
        if length & 0x80:  # as many bytes of length follow
            start += length & 0x7F
            length = int.from_bytes(data[2:start], "big")
        yield _Element(tag, data[start : start + length])
        data = data[start + length :]


def _encoded(tag: int, content: bytes) -> bytes:
    length = len(content)
    if length < 0x80:  # noqa: PLR2004 - the long form begins there
        return bytes([tag, length]) + content
    size = (length.bit_length() + 7) // 8
    return bytes([tag, 0x80 | size]) + length.to_bytes(size, "big") + content


def _comparable(name: bytes) -> bytes:
    """A part of a name as OpenSSL compares it (x509_name_canon): its attributes, in DER's order of a set."""
    attributes = []
    for attribute in _elements(name):
        kind, value = _elements(attribute.content)
        if encoding := _ENCODINGS.get(value.tag):
            value = _Element(_UTF8_STRING, _plain(value.content.decode(encoding).encode()))
        attributes.append(_encoded(attribute.tag, _encoded(*kind) + _encoded(*value)))
    return b"".join(sorted(attributes))


def _plain(text: bytes) -> bytes:
    """ASCII in lower case, without spaces around it, and one where there are several; bytes.split knows ASCII alone."""
    return b" ".join(text.lower().split())
