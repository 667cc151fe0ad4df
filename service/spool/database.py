"""The database file: its tables, its version, how it is created and opened, its totals.

`events` waits for NATS, oldest (smallest `id`) first. `dead` holds what nobody would take.
`totals` is one row, changed in the same transaction as the two, so that counts need no scan and
an id is never given twice.
"""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from service.spool.errors import SpoolRefused

VERSION = 1
PAGE_BYTES = 8192
"""Four events a page, which leaves little unused."""
WAL_BYTES = 8 * 1024 * 1024
"""The write-ahead log is moved into the database when it is this long, and cut down to it."""
BUSY_SECONDS = 5.0
"""How long an operator's command may hold the lock before we call the spool unavailable."""

_APPLICATION_ID = 0x4D466C74  # "MFlt"
_FIELDS = """
    size INTEGER NOT NULL,
    checksum INTEGER NOT NULL,
    received REAL NOT NULL,
    event_type TEXT NOT NULL,
    message_id TEXT NOT NULL,
    subject TEXT NOT NULL,
    header_lines TEXT NOT NULL,
    body BLOB NOT NULL"""
_SCHEMA = f"""
CREATE TABLE events (id INTEGER PRIMARY KEY, {_FIELDS});
CREATE TABLE dead (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    buried REAL NOT NULL,
    reason TEXT NOT NULL,
    detail TEXT NOT NULL, {_FIELDS}
);
CREATE TABLE totals (
    events INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    dead INTEGER NOT NULL,
    last_id INTEGER NOT NULL
);
INSERT INTO totals VALUES (0, 0, 0, 0);
PRAGMA application_id = {_APPLICATION_ID};
PRAGMA user_version = {VERSION};
"""


class Damaged(Exception):
    """The file is not what was written: set it aside."""


@dataclass(slots=True)
class Totals:
    events: int = 0
    bytes: int = 0
    dead: int = 0
    last_id: int = 0


def create(path: Path) -> None:
    put_in_place(create_draft(path), path)


def create_draft(path: Path) -> Path:
    """Complete or not at all: a crash leaves no half-made database under its final name."""
    draft = draft_of(path)
    forget(draft)
    db = sqlite3.connect(draft, isolation_level=None)
    try:
        db.execute(f"PRAGMA page_size = {PAGE_BYTES}")
        db.execute("PRAGMA synchronous = FULL")
        db.executescript(f"BEGIN; {_SCHEMA} COMMIT;")
        db.execute("PRAGMA journal_mode = WAL")
    except sqlite3.Error:
        db.close()
        forget(draft)
        raise
    db.close()
    draft.chmod(0o600)
    return draft


def draft_of(path: Path) -> Path:
    return path.with_name(path.name + ".new")


def put_in_place(draft: Path, path: Path) -> None:
    draft.rename(path)
    sync_folder(path.parent)


def connect(path: Path) -> sqlite3.Connection:
    """For writing; each commit is on disk when it returns."""
    # `rw` and not `rwc`: never a new file where one has just gone.
    db = sqlite3.connect(
        f"{path.as_uri()}?mode=rw", uri=True, isolation_level=None, timeout=BUSY_SECONDS
    )
    try:
        db.execute("PRAGMA synchronous = FULL")
        db.execute("PRAGMA secure_delete = OFF")
        db.execute("PRAGMA temp_store = MEMORY")
        db.execute(f"PRAGMA wal_autocheckpoint = {WAL_BYTES // PAGE_BYTES}")
        db.execute(f"PRAGMA journal_size_limit = {WAL_BYTES}")
    except sqlite3.Error:
        db.close()
        raise
    return db


def connect_reader(path: Path) -> sqlite3.Connection:
    """Text comes as bytes: a damaged row must not break the reading of the others."""
    db = sqlite3.connect(
        f"{path.as_uri()}?mode=ro",
        uri=True,
        isolation_level=None,
        timeout=BUSY_SECONDS,
        check_same_thread=False,
    )
    db.text_factory = bytes
    return db


def identify(db: sqlite3.Connection) -> None:
    """Raises `SpoolRefused` where this is not ours to write."""
    (application,) = db.execute("PRAGMA application_id").fetchone()
    (version,) = db.execute("PRAGMA user_version").fetchone()
    if application != _APPLICATION_ID:
        raise SpoolRefused("is a database, but not a spool of mailfault")
    if version != VERSION:
        raise SpoolRefused(f"has version {version}; this mailfault knows version {VERSION}")


def examine(db: sqlite3.Connection, path: Path) -> None:
    """Raises `Damaged`. Reads the whole file."""
    (is_busy, _, _) = db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    (pages,) = db.execute("PRAGMA page_count").fetchone()
    # SQLite reads zeros where the last page ends early.
    if not is_busy and path.stat().st_size < pages * PAGE_BYTES:
        raise Damaged("the file is shorter than it says")
    examine_pages(db)


def examine_pages(db: sqlite3.Connection) -> None:
    """Raises `Damaged`. Leaves the log as it is, so that other connections keep what they have in
    memory."""
    findings = [str(row[0]) for row in db.execute("PRAGMA quick_check(3)")]
    if findings != ["ok"]:
        raise Damaged("; ".join(findings))
    if db.execute("SELECT count(*) FROM totals").fetchone() != (1,):
        raise Damaged("no totals")


def read_totals(db: sqlite3.Connection) -> Totals:
    return Totals(*db.execute("SELECT events, bytes, dead, last_id FROM totals").fetchone())


def write_totals(db: sqlite3.Connection, totals: Totals) -> None:
    db.execute(
        "UPDATE totals SET events = ?, bytes = ?, dead = ?, last_id = ?",
        (totals.events, totals.bytes, totals.dead, totals.last_id),
    )


@contextmanager
def transaction(db: sqlite3.Connection) -> Iterator[Totals]:
    """The totals as they are, and written back as the caller left them."""
    db.execute("BEGIN IMMEDIATE")
    try:
        totals = read_totals(db)
        yield totals
        write_totals(db, totals)
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:  # some errors have ended it already
            try:
                db.execute("ROLLBACK")
            except sqlite3.Error:  # the first error says more
                pass
        raise


def family(path: Path) -> list[Path]:
    """The files of a database. SQLite finds the others by the name of the first."""
    return [path, path.with_name(path.name + "-wal"), path.with_name(path.name + "-shm")]


def forget(draft: Path) -> None:
    """A database that never was in its place."""
    for path in family(draft):
        path.unlink(missing_ok=True)


def sync_folder(folder: Path) -> None:
    """A new name is durable only once its folder is."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
