"""Disk space: an outage's file shrinks again, the log stays short, the reserve is there."""

import asyncio
import resource
import sqlite3
from pathlib import Path

import pytest

from service.spool.config import SpoolConfig
from service.spool.database import WAL_BYTES
from service.spool.housekeeping import RESERVE_BYTES, Reserve
from tests.spool.stores import envelope, envelopes, file_of, numbers, opened

MEGABYTE = 1024 * 1024


async def test_an_outage_leaves_no_large_file(tmp_path: Path) -> None:
    path = file_of(tmp_path)
    async with opened(tmp_path) as store:
        for start in range(0, 40_000, 2000):
            await store.append(envelopes(range(start, start + 2000), size=1500))
        assert path.stat().st_size > 60 * MEGABYTE
        last = await store.append([envelope(40_000)])
        await store.remove(range(last[0]))
        while path.stat().st_size > 2 * MEGABYTE:
            await store.remove([12345])  # waits for the writer, which looks once a second
        await store.append([envelope(40_001)])
        assert await numbers(store) == [40_000, 40_001]
    async with opened(tmp_path) as store:
        assert await numbers(store) == [40_000, 40_001]


async def test_the_log_stays_short(tmp_path: Path) -> None:
    """Write-ahead: events come and go for ever."""
    wal = file_of(tmp_path).with_name("spool.sqlite3-wal")
    most = 0
    async with opened(tmp_path) as store:
        for _ in range(150):
            ids = await store.append(envelopes(range(100), size=1500))
            assert len(await store.read(ids[0] - 1, 100)) == 100
            await store.remove(ids)
            most = max(most, wal.stat().st_size)
        assert most < WAL_BYTES + 2 * MEGABYTE
        assert file_of(tmp_path).stat().st_size < 10 * MEGABYTE


async def test_a_reader_that_stays_does_not_make_the_log_grow_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And nobody waits for the one who reads: else this would not end."""
    for module in ("database", "housekeeping"):
        monkeypatch.setattr(f"service.spool.{module}.BUSY_SECONDS", 3600)
    wal = file_of(tmp_path).with_name("spool.sqlite3-wal")
    async with opened(tmp_path) as store:
        await store.append([envelope(1)])
        reader = sqlite3.connect(file_of(tmp_path), isolation_level=None)
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM events").fetchone()
        for _ in range(10):
            ids = await store.append(envelopes(range(2000), size=1500))
            await store.remove(ids)
        assert wal.stat().st_size > 2 * WAL_BYTES
        clock = asyncio.get_running_loop().time
        looked = clock() + 2.5
        while clock() < looked:
            await store.append([envelope(1)])
        reader.close()
        while wal.stat().st_size > WAL_BYTES:
            await store.remove([12345])


async def test_the_reserve_is_really_taken(tmp_path: Path) -> None:
    async with opened(tmp_path, SpoolConfig()):
        status = file_of(tmp_path).with_name("reserve").stat()
        assert status.st_size == RESERVE_BYTES
        assert status.st_blocks * 512 >= RESERVE_BYTES


def test_a_reserve_that_does_not_fit_leaves_nothing(tmp_path: Path) -> None:
    reserve = Reserve(tmp_path)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (MEGABYTE, hard))
    try:
        with pytest.raises(OSError, match="File too large"):
            reserve.take()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert list(tmp_path.iterdir()) == []
    reserve.take()
    reserve.take()
    reserve.give_up()
    reserve.give_up()
    assert list(tmp_path.iterdir()) == []


def test_what_is_to_spare_is_asked_for_and_not_kept(tmp_path: Path) -> None:
    reserve = Reserve(tmp_path)
    reserve.take()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (RESERVE_BYTES + MEGABYTE, hard))
    try:
        with pytest.raises(OSError, match="File too large"):
            reserve.take(spare=2 * MEGABYTE)
        reserve.take(spare=MEGABYTE)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    [file] = tmp_path.iterdir()
    assert file.stat().st_size == RESERVE_BYTES
