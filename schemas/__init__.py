"""Typed events of failed mail, as mailfault publishes them on NATS JetStream.

A subscriber, with the extra `mailfault-schemas[nats]`::

    async def main() -> None:
        server = "nats://127.0.0.1:4222"
        async with Consumer(server, durable="bounces", types="bounced") as consumer:
            async for message in consumer:
                event = message.event
                print(event.recipient, event.category, event.response)
                await message.ack()

What the version numbers promise: a minor version only adds (fields, words, event types); what
changes or goes away makes a major version, whose events are typed `.v2`.
"""

from .base import SCHEMA_VERSION, Client, EventBase, Message, Mta
from .codec import EVENT_ADAPTER, DecodeError, DecodeFailure, Event, decode, encode
from .delivery import (
    BouncedEvent,
    DeferredEvent,
    Delays,
    DeliveryEvent,
    Notice,
    Relay,
    RemoteReply,
)
from .invalid import InvalidEvent
from .reject import RejectEvent
from .resolved import ResolvedEvent
from .rollup import Period, RollupEvent, TypeCounts
from .subjects import DEFAULT_PREFIX, mta_token, stream_subjects, subject_for, wildcard
from .vocabulary import (
    MAIL_EVENTS,
    Category,
    Completeness,
    EventType,
    Outcome,
    Scope,
    Severity,
    TimeQuality,
    Transport,
)

__version__ = "1.0.0"

__all__ = [
    "DEFAULT_PREFIX",
    "EVENT_ADAPTER",
    "MAIL_EVENTS",
    "SCHEMA_VERSION",
    "BouncedEvent",
    "Category",
    "Client",
    "Completeness",
    "DecodeError",
    "DecodeFailure",
    "DeferredEvent",
    "Delays",
    "DeliveryEvent",
    "Event",
    "EventBase",
    "EventType",
    "InvalidEvent",
    "Message",
    "Mta",
    "Notice",
    "Outcome",
    "Period",
    "RejectEvent",
    "Relay",
    "RemoteReply",
    "ResolvedEvent",
    "RollupEvent",
    "Scope",
    "Severity",
    "TimeQuality",
    "Transport",
    "TypeCounts",
    "decode",
    "encode",
    "mta_token",
    "stream_subjects",
    "subject_for",
    "wildcard",
]
