"""What became of each line of a file, in the order of the lines.

In: lines, one by one. Out: for each its events or why there are none. A later line may complete an
earlier one (a bounce waits for its notice, a removal for last deliveries), so some wait: for so
many lines, not for so many seconds. A file is read as fast as it can be or, where somebody behind
is slow, with pauses: neither is to change what is made of it.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from schemas.vocabulary import Transport
from service.cli.configuration import PATIENCE
from service.core.assemble import Event
from service.core.framing.base import Frame
from service.core.outcomes import Skip
from service.pipeline import Pipeline
from service.received import Origin, new_stream

Outcome = list[Event] | Skip

LOOK_AHEAD = 2000
"""Lines that one line may wait for."""

_OVER = timedelta(seconds=PATIENCE, microseconds=1)
"""The waiting of lines read so long ago is over; a microsecond for what floats round away."""


class InOrder:
    """`read` each line, then `finish`. `write` is called with number (from 1) and outcome."""

    def __init__(self, pipeline: Pipeline, write: Callable[[int, Outcome], None]) -> None:
        """`pipeline`: of `configuration.pipeline_of`."""
        self._pipeline = pipeline
        self._write = write
        self._origin = Origin(Transport.FILE.value, None, new_stream())
        self._places: deque[_Place] = deque()
        self.lines = 0

    def read(self, frame: Frame, near: datetime, newest: datetime) -> None:
        """`near` is the time that stamps without a year are near to, `newest` that of a line
        without a usable stamp."""
        self.lines += 1
        now = datetime.now(UTC)
        place = _Place(self.lines, now, newest)
        self._places.append(place)
        self._pipeline.read_line(frame, self._origin, now, near, place.fill)
        if len(self._places) > LOOK_AHEAD:
            self._pipeline.overdue(self._places[0].read_at + _OVER)
            self._pipeline.released()
        self._flush()

    def finish(self) -> None:
        """No line comes any more."""
        self._pipeline.release_all(datetime.now(UTC))
        self._flush()

    def _flush(self) -> None:
        places = self._places
        while places and (outcome := places[0].outcome) is not None:
            self._write(places.popleft().number, outcome)


@dataclass(slots=True, eq=False)
class _Place:
    number: int
    read_at: datetime
    newest: datetime
    outcome: Outcome | None = None

    def fill(self, outcome: Outcome) -> None:
        if not isinstance(outcome, Skip):
            outcome = [self._timed(event) for event in outcome]
        self.outcome = outcome

    def _timed(self, event: Event) -> Event:
        if event.time_quality != "received":
            return event
        return event.model_copy(update={"event_time": self.newest})
