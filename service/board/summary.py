"""One event as the live list has it: a typed event in, a small bounded record out."""

from dataclasses import dataclass
from typing import Any

import schemas

FAILURES = ("reject", "deferred", "bounced")
KINDS = (*FAILURES, "resolved", "invalid")
"""In the order of every row of counts here."""

_NAME_MAX = 255
"""RFC 5321 section 4.5.3.1: a domain; RFC 5424: a HOSTNAME."""
_ADDRESS_MAX = 320
_TEXT_MAX = 240
"""So much of a response is shown in the list. The whole event is read from the stream."""


@dataclass(frozen=True, slots=True)
class Summary:
    """`seq`: its place in the stream. `at`, `first`: seconds since 1970."""

    seq: int
    kind: str
    at: float
    mta: str
    instance: str
    queue_id: str | None
    sender: str | None
    recipient: str | None
    domain: str | None
    code: str | None
    category: str | None
    provider: str | None
    response: str | None
    message_id: str | None
    origin: str | None
    """The queue id the message had before."""
    notice: str | None
    """The queue id of the notice that told the sender."""
    first: float | None
    """When this recipient was first deferred."""

    @property
    def message(self) -> tuple[str, str, str] | None:
        """What tells a message on its host; its queue id is used by others elsewhere."""
        return None if self.queue_id is None else (self.mta, self.instance, self.queue_id)

    def row(self) -> dict[str, Any]:
        """As the page gets it."""
        return {
            "seq": self.seq,
            "kind": self.kind,
            "at": self.at,
            "mta": self.mta,
            "queue_id": self.queue_id,
            "recipient": self.recipient,
            "code": self.code,
            "category": self.category,
            "provider": self.provider,
            "response": self.response,
        }


def summarise(seq: int, event: schemas.Event) -> Summary:
    message = event.message
    first = getattr(event, "first_deferred_at", None)
    notice = getattr(event, "notice", None)
    response = event.response
    if isinstance(event, schemas.InvalidEvent):
        response = f"{event.reason}: {event.detail or ''}"
    elif isinstance(event, schemas.ResolvedEvent):
        response = f"{event.outcome}: {response or ''}"
    code = event.enhanced_code or (str(event.smtp_code) if event.smtp_code else None)
    return Summary(
        seq=seq,
        kind=event.event_type,
        at=event.event_time.timestamp(),
        mta=event.mta.host.lower()[:_NAME_MAX],
        instance=(event.mta.instance or "")[:_NAME_MAX],
        queue_id=event.queue_id,
        sender=_cut(event.sender, _ADDRESS_MAX),
        recipient=_cut(event.recipient, _ADDRESS_MAX),
        domain=_cut(event.recipient_domain, _NAME_MAX),
        code=code,
        category=event.category,
        provider=_cut(event.provider, _NAME_MAX),
        response=_cut(response, _TEXT_MAX),
        message_id=_cut(message.message_id, _ADDRESS_MAX) if message else None,
        origin=_cut(message.origin_queue_id, _NAME_MAX) if message else None,
        notice=notice.queue_id if notice else None,
        first=first.timestamp() if first else None,
    )


def _cut(text: str | None, length: int) -> str | None:
    return text if text is None or len(text) <= length else text[: length - 1] + "…"
