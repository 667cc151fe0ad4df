"""The way from the listeners through the pipeline to the outlet."""

from collections.abc import Callable
from datetime import datetime

from service.core.framing.base import Piece
from service.outlet import Outlet
from service.pipeline import Pipeline
from service.received import Origin, Receipts


class PipelineIntake:
    """Implements `service.listeners.base.Intake`."""

    def __init__(self, pipeline: Pipeline, outlet: Outlet) -> None:
        self._pipeline = pipeline
        self._outlet = outlet

    @property
    def has_room(self) -> bool:
        return self._outlet.has_room

    @property
    def should_hold_back(self) -> bool:
        return self._outlet.should_hold_back

    def take(
        self,
        pieces: list[Piece],
        origin: Origin,
        received_at: datetime,
        receipts: Receipts | None = None,
    ) -> None:
        envelopes = self._pipeline.process(pieces, origin, received_at, receipts)
        if envelopes:
            self._outlet.put(envelopes)

    def when_room(self, resume: Callable[[], None]) -> None:
        self._outlet.when_room(resume)
