"""Group commits: callers at the same time share one, and each waits for the disk."""

import asyncio
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from service.spool.config import SpoolConfig
from service.spool.errors import SpoolUnavailable
from service.spool.store import SpoolStore
from tests.spool.stores import envelope, file_of, numbers, opened


@contextmanager
def nothing_committed(home: Path) -> Iterator[None]:
    """Meanwhile: the writer waits for a lock. Else it is a race how many it finds at a time."""
    other = sqlite3.connect(file_of(home), isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    yield
    other.close()


async def test_callers_at_the_same_time_share_a_commit(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        before = store.commits
        with nothing_committed(tmp_path):
            appending = [asyncio.create_task(store.append([envelope(n)])) for n in range(1000)]
            await asyncio.sleep(0)
        answers = await asyncio.gather(*appending)
        assert store.commits - before <= 30
        assert [ids[0] for ids in answers] == sorted({ids[0] for ids in answers}), "in order"
        assert await numbers(store) == list(range(1000))


async def test_one_after_the_other_each_has_its_own(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        before = store.commits
        for number in range(10):
            await store.append([envelope(number)])
        assert store.commits - before == 10


async def test_removals_and_dead_letters_share_it_too(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        ids = await store.append([envelope(n) for n in range(100)])
        before = store.commits
        with nothing_committed(tmp_path):
            working = [
                asyncio.create_task(work)
                for work in (
                    *(store.remove([id]) for id in ids[:50]),
                    *(store.bury(envelope(n), "no_stream", "", ids[n]) for n in range(50, 60)),
                    *(store.append([envelope(n)]) for n in range(100, 110)),
                )
            ]
            await asyncio.sleep(0)
        await asyncio.gather(*working)
        assert store.commits - before <= 5
        assert await numbers(store) == list(range(60, 110))
        assert store.dead_letters == 10


async def test_a_transaction_is_bounded(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        before = store.commits
        batch = [envelope(n) for n in range(500)]
        await asyncio.gather(*(store.append(batch) for _ in range(20)))
        assert store.commits - before >= 5


async def test_the_least_time_between_commits(tmp_path: Path) -> None:
    clock = asyncio.get_running_loop().time
    async with opened(tmp_path, SpoolConfig(commit_interval=0.05)) as store:
        await store.append([envelope(0)])
        begin = clock()
        for number in range(4):
            await store.append([envelope(number)])
        assert clock() - begin >= 0.15


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
async def test_a_defect_leaves_nobody_waiting(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        await store.append([envelope(1)])
        answers = await asyncio.gather(
            store.append([envelope(2)]),
            store.remove([2**70]),  # no id can be so large
            store.append([envelope(3)]),
            return_exceptions=True,
        )
        assert [type(answer) for answer in answers] == [SpoolUnavailable] * 3
        assert store.is_failing
        with pytest.raises(SpoolUnavailable):
            await store.append([envelope(4)])
    async with opened(tmp_path) as store:
        assert await numbers(store) == [1]


async def test_a_store_that_was_never_opened_can_be_closed(tmp_path: Path) -> None:
    await SpoolStore(tmp_path, SpoolConfig()).close()
    assert os.listdir(tmp_path) == []
