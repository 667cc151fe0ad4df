"""The spool's folder: whose it is, and a database in it that can be used.

`open_database` opens the file, creates one, or sets a damaged one aside and creates one.
"""

import errno
import fcntl
import os
import sqlite3
import stat
import time
from contextlib import closing
from pathlib import Path
from typing import IO

import structlog

from service.spool.database import (
    Damaged,
    connect,
    create,
    create_draft,
    draft_of,
    examine,
    family,
    forget,
    identify,
    put_in_place,
)
from service.spool.errors import SpoolRefused
from service.spool.salvage import set_aside, take_over

log = structlog.get_logger(__name__)

FILE_NAME = "spool.sqlite3"

_LOCK_SECONDS = 2.0
"""A predecessor that was killed needs a moment to be gone."""
_DAMAGE = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_REFUSED = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST)
_REFUSALS = (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM, sqlite3.SQLITE_AUTH)


def database_path(data_dir: Path) -> Path:
    return data_dir.absolute() / "spool" / FILE_NAME


def is_damage(error: Exception) -> bool:
    if isinstance(error, Damaged):
        return True
    return isinstance(error, sqlite3.Error) and _primary_code(error) in _DAMAGE


def is_refusal(error: Exception) -> bool:
    """Whether waiting would not help."""
    if isinstance(error, OSError):
        return error.errno in _REFUSED
    return isinstance(error, sqlite3.Error) and _primary_code(error) in _REFUSALS


def is_full(error: Exception) -> bool:
    """After which the connection is as good as before."""
    if isinstance(error, OSError):
        return error.errno in _FULL
    return isinstance(error, sqlite3.Error) and _primary_code(error) == sqlite3.SQLITE_FULL


def is_busy(error: Exception) -> bool:
    """An operator's command has the lock."""
    return isinstance(error, sqlite3.Error) and _primary_code(error) == sqlite3.SQLITE_BUSY


def _primary_code(error: sqlite3.Error) -> int:
    # The module's own errors carry no code.
    return getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF


def lock(folder: Path) -> IO[bytes]:
    """One receiver a folder. Held until closed, or until the process ends in whatever way.
    Raises `SpoolRefused`, `OSError`."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    give_up = time.monotonic() + _LOCK_SECONDS
    file = (folder / "lock").open("ab")
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return file
        except BlockingIOError:
            if time.monotonic() > give_up:
                file.close()
                raise SpoolRefused(
                    f"{folder} is in use by another receiver; give each its own --data-dir"
                ) from None
        time.sleep(0.05)


def is_gone(lock: IO[bytes]) -> bool:
    """Whether its file was removed, or moved with its folder: another receiver could come in."""
    try:
        return not os.path.samestat(os.stat(lock.name), os.fstat(lock.fileno()))
    except FileNotFoundError:
        return True


def open_database(path: Path) -> sqlite3.Connection:
    """Raises `SpoolRefused`; `sqlite3.Error` and `OSError` where waiting may help."""
    forget(draft_of(path))  # of one who died while he made it; it may be large
    if why := _damage_before_opening(path):
        return replace(path, why)
    if not path.exists():
        create(path)
    db = None
    try:
        db = connect(path)
        identify(db)
        examine(db, path)
    except SpoolRefused as error:
        _close(db)
        raise SpoolRefused(f"{path} {error}") from None
    except (sqlite3.Error, Damaged) as error:
        _close(db)
        if not is_damage(error):
            raise
        return replace(path, str(error))
    return db


def replace(path: Path, why: str) -> sqlite3.Connection:
    """A new database where the old one is damaged, with what can be read of the old one. Should
    we die on the way, the damaged one is still in its place."""
    draft, salvaged = rescue(path, None)
    return exchange(path, draft, why, salvaged)


def rescue(path: Path, live: sqlite3.Connection | None) -> tuple[Path, dict[str, int]]:
    """A draft with what can be read, and how much that is. `live`: a connection from before, which
    reaches files that have lost their name, and pages that are in its memory."""
    draft = create_draft(path)
    try:
        with closing(connect(draft)) as db:
            return draft, take_over(path, db, live)
    except (OSError, sqlite3.Error):
        forget(draft)  # the disk may be full: of that too
        raise


def exchange(path: Path, draft: Path, why: str, salvaged: dict[str, int]) -> sqlite3.Connection:
    """The draft in its place, what was there set aside."""
    try:
        set_aside(path, why, salvaged)
    except OSError:
        forget(draft)
        raise
    put_in_place(draft, path)
    return connect(path)


def _damage_before_opening(path: Path) -> str | None:
    """What SQLite would take for an empty database, and its log for left over from nothing."""
    try:
        status = os.stat(path)
    except FileNotFoundError:
        _, wal, _ = family(path)
        return "the database is gone, its log is here" if _has_content(wal) else None
    if not stat.S_ISREG(status.st_mode):
        raise SpoolRefused(f"{path} is not a file")
    if not os.access(path, os.R_OK | os.W_OK):
        raise SpoolRefused(f"{path}: no right to read and write it")
    return "the file is empty" if status.st_size == 0 else None


def _has_content(path: Path) -> bool:
    return path.exists() and path.stat().st_size > 0


def _close(db: sqlite3.Connection | None) -> None:
    if db is not None:
        db.close()
