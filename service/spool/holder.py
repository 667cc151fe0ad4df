"""Holds the database for the writer thread, through whatever the disk does.

A transaction either is on disk or raises `SpoolUnavailable` and left nothing. A damaged file, or
one that somebody else has cut short, written over or taken away, is replaced at once by one with
all that our connection can still read. After any other failure the holder gives up its reserve of
space, and looks, once a second, whether it can have it back, after a full disk with something to
spare. Until then it is failing, and what little room there is belongs to removals. A connection
that had an IO error is not trusted any more but opened anew.
"""

import sqlite3
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from typing import IO, TypeVar

import structlog

from service.spool import opening
from service.spool.database import (
    PAGE_BYTES,
    Damaged,
    Totals,
    connect_reader,
    examine_pages,
    read_totals,
    transaction,
)
from service.spool.errors import SpoolRefused, SpoolUnavailable
from service.spool.footprint import Footprint
from service.spool.housekeeping import KEEP_BYTES, Reserve, take_back, tidy
from service.spool.salvage import SetAside, measure_set_aside

log = structlog.get_logger(__name__)

T = TypeVar("T")
Work = Callable[[sqlite3.Connection, Totals], T]


class Holder:
    """Used by one thread; others may read `totals`, `set_aside`, `generation`, `last_error`."""

    def __init__(self, path: Path, on_change: Callable[[], None]) -> None:
        self._path = path
        self._on_change = on_change
        self._lock: IO[bytes] | None = None
        self._db: sqlite3.Connection | None = None
        self._footprint: Footprint | None = None
        self._reserve = Reserve(path.parent)
        self._was_full = False
        self._suspicion: tuple[int, str] | None = None
        self.totals = Totals()
        self.set_aside = SetAside()
        """Damaged files that an operator has yet to take away."""
        self.generation = 0
        """Counts up when another file has taken the place of the database."""
        self.last_error: str | None = None
        """Why the last write failed; `None` while writes succeed."""

    def open_first(self) -> None:
        """Raises `SpoolRefused`. A full disk is no reason: it is waited for."""
        try:
            self._open()
            self._measure()
            if self.set_aside.files:
                log.warning(
                    "spool_files_set_aside",
                    folder=str(self._path.parent),
                    files=self.set_aside.files,
                    bytes=self.set_aside.bytes,
                    remedy="mailfault spool status",
                )
            self._reserve.take()
        except (OSError, sqlite3.Error) as error:
            if opening.is_refusal(error):
                self.close()
                raise SpoolRefused(f"{self._path}: {error}") from None
            self._failed(error)
        except SpoolRefused:
            self.close()
            raise

    def transact(self, work: Work[T]) -> T:
        """Raises `SpoolUnavailable`. While the holder is failing, for removals only."""
        try:
            try:
                self._check_before()
                done = self._transact(work)
                self._check_after()
                return done
            except (sqlite3.Error, Damaged) as error:
                if not opening.is_damage(error):
                    raise
                self._replace(str(error))
                return self._transact(work)
        except (sqlite3.Error, OSError, Damaged, SpoolRefused) as error:
            self._failed(error)
            raise SpoolUnavailable(str(error)) from error

    def suspect(self, generation: int, why: str) -> None:
        """A reader met damage; acted upon at the next look. From any thread."""
        self._suspicion = (generation, why)

    def look(self) -> None:
        """What is done unasked, now and then."""
        self._measure()
        try:
            self._hold_lock()
            if self.last_error is not None:
                self._try_again()
                return
            if self._suspicion is not None:
                (generation, why), self._suspicion = self._suspicion, None
                if generation == self.generation:
                    self._replace(why)
            self._check_before()
            self._take(read_totals(self._connection()))  # an operator may have put letters back
            self._tidy()
        except SpoolRefused as error:
            self._failed(error)
        except (OSError, sqlite3.Error, Damaged) as error:
            if opening.is_damage(error):
                self._suspicion = (self.generation, str(error))
            elif not opening.is_busy(error) or self.last_error is not None:
                self._failed(error)

    def _measure(self) -> None:
        try:
            self.set_aside = measure_set_aside(self._path)
        except OSError:
            pass  # for want of a look nothing may fail; at the next one it is seen

    def close(self) -> None:
        """Moves the log into the database, where the disk lets it."""
        self._drop_connection()
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def _transact(self, work: Work[T]) -> T:
        with transaction(self._connection()) as totals:
            done = work(self._connection(), totals)
        self.totals = totals
        return done

    def _connection(self) -> sqlite3.Connection:
        if self._db is None:
            raise OSError(self.last_error or "closed")
        return self._db

    def _hold_lock(self) -> None:
        if self._lock is not None and opening.is_gone(self._lock):
            self._lock.close()
            self._lock = None
        if self._lock is None:
            self._lock = opening.lock(self._path.parent)

    def _open(self) -> None:
        self._hold_lock()
        self._use(opening.open_database(self._path))

    def _use(self, db: sqlite3.Connection) -> None:
        self._db = db
        self.generation += 1
        known = self.totals.last_id
        with transaction(db) as totals:  # writes: only so a read-only place shows itself
            totals.last_id = max(totals.last_id, known)
        self._footprint = Footprint.of(self._path)
        self._take(totals)

    def _replace(self, why: str) -> None:
        self._hold_lock()
        draft, salvaged = opening.rescue(self._path, self._db)
        # Before the files move: a connection that is closed looks for its log by name.
        self._drop_connection()
        self._use(opening.exchange(self._path, draft, why, salvaged))
        with suppress(OSError):  # for want of room: then the next write will show it
            self._reserve.take()
        self._on_change()

    def _tidy(self, keep: int = KEEP_BYTES) -> None:
        try:
            tidy(self._connection(), self._path, keep)
        finally:
            self._check_after(may_cut=True)

    def _check_before(self) -> None:
        """Raises `Damaged`: the files are not as we left them."""
        before, now = self._footprint, Footprint.of(self._path)
        if before is None or before == now:
            return
        self._check_after()
        # A write that failed may have got part of the way.
        if before.is_written_over(now) and self.last_error is None:
            with closing(connect_reader(self._path)) as fresh:  # ours has pages in memory
                fresh.text_factory = str
                examine_pages(fresh)

    def _check_after(self, *, may_cut: bool = False) -> None:
        """Raises `Damaged`: somebody else changed the files while we wrote, or before. `may_cut`:
        we may have cut them ourselves."""
        before, now = self._footprint, Footprint.of(self._path)
        if before is not None and before != now:
            if not before.are_those_of(now):
                raise Damaged("a file of the spool was taken away or replaced from outside")
            (pages,) = self._connection().execute("PRAGMA page_count").fetchone()
            if not may_cut and before.is_cut(now, pages * PAGE_BYTES):
                raise Damaged("a file of the spool was cut short from outside")
        self._footprint = now

    def _is_displaced(self) -> bool:
        """Whether our connection is the only way to what is in it."""
        try:
            now = Footprint.of(self._path)
        except OSError:
            return False
        return self._footprint is not None and not self._footprint.are_those_of(now)

    def _take(self, totals: Totals) -> None:
        has_changed = totals != self.totals
        self.totals = totals
        if has_changed:
            self._on_change()

    def _try_again(self) -> None:
        if self._db is None:
            self._open()
        try:
            self._check_after()
        except Damaged as damage:
            self._replace(str(damage))
        self._tidy(keep=0)
        if self._was_full:
            take_back(self._reserve, self._connection())
        else:
            self._reserve.take()
        self._transact(lambda db, totals: None)
        self._check_after()
        self.last_error = None
        log.warning("spool_available", file=str(self._path), events=self.totals.events)
        self._on_change()

    def _failed(self, error: Exception) -> None:
        self._was_full = opening.is_full(error)
        if not self._was_full and not self._is_displaced():
            self._drop_connection()
        self._reserve.give_up()
        is_new = self.last_error is None
        self.last_error = str(error)
        if is_new:
            log.error("spool_unavailable", file=str(self._path), reason=str(error))
            self._on_change()

    def _drop_connection(self) -> None:
        if self._db is not None:
            try:
                self._db.close()
            except sqlite3.Error as error:
                log.warning("spool_close_failed", reason=str(error))
            self._db = self._footprint = None
