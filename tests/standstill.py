"""What the machine took from this process: it was stopped, or the processors were elsewhere.

A bound on seconds of ours is a bound on what is left without that. A thread of its own looks: an
event loop of ours that waits for a disk stands still, too, and that is no machine's fault.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Event, Thread

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
        self._looks = Event()
        self._is_over = Event()
        self._thread = Thread(target=self._watch, daemon=True)

    def within(self, begin: float, end: float) -> float:
        """Seconds between these two moments in which no thread of ours got on. What one does for
        long, it does with a processor."""
        return sum(span.taken for span in self._spans if span.begin < end and begin < span.end)

    def start(self) -> None:
        self._thread.start()
        self._looks.wait()

    def stop(self) -> None:
        self._is_over.set()
        self._thread.join()

    def _watch(self) -> None:
        is_over = False
        while not is_over:
            begin, worked = time.time(), time.process_time()
            self._looks.set()
            is_over = self._is_over.wait(_LOOK_SECONDS)
            end = time.time()
            taken = end - begin - _LOOK_SECONDS - (time.process_time() - worked)
            if taken >= _LEAST_SECONDS:
                self._spans.append(_Span(begin, end, taken))


@contextmanager
def watched() -> Iterator[Standstill]:
    made = Standstill()
    made.start()
    try:
        yield made
    finally:
        made.stop()
