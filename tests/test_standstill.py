"""A bound that is lifted where the machine stood still, and nowhere else."""

import asyncio
import os
import signal
import sys
import time
from pathlib import Path

from tests.standstill import watched

_ROOT = Path(__file__).parents[1]
_STOPPED = """
import asyncio, time
from tests.standstill import watched

async def main():
    with watched() as standstill:
        begin = time.time()
        print("watching", flush=True)
        while time.time() - begin < 2:
            await asyncio.sleep(0.01)
        print(standstill.within(begin, time.time()), standstill.within(begin - 60, begin - 50))

asyncio.run(main())
"""


async def test_a_stop_is_the_machine_s() -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", _STOPPED),
        cwd=_ROOT,
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(_ROOT)},
    )
    assert process.stdout is not None
    assert await process.stdout.readline() == b"watching\n"
    process.send_signal(signal.SIGSTOP)
    await asyncio.sleep(0.5)
    process.send_signal(signal.SIGCONT)
    output, _ = await process.communicate()
    within, before = map(float, output.split())
    assert within > 0.45
    assert before == 0


async def test_work_of_ours_is_not() -> None:
    with watched() as standstill:
        begin, worked = time.time(), time.process_time()
        while time.process_time() - worked < 0.5:
            pass
        end = time.time()
        assert end - begin - standstill.within(begin, end) > 0.45


async def test_nor_is_waiting() -> None:
    with watched() as standstill:
        begin = time.time()
        for _ in range(50):
            await asyncio.sleep(0.01)
        end = time.time()
        assert end - begin - standstill.within(begin, end) > 0.4


async def test_nor_is_a_loop_that_waits_for_a_disk() -> None:
    with watched() as standstill:
        begin = time.time()
        time.sleep(0.5)  # noqa: ASYNC251
        end = time.time()
        assert end - begin - standstill.within(begin, end) > 0.4
