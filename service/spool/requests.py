"""What the writer thread is asked to do, and how the answer gets back to the event loop."""

import asyncio
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import structlog

from service.spool import operations
from service.spool.config import SpoolConfig
from service.spool.database import Totals
from service.spool.errors import SpoolError, SpoolFull
from service.spool.rows import Row

log = structlog.get_logger(__name__)


class Request(Protocol):
    """`answer` is for the event loop; `None` where nobody waits."""

    answer: asyncio.Future[Any] | None
    needs_room: ClassVar[bool]
    """False: it makes room, so it is done on a full disk too."""

    @property
    def weight(self) -> int:
        """Rows it touches: bounds a transaction."""

    def apply(self, db: sqlite3.Connection, totals: Totals, config: SpoolConfig) -> Any:
        """The answer; a `SpoolError` as a value, for it must not undo the others' work."""


@dataclass(slots=True)
class Append:
    needs_room: ClassVar[bool] = True

    rows: Sequence[Row]
    answer: asyncio.Future[range] | None

    @property
    def weight(self) -> int:
        return len(self.rows)

    def apply(
        self, db: sqlite3.Connection, totals: Totals, config: SpoolConfig
    ) -> range | SpoolError:
        if totals.events >= config.max_events or totals.bytes >= config.max_bytes:
            return SpoolFull(f"{totals.events} events, {totals.bytes} bytes wait")
        return operations.append(db, totals, self.rows)


@dataclass(slots=True)
class Remove:
    needs_room: ClassVar[bool] = False

    ids: Sequence[int]
    answer: asyncio.Future[int] | None

    @property
    def weight(self) -> int:
        return len(self.ids)

    def apply(self, db: sqlite3.Connection, totals: Totals, config: SpoolConfig) -> int:
        return operations.remove(db, totals, self.ids)


@dataclass(slots=True)
class Bury:
    needs_room: ClassVar[bool] = True

    row: Row
    reason: str
    detail: str
    now: float
    id: int | None
    """The event it was, which goes in the same commit."""
    answer: asyncio.Future[None] | None
    weight: int = 1

    def apply(self, db: sqlite3.Connection, totals: Totals, config: SpoolConfig) -> None:
        operations.bury(db, totals, self.row, self.reason, self.detail, self.now)
        if self.id is not None:
            operations.remove(db, totals, [self.id])
        _bound_dead(db, totals, config)


@dataclass(slots=True)
class BuryDamaged:
    needs_room: ClassVar[bool] = True

    ids: Sequence[int]
    now: float
    answer: asyncio.Future[None] | None

    @property
    def weight(self) -> int:
        return len(self.ids)

    def apply(self, db: sqlite3.Connection, totals: Totals, config: SpoolConfig) -> None:
        for id in self.ids:
            operations.bury_damaged(db, totals, id, self.now)
        _bound_dead(db, totals, config)


def _bound_dead(db: sqlite3.Connection, totals: Totals, config: SpoolConfig) -> None:
    dropped = operations.let_go_of_oldest_dead(db, totals, config.max_dead_letters)
    if dropped:
        log.error("dead_letters_let_go", dead_letters=dropped, bound=config.max_dead_letters)
