"""Reading the spool, in a thread and on a connection of its own: the writer is not in its way.

In: where to go on. Out: events, oldest first. A row whose checksum is wrong is left out and
reported; a file that cannot be read raises.
"""

import asyncio
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from service.core.envelope import Envelope
from service.spool.database import connect_reader
from service.spool.rows import COLUMNS, from_row

_SELECT = f"SELECT id, {COLUMNS} FROM events WHERE id > ? ORDER BY id LIMIT ?"


@dataclass(slots=True)
class Found:
    events: list[tuple[int, Envelope]] = field(default_factory=list)
    damaged: list[int] = field(default_factory=list)


class Reader:
    """`generation`: of the file that is the database now; it is opened anew where that changes."""

    def __init__(self, path: Path, generation: Callable[[], int]) -> None:
        self._path = path
        self._generation = generation
        self.generation = 0
        """Of the file that was read last."""
        self._db: sqlite3.Connection | None = None
        self._thread = ThreadPoolExecutor(1, "spool-reader")

    async def read(self, after: int, limit: int, max_bytes: int) -> Found:
        """Raises `sqlite3.Error`."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, self._read, after, limit, max_bytes)

    async def close(self) -> None:
        await asyncio.get_running_loop().run_in_executor(self._thread, self._close)
        self._thread.shutdown(wait=False)

    def _read(self, after: int, limit: int, max_bytes: int) -> Found:
        found = Found()
        size = 0
        rows = self._connection().execute(_SELECT, (after, limit))
        try:
            for id, *row in rows:
                envelope = from_row(tuple(row))
                if envelope is None:
                    found.damaged.append(id)
                    continue
                size += row[0]
                if size > max_bytes and found.events:
                    break
                found.events.append((id, envelope))
        finally:
            rows.close()  # an open cursor would keep the log from being cut
        return found

    def _connection(self) -> sqlite3.Connection:
        generation = self._generation()
        if self._db is None or generation != self.generation:
            self._close()
            self._db = connect_reader(self._path)
            self.generation = generation
        return self._db

    def _close(self) -> None:
        if self._db is not None:
            self._db.close()
            self._db = None
