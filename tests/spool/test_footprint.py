"""Somebody else has his hands on the files of an open spool: seen before more is told safe."""

import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from structlog.testing import capture_logs
from structlog.typing import EventDict

from service.spool import inspection, operations
from service.spool.database import Totals
from service.spool.footprint import Footprint
from service.spool.holder import Holder
from service.spool.rows import to_row
from tests.spool.stores import envelope, envelopes, file_of, numbers, opened, set_aside

PAGE = 8192
BEFORE = range(4000)
"""More than the log holds: most of it is in the database."""
AFTER = range(4000, 4500)

Deed = Callable[[Path], None]


@pytest.fixture
def said() -> Iterator[list[EventDict]]:
    with capture_logs() as events:
        yield events


def errors(said: list[EventDict]) -> list[str]:
    return [str(event["event"]) for event in said if event["log_level"] == "error"]


def log_of(path: Path) -> Path:
    return path.with_name(path.name + "-wal")


def index_of(path: Path) -> Path:
    return path.with_name(path.name + "-shm")


def an_older_copy_in_its_place(path: Path) -> None:
    shutil.copy(path, path.with_name("copy"))
    os.replace(path.with_name("copy"), path)


def the_folder_away(path: Path) -> None:
    """In one step: the writer may look at any moment, and make the folder anew."""
    path.parent.rename(path.parent.with_name("old"))


def both_companions_away(path: Path) -> None:
    log_of(path).unlink()
    index_of(path).unlink()


def zeros_over_the_middle(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(path.stat().st_size // 2 // PAGE * PAGE)
        file.write(bytes(10 * PAGE))


CUT: dict[str, Deed] = {
    "to nothing": lambda path: os.truncate(path, 0),
    "to half a page": lambda path: os.truncate(path, PAGE // 2),
    "to half of it": lambda path: os.truncate(path, path.stat().st_size // 2),
    "its log to nothing": lambda path: os.truncate(log_of(path), 0),
    "zeros over the middle": zeros_over_the_middle,
}
TAKEN: dict[str, Deed] = {
    "the file": Path.unlink,
    "its log": lambda path: log_of(path).unlink(),
    "its index": lambda path: index_of(path).unlink(),
    "log and index": both_companions_away,
    "the folder": the_folder_away,
    "an older copy in its place": an_older_copy_in_its_place,
}


@pytest.mark.parametrize("deed", CUT.values(), ids=CUT)
async def test_what_comes_after_a_file_was_cut_is_safe(
    deed: Deed, tmp_path: Path, said: list[EventDict]
) -> None:
    """`truncate -s 4096` of a spool cost thousands of events that were acknowledged later."""
    async with opened(tmp_path) as store:
        for first in BEFORE[::500]:
            await store.append(envelopes(range(first, first + 500), size=4000))
        deed(file_of(tmp_path))
        for number in AFTER[::50]:
            await store.append(envelopes(range(number, number + 50), size=4000))
        found = await numbers(store)
        assert found[-len(AFTER) :] == list(AFTER)
        assert store.events == len(found)
    assert errors(said) == ["spool_set_aside"]
    assert len(set_aside(tmp_path)) == 1


@pytest.mark.parametrize("deed", TAKEN.values(), ids=TAKEN)
async def test_what_is_taken_away_is_still_at_hand(
    deed: Deed, tmp_path: Path, said: list[EventDict]
) -> None:
    """The open connection reads on in files without a name; so nothing needs to be lost."""
    async with opened(tmp_path) as store:
        for first in BEFORE[::500]:
            await store.append(envelopes(range(first, first + 500), size=4000))
        await store.bury(envelope(9), "too_large", "1 MB")
        deed(file_of(tmp_path))
        await store.append(envelopes(AFTER, size=4000))
        assert await numbers(store) == [*BEFORE, *AFTER]
        assert store.dead_letters == 1
    assert len(errors(said)) == 1
    async with opened(tmp_path) as store:
        assert await numbers(store) == [*BEFORE, *AFTER]
        assert store.dead_letters == 1


async def test_it_is_seen_without_a_commit_too(tmp_path: Path, said: list[EventDict]) -> None:
    """A drain reads only: it would go on for ever in a log that is not there."""
    async with opened(tmp_path) as store:
        await store.append(envelopes(BEFORE, size=4000))
        log_of(file_of(tmp_path)).unlink()
        await store.until(lambda: "spool_set_aside" in errors(said))
        assert await numbers(store) == list(BEFORE)


async def test_a_folder_that_is_gone_is_locked_again(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        the_folder_away(file_of(tmp_path))
        shutil.rmtree(tmp_path / "old")
        await store.append([envelope(1)])
        folder = file_of(tmp_path).parent
        assert (folder / "lock").exists()
        assert (folder / "reserve").exists()


def test_a_file_that_is_cut_during_a_commit(tmp_path: Path) -> None:
    """What was written into it does not count: it is written again."""
    path = file_of(tmp_path)
    holder = Holder(path, lambda: None)
    holder.open_first()
    written: list[range] = []

    def work(db: sqlite3.Connection, totals: Totals) -> range:
        written.append(operations.append(db, totals, [to_row(envelope(1))]))
        if len(written) == 1:
            path.unlink()
        return written[-1]

    holder.transact(work)
    holder.close()
    assert len(written) == 2
    with closing(sqlite3.connect(path)) as db:
        assert (written[-1].start,) in db.execute("SELECT id FROM events").fetchall()


async def test_an_operator_who_puts_letters_back_is_no_intruder(
    tmp_path: Path, said: list[EventDict]
) -> None:
    """He writes to the log, and what is in it may be moved into the database by him."""
    async with opened(tmp_path) as store:
        for number in range(1500):
            await store.bury(envelope(number, size=4000), "too_large", "1 MB")
        before = Footprint.of(file_of(tmp_path))
        assert inspection.put_back(file_of(tmp_path), None, None) == 1500
        assert before.is_written_over(Footprint.of(file_of(tmp_path)))
        await store.append([envelope(2000)])
        assert sorted(await numbers(store)) == [*range(1500), 2000]
    assert errors(said) == []
    assert set_aside(tmp_path) == []


async def test_an_empty_file_does_not_cost_its_log(tmp_path: Path) -> None:
    """SQLite deletes the log of an empty database, and it may hold everything."""
    async with opened(tmp_path) as store:
        await store.append(envelopes(range(5)))
        log = log_of(file_of(tmp_path)).read_bytes()
    file_of(tmp_path).write_bytes(b"")
    log_of(file_of(tmp_path)).write_bytes(log)
    async with opened(tmp_path):
        pass
    [kept] = file_of(tmp_path).parent.glob("*.damaged-*-wal")
    assert kept.read_bytes() == log
