"""What an event must say: each field that is read from the line itself, with nothing left out.

A sample names the fields its line has; every other one must be null, so that a field taken from
hostile text shows. Left out are the fields that do not come from the line's text: ids, times and
origin (checked apart), the classifier's words where a sample does not name them, and what later
lines or other lines tell.
"""

from typing import Any

from schemas import Event

Fields = dict[str, Any]

_COMMON: Fields = {
    "queue_id": None,
    "sender": None,
    "recipient": None,
    "smtp_code": None,
    "enhanced_code": None,
    "severity": None,
    "response": None,
    "truncated": False,
}
_REJECT: Fields = {
    "action": "reject",
    "stage": "RCPT",
    "client": None,
    "helo": None,
    "protocol": None,
    "sasl_method": None,
    "sasl_username": None,
    "sasl_sender": None,
    "dnsbl": None,
    "content": None,
}
_DELIVERY: Fields = {
    "original_recipient": None,
    "relay": None,
    "delay": None,
    "delays": None,
    "remote_reply": None,
    "tls": None,
}


def reject(**fields: Any) -> Fields:
    severity = "temporary" if str(fields.get("enhanced_code")).startswith("4") else "permanent"
    return _complete("reject", {**_COMMON, **_REJECT, "severity": severity, **fields})


def deferred(**fields: Any) -> Fields:
    defaults = {"status": "deferred", "severity": "temporary"}
    return _complete("deferred", {**_COMMON, **_DELIVERY, **defaults, **fields})


def bounced(**fields: Any) -> Fields:
    defaults = {"status": "bounced", "severity": "permanent"}
    return _complete("bounced", {**_COMMON, **_DELIVERY, **defaults, **fields})


def client(name: str | None, ip: str | None, port: int | None = None) -> Fields:
    return {"name": name, "ip": ip, "port": port}


def relay(
    host: str, ip: str | None = None, port: int | None = None, path: str | None = None
) -> Fields:
    return {"host": host, "ip": ip, "port": port, "path": path}


def delays(a: float, b: float, c: float, d: float) -> Fields:
    return {
        "before_queue_manager": a,
        "in_queue_manager": b,
        "connection_setup": c,
        "transmission": d,
    }


def remote_reply(
    host: str, ip: str | None, smtp_code: int | None, enhanced_code: str | None, text: str,
    command: str | None,
) -> Fields:  # fmt: skip
    return {
        "host": host,
        "ip": ip,
        "smtp_code": smtp_code,
        "enhanced_code": enhanced_code,
        "text": text,
        "command": command,
    }


def said(event: Event, wanted: Fields) -> Fields:
    """The event's own values of the fields in `wanted`, to compare with it."""
    values = event.model_dump(mode="json")
    return {name: values[name] for name in wanted}


def _complete(event_type: str, fields: Fields) -> Fields:
    recipient = fields["recipient"]
    _, at, domain = (recipient or "").rpartition("@")
    return {
        "event_type": event_type,
        "recipient_domain": domain.lower() if at and domain else None,
        **fields,
    }
