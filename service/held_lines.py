"""Lines that wait for a word about their message, while their senders need not.

In: lines, each with what it said. Out: the same, once the word has come or they have waited for
long enough. Before that, for a sender who is pressed for answers, the answer to each: as of a line
that gives nothing. The line waits on.
"""

from collections.abc import Callable
from typing import Generic, TypeVar

from service.core.correlate.trace import Queue
from service.core.outcomes import Skip
from service.jobs import Entry, Released
from service.waitroom import Waitroom
from service.waitrooms import Waitrooms

T = TypeVar("T")


class HeldLines(Generic[T]):
    """`T`: what a line said."""

    def __init__(
        self,
        seconds: float,
        rooms: Waitrooms,
        released: list[Released],
        let_go: Callable[[bytes], None],
    ) -> None:
        """`let_go` is called with the key of a message whose lines have waited for long enough, or
        must make room, and has to `take` them. `released`: where answers go."""
        self._rooms = rooms
        self._released = released
        self._let_go = let_go
        self._lines: Waitroom[tuple[Entry, Queue, T]] = Waitroom(seconds)
        self._unanswered: set[bytes] = set()
        """Messages of those where a sender waits for an answer."""
        rooms.include(self._lines, lambda key, now: let_go(key))

    def __contains__(self, key: bytes) -> bool:
        return key in self._lines

    def count_of(self, key: bytes) -> int:
        return self._lines.count_of(key)

    def hold(self, key: bytes, entry: Entry, queue: Queue, said: T) -> None:
        self._rooms.hold(self._lines, key, (entry, queue, said), entry)
        if entry.batch.receipts is not None:
            self._unanswered.add(key)

    def take(self, key: bytes) -> list[tuple[Entry, Queue, T]]:
        """All of a message, in order."""
        self._unanswered.discard(key)
        return self._lines.take(key)

    def take_those(
        self, key: bytes, is_wanted: Callable[[T], bool]
    ) -> list[tuple[Entry, Queue, T]]:
        """Those of them that said what is wanted; the others wait on."""
        taken = self._lines.take_those(key, lambda held: is_wanted(held[2]))
        if key not in self._lines:
            self._unanswered.discard(key)
        return taken

    def overdue(self, now: float) -> None:
        for key in self._lines.overdue(now):
            self._let_go(key)

    def let_everything_go(self) -> None:
        while (key := self._lines.oldest()) is not None:
            self._let_go(key)

    def answer(self) -> None:
        """Their senders wait no longer."""
        for key in self._unanswered:
            self._lines.change(key, self._answered)
        self._unanswered.clear()

    def _answered(self, held: tuple[Entry, Queue, T]) -> tuple[Entry, Queue, T]:
        entry, queue, said = held
        if entry.batch.receipts is None:
            return held
        self._released.append((entry, Skip.NOT_A_FAILURE))
        return entry.answered(), queue, said
