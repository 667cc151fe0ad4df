"""One run of one peer: what it gives, and how its end is seen."""

import asyncio
import socket
import time
from dataclasses import dataclass
from pathlib import Path

from benchmarks.processes import Process, ProcessError
from benchmarks.usage import cpu_seconds

_LOOK_SECONDS = 0.02
_IDLE_SECONDS = 1.5
_START_SECONDS = 20.0
_END_SECONDS = 600.0


@dataclass(frozen=True)
class Run:
    """Of a peer, or of the service."""

    name: str
    lines: int
    seconds: float
    """From the first line given to it to the last of its work."""
    cpu: float
    events: int
    """Failures it told of; -1 where it does not say."""

    @property
    def lines_per_second(self) -> float:
        return self.lines / self.seconds

    @property
    def lines_per_cpu_second(self) -> float:
        return self.lines / self.cpu


@dataclass(frozen=True)
class Work:
    """The same for all of them."""

    lines: int
    log: Path
    """As it goes over the wire, with priorities."""
    file: Path
    """As rsyslog writes it to a file: the traditional format, without priorities."""
    home: Path
    """Of this run alone."""


async def until_listening(process: Process, port: int) -> None:
    async with asyncio.timeout(_START_SECONDS):
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                if not process.is_alive:
                    raise process.failure("did not come up") from None
                await asyncio.sleep(_LOOK_SECONDS)
            else:
                writer.close()
                return


async def until_idle(process: Process) -> float:
    """Returns the `time.time()` after which it used no CPU any more."""
    async with asyncio.timeout(_END_SECONDS):
        used, since = cpu_seconds(process.pid), time.time()
        while time.time() - since < _IDLE_SECONDS:
            await asyncio.sleep(_LOOK_SECONDS)
            if not process.is_alive:
                raise process.failure("ended")
            now = cpu_seconds(process.pid)
            if now != used:
                used, since = now, time.time()
        return since


def free_port() -> int:
    """The peers take no port 0."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


def lines_in(path: Path) -> int:
    if not path.exists():
        raise ProcessError(f"nothing was written to {path.name}")
    with path.open("rb") as file:
        return sum(block.count(b"\n") for block in iter(lambda: file.read(1 << 20), b""))
