"""Ports for programs that cannot be asked to take any free one."""

import random
import socket

_FIRST, _LAST = 10_000, 32_000
"""Below those that the kernel gives to connections: until it is taken nobody else gets it."""

_given: set[int] = set()


def free_ports(count: int) -> list[int]:
    """Each once in this process."""
    found: list[int] = []
    while len(found) < count:
        port = random.randrange(_FIRST, _LAST)
        if port not in _given and _is_free(port):
            _given.add(port)
            found.append(port)
    return found


def free_port() -> int:
    return free_ports(1)[0]


def _is_free(port: int) -> bool:
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        with socket.socket(socket.AF_INET, kind) as sock:
            try:
                sock.bind(("127.0.0.1", port))
            except OSError:
                return False
    return True
