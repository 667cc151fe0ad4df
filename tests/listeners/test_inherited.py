"""Sockets that were bound for us find their listeners, or a reason why not."""

import os
import socket
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from service.listeners.config import ListenerConfig
from service.listeners.inherited import InheritedSockets
from service.systemd.sockets import NamedSocket
from tests.systemd.manager import bound

STREAM, DATAGRAM = socket.SOCK_STREAM, socket.SOCK_DGRAM


def tables(**listen: list[str]) -> dict[str, ListenerConfig]:
    names = ("udp", "tcp", "tls", "relp", "relp_tls")
    return {name: ListenerConfig(listen=listen.get(name, [])) for name in names}


def listening(joined: dict[str, ListenerConfig]) -> dict[str, list[str]]:
    return {name: table.listen for name, table in joined.items() if table.listen}


def text(sock: socket.socket) -> str:
    host, port = sock.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


@pytest.fixture
def sockets() -> Iterator[ExitStack]:
    with ExitStack() as kept:
        yield kept


def test_by_name(sockets: ExitStack) -> None:
    kinds = {
        "udp": DATAGRAM, "tcp": STREAM, "tls": STREAM, "relp": STREAM, "relp-tls": STREAM
    }  # fmt: skip
    made = {name: sockets.enter_context(bound(kind)) for name, kind in kinds.items()}
    six = sockets.enter_context(bound(STREAM, "::1"))
    inherited = InheritedSockets(
        [NamedSocket(name, sock) for name, sock in (*made.items(), ("tcp", six))]
    )
    joined = tables(tcp=["127.0.0.1:1"])
    assert inherited.join(joined) == []
    assert listening(joined) == {
        "udp": [text(made["udp"])],
        "tcp": ["127.0.0.1:1", text(made["tcp"]), text(six)],
        "tls": [text(made["tls"])],
        "relp": [text(made["relp"])],
        "relp_tls": [text(made["relp-tls"])],
    }
    assert inherited.take(STREAM, "127.0.0.1:1") is None
    assert inherited.take(DATAGRAM, text(made["tcp"])) is None
    assert inherited.take(STREAM, "localhost:1") is None
    assert inherited.take(STREAM, text(six)) is six
    assert inherited.take(STREAM, text(six)) is None, "it has been given away"


def test_by_address_whatever_it_is_called(sockets: ExitStack) -> None:
    tcp, udp = (sockets.enter_context(bound(kind)) for kind in (STREAM, DATAGRAM))
    inherited = InheritedSockets(
        [NamedSocket("mailfault.socket", tcp), NamedSocket("mailfault.socket", udp)]
    )
    configured = {"relp": [text(tcp)], "udp": ["localhost:514", text(udp)]}
    joined = tables(**configured)
    assert inherited.join(joined) == []
    assert listening(joined) == configured
    assert inherited.take(STREAM, text(tcp)) is tcp
    again = tables(**configured)
    assert inherited.join(again) == [], "a reload reads the configuration anew"
    assert listening(again) == configured


def test_what_fits_nowhere(sockets: ExitStack) -> None:
    tcp, udp = (sockets.enter_context(bound(kind)) for kind in (STREAM, DATAGRAM))
    known = "set FileDescriptorName= to one of udp, tcp, tls, relp, relp-tls"

    def problems(name: str, sock: socket.socket, **listen: list[str]) -> list[str]:
        found = InheritedSockets([NamedSocket(name, sock)]).join(tables(**listen))
        return [problem.removeprefix(f"descriptor {sock.fileno()}, named ") for problem in found]

    assert problems("unknown", tcp) == [
        f"'unknown': no listener is configured at stream {text(tcp)}; {known}"
    ]
    assert problems("unknown", udp, tcp=[text(udp)]) == [
        f"'unknown': no listener is configured at datagram {text(udp)}; {known}"
    ]
    assert problems("udp", tcp) == [f"'udp': {text(tcp)} is a stream socket"]
    assert problems("relp", udp) == [f"'relp': {text(udp)} is a datagram socket"]
    assert problems("tls", tcp, relp=[text(tcp)]) == [f"'tls': relp.listen has {text(tcp)} already"]

    with socket.socket(socket.AF_INET, STREAM) as silent:
        silent.bind(("127.0.0.1", 0))
        assert problems("tcp", silent) == ["'tcp': it does not listen; its unit needs Accept=no"]
    with tempfile.TemporaryDirectory() as home, socket.socket(socket.AF_UNIX, DATAGRAM) as local:
        local.bind(str(Path(home) / "log"))
        assert problems("udp", local) == ["'udp': not a socket of the Internet"]
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP) as raw:
        assert problems("udp", raw) == ["'udp': neither a stream nor a datagram socket"]


def test_two_of_one_address(sockets: ExitStack) -> None:
    first = sockets.enter_context(bound(DATAGRAM))
    second = sockets.enter_context(socket.socket(fileno=os.dup(first.fileno())))
    inherited = InheritedSockets([NamedSocket("udp", first), NamedSocket("udp", second)])
    (problem,) = inherited.join(tables())
    one, other = (f"descriptor {sock.fileno()}, named 'udp'" for sock in (first, second))
    assert problem == f"{other}: {one}, has the same address"
