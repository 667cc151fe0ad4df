"""Messages that left the queue while recipients of theirs wait, as far as it is known here.

In: lines that say `removed`. Out: the same, once nothing can come any more that tells how these
recipients ended: the last line of another daemon, or what another receiver saw.
"""

from collections.abc import Callable
from datetime import tzinfo

from service.core.correlate.trace import Queue
from service.core.postfix.facts import Record
from service.entries import safely
from service.held_lines import HeldLines
from service.jobs import Entry, Outcome, Released
from service.waitrooms import Waitrooms


class Leaving:
    def __init__(
        self,
        seconds: float,
        zone: tzinfo,
        rooms: Waitrooms,
        released: list[Released],
        make: Callable[[Entry, Record, Queue, bytes], Outcome],
        is_shared: bool,
    ) -> None:
        """`make`: what comes of the line then. `released`: where that goes. `is_shared`: other
        receivers may tell an end."""
        self._zone = zone
        self._released = released
        self._make = make
        self._is_shared = is_shared
        self._removals: HeldLines[Record] = HeldLines(seconds, rooms, released, self.let_leave)

    def __contains__(self, key: bytes) -> bool:
        return key in self._removals

    def hold(self, key: bytes, entry: Entry, queue: Queue, record: Record) -> None:
        self._removals.hold(key, entry, queue, record)

    def let_leave(self, key: bytes) -> None:
        for entry, queue, record in self._removals.take(key):
            outcome = safely(entry, self._zone, self._make, entry, record, queue, key)
            if outcome is not None:
                self._released.append((entry, outcome))

    def overdue(self, now: float) -> None:
        self._removals.overdue(now)

    def let_everything_leave(self) -> None:
        self._removals.let_everything_go()

    def hurry(self) -> None:
        """Whoever sent those lines has to be answered. What he himself had to send has come; not
        what another receiver has to tell, as he does not hold that up: for it the lines wait on,
        answered."""
        if self._is_shared:
            self._removals.answer()
        else:
            self.let_everything_leave()
