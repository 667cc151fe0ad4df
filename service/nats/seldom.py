"""Log lines that could come thousands of times a second, at a rate people can read."""

import time
from collections.abc import Callable


class Seldom:
    """`if (held := seldom.due()) is not None: log.warning(..., held_back=held)`"""

    def __init__(self, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._seconds = seconds
        self._clock = clock
        self._next = float("-inf")
        self._held_back = 0

    def due(self) -> int | None:
        """How many were held back since the last one that was due; `None`: hold this one back."""
        now = self._clock()
        if now < self._next:
            self._held_back += 1
            return None
        self._next = now + self._seconds
        held_back, self._held_back = self._held_back, 0
        return held_back
