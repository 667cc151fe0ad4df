"""The sockets of all workers: the kernel shares out what comes."""

import errno
import socket

import pytest

from service.listeners.inherited import InheritedSockets
from service.settings import Settings, fixed
from service.systemd.sockets import NamedSocket
from service.workers import sockets


def settings(**tables: str) -> Settings:
    return fixed({name: {"listen": [listen]} for name, listen in tables.items()})


def test_each_worker_has_its_own_at_every_address() -> None:
    places = sockets.bind(settings(udp="127.0.0.1:0", relp="[::1]:0"), InheritedSockets(), 3)
    try:
        assert [(place.transport, place.table) for place in places] == [
            ("udp", "udp"),
            ("relp", "relp"),
        ]
        for place in places:
            assert len({place.of(worker) for worker in range(3)}) == 3
            assert {sock.getsockname()[:2] for sock in place.sockets} == {place.address}
            assert place.of(3) is None
        assert places[1].listen == f"[::1]:{places[1].address[1]}"
    finally:
        sockets.close(places)


def test_datagrams_of_one_sender_stay_with_one_worker() -> None:
    place = sockets.bind(settings(udp="127.0.0.1:0"), InheritedSockets(), 4)[0]
    senders = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(16)]
    try:
        for _ in range(3):
            for sender in senders:
                sender.sendto(b"line", place.address)
        takers: dict[tuple[str, int], set[int]] = {}
        for worker, sock in enumerate(place.sockets):
            sock.setblocking(False)
            while True:
                try:
                    _, peer = sock.recvfrom(100)
                except BlockingIOError:
                    break
                takers.setdefault(peer, set()).add(worker)
        assert len(takers) == len(senders)
        assert all(len(workers) == 1 for workers in takers.values())
        assert len(set.union(*takers.values())) > 1
    finally:
        for sock in (*senders, *place.sockets):
            sock.close()


def test_a_socket_that_is_held_for_us_is_shared() -> None:
    stream, datagram = socket.create_server(("127.0.0.1", 0)), socket.socket(type=socket.SOCK_DGRAM)
    datagram.bind(("127.0.0.1", 0))
    addresses = [f"127.0.0.1:{sock.getsockname()[1]}" for sock in (stream, datagram)]
    inherited = InheritedSockets([NamedSocket("tcp", stream), NamedSocket("udp", datagram)])
    udp, tcp = sockets.bind(settings(tcp=addresses[0], udp=addresses[1]), inherited, 2)
    assert (tcp.of(0), tcp.of(1)) == (stream, stream)
    assert (udp.of(0), udp.of(1)) == (datagram, None)
    sockets.close([udp, tcp])


def test_an_address_that_cannot_be_had_is_named_and_nothing_is_held() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        wanted = settings(udp="127.0.0.1:0", tcp=f"127.0.0.1:{port}")
        with pytest.raises(OSError, match=f"tcp 127.0.0.1:{port}") as raised:
            sockets.bind(wanted, InheritedSockets(), 2)
    assert isinstance(raised.value.__cause__, OSError)
    assert raised.value.__cause__.errno == errno.EADDRINUSE


def test_a_name_that_is_none_is_named() -> None:
    with pytest.raises(OSError, match=r"nowhere\.invalid:5514"):
        sockets.bind(settings(tcp="nowhere.invalid:5514"), InheritedSockets(), 2)
