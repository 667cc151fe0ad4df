"""What the helpers of this machine have in common: TCP servers for the length of a test, and
datagrams into UNIX sockets."""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from pathlib import Path

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


async def start_server(serve: Serve, cleanup: AsyncExitStack) -> int:
    """On loopback. Returns the port."""
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    cleanup.push_async_callback(_close, server)
    port: int = server.sockets[0].getsockname()[1]
    return port


async def _close(server: asyncio.Server) -> None:
    """With its connections, which Postfix has closed by now: uvloop minds any that is left."""
    server.close()
    await server.wait_closed()


async def send_datagrams(path: Path, datagrams: Sequence[bytes]) -> None:
    loop = asyncio.get_running_loop()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as sock:
        await loop.sock_connect(sock, str(path))
        for datagram in datagrams:
            await loop.sock_sendall(sock, datagram)
