"""Deliveries that ended, while it is not sure that their recipient has.

In: ends of deliveries to a recipient who waits: of an alias local(8) logs one for each target, and
while another one fails Postfix tries all of them again. Out: the same, once he waits on, or once a
line tells that the attempt is over or none has for long enough: then he has ended.
"""

from collections.abc import Callable
from datetime import tzinfo

from service.core.correlate.trace import Queue
from service.core.correlate.waiting import Waiting
from service.core.postfix.facts import Delivery, Record
from service.core.postfix.result import Failure, Success
from service.entries import safely
from service.held_lines import HeldLines
from service.jobs import Entry, Outcome, Released
from service.waitrooms import MOST_OF_ONE, Waitrooms

_LOCAL = "local"


class Part:
    """A bounce that may be of one target of a recipient that waits, while another one waits on."""

    __slots__ = ("facts", "failure", "may_wait", "waiting")

    def __init__(self, failure: Failure, facts: Delivery, waiting: Waiting, may_wait: bool) -> None:
        """`waiting`: as it was, with this attempt counted; `may_wait`: for its notice."""
        self.failure = failure
        self.facts = facts
        self.waiting = waiting
        self.may_wait = may_wait


End = Success | Part
"""Of a delivery: it was made, or it bounced."""


class Targets:
    def __init__(
        self,
        seconds: float,
        zone: tzinfo,
        rooms: Waitrooms,
        released: list[Released],
        make: Callable[[Entry, Queue, bytes, End, bool], Outcome | None],
    ) -> None:
        """`make`: what comes of an entry whose delivery ended, given whether the recipient did with
        it; None: it waits on elsewhere. `released`: where what comes of it goes."""
        self._zone = zone
        self._rooms = rooms
        self._released = released
        self._make = make
        self._served: HeldLines[End] = HeldLines(seconds, rooms, released, self.let_end)

    def __contains__(self, key: bytes) -> bool:
        return key in self._served

    def hold(self, key: bytes, entry: Entry, queue: Queue, end: End) -> None:
        if self._served.count_of(key) >= MOST_OF_ONE:
            self._rooms.hurried += 1
            self.let_end(key)
        self._served.hold(key, entry, queue, end)

    def let_end(self, key: bytes) -> None:
        """The attempt is over: so is the waiting of all whose deliveries ended."""
        self._release(key, self._served.take(key), is_end=True)

    def wait_on(self, key: bytes, recipient: str) -> None:
        """This recipient does: what he had so far was only a part of it."""
        parts = self._served.take_those(key, lambda end: _is_of(end.facts, recipient))
        self._release(key, parts, is_end=False)

    def overdue(self, now: float) -> None:
        self._served.overdue(now)

    def let_everything_end(self) -> None:
        self._served.let_everything_go()

    def answer(self) -> None:
        """Whoever sent those lines need not wait any longer; the lines do."""
        self._served.answer()

    def _release(self, key: bytes, served: list[tuple[Entry, Queue, End]], is_end: bool) -> None:
        for entry, queue, end in served:
            outcome = safely(entry, self._zone, self._make, entry, queue, key, end, is_end)
            if outcome is not None:
                self._released.append((entry, outcome))


def may_be_part(record: Record, facts: Delivery, waiting: Waiting) -> bool:
    """Whether a delivery that ended may have been one of several of a recipient that waits: of an
    alias local(8) logs one for each target; and several recipients may have become one, whom
    Postfix delivers to for each of them."""
    return (
        record.daemon == _LOCAL
        or waiting.is_several
        or facts.recipient != waiting.recipient
        or facts.original_recipient != waiting.original_recipient
    )


def _is_of(facts: Delivery, recipient: str) -> bool:
    return recipient in (facts.recipient, facts.original_recipient)
