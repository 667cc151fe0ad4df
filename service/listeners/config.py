"""What the operator may say of every listener: where it listens, who may send, and how much."""

from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from service.address import Addresses, split_commas

_MAPPED = IPv6Network("::ffff:0:0/96")
"""IPv4 addresses as IPv6 writes them (RFC 4291 2.5.5.2). `base.peer_ip` gives them as IPv4."""


def _network(value: Any) -> Any:
    """Raises `ValueError`."""
    if not isinstance(value, str):
        return value
    try:
        network = ip_network(value)
    except ValueError:
        raise ValueError(_what_is_wrong_with(value)) from None
    if isinstance(network, IPv6Network) and network.subnet_of(_MAPPED):
        mapped = int(network.network_address) & 0xFFFF_FFFF
        return IPv4Network((mapped, network.prefixlen - _MAPPED.prefixlen))
    return network


def _what_is_wrong_with(value: str) -> str:
    try:
        meant = ip_network(value, strict=False)
    except ValueError:
        return f"{value!r} is no network, as 10.0.0.0/8 or 2001:db8::/32, and no address"
    return f"{value!r} has bits set behind its prefix; the network is {meant}"


Network = Annotated[IPv4Network | IPv6Network, BeforeValidator(_network)]

Networks = Annotated[list[Network], BeforeValidator(split_commas)]
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
        description="Messages a second from one address, on average. Above it datagrams are "
        "dropped and connections read more slowly. Empty: no limit.",
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
