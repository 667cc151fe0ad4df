"""Records by queue id, within bounds of count, bytes and time.

A record set is bytes: the second it was begun in, then records, each behind a line feed, as they
came.
Packed like this a message takes about 300 bytes; as objects it would be twice that, and nearly all
messages are delivered without anyone asking. In: keys and records. Out: them again, until they are
removed, expire, or must make room, oldest first.

A key that is removed stays in reach for a moment: lines of one message may swap places on their way
(Postfix' daemons write independently).
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final, NamedTuple

STAMP_BYTES: Final = 8
"""Seconds since 1970 in hexadecimal: when the record set was begun."""
ENTRY_BYTES: Final = 190
"""What an entry takes beside its value: key, two object headers, its place in the dict (measured,
CPython 3.11, with the room that dicts keep for growth)."""
_AT_A_TIME = 256
_AGE_EVERY = 10
"""Seconds between looks for what is too old."""
_CLOSED_SECONDS = 2
"""How long a removed message is kept in reach, at least. At 150,000 lines a second each takes
some 6 MB (estimated), twice."""
_CLOSED_SHARE = 8
"""At most that part of the bounds may be removed messages, twice."""


class Evicted(StrEnum):
    """Why a message was forgotten before its end."""

    COUNT = "count"
    """More messages than are kept."""
    BYTES = "bytes"
    """More bytes than are kept."""
    AGE = "age"
    """Nothing was heard of it for longer than Postfix keeps mail."""


@dataclass(frozen=True, slots=True)
class Bounds:
    messages: int
    size: int
    """Bytes."""
    seconds: int
    """Age."""


class Eviction(NamedTuple):
    key: bytes
    value: bytes
    reason: Evicted


class Memory:
    def __init__(
        self,
        bounds: Bounds,
        closed_seconds: int = _CLOSED_SECONDS,
        closed_share: int = _CLOSED_SHARE,
    ) -> None:
        self.bounds = bounds
        self._closed_seconds = closed_seconds
        self._closed_share = closed_share
        self.evicted = dict.fromkeys(Evicted, 0)
        self.entries: dict[bytes, bytes] = {}
        """In order of age: a record set that is touched anew goes to the end."""
        self._value_bytes = 0
        self._young: dict[bytes, bytes] = {}
        self._old: dict[bytes, bytes] = {}
        self._young_bytes = 0
        self._old_bytes = 0
        self._closed_at = 0
        self._aged_at = 0

    def __len__(self) -> int:
        return len(self.entries)

    @property
    def size(self) -> int:
        """Bytes, about."""
        return self._value_bytes + ENTRY_BYTES * len(self.entries)

    @property
    def closed(self) -> int:
        """How many of those that were closed are in reach."""
        return len(self._young) + len(self._old)

    @property
    def closed_size(self) -> int:
        """Bytes they take, about."""
        return self._young_bytes + self._old_bytes

    @property
    def max_closed(self) -> int:
        """Bound of them: a generation is let go of with the first one over its share."""
        return 2 * (self.bounds.messages // self._closed_share + 1)

    @property
    def max_closed_size(self) -> int:
        """Bound of their bytes, but for the last one of either generation."""
        return 2 * (self.bounds.size // self._closed_share)

    def get(self, key: bytes) -> bytes | None:
        value = self.entries.get(key)
        return self.left(key) if value is None else value

    def left(self, key: bytes) -> bytes | None:
        """Only of one that was closed a moment ago."""
        value = self._young.get(key)
        return self._old.get(key) if value is None else value

    def add(self, key: bytes, value: bytes) -> None:
        """Begin a record set; there is none of that key."""
        self._value_bytes += len(value)
        self.entries[key] = value

    def put(self, key: bytes, value: bytes) -> None:
        """Replace one where it stands."""
        self._value_bytes += len(value) - len(self.entries[key])
        self.entries[key] = value

    def renew(self, key: bytes, value: bytes) -> None:
        """As the youngest."""
        before = self.entries.pop(key, None)
        if before is not None:
            self._value_bytes -= len(before)
        self._value_bytes += len(value)
        self.entries[key] = value

    def discard(self, key: bytes) -> None:
        """One that was closed under this key is another's: it is out of reach, too."""
        value = self.entries.pop(key, None)
        if value is not None:
            self._value_bytes -= len(value)
            self._forget_closed(key)

    def let_go(self, key: bytes) -> None:
        """One; what was closed under this key stays in reach."""
        value = self.entries.pop(key, None)
        if value is not None:
            self._value_bytes -= len(value)

    def close(self, key: bytes, seconds: int) -> None:
        """The message is gone: what was known of it stays in reach for a moment."""
        value = self.entries.pop(key, None)
        if value is None:
            return
        self._value_bytes -= len(value)
        self._forget_closed(key)
        if (
            seconds - self._closed_at >= self._closed_seconds
            or len(self._young) * self._closed_share > self.bounds.messages
            or self._young_bytes * self._closed_share > self.bounds.size
        ):
            self._old, self._young = self._young, {}
            self._old_bytes, self._young_bytes = self._young_bytes, 0
            self._closed_at = seconds
        self._young[key] = value
        self._young_bytes += len(value) + ENTRY_BYTES

    def _forget_closed(self, key: bytes) -> None:
        if key in self._young:
            self._young_bytes -= len(self._young.pop(key)) + ENTRY_BYTES
        elif key in self._old:
            self._old_bytes -= len(self._old.pop(key)) + ENTRY_BYTES

    def trim(self, seconds: int) -> list[Eviction]:
        """Keep the bounds at the time `seconds`. Gives what was evicted."""
        evicted: list[Eviction] = []
        bounds = self.bounds
        spare = min(_AT_A_TIME, bounds.messages // 8)
        excess = len(self.entries) - bounds.messages
        if excess > 0:
            evicted += self._evict(Evicted.COUNT, excess + spare)
        while self.size > bounds.size:
            evicted += self._evict(Evicted.BYTES, spare + 1)
        if seconds - self._aged_at >= _AGE_EVERY:
            self._aged_at = seconds
            evicted += self._evict(Evicted.AGE, len(self.entries), seconds - bounds.seconds)
        return evicted

    def _evict(self, reason: Evicted, count: int, before: int | None = None) -> list[Eviction]:
        # Many at a time: to find the first entry of a dict passes those that were deleted.
        evicted: list[Eviction] = []
        for key, value in self.entries.items():
            if len(evicted) == count or (before is not None and begun(value) >= before):
                break
            evicted.append(Eviction(key, value, reason))
        for key, _, _ in evicted:
            self.discard(key)
        self.evicted[reason] += len(evicted)
        return evicted


def stamp_of(seconds: int) -> bytes:
    return b"%08x" % max(0, min(seconds, 0xFFFFFFFF))


def is_record_set(value: bytes) -> bool:
    """Whether it begins as one."""
    try:
        return len(value) > STAMP_BYTES and begun(value) >= 0
    except ValueError:
        return False


def begun(value: bytes) -> int:
    """Seconds since 1970."""
    return int(value[:STAMP_BYTES], 16)
