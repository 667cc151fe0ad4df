"""A disk that is full, or cannot be written: a typed error, nothing lost, and back by itself.

Needs a small file system of its own, which only root may mount.
"""

import asyncio
import os
import resource
import signal
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from service.spool.config import SpoolConfig
from service.spool.database import family
from service.spool.errors import SpoolRefused, SpoolUnavailable
from service.spool.housekeeping import RESERVE_BYTES
from tests.spool.stores import Watched, envelope, envelopes, file_of, numbers, opened, set_aside

MEGABYTE = 1024 * 1024


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    if os.geteuid() != 0:
        pytest.skip("only root may mount a small file system to fill")
    folder = tmp_path / "disk"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=40m", "mailfault-test", folder], check=True)
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)


@pytest.fixture
def limit_file_size() -> Iterator[Callable[[int | None], None]]:
    """Of any file this process writes; `None`: as before."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)

    def limit(most: int | None) -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft if most is None else most, hard))

    yield limit
    limit(None)
    signal.signal(signal.SIGXFSZ, handler)


def fill(disk: Path, leave: int = 0) -> Path:
    """All that is free, but for some bytes."""
    ballast = disk / "ballast"
    with ballast.open("ab", buffering=0) as file:
        status = os.statvfs(disk)
        free = status.f_bavail * status.f_frsize - leave
        try:
            while free > 0:
                free -= file.write(b"x" * min(free, 65536))
        except OSError:
            pass
    return ballast


def leave_only_the_reserve(disk: Path, file: Path) -> None:
    """As on a disk of just the size that the file and its reserve have."""
    status = os.statvfs(disk)
    size = status.f_blocks * status.f_frsize - file.stat().st_size - RESERVE_BYTES - MEGABYTE // 4
    with (disk / "ballast").open("wb", buffering=0) as ballast:
        while ballast.tell() < size:
            try:
                ballast.write(b"x" * min(65536, size - ballast.tell()))
            except OSError:  # the reserve is just being tried
                continue


async def append_until_full(store: Watched, first: int = 0) -> list[int]:
    """The numbers that are durable."""
    durable: list[int] = []
    for number in range(first, 1_000_000, 20):
        batch = range(number, number + 20)
        try:
            await store.append(envelopes(batch, size=1500))
        except SpoolUnavailable:
            return durable
        durable += batch
    raise AssertionError("the disk took it all")


async def test_a_full_disk(small_disk: Path) -> None:
    async with opened(small_disk) as store:
        durable = await append_until_full(store)
        assert durable
        assert store.is_failing
        assert not store.has_room
        assert store.last_error is not None
        assert "full" in store.last_error
        assert store.events == len(durable)
        assert await numbers(store) == durable, "all of them, and nothing of what failed"
        with pytest.raises(SpoolUnavailable):
            await store.append(envelopes(range(100)))


async def test_space_comes_back(small_disk: Path) -> None:
    async with opened(small_disk) as store:
        await store.append([envelope(0)])
        ballast = fill(small_disk)
        durable = [0, *await append_until_full(store, first=1)]
        ballast.unlink()
        await store.until(lambda: not store.is_failing)
        assert store.has_room
        await store.append(envelopes(range(500_000, 500_100), size=1500))
        assert await numbers(store) == [*durable, *range(500_000, 500_100)]
    assert set_aside(small_disk) == []
    async with opened(small_disk) as store:
        assert await numbers(store) == [*durable, *range(500_000, 500_100)]


async def test_a_spool_that_fills_the_disk_itself_can_be_drained(small_disk: Path) -> None:
    """Removing needs room too. It must not need more than there is."""
    async with opened(small_disk) as store:
        await append_until_full(store)
        after = 0
        while events := await store.read(after, 100):
            after = events[-1][0]
            await store.remove([id for id, _ in events])
        await store.until(lambda: store.events == 0 and not store.is_failing)
        await store.append(envelopes(range(100), size=1500))
        assert await numbers(store) == list(range(100))


async def test_a_disk_the_spool_has_filled_stays_full(small_disk: Path) -> None:
    """Its own reserve, given up and taken back, is no room for events: it must not be called
    available at every look, and fail again with the next event."""
    clock = asyncio.get_running_loop().time
    async with opened(small_disk) as store:
        await append_until_full(store)
        enough = clock() + 2.5  # more than two looks
        while clock() < enough:
            await store.remove([12345])
            assert store.is_failing


async def test_a_file_with_room_in_it_takes_events_on_a_disk_that_has_none(
    small_disk: Path,
) -> None:
    """What was drained leaves free pages, but a write goes to the log first. With the whole reserve
    taken back that had no room: available and full in turn, for ever, and no event taken."""
    async with opened(small_disk) as store:
        await append_until_full(store)
        file, log, _ = family(file_of(small_disk))
        while log.stat().st_size:  # until it has been moved into the database
            await store.remove([12345])
        leave_only_the_reserve(small_disk, file)
        ids: list[int] = []
        while found := await store.read(ids[-1] if ids else 0, 1000):
            ids += [id for id, _ in found]
        kept = 5000  # more than would be written anew
        for first in range(0, len(ids) - kept, 100):
            await store.remove(ids[first : min(first + 100, len(ids) - kept)])
        for number in range(50_000, 54_000, 20):
            await store.until(lambda: not store.is_failing)
            await store.append(envelopes(range(number, number + 20), size=1500))
        assert store.events == kept + 4000
        assert (await numbers(store))[kept:] == list(range(50_000, 54_000))


async def test_what_could_not_be_removed_is_removed_later(small_disk: Path) -> None:
    async with opened(small_disk) as store:
        ids = await store.append(envelopes(range(1000), size=1500))
        ballast = fill(small_disk)
        durable = await append_until_full(store, first=1000)
        await store.remove(ids[:900])
        ballast.unlink()
        await store.until(lambda: not store.is_failing)
        await store.remove(ids[900:901])
        assert await numbers(store) == [*range(901, 1000), *durable]


async def test_a_drain_goes_on_while_the_disk_stays_full(
    tmp_path: Path, limit_file_size: Callable[[int | None], None]
) -> None:
    """There is room for removals, but none for the reserve."""
    clock = asyncio.get_running_loop().time
    async with opened(tmp_path) as store:
        ids = await store.append(envelopes(range(5500), size=1500))
        limit_file_size(MEGABYTE // 2)
        durable = await append_until_full(store, first=5500)
        limit_file_size(15 * MEGABYTE)
        before = store.commits
        while store.commits == before:  # until the file has been opened anew
            await store.remove([12345])
        enough = clock() + 3.5  # more than three looks
        for id in ids[:700]:
            before = store.commits
            await store.remove([id])
            assert store.commits == before + 1, "on the disk, not only remembered"
        while clock() < enough:
            before = store.commits
            await store.remove([12345])
            assert store.commits == before + 1
        assert store.is_failing
        assert store.events == 4800 + len(durable)
        assert await numbers(store) == [*range(700, 5500), *durable]


async def test_a_disk_that_is_full_from_the_start(small_disk: Path) -> None:
    ballast = fill(small_disk)
    async with opened(small_disk) as store:
        assert store.is_failing
        assert not store.has_room
        assert store.events == 0
        with pytest.raises(SpoolUnavailable):
            await store.append([envelope(1)])
        with pytest.raises(SpoolUnavailable):
            await store.read(0, 1)
        ballast.unlink()
        await store.until(lambda: not store.is_failing)
        await store.append([envelope(1)])
        assert await numbers(store) == [1]


async def test_a_disk_that_is_full_when_it_opens_again(small_disk: Path) -> None:
    async with opened(small_disk) as store:
        await store.append(envelopes(range(10)))
    ballast = fill(small_disk)
    async with opened(small_disk) as store:
        assert store.is_failing
        ballast.unlink()
        await store.until(lambda: not store.is_failing)
        assert store.events == 10
        assert await numbers(store) == list(range(10))
    assert set_aside(small_disk) == []


async def test_a_disk_that_becomes_read_only(small_disk: Path) -> None:
    def remount(mode: str) -> None:
        subprocess.run(["mount", "-o", f"remount,{mode}", small_disk], check=True)

    async with opened(small_disk) as store:
        await store.append(envelopes(range(10)))
    # Open files for writing keep it from becoming read-only, so we come later.
    remount("ro")
    try:
        with pytest.raises(SpoolRefused, match="Read-only file system"):
            await Watched(small_disk, SpoolConfig()).open()
    finally:
        remount("rw")
    async with opened(small_disk) as store:
        assert await numbers(store) == list(range(10))
    assert set_aside(small_disk) == []


async def test_a_bound_on_the_size_of_files(
    tmp_path: Path, limit_file_size: Callable[[int | None], None]
) -> None:
    """Where there is no root: the kernel refuses to let any file grow (EFBIG)."""
    async with opened(tmp_path) as store:
        await store.append(envelopes(range(100), size=1500))
        limit_file_size(MEGABYTE // 2)
        durable = await append_until_full(store, first=100)
        assert store.is_failing
        assert await numbers(store) == [*range(100), *durable]
        limit_file_size(None)
        await store.until(lambda: not store.is_failing)
        await store.append(envelopes(range(50_000, 51_000), size=1500))
        assert await numbers(store) == [*range(100), *durable, *range(50_000, 51_000)]
    assert set_aside(tmp_path) == []


async def test_an_operator_who_writes_is_waited_for(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        other = sqlite3.connect(file_of(tmp_path), isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        append = asyncio.create_task(store.append([envelope(1)]))
        await asyncio.wait([append], timeout=1.5)
        assert not append.done()
        other.execute("ROLLBACK")
        assert len(await append) == 1
        assert not store.is_failing
        other.close()


async def test_failing_and_back_under_load(small_disk: Path) -> None:
    """Many callers at once: each knows for its own events whether they are durable."""
    async with opened(small_disk) as store:
        durable: set[int] = set()

        async def append(lane: int) -> None:
            for number in range(lane * 10_000, lane * 10_000 + 2000, 10):
                batch = range(number, number + 10)
                while True:
                    try:
                        ids = await store.append(envelopes(batch, size=1500))
                    except SpoolUnavailable:
                        await store.until(lambda: not store.is_failing)
                        continue
                    durable.update(batch)
                    await store.remove(ids)
                    break

        tasks = [asyncio.create_task(append(lane)) for lane in range(5)]
        for _ in range(3):
            ballast = fill(small_disk)
            await store.until(lambda: store.is_failing or all(task.done() for task in tasks))
            ballast.unlink()
            await store.until(lambda: not store.is_failing)
        await asyncio.gather(*tasks)
        assert len(durable) == 10_000
        await store.append([envelope(99)])
        assert await numbers(store) == [99]
        assert file_of(small_disk).stat().st_size < 40 * MEGABYTE
