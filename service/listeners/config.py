"""What the operator may say of every listener: where it listens, who may send, and how much."""

from ipaddress import IPv4Network, IPv6Network, ip_address
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from service.address import Addresses, split_commas

Networks = Annotated[list[IPv4Network | IPv6Network], BeforeValidator(split_commas)]
"""As `10.0.0.0/8` or one address; an environment variable holds them divided by commas."""


class ListenerConfig(BaseModel):
    """Of datagrams and streams alike."""

    model_config = ConfigDict(extra="forbid")

    listen: Addresses = Field(
        default_factory=list, description="Addresses to listen on, as `0.0.0.0:5514`."
    )
    allow: Networks = Field(
        default_factory=list,
        description="Networks that may send, as `10.0.0.0/8`. Empty: everyone.",
    )
    rate_limit: float | None = Field(
        None,
        gt=0,
        description="Messages a second from one address, on average. Over it datagrams are dropped "
        "and connections read more slowly. Empty: no limit.",
    )
    rate_limit_burst: int = Field(
        1000, ge=1, description="Messages above `rate_limit` from one address at once."
    )
    rate_limit_sources: int = Field(
        4096, ge=1, description="Addresses whose rate is remembered; the quietest is forgotten."
    )


class StreamConfig(ListenerConfig):
    """Of every listener with connections."""

    max_connections: int = Field(
        1024, ge=1, description="Open connections per listener; more are closed at once."
    )
    max_connections_per_address: int = Field(
        256, ge=1, description="Open connections from one address; more are closed at once."
    )
    handshake_timeout: float = Field(
        10.0, gt=0, le=600, description="Seconds for the PROXY header and the TLS handshake."
    )
    half_frame_timeout: float = Field(
        60.0,
        gt=0,
        le=86_400,
        description="Seconds a frame may stay unfinished before its connection is closed. A "
        "connection without an unfinished frame may be idle for ever.",
    )
    proxy_protocol_from: Networks = Field(
        default_factory=list,
        description="Proxies: each of their connections must begin with a PROXY protocol header, "
        "version 2, which names the sender. Nobody else may send one.",
    )


def is_within(address: str | None, networks: Networks) -> bool:
    """Whether the address, as `base.peer_ip` writes it, is in one of them."""
    if address is None:
        return False
    parsed = ip_address(address)
    return any(parsed in network for network in networks)
