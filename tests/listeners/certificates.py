"""Certificates for TLS tests: good, expired, unknown, self-signed, for whatever names."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_DAY = timedelta(days=1)
_SIGNS = x509.KeyUsage(
    digital_signature=False,
    content_commitment=False,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    key_cert_sign=True,
    crl_sign=False,
    encipher_only=False,
    decipher_only=False,
)


@dataclass
class Identity:
    """A certificate and its key, in files."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey = field(repr=False)
    cert_file: Path
    key_file: Path

    @property
    def der(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.DER)

    @property
    def fingerprint(self) -> str:
        return "SHA256:" + self.certificate.fingerprint(hashes.SHA256()).hex(":").upper()


def make(
    home: Path,
    name: str,
    *,
    issuer: Identity | None = None,
    names: list[str] | None = None,
    is_authority: bool = False,
    expired: bool = False,
    server_only: bool = False,
    password: str | None = None,
    names_issuer_key: bool = True,
) -> Identity:
    """Signed by `issuer`, else by itself. `names`: DNS names; None: the name; []: only the CN.
    `names_issuer_key`: Python's own clients ask for it from 3.13 on."""
    home.mkdir(parents=True, exist_ok=True)
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject if issuer is None else issuer.certificate.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - 10 * _DAY)
        .not_valid_after(now - _DAY if expired else now + _DAY)
        .add_extension(x509.BasicConstraints(is_authority, None), critical=True)
    )
    if issuer is not None and names_issuer_key:
        known_by = x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer.key.public_key())
        builder = builder.add_extension(known_by, critical=False)
    if is_authority:
        known_as = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
        builder = builder.add_extension(known_as, critical=False)
        builder = builder.add_extension(_SIGNS, critical=True)
    for_names = [name] if names is None else names
    if for_names and not is_authority:
        alternative = x509.SubjectAlternativeName([x509.DNSName(one) for one in for_names])
        builder = builder.add_extension(alternative, critical=False)
    if server_only:
        usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])
        builder = builder.add_extension(usage, critical=False)
    certificate = builder.sign(key if issuer is None else issuer.key, hashes.SHA256())
    stem = f"{name}-{certificate.serial_number % 10**8}"
    cert_file, key_file = home / f"{stem}.pem", home / f"{stem}.key"
    cert_file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    protection: serialization.KeySerializationEncryption = serialization.NoEncryption()
    if password is not None:
        protection = serialization.BestAvailableEncryption(password.encode())
    key_file.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, protection)
    )
    return Identity(certificate, key, cert_file, key_file)


@dataclass
class Site:
    """An authority, the receiver's certificate and a sender's."""

    home: Path
    authority: Identity
    server: Identity
    client: Identity

    @classmethod
    def build(cls, home: Path) -> "Site":
        authority = make(home, "authority", is_authority=True)
        return cls(
            home,
            authority,
            make(home, "receiver.example.net", issuer=authority),
            make(home, "mx1.example.net", issuer=authority),
        )

    def issue(self, name: str, **how: bool | list[str] | str) -> Identity:
        return make(self.home, name, issuer=self.authority, **how)  # type: ignore[arg-type]
