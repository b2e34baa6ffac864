"""router.coldstart.tls and layer/ca_directory.py: the context trusts exactly the authorities of the bundle."""

import datetime as dt
import ssl
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path

import certifi
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.name import _ASN1Type
from cryptography.x509.oid import NameOID

from layer.ca_directory import write_ca_directory
from router.coldstart import tls

NOW = dt.datetime.now(dt.UTC)
KEY = ec.generate_private_key(ec.SECP256R1())
ORGANIZATION, UNIT, COMMON = NameOID.ORGANIZATION_NAME, NameOID.ORGANIZATIONAL_UNIT_NAME, NameOID.COMMON_NAME
PEM = serialization.Encoding.PEM


def attribute(
    oid: x509.ObjectIdentifier, value: str, kind: _ASN1Type = _ASN1Type.UTF8String
) -> x509.NameAttribute[str]:
    return x509.NameAttribute(oid, value, kind)


BUNDLE = Path(certifi.where()).read_bytes()
with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # one has a serial number that is no longer allowed
    CERTIFI = [
        load_pem_x509_certificate.subject for load_pem_x509_certificate in x509.load_pem_x509_certificates(BUNDLE)
    ]
IDENTIFIER = x509.SubjectKeyIdentifier.from_public_key(KEY.public_key())
AUTHORITY = x509.Name([attribute(COMMON, "Tests")])


def authority(name: x509.Name = AUTHORITY, *, ended: bool = False) -> bytes:
    """PEM of an authority that signs with `KEY`."""
    usage = x509.KeyUsage(False, False, False, False, False, True, True, False, False)  # noqa: FBT003
    return _signed(name, name, [(IDENTIFIER, False), (usage, True)], ca=True, ended=ended)


def certificate(issuer: x509.Name = AUTHORITY, *, ended: bool = False) -> bytes:
    """PEM of a certificate for `localhost` that is signed with `KEY` and names this issuer."""
    names = x509.SubjectAlternativeName([x509.DNSName("localhost")])
    by = x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(IDENTIFIER)
    extensions = [(names, False), (by, False)]
    return _signed(x509.Name([attribute(COMMON, "localhost")]), issuer, extensions, ca=False, ended=ended)


def _signed(
    subject: x509.Name,
    issuer: x509.Name,
    extensions: Sequence[tuple[x509.ExtensionType, bool]],
    *,
    ca: bool,
    ended: bool,
) -> bytes:
    builder = x509.CertificateBuilder(issuer, subject, KEY.public_key(), x509.random_serial_number())
    builder = builder.not_valid_before(NOW - dt.timedelta(days=1))
    builder = builder.not_valid_after(NOW + dt.timedelta(hours=-1 if ended else 1))
    for extension, critical in [(x509.BasicConstraints(ca=ca, path_length=None), True), *extensions]:
        builder = builder.add_extension(extension, critical)
    return builder.sign(KEY, hashes.SHA256()).public_bytes(PEM)


