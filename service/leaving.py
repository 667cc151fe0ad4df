"""Messages that left the queue while recipients of theirs wait, as far as it is known here.

In: lines that say `removed`. Out: the same, once nothing can come any more that tells how these
recipients ended: the last line of another daemon, or what another receiver saw.
"""

from collections.abc import Callable
from datetime import tzinfo

from service.core.correlate.trace import Queue
from service.core.outcomes import Skip
from service.core.postfix.facts import Record
from service.entries import safely
from service.jobs import Entry, Outcome, Released
from service.waitroom import Waitroom
from service.waitrooms import Waitrooms

_Removal = tuple[Entry, Queue, Record]


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
        self._rooms = rooms
        self._released = released
        self._make = make
        self._is_shared = is_shared
        self._removals: Waitroom[_Removal] = Waitroom(seconds)
        self._unanswered: set[bytes] = set()
        """Messages of those where a sender waits for an answer."""
        rooms.include(self._removals, lambda key, now: self.let_leave(key))

    def __contains__(self, key: bytes) -> bool:
        return key in self._removals

    def hold(self, key: bytes, entry: Entry, queue: Queue, record: Record) -> None:
        self._rooms.hold(self._removals, key, (entry, queue, record), entry)
        if entry.batch.receipts is not None:
            self._unanswered.add(key)

    def let_leave(self, key: bytes) -> None:
        self._unanswered.discard(key)
        for entry, queue, record in self._removals.take(key):
            outcome = safely(entry, self._zone, self._make, entry, record, queue, key)
            if outcome is not None:
                self._released.append((entry, outcome))

    def overdue(self, now: float) -> None:
        for key in self._removals.overdue(now):
            self.let_leave(key)

    def let_everything_leave(self) -> None:
        while (key := self._removals.oldest()) is not None:
            self.let_leave(key)

    def hurry(self) -> None:
        """Whoever sent those lines has to be answered. What he himself had to send has come; not
        what another receiver has to tell, as he does not hold that up: for it the lines wait on,
        answered."""
        if not self._is_shared:
            self.let_everything_leave()
            return
        for unanswered in self._unanswered:
            self._removals.change(unanswered, self._answered)
        self._unanswered.clear()

    def _answered(self, removal: _Removal) -> _Removal:
        entry, queue, record = removal
        if entry.batch.receipts is None:
            return removal
        self._released.append((entry, Skip.NOT_A_FAILURE))
        return entry.answered(), queue, record
