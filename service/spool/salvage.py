"""A damaged database file: what can still be read of it, and how it is moved out of the way.

Nothing of it is ever deleted.
"""

import sqlite3
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import chain, islice
from pathlib import Path
from typing import Any

import structlog

from service.spool.database import Totals, connect_reader, family, sync_folder, transaction
from service.spool.rows import COLUMNS, Row, from_row, to_row

log = structlog.get_logger(__name__)

_BATCH = 500


def set_aside(path: Path, why: str, salvaged: Mapping[str, int]) -> None:
    """Its companions keep their names beside it: SQLite can still open it. Raises `OSError`."""
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    target = path.with_name(f"{path.name}.damaged-{stamp}")
    number = 1
    while any(member.exists() for member in family(target)):
        number += 1
        target = path.with_name(f"{path.name}.damaged-{stamp}-{number}")
    # The log first: should we die in between, it would be taken for one of the new database.
    is_gone = True
    for old, new in reversed(list(zip(family(path), family(target), strict=True))):
        if old.exists():
            old.rename(new)
            is_gone = False
    sync_folder(path.parent)
    if is_gone:
        log.error("spool_file_gone", file=str(path), reason=why, **salvaged)
    else:
        log.error("spool_set_aside", file=str(path), now=str(target), reason=why, **salvaged)


def files_set_aside(path: Path) -> list[Path]:
    """Damaged databases that wait for somebody to look at them."""
    found = path.parent.glob(f"{path.name}.damaged-*")
    return sorted(file for file in found if not file.name.endswith(("-wal", "-shm")))


@dataclass(frozen=True, slots=True)
class SetAside:
    """How much of them there is."""

    files: int = 0
    bytes: int = 0


def measure_set_aside(path: Path) -> SetAside:
    """With their companions. Raises `OSError`, also where one is taken away meanwhile."""
    files = files_set_aside(path)
    members = [member for file in files for member in family(file) if member.exists()]
    return SetAside(len(files), sum(member.stat().st_size for member in members))


def take_over(
    damaged: Path, db: sqlite3.Connection, live: sqlite3.Connection | None = None
) -> dict[str, int]:
    """Copy each row that is whole into `db`; how many, by table. The ids stay: who is about to
    remove one may. `live` is read first, where there is one, then the file as it is found. Raises
    `sqlite3.Error` where `db` cannot be written."""
    # Of an empty database SQLite deletes the log, which may hold everything.
    is_there = damaged.exists() and damaged.stat().st_size > 0
    sources = ([live] if live else []) + ([None] if is_there else [])
    copied = {}
    for table in _TABLES:
        copied[table.name] = 0
        rows = chain.from_iterable(_rows(damaged, table, source) for source in sources)
        while batch := list(islice(rows, _BATCH)):
            with transaction(db) as totals:
                for head, row in batch:
                    if db.execute(table.insert, (*head, *row)).rowcount == 1:
                        table.count(totals, head[0], row)
                        copied[table.name] += 1
    return copied


def _count_event(totals: Totals, id: int, row: Row) -> None:
    totals.events += 1
    totals.bytes += row[0]
    totals.last_id = max(totals.last_id, id)


def _count_dead(totals: Totals, id: int, row: Row) -> None:
    totals.dead += 1


@dataclass(frozen=True)
class _Table:
    name: str
    head: tuple[str, ...]
    """What stands before the columns of an envelope."""
    count: Callable[[Totals, int, Row], None]

    @property
    def select(self) -> str:
        return f"SELECT {', '.join(self.head)}, {COLUMNS} FROM {self.name}"

    @property
    def insert(self) -> str:
        marks = ", ".join("?" * (len(self.head) + len(COLUMNS.split(","))))
        columns = f"{', '.join(self.head)}, {COLUMNS}"
        return f"INSERT OR IGNORE INTO {self.name} ({columns}) VALUES ({marks})"


_TABLES = (
    _Table("events", ("id",), _count_event),
    _Table("dead", ("id", "buried", "reason", "detail"), _count_dead),
)


def _rows(
    damaged: Path, table: _Table, live: sqlite3.Connection | None
) -> Iterator[tuple[tuple[Any, ...], Row]]:
    """From the first up to the damage, then from the last down to it."""
    width = len(table.head)
    reached = 0
    for order in ("ASC", "DESC"):
        query = f"{table.select} WHERE id > {reached} ORDER BY id {order}"
        for found in _readable(damaged, query, live):
            envelope = from_row(found[width:])
            if order == "ASC":
                reached = found[0]
            if envelope is not None:
                head = [v.decode(errors="replace") if isinstance(v, bytes) else v for v in found]
                yield tuple(head[:width]), to_row(envelope)


def _readable(
    damaged: Path, query: str, live: sqlite3.Connection | None
) -> Iterator[tuple[Any, ...]]:
    db = live
    try:
        db = db or connect_reader(damaged)
        db.text_factory = bytes
        # Else SQLite refuses all of a file that is shorter than it says.
        db.execute("PRAGMA writable_schema = ON")
        yield from db.execute(query)
    except sqlite3.Error as error:
        log.warning("spool_salvage_stopped", file=str(damaged), reason=str(error))
    finally:
        if db is not None and db is not live:
            db.close()
