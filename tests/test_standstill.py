"""A bound that is lifted where the machine stood still, and nowhere else."""

import asyncio
import time

from tests.standstill import watched


async def test_a_stop_is_the_machine_s() -> None:
    async with watched() as standstill:
        await asyncio.sleep(0.05)
        begin = time.time()
        time.sleep(0.5)  # noqa: ASYNC251  # as SIGSTOP would
        end = time.time()
        await asyncio.sleep(0.05)
        assert standstill.within(begin, end) > 0.45
        assert standstill.within(begin - 60, begin - 50) == 0


async def test_work_of_ours_is_not() -> None:
    async with watched() as standstill:
        await asyncio.sleep(0.05)
        begin, worked = time.time(), time.process_time()
        while time.process_time() - worked < 0.5:
            pass
        end = time.time()
        await asyncio.sleep(0.05)
        assert end - begin - standstill.within(begin, end) > 0.45


async def test_nor_is_waiting() -> None:
    async with watched() as standstill:
        begin = time.time()
        for _ in range(50):
            await asyncio.sleep(0.01)
        end = time.time()
        assert end - begin - standstill.within(begin, end) > 0.4
