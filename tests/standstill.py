"""What the machine took from this process: it was stopped, or the processors were elsewhere.

A bound on seconds of ours is a bound on what is left without that.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

_LOOK_SECONDS = 0.01
_LEAST_SECONDS = 0.03
"""Less is a machine that is slow, and no excuse."""


@dataclass(frozen=True, slots=True)
class _Span:
    begin: float
    end: float
    """By the clock on the wall, as events have it."""
    taken: float


class Standstill:
    def __init__(self) -> None:
        self._spans: list[_Span] = []

    def within(self, begin: float, end: float) -> float:
        """Seconds between these two moments in which it neither waited nor worked. What it does
        itself for long, it does with a processor."""
        return sum(span.taken for span in self._spans if span.begin < end and begin < span.end)

    async def watch(self) -> None:
        """Until cancelled."""
        while True:
            begin, worked = time.time(), time.process_time()
            await asyncio.sleep(_LOOK_SECONDS)
            end = time.time()
            taken = end - begin - _LOOK_SECONDS - (time.process_time() - worked)
            if taken >= _LEAST_SECONDS:
                self._spans.append(_Span(begin, end, taken))


@asynccontextmanager
async def watched() -> AsyncIterator[Standstill]:
    made = Standstill()
    watching = asyncio.create_task(made.watch())
    try:
        yield made
    finally:
        watching.cancel()
