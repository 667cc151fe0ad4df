"""The kernel's buffer of a UDP socket: how much may wait there while the process does other work.

In: a socket and a size in bytes. Out: the socket, with that or what the kernel allows.
"""

import contextlib
import socket

_SO_RCVBUFFORCE = 33
"""socket(7), for who has CAP_NET_ADMIN: beyond `net.core.rmem_max`. Python has no name for it."""


def ask_for_buffer(sock: socket.socket, size: int) -> None:
    """Without the right to go beyond `net.core.rmem_max` the kernel grants at most that."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, size)
    if granted_buffer(sock) < size:
        with contextlib.suppress(OSError):
            sock.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, size)


def granted_buffer(sock: socket.socket) -> int:
    """Bytes; the kernel doubles what it grants for its own bookkeeping (socket(7))."""
    return sock.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) // 2
