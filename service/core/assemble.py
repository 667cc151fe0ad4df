"""Facts, verdict and origin to a validated event of the published schema.

In: what the Postfix room read from one line. Out: an event model, or `pydantic.ValidationError`,
which the pipeline turns into a dead letter. The event id is made here: a function of the line and
its host only, so that every resend, drain and replay of a line has the same one.
"""

import base64
import json
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from hashlib import blake2b
from typing import Any

from pydantic import TypeAdapter

from schemas.base import Message, Mta
from schemas.delivery import BouncedEvent, DeferredEvent
from schemas.invalid import InvalidEvent
from schemas.reject import RejectEvent
from service.core.classify import classify
from service.core.outcomes import Malformed
from service.core.postfix.facts import Client, Delivery, Facts, Record, Reject, Relay, RemoteReply
from service.core.syslog.message import SyslogMessage

Event = RejectEvent | DeferredEvent | BouncedEvent | InvalidEvent

# The validators themselves: what a `TypeAdapter` puts around them costs a tenth as much again.
_REJECT = TypeAdapter(RejectEvent).validator
_DEFERRED = TypeAdapter(DeferredEvent).validator
_BOUNCED = TypeAdapter(BouncedEvent).validator
_INVALID = TypeAdapter(InvalidEvent)

_NO_CONTEXT = Message()

UNKNOWN_HOST = "unknown"
NAME_MAX = 255
"""RFC 5424 6: HOSTNAME. A line may hold a longer one; where room is scarce, that is cut."""

_DEAD_LETTER_BYTES = 4096
_DEAD_LETTER_FIELDS = ("event_time", "received_at", "time_quality", "mta", "queue_id")


@dataclass(slots=True)
class Line:
    """One line with everything known of it before its meaning."""

    raw: bytes
    message: SyslogMessage
    received_at: datetime
    transport: str
    source_ip: str | None
    truncated: bool
    keep_raw: bool

    @property
    def host(self) -> str:
        return self.message.host or self.source_ip or UNKNOWN_HOST


def event_id(line: Line, ordinal: int = 0) -> str:
    """32 hex digits. The header's form does not matter: the same record sent as RFC 3164 with an
    RFC 3339 stamp and as RFC 5424 has the same id. `ordinal` tells apart the events of one line.
    """
    message = line.message
    text = message.text
    key = (
        f"{message.stamp}\x1f{line.host.lower()}\x1f{message.tag}\x1f{message.pid}\x1f{text}"
    ).encode("utf-8", "replace")
    if "\ufffd" in text:  # decoding may have made different lines equal
        key += line.raw
    # As salt, not as part of the key: there it could be imitated by the text.
    return blake2b(key, digest_size=16, salt=ordinal.to_bytes(16)).hexdigest()


def assemble(line: Line, record: Record, facts: Facts, ordinal: int = 0) -> Event:
    """Raises `pydantic.ValidationError` where a value breaks the schema: publish a dead letter."""
    values = _common(line, record, ordinal)
    verdict = classify(facts)
    values["category"] = verdict.category
    values["scope"] = verdict.scope
    # What is None is left out, where it mostly is: it is the default, and so costs nothing.
    if verdict.provider is not None:
        values["provider"] = verdict.provider
        values["provider_code"] = verdict.provider_code
    values["response"] = facts.response
    values["sender"] = facts.sender
    values["recipient"] = recipient = facts.recipient
    values["enhanced_code"] = facts.enhanced_code
    if recipient and (at := recipient.rfind("@")) >= 0:
        values["recipient_domain"] = recipient[at + 1 :].lower() or None
    if facts.truncated or line.truncated:
        values["truncated"] = True
    if isinstance(facts, Reject):
        return _assemble_reject(values, facts)
    return _assemble_delivery(values, facts)


def assemble_invalid(
    line: Line, record: Record | None, reason: Malformed, detail: str | None = None
) -> InvalidEvent:
    values = _common(line, record, 0)
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
    values["event_id"] = blake2b(refused["event_id"].encode(), digest_size=16).hexdigest()
    values["reason"] = reason
    values["detail"] = f"{refused['event_type']} {refused['event_id']}: {detail}"
    values["truncated"] = True
    values["raw_base64"] = base64.b64encode(raw).decode("ascii")
    return _INVALID.validate_python(values)


