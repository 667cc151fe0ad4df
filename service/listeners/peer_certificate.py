"""What a peer's certificate says of it, for the decision and for the log.

A hostile peer writes what it likes in there: nothing here raises, and what goes to the log is
short.
"""

from dataclasses import dataclass

from cryptography import x509
from OpenSSL import crypto

_MAX_TEXT = 200
_MAX_NAMES = 8


@dataclass(frozen=True, slots=True)
class PeerCertificate:
    subject: str
    names: tuple[str, ...]
    """DNS names of the certificate; its common names where it has none (RFC 6125 6.4.4)."""
    digest: bytes
    """SHA-256 of the whole certificate."""

    def facts(self) -> dict[str, object]:
        """For the log."""
        return {
            "subject": _shown(self.subject),
            "names": [_shown(name) for name in self.names[:_MAX_NAMES]],
            "fingerprint": "SHA256:" + self.digest.hex(":").upper(),
        }


def _shown(text: str) -> str:
    """No escape sequences for the operator's terminal."""
    return "".join(char if char.isprintable() else "?" for char in text[:_MAX_TEXT])


def read(certificate: crypto.X509) -> PeerCertificate:
    digest = bytes.fromhex(certificate.digest("sha256").decode().replace(":", ""))
    try:
        parsed = certificate.to_cryptography()
        subject = parsed.subject.rfc4514_string()
        names = _dns_names(parsed) or _common_names(parsed)
    except Exception:  # noqa: BLE001  # `InvalidVersion` is no ValueError, and others may follow
        return PeerCertificate("unreadable", (), digest)
    return PeerCertificate(subject, names, digest)


def _dns_names(certificate: x509.Certificate) -> tuple[str, ...]:
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return ()
    return tuple(found.value.get_values_for_type(x509.DNSName))


def _common_names(certificate: x509.Certificate) -> tuple[str, ...]:
    found = certificate.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
    return tuple(str(attribute.value) for attribute in found)