def verified(served: bytes, context: ssl.SSLContext, directory: Path, host: str = "localhost") -> str:
    """The error of a client that is served this certificate; "" if it accepts it."""
    private = KEY.private_bytes(PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (directory / "server.pem").write_bytes(private + served)
    at_server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    at_server.load_cert_chain(directory / "server.pem")
    up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
    server = at_server.wrap_bio(up, down, server_side=True)
    client = context.wrap_bio(down, up, server_hostname=host)
    for side in (client, server, client):
        try:
            side.do_handshake()
        except ssl.SSLWantReadError:
            continue
        except ssl.SSLCertVerificationError as error:
            return error.verify_message
    return ""


def layer_of(bundle: bytes, place: Path, monkeypatch: pytest.MonkeyPatch) -> ssl.SSLContext:
    """The context of a process that finds the bundle in the layer, as a directory."""
    (place / "bundle.pem").write_bytes(bundle)
    write_ca_directory(place / "bundle.pem", place / tls.CERTIFICATES)
    (place / "bundle.pem").unlink()
    monkeypatch.syspath_prepend(str(place))
    return tls.context()


@pytest.fixture(autouse=True)
def _fresh() -> Iterator[None]:
    """Each test starts without a loaded context, as a cold start does."""
    tls._load.cache_clear()  # noqa: SLF001
    yield
    tls._load.cache_clear()  # noqa: SLF001


@pytest.mark.parametrize(
    ("served", "host", "said"),
    [
        (certificate(), "localhost", ""),
        (certificate(), "elsewhere", "Hostname mismatch, certificate is not valid for 'elsewhere'."),
        (certificate(ended=True), "localhost", "certificate has expired"),
        (
            certificate(issuer=x509.Name([attribute(COMMON, "Unknown")])),
            "localhost",
            "unable to get local issuer certificate",
        ),
    ],
)
def test_only_certificates_signed_by_an_authority_of_the_directory_are_accepted(
    served: bytes, host: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = BUNDLE + authority()
    assert verified(served, layer_of(bundle, tmp_path, monkeypatch), tmp_path, host) == said


def test_an_expired_authority_is_not_trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    context = layer_of(authority(ended=True), tmp_path, monkeypatch)
    assert verified(certificate(), context, tmp_path) == "certificate has expired"


def test_every_authority_of_certifi_is_found_by_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The tests cannot sign for certifi's authorities, so the directory has others of the same names."""
    context = layer_of(b"".join(authority(name) for name in CERTIFI), tmp_path, monkeypatch)
    assert [name for name in CERTIFI if verified(certificate(name), context, tmp_path)] == []


KINDS = [_ASN1Type.PrintableString, _ASN1Type.T61String, _ASN1Type.IA5String, _ASN1Type.BMPString]


@pytest.mark.parametrize(
    "names",
    [
        *([[attribute(COMMON, " Some  CA of Yours  ", kind)]] for kind in KINDS),
        [[attribute(COMMON, "Zürich", _ASN1Type.T61String)]],
        [[attribute(ORGANIZATION, "Zürich Ü  Ä"), attribute(UNIT, "b"), attribute(COMMON, "A")]],
        [[attribute(ORGANIZATION, "shorter      without       spaces"), attribute(UNIT, "shorter with them though")]],
        [
            [attribute(UNIT, "\tb\n\r c ")],
            [attribute(ORGANIZATION, "Größe 東京 " * 30)],
            [attribute(COMMON, "ÀÉ\u3000space")],
        ],
        [[attribute(NameOID.DN_QUALIFIER, "12 3", _ASN1Type.NumericString)], [attribute(COMMON, "number")]],
    ],
)
def test_an_authority_is_found_whatever_its_name(
    names: list[list[x509.NameAttribute[str]]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """OpenSSL normalises case, spaces and the type of string before it hashes a name."""
    name = x509.Name([x509.RelativeDistinguishedName(name) for name in names])
    context = layer_of(authority(name), tmp_path, monkeypatch)
    assert verified(certificate(issuer=name), context, tmp_path) == ""


def test_authorities_of_the_same_name_get_numbered_files(tmp_path: Path) -> None:
    shared = authority() + authority()
    (tmp_path / "bundle.pem").write_bytes(shared)
    write_ca_directory(tmp_path / "bundle.pem", tmp_path / "directory")
    first, second = sorted((tmp_path / "directory").iterdir())
    assert (first.suffix, second.suffix, first.stem) == (".0", ".1", second.stem)
    assert first.read_bytes() + second.read_bytes() == shared


def test_without_the_layer_certifi_s_file_is_loaded() -> None:
    assert len(tls.context().get_ca_certs()) == len(CERTIFI)


def test_a_configured_bundle_replaces_that_of_the_layer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    named = tmp_path / "named.pem"
    named.write_bytes(authority())
    layer_of(BUNDLE, tmp_path, monkeypatch)
    assert verified(certificate(), tls.context(str(named)), tmp_path) == ""
