"""The id of an event: a function of the line and its host, so that every resend, drain and replay
of a line has the same one, whatever connection, receiver or restart.

In: a syslog message, its raw line, who wrote it. Out: 32 hex digits. The header's form does not
matter: the same record sent as RFC 3164 with an RFC 3339 stamp and as RFC 5424 has the same id.
"""

from collections.abc import Callable
from hashlib import blake2b
from typing import Final

from service.core.syslog.message import SyslogMessage

ID_BYTES: Final = 16
_HASH: Final = blake2b(digest_size=ID_BYTES)


def origin_key(host: str, tag: str, pid: int | None) -> str:
    """The part of the id that the lines of one process share."""
    return f"\x1f{host.lower()}\x1f{tag}\x1f{pid}\x1f"


def id_of(
    message: SyslogMessage,
    raw: bytes,
    key: str,
    repeat: int,
    before: Callable[[str], int] | None,
) -> str:
    """`key`: its `origin_key`. `repeat` tells apart the events of one line, `before` equal lines
    that their stamps do not tell apart (`core.occurrences`)."""
    text = message.text
    hashed = f"{message.stamp}{key}{text}".encode("utf-8", "replace")
    if "\ufffd" in text:  # decoding may have made different lines equal
        hashed += raw
    if repeat == 0:
        first = _HASH.copy()  # half of what setting it up costs
        first.update(hashed)
        plain = first.hexdigest()
    else:
        plain = _salted(hashed, repeat, 0)
    if before is None or not (seen := before(plain)):
        return plain
    return _salted(hashed, repeat, seen)


def derived_id(line_id: str, word: str, recipient: str) -> str:
    """Of one more event of the line with that id: what it means for one recipient."""
    hashed = f"{line_id}\x1f{word}\x1f{recipient}".encode("utf-8", "replace")
    return blake2b(hashed, digest_size=ID_BYTES).hexdigest()


def _salted(hashed: bytes, repeat: int, seen: int) -> str:
    # As salt, not as part of the key: there it could be imitated by the text.
    salt = seen.to_bytes(ID_BYTES // 2) + repeat.to_bytes(ID_BYTES // 2)
    return blake2b(hashed, digest_size=ID_BYTES, salt=salt).hexdigest()
