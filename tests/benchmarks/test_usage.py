"""What `/proc` says of a process, and what is made of it."""

import asyncio
import os
import sys

from benchmarks.usage import MemoryCurve, MemoryWatch, cpu_seconds, resident_bytes

MIB = 1 << 20


def test_own_cpu_time() -> None:
    start = os.times().user
    while os.times().user < start + 0.2:
        pass
    # Living children of other tests are counted too, so the sum may be larger, never smaller.
    assert cpu_seconds(os.getpid()) >= os.times().user - 0.1


def test_an_ended_process_costs_nothing() -> None:
    assert cpu_seconds(2**22 - 1) == 0.0
    assert resident_bytes(2**22 - 1) == 0


async def test_memory_of_children_is_counted() -> None:
    program = "x = bytearray(64 << 20); print('up', flush=True); input()"
    before = resident_bytes(os.getpid())
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-c", program,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert child.stdout
    await child.stdout.readline()
    async with MemoryWatch(os.getpid()) as curve:
        await asyncio.wait_for(asyncio.sleep(0), 1)
    assert curve.peak > before + 60 * MIB
    await child.communicate(b"\n")


def test_quarters_are_medians() -> None:
    curve = MemoryCurve([1, 1, 9, 2, 2, 2, 3, 3, 3, 4, 4, 4])
    assert curve.quarters == [1, 2, 3, 4]
    assert curve.peak == 9


def test_flat_is_not_growing() -> None:
    assert MemoryCurve([40 * MIB] * 4 + [90 * MIB] * 12).is_flat
    assert not MemoryCurve([(60 + n) * MIB for n in range(80)]).is_flat


def test_a_short_run_has_quarters_too() -> None:
    assert MemoryCurve([5]).quarters == [5, 5, 5, 5]
    assert MemoryCurve([]).quarters == [0, 0, 0, 0]
