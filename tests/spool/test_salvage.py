"""Salvage: what is whole in a damaged file is taken over, in its order, and can be removed."""

import os
import sqlite3
from pathlib import Path

from tests.spool.stores import envelope, envelopes, file_of, numbers, opened, set_aside

PAGE = 8192


async def filled(data_dir: Path, count: int = 2000) -> None:
    async with opened(data_dir) as store:
        await store.append(envelopes(range(count), size=1500))


def break_page(path: Path, share: float) -> None:
    data = bytearray(path.read_bytes())
    at = int(len(data) * share) // PAGE * PAGE
    data[at : at + 12] = b"\xff" * 12
    path.write_bytes(data)


async def test_one_broken_page_costs_its_own_events_only(tmp_path: Path) -> None:
    await filled(tmp_path)
    break_page(file_of(tmp_path), 0.5)
    async with opened(tmp_path) as store:
        assert 2000 - 10 <= store.events < 2000


async def test_what_lies_between_two_broken_pages_stays_in_the_file(tmp_path: Path) -> None:
    await filled(tmp_path)
    break_page(file_of(tmp_path), 0.25)
    break_page(file_of(tmp_path), 0.75)
    async with opened(tmp_path) as store:
        found = await numbers(store)
        assert found == sorted(set(found))
        assert 900 < len(found) < 1100
        assert {0, 1, 2, 1997, 1998, 1999} <= set(found)


async def test_the_ids_stay(tmp_path: Path) -> None:
    """Who has read an event before may still be about to remove it."""
    async with opened(tmp_path) as store:
        ids = await store.append(envelopes(range(2000), size=1500))
    break_page(file_of(tmp_path), 0.5)
    async with opened(tmp_path) as store:
        assert [id for id, _ in await store.read(0, 5)] == list(ids[:5])
        await store.remove(ids)
        assert (store.events, store.bytes) == (0, 0)
        assert (await store.append([envelope(1)]))[0] > ids[-1]


async def test_dead_letters_too(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        await store.append(envelopes(range(2000), size=1500))
        await store.bury(envelope(1), "too_large", "1 MB")
    break_page(file_of(tmp_path), 0.5)
    async with opened(tmp_path) as store:
        assert store.dead_letters == 1
    with sqlite3.connect(file_of(tmp_path)) as db:
        assert db.execute("SELECT reason, detail FROM dead").fetchall() == [("too_large", "1 MB")]
    db.close()


async def test_a_salvage_that_died_half_way_begins_again(tmp_path: Path) -> None:
    await filled(tmp_path)
    break_page(file_of(tmp_path), 0.5)
    draft = file_of(tmp_path).with_name("spool.sqlite3.new")
    await filled(tmp_path / "other", 7)
    os.replace(file_of(tmp_path / "other"), draft)
    async with opened(tmp_path) as store:
        assert store.events > 1990
    assert len(set_aside(tmp_path)) == 1
    assert not draft.exists()


async def test_what_was_only_in_the_log_is_salvaged(tmp_path: Path) -> None:
    """The receiver was killed before its log was moved into the database."""
    async with opened(tmp_path) as store:
        await store.append(envelopes(range(2000), size=1500))
    async with opened(tmp_path) as store:
        await store.append(envelopes(range(2000, 2010)))
        copies = {path: path.read_bytes() for path in file_of(tmp_path).parent.iterdir()}
    for path, data in copies.items():
        path.write_bytes(data)
    break_page(file_of(tmp_path), 0.5)
    async with opened(tmp_path) as store:
        found = await numbers(store)
        assert found[-10:] == list(range(2000, 2010))
        assert len(found) > 2000
