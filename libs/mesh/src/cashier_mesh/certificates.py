"""Makes the development authority and the certificates by which the parties know each other."""

import datetime as dt
import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from cashier_mesh.private_files import write_private

TRUST_DOMAIN = "cashier.local"
AUTHORITY_LIFETIME = dt.timedelta(days=365)
LEAF_LIFETIME = dt.timedelta(days=30)
RENEW_BEFORE = LEAF_LIFETIME / 2  # renewed at a start, so a mesh may stay up for two weeks
CLOCK_SKEW = dt.timedelta(minutes=5)
ORGANIZATION = "Cashier development"


@dataclass(frozen=True)
class Credentials:
    """The three files that one party needs for mTLS, and the name that others know it by."""

    uri: str
    certificate: Path
    private_key: Path
    authority: Path


def service_uri(name: str) -> str:
    """Return the identity of a service of the mesh."""
    return f"spiffe://{TRUST_DOMAIN}/service/{name}"


def client_uri(name: str) -> str:
    """Return the identity of a caller from outside the mesh."""
    return f"spiffe://{TRUST_DOMAIN}/client/{name}"


class DevelopmentAuthority:
    """An authority in one folder; whatever is missing, foreign or near its end is made anew."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.certificate_file = folder / "authority.pem"
        self._key_file = folder / "authority.key"
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._key, self._certificate = self._load() or self._make()

    def service(self, name: str) -> Credentials:
        """Return the certificate of a service: it may serve on loopback, and call."""
        return self._credentials(f"service-{name}", service_uri(name), serves=True)

    def client(self, name: str) -> Credentials:
        """Return the certificate of a caller: it may call and never serve."""
        return self._credentials(f"client-{name}", client_uri(name), serves=False)

    def issue(self, services: Iterable[str], clients: Iterable[str]) -> dict[str, Credentials]:
        """Return the credentials of all these parties by their URI."""
        issued = [self.service(name) for name in services] + [self.client(name) for name in clients]
        return {credentials.uri: credentials for credentials in issued}

    def _credentials(self, stem: str, uri: str, *, serves: bool) -> Credentials:
        files = Credentials(
            uri=uri,
            certificate=self.folder / f"{stem}.pem",
            private_key=self.folder / f"{stem}.key",
            authority=self.certificate_file,
        )
        if not self._still_good(files):
            key = ec.generate_private_key(ec.SECP256R1())
            certificate = self._leaf(key.public_key(), stem, uri, serves=serves)
            write_private(files.private_key, _key_pem(key))
            write_private(files.certificate, certificate.public_bytes(serialization.Encoding.PEM))
        return files

    def _still_good(self, files: Credentials) -> bool:
        try:
            certificate = x509.load_pem_x509_certificate(files.certificate.read_bytes())
            key = _load_key(files.private_key)
        except (FileNotFoundError, ValueError):
            return False
        try:
            certificate.verify_directly_issued_by(self._certificate)
        except Exception:  # noqa: BLE001 - of another authority, for whatever reason
            return False
        return certificate.public_key() == key.public_key() and _lasts(certificate, RENEW_BEFORE)

    def _leaf(
        self, public_key: ec.EllipticCurvePublicKey, name: str, uri: str, *, serves: bool
    ) -> x509.Certificate:
        names: list[x509.GeneralName] = [x509.UniformResourceIdentifier(uri)]
        usages = [ExtendedKeyUsageOID.CLIENT_AUTH]
        if serves:
            names += [x509.DNSName("localhost")]
            names += [x509.IPAddress(ipaddress.IPv4Address("127.0.0.1"))]
            usages += [ExtendedKeyUsageOID.SERVER_AUTH]
        issuer = x509.SubjectKeyIdentifier.from_public_key(self._key.public_key())
        return (
            _builder(name, LEAF_LIFETIME)
            .issuer_name(self._certificate.subject)
            .public_key(public_key)
            .add_extension(x509.SubjectAlternativeName(names), critical=False)
            .add_extension(x509.ExtendedKeyUsage(usages), critical=False)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_key_usage(signs_certificates=False), critical=True)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(issuer),
                critical=False,
            )
            .sign(self._key, hashes.SHA256())
        )

    def _load(self) -> tuple[ec.EllipticCurvePrivateKey, x509.Certificate] | None:
        try:
            key = _load_key(self._key_file)
            certificate = x509.load_pem_x509_certificate(self.certificate_file.read_bytes())
        except (FileNotFoundError, ValueError):
            return None
        same = certificate.public_key() == key.public_key()
        # It must outlive every leaf that it signs.
        return (key, certificate) if same and _lasts(certificate, LEAF_LIFETIME) else None

    def _make(self) -> tuple[ec.EllipticCurvePrivateKey, x509.Certificate]:
        key = ec.generate_private_key(ec.SECP256R1())
        builder = _builder("authority", AUTHORITY_LIFETIME)
        certificate = (
            builder.issuer_name(_subject("authority"))
            .public_key(key.public_key())
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_key_usage(signs_certificates=True), critical=True)
            .add_extension(
                x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False
            )
            .sign(key, hashes.SHA256())
        )
        write_private(self._key_file, _key_pem(key))
        pem = certificate.public_bytes(serialization.Encoding.PEM)
        write_private(self.certificate_file, pem)
        return key, certificate


def _builder(name: str, lifetime: dt.timedelta) -> x509.CertificateBuilder:
    now = _now()
    return (
        x509.CertificateBuilder()
        .subject_name(_subject(name))
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - CLOCK_SKEW)
        .not_valid_after(now + lifetime)
    )


def _subject(name: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, ORGANIZATION),
            x509.NameAttribute(NameOID.COMMON_NAME, name),
        ]
    )


def _key_usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def _load_key(path: Path) -> ec.EllipticCurvePrivateKey:
    key = serialization.load_pem_private_key(path.read_bytes(), password=None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise ValueError(f"{path} holds no elliptic-curve key")  # noqa: TRY004 - as if unreadable
    return key


def _lasts(certificate: x509.Certificate, at_least: dt.timedelta) -> bool:
    return certificate.not_valid_after_utc - _now() > at_least


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)
