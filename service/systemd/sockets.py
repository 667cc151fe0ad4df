"""Sockets that systemd bound for us, and holds while we are away (sd_listen_fds(3)).

In: `LISTEN_PID`, `LISTEN_FDS` and `LISTEN_FDNAMES`. Out: the sockets from descriptor 3 on, each
with its name. What the kernel queues on them between two lives of this process is not lost.
"""

import os
import socket
from collections.abc import MutableMapping
from typing import NamedTuple

FIRST = 3
"""SD_LISTEN_FDS_START: after stdin, stdout and stderr."""
MAX_SOCKETS = 1024
"""Far more than anybody has listeners; what claims more is broken."""

_UNNAMED = "unknown"
"""What systemd itself calls a socket without `FileDescriptorName=`."""
_VARIABLES = ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES")


class SocketsError(Exception):
    """What was handed to us cannot be used: tell the operator and exit with 78."""


class NamedSocket(NamedTuple):
    name: str
    """`FileDescriptorName=` of its unit; of the unit itself where it says none."""
    sock: socket.socket

    def __str__(self) -> str:
        return f"descriptor {self.sock.fileno()}, named {self.name!r}"


def take(environ: MutableMapping[str, str] = os.environ) -> list[NamedSocket]:
    """Once, and before any child is started: neither the variables nor the descriptors are for
    children. Raises `SocketsError`."""
    pid, number, names = (environ.pop(variable, "") for variable in _VARIABLES)
    if pid != str(os.getpid()):
        return []  # none, or somebody else's
    if not number.isascii() or not number.isdigit() or int(number) > MAX_SOCKETS:
        raise SocketsError(f"LISTEN_FDS={number!r} is not a number of sockets")
    count = int(number)
    named = names.split(":") if names else [_UNNAMED] * count
    if len(named) != count:
        raise SocketsError(f"LISTEN_FDNAMES has {len(named)} names for {count} sockets")
    return [_open(FIRST + place, name) for place, name in enumerate(named)]


def _open(descriptor: int, name: str) -> NamedSocket:
    try:
        os.set_inheritable(descriptor, False)
        # A socket of its own accord finds out what the descriptor is: family, type and protocol.
        sock = socket.socket(fileno=descriptor)
    except OSError as error:
        raise SocketsError(f"descriptor {descriptor}, named {name!r}: {error.strerror}") from None
    sock.setblocking(False)
    return NamedSocket(name, sock)
