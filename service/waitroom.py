"""Where things wait for a word about them, each no longer than a set time.

In: things, by the key of what they wait for. Out: all that wait for a key, once its word has come,
or once the first of them has waited for too long. Every thing waits equally long, so they stand in
order of their times.
"""

from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class _Place(Generic[T]):
    # No dataclass: a compiled one cannot be generic.
    __slots__ = ("is_waiting", "key", "size", "thing", "until")

    def __init__(self, key: bytes, thing: T, size: int, until: float) -> None:
        self.key = key
        self.thing = thing
        self.size = size
        self.until = until
        self.is_waiting = True


class Waitroom(Generic[T]):
    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._by_key: dict[bytes, list[_Place[T]]] = {}
        self._in_order: deque[_Place[T]] = deque()
        """Those that have left are passed over."""
        self._count = 0
        self.size = 0
        """Of all things that wait, as told when they came."""

    def __len__(self) -> int:
        return self._count

    def __contains__(self, key: bytes) -> bool:
        return key in self._by_key

    def count_of(self, key: bytes) -> int:
        """How many wait for it."""
        places = self._by_key.get(key)
        return 0 if places is None else len(places)

    def open(self, key: bytes) -> None:
        """Whatever comes for this key has to wait."""
        self._by_key.setdefault(key, [])

    def add(self, key: bytes, thing: T, now: float, size: int = 0) -> None:
        self._pass_over()
        place = _Place(key, thing, size, now + self.seconds)
        self._by_key.setdefault(key, []).append(place)
        self._in_order.append(place)
        self._count += 1
        self.size += size

    def take(self, key: bytes) -> list[T]:
        """All that wait for it, in order; none wait any more."""
        places = self._by_key.pop(key, None)
        if places is None:
            return []
        self._count -= len(places)
        for place in places:
            place.is_waiting = False
            self.size -= place.size
        return [place.thing for place in places]

    def all(self) -> list[T]:
        """All that wait; they wait on."""
        return [place.thing for places in self._by_key.values() for place in places]

    def change(self, key: bytes, changed: Callable[[T], T]) -> None:
        """Each that waits for it becomes what is made of it, and waits on."""
        for place in self._by_key.get(key, ()):
            place.thing = changed(place.thing)

    def take_those(self, key: bytes, is_wanted: Callable[[T], bool]) -> list[T]:
        """Those of them that are wanted, in order; the others wait on."""
        places = self._by_key.get(key, [])
        wanted = [place for place in places if is_wanted(place.thing)]
        if len(wanted) == len(places):
            return self.take(key)
        for place in wanted:
            place.is_waiting = False
            self.size -= place.size
        places[:] = [place for place in places if place.is_waiting]
        self._count -= len(wanted)
        return [place.thing for place in wanted]

    def overdue(self, now: float) -> list[bytes]:
        """Keys of which something has waited for too long at `now`, each once."""
        keys: dict[bytes, None] = {}
        in_order = self._in_order
        while in_order and (in_order[0].until <= now or not in_order[0].is_waiting):
            place = in_order.popleft()
            if place.is_waiting:
                keys[place.key] = None
        return list(keys)

    def oldest(self) -> bytes | None:
        """The key of what has waited the longest; without such, one that is open."""
        self._pass_over()
        return self._in_order[0].key if self._in_order else next(iter(self._by_key), None)

    def _pass_over(self) -> None:
        """Those that have left: or they would stay where nobody ever has to wait till the end."""
        in_order = self._in_order
        while in_order and not in_order[0].is_waiting:
            in_order.popleft()
