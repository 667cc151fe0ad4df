"""The way from the listeners through the pipeline to the outlet.

In: what listeners read, the clock, and what other receivers tell. Out: envelopes for the outlet; to
the listeners, when to hold back and when there is room again.
"""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime

from service.core.envelope import Envelope
from service.core.framing.base import Piece
from service.outlet import Outlet
from service.patient_timer import PatientTimer
from service.pipeline import Pipeline
from service.received import Origin, Receipts
from service.sources import Sources

_LOOK_SECONDS = 0.05
"""How often lines that wait are looked at, while there are any."""
_MOST_READY = 500
"""Lines whose events are yet to be made, for senders that cannot be held back. The others stop with
the first: what one read of each of them gave."""


class PipelineIntake:
    """Implements `service.listeners.base.Intake`."""

    def __init__(self, pipeline: Pipeline, outlet: Outlet, sources: Sources) -> None:
        self._pipeline = pipeline
        self._outlet = outlet
        self._sources = sources
        self._loop = asyncio.get_running_loop()
        self._look: PatientTimer | None = None
        self._next: asyncio.Handle | None = None
        """When more events are made of lines that are ready."""
        self._behind: list[Callable[[], None]] = []
        """Senders who are held back until nothing is ready any more."""
        self._is_stopping = False

    @property
    def has_room(self) -> bool:
        return self._outlet.has_room and self._pipeline.ready < _MOST_READY

    @property
    def should_hold_back(self) -> bool:
        return self._pipeline.ready > 0 or self._outlet.should_hold_back

    def take(
        self,
        pieces: list[Piece],
        origin: Origin,
        received_at: datetime,
        receipts: Receipts | None = None,
    ) -> None:
        self._sources.heard(origin.source_ip, pieces, received_at)
        self._put(self._pipeline.process(pieces, origin, received_at, receipts))
        if self._pipeline.ready:
            self._make_soon()
        if self._pipeline.correlation.held:
            if self._is_stopping:
                self._put(self._pipeline.release_all(_now()))
            elif self._look is None:
                self._look_later()

    def learned(self, key: bytes) -> None:
        """What other receivers know of a message is known here now, as far as it will be."""
        self._pipeline.learned(key, _now())
        self._make_soon()

    def release_all(self) -> None:
        """Nothing waits any longer, nor will what yet comes: the receiver stops."""
        self._is_stopping = True
        if self._look is not None:
            self._look.cancel()
        self._put(self._pipeline.release_all(_now()))
        self._let_go()

    async def durable(self) -> None:
        """Wait until every event is durable of which anything is remembered now."""
        waiting = set(map(id, self._pipeline.unmade()))
        while waiting:
            await asyncio.sleep(_LOOK_SECONDS)
            waiting &= set(map(id, self._pipeline.unmade()))
        await self._outlet.durable()

    def when_room(self, resume: Callable[[], None]) -> None:
        if self._pipeline.ready:
            self._behind.append(resume)
        else:
            self._outlet.when_room(resume)

    def _look_later(self) -> None:
        self._look = PatientTimer(self._loop.time() + _LOOK_SECONDS, self._look_now)

    def _look_now(self) -> None:
        self._look = None
        self._pipeline.overdue(_now())
        self._make_soon()
        if self._pipeline.correlation.held:
            self._look_later()

    def _make_soon(self) -> None:
        """Not on the spot: many answers come at a time, and each may release many lines."""
        if self._next is None:
            self._next = self._loop.call_soon(self._make_some)

    def _make_some(self) -> None:
        """So many that others are served in between."""
        self._next = None
        if self._is_stopping:
            self._put(self._pipeline.release_all(_now()))
        elif self._outlet.should_hold_back:
            self._outlet.when_room(self._make_soon)
            return
        else:
            self._put(self._pipeline.released())
        if self._pipeline.ready:
            self._make_soon()
        else:
            self._let_go()

    def _let_go(self) -> None:
        behind, self._behind = self._behind, []
        for resume in behind:
            resume()

    def _put(self, envelopes: list[Envelope]) -> None:
        if envelopes:
            self._outlet.put(envelopes)


def _now() -> datetime:
    return datetime.now(UTC)
