"""Holds the database for the writer thread, through whatever the disk does.

A transaction either is on disk or raises `SpoolUnavailable` and left nothing. A damaged file is
replaced at once. After any other failure the holder gives up its reserve of space, and looks, once
a second, whether it can have it back, after a full disk with something to spare. Until then it is
failing, and what little room there is belongs to removals. A connection that had an IO error is not
trusted any more but opened anew.
"""

import os
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import IO, TypeVar

import structlog

from service.spool import opening
from service.spool.database import Damaged, Totals, read_totals, transaction
from service.spool.errors import SpoolRefused, SpoolUnavailable
from service.spool.housekeeping import Reserve, spare_wanted, tidy
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
        self._file: tuple[int, int] | None = None
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
                return self._transact(work)
            except (sqlite3.Error, Damaged) as error:
                if not opening.is_damage(error):
                    raise
                self._replace(str(error))
                return self._transact(work)
        except (sqlite3.Error, OSError, Damaged) as error:
            self._failed(error)
            raise SpoolUnavailable(str(error)) from error

    def suspect(self, generation: int, why: str) -> None:
        """A reader met damage; acted upon at the next look. From any thread."""
        self._suspicion = (generation, why)

    def look(self) -> None:
        """What is done unasked, now and then."""
        self._measure()
        try:
            if self.last_error is not None:
                self._try_again()
                return
            if self._suspicion is not None:
                (generation, why), self._suspicion = self._suspicion, None
                if generation == self.generation:
                    self._replace(why)
            elif self._identity() != self._file:
                log.error("spool_file_gone", file=str(self._path), events=self.totals.events)
                self.close()
                self._open()
            db = self._connection()
            self._take(read_totals(db))  # an operator may have put letters back
            tidy(db, self._path)
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

    def _open(self) -> None:
        if self._lock is None:
            self._lock = opening.lock(self._path.parent)
        self._use(opening.open_database(self._path))

    def _use(self, db: sqlite3.Connection) -> None:
        self._db = db
        self._file = self._identity()
        self.generation += 1
        known = self.totals.last_id
        with transaction(db) as totals:  # writes: only so a read-only place shows itself
            totals.last_id = max(totals.last_id, known)
        self._take(totals)

    def _replace(self, why: str) -> None:
        self._drop_connection()
        self._use(opening.replace(self._path, why))
        self._on_change()

    def _take(self, totals: Totals) -> None:
        has_changed = totals != self.totals
        self.totals = totals
        if has_changed:
            self._on_change()

    def _try_again(self) -> None:
        if not self._path.parent.exists():
            self.close()
        if self._db is None:
            self._open()
        tidy(self._connection(), self._path, keep=0)
        self._reserve.take(spare_wanted(self._connection()) if self._was_full else 0)
        self._transact(lambda db, totals: None)
        self.last_error = None
        log.warning("spool_available", file=str(self._path), events=self.totals.events)
        self._on_change()

    def _failed(self, error: Exception) -> None:
        self._was_full = opening.is_full(error)
        if not self._was_full:
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
            self._db = None

    def _identity(self) -> tuple[int, int] | None:
        try:
            status = os.stat(self._path)
        except FileNotFoundError:
            return None
        return status.st_dev, status.st_ino
