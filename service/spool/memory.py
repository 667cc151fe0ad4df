"""A waiting room in memory: bounded in events and in bytes.

When it is full, senders that can wait are held back, and UDP datagrams are dropped and counted.
What waits here and not in the spool too is lost if the process dies.
"""

from collections import deque
from collections.abc import Iterable

from service.core.envelope import Envelope
from service.spool.memory_config import MemoryQueueConfig


class MemoryQueue:
    """First in, first out. The caller asks `has_room` before it reads more input; one batch may
    pass the bound, so the true bound is the setting plus the events of one read."""

    def __init__(self, config: MemoryQueueConfig) -> None:
        self.max_events = config.max_events
        self.max_bytes = config.max_bytes
        self._envelopes: deque[Envelope] = deque()
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._envelopes)

    @property
    def bytes(self) -> int:
        return self._bytes

    @property
    def unsaved(self) -> int:
        """How many are in memory only."""
        return sum(envelope.row is None for envelope in self._envelopes)

    @property
    def has_room(self) -> bool:
        return len(self._envelopes) < self.max_events and self._bytes < self.max_bytes

    def is_below(self, share: float) -> bool:
        """Whether less than that share of both bounds is taken."""
        return (
            len(self._envelopes) < share * self.max_events and self._bytes < share * self.max_bytes
        )

    def extend(self, envelopes: Iterable[Envelope]) -> None:
        for envelope in envelopes:
            self._envelopes.append(envelope)
            self._bytes += len(envelope.body)

    def first(self, max_events: int, max_bytes: int) -> list[Envelope]:
        """The oldest ones, as `take` would give them; they stay, and take up room, until they are
        dropped."""
        found: list[Envelope] = []
        size = 0
        for envelope in self._envelopes:
            if len(found) >= max_events or size >= max_bytes:
                break
            size += len(envelope.body)
            found.append(envelope)
        return found

    def drop_first(self, count: int) -> None:
        """The oldest ones have found another place."""
        for _ in range(count):
            self._bytes -= len(self._envelopes.popleft().body)

    def take(self, max_events: int, max_bytes: int) -> list[Envelope]:
        """The oldest ones out of the queue: as many as both bounds allow, but one if there is one.
        The bytes are those of bodies."""
        taken: list[Envelope] = []
        size = 0
        while self._envelopes and len(taken) < max_events and size < max_bytes:
            envelope = self._envelopes.popleft()
            size += len(envelope.body)
            taken.append(envelope)
        self._bytes -= size
        return taken

    def all_unsaved(self) -> list[Envelope]:
        """All that are in memory only; they stay."""
        return [envelope for envelope in self._envelopes if envelope.row is None]

    def take_unsaved(self) -> list[Envelope]:
        """All that are in memory only, oldest first, out of the queue."""
        unsaved = self.all_unsaved()
        if unsaved:
            self._envelopes = deque(e for e in self._envelopes if e.row is not None)
            self._bytes = sum(len(envelope.body) for envelope in self._envelopes)
        return unsaved
