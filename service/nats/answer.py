"""What JetStream answers to a publish: stored, refused for good, or to be tried again.

In: the payload of an acknowledgement. Error codes: nats-server `server/errors.json`.
"""

import json
from dataclasses import dataclass
from enum import StrEnum

_PATIENCE = 5
"""Sendings before an unknown client error (code 400) counts as one that stays."""
_TOO_LARGE = 10054
_HOPELESS = frozenset({10060, 10166})
"""Another stream was expected; the stream takes no TTL."""
_STREAM_TROUBLE = frozenset({10002, 10076, 10077, 10109, 10120, 10169, 10170})
"""Code 400 or 503, but it says something of the stream (sealed, full, offline ...), and would hit
the dead letter as well: somebody has to mend the stream, and until then events wait."""


class Refusal(StrEnum):
    """Why JetStream will never take a message."""

    TOO_LARGE = "too_large"
    WRONG_STREAM = "wrong_stream"
    BAD_SUBJECT = "bad_subject"
    REFUSED = "refused"


@dataclass(slots=True)
class Published:
    """Durable. `duplicate`: JetStream had it already, from an earlier sending."""

    duplicate: bool
    seconds: float
    """From the first sending to this answer."""


@dataclass(slots=True)
class Rejected:
    """Never to be stored as it is: publish a dead letter."""

    reason: Refusal
    description: str


Result = Published | Rejected


def good_start(stream: str) -> bytes:
    """How a positive acknowledgement begins: checked instead of parsed, for each event."""
    return b'{"stream":' + json.dumps(stream).encode() + b","


def read_words(data: bytes) -> str:
    """What an answer that is no positive acknowledgement says of the stream, for the log."""
    try:
        error = json.loads(data)["error"]
        return f"{error['description']} ({error['code']}/{error['err_code']})"
    except (ValueError, LookupError, TypeError):
        return "an answer that cannot be read"


def read_refusal(data: bytes, sendings: int) -> Rejected | None:
    """Of an answer that is no positive acknowledgement. None: worth another try."""
    try:
        answer = json.loads(data)
    except ValueError:
        return None
    if not isinstance(answer, dict):
        return None
    error = answer.get("error")
    if not isinstance(error, dict):
        stream = answer.get("stream")
        if isinstance(stream, str):  # stored, but where our subscribers do not look
            return Rejected(Refusal.WRONG_STREAM, f"stored in stream {stream}")
        return None
    code, err_code = error.get("code"), error.get("err_code")
    description = f"{error.get('description')} ({code}/{err_code})"
    if err_code == _TOO_LARGE:
        return Rejected(Refusal.TOO_LARGE, description)
    if err_code in _STREAM_TROUBLE or code != 400:
        return None
    if err_code in _HOPELESS or sendings >= _PATIENCE:
        return Rejected(Refusal.REFUSED, description)
    return None
