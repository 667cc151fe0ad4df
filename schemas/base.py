"""What every event has, and the small objects they share.

Models are frozen. A field that the log does not tell is `None`, never a guess. Subscribers'
models ignore fields they do not know, so that an old subscriber survives a new field.
"""

from datetime import UTC, datetime
from typing import Annotated, Literal

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    PlainSerializer,
    StringConstraints,
)

from .vocabulary import Category, Completeness, Scope, Severity, TimeQuality, Transport

SCHEMA_VERSION = "1.0"


def _to_utc(value: datetime) -> datetime:
    return value.astimezone(UTC)


def _with_z(value: datetime) -> str:
    return value.isoformat().replace("+00:00", "Z")


UtcDatetime = Annotated[
    AwareDatetime,
    AfterValidator(_to_utc),
    PlainSerializer(_with_z, return_type=str, when_used="json"),
]
"""RFC 3339 in UTC, written with `Z`; up to microseconds."""

EnhancedCode = Annotated[
    str, StringConstraints(pattern=r"^[245]\.[0-9]{1,3}\.[0-9]{1,3}$")
]
"""RFC 3463 status code: `5.1.1`."""

SmtpCode = Annotated[int, Field(ge=200, le=599)]
"""RFC 5321 section 4.2 reply code."""

QueueId = Annotated[str, StringConstraints(pattern=r"^[0-9A-Za-z]{5,32}$")]
"""Postfix queue id, short or long form; always a string (`1E2401` is not a number)."""

Port = Annotated[int, Field(ge=0, le=65_535)]
Seconds = Annotated[float, Field(ge=0)]


class Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", use_attribute_docstrings=True)


class Mta(Model):
    """Which Postfix said it, and how the line came here."""

    host: str
    """Host name as the line gives it; the sending address where it gives none."""
    instance: str | None
    """Postfix instance: the first part of the tag (`postfix`, `postfix-out`)."""
    service: str | None
    """The whole tag, as `postfix/submission/smtpd`."""
    daemon: str | None
    """The program, as `smtpd`; null where the sender's syslog cut it off."""
    pid: Annotated[int, Field(ge=0)] | None
    """Process id; null where absent or possibly cut."""
    source_ip: str | None
    """Address the line was received from; null for files."""
    transport: Transport


class Client(Model):
    """The SMTP client that was refused."""

    name: str | None
    """Verified host name; null where Postfix logged `unknown`."""
    ip: str | None
    port: Port | None


class Message(Model):
    """What earlier lines with the same queue id told of the message."""

    message_id: str | None = None
    sender: str | None = None
    size: Annotated[int, Field(ge=0)] | None = None
    """Bytes."""
    recipients: Annotated[int, Field(ge=0)] | None = None
    client: Client | None = None
    sasl_username: str | None = None
    queued_at: UtcDatetime | None = None
    origin_queue_id: str | None = None
    """The queue id this message had before it was re-queued, forwarded or re-injected."""
    context: Completeness = Completeness.NONE
    """How many of those lines were seen."""


class EventBase(Model):
    """Fields of every event."""

    schema_version: Literal["1.0"] = SCHEMA_VERSION
    event_id: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32}$")]
    """The same line of the same host has the same id, whatever connection, receiver or restart;
    also the `Nats-Msg-Id`. Deduplicate by it."""
    event_time: UtcDatetime
    """When Postfix logged it."""
    received_at: UtcDatetime
    """When this line reached the receiver."""
    time_quality: TimeQuality
    mta: Mta
    queue_id: QueueId | None = None
    """null for NOQUEUE."""
    sender: str | None = None
    """Envelope sender as logged; empty for the null sender, null where it is not known."""
    recipient: str | None = None
    """Envelope recipient as logged."""
    recipient_domain: str | None = None
    """Lower-cased part after the last `@`."""
    smtp_code: SmtpCode | None = None
    """SMTP reply code where the line has one."""
    enhanced_code: EnhancedCode | None = None
    """RFC 3463 code where the line has one; for deliveries Postfix's `dsn=`."""
    severity: Severity | None = None
    """null where the line has no code to tell it by."""
    response: str | None = None
    """Text of the refusal, or the delivery status reason, as logged. Hostile input: escape it."""
    category: Category | None = None
    """The cause in one word. The list may grow."""
    scope: Scope | None = None
    """Who can act on it."""
    provider: str | None = None
    """Receiving provider, as `google`, where it is known."""
    provider_code: str | None = None
    """The provider's own code, as `S3140`."""
    message: Message | None = None
    """null for an event without a queue id."""
    truncated: bool = False
    """The line was cut, by Postfix (2000 bytes) or on its way."""
    raw: str | None = None
    """The line as received, undecodable bytes replaced; null where switched off."""
