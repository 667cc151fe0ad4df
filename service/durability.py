"""A word once each of some events is durable.

In: envelopes that are in memory only. Out: the word, once JetStream has acknowledged each of them,
or it is on disk, or a dead letter in its place is.
"""

import asyncio
from collections.abc import Callable, Iterable
from functools import partial

from service.core.envelope import Envelope


class Durability:
    def __init__(self, envelopes: Iterable[Envelope]) -> None:
        self._left = 0
        self._reached = asyncio.Event()
        for envelope in envelopes:
            self._left += 1
            envelope.on_durable = partial(self._one_is, envelope.on_durable)
        if not self._left:
            self._reached.set()

    async def reached(self) -> None:
        await self._reached.wait()

    def _one_is(self, tell_others: Callable[[], None] | None) -> None:
        self._left -= 1
        if not self._left:
            self._reached.set()
        if tell_others is not None:
            tell_others()
