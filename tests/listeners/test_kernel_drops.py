"""The kernel's own count of dropped datagrams, from a socket whose buffer is really full."""

import socket

import pytest

from service.listeners.kernel_drops import kernel_drops


@pytest.mark.parametrize(
    ("family", "host"), [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")]
)
def test_counts_what_a_full_buffer_lost(family: socket.AddressFamily, host: str) -> None:
    with (
        socket.socket(family, socket.SOCK_DGRAM) as receiver,
        socket.socket(family, socket.SOCK_DGRAM) as sender,
    ):
        receiver.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        receiver.bind((host, 0))
        assert kernel_drops(receiver) == 0
        for _ in range(100):
            sender.sendto(b"x" * 1000, receiver.getsockname())
        receiver.setblocking(False)
        held = 0
        while True:
            try:
                receiver.recv(2000)
            except BlockingIOError:
                break
            held += 1
        assert kernel_drops(receiver) == 100 - held > 0
