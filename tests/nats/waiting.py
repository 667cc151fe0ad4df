"""Waiting for states that nobody announces: of other processes, of nats-py, of the kernel."""

import asyncio
from collections.abc import Callable


async def until(is_reached: Callable[[], object], seconds: float = 20) -> None:
    async with asyncio.timeout(seconds):
        while True:
            if is_reached():
                return
            await asyncio.sleep(0.01)
