"""Reading a connection, or not: who is held back fills its own queue and not ours."""

import asyncio
from enum import Enum

from service.metrics import Metrics


class Pause(Enum):
    """Why a connection is not read. It is read again when no reason is left."""

    INTAKE = 1
    """There is no room for what it would bring."""
    RATE = 2
    """Its source is over its rate."""
    SESSION = 3
    """What is spoken on it asks for it."""


class Reading:
    def __init__(self, name: str, transport: asyncio.Transport, metrics: Metrics) -> None:
        self._name = name
        self._transport = transport
        self._metrics = metrics
        self._reasons: set[Pause] = set()

    @property
    def is_paused(self) -> bool:
        return bool(self._reasons)

    def pause(self, reason: Pause) -> bool:
        """False: nothing changes, for it is paused for this already or at its end anyway."""
        if reason in self._reasons or self._transport.is_closing():
            return False
        if not self._reasons:
            self._metrics.reading_paused(self._name)
            self._transport.pause_reading()
        self._reasons.add(reason)
        return True

    def resume(self, reason: Pause) -> None:
        if reason not in self._reasons:
            return
        self._reasons.discard(reason)
        if not self._reasons and not self._transport.is_closing():
            self._transport.resume_reading()
