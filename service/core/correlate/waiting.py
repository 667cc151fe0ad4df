"""Recipients that were deferred and have not reached their end: how often, since when, what was
said last.

In: what a failed attempt told. Out: packed bytes (JSON, so that a snapshot and a shared bucket hold
the same) and back. Few messages are ever deferred, but those wait for days.
"""

from dataclasses import dataclass, fields
from operator import attrgetter

import orjson

LONGEST_RESPONSE = 512
"""Characters of a response that are kept for the `resolved` event."""


@dataclass(slots=True)
class Waiting:
    recipient: str
    original_recipient: str | None
    first_deferred: float
    """Unix time, seconds; of the deferrals seen here."""
    last_deferred: float
    """Unix time of the last attempt, seconds."""
    attempts: int
    """Seen here, the last included."""
    is_counted: bool
    """Every attempt was seen: `attempts` is the number of the last one."""
    activation: int
    """The one of the last attempt: local(8) may log several lines for one."""
    last_id: str
    """Event id of the last attempt: the same line, sent again, is no other attempt."""
    arrived: float | None
    """Unix time when the message came, as `delay=` tells it."""
    status: str
    response: str
    smtp_code: int | None
    enhanced_code: str | None
    category: str | None
    scope: str | None
    provider: str | None
    provider_code: str | None

    @property
    def attempt(self) -> int | None:
        """Number of the last attempt; None where earlier ones may not have been seen."""
        return self.attempts if self.is_counted else None

    @property
    def since(self) -> float | None:
        """When it was first deferred; None as above."""
        return self.first_deferred if self.is_counted else None


_NAMES = tuple(field.name for field in fields(Waiting))
_VALUES = attrgetter(*_NAMES)


def pack(waiting: Waiting) -> bytes:
    return orjson.dumps(_VALUES(waiting))


def unpack(packed: bytes) -> Waiting:
    """Raises `ValueError` for what `pack` did not give."""
    values = orjson.loads(packed)
    if not isinstance(values, list) or len(values) != len(_NAMES):
        raise ValueError("not a waiting recipient")
    return Waiting(*values)
