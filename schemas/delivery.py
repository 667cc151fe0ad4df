"""`deferred` and `bounced`: an accepted message could not be delivered, for now or for good."""

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from .base import EnhancedCode, EventBase, Model, Port, QueueId, Seconds, SmtpCode, UtcDatetime


class Relay(Model):
    """Where the delivery went."""

    host: str
    """Host name, or the name of a local delivery service (`local`, `dovecot`)."""
    ip: str | None
    port: Port | None
    path: str | None
    """UNIX socket."""


class Delays(Model):
    """Postfix `delays=a/b/c/d`, seconds."""

    before_queue_manager: Seconds
    in_queue_manager: Seconds
    connection_setup: Seconds
    transmission: Seconds


class RemoteReply(Model):
    """What a remote server answered."""

    host: str | None
    ip: str | None
    smtp_code: SmtpCode | None
    enhanced_code: EnhancedCode | None
    text: str
    """The reply as logged, its codes included. Hostile input."""
    command: str | None
    """The SMTP command it answered, as `RCPT TO`."""


class Notice(Model):
    """The non-delivery notice of a bounce."""

    queue_id: QueueId
    kind: str
    """`sender` or `postmaster`."""


class DeliveryEvent(EventBase):
    """Fields that `deferred` and `bounced` share."""

    queue_id: QueueId
    status: Annotated[str, StringConstraints(min_length=1, max_length=64)]
    """As logged: `deferred`, `SOFTBOUNCE`, `bounced`, `expired`, `force-expired`."""
    original_recipient: str | None = None
    """Postfix `orig_to=`: the address before aliasing."""
    relay: Relay | None = None
    """null where no connection was made."""
    delay: Seconds | None = None
    """Seconds since the message arrived."""
    delays: Delays | None = None
    remote_reply: RemoteReply | None = None
    """null where no remote server spoke."""
    tls: str | None = None
    """Postfix 3.11 TLS summary, verbatim."""
    attempt: Annotated[int, Field(ge=1)] | None = None
    """Number of this attempt as seen here; null when unknown."""
    first_deferred_at: UtcDatetime | None = None


class DeferredEvent(DeliveryEvent):
    """One delivery attempt of one recipient failed; Postfix keeps the message and tries again."""

    event_type: Literal["deferred"] = "deferred"


class BouncedEvent(DeliveryEvent):
    """One recipient failed for good; Postfix returns the message to its sender.

    An expiry that names no recipient has `recipient: null`.
    """

    event_type: Literal["bounced"] = "bounced"
    notice: Notice | None = None
    backscatter_risk: bool | None = None
    """True when a notice goes or would go to a sender outside; null when unknown."""
