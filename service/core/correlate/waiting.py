"""Recipients that were deferred and have not reached their end: how often, since when, what was
said last.

In: what a failed attempt told. Out: packed bytes (JSON, so that a snapshot and a shared bucket hold
the same) and back. Few messages are ever deferred, but those wait for days.
"""

from dataclasses import dataclass, fields
from typing import Final

import orjson

from service.core.correlate.memory import STAMP_BYTES, Memory

LONGEST_RESPONSE: Final = 512
"""Characters of a response that are kept for the `resolved` event."""


@dataclass(slots=True, init=False)
class Waiting:
    recipient: str
    original_recipient: str | None
    """As the lines have it; the recipient himself where these name several, `is_several`."""
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

    # Written out as in `core.postfix.facts`: for the compiled core.
    def __init__(
        self,
        recipient: str,
        original_recipient: str | None,
        first_deferred: float,
        last_deferred: float,
        attempts: int,
        is_counted: bool,
        activation: int,
        last_id: str,
        arrived: float | None,
        status: str,
        response: str,
        smtp_code: int | None,
        enhanced_code: str | None,
        category: str | None,
        scope: str | None,
        provider: str | None,
        provider_code: str | None,
    ) -> None:
        self.recipient = recipient
        self.original_recipient = original_recipient
        self.first_deferred = first_deferred
        self.last_deferred = last_deferred
        self.attempts = attempts
        self.is_counted = is_counted
        self.activation = activation
        self.last_id = last_id
        self.arrived = arrived
        self.status = status
        self.response = response
        self.smtp_code = smtp_code
        self.enhanced_code = enhanced_code
        self.category = category
        self.scope = scope
        self.provider = provider
        self.provider_code = provider_code

    @property
    def attempt(self) -> int | None:
        """Number of the last attempt; None where earlier ones may not have been seen."""
        return self.attempts if self.is_counted else None

    @property
    def is_several(self) -> bool:
        """Deferred under more than one original recipient: Postfix delivers to him for each, and
        he waits as long as one of these does. It never logs one that is the recipient himself."""
        return self.original_recipient == self.recipient

    def add_original(self, original_recipient: str | None) -> None:
        """He was deferred under this one."""
        if original_recipient != self.original_recipient:
            self.original_recipient = self.recipient

    @property
    def since(self) -> float | None:
        """When it was first deferred; None as above."""
        return self.first_deferred if self.is_counted else None


_VALUES: Final = len(fields(Waiting))


def pack(waiting: Waiting) -> bytes:
    return orjson.dumps(
        (
            waiting.recipient,
            waiting.original_recipient,
            waiting.first_deferred,
            waiting.last_deferred,
            waiting.attempts,
            waiting.is_counted,
            waiting.activation,
            waiting.last_id,
            waiting.arrived,
            waiting.status,
            waiting.response,
            waiting.smtp_code,
            waiting.enhanced_code,
            waiting.category,
            waiting.scope,
            waiting.provider,
            waiting.provider_code,
        )
    )


def unpack(packed: bytes) -> Waiting:
    """Raises `ValueError` for what `pack` did not give."""
    values = orjson.loads(packed)
    if not isinstance(values, list) or len(values) != _VALUES:
        raise ValueError("not a waiting recipient")
    return Waiting(*values)


def waiting_in(recipients: Memory, its_key: bytes) -> Waiting | None:
    """None: it does not wait, or another version wrote it."""
    packed = recipients.entries.get(its_key)
    if packed is None:
        return None
    try:
        return unpack(packed[STAMP_BYTES:])
    except ValueError:
        return None
