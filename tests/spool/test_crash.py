"""`kill -9` in the middle of writing, again and again: what was said to be durable is there."""

import random
import subprocess
import sys
from pathlib import Path

from tests.spool.stores import numbers, opened, set_aside

ROUNDS = 10


async def test_kill_9_loses_nothing_and_invents_nothing(tmp_path: Path) -> None:
    durable: set[int] = set()
    removing: set[int] = set()
    removed: set[int] = set()
    for turn in range(ROUNDS):
        said = _append_until_killed(tmp_path, 1_000_000 * turn, lines=random.randrange(1, 800))
        durable |= said["durable"]
        removing |= said["removing"]
        removed |= said["removed"]
        # Every other time the next process is the one that finds what the last one left.
        if turn % 2:
            async with opened(tmp_path) as store:
                found = await numbers(store)
                assert len(found) == len(set(found)) == store.events
                assert durable - removing <= set(found), "lost"
                assert not removed & set(found), "came back"
                for lane in _lanes(found):
                    most = 1_000_000 * (turn + 1)
                    assert max(lane) < most, "invented"
    assert len(durable) > 100
    assert set_aside(tmp_path) == []


def _lanes(found: list[int]) -> list[list[int]]:
    lanes: dict[int, list[int]] = {}
    for number in found:
        lanes.setdefault(number // 100_000, []).append(number)
    for lane in lanes.values():
        assert lane == sorted(lane), "each lane in its order"
    return list(lanes.values())


def _append_until_killed(data_dir: Path, first: int, lines: int) -> dict[str, set[int]]:
    said: dict[str, set[int]] = {"durable": set(), "removing": set(), "removed": set()}
    with subprocess.Popen(
        [sys.executable, "-m", "tests.spool.appender", data_dir, str(first)],
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"open\n"
        for count, line in enumerate(process.stdout):
            if count == lines:
                process.kill()
            word, _, number = line.partition(b" ")
            said[word.decode()].add(int(number))
    assert process.returncode == -9
    return said
