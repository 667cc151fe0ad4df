"""Which listener gets which of the sockets that a service manager holds for us.

A socket at the address of a configured listener takes the place of the one it would bind. Another
goes by its name to the table of that transport, as one address more. What fits nowhere is refused:
a socket that nobody reads would swallow lines.
"""

import socket
from collections.abc import Mapping, Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import NamedTuple

from service.address import split_address
from service.listeners.config import ListenerConfig
from service.systemd.sockets import NamedSocket

TABLES = {"udp": "udp", "tcp": "tcp", "tls": "tls", "relp": "relp", "relp-tls": "relp_tls"}
"""The table of settings for each name that a socket may have."""

_WORDS = {socket.SOCK_DGRAM: "datagram", socket.SOCK_STREAM: "stream"}


class _Place(NamedTuple):
    kind: int
    ip: IPv4Address | IPv6Address
    port: int


class InheritedSockets:
    def __init__(
        self, sockets: Sequence[NamedSocket] = (), http: socket.socket | None = None
    ) -> None:
        """`http`: for metrics and health, listening; of a worker."""
        self.http = http
        self._problems: list[str] = []
        self._placed: dict[_Place, NamedSocket] = {}
        for named in sockets:
            place = _place(named.sock)
            if isinstance(place, str):
                self._problems.append(f"{named}: {place}")
            elif place in self._placed:
                self._problems.append(f"{named}: {self._placed[place]}, has the same address")
            else:
                self._placed[place] = named
        self._left = {place: named.sock for place, named in self._placed.items()}

    def join(self, tables: Mapping[str, ListenerConfig]) -> list[str]:
        """Each socket to its table of settings, where its address is added if it is not in it.
        Returns what is wrong. A reload joins the same sockets again, with other tables."""
        joined = ((named, _join(named, place, tables)) for place, named in self._placed.items())
        return [
            *self._problems,
            *(f"{named}: {problem}" for named, problem in joined if problem is not None),
        ]

    def take(self, kind: socket.SocketKind, listen: str) -> socket.socket | None:
        """The socket at this address, bound and, of a stream, listening. None: bind one."""
        wanted = _configured(kind, listen)
        return None if wanted is None else self._left.pop(wanted, None)


def _join(named: NamedSocket, place: _Place, tables: Mapping[str, ListenerConfig]) -> str | None:
    address = f"[{place.ip}]:{place.port}" if place.ip.version == 6 else f"{place.ip}:{place.port}"
    homes = [
        name
        for name, table in TABLES.items()
        if place in (_configured(_kind(name), listen) for listen in tables[table].listen)
    ]
    if not homes:
        if named.name not in TABLES:
            return (
                f"no listener is configured at {_WORDS[socket.SocketKind(place.kind)]} {address}; "
                f"set FileDescriptorName= to one of {', '.join(TABLES)}"
            )
        if _kind(named.name) != place.kind:
            return f"{address} is a {_WORDS[socket.SocketKind(place.kind)]} socket"
        tables[TABLES[named.name]].listen.append(address)
    elif named.name in TABLES and named.name not in homes:
        return f"{TABLES[homes[0]]}.listen has {address} already"
    return None


def _place(sock: socket.socket) -> _Place | str:
    """Where it is bound, or why it cannot be used."""
    if sock.family not in (socket.AF_INET, socket.AF_INET6):
        return "not a socket of the Internet"
    if sock.type not in _WORDS:
        return "neither a stream nor a datagram socket"
    if sock.type == socket.SOCK_STREAM and not sock.getsockopt(
        socket.SOL_SOCKET, socket.SO_ACCEPTCONN
    ):
        return "it does not listen; its unit needs Accept=no"
    host, port = sock.getsockname()[:2]
    return _Place(sock.type, ip_address(host), port)


def _configured(kind: socket.SocketKind, listen: str) -> _Place | None:
    """None of a host name: which addresses it has is not for us to guess here."""
    host, port = split_address(listen)
    try:
        return _Place(kind, ip_address(host), port)
    except ValueError:
        return None


def _kind(name: str) -> socket.SocketKind:
    return socket.SOCK_DGRAM if name == "udp" else socket.SOCK_STREAM
