"""`deferred` and `bounced`: an accepted message could not be delivered, for now or for good."""

from typing import Literal

from .base import EventBase, Model
from .fields import EnhancedCode, Ordinal, Port, QueueId, Seconds, SmtpCode, Status, UtcDatetime


class Relay(Model):
    """Where the delivery went."""

    host: str
    """Host name, or the name of a local delivery service (`local`, `dovecot`)."""
    ip: str | None = None
    """Address of that host; null for a delivery that used no network."""
    port: Port | None = None
    """TCP port; null for a delivery that used no network."""
    path: str | None = None
    """UNIX socket, as `private/dovecot-lmtp`."""


class Delays(Model):
    """Postfix `delays=a/b/c/d`, seconds."""

    before_queue_manager: Seconds
    """a: from arrival to the queue manager, transmission of the message included."""
    in_queue_manager: Seconds
    """b: waiting in the queue manager."""
    connection_setup: Seconds
    """c: connecting, with DNS, HELO and TLS."""
    transmission: Seconds
    """d: sending the message, up to the answer."""


class RemoteReply(Model):
    """What a remote server answered."""

    host: str | None = None
    """Name of the server that spoke."""
    ip: str | None = None
    """Its address; null where it spoke over a UNIX socket."""
    smtp_code: SmtpCode | None = None
    """The reply code it gave; Postfix may have judged otherwise (`soft_bounce`)."""
    enhanced_code: EnhancedCode | None = None
    """The RFC 3463 code it gave; the event's own `enhanced_code` is Postfix's verdict."""
    text: str
    """The reply as logged, its codes included. Hostile input."""
    command: str | None = None
    """The SMTP command it answered, as `RCPT TO`."""


class Notice(Model):
    """The non-delivery notice of a bounce."""

    queue_id: QueueId
    """Queue id under which the notice travels; its own delivery lines carry it."""
    kind: str
    """`sender` or `postmaster`."""


class DeliveryEvent(EventBase):
    """Fields that `deferred` and `bounced` share."""

    queue_id: QueueId
    """Of the message. Unique only within one host and instance."""
    status: Status
    """As logged: `deferred`, `SOFTBOUNCE`, `bounced`, `expired`, `force-expired`."""
    original_recipient: str | None = None
    """Postfix `orig_to=`: the address before aliasing."""
    relay: Relay | None = None
    """null where no connection was made."""
    delay: Seconds | None = None
    """Seconds since the message arrived."""
    delays: Delays | None = None
    """Where that time went; null where the line does not say."""
    remote_reply: RemoteReply | None = None
    """null where no remote server spoke."""
    tls: str | None = None
    """Postfix 3.11 TLS summary, verbatim."""
    attempt: Ordinal | None = None
    """Number of this attempt as seen here; null when unknown."""
    first_deferred_at: UtcDatetime | None = None
    """When this recipient was first deferred; null when unknown."""


class DeferredEvent(DeliveryEvent):
    """One delivery attempt of one recipient failed; Postfix keeps the message and tries again."""

    event_type: Literal["deferred"] = "deferred"
    """Always `deferred`."""


class BouncedEvent(DeliveryEvent):
    """One recipient failed for good; Postfix returns the message to its sender.

    An expiry that names no recipient has `recipient: null`.
    """

    event_type: Literal["bounced"] = "bounced"
    """Always `bounced`."""
    notice: Notice | None = None
    """The non-delivery notice, when it is known in time."""
    backscatter_risk: bool | None = None
    """True when a notice goes or would go to a sender outside; null when unknown."""
