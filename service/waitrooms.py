"""Several waiting rooms under one bound of lines, and of their bytes.

In: what has to wait, in which room. Out: what waits there, as from `Waitroom`; where there is no
room left, what has waited the longest is let go of before.
"""

from collections.abc import Callable
from typing import Any, Final, TypeVar

from service.core.postfix.result import Failure
from service.jobs import Entry
from service.waitroom import Waitroom

T = TypeVar("T")

MOST_OF_ONE: Final = 64
"""Lines of one message that may be gone through at each of its lines. Postfix seldom logs more
targets of a message in the time that they wait."""


class Waitrooms:
    def __init__(self, max_lines: int, max_bytes: int) -> None:
        self._max_lines = max_lines
        self._max_bytes = max_bytes
        self._rooms: list[tuple[Waitroom[Any], Callable[[bytes, float], None]]] = []
        self.hurried = 0
        """Times that something was let go of before its time, for want of room."""

    def include(self, room: Waitroom[Any], let_go: Callable[[bytes, float], None]) -> None:
        """`let_go` is called with a key, of which then nothing waits there, and the time. Rooms are
        emptied in the order in which they were included."""
        self._rooms.append((room, let_go))

    @property
    def lines(self) -> int:
        """That wait."""
        lines = 0
        for room, _ in self._rooms:
            lines += len(room)
        return lines

    @property
    def size(self) -> int:
        """Of these lines, as they were received; a folded one counts as often as it happened."""
        size = 0
        for room, _ in self._rooms:
            size += room.size
        return size

    def hold(self, room: Waitroom[T], key: bytes, thing: T, entry: Entry) -> None:
        """`entry`: the line that waits with it."""
        now = entry.batch.now
        while self.lines >= self._max_lines or self.size >= self._max_bytes:
            self._make_room(now)
        room.add(key, thing, now, size_of(entry))

    def _make_room(self, now: float) -> None:
        self.hurried += 1
        for room, let_go in self._rooms:
            key = room.oldest()
            if key is not None:
                let_go(key, now)
                return


def size_of(entry: Entry) -> int:
    """Bytes of its line, as it is counted while it waits."""
    size, parsed = len(entry.raw), entry.parsed
    return size * parsed.repeats if isinstance(parsed, Failure) else size
