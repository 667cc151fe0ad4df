"""From settings to what OpenSSL needs: our certificate, and how a client's is judged.

pyOpenSSL and not the standard library: `ssl` either verifies a client's certificate by its chain
or does not ask for one, so that a self-signed certificate permitted by its fingerprint cannot be
let in; and it does not show the certificate that it refused, which an operator must see.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from OpenSSL import SSL, crypto

from service.core.outcomes import Refusal
from service.listeners import peer_certificate, peers
from service.listeners.peer_certificate import PeerCertificate
from service.listeners.tls_config import TlsStreamConfig

_MAX_FILE_BYTES = 1024 * 1024
_CIPHERS_TLS12 = b"ECDHE+AESGCM:ECDHE+CHACHA20:DHE+AESGCM"
"""Forward secrecy and authenticated encryption only (RFC 9325 4.2, RFC 9662 4)."""


class TlsError(Exception):
    """The settings or files of a TLS listener cannot be used; the message names both. At start:
    stop, and tell the operator; at a reload: go on with what was there."""


class Judgement:
    """What was found wrong with one client's certificate while its handshake ran."""

    def __init__(self) -> None:
        self.refusal: Refusal | None = None
        self.facts: dict[str, object] = {}

    def refuse(self, reason: Refusal, certificate: PeerCertificate, detail: str) -> None:
        self.refusal = reason
        self.facts = {"detail": detail, **certificate.facts()}


@dataclass(frozen=True, slots=True)
class Identity:
    """What a new connection begins with."""

    context: SSL.Context
    expires: datetime
    """The end of our own certificate."""


class ServerTls:
    """Holds the context new connections begin with; those that are open keep theirs."""

    def __init__(self, config: TlsStreamConfig) -> None:
        """Raises `TlsError`."""
        self._identity = prepare(config)

    @property
    def context(self) -> SSL.Context:
        return self._identity.context

    @property
    def expires(self) -> datetime:
        return self._identity.expires

    def swap(self, identity: Identity) -> None:
        self._identity = identity


def prepare(config: TlsStreamConfig) -> Identity:
    """Raises `TlsError`."""
    context = SSL.Context(SSL.TLS_SERVER_METHOD)
    context.set_min_proto_version(SSL.TLS1_2_VERSION)
    context.set_cipher_list(_CIPHERS_TLS12)
    # No resumption: each connection shows its certificate and has it judged.
    context.set_options(SSL.OP_NO_RENEGOTIATION | SSL.OP_NO_TICKET | SSL.OP_NO_COMPRESSION)
    context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
    context.set_mode(SSL.MODE_RELEASE_BUFFERS)  # idle connections hold no record buffers
    expires = _load_identity(context, config)
    if config.ca_file is not None:
        _load_authorities(context, config.ca_file)
    if config.auth_mode != "anon":
        context.set_verify(SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT, _verifier(config))
    return Identity(context, expires)


def _load_identity(context: SSL.Context, config: TlsStreamConfig) -> datetime:
    if config.cert_file is None or config.key_file is None:
        raise TlsError("cert_file and key_file are needed")
    chain = _read("cert_file", config.cert_file)
    key_bytes = _read("key_file", config.key_file)
    try:
        certificate = x509.load_pem_x509_certificate(chain)
        context.use_certificate_chain_file(str(config.cert_file))
    except (ValueError, SSL.Error) as error:
        raise TlsError(f"cert_file: {config.cert_file}: no certificate: {words(error)}") from None
    try:
        key = load_pem_private_key(key_bytes, _password(config))
        context.use_privatekey(key)  # type: ignore[arg-type]  # another kind: an error it raises
        context.check_privatekey()
    except (ValueError, TypeError, SSL.Error) as error:
        raise TlsError(
            f"key_file: {config.key_file}: no key of {config.cert_file}: {words(error)}"
        ) from None
    return certificate.not_valid_after_utc


def _password(config: TlsStreamConfig) -> bytes | None:
    if config.key_password_file is not None:
        return _read("key_password_file", config.key_password_file).rstrip(b"\r\n")
    if config.key_password is not None:
        return config.key_password.get_secret_value().encode()
    return None


def _load_authorities(context: SSL.Context, ca_file: Path) -> None:
    _read("ca_file", ca_file)  # OpenSSL's own errors name no file
    try:
        context.load_verify_locations(str(ca_file))
        context.load_client_ca(str(ca_file).encode())
    except SSL.Error as error:
        raise TlsError(f"ca_file: {ca_file}: no certificates: {words(error)}") from None
    # Whoever is named there vouches, an intermediate authority too, as with GnuTLS in rsyslog.
    store = context.get_cert_store()
    if store is not None:
        store.set_flags(crypto.X509StoreFlags.PARTIAL_CHAIN)


_Verifier = Callable[[SSL.Connection, crypto.X509, int, int, int], bool]


def _verifier(config: TlsStreamConfig) -> _Verifier:
    """Asked by OpenSSL for each certificate of a client's chain, and each fault found in it."""
    by_fingerprint = config.auth_mode == "x509/fingerprint"
    digests = {peers.fingerprint(peer) for peer in config.permitted_peers if by_fingerprint}
    by_name = config.auth_mode == "x509/name"
    names = peers.PermittedNames(config.permitted_peers if by_name else [])

    def verify(
        connection: SSL.Connection, shown: crypto.X509, error: int, depth: int, ok: int
    ) -> bool:
        judgement: Judgement = connection.get_app_data()
        if by_fingerprint:
            if depth:
                return True  # the chain is not asked: the certificate itself is what is permitted
            certificate = peer_certificate.read(shown)
            if certificate.digest in digests:
                return True
            judgement.refuse(Refusal.PEER_NOT_PERMITTED, certificate, "fingerprint not permitted")
            return False
        if not ok:
            detail = _VERIFY_ERRORS.get(error, f"verification error {error}")
            judgement.refuse(Refusal.BAD_CERTIFICATE, peer_certificate.read(shown), detail)
            return False
        if by_name and not depth:
            certificate = peer_certificate.read(shown)
            if not names.permits(certificate.names):
                judgement.refuse(Refusal.PEER_NOT_PERMITTED, certificate, "name not permitted")
                return False
        return True

    return verify


_VERIFY_ERRORS = {
    7: "not signed by the issuer of that name in ca_file",
    9: "not yet valid",
    10: "expired",
    18: "self-signed",
    19: "self-signed authority in the chain that is not in ca_file",
    20: "issuer not in ca_file",
    21: "issuer not in ca_file",
    22: "chain too long",
    23: "revoked",
    24: "issuer is no authority",
    25: "chain longer than its authority allows",
    26: "not for TLS clients (extended key usage)",
    28: "not trusted",
    32: "issuer may not sign certificates",
    66: "key too weak",
    67: "authority's key too weak",
    68: "signature too weak",
    79: "issuer is no authority",
}
"""X509_verify_cert_error_string(3), in the operator's words."""


def words(error: Exception) -> str:
    """What OpenSSL says, without its places in the source."""
    found = error.args[0] if error.args else ""
    if isinstance(found, list):
        return "; ".join(str(item[-1]) for item in found) or type(error).__name__
    return str(found) or type(error).__name__


def _read(setting: str, file: Path) -> bytes:
    try:
        with file.open("rb") as opened:
            return opened.read(_MAX_FILE_BYTES)
    except OSError as error:
        raise TlsError(f"{setting}: {file}: {error.strerror}") from None
