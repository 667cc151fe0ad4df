"""Secrets and certificates from files, checked before nats-py sees them.

In: paths and values from the settings. Out: what `nats.connect` takes. Files are read here, at
each connect: what was rotated or mounted late is found by the next attempt.
"""

import re
import ssl
from pathlib import Path

import nkeys  # type: ignore[import-untyped]
from nats.aio.client import RawCredentials

_SECRET_MAX_BYTES = 64 * 1024
_CREDS = re.compile(
    r"-----BEGIN NATS USER JWT-----\r?\n.+\r?\n-+END NATS USER JWT-+"
    r"(?s:.*?)-----BEGIN USER NKEY SEED-----\r?\n(?P<seed>.+)\r?\n-+END USER NKEY SEED-+"
)


class CredentialsError(Exception):
    """A secret or certificate cannot be used; the message names setting and file. Show it to the
    operator; the next attempt to connect reads the file again."""


def read_secret(setting: str, file: Path) -> str:
    """Raises `CredentialsError`. Only line ends are cut off: a password may end in a space."""
    text = _read(setting, file).rstrip("\r\n")
    if not text:
        raise CredentialsError(f"nats.{setting}: {file} is empty")
    return text


def checked_seed(setting: str, seed: str) -> str:
    """Raises `CredentialsError`."""
    try:
        nkeys.from_seed(seed.strip().encode()).wipe()
    except (nkeys.NkeysError, ValueError) as error:
        raise CredentialsError(f"nats.{setting}: no NKey seed: {type(error).__name__}") from None
    return seed.strip()


def read_creds(file: Path) -> RawCredentials:
    """Raises `CredentialsError`."""
    text = _read("creds_file", file)
    # nats-py looks for the JWT's first line without end, so a wrong file would hang the process.
    found = _CREDS.search(text)
    if found is None:
        raise CredentialsError(f"nats.creds_file: {file} holds no user JWT with a seed")
    checked_seed(f"creds_file: {file}", found["seed"])
    return RawCredentials(text.replace("\r\n", "\n"))


def tls_context(
    ca_file: Path | None, cert_file: Path | None, key_file: Path | None
) -> ssl.SSLContext:
    """Raises `CredentialsError`."""
    files = {"ca_file": ca_file, "cert_file": cert_file, "key_file": key_file}
    for setting, file in files.items():
        if file is not None:
            _read(setting, file)  # OpenSSL's own errors name no file
    try:
        context = ssl.create_default_context(cafile=ca_file)
    except (ssl.SSLError, OSError) as error:
        raise CredentialsError(f"nats.ca_file: {ca_file}: {error}") from None
    # From 3.13 on Python asks more of certificates than OpenSSL and nats-server do: identifiers of
    # keys (RFC 5280 4.2.1.1), which authorities made by hand leave out.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    if cert_file is not None:
        try:
            # Without a password callback OpenSSL would ask on the terminal.
            context.load_cert_chain(cert_file, key_file, password=_no_password)
        except (ssl.SSLError, OSError, ValueError) as error:
            raise CredentialsError(
                f"nats.cert_file: {cert_file} with key {key_file or 'in the same file'}: {error}"
            ) from None
    return context


def _no_password() -> str:
    raise ValueError("the private key is encrypted")


def _read(setting: str, file: Path) -> str:
    try:
        with file.open("rb") as opened:
            return opened.read(_SECRET_MAX_BYTES).decode("utf-8", "strict")
    except OSError as error:
        raise CredentialsError(f"nats.{setting}: {file}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise CredentialsError(f"nats.{setting}: {file} is not a text file") from None
