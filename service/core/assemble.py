"""Facts, verdict and origin to a validated event of the published schema.

In: what the Postfix room read from one line. Out: an event model, or `pydantic.ValidationError`,
which the pipeline turns into a dead letter.
"""

import base64
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import blake2b
from typing import Any, Final

from pydantic import TypeAdapter

import schemas.delivery
from schemas.base import Message, Mta
from schemas.delivery import BouncedEvent, DeferredEvent
from schemas.invalid import InvalidEvent
from schemas.reject import RejectEvent
from schemas.resolved import ResolvedEvent
from service.core.classify import Verdict
from service.core.context import NO_CONTEXT, Context, client_of, utc
from service.core.correlate.waiting import Waiting
from service.core.identity import ID_BYTES, derived_id, id_of, origin_key
from service.core.outcomes import Malformed
from service.core.postfix.facts import Delivery, Facts, Record, Reject, Relay, RemoteReply
from service.core.postfix.remembered import remember
from service.core.syslog.message import SyslogMessage

Event = RejectEvent | DeferredEvent | BouncedEvent | ResolvedEvent | InvalidEvent

# The validators themselves: what a `TypeAdapter` puts around them costs a tenth as much again.
_REJECT: Final = TypeAdapter(RejectEvent).validator
_DEFERRED: Final = TypeAdapter(DeferredEvent).validator
_BOUNCED: Final = TypeAdapter(BouncedEvent).validator
_RESOLVED: Final = TypeAdapter(ResolvedEvent).validator
_INVALID = TypeAdapter(InvalidEvent)
_MTA: Final = TypeAdapter(Mta).validator
_RELAY: Final = TypeAdapter(schemas.delivery.Relay).validator

_NO_MESSAGE: Final = Message()

UNKNOWN_HOST: Final = "unknown"
NAME_MAX: Final = 255
"""RFC 5424 6: HOSTNAME. A line may hold a longer one; where room is scarce, that is cut."""


_DEAD_LETTER_BYTES = 4096
_DEAD_LETTER_FIELDS = ("event_time", "received_at", "time_quality", "mta", "queue_id")


_SEVERITIES: Final = {"bounced": "permanent", "expired": "permanent"}


@dataclass(slots=True, init=False)
class Ending:
    """How the waiting of a deferred recipient ended."""

    waiting: Waiting
    outcome: str
    """A word of `schemas.vocabulary.Outcome`."""
    status: str | None
    facts: Delivery | None
    """The last attempt; None where there was none: what was said last is then in `waiting`."""
    verdict: Verdict | None
    """Why, where a last attempt failed."""

    # Written out as in `core.postfix.facts`: for the compiled core.
    def __init__(
        self,
        waiting: Waiting,
        outcome: str,
        status: str | None,
        facts: Delivery | None,
        verdict: Verdict | None,
    ) -> None:
        self.waiting = waiting
        self.outcome = outcome
        self.status = status
        self.facts = facts
        self.verdict = verdict


@dataclass(slots=True, init=False)
class Line:
    """One line with everything known of it before its meaning."""

    raw: bytes
    message: SyslogMessage
    received_at: datetime
    transport: str
    source_ip: str | None
    truncated: bool
    keep_raw: bool
    before: Callable[[str], int] | None = None
    """Where the stamp does not tell equal lines apart: how many with that id came before."""

    id: str = field(default="", init=False)
    """Of its first event, once `event_id` was asked."""

    # Written out as in `core.postfix.facts`: for the compiled core.
    def __init__(
        self,
        raw: bytes,
        message: SyslogMessage,
        received_at: datetime,
        transport: str,
        source_ip: str | None,
        truncated: bool,
        keep_raw: bool,
        before: Callable[[str], int] | None = None,
    ) -> None:
        self.raw = raw
        self.message = message
        self.received_at = received_at
        self.transport = transport
        self.source_ip = source_ip
        self.truncated = truncated
        self.keep_raw = keep_raw
        self.before = before
        self.id = ""

    @property
    def host(self) -> str:
        return self.message.host or self.source_ip or UNKNOWN_HOST


def event_id(line: Line, repeat: int = 0) -> str:
    """The id of one event of a line; `repeat` tells apart those of a line that folds several."""
    if repeat == 0 and line.id:
        return line.id
    name = id_of(line.message, line.raw, _key(line), repeat, line.before)
    if repeat == 0:
        line.id = name
    return name


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


def assemble_resolved(
    line: Line, record: Record, ending: "Ending", context: Context
) -> ResolvedEvent:
    """The end of a deferred recipient, told by `line`. Raises as `assemble`."""
    message = line.message
    waiting, facts, verdict = ending.waiting, ending.facts, ending.verdict
    name = derived_id(event_id(line), "resolved", waiting.recipient)
    reply = facts.remote_reply if facts is not None else None
    at = message.time.timestamp()
    queued_at = context.message.queued_at
    since = waiting.arrived if queued_at is None else queued_at.timestamp()
    age = facts.delay if facts is not None else None
    if age is None and since is not None and at >= since:
        age = round(at - since, 6)
    event: ResolvedEvent = _RESOLVED.validate_python(
        {
            "event_id": name,
            "event_time": message.time,
            "received_at": line.received_at,
            "time_quality": message.time_quality,
            "mta": _mta(line, record),
            "queue_id": record.queue_id,
            "sender": context.sender,
            "recipient": waiting.recipient,
            "recipient_domain": _domain(waiting.recipient),
            "smtp_code": waiting.smtp_code if facts is None else reply and reply.smtp_code,
            "enhanced_code": waiting.enhanced_code if facts is None else facts.enhanced_code,
            "severity": _SEVERITIES.get(ending.outcome),
            "response": waiting.response if facts is None else facts.response,
            "category": waiting.category if verdict is None else verdict.category,
            "scope": waiting.scope if verdict is None else verdict.scope,
            "provider": waiting.provider if verdict is None else verdict.provider,
            "provider_code": waiting.provider_code if verdict is None else verdict.provider_code,
            "message": context.message,
            "truncated": line.truncated,
            "raw": _raw(line),
            "outcome": ending.outcome,
            "status": ending.status,
            "attempt": waiting.attempt,
            "attempts": waiting.attempts,
            "first_deferred_at": utc(waiting.since),
            "age": age,
        }
    )
    return event


