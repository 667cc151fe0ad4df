"""Deferred recipients that are still in some queue: open from the first deferral to the bounce or
the `resolved` event.

Bounded: beyond `capacity` the one that was tried longest ago is forgotten, and counted. One that
was not tried for `quiet` seconds is forgotten too: its end was not seen.
"""

from bisect import bisect_right
from collections import OrderedDict
from dataclasses import dataclass, field
from heapq import nsmallest

from service.board.summary import Summary

AGES = (300, 1800, 7200, 21_600, 86_400)
"""Where one age ends and the next begins, seconds; the last one has no end."""
_ATTEMPTS = 20
"""Of one recipient, so many events are found again when the list of recent ones has lost them."""


@dataclass(slots=True)
class Open:
    since: float
    last: Summary
    attempts: list[int] = field(default_factory=list)
    """Numbers of its events in the stream, the newest last."""


_Key = tuple[str, str, str, str | None]


class Waiting:
    def __init__(self, capacity: int, quiet: float) -> None:
        self._capacity = capacity
        self._quiet = quiet
        self._open: OrderedDict[_Key, Open] = OrderedDict()
        """The one that was tried longest ago first."""
        self.forgotten = 0
        """Given up to stay within the bound."""

    def __len__(self) -> int:
        return len(self._open)

    def take(self, event: Summary) -> None:
        if event.message is None:
            return
        key = (*event.message, event.recipient)
        if event.kind == "deferred":
            known = self._open.get(key)
            if known is None:
                first = event.at if event.first is None else min(event.first, event.at)
                known = self._open[key] = Open(first, event)
                if len(self._open) > self._capacity:
                    self._open.popitem(last=False)
                    self.forgotten += 1
            known.last = event
            known.attempts = [*known.attempts[-_ATTEMPTS + 1 :], event.seq]
            self._open.move_to_end(key)
        elif event.kind in ("bounced", "resolved"):
            self._open.pop(key, None)
            if event.recipient is None:  # the message as a whole
                for other in [other for other in self._open if other[:3] == event.message]:
                    del self._open[other]

    def forget(self, now: float) -> None:
        """Those before were tried longer ago, but for clocks that differ; these go a bit later."""
        while self._open:
            key, oldest = next(iter(self._open.items()))
            if oldest.last.at > now - self._quiet:
                return
            del self._open[key]

    def by_age(self, now: float) -> list[int]:
        """How many, for each of `AGES` and beyond the last."""
        counts = [0] * (len(AGES) + 1)
        for waiting in self._open.values():
            counts[bisect_right(AGES, now - waiting.since)] += 1
        return counts

    def oldest(self, limit: int) -> list[Open]:
        return nsmallest(limit, self._open.values(), key=lambda waiting: waiting.since)

    def attempts_of(self, event: Summary) -> list[int]:
        """Numbers of the events of its message that are open, oldest first."""
        if event.message is None:
            return []
        waiting = self._open.get((*event.message, event.recipient))
        return [] if waiting is None else list(waiting.attempts)
