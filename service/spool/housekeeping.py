"""Disk space: given back after an outage, and held in reserve against a full disk."""

import os
import sqlite3
from pathlib import Path

from service.spool.database import BUSY_SECONDS, PAGE_BYTES, WAL_BYTES, family

KEEP_BYTES = 16 * 1024 * 1024
"""Free pages that stay in the file for the next events; giving them back and forth costs writes."""
LIVE_BYTES = 8 * 1024 * 1024
"""The file is written anew when no more than this is in it, which takes a moment. SQLite's way of
giving back page by page takes longer the more there is: minutes, after an outage."""
RESERVE_BYTES = 16 * 1024 * 1024
"""More than the log ever holds: a transaction beyond `WAL_BYTES`."""
SPARE_BYTES = 4 * 1024 * 1024
"""A disk that was full is back when there is so much room beside the reserve: some thousand events.
With less it would be full again with the next one, and back at the next look, for ever."""

_WAIT_MILLISECONDS = 50
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

    def take(self, spare: int = 0, size: int = RESERVE_BYTES) -> None:
        """Raises `OSError` while there is no room for it and so many bytes more."""
        if not spare and self._path.exists() and self._path.stat().st_size == size:
            return
        descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT, 0o600)
        try:
            os.posix_fallocate(descriptor, 0, size + spare)
            os.ftruncate(descriptor, size)
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


def take_back(reserve: Reserve, db: sqlite3.Connection) -> None:
    """On a disk that was full. Raises `OSError` while there is no room for events, too. Whatever is
    written goes to the log first, which is empty at this moment."""
    (pages,) = db.execute("PRAGMA freelist_count").fetchone()
    free = int(pages) * PAGE_BYTES
    try:
        reserve.take(spare=WAL_BYTES + max(0, SPARE_BYTES - free))
    except OSError:
        if free < SPARE_BYTES:
            raise
        # There is room in the file: until that is used up the log is all that grows, and it may
        # have the half of the reserve that is kept for it.
        reserve.take(spare=WAL_BYTES, size=RESERVE_BYTES - WAL_BYTES)


def tidy(db: sqlite3.Connection, path: Path, keep: int = KEEP_BYTES) -> None:
    """Give back what an outage took, once little is left of it; and cut a log that grew too long.
    Raises `sqlite3.Error`, `OSError`."""
    (free,) = db.execute("PRAGMA freelist_count").fetchone()
    (pages,) = db.execute("PRAGMA page_count").fetchone()
    is_cut = free * PAGE_BYTES > keep and (pages - free) * PAGE_BYTES <= LIVE_BYTES
    _, wal, _ = family(path)
    # Somebody who reads may be in the way. Then it is done another time: events wait for us.
    db.execute(f"PRAGMA busy_timeout = {_WAIT_MILLISECONDS}")
    try:
        if is_cut:
            db.execute("VACUUM")
        if is_cut or keep == 0 or (wal.exists() and wal.stat().st_size > _LONG_WAL_BYTES):
            db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    finally:
        db.execute(f"PRAGMA busy_timeout = {int(BUSY_SECONDS * 1000)}")
