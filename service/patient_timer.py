"""A timer that comes behind what lies in the sockets.

In: a time, and what is to be done then: to give up what nothing was heard of. Out: that, on time;
but in a loop that stood still (a machine that paused, one long read) a moment later. Such a loop
comes to its timers before it reads, and what it was waiting for may have come long since.
"""

import asyncio
from collections.abc import Callable

_STOOD_STILL_SECONDS = 0.05
_READ_SECONDS = 0.02
"""In which a loop that is late reads what has come."""


class PatientTimer:
    def __init__(self, when: float, give_up: Callable[[], None]) -> None:
        """`when`: loop time."""
        self._loop = asyncio.get_running_loop()
        self._when = when
        self._give_up = give_up
        self._handle = self._loop.call_at(when, self._due)

    def cancel(self) -> None:
        self._handle.cancel()

    def _due(self) -> None:
        if self._loop.time() - self._when < _STOOD_STILL_SECONDS:
            self._give_up()
        else:
            self._handle = self._loop.call_later(_READ_SECONDS, self._give_up)
