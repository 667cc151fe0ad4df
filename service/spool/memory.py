"""The waiting room between the pipeline and NATS, in memory: bounded in events and in bytes.

While NATS is away events collect here; when the room is full, TCP senders are held back and UDP
datagrams are dropped and counted. What waits here is lost if the process dies.
"""

from collections import deque
from collections.abc import Iterable
from itertools import islice

from pydantic import BaseModel, ConfigDict, Field

from service.core.envelope import Envelope


class MemoryQueueConfig(BaseModel):
    """How many events may wait for NATS in memory."""

    model_config = ConfigDict(extra="forbid")

    max_events: int = Field(
        50_000, ge=1, description="Events that may wait before senders are held back."
    )
    max_bytes: int = Field(
        128 * 1024 * 1024, ge=1, description="Bytes of event bodies that may wait."
    )


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

    def first(self, count: int) -> list[Envelope]:
        """The oldest, so many or all there are; they stay until `popleft`."""
        return list(islice(self._envelopes, count))

    def popleft(self) -> None:
        self._bytes -= len(self._envelopes.popleft().body)
