"""The sockets of all workers, bound by their parent and held as long as it lives.

In: settings, and sockets that a service manager holds. Out: for each worker its own at every
address (SO_REUSEPORT, socket(7)): the kernel gives it a fixed share of the connections, and of the
datagrams by where they come from. A worker that dies leaves its socket here: what the kernel
queues meanwhile is for its successor.
"""

import socket
from collections.abc import Iterator
from dataclasses import dataclass
from socket import SOCK_DGRAM, SOCK_STREAM

from service.address import split_address
from service.listeners.inherited import TABLES, InheritedSockets
from service.listeners.receive_buffer import ask_for_buffer
from service.settings import Settings

_BACKLOG = 1024


@dataclass(frozen=True)
class Place:
    """One address."""

    transport: str
    table: str
    address: tuple[str, int]
    sockets: tuple[socket.socket, ...]
    """By the number of the worker. One that a service manager bound is the same for all."""

    @property
    def listen(self) -> str:
        host, port = self.address
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

    def of(self, worker: int) -> socket.socket | None:
        return self.sockets[worker] if worker < len(self.sockets) else None


def bind(settings: Settings, inherited: InheritedSockets, count: int) -> list[Place]:
    """Raises `OSError` that names the address which cannot be had; then none is held."""
    places: list[Place] = []
    try:
        for transport, table in TABLES.items():
            for listen in getattr(settings, table).listen:
                places += _places(settings, inherited, transport, table, listen, count)
    except BaseException:
        close(places)
        raise
    return places


def close(places: list[Place]) -> None:
    for place in places:
        for sock in place.sockets:
            sock.close()


def loopback() -> socket.socket:
    """For a worker's metrics and health, which only its parent asks for."""
    return socket.create_server(("127.0.0.1", 0))


def _places(
    settings: Settings,
    inherited: InheritedSockets,
    transport: str,
    table: str,
    listen: str,
    count: int,
) -> Iterator[Place]:
    kind = SOCK_DGRAM if transport == "udp" else SOCK_STREAM
    held = inherited.take(kind, listen)
    if held is not None:
        # It cannot be multiplied. Workers take turns in accepting; datagrams go to the first.
        sockets = (held,) if kind == SOCK_DGRAM else (held,) * count
        yield Place(transport, table, held.getsockname()[:2], sockets)
        return
    host, port = split_address(listen)
    buffer = settings.udp.receive_buffer_bytes if kind == SOCK_DGRAM else None
    for family, address in _resolved(listen, host, port, kind):
        bound: list[socket.socket] = []
        try:
            for _ in range(count):
                bound.append(_bound(family, kind, address, buffer))
                address = bound[0].getsockname()
        except OSError as error:
            for sock in bound:
                sock.close()
            raise OSError(f"{transport} {host}:{port}: {error}") from error
        yield Place(transport, table, address[:2], tuple(bound))


def _resolved(
    listen: str, host: str, port: int, kind: socket.SocketKind
) -> list[tuple[socket.AddressFamily, tuple[str, int]]]:
    try:
        found = socket.getaddrinfo(host, port, type=kind, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError) as error:  # UnicodeError: no host name can be like this
        raise OSError(f"{listen}: {error}") from error
    places = dict.fromkeys((family, address) for family, _, _, _, address in found)
    # As a listener alone does it: UDP has one, and a free port is one of one address.
    wanted = list(places)[: 1 if kind == SOCK_DGRAM or port == 0 else None]
    return wanted  # type: ignore[return-value]  # IPv6 addresses have two more members


def _bound(
    family: socket.AddressFamily,
    kind: socket.SocketKind,
    address: tuple[str, int],
    buffer: int | None,
) -> socket.socket:
    sock = socket.socket(family, kind)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if kind == SOCK_STREAM:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        if buffer is not None:
            ask_for_buffer(sock, buffer)
        sock.bind(address)
        if kind == SOCK_STREAM:
            sock.listen(_BACKLOG)
    except BaseException:
        sock.close()
        raise
    return sock
