"""What an operator does with a spool, whether a receiver runs on it or not.

Looking takes no lock that a receiver would notice, and reads in small pieces: a long read would
keep the write-ahead log from being cut. Putting back is a transaction as any; a receiver that
runs finds the events within a second.
"""

import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from service.core.envelope import Envelope
from service.spool.database import connect, connect_reader, identify, read_totals, transaction
from service.spool.errors import SpoolRefused
from service.spool.opening import is_damage
from service.spool.operations import DAMAGED, requeue
from service.spool.rows import COLUMNS, from_row
from service.spool.salvage import files_set_aside

_PIECE = 200
_EVENTS = f"SELECT id, {COLUMNS} FROM events WHERE id > ? ORDER BY id LIMIT {_PIECE}"
_DEAD = (
    f"SELECT id, buried, reason, detail, {COLUMNS} FROM dead "
    f"WHERE id > ? ORDER BY id LIMIT {_PIECE}"
)


@dataclass(frozen=True)
class Status:
    events: int
    bytes: int
    oldest: float | None
    """When the line of the oldest event was read, Unix time."""
    dead_letters: dict[str, int]
    """By reason."""
    file_bytes: int
    set_aside: list[Path]
    """Damaged databases that wait for somebody to look at them."""


@dataclass(frozen=True)
class DeadLetter:
    id: int
    buried: float
    reason: str
    detail: str
    subject: str
    event_id: str
    body: bytes


def status(path: Path) -> Status:
    """Raises `SpoolRefused`, `sqlite3.Error`."""
    with _opened(path, connect_reader) as db:
        db.execute("BEGIN")  # one moment for all the numbers
        totals = read_totals(db)
        first = db.execute("SELECT received FROM events ORDER BY id LIMIT 1").fetchone()
        reasons = db.execute("SELECT reason, count(*) FROM dead GROUP BY reason ORDER BY 2 DESC")
        return Status(
            totals.events,
            totals.bytes,
            first[0] if first else None,
            {reason.decode(errors="replace"): count for reason, count in reasons},
            path.stat().st_size,
            files_set_aside(path),
        )


def together(found: Sequence[Status]) -> Status:
    """Of the spools of several workers."""
    dead_letters: Counter[str] = Counter()
    for one in found:
        dead_letters.update(one.dead_letters)
    return Status(
        sum(one.events for one in found),
        sum(one.bytes for one in found),
        min((one.oldest for one in found if one.oldest is not None), default=None),
        dict(dead_letters.most_common()),
        sum(one.file_bytes for one in found),
        [path for one in found for path in one.set_aside],
    )


def events(path: Path) -> Iterator[Envelope | None]:
    """Oldest first; `None` for one that is damaged. Raises `SpoolRefused`, `sqlite3.Error`."""
    for row in _pieces(path, _EVENTS):
        yield from_row(row[1:])


def dead_letters(path: Path) -> Iterator[DeadLetter]:
    """Oldest first; damaged ones as they are. Raises `SpoolRefused`, `sqlite3.Error`."""
    for id, buried, reason, detail, _, _, _, _, event_id, subject, _, body in _pieces(path, _DEAD):
        yield DeadLetter(
            id, buried, _text(reason), _text(detail), _text(subject), _text(event_id), body
        )


def put_back(path: Path, ids: Sequence[int] | None, reason: str | None) -> int:
    """Dead letters with those ids and that reason become events again; `None`: all. How many.
    Damaged ones stay: nobody may publish them. Raises `SpoolRefused`, `sqlite3.Error`."""
    done = 0
    chosen = None if ids is None else set(ids)
    with _opened(path, connect) as db:
        wanted = [
            id
            for id, why in db.execute("SELECT id, reason FROM dead ORDER BY id").fetchall()
            if why != DAMAGED and reason in (None, why) and (chosen is None or id in chosen)
        ]
        for start in range(0, len(wanted), _PIECE):
            with transaction(db) as totals:
                for id in wanted[start : start + _PIECE]:
                    done += requeue(db, totals, id)
    return done


def _pieces(path: Path, query: str) -> Iterator[tuple[Any, ...]]:
    with _opened(path, connect_reader) as db:
        after = 0
        while rows := db.execute(query, (after,)).fetchall():
            yield from rows
            after = rows[-1][0]


@contextmanager
def _opened(
    path: Path, connected: Callable[[Path], sqlite3.Connection]
) -> Iterator[sqlite3.Connection]:
    """Errors of SQLite name no file."""
    _must_exist(path)
    try:
        with closing(connected(path)) as db:
            _identify(db, path)
            yield db
    except sqlite3.Error as error:
        remedy = "; the next receiver to start here sets it aside" if is_damage(error) else ""
        raise sqlite3.OperationalError(f"{path}: {error}{remedy}") from error


def _must_exist(path: Path) -> None:
    if not path.exists():
        raise SpoolRefused(f"no spool here: {path}")


def _identify(db: sqlite3.Connection, path: Path) -> None:
    try:
        identify(db)
    except SpoolRefused as error:
        raise SpoolRefused(f"{path} {error}") from None


def _text(value: bytes) -> str:
    return value.decode(errors="replace")
