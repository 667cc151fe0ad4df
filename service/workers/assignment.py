"""What a worker is told by its parent.

In, at the parent: a number, sockets, addresses. Out, at the worker: the same, from a variable of
its environment and inherited descriptors. Everything else a worker reads itself, from the same
options, variables and file as its parent.
"""

import json
import os
import socket
import sqlite3
from collections.abc import Iterator, MutableMapping
from dataclasses import dataclass, field
from pathlib import Path

from service.listeners.inherited import TABLES, InheritedSockets
from service.settings import Settings
from service.spool import inspection
from service.spool.errors import SpoolError
from service.spool.opening import database_path
from service.systemd.sockets import NamedSocket

# Without the prefix of settings: it is none.
_VARIABLE = "_MAILFAULT_WORKER"


@dataclass(frozen=True)
class Assignment:
    number: int
    """From 0."""
    listen: dict[str, list[str]]
    """Real addresses, by the table of settings."""
    sockets: list[tuple[str, int]]
    """Name and descriptor of each socket at one of these addresses."""
    http: int
    """Descriptor of the socket where the parent asks for metrics and health."""
    nats: str | None = None
    """The embedded server, where there is one: its parent's."""
    inherited: InheritedSockets = field(default_factory=InheritedSockets, compare=False, repr=False)
    """Of a worker: `sockets`, opened."""

    def variables(self) -> dict[str, str]:
        """For the environment of the worker."""
        told = {
            "number": self.number,
            "listen": self.listen,
            "sockets": self.sockets,
            "http": self.http,
            "nats": self.nats,
        }
        return {_VARIABLE: json.dumps(told)}

    @property
    def descriptors(self) -> Iterator[int]:
        """That the worker must inherit."""
        yield self.http
        yield from (descriptor for _, descriptor in self.sockets)

    def apply(self, settings: Settings) -> Settings:
        """To what the worker has read: the parent's addresses, and a directory of its own."""
        for table in TABLES.values():
            getattr(settings, table).listen = list(self.listen.get(table, []))
        settings.data_dir = directory_of(settings.data_dir, self.number)
        # Roll-ups of several receivers are told apart by their names.
        own = settings.rollup.receiver or socket.gethostname() or "unknown"
        settings.rollup.receiver = f"{own}/{self.number}"
        if self.nats is not None:
            settings.nats.servers = [self.nats]
        return settings


def take(environ: MutableMapping[str, str] = os.environ) -> Assignment | None:
    """Of this process; None where it is no worker. Once, before any child is started."""
    told = environ.pop(_VARIABLE, "")
    if not told:
        return None
    read = json.loads(told)
    sockets = [(name, descriptor) for name, descriptor in read["sockets"]]
    opened = [NamedSocket(name, _open(descriptor)) for name, descriptor in sockets]
    return Assignment(
        read["number"],
        read["listen"],
        sockets,
        read["http"],
        read["nats"],
        InheritedSockets(opened, _open(read["http"])),
    )


def directory_of(data_dir: Path, number: int) -> Path:
    """The first has that of a receiver alone: who adds workers, or goes without, takes nothing
    from it."""
    return data_dir if number == 0 else data_dir / "workers" / str(number)


def directories(data_dir: Path) -> list[Path]:
    """Of all workers but the first that there are, or were once."""
    return [directory_of(data_dir, number) for number in _numbers(data_dir)]


def left_behind(data_dir: Path, count: int) -> list[int]:
    """Numbers of workers beyond `count` that there were once, and whose events wait still."""
    return [
        number
        for number in _numbers(data_dir)
        if number >= count and _has_events(directory_of(data_dir, number))
    ]


def _numbers(data_dir: Path) -> list[int]:
    home = data_dir / "workers"
    names = [path.name for path in home.iterdir()] if home.is_dir() else []
    numbers = (int(name) for name in names if name.isascii() and name.isdecimal())
    return sorted(number for number in numbers if number > 0)


def _has_events(directory: Path) -> bool:
    path = database_path(directory)
    try:
        return path.exists() and inspection.status(path).events > 0
    except (SpoolError, sqlite3.Error, OSError):
        return True  # whoever opens it says what is wrong


def _open(descriptor: int) -> socket.socket:
    os.set_inheritable(descriptor, False)
    sock = socket.socket(fileno=descriptor)
    sock.setblocking(False)
    return sock
