"""Who we are to the server: settings to the keyword arguments of nats-py's `connect`.

Secret files and certificates are read here, at each connect: what was rotated or mounted late is
found by the next attempt.
"""

import re
import ssl
from pathlib import Path
from typing import Any

from nats.aio.client import RawCredentials
from pydantic import SecretStr

from service.nats.config import NatsConfig

_SECRET_MAX_BYTES = 64 * 1024
_CREDS = re.compile(
    r"-----BEGIN NATS USER JWT-----\r?\n.+\r?\n-+END NATS USER JWT-+"
    r"(?s:.*?)-----BEGIN USER NKEY SEED-----\r?\n.+\r?\n-+END USER NKEY SEED-+"
)


class CredentialError(Exception):
    """A secret or certificate cannot be used; the message names setting and file. Show it to the
    operator; the next attempt to connect reads the file again."""


def credentials(config: NatsConfig) -> dict[str, Any]:
    """Raises `CredentialError`."""
    options: dict[str, Any] = {}
    if config.user is not None:
        options["user"] = config.user
        options["password"] = _secret("password", config.password, config.password_file)
    elif config.token is not None or config.token_file is not None:
        options["token"] = _secret("token", config.token, config.token_file)
    elif config.nkey_seed is not None or config.nkey_seed_file is not None:
        options["nkeys_seed_str"] = _secret("nkey_seed", config.nkey_seed, config.nkey_seed_file)
    elif config.creds_file is not None:
        options["user_credentials"] = RawCredentials(_creds(config.creds_file))
    if config.ca_file or config.cert_file or any(s.startswith("tls:") for s in config.servers):
        options["tls"] = _tls(config)
    return options


def _secret(field: str, value: SecretStr | None, file: Path | None) -> str:
    if value is not None:
        return value.get_secret_value()
    assert file is not None  # noqa: S101  (one of the two, by validation)
    text = _read(f"{field}_file", file).strip()
    if not text:
        raise CredentialError(f"nats.{field}_file: {file} is empty")
    return text


def _creds(file: Path) -> str:
    text = _read("creds_file", file)
    # nats-py looks for the JWT's first line without end, so a wrong file would hang the process.
    if not _CREDS.search(text):
        raise CredentialError(f"nats.creds_file: {file} holds no user JWT with a seed")
    return text.replace("\r\n", "\n")


def _tls(config: NatsConfig) -> ssl.SSLContext:
    for field in ("ca_file", "cert_file", "key_file"):
        if (file := getattr(config, field)) is not None:
            _read(field, file)  # OpenSSL's own errors name no file
    try:
        context = ssl.create_default_context(cafile=config.ca_file)
    except (ssl.SSLError, OSError) as error:
        raise CredentialError(f"nats.ca_file: {config.ca_file}: {error}") from None
    if config.cert_file is not None:
        try:
            # Without a password callback OpenSSL would ask on the terminal.
            context.load_cert_chain(config.cert_file, config.key_file, password=_no_password)
        except (ssl.SSLError, OSError, ValueError) as error:
            raise CredentialError(
                f"nats.cert_file: {config.cert_file} with key "
                f"{config.key_file or 'in the same file'}: {error}"
            ) from None
    return context


def _no_password() -> str:
    raise ValueError("the private key is encrypted")


def _read(field: str, file: Path) -> str:
    try:
        with file.open("rb") as opened:
            return opened.read(_SECRET_MAX_BYTES).decode("utf-8", "strict")
    except OSError as error:
        raise CredentialError(f"nats.{field}: {file}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise CredentialError(f"nats.{field}: {file} is not a text file") from None
