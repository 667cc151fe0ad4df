"""`resolved`: a recipient that had been deferred has reached its end."""

from typing import Annotated, Literal

from pydantic import Field

from .base import EventBase, QueueId, Seconds, UtcDatetime
from .vocabulary import Outcome


class ResolvedEvent(EventBase):
    """What a ticketing system needs to close its ticket."""

    event_type: Literal["resolved"] = "resolved"
    queue_id: QueueId
    outcome: Outcome
    status: str | None = None
    """The last status as logged."""
    attempt: Annotated[int, Field(ge=1)] | None = None
    attempts: Annotated[int, Field(ge=1)] | None = None
    """Delivery attempts seen."""
    first_deferred_at: UtcDatetime | None = None
    age: Seconds | None = None
    """Seconds from queueing to the end."""
