"""Where the board listens, who may see it, how far back it looks and how much it may remember."""

import ipaddress
from pathlib import Path
from typing import Annotated

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    model_validator,
)

from service.address import Address, split_address, split_commas

TOKEN_MIN = 16
"""Characters: what nobody guesses at the rate a web server answers."""


class TokenError(Exception):
    """The file of the token cannot be used: show it to the operator and stop."""


def _network(value: str) -> str:
    try:
        ipaddress.ip_network(value)
    except ValueError:
        raise ValueError(
            f"{value!r} is no address or network, as 192.0.2.5 or 192.0.2.0/24"
        ) from None
    return value


def _host_name(value: str) -> str:
    name = value.lower().rstrip(".")
    if not name or not all(c.isascii() and (c.isalnum() or c in "-._") for c in name):
        raise ValueError(f"{value!r} is no host name; write it without scheme and port")
    return name


def _header_name(value: str) -> str:
    if not value or not all(c.isascii() and (c.isalnum() or c == "-") for c in value):
        raise ValueError(f"{value!r} is no name of an HTTP header")
    return value


class BoardConfig(BaseModel):
    """The live page."""

    model_config = ConfigDict(extra="forbid")

    listen: Address = Field("127.0.0.1:9515", description="Address of the page.")
    token: SecretStr | None = Field(
        None, description="Secret that opens the page; at least 16 characters."
    )
    token_file: Path | None = Field(None, description="File that holds the token.")
    proxy_header: Annotated[str, AfterValidator(_header_name)] | None = Field(
        None, description="Header in which a proxy names the user it let in, as `X-Forwarded-User`."
    )
    proxy_from: Annotated[
        list[Annotated[str, AfterValidator(_network)]], BeforeValidator(split_commas)
    ] = Field(
        default_factory=list,
        description="Addresses or networks of proxies whose `proxy_header` is believed.",
    )
    hosts: Annotated[
        list[Annotated[str, AfterValidator(_host_name)]], BeforeValidator(split_commas)
    ] = Field(
        default_factory=list,
        description="Names the page is asked for by, beside `localhost` and plain addresses.",
    )
    secure_cookie: bool = Field(
        False, description="The cookie goes over HTTPS only: for a proxy that speaks TLS."
    )
    history: float = Field(
        86_400, ge=3600, le=7 * 86_400, description="Seconds the page looks back, at most a week."
    )
    history_events: int = Field(
        500_000, ge=1000, le=50_000_000, description="Events read at the start, at most."
    )
    events: int = Field(
        20_000, ge=100, le=500_000, description="Events in the live list and in stories, at most."
    )
    names: int = Field(
        200,
        ge=10,
        le=10_000,
        description="Names of each kind (causes, domains ...) that are counted in each of the 144 "
        "slices of `history`.",
    )
    waiting: int = Field(
        50_000, ge=100, le=1_000_000, description="Deferred recipients remembered as open."
    )
    waiting_quiet: float = Field(
        21_600,
        ge=60,
        description="Seconds without an attempt after which a deferred recipient is forgotten.",
    )
    mtas: int = Field(1000, ge=1, le=100_000, description="MTAs remembered.")
    silent_after: float = Field(
        900, ge=60, description="Seconds without an event before an MTA can count as silent."
    )
    clients: int = Field(32, ge=1, le=1000, description="Pages open at once.")

    @model_validator(mode="after")
    def _token_is_one_and_long(self) -> "BoardConfig":
        if self.token is not None and self.token_file is not None:
            raise ValueError("give either token or token_file, not both")
        if self.token is not None:
            _check_token(self.token.get_secret_value())
        return self

    @model_validator(mode="after")
    def _proxy_is_whole(self) -> "BoardConfig":
        if (self.proxy_header is None) is not (not self.proxy_from):
            raise ValueError("proxy_header and proxy_from need each other")
        return self

    @model_validator(mode="after")
    def _closed_to_strangers(self) -> "BoardConfig":
        if not self.has_authentication and not _is_loopback(split_address(self.listen)[0]):
            raise ValueError(
                f"{self.listen} can be reached from other hosts, and the page shows addresses of "
                "mail: set token, token_file or proxy_header, or listen on 127.0.0.1"
            )
        return self

    @property
    def has_authentication(self) -> bool:
        return any((self.token, self.token_file, self.proxy_header))

    def read_token(self) -> str | None:
        """None where there is none. Raises `TokenError`."""
        if self.token is not None:
            return self.token.get_secret_value()
        if self.token_file is None:
            return None
        try:
            token = self.token_file.read_text(encoding="utf-8").strip()
            _check_token(token)
        except OSError as error:
            raise TokenError(f"board.token_file: {self.token_file}: {error.strerror}") from None
        except ValueError as error:  # no UTF-8 is one, too
            raise TokenError(f"board.token_file: {self.token_file}: {error}") from None
        return token


def _check_token(token: str) -> None:
    if len(token) < TOKEN_MIN or not token.isascii() or not token.isprintable() or " " in token:
        raise ValueError(f"a token has at least {TOKEN_MIN} characters, ASCII without spaces")


def _is_loopback(host: str) -> bool:
    """A name that only resolves to loopback today is none: names are changed elsewhere."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"
