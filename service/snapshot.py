"""What is remembered of messages, kept over a restart in a file under the data directory.

In: the memories of a correlator. Out: a file, written whole and put in place at once; and the
memories again. It may be lost without losing an event: a file that cannot be read is named in the
log and otherwise ignored. What is written is a state whose events are all durable: were one of them
lost by `kill -9`, its line, sent again, would find the recipient ended already, and make none.

    magic and version, LF; for each entry: memory (1 byte), length of key (2), length of value (4),
    key, value; end mark; BLAKE2b of everything before it
"""

import asyncio
import os
import struct
from collections.abc import Awaitable, Callable, Iterable, Iterator
from hashlib import blake2b
from pathlib import Path
from threading import Lock
from typing import BinaryIO

import structlog

from service.core.correlate.correlator import Correlator, Kept

log = structlog.get_logger(__name__)

FILE = "correlation.snapshot"
_MAGIC = b"mailfault correlation 1\n"
"""With the version of what entries hold: another one is not read."""
_ENTRY = struct.Struct(">BHI")
_END = 0xFF
_DIGEST_BYTES = 32
_CHUNK = 1 << 20
_MAX_VALUE = 1 << 20
_PATIENCE_SECONDS = 30.0
"""How long a copy of all that is remembered is kept until its events are durable: then another one
is taken later."""


class SnapshotError(Exception):
    """The file cannot be used: say why, and go on without it."""


class SnapshotKeeper:
    def __init__(
        self,
        data_dir: Path,
        correlator: Correlator,
        interval: float,
        durable: Callable[[], Awaitable[object]] | None = None,
        patience: float = _PATIENCE_SECONDS,
    ) -> None:
        """`interval`: seconds between snapshots while running; 0: only when stopping. `durable`:
        returns once every event of what was heard until it was called is durable."""
        self._path = data_dir / FILE
        self._correlator = correlator
        self._interval = interval
        self._durable = durable
        self._patience = patience
        self._writing = Lock()
        """A write goes on when whoever waits for it is cancelled."""

    async def load(self) -> None:
        try:
            kept = await asyncio.to_thread(read, self._path)
        except FileNotFoundError:
            return
        except (OSError, SnapshotError) as error:
            log.warning("snapshot_ignored", file=str(self._path), error=str(error))
            return
        self._correlator.restore(kept)
        log.info("snapshot_loaded", messages=len(kept[0]), recipients=len(kept[2]))

    async def run(self) -> None:
        """Until cancelled."""
        while self._interval:
            await asyncio.sleep(self._interval)
            while not await self.save_once_durable():
                pass

    async def save(self) -> None:
        """For when every event is durable. Never raises for what the disk does not take: it is
        said, and tried again next time."""
        await self._write(self._correlator.kept())

    async def save_once_durable(self) -> bool:
        """False: it took so long that the copy was given up; by now it is worth to take another."""
        if self._durable is None:
            await self.save()
            return True
        kept: Kept | None = self._correlator.kept()
        durable = asyncio.ensure_future(self._durable())
        try:
            done, _ = await asyncio.wait([durable], timeout=self._patience)
            if not done:
                log.info("snapshot_put_off", reason="events wait for NATS and for the disk")
                kept = None
            await durable
        finally:
            durable.cancel()
        if kept is not None:
            await self._write(kept)
        return kept is not None

    async def _write(self, kept: Kept) -> None:
        try:
            await asyncio.to_thread(self._write_alone, kept)
        except OSError as error:
            log.warning("snapshot_failed", file=str(self._path), error=str(error))

    def _write_alone(self, kept: Kept) -> None:
        with self._writing:
            write(self._path, kept)


def write(path: Path, kept: Kept) -> None:
    """Raises `OSError`, and then leaves what was there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".new")
    digest = blake2b(digest_size=_DIGEST_BYTES)
    try:
        # Addresses are in it: for nobody else to read.
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            for chunk in _chunks(kept):
                digest.update(chunk)
                file.write(chunk)
            file.write(digest.digest())
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
    directory = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def read(path: Path) -> Kept:
    """Raises `OSError`, `SnapshotError`."""
    with path.open("rb") as file:
        reader = _Reader(file)
        if reader.take(len(_MAGIC)) != _MAGIC:
            raise SnapshotError("of another version, or no snapshot")
        kept: Kept = ({}, {}, {})
        while True:
            memory, key_bytes, value_bytes = _ENTRY.unpack(reader.take(_ENTRY.size))
            if memory == _END:
                break
            if memory >= len(kept) or value_bytes > _MAX_VALUE:
                raise SnapshotError("damaged")
            key = reader.take(key_bytes)
            kept[memory][key] = reader.take(value_bytes)
        digest = reader.digest
        if file.read(_DIGEST_BYTES + 1) != digest:
            raise SnapshotError("damaged, or not written to its end")
    return kept


class _Reader:
    """Reads whole pieces, and sums up what it read."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._hash = blake2b(digest_size=_DIGEST_BYTES)

    def take(self, size: int) -> bytes:
        data = self._file.read(size)
        if len(data) < size:
            raise SnapshotError("not written to its end")
        self._hash.update(data)
        return data

    @property
    def digest(self) -> bytes:
        return self._hash.digest()


def _chunks(kept: Kept) -> Iterator[bytes]:
    chunk = bytearray(_MAGIC)
    for piece in _entries(kept):
        chunk += piece
        if len(chunk) >= _CHUNK:
            yield bytes(chunk)
            chunk.clear()
    yield bytes(chunk) + _ENTRY.pack(_END, 0, 0)


def _entries(kept: Kept) -> Iterable[bytes]:
    for number, entries in enumerate(kept):
        for key, value in entries.items():
            yield _ENTRY.pack(number, len(key), len(value)) + key + value
