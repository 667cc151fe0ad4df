"""What every event has, and the small objects they share.

Models are frozen. A field that the log does not tell is `None`, never a guess. Models ignore
fields they do not know, so that an old subscriber survives a new field.
"""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, StringConstraints

from .fields import (
    Count,
    Domain,
    EnhancedCode,
    EventId,
    Open,
    Port,
    QueueId,
    SmtpCode,
    UtcDatetime,
)
from .vocabulary import Category, Completeness, Scope, Severity, TimeQuality, Transport

SCHEMA_VERSION = "1.0"
"""What the service writes. Every 1.x can be read: a minor version only adds."""


class Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", use_attribute_docstrings=True)


class Mta(Model):
    """Which Postfix said it, and how the line came here."""

    host: str
    """Host name as the line gives it; the sending address where it gives none."""
    instance: str | None = None
    """Postfix instance: the first part of the tag (`postfix`, `postfix-out`)."""
    service: str | None = None
    """The whole tag, as `postfix/submission/smtpd`."""
    daemon: str | None = None
    """The program, as `smtpd`; null where a syslog relay cut it off."""
    pid: Count | None = None
    """Process id; null where absent or possibly cut."""
    source_ip: str | None = None
    """Address the line was received from; null for files."""
    transport: Open[Transport] | None
    """How the line was received. The list may grow. null for a roll-up, which is of many lines."""


class Client(Model):
    """An SMTP client: who offered the message."""

    name: str | None = None
    """Verified host name; null where Postfix logged `unknown`."""
    ip: str | None = None
    """IPv4 or IPv6 address; null where Postfix logged `unknown`."""
    port: Port | None = None
    """null unless Postfix is set to log it (`smtpd_client_port_logging`)."""


class Message(Model):
    """What earlier lines with the same queue id told of the message."""

    message_id: str | None = None
    """The `Message-ID` header, without `<>`. Hostile input."""
    sender: str | None = None
    """Envelope sender; empty for the null sender."""
    size: Count | None = None
    """Bytes, as the queue manager counts them."""
    recipients: Count | None = None
    """Number of recipients in the queue file when it was first read."""
    client: Client | None = None
    """Who delivered the message to this Postfix; null for local submissions."""
    sasl_username: str | None = None
    """Who was logged in when submitting it."""
    queued_at: UtcDatetime | None = None
    """When the message was queued, by the first of its lines; null where that was not seen."""
    origin_queue_id: str | None = None
    """The queue id this message had before it was re-queued, forwarded or re-injected."""
    context: Open[Completeness] = Completeness.NONE
    """How many of those lines were seen."""


class EventBase(Model):
    """Fields of every event."""

    schema_version: Annotated[str, StringConstraints(pattern=r"^1\.[0-9]{1,4}$")] = SCHEMA_VERSION
    """`1.x`; a higher x only adds fields, words and event types."""
    event_id: EventId
    """The same line of the same host has the same id, whatever connection, receiver or restart;
    also the `Nats-Msg-Id`. Deduplicate by it."""
    event_type: str
    """Tells the kinds of events apart; also the second token of the subject."""
    event_time: UtcDatetime
    """When Postfix logged it."""
    received_at: UtcDatetime
    """When this line reached the receiver."""
    time_quality: Open[TimeQuality]
    """How far `event_time` can be trusted."""
    mta: Mta
    """Which Postfix said it, and how the line came here."""
    queue_id: QueueId | None = None
    """null for NOQUEUE and for lines without one. Unique only within one host and instance."""
    sender: str | None = None
    """Envelope sender as logged; empty for the null sender, null where it is not known."""
    recipient: str | None = None
    """Envelope recipient as logged, without `<>`."""
    recipient_domain: Domain | None = None
    """Lower-cased part after the last `@` of `recipient`; null where there is none."""
    smtp_code: SmtpCode | None = None
    """SMTP reply code of a failure, where its line has one; what a remote server gave may differ
    from what Postfix decided (`soft_bounce`)."""
    enhanced_code: EnhancedCode | None = None
    """RFC 3463 code where the line has one; for deliveries Postfix's `dsn=`."""
    severity: Open[Severity] | None = None
    """Whether trying again can help. Of a delivery: as Postfix decided. Of a refusal: by its code,
    or by what Postfix is known to answer. Of `resolved`: where it bounced or expired, else null."""
    response: str | None = None
    """Text of the refusal, or the delivery status reason, as logged. Hostile input: escape it."""
    category: Open[Category] | None = None
    """The cause in one word. The list may grow: treat an unknown word as `other`."""
    scope: Open[Scope] | None = None
    """Who can act on it. The list may grow: treat an unknown word as `unknown`."""
    provider: str | None = None
    """Receiving provider, as `google`, where it is known."""
    provider_code: str | None = None
    """The provider's own code, as `S3140`."""
    message: Message | None = None
    """What earlier lines told of the message; null for an event without a queue id."""
    truncated: bool = False
    """The line was cut, by Postfix (2000 bytes) or on its way."""
    raw: str | None = None
    """The line as received, undecodable bytes replaced; null where switched off. Hostile input."""
