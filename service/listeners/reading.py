"""Reading a connection, or not: who is held back fills its own queue and not ours."""

import asyncio
import time
from enum import Enum
from typing import Final

from service.metrics import Metrics


class Pause(Enum):
    """Why a connection is not read. It is read again when no reason is left."""

    INTAKE = 1
    """There is no room for what it would bring."""
    RATE = 2
    """Its source is over its rate."""
    SESSION = 3
    """What is spoken on it asks for it."""
    TURN = 4
    """Others have not had theirs: until the next one of the loop."""


FULL_READ: Final = 256_000
"""Bytes of a read after which there is probably more (uvloop `UV_STREAM_RECV_BUF_SIZE`). libuv then
reads on, up to 32 times (`uv__read`), before it looks at any other connection: of some fast
senders that would be seconds, in which no health check is answered and no acknowledgement heard."""


class Turn:
    """One turn of the loop, in which the connections of a listener are read."""

    SECONDS = 0.1
    """How long. Reading on is cheaper than turning: the pipeline's code stays in the caches."""

    def __init__(self) -> None:
        self._since: float | None = None

    def is_over(self) -> bool:
        """Whether they have had their share of it."""
        now = time.monotonic()
        if self._since is None:
            self._since = now
            asyncio.get_running_loop().call_soon(self._end)
        return now - self._since >= self.SECONDS

    def _end(self) -> None:
        self._since = None


class Reading:
    def __init__(self, name: str, transport: asyncio.Transport, metrics: Metrics) -> None:
        self._name = name
        self._transport = transport
        self._metrics = metrics
        self._reasons: set[Pause] = set()

    @property
    def is_paused(self) -> bool:
        """For longer than a turn of the loop."""
        return bool(self._reasons - {Pause.TURN})

    def pause(self, reason: Pause) -> bool:
        """False: nothing changes, for it is paused for this already or at its end anyway."""
        if reason in self._reasons or self._transport.is_closing():
            return False
        if not self.is_paused and reason is not Pause.TURN:
            self._metrics.reading_paused(self._name)
        if not self._reasons:
            self._transport.pause_reading()
        self._reasons.add(reason)
        return True

    def resume(self, reason: Pause) -> None:
        if reason not in self._reasons:
            return
        self._reasons.discard(reason)
        if not self._reasons and not self._transport.is_closing():
            self._transport.resume_reading()
