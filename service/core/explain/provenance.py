"""Where each field of an event came from: a part of the line, its header, the classifier, earlier
lines, or the receiver.

In: an event. Out: `field` or `object.field` to words. A field that an event has and this table has
not is an error of ours that a test finds.
"""

from collections.abc import Iterator
from typing import Any

from schemas.base import EventBase
from schemas.delivery import DeliveryEvent
from schemas.reject import RejectEvent
from schemas.resolved import ResolvedEvent

RULE = "classifier: rule"
CORRELATION = "correlation"

_ALWAYS = {
    "schema_version": "the schema",
    "event_id": "hash of header and text",
    "event_type": "line shape",
    "event_time": "header: stamp",
    "received_at": "receiver: clock",
    "time_quality": "header: stamp",
    "mta": "header and receiver",
    "mta.host": "header: host, or sender",
    "mta.instance": "header: tag",
    "mta.service": "header: tag",
    "mta.daemon": "header: tag",
    "mta.pid": "header: tag, in [ ]",
    "mta.source_ip": "receiver: sender",
    "mta.transport": "receiver: listener",
    "queue_id": "line: its first word",
    "recipient": "line: to=<...>",
    "recipient_domain": "recipient, behind @",
    "category": RULE,
    "scope": RULE,
    "provider": "classifier: relay host, or reply",
    "provider_code": "classifier: reply",
    "message": CORRELATION,
    "attempt": CORRELATION,
    "attempts": CORRELATION,
    "first_deferred_at": CORRELATION,
    "age": CORRELATION,
    "notice": CORRELATION,
    "backscatter_risk": CORRELATION,
    "outcome": CORRELATION,
    "truncated": "receiver and line",
    "raw": "the line",
    "raw_base64": "the line",
    "reason": "parser",
    "detail": "parser",
    "receiver": "settings",
    "period": "receiver: clock",
    "counts": "events made",
}
_REJECT = {
    "sender": "line: from=<...>",
    "smtp_code": "line: text",
    "enhanced_code": "line: text",
    "severity": "class of the code",
    "response": "line: text",
    "action": "line: opening word",
    "stage": "line: behind the action",
    "client": "line: name[address]",
    "helo": "line: helo=<...>",
    "protocol": "line: proto=",
    "sasl_method": "line: sasl_method=",
    "sasl_username": "line: sasl_username=",
    "sasl_sender": "line: sasl_sender=",
    "dnsbl": "line: 'blocked using'",
    "content": "line: what matched",
}
_DELIVERY = {
    "sender": "line: from=<...>",
    "smtp_code": "line: remote reply",
    "enhanced_code": "line: dsn=",
    "severity": "line: status=",
    "response": "line: reason in ( )",
    "status": "line: status=",
    "original_recipient": "line: orig_to=<...>",
    "relay": "line: relay=",
    "delay": "line: delay=",
    "delays": "line: delays=a/b/c/d",
    "remote_reply": "line: remote reply",
    "tls": "line: tls=",
}


_OF_A_DELIVERY = {"sender": CORRELATION}
_OF_AN_EXPIRY = {"recipient": CORRELATION, "original_recipient": CORRELATION}
_OF_A_REMOVAL = dict.fromkeys(
    (
        *("recipient", "smtp_code", "enhanced_code", "response"),
        *("category", "scope", "provider", "provider_code"),
    ),
    CORRELATION,
)
_EXPIRIES = frozenset({"expired", "force-expired"})


def origins(event: EventBase) -> dict[str, str]:
    """Of every field that has a value; the fields of the small objects one by one."""
    told = _told(event)
    return {name: told.get(name) or origin(type(event), name) for name in flat(event)}


def _told(event: EventBase) -> dict[str, str]:
    """What others have from their line and this one from earlier lines."""
    if isinstance(event, ResolvedEvent):
        is_last_said = event.status is None or event.status in _EXPIRIES
        return _OF_A_DELIVERY | (_OF_A_REMOVAL if is_last_said else {})
    if isinstance(event, DeliveryEvent):
        return _OF_AN_EXPIRY if event.status in _EXPIRIES else _OF_A_DELIVERY
    return {}


def origin(model: type[EventBase], name: str) -> str:
    table = _ALWAYS | (_REJECT if issubclass(model, RejectEvent) else _DELIVERY)
    return table.get(name) or table[name.partition(".")[0]]


def flat(event: EventBase) -> dict[str, Any]:
    """`{"mta.host": "mx1", ...}` without what is null."""
    return dict(_flat(event.model_dump(mode="json"), ""))


def _flat(fields: dict[str, Any], prefix: str) -> Iterator[tuple[str, Any]]:
    for name, value in fields.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{name}.")
        elif value is not None:
            yield prefix + name, value
