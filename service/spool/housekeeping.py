"""Disk space: given back after an outage, and looked for while the disk is full."""

import os
import sqlite3
from collections.abc import Callable
from pathlib import Path

from service.spool.database import PAGE_BYTES, WAL_BYTES, family

_KEEP_BYTES = 16 * 1024 * 1024
"""Free pages that stay in the file for the next events; giving them back and forth costs writes."""
_STEP_PAGES = 500
"""Given back in one transaction: some milliseconds in which nobody else can commit."""
_LONG_WAL_BYTES = 2 * WAL_BYTES
"""A write-ahead log this long had a reader in its way when it should have begun anew."""
_PROBE_BYTES = 1024 * 1024


def tidy(db: sqlite3.Connection, path: Path, is_idle: Callable[[], bool]) -> None:
    """Give back what an outage took, as long as nobody waits. Raises `sqlite3.Error`, `OSError`."""
    is_cut = False
    while _free_bytes(db) > _KEEP_BYTES + _STEP_PAGES * PAGE_BYTES:
        # It frees one page each time it is stepped.
        db.execute(f"PRAGMA incremental_vacuum({_STEP_PAGES})").fetchall()
        is_cut = True
        if not is_idle():
            return
    _, wal, _ = family(path)
    if is_cut or (wal.exists() and wal.stat().st_size > _LONG_WAL_BYTES):
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()


def look_for_space(folder: Path) -> None:
    """Raises `OSError` while there is none: only writing tells, for quotas show in no number."""
    probe = folder / "probe"
    try:
        with probe.open("wb") as file:
            file.write(b"\0" * _PROBE_BYTES)
            file.flush()
            os.fsync(file.fileno())
    finally:
        probe.unlink(missing_ok=True)


def _free_bytes(db: sqlite3.Connection) -> int:
    (pages,) = db.execute("PRAGMA freelist_count").fetchone()
    return int(pages) * PAGE_BYTES
