"""uvicorn as a part of a larger program: bound before it serves, stopped by whoever started it."""

import asyncio
import contextlib
import socket
from collections.abc import Iterator

import uvicorn


class HttpServer:
    """`start` once, then `stop` once; a `stop` without a `start` does no harm."""

    def __init__(self, config: uvicorn.Config) -> None:
        self._server = _Server(config)
        self._serving: asyncio.Task[None] | None = None

    def start(self, sock: socket.socket) -> None:
        """`sock`: listens already."""
        self._serving = asyncio.create_task(self._server.serve(sockets=[sock]), name="web")

    async def stop(self) -> None:
        """Returns when the last answer is given, or `timeout_graceful_shutdown` is over."""
        self._server.should_exit = True  # ends `serve` even if it has not begun yet
        if self._serving is not None:
            await self._serving


class _Server(uvicorn.Server):
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
