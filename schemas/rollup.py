"""`rollup`: how many events one receiver made of one Postfix host in one minute."""

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from .base import EventBase, Model
from .fields import Count, UtcDatetime, Word

Counts = Annotated[dict[Word, Count], Field(max_length=128)]
"""How many of each word. Words that the event does not know are `none`."""


class Period(Model):
    """A stretch of time, by the receiver's clock."""

    start: UtcDatetime
    """The first moment of it."""
    end: UtcDatetime
    """The first moment after it."""


class TypeCounts(Model):
    """The events of one type, each counted once in each map."""

    total: Count
    """All of them. What is beyond the bound of a map is missing there, and counted here."""
    categories: Counts
    """By `category`. Of `resolved`: why they had been deferred."""
    scopes: Counts
    """By `scope`."""
    providers: Counts
    """By `provider`."""


class RollupEvent(EventBase):
    """Numbers for those who do not want events: no failure of mail itself.

    One receiver's part of what a host did: several receivers each publish theirs, and a receiver
    that stops in the middle of a minute publishes what it has. So add them up: of one host, all
    whose `period.start` lies in the same minute, each `event_id` once. An event counts in the
    minute in which it was made, whatever its `event_time`; that of a line that is sent again
    counts again. A host of which no event was made has no roll-up. Fields of single events
    (`recipient` ...) are null.
    """

    event_type: Literal["rollup"] = "rollup"
    """Always `rollup`."""
    receiver: Annotated[str, StringConstraints(min_length=1, max_length=255)]
    """The name of the receiver whose part this is."""
    period: Period
    """What it tells of: a minute, or part of one; `event_time` is its start."""
    counts: Annotated[dict[Word, TypeCounts], Field(max_length=32)]
    """By `event_type`; types without events are left out. The list of types may grow."""

    def __hash__(self) -> int:
        return hash(self.event_id)  # maps have none
