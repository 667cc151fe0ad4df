"""What is done to the tables, inside a transaction: append, remove, bury, requeue."""

import sqlite3
from collections.abc import Iterable, Iterator, Sequence

from service.spool.database import Totals
from service.spool.rows import COLUMNS, Row

DAMAGED = "damaged"
"""The reason of a dead letter whose checksum was wrong."""

_MARKS = ", ".join("?" * len(COLUMNS.split(",")))
_INSERT = f"INSERT INTO events (id, {COLUMNS}) VALUES (?, {_MARKS})"
_BURY = f"INSERT INTO dead (buried, reason, detail, {COLUMNS}) VALUES (?, ?, ?, {_MARKS})"
_BURY_EVENT = (
    f"INSERT INTO dead (buried, reason, detail, {COLUMNS}) "
    f"SELECT ?, ?, ?, {COLUMNS} FROM events WHERE id = ?"
)
_REQUEUE = f"INSERT INTO events (id, {COLUMNS}) SELECT ?, {COLUMNS} FROM dead WHERE id = ?"


def append(db: sqlite3.Connection, totals: Totals, rows: Sequence[Row]) -> range:
    """The ids of the new rows."""
    ids = range(totals.last_id + 1, totals.last_id + 1 + len(rows))
    db.executemany(_INSERT, [(id, *row) for id, row in zip(ids, rows, strict=True)])
    totals.events += len(rows)
    totals.bytes += sum(row[0] for row in rows)
    totals.last_id = ids.stop - 1
    return ids


def remove(db: sqlite3.Connection, totals: Totals, ids: Iterable[int]) -> int:
    """How many were there; the others are gone already."""
    removed = 0
    for first, last in _runs(ids):
        events, size = db.execute(
            "SELECT count(*), total(size) FROM events WHERE id BETWEEN ? AND ?", (first, last)
        ).fetchone()
        db.execute("DELETE FROM events WHERE id BETWEEN ? AND ?", (first, last))
        removed += events
        totals.bytes -= int(size)
    totals.events -= removed
    return removed


def bury(
    db: sqlite3.Connection, totals: Totals, row: Row, reason: str, detail: str, now: float
) -> None:
    db.execute(_BURY, (now, reason, detail, *row))
    totals.dead += 1


def bury_damaged(db: sqlite3.Connection, totals: Totals, id: int, now: float) -> None:
    """As it is, for a person to look at."""
    totals.dead += db.execute(_BURY_EVENT, (now, DAMAGED, "wrong checksum", id)).rowcount
    remove(db, totals, [id])


def let_go_of_oldest_dead(db: sqlite3.Connection, totals: Totals, keep: int) -> int:
    """How many had to go."""
    surplus = totals.dead - keep
    if surplus <= 0:
        return 0
    db.execute("DELETE FROM dead WHERE id IN (SELECT id FROM dead ORDER BY id LIMIT ?)", (surplus,))
    totals.dead -= surplus
    return surplus


def requeue(db: sqlite3.Connection, totals: Totals, dead_id: int) -> bool:
    """A dead letter becomes the youngest event. False: no such letter."""
    last_id = totals.last_id + 1
    if db.execute(_REQUEUE, (last_id, dead_id)).rowcount == 0:
        return False
    (size,) = db.execute("SELECT size FROM dead WHERE id = ?", (dead_id,)).fetchone()
    db.execute("DELETE FROM dead WHERE id = ?", (dead_id,))
    totals.last_id = last_id
    totals.events += 1
    totals.bytes += size
    totals.dead -= 1
    return True


def _runs(ids: Iterable[int]) -> Iterator[tuple[int, int]]:
    """1 2 3 7 8 as 1..3, 7..8: a drain removes what lies together."""
    first = last = None
    for id in sorted(ids):
        if first is None or last is None:
            first = last = id
        elif id <= last + 1:
            last = id
        else:
            yield first, last
            first = last = id
    if first is not None and last is not None:
        yield first, last
