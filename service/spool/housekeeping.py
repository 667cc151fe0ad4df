"""Disk space: given back after an outage, and held in reserve against a full disk."""

import os
import sqlite3
from collections.abc import Callable
from pathlib import Path

from service.spool.database import PAGE_BYTES, WAL_BYTES, family

KEEP_BYTES = 16 * 1024 * 1024
"""Free pages that stay in the file for the next events; giving them back and forth costs writes."""
RESERVE_BYTES = 16 * 1024 * 1024
"""More than the log ever holds: a transaction beyond `WAL_BYTES`."""

_STEP_PAGES = 500
"""Given back in one transaction: some milliseconds in which nobody else can commit."""
_LONG_WAL_BYTES = 2 * WAL_BYTES
"""A write-ahead log this long had a reader in its way when it should have begun anew."""


class Reserve:
    """A file that is nothing but taken space.

    To remove events SQLite writes, first to its log, then the log into the database. On a disk
    that the spool itself has filled there would be no room for that, and never be any again. So
    some room is taken beforehand, and given up when a write fails. That it can be taken again is
    the sign that the disk is back: only writing tells, for quotas show in no number.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / "reserve"

    def take(self) -> None:
        """Raises `OSError` while there is no room for it."""
        if self._path.exists() and self._path.stat().st_size == RESERVE_BYTES:
            return
        descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT, 0o600)
        try:
            os.posix_fallocate(descriptor, 0, RESERVE_BYTES)
            os.fsync(descriptor)
        except OSError:
            self.give_up()  # part of it may have been taken
            raise
        finally:
            os.close(descriptor)

    def give_up(self) -> None:
        try:
            self._path.unlink(missing_ok=True)
        except OSError:  # a disk that does not even let go of a file gives no room either way
            pass


def tidy(
    db: sqlite3.Connection, path: Path, is_idle: Callable[[], bool], keep: int = KEEP_BYTES
) -> None:
    """Give back what an outage took, as long as nobody waits. Raises `sqlite3.Error`, `OSError`."""
    is_cut = False
    while (free := _free_pages(db)) > keep // PAGE_BYTES + (_STEP_PAGES if keep else 0):
        # It frees one page each time it is stepped.
        db.execute(f"PRAGMA incremental_vacuum({min(free, _STEP_PAGES)})").fetchall()
        is_cut = True
        if not is_idle():
            return
    _, wal, _ = family(path)
    if is_cut or not keep or (wal.exists() and wal.stat().st_size > _LONG_WAL_BYTES):
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()


def _free_pages(db: sqlite3.Connection) -> int:
    (pages,) = db.execute("PRAGMA freelist_count").fetchone()
    return int(pages)
