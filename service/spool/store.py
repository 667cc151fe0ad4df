"""The disk spool: events that wait for NATS, and the dead-letter table. SQLite, in WAL mode.

In: envelopes. Out: the same envelopes, oldest first, after a crash too. The event loop never waits
for the disk: one thread writes (`writer`), one reads (`reader`).

An event may be in the spool twice, when it was sent twice. Its message id is the same, so
JetStream stores it once; looking for twins here would cost an index for what is rare.
"""

import asyncio
import sqlite3
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import structlog

from service.core.envelope import Envelope
from service.spool.config import SpoolConfig
from service.spool.errors import SpoolUnavailable
from service.spool.opening import database_path, is_damage
from service.spool.reader import Reader
from service.spool.requests import Append, Bury, BuryDamaged, Remove, Request
from service.spool.rows import to_row
from service.spool.salvage import SetAside
from service.spool.writer import Writer

log = structlog.get_logger(__name__)


class SpoolStore:
    """`open` once, `close` once, all from one event loop.

    `on_change` is called in the loop when something changed unasked: the disk failed or is back,
    an operator put dead letters back, a damaged file was replaced.
    """

    def __init__(
        self, data_dir: Path, config: SpoolConfig, on_change: Callable[[], None] = lambda: None
    ) -> None:
        self._path = database_path(data_dir)
        self._config = config
        self._writer = Writer(self._path, config, on_change)
        self._reader = Reader(self._path, lambda: self._writer.holder.generation)

    async def open(self) -> None:
        """Raises `SpoolRefused`; the store is closed then. A full or failing disk is not raised:
        the store opens as failing and recovers when the disk does."""
        await self._writer.start()

    async def close(self) -> None:
        """What was asked before is done first."""
        await self._reader.close()
        await self._writer.stop()

    async def append(self, envelopes: Sequence[Envelope]) -> range:
        """The ids, once all of them are on disk (fsync). Callers at the same time share a commit.
        All or nothing; one call may pass the cap. Raises `SpoolUnavailable`, `SpoolFull`.

        After a cancellation they may be stored or not."""
        if not envelopes:
            return range(0)
        rows = [to_row(envelope) for envelope in envelopes]
        ids: range = await self._ask(lambda answer: Append(rows, answer))
        return ids

    async def read(
        self, after: int, limit: int, max_bytes: int = 8 * 1024 * 1024
    ) -> list[tuple[int, Envelope]]:
        """The oldest events with an id above `after`: at most `limit`, and no more bytes than
        that, but at least one. Empty: there are none. They stay until removed. Ids only grow, for
        as long as the store is open. Raises `SpoolUnavailable`: try again later.

        A row that is not what was written is passed over and becomes a dead letter."""
        while True:
            try:
                found = await self._reader.read(after, limit, max_bytes)
            except sqlite3.Error as error:
                if is_damage(error):
                    self._writer.holder.suspect(self._reader.generation, str(error))
                    self._writer.look_now()
                raise SpoolUnavailable(str(error)) from error
            if found.damaged:
                log.error("spool_rows_damaged", rows=len(found.damaged), first=found.damaged[0])
                self._writer.submit(BuryDamaged(found.damaged, time.time(), None))
            if found.events or not found.damaged:
                return found.events
            after = found.damaged[-1]

    async def remove(self, ids: Sequence[int]) -> None:
        """Once they are gone from the disk, or, where the disk fails, remembered: they are removed
        when it is back. A crash before that publishes them again, with the same message ids. Ids
        that are not there do no harm."""
        if ids:
            await self._ask(lambda answer: Remove(ids, answer))

    async def bury(
        self, envelope: Envelope, reason: str, detail: str, id: int | None = None
    ) -> None:
        """Put it into the dead-letter table and, in the same commit, take the event `id` out of
        the queue. Not bound to the cap. Raises `SpoolUnavailable`."""
        row = to_row(envelope)
        await self._ask(lambda answer: Bury(row, reason, detail, time.time(), id, answer))

    @property
    def events(self) -> int:
        """Those that wait, as of the last commit."""
        return self._writer.holder.totals.events

    @property
    def bytes(self) -> int:
        return self._writer.holder.totals.bytes

    @property
    def dead_letters(self) -> int:
        return self._writer.holder.totals.dead

    @property
    def set_aside(self) -> SetAside:
        """Damaged files of before, which are no part of the cap."""
        return self._writer.holder.set_aside

    @property
    def has_room(self) -> bool:
        """Whether `append` may succeed: there is room below the cap, and the disk takes writes."""
        return (
            not self.is_failing
            and self.events < self._config.max_events
            and self.bytes < self._config.max_bytes
        )

    @property
    def room(self) -> tuple[int, int]:
        """Events and bytes below the cap."""
        return (
            max(0, self._config.max_events - self.events),
            max(0, self._config.max_bytes - self.bytes),
        )

    @property
    def is_failing(self) -> bool:
        """The last write failed, or the file could not be opened yet."""
        return self.last_error is not None

    @property
    def last_error(self) -> str | None:
        return self._writer.holder.last_error

    @property
    def commits(self) -> int:
        """Made so far."""
        return self._writer.commits

    async def _ask(self, request: Callable[[asyncio.Future[Any]], Request]) -> Any:
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._writer.submit(request(answer))
        return await answer