def _common(line: Line, record: Record | None, ordinal: int) -> dict[str, Any]:
    message = line.message
    instance: str | None = None
    service: str | None = message.tag or None
    daemon: str | None = None
    queue_id: str | None = None
    if record is not None:
        instance, service = record.instance, record.service
        daemon, queue_id = record.daemon, record.queue_id
    host = line.host
    # What is remembered must be bounded, the names in it too.
    is_short = len(host) <= NAME_MAX and len(service or "") <= NAME_MAX
    describe = _remembered_mta if is_short else _mta
    values: dict[str, Any] = {
        "event_id": event_id(line, ordinal),
        "event_time": message.time,
        "received_at": line.received_at,
        "time_quality": message.time_quality,
        "mta": describe(
            host, instance, service, daemon, message.pid, line.source_ip, line.transport
        ),
    }
    if line.keep_raw:
        values["raw"] = line.raw.decode("utf-8", "replace")
    if queue_id is not None:
        values["queue_id"] = queue_id
        values["message"] = _NO_CONTEXT
    return values


def _mta(*values: str | int | None) -> Mta:
    """`values` in the order of the model's fields."""
    return Mta.model_validate(dict(zip(Mta.model_fields, values, strict=True)))


_remembered_mta = lru_cache(maxsize=4096)(_mta)
"""A process logs many lines: its description is validated once."""


def _assemble_reject(values: dict[str, Any], facts: Reject) -> RejectEvent:
    values["severity"] = facts.severity
    values["smtp_code"] = facts.smtp_code
    values["action"] = facts.action
    values["stage"] = facts.stage
    if facts.client is not None:
        values["client"] = _client(facts.client)
    values["helo"] = facts.helo
    values["protocol"] = facts.protocol
    values["dnsbl"] = facts.dnsbl
    if facts.sasl_method is not None or facts.sasl_username is not None:
        values["sasl_method"] = facts.sasl_method
        values["sasl_username"] = facts.sasl_username
    if facts.sasl_sender is not None:
        values["sasl_sender"] = facts.sasl_sender
    if facts.content is not None:
        values["content"] = facts.content
    reject: RejectEvent = _REJECT.validate_python(values)
    return reject


def _assemble_delivery(values: dict[str, Any], facts: Delivery) -> DeferredEvent | BouncedEvent:
    reply = facts.remote_reply
    delays = facts.delays
    values["status"] = facts.status
    values["delay"] = facts.delay
    if facts.original_recipient is not None:
        values["original_recipient"] = facts.original_recipient
    if facts.relay is not None:
        values["relay"] = _relay(facts.relay)
    if facts.tls is not None:
        values["tls"] = facts.tls
    if delays:
        values["delays"] = {
            "before_queue_manager": delays[0],
            "in_queue_manager": delays[1],
            "connection_setup": delays[2],
            "transmission": delays[3],
        }
    if reply:
        values["remote_reply"] = _remote_reply(reply)
        values["smtp_code"] = reply.smtp_code
    if facts.kind == "deferred":
        values["severity"] = "temporary"
        deferred: DeferredEvent = _DEFERRED.validate_python(values)
        return deferred
    values["severity"] = "permanent"
    bounced: BouncedEvent = _BOUNCED.validate_python(values)
    return bounced


def _client(client: Client) -> dict[str, Any]:
    return {"name": client.name, "ip": client.ip, "port": client.port}


def _relay(relay: Relay) -> dict[str, Any]:
    return {"host": relay.host, "ip": relay.ip, "port": relay.port, "path": relay.path}


def _remote_reply(reply: RemoteReply) -> dict[str, Any]:
    return {
        "host": reply.host,
        "ip": reply.ip,
        "smtp_code": reply.smtp_code,
        "enhanced_code": reply.enhanced_code,
        "text": reply.text,
        "command": reply.command,
    }
