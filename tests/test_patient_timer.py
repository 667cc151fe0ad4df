"""A timer that lets a loop that stood still read before anything is given up."""

import asyncio
import time

from service.patient_timer import PatientTimer
from tests.nats.waiting import until
from tests.standing_still import standing_still

SECONDS = 0.1


async def test_it_gives_up_in_time() -> None:
    loop = asyncio.get_running_loop()
    given_up: list[float] = []
    when = loop.time() + SECONDS
    PatientTimer(when, lambda: given_up.append(loop.time()))
    await until(lambda: given_up)
    assert given_up[0] >= when - 0.001  # libuv counts whole milliseconds


async def test_what_came_while_the_loop_stood_still_is_read_before() -> None:
    loop = asyncio.get_running_loop()
    order: list[str] = []
    with standing_still(3 * SECONDS, lambda: order.append("read")):
        PatientTimer(loop.time() + SECONDS, lambda: order.append("given up"))
        await until(lambda: len(order) == 2)
    assert order == ["read", "given up"]


async def test_cancelled_before_and_after_the_loop_stood_still() -> None:
    loop = asyncio.get_running_loop()
    given_up: list[int] = []
    early = PatientTimer(loop.time() + SECONDS, lambda: given_up.append(1))
    late = PatientTimer(loop.time() + SECONDS, lambda: given_up.append(2))
    early.cancel()
    loop.call_later(2 * SECONDS, late.cancel)  # in the same turn as `late` is due
    loop.call_soon(time.sleep, 3 * SECONDS)
    last: list[int] = []
    PatientTimer(loop.time() + 4 * SECONDS, lambda: last.append(3))
    await until(lambda: last)
    assert given_up == []
