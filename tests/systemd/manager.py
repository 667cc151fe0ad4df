"""What systemd does for a service, in a test: binds its sockets and keeps them while the service
comes and goes, starts it with them, and listens to what it tells on a UNIX socket."""

import asyncio
import socket
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Protocol

from tests.cli.run import MAILFAULT, environment
from tests.serve import Serve

_START = """
import fcntl, os, sys
given, *command = sys.argv[1:]
handed = [int(number) for number in given.split(",") if number]
high = [fcntl.fcntl(number, fcntl.F_DUPFD_CLOEXEC, 100) for number in handed]
for number in handed:
    os.close(number)
for place, number in enumerate(high, 3):
    os.dup2(number, place)
os.environ["LISTEN_PID"] = os.environ["WATCHDOG_PID"] = str(os.getpid())
os.execv(command[0], command)
"""
"""What systemd does between fork and exec: descriptors from 3 on, and whose they are."""


class HasDescriptor(Protocol):
    def fileno(self) -> int: ...


def bound(kind: socket.SocketKind, host: str = "127.0.0.1") -> socket.socket:
    """As a socket unit binds one."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, kind)
    sock.bind((host, 0))
    if kind == socket.SOCK_STREAM:
        sock.listen(64)
    return sock


class Told:
    """The messages of one service, in order."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self.messages: list[str] = []

    async def next(self, start: str, seconds: float = 40) -> str:
        """The next one, from now on, that begins like this."""
        async with asyncio.timeout(seconds):
            while True:
                message = (await asyncio.get_running_loop().sock_recv(self._sock, 4096)).decode()
                self.messages.append(message)
                if message.startswith(start):
                    return message

    async def read_on(self) -> None:
        """Until cancelled. A few unread messages fill a UNIX socket, and who sends waits."""
        while True:
            await asyncio.get_running_loop().sock_recv(self._sock, 4096)

    def is_silent(self) -> bool:
        """Nothing lies there unread."""
        try:
            self.messages.append(self._sock.recv(4096).decode())
        except BlockingIOError:
            return True
        return False


@asynccontextmanager
async def listening_to() -> AsyncIterator[tuple[Told, str]]:
    """And the path that is `NOTIFY_SOCKET`."""
    with (
        tempfile.TemporaryDirectory(prefix="mailfault-") as directory,  # short enough for unix(7)
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as sock,
    ):
        path = str(Path(directory) / "notify")
        sock.bind(path)
        yield Told(sock), path


async def launch(
    home: Path,
    *arguments: str | Path,
    sockets: Sequence[tuple[str, HasDescriptor]] = (),
    env: Mapping[str, str] | None = None,
) -> asyncio.subprocess.Process:
    """`mailfault serve` with these sockets, each by its name."""
    numbers = [sock.fileno() for _, sock in sockets]
    names = ":".join(name for name, _ in sockets)
    listen = environment(LISTEN_FDS=str(len(sockets)), LISTEN_FDNAMES=names)
    return await asyncio.create_subprocess_exec(
        *(MAILFAULT[0], "-c", _START, ",".join(map(str, numbers))),
        *(*MAILFAULT, "serve", "--http", "127.0.0.1:0"),
        *arguments,
        stderr=asyncio.subprocess.PIPE,
        cwd=home,
        pass_fds=numbers,
        env={**listen, "MAILFAULT_ROLLUP__ENABLED": "false", **(env or {})},
    )


@asynccontextmanager
async def activated(
    home: Path,
    *arguments: str | Path,
    sockets: Sequence[tuple[str, HasDescriptor]] = (),
    env: Mapping[str, str] | None = None,
) -> AsyncIterator[Serve]:
    """The same, once it has started."""
    process = await launch(home, *arguments, sockets=sockets, env=env)
    made = Serve(process)
    try:
        await made.said("started")
        yield made
    finally:
        if process.returncode is None:
            process.kill()
        await made.ended()


async def refused(
    home: Path, *arguments: str | Path, sockets: Sequence[tuple[str, HasDescriptor]]
) -> list[str]:
    """What it says where it must not start with these sockets."""
    process = await launch(home, *arguments, sockets=sockets)
    _, said = await process.communicate()
    assert process.returncode == 78, said
    return [line.removeprefix("configuration: ") for line in said.decode().splitlines()]
