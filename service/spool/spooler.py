"""The way over the disk: in at the end, out at the front, and gone once published.

In: envelopes that must be durable before NATS takes them. Out: the same ones with their row in the
spool, in order, handed on for publishing whenever the next room asks for more.

While the spool holds events that were not yet handed on (`is_behind`), everything goes over the
disk, so that events keep their order. Where nothing is behind, `write-ahead` hands an event on from
memory as soon as it is committed, without reading it again.
"""

import asyncio
from collections.abc import Callable

import structlog

from service.core.envelope import Envelope
from service.spool.errors import SpoolFull, SpoolUnavailable
from service.spool.memory import MemoryQueue
from service.spool.memory_config import MemoryQueueConfig
from service.spool.store import SpoolStore

log = structlog.get_logger(__name__)

_APPEND_EVENTS = 2000
_APPEND_BYTES = 8 * 1024 * 1024
_REMOVE_SECONDS = 0.05
"""Removals are gathered for so long: a commit costs the same for one row as for hundreds."""
_RETRY_FIRST = 0.05
_RETRY_MAX = 1.0


class Spooler:
    """`open`, then `run` its three tasks until cancelled, then `close`."""

    def __init__(
        self,
        store: SpoolStore,
        config: MemoryQueueConfig,
        hand_on: Callable[[list[Envelope]], None],
        wants_more: Callable[[], int],
        may_bypass: Callable[[], bool],
        on_progress: Callable[[], None],
    ) -> None:
        """`wants_more`: how many events the next room would take now; `look_again` when that
        changed. `may_bypass`: what the disk does not take may be handed on without. `on_progress`:
        there may be more room than before."""
        self.incoming = MemoryQueue(config)
        """Not yet on disk. What is on its way there takes up room in it until it is there: else a
        full disk would look like room each time it is tried."""
        self._store = store
        self._hand_on = hand_on
        self._wants_more = wants_more
        self._may_bypass = may_bypass
        self._on_progress = on_progress
        self._cursor = 0
        """The last row handed on."""
        self._last_row = 0
        """The last row appended."""
        self.is_behind = True  # until the first look has shown that nothing is left from before
        self._caught_up = asyncio.Event()
        self._removals: list[int] = []
        self._burials: list[tuple[Envelope, str, str]] = []
        self._work = asyncio.Event()
        self._may_read = asyncio.Event()
        self._may_remove = asyncio.Event()
        self._saved = asyncio.Event()
        self._saved.set()

    @property
    def unsaved(self) -> int:
        """Events that wait for the disk."""
        return len(self.incoming)

    @property
    def is_unsettled(self) -> bool:
        """Whether anything waits for the disk, or on it."""
        return self.is_behind or not self._saved.is_set()

    def all_unsaved(self) -> list[Envelope]:
        """All that wait for the disk and are in memory only."""
        buried = [envelope for envelope, _, _ in self._burials if envelope.row is None]
        return self.incoming.all_unsaved() + buried

    def put(self, envelopes: list[Envelope]) -> None:
        """Each is told (`on_durable`) once it is committed."""
        if envelopes:
            self.incoming.extend(envelopes)
            self._saved.clear()
            self._work.set()

    def fall_behind(self) -> None:
        """From now on everything goes over the disk, until it is caught up with."""
        self.is_behind = True
        self._caught_up.clear()
        self.look_again()

    async def caught_up(self) -> None:
        """Wait until nothing is behind."""
        await self._caught_up.wait()

    def look_again(self) -> None:
        """The next room may want more, or the spool hold more than we know."""
        self._may_read.set()

    def changed(self) -> None:
        """The store's word that something changed unasked: the disk is back, dead letters were put
        back, a damaged file was replaced."""
        self._work.set()
        self.fall_behind()
        self._on_progress()

    def published(self, row: int) -> None:
        self._removals.append(row)
        self._may_remove.set()

    def bury(self, envelope: Envelope, reason: str, detail: str) -> None:
        """Into the dead-letter table: nobody else would take it."""
        self._burials.append((envelope, reason, detail))
        self._saved.clear()
        self._work.set()

    async def saved(self) -> None:
        """Wait until nothing waits for the disk."""
        await self._saved.wait()

    async def append(self) -> None:
        """Task: what comes in, to disk. A disk that takes nothing is tried again, for ever."""
        wait = _RETRY_FIRST
        while True:
            if not self.incoming and not self._burials:
                self._saved.set()
                self._work.clear()
                await self._work.wait()
            batch = self._next_batch()
            try:
                await self._bury_all()
                if batch:
                    rows = await self._store.append(batch)
                    self.incoming.drop_first(len(batch))
                    self._appended(batch, rows)
                wait = _RETRY_FIRST
            except (SpoolUnavailable, SpoolFull) as error:
                log.debug("spool_append_failed", error=str(error))
                if batch and self._may_bypass():
                    batch = self.incoming.first(_APPEND_EVENTS, _APPEND_BYTES)
                    self.incoming.drop_first(len(batch))
                    self._hand_on(batch)
                else:
                    await self._pause(wait)
                    wait = min(2 * wait, _RETRY_MAX)
            self._on_progress()

    async def drain(self) -> None:
        """Task: what is on disk, oldest first, to the next room."""
        wait = _RETRY_FIRST
        while True:
            while not self.is_behind or not (wanted := self._wants_more()):
                self._may_read.clear()
                await self._may_read.wait()
            self._may_read.clear()
            try:
                found = await self._store.read(self._cursor, wanted)
                wait = _RETRY_FIRST
            except SpoolUnavailable as error:
                log.debug("spool_read_failed", error=str(error))
                await asyncio.sleep(wait)
                wait = min(2 * wait, _RETRY_MAX)
                self._may_read.set()
                continue
            if found:
                self._cursor = found[-1][0]
                for row, envelope in found:
                    envelope.row = row
                self._hand_on([envelope for _, envelope in found])
                self._may_read.set()
            elif self._cursor >= self._last_row:
                # What is just on its way to the disk is handed on when it is there, a moment later
                # than what comes in now: waiting for it could last as long as events come in.
                self.is_behind = False
                self._caught_up.set()
                self._on_progress()
            else:
                await self._may_read.wait()

    async def remove(self) -> None:
        """Task: what is published, off the disk. The store remembers it where the disk fails."""
        while True:
            await self._may_remove.wait()
            await asyncio.sleep(_REMOVE_SECONDS)
            await self.remove_now()

    async def remove_now(self) -> None:
        self._may_remove.clear()
        rows, self._removals = self._removals, []
        await self._store.remove(rows)

    def _next_batch(self) -> list[Envelope]:
        """As many as the disk may hold; one where that is none, so that the store says so."""
        events, size = self._store.room
        return self.incoming.first(
            min(_APPEND_EVENTS, max(1, events)), min(_APPEND_BYTES, max(1, size))
        )

    def _appended(self, batch: list[Envelope], rows: range) -> None:
        is_next = rows.start == self._last_row + 1 == self._cursor + 1
        self._last_row = rows[-1]
        for row, envelope in zip(rows, batch, strict=True):
            envelope.row = row
            if envelope.on_durable is not None:
                told, envelope.on_durable = envelope.on_durable, None
                told()
        if not self.is_behind and is_next and self._wants_more():
            self._cursor = self._last_row
            self._hand_on(batch)
        else:  # they are read again, in order; an operator may have put rows between
            self.fall_behind()

    async def _bury_all(self) -> None:
        while self._burials:
            envelope, reason, detail = self._burials[0]
            await self._store.bury(envelope, reason, detail, envelope.row)
            self._burials.pop(0)
            if envelope.on_durable is not None:
                envelope.on_durable()

    async def _pause(self, seconds: float) -> None:
        """Until then, or until the store says that something changed."""
        self._work.clear()
        try:
            async with asyncio.timeout(seconds):
                await self._work.wait()
        except TimeoutError:
            self._work.set()
