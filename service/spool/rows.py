"""An envelope as a row and back, with a checksum.

SQLite does not notice a flipped bit within a value, so each row carries a CRC-32 of all that is
published of it. `on_durable` is no part of a row: whoever appends calls it.
"""

import struct
import zlib
from collections.abc import Callable
from typing import Any

from service.core.envelope import Envelope

# The small columns come first: what only counts need not read the page chain of a long body.
COLUMNS = "size, checksum, received, event_type, message_id, subject, header_lines, body"

Row = tuple[int, int, float, str, str, str, str, bytes]

_pack: Callable[[float], bytes] = struct.Struct("<d").pack


def to_row(envelope: Envelope) -> Row:
    """Raises `UnicodeEncodeError` where a subject or header is not ASCII, which cannot be sent."""
    event_type = envelope.event_type.encode("ascii")
    message_id = envelope.message_id.encode("ascii")
    subject = envelope.subject.encode("ascii")
    headers = envelope.header_lines.encode("ascii")
    received = float(envelope.received)
    body = envelope.body
    return (
        len(message_id) + len(subject) + len(headers) + len(body),
        _checksum(received, event_type, message_id, subject, headers, body),
        received,
        envelope.event_type,
        envelope.message_id,
        envelope.subject,
        envelope.header_lines,
        body,
    )


def from_row(row: tuple[Any, ...]) -> Envelope | None:
    """`row`: the `COLUMNS`, text as bytes. `None` where it is not what was written."""
    size, checksum, received, event_type, message_id, subject, headers, body = row
    try:
        if (
            checksum != _checksum(received, event_type, message_id, subject, headers, body)
            or size != len(message_id) + len(subject) + len(headers) + len(body)
        ):  # fmt: skip
            return None
    except (TypeError, struct.error):  # damage may change the type of a value too
        return None
    return Envelope(
        subject.decode("ascii"),
        message_id.decode("ascii"),
        event_type.decode("ascii"),
        body,
        headers.decode("ascii"),
        received,
    )


def _checksum(
    received: float, event_type: bytes, message_id: bytes, subject: bytes, headers: bytes,
    body: bytes,
) -> int:  # fmt: skip
    head = b"\0".join((_pack(received), event_type, message_id, subject, headers))
    return zlib.crc32(body, zlib.crc32(head))