def assemble_invalid(
    line: Line, record: Record | None, reason: Malformed, detail: str | None = None
) -> InvalidEvent:
    values = _common(line, record)
    values["reason"] = reason.value
    values["detail"] = detail
    values["truncated"] = line.truncated or reason is Malformed.CUT_BEFORE_STATUS
    values["raw_base64"] = base64.b64encode(line.raw).decode("ascii")
    return _INVALID.validate_python(values)


def dead_letter(body: bytes, reason: str, detail: str) -> InvalidEvent:
    """What stands in for an event that JetStream refused for good. `body`: that event's JSON.

    It has an id of its own (the refused one may yet be stored elsewhere) and carries at most
    `_DEAD_LETTER_BYTES` of the line and `NAME_MAX` of each name, so that it is not refused for its
    size in turn.
    """
    refused = json.loads(body)
    raw = (refused.get("raw") or body.decode("utf-8", "replace")).encode()[:_DEAD_LETTER_BYTES]
    values = {name: refused[name] for name in _DEAD_LETTER_FIELDS}
    values["mta"] = {
        name: value[:NAME_MAX] if isinstance(value, str) else value
        for name, value in refused["mta"].items()
    }
    values["event_id"] = blake2b(refused["event_id"].encode(), digest_size=ID_BYTES).hexdigest()
    values["reason"] = reason
    values["detail"] = f"{refused['event_type']} {refused['event_id']}: {detail}"
    values["truncated"] = True
    values["raw_base64"] = base64.b64encode(raw).decode("ascii")
    return _INVALID.validate_python(values)


_Process = tuple[str, str, int | None]
_Source = tuple[str, str, int | None, str | None, str | None, str | None, str]

# Made once and remembered: a log names the same processes and peers again and again. The parts of a
# peer are bounded by the patterns that read them.
_KEYS: Final[dict[_Process, str]] = {}
_MTAS: Final[dict[_Source, Mta]] = {}
_RELAYS: Final[dict[Relay, schemas.delivery.Relay]] = {}


def _key(line: Line) -> str:
    message = line.message
    host, tag, pid = line.host, message.tag, message.pid
    process = (host, tag, pid)
    key = _KEYS.get(process)
    if key is None:
        key = origin_key(host, tag, pid)
        # What is remembered must be bounded, the names in it too.
        if len(host) <= NAME_MAX >= len(tag):
            remember(_KEYS, process, key)
    return key


def _mta(line: Line, record: Record | None) -> Mta:
    message = line.message
    host, tag = line.host, message.tag
    instance = daemon = None
    if record is not None:
        tag, instance, daemon = record.service, record.instance, record.daemon
    source = (host, tag, message.pid, instance, daemon, line.source_ip, line.transport)
    mta = _MTAS.get(source)
    if mta is None:
        mta = _MTA.validate_python(
            {
                "host": host,
                "instance": instance,
                "service": tag or None,
                "daemon": daemon,
                "pid": message.pid,
                "source_ip": line.source_ip,
                "transport": line.transport,
            }
        )
        if len(host) <= NAME_MAX >= len(tag):  # as above
            remember(_MTAS, source, mta)
    return mta


def _relay(relay: Relay) -> schemas.delivery.Relay:
    known = _RELAYS.get(relay)
    if known is None:
        host, ip, port, path = relay
        known = _RELAY.validate_python({"host": host, "ip": ip, "port": port, "path": path})
        remember(_RELAYS, relay, known)
    return known


def _common(line: Line, record: Record | None) -> dict[str, Any]:
    message = line.message
    queue_id = None if record is None else record.queue_id
    return {
        "event_id": event_id(line),
        "event_time": message.time,
        "received_at": line.received_at,
        "time_quality": message.time_quality,
        "mta": _mta(line, record),
        "queue_id": queue_id,
        "message": _NO_MESSAGE if queue_id is not None else None,
        "raw": _raw(line),
    }


def _raw(line: Line) -> str | None:
    return line.raw.decode("utf-8", "replace") if line.keep_raw else None


def _domain(recipient: str | None) -> str | None:
    if recipient and (at := recipient.rfind("@")) >= 0:
        return recipient[at + 1 :].lower() or None
    return None


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
        "mta": _mta(line, record),
        "sender": facts.sender if facts.sender is not None else context.sender,
        "recipient": recipient,
        "recipient_domain": _domain(recipient),
        "smtp_code": facts.smtp_code,
        "enhanced_code": facts.enhanced_code,
        "severity": facts.severity,
        "response": facts.response,
        "category": category,
        "scope": scope,
        "raw": _raw(line),
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
        "mta": _mta(line, record),
        "queue_id": record.queue_id,
        "sender": facts.sender if facts.sender is not None else context.sender,
        "recipient": recipient,
        "recipient_domain": _domain(recipient),
        "enhanced_code": facts.enhanced_code,
        "severity": "temporary" if is_deferred else "permanent",
        "response": facts.response,
        "category": category,
        "scope": scope,
        "message": context.message,
        "raw": _raw(line),
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
