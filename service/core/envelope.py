"""What leaves the process: subject, message id, headers, body.

In: a validated event. Out: an `Envelope`. Headers follow the CloudEvents 1.0 NATS binding in
binary mode; the body is complete without them. Nothing from a log line reaches a subject or a
header unescaped.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from string import Formatter
from typing import Any, NamedTuple
from urllib.parse import quote

import orjson
from pydantic import BaseModel

from schemas.subjects import mta_token
from service.core.assemble import NAME_MAX, Event

FIELDS = ("prefix", "type", "mta", "instance", "category", "recipient_domain")
"""What a subject template may hold."""

_REMEMBERED = 4096
_EVENT_TIME = b'"event_time":"'
_LITERAL = re.compile(r"[A-Za-z0-9_.-]*")


@dataclass(slots=True, eq=False)
class Envelope:
    """One event, ready to publish. Compared by identity: a resend is the same object."""

    subject: str
    message_id: str
    """Goes out as `Nats-Msg-Id`, so JetStream stores a resend only once."""
    event_type: str
    body: bytes
    header_lines: str = ""
    """All headers but `Nats-Msg-Id`: `name: value` lines joined by CR LF, ASCII. One string and
    not a dict: thousands of envelopes may wait, and encoding headers one by one is dear."""
    received: float = 0.0
    """Unix time, seconds, when the line was read: for the lag histogram."""
    on_durable: Callable[[], None] | None = None
    """Called once, when the event is acknowledged by JetStream or committed to the spool, or a
    dead letter in its place is."""
    row: int | None = None
    """Its place in the spool; None while it is in memory only."""


class SubjectTemplate:
    """`{prefix}.{type}.{mta}`, each field filled in as one escaped token.

    Raises `ValueError` for a template that could not give a legal subject.
    """

    def __init__(self, template: str, prefix: str) -> None:
        names = []
        for literal, name, spec, conversion in Formatter().parse(template):
            if not _LITERAL.fullmatch(literal):
                raise ValueError(
                    f"{literal!r}: only letters, digits, '.', '_' and '-' may stand "
                    "between the fields of a subject template"
                )
            if name is None:
                continue
            if spec or conversion:
                raise ValueError(f"{{{name}}} must stand alone, without ':' or '!'")
            if name not in FIELDS:
                raise ValueError(
                    f"unknown field {{{name}}}; known are "
                    + ", ".join(f"{{{known}}}" for known in FIELDS)
                )
            names.append(name)
        if "type" not in names:
            raise ValueError("a subject template needs {type}")
        shape = template.format(**dict.fromkeys(FIELDS, "x"))
        if "" in shape.split("."):
            raise ValueError("a subject template must not have empty tokens")
        self._template = template
        self._prefix = prefix
        self._plain = template == "{prefix}.{type}.{mta}"
        self._names = frozenset(names)
        self._shared = lru_cache(maxsize=_REMEMBERED)(self._share)

    def subject(self, event: Event) -> str:
        mta = mta_token(event.mta.host)
        if self._plain:
            return f"{self._prefix}.{event.event_type}.{mta}"
        values = {"prefix": self._prefix, "type": event.event_type, "mta": mta}
        if "instance" in self._names:
            values["instance"] = mta_token(event.mta.instance or "")
        if "category" in self._names:
            values["category"] = event.category or "unknown"
        if "recipient_domain" in self._names:
            values["recipient_domain"] = mta_token(event.recipient_domain or "")
        return self._template.format(**values)

    def shared(self, event: Event) -> "_Shared":
        """What is the same for the events of one type and source."""
        host, service = event.mta.host, event.mta.service or ""
        # What is remembered must be bounded, the names in it too.
        share = self._shared if len(host) <= NAME_MAX >= len(service) else self._share
        return share(event.event_type, host, service)

    def _share(self, event_type: str, host: str, service: str) -> "_Shared":
        source = f"//{quote(host[:NAME_MAX], safe='')}/{quote(service[:NAME_MAX], safe='/')}"
        return _Shared(
            f"{self._prefix}.{event_type}.{mta_token(host)}" if self._plain else None,
            "ce-specversion: 1.0\r\n"
            f"ce-source: {source}\r\n"
            f"ce-type: mailfault.{event_type}.v1\r\n"
            "ce-datacontenttype: application/json\r\n"
            f"ce-dataschema: urn:mailfault:schema:{event_type}:v1",
        )


class _Shared(NamedTuple):
    subject: str | None
    """None where the template asks for more than type and source."""
    header_lines: str


def seal(event: Event, template: SubjectTemplate, received: float) -> Envelope:
    """Serialise an event and address it."""
    event_id = event.event_id
    body = to_json(event)
    subject, lines = template.shared(event)
    if event.queue_id is None:
        lines = f"{lines}\r\nce-id: {event_id}\r\nce-time: {_event_time(body)}"
    else:  # letters and digits, the schema says
        lines = (
            f"{lines}\r\nce-id: {event_id}\r\nce-time: {_event_time(body)}"
            f"\r\nce-subject: {event.queue_id}"
        )
    return Envelope(
        subject or template.subject(event), event_id, event.event_type, body, lines, received
    )


def to_json(event: BaseModel) -> bytes:
    """What `event.model_dump_json()` gives, in half the time: validated fields of the schema's
    types are written the same way by both, to the byte."""
    # The copy lets go of the room that orjson made for escapes, eight bytes for one of text: events
    # may wait by the thousand.
    return bytes(memoryview(orjson.dumps(event.__dict__, _fields, orjson.OPT_UTC_Z)))


def _fields(model: Any) -> dict[str, Any]:
    """Of the small objects inside an event, which orjson asks for."""
    fields: dict[str, Any] = model.__dict__
    return fields


def _event_time(body: bytes) -> str:
    """As it stands in the body, whose fourth field it is: formatting it again costs more."""
    start = body.index(_EVENT_TIME) + len(_EVENT_TIME)
    return body[start : body.index(b'"', start)].decode("ascii")
