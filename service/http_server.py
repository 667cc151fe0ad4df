"""uvicorn as a part of a larger program: bound before it serves, stopped by whoever started it."""

import contextlib
import socket
from collections.abc import Iterator

import uvicorn


class HttpServer(uvicorn.Server):
    """`should_exit = True` ends `serve` soon after, even if it has not begun yet."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """The application handles signals: this server stops when it is told to."""
        yield


def bind(name: str, host: str, port: int) -> socket.socket:
    """A socket that listens. Raises `OSError`, which says `name` and the address."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        sock = socket.create_server((host, port), family=family, backlog=128)
    except (OSError, UnicodeError) as error:  # UnicodeError: no host name can be like this
        raise OSError(f"{name} {host}:{port}: {error}") from error
    sock.setblocking(False)
    return sock
