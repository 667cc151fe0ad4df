"""Which framing bytes have: what a framer would take them for.

In: one line or frame as it came, with whatever stands around the message. Out: the message, and in
words what stood around it. RFC 6587 3.4 (octet counting, LF), RFC 5424 6.2.1 (priority), rsyslog's
`doc/source/relp` (RELP frames), and its compression of single messages.
"""

import re
from dataclasses import dataclass

from service.core.framing.base import Frame
from service.core.framing.compression import is_compressed
from service.core.framing.datagram import read_datagram
from service.core.framing.hints import looks_like
from service.core.framing.octet_counting import COUNTED
from service.core.outcomes import Drop

_RELP = re.compile(rb"[0-9]{1,9} syslog ([0-9]{1,9}) ")
_PRIORITY = re.compile(rb"<([0-9]{1,3})>")
_FACILITIES = (
    *("kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron"),
    *("authpriv", "ftp", "ntp", "audit", "alert", "clock"),
    *(f"local{number}" for number in range(8)),
)
_SEVERITIES = ("emerg", "alert", "crit", "err", "warning", "notice", "info", "debug")
_HINTS = {
    "tls_client_hello": "a TLS handshake: sent to a port without TLS?",
    "zlib_stream": "a zlib stream: compression.mode of the sender is no single message",
    "zstd_stream": "a zstd stream: compression.driver of the sender is not understood",
}


@dataclass(slots=True)
class Wire:
    framing: str
    data: bytes
    """The message alone."""
    truncated: bool = False
    drop: Drop | None = None
    """It ends here."""
    is_unreadable: bool = False
    """There is nothing to go on with."""

    @property
    def priority(self) -> str | None:
        """`<22> mail.info`; None without one."""
        match = _PRIORITY.match(self.data)
        if match is None or (number := int(match[1])) >= 8 * len(_FACILITIES):
            return None
        return f"<{number}> {_FACILITIES[number // 8]}.{_SEVERITIES[number % 8]}"


def frame_end(data: bytes) -> int | None:
    """Where a frame ends that says how long it is; None for others."""
    match = COUNTED.match(data) or _RELP.match(data)
    return match.end() + int(match[1]) if match else None


def unframed(data: bytes, bound: int) -> Wire:
    """`bound`: longer messages are cut there."""
    if hint := looks_like(data):
        return Wire(_HINTS[hint], data, is_unreadable=True)
    if match := _RELP.match(data):
        name = "RELP"
    elif match := COUNTED.match(data):
        name = "octet-counted"
    else:
        return _message(data, "one line or datagram", bound)
    count = int(match[1])
    payload = data[match.end() : match.end() + count]
    if len(payload) < count:
        found = f"{name}: {count} bytes announced, {len(payload)} are here, read all the same"
        cut_short = Drop.CUT_SHORT
        return Wire(found, payload, drop=cut_short, is_unreadable=is_compressed(payload))
    return _message(payload, f"{name}, {count} bytes", bound)


def _message(data: bytes, framing: str, bound: int) -> Wire:
    if is_compressed(data):
        framing += ", compressed (z)"
    piece = read_datagram(data, bound)
    if isinstance(piece, Frame):
        cut = f", cut at {bound} bytes" if piece.truncated else ""
        return Wire(framing + cut, piece.data, piece.truncated)
    return Wire(f"{framing}: {piece.detail}", data, drop=piece.kind, is_unreadable=True)
