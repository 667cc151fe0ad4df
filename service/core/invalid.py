"""Dead letters: what stands in for an event that could not be made, or not be published.

In: a line and why it gave no event, or an event's JSON and why JetStream refused it. Out: an event
of type `invalid`, which carries the bytes.
"""

import base64
import json
from hashlib import blake2b
from typing import Final

from pydantic import TypeAdapter

from schemas.base import Message
from schemas.invalid import InvalidEvent
from service.core.identity import ID_BYTES
from service.core.line import NAME_MAX, Line, event_id, raw_of
from service.core.mta import mta_of
from service.core.outcomes import Malformed
from service.core.postfix.facts import Record

_INVALID = TypeAdapter(InvalidEvent)
_NO_MESSAGE: Final = Message()
_DEAD_LETTER_BYTES = 4096
_DEAD_LETTER_FIELDS = ("event_time", "received_at", "time_quality", "mta", "queue_id")


def assemble_invalid(
    line: Line, record: Record | None, reason: Malformed, detail: str | None = None
) -> InvalidEvent:
    message = line.message
    queue_id = None if record is None else record.queue_id
    return _INVALID.validate_python(
        {
            "event_id": event_id(line),
            "event_time": message.time,
            "received_at": line.received_at,
            "time_quality": message.time_quality,
            "mta": mta_of(line, record),
            "queue_id": queue_id,
            "message": _NO_MESSAGE if queue_id is not None else None,
            "raw": raw_of(line),
            "reason": reason.value,
            "detail": detail,
            "truncated": line.truncated or reason is Malformed.CUT_BEFORE_STATUS,
            "raw_base64": base64.b64encode(line.raw).decode("ascii"),
        }
    )


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
