"""What leaves the process: subject, message id, headers, body.

Headers follow the CloudEvents 1.0 NATS binding in binary mode; the body is complete without them.
"""

from dataclasses import dataclass, field


@dataclass(slots=True, eq=False)
class Envelope:
    """One event, ready to publish. Compared by identity: a resend is the same object."""

    subject: str
    message_id: str
    """Goes out as `Nats-Msg-Id`, so JetStream stores a resend only once."""
    event_type: str
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)
    """Everything but `Nats-Msg-Id`. ASCII."""
    received: float = 0.0
    """Loop clock, seconds, when the line was read: for the lag histogram."""
