"""Group commits: callers at the same time share one, and each waits for the disk."""

import asyncio
from pathlib import Path

from service.spool.config import SpoolConfig
from tests.spool.stores import envelope, numbers, opened


async def test_callers_at_the_same_time_share_a_commit(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        before = store.commits
        answers = await asyncio.gather(*(store.append([envelope(n)]) for n in range(1000)))
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
        await asyncio.gather(
            *(store.remove([id]) for id in ids[:50]),
            *(store.bury(envelope(n), "no_stream", "", ids[n]) for n in range(50, 60)),
            *(store.append([envelope(n)]) for n in range(100, 110)),
        )
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
