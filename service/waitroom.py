"""Where things wait for a word about them, each no longer than a set time, not too many at once.

In: things, by the key of what they wait for. Out: all that wait for a key, once its word has come,
or once their time is over. Every thing waits equally long, so they stand in order of their times.
"""

from collections import deque
from typing import Generic, TypeVar

T = TypeVar("T")


class Waitroom(Generic[T]):
    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._waiting: dict[bytes, list[T]] = {}
        self._deadlines: deque[tuple[float, bytes, T]] = deque()
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def __contains__(self, key: bytes) -> bool:
        return key in self._waiting

    def open(self, key: bytes) -> None:
        """Whatever comes for this key has to wait."""
        self._waiting.setdefault(key, [])

    def add(self, key: bytes, thing: T, now: float) -> None:
        self._waiting.setdefault(key, []).append(thing)
        self._deadlines.append((now + self.seconds, key, thing))
        self._count += 1

    def take(self, key: bytes) -> list[T]:
        """All that wait for it, in order; none wait any more."""
        things = self._waiting.pop(key, [])
        self._count -= len(things)
        return things

    def overdue(self, now: float) -> list[bytes]:
        """Keys of which something has waited for too long at `now`."""
        keys = []
        deadlines = self._deadlines
        while deadlines and deadlines[0][0] <= now:
            _, key, thing = deadlines.popleft()
            if any(waiting is thing for waiting in self._waiting.get(key, ())):
                keys.append(key)
        return keys

    def oldest(self) -> bytes | None:
        """The key of what has waited the longest."""
        deadlines = self._deadlines
        while deadlines:
            _, key, thing = deadlines[0]
            if any(waiting is thing for waiting in self._waiting.get(key, ())):
                return key
            deadlines.popleft()
        return next(iter(self._waiting), None)
