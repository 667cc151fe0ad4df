"""Facts, verdict and origin to a validated event of the published schema.

In: what the Postfix room read from one line. Out: an event model, or `pydantic.ValidationError`,
which the pipeline turns into a dead letter (`core.invalid`).
"""

from typing import Any, Final

from pydantic import TypeAdapter

import schemas.delivery
from schemas.delivery import BouncedEvent, DeferredEvent
from schemas.invalid import InvalidEvent
from schemas.reject import RejectEvent
from schemas.resolved import ResolvedEvent
from service.core.classify import Verdict
from service.core.context import NO_CONTEXT, Context, client_of
from service.core.line import Line, event_id, raw_of
from service.core.mta import mta_of
from service.core.postfix.addresses import domain_of
from service.core.postfix.facts import Delivery, Facts, Record, Reject, Relay, RemoteReply
from service.core.postfix.remembered import remember

Event = RejectEvent | DeferredEvent | BouncedEvent | ResolvedEvent | InvalidEvent
"""What a line can become; all but the last two are made here."""

# The validators themselves: what a `TypeAdapter` puts around them costs a tenth as much again.
_REJECT: Final = TypeAdapter(RejectEvent).validator
_DEFERRED: Final = TypeAdapter(DeferredEvent).validator
_BOUNCED: Final = TypeAdapter(BouncedEvent).validator
_RELAY: Final = TypeAdapter(schemas.delivery.Relay).validator

# Made once and remembered: a log names the same peers again and again. Their parts are bounded by
# the patterns that read them.
_RELAYS: Final[dict[Relay, schemas.delivery.Relay]] = {}


def assemble(
    line: Line,
    record: Record,
    facts: Facts,
    verdict: Verdict,
    context: Context = NO_CONTEXT,
    name: str = "",
) -> Event:
    """`name`: the event's id, where it is not the line's own. Raises `pydantic.ValidationError`
    where a value breaks the schema: publish a dead letter."""
    if isinstance(facts, Reject):
        return _assemble_reject(line, record, facts, verdict, context, name or event_id(line))
    return _assemble_delivery(line, record, facts, verdict, context, name or event_id(line))


# Each of these two is one display of what most events have: setting fields one by one costs twice
# as much. What few have is set where they have it: a field that is given costs, even as None.


def _assemble_reject(
    line: Line, record: Record, facts: Reject, verdict: Verdict, context: Context, name: str
) -> RejectEvent:
    message = line.message
    category, scope, provider, provider_code, _ = verdict
    client = facts.client
    recipient = facts.recipient
    values: dict[str, Any] = {
        "event_id": name,
        "event_time": message.time,
        "received_at": line.received_at,
        "time_quality": message.time_quality,
        "mta": mta_of(line, record),
        "sender": facts.sender if facts.sender is not None else context.sender,
        "recipient": recipient,
        "recipient_domain": domain_of(recipient),
        "smtp_code": facts.smtp_code,
        "enhanced_code": facts.enhanced_code,
        "severity": facts.severity,
        "response": facts.response,
        "category": category,
        "scope": scope,
        "raw": raw_of(line),
        "action": facts.action,
        "stage": facts.stage,
        "client": client_of(client) if client is not None else None,
        "helo": facts.helo,
        "protocol": facts.protocol,
    }
    if record.queue_id is not None:
        values["queue_id"] = record.queue_id
        values["message"] = context.message
    if provider is not None:
        values["provider"] = provider
    if provider_code is not None:
        values["provider_code"] = provider_code
    if facts.truncated or line.truncated:
        values["truncated"] = True
    if facts.sasl_method is not None:
        values["sasl_method"] = facts.sasl_method
    if facts.sasl_username is not None:
        values["sasl_username"] = facts.sasl_username
    if facts.sasl_sender is not None:
        values["sasl_sender"] = facts.sasl_sender
    if facts.dnsbl is not None:
        values["dnsbl"] = facts.dnsbl
    if facts.content is not None:
        values["content"] = facts.content
    event: RejectEvent = _REJECT.validate_python(values)
    return event


def _assemble_delivery(
    line: Line, record: Record, facts: Delivery, verdict: Verdict, context: Context, name: str
) -> DeferredEvent | BouncedEvent:
    message = line.message
    category, scope, provider, provider_code, _ = verdict
    reply = facts.remote_reply
    relay = facts.relay
    recipient = facts.recipient
    is_deferred = facts.kind == "deferred"
    values: dict[str, Any] = {
        "event_id": name,
        "event_time": message.time,
        "received_at": line.received_at,
        "time_quality": message.time_quality,
        "mta": mta_of(line, record),
        "queue_id": record.queue_id,
        "sender": facts.sender if facts.sender is not None else context.sender,
        "recipient": recipient,
        "recipient_domain": domain_of(recipient),
        "enhanced_code": facts.enhanced_code,
        "severity": "temporary" if is_deferred else "permanent",
        "response": facts.response,
        "category": category,
        "scope": scope,
        "message": context.message,
        "raw": raw_of(line),
        "status": facts.status,
        "relay": _relay(relay) if relay is not None else None,
        "delay": facts.delay,
    }
    if reply is not None:
        values["smtp_code"] = reply.smtp_code
        values["remote_reply"] = _remote_reply(reply)
    if provider is not None:
        values["provider"] = provider
    if provider_code is not None:
        values["provider_code"] = provider_code
    if facts.truncated or line.truncated:
        values["truncated"] = True
    if facts.original_recipient is not None:
        values["original_recipient"] = facts.original_recipient
    if facts.delays is not None:
        values["delays"] = _delays(facts.delays)
    if facts.tls is not None:
        values["tls"] = facts.tls
    if context.attempt is not None:
        values["attempt"] = context.attempt
    if context.first_deferred_at is not None:
        values["first_deferred_at"] = context.first_deferred_at
    if is_deferred:
        deferred: DeferredEvent = _DEFERRED.validate_python(values)
        return deferred
    if context.notice is not None:
        values["notice"] = context.notice
    if context.backscatter_risk is not None:
        values["backscatter_risk"] = context.backscatter_risk
    bounced: BouncedEvent = _BOUNCED.validate_python(values)
    return bounced


def _relay(relay: Relay) -> schemas.delivery.Relay:
    known = _RELAYS.get(relay)
    if known is None:
        host, ip, port, path = relay
        known = _RELAY.validate_python({"host": host, "ip": ip, "port": port, "path": path})
        remember(_RELAYS, relay, known)
    return known


def _delays(delays: tuple[float, ...]) -> dict[str, float]:
    a, b, c, d = delays
    return {
        "before_queue_manager": a,
        "in_queue_manager": b,
        "connection_setup": c,
        "transmission": d,
    }


def _remote_reply(reply: RemoteReply) -> dict[str, Any]:
    return {
        "host": reply.host,
        "ip": reply.ip,
        "smtp_code": reply.smtp_code,
        "enhanced_code": reply.enhanced_code,
        "text": reply.text,
        "command": reply.command,
    }
