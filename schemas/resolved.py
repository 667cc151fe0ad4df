"""`resolved`: a recipient that had been deferred has reached its end."""

from typing import Literal

from .base import EventBase
from .fields import Open, Ordinal, QueueId, Seconds, Status, UtcDatetime
from .vocabulary import Outcome


class ResolvedEvent(EventBase):
    """What a ticketing system needs to close its ticket.

    One for each deferred recipient of a message, also where several aliases led to him: then it
    comes once the last of these has ended.
    """

    event_type: Literal["resolved"] = "resolved"
    """Always `resolved`."""
    queue_id: QueueId
    """The queue id that the message has by now: where it was re-queued after the deferral,
    `message.origin_queue_id` is the one before. Unique only within one host and instance."""
    outcome: Open[Outcome]
    """How it ended. The list may grow."""
    status: Status | None = None
    """The last status as logged; null where it left the queue without one."""
    attempt: Ordinal | None = None
    """Number of the last attempt as seen here; null when unknown."""
    attempts: Ordinal | None = None
    """Delivery attempts seen."""
    first_deferred_at: UtcDatetime | None = None
    """When this recipient was first deferred; null when unknown."""
    age: Seconds | None = None
    """Seconds from queueing to the end."""
