"""What leaves the process: subject, message id, headers, body.

In: a validated event. Out: an `Envelope`. Headers follow the CloudEvents 1.0 NATS binding in
binary mode; the body is complete without them. Nothing from a log line reaches a subject or a
header unescaped.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from string import Formatter
from typing import Any, Final
from urllib.parse import quote

import orjson

from schemas.base import SCHEMA_VERSION, EventBase, Message, Model, Mta
from schemas.delivery import Relay
from schemas.subjects import mta_token
from service.core.identity import ID_BYTES
from service.core.line import NAME_MAX
from service.core.postfix.remembered import remember

FIELDS = ("prefix", "type", "mta", "instance", "category", "recipient_domain")
"""What a subject template may hold."""

_LITERAL = re.compile(r"[A-Za-z0-9_.-]*")


@dataclass(slots=True, eq=False, init=False)
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

    # Written out as in `core.postfix.facts`: for the compiled core.
    def __init__(
        self,
        subject: str,
        message_id: str,
        event_type: str,
        body: bytes,
        header_lines: str = "",
        received: float = 0.0,
        on_durable: Callable[[], None] | None = None,
        row: int | None = None,
    ) -> None:
        self.subject = subject
        self.message_id = message_id
        self.event_type = event_type
        self.body = body
        self.header_lines = header_lines
        self.received = received
        self.on_durable = on_durable
        self.row = row


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
        self._shared: dict[tuple[str, str, str | None], _Shared] = {}

    def subject(self, event: EventBase) -> str:
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

    def shared(self, event_type: str, mta: Mta) -> "_Shared":
        """What is the same for the events of one type and source."""
        names = mta.__dict__
        key = (event_type, names["host"], names["service"])
        return self._shared.get(key) or self._learn(*key)

    def _learn(self, event_type: str, host: str, service: str | None) -> "_Shared":
        path = service or ""
        source = f"//{quote(host[:NAME_MAX], safe='')}/{quote(path[:NAME_MAX], safe='/')}"
        shared = _Shared(
            f"{self._prefix}.{event_type}.{mta_token(host)}" if self._plain else None,
            "ce-specversion: 1.0\r\n"
            f"ce-source: {source}\r\n"
            f"ce-type: mailfault.{event_type}.v1\r\n"
            "ce-datacontenttype: application/json\r\n"
            f"ce-dataschema: urn:mailfault:schema:{event_type}:v1\r\n"
            "ce-id: ",
        )
        # What is remembered must be bounded, the names in it too.
        if len(host) <= NAME_MAX >= len(path):
            remember(self._shared, (event_type, host, service), shared)
        return shared


@dataclass(slots=True, init=False)
class _Shared:
    subject: str | None
    """None where the template asks for more than type and source."""
    header_lines: str
    """Up to the event's id."""

    def __init__(self, subject: str | None, header_lines: str) -> None:
        self.subject = subject
        self.header_lines = header_lines


def seal(event: EventBase, template: SubjectTemplate, received: float) -> Envelope:
    """Serialise an event and address it."""
    # Looked up once: each attribute of a model is a search of its own.
    fields = event.__dict__
    event_id, event_type, queue_id = fields["event_id"], fields["event_type"], fields["queue_id"]
    shared = template.shared(event_type, fields["mta"])
    # What the event's `model_dump_json()` gives, in a third of the time: validated fields of the
    # schema's types are written the same way by both, to the byte.
    body = _DUMPS(fields, _written, _OPTIONS)
    # The copy lets go of the room that orjson made for escapes, eight bytes for one of text: events
    # may wait by the thousand.
    body = b"".join((body, b""))
    # The fourth field: formatting the time again costs more.
    start = _TIME_AT + len(event_type)
    end = start + (_WHOLE if body[start + _WHOLE - 1] == _Z else _FRACTIONAL)
    time = body[start:end].decode("ascii")
    # Of a queue id: letters and digits, the schema says.
    about = "" if queue_id is None else f"\r\nce-subject: {queue_id}"
    lines = f"{shared.header_lines}{event_id}\r\nce-time: {time}{about}"
    subject = shared.subject or template.subject(event)
    return Envelope(subject, event_id, event_type, body, lines, received)


def _written(inner: Model) -> Any:
    """For orjson, an object of an event: its JSON, where that is remembered, else its fields."""
    if type(inner) not in _REPEATED:
        return inner.__dict__
    known = _WRITTEN.get(id(inner))
    if known is not None:
        return known.json
    json = _DUMPS(inner.__dict__, _written, _OPTIONS)
    written = _Written(orjson.Fragment(json), inner)
    if len(json) <= _WRITTEN_BYTES:
        remember(_WRITTEN, id(inner), written)
    return written.json


@dataclass(slots=True, init=False)
class _Written:
    json: orjson.Fragment
    of: Model
    """Kept, so that no other object can have its identity."""

    def __init__(self, json: orjson.Fragment, of: Model) -> None:
        self.json = json
        self.of = of


_REPEATED: Final = frozenset({Mta, Relay, Message})
"""What `core.mta`, `core.assemble` and `core.context` make once for many events. Clients too, but
to write one costs less than to learn that it was not written before."""
_WRITTEN: Final[dict[int, _Written]] = {}
_WRITTEN_BYTES: Final = 1024
"""What is remembered must be bounded, the texts in it too."""
# Found once: in the compiled core each attribute of a module is a search.
_DUMPS: Final = orjson.dumps
_OPTIONS: Final = orjson.OPT_UTC_Z

_TIME_AT: Final = len(
    f'{{"schema_version":"{SCHEMA_VERSION}","event_id":"{"0" * 2 * ID_BYTES}","event_type":"'
    '","event_time":"'
)
"""Where the event's time stands in its JSON, if its type had no letters."""
_WHOLE: Final = len("2026-08-22T10:00:00Z")
_FRACTIONAL: Final = len("2026-08-22T10:00:00.120000Z")
_Z: Final = ord("Z")
