"""When each sender was last heard: what an alert on a mail server that fell silent is made of.

In: the address of whoever sent what was just read. Out: at each scrape the time for each address.
Addresses come from the network, over UDP from anybody: as many as the setting says have a place of
their own, first come first served, and keep it until they were silent for a day; all others share
one, `other`.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime

from pydantic import BaseModel, ConfigDict, Field

from service.core.framing.base import Fault, Piece
from service.core.outcomes import Drop

OTHER = "other"
FORGET_SECONDS = 86_400.0
"""After which a place is free again. Alerts have had their time by then."""


class MetricsConfig(BaseModel):
    """What the metrics tell."""

    model_config = ConfigDict(extra="forbid")

    max_sources: int = Field(
        1000,
        ge=0,
        le=100_000,
        description="Senders with a value of their own in "
        "`mailfault_source_last_received_timestamp_seconds`; all others share one.",
    )


class Sources:
    """`heard` once for everything that is read at once, `last_received` at each scrape."""

    def __init__(self, bound: int) -> None:
        self._bound = bound
        self._last: dict[str, datetime] = {}
        self._other: datetime | None = None
        self.unnamed = 0
        """How often something was read from a sender without a place of its own."""

    def __len__(self) -> int:
        return len(self._last)

    def heard(self, source: str | None, pieces: Sequence[Piece], at: datetime) -> None:
        """`at`: aware. Whoever may not send here is not heard."""
        if not pieces or (isinstance(pieces[0], Fault) and pieces[0].kind is Drop.NOT_ALLOWED):
            return
        if source in self._last or (source is not None and len(self._last) < self._bound):
            self._last[source] = at
        else:
            self._other = at
            self.unnamed += 1

    def last_received(self, now: float) -> Mapping[str, float]:
        """By address, seconds since 1970; whoever was silent for a day is forgotten."""
        self._last = {
            source: at for source, at in self._last.items() if now - at.timestamp() < FORGET_SECONDS
        }
        times = {source: at.timestamp() for source, at in self._last.items()}
        if self._other is not None:
            times[OTHER] = self._other.timestamp()
        return times
