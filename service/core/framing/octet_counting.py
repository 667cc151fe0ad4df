"""Octet-counted framing: `MSG-LEN SP SYSLOG-MSG` (RFC 6587 3.4.1, RFC 5425 4.3).

How such a frame starts, and the frame that has started and not yet ended: its bytes go in as they
arrive, its one piece comes out. Where a frame starts is for `sniffing` to say.
"""

import re
from typing import Final

from service.core.framing.base import Fault, Frame, Piece
from service.core.framing.compression import PLAUSIBLE_START, inflate, is_compressed
from service.core.framing.datagram import read_datagram
from service.core.framing.newline import gather
from service.core.framing.trailer import without_trailer
from service.core.outcomes import Drop

MAX_COUNT: Final = 1_048_576
"""Default of the largest count that is believed: 1 MiB, five times rsyslog's `maxFrameSize`
(imtcp: 200000). A larger one is no length but a sign that the place in the stream is lost."""

_COUNT: Final = rb"[1-9][0-9]{0,9} "
_COUNT_DIGITS: Final = 10
_ZERO: Final = 0x30
_NINE: Final = 0x39
_SPACE: Final = 0x20
_LESS: Final = 0x3C
_CR: Final = 0x0D
_LF: Final = 0x0A
_PAYLOAD_START: Final = rb"(?:<|" + PLAUSIBLE_START + rb")"

COUNTED: Final = re.compile(rb"(" + _COUNT + rb")(?=" + _PAYLOAD_START + rb")")
"""Matched where a frame starts. A line such as `12 foo` or `2026-08-22T10:00:00 mx1` does not."""

COUNTED_AFTER_LF: Final = re.compile(rb"\n" + _COUNT + _PAYLOAD_START)
"""Searched in a run of LF-framed lines; the literal LF in front keeps it at ~70 ns a line."""

UNDECIDED: Final = re.compile(rb"[1-9][0-9]{0,9}(?: (?:zx?)?)?")
"""Matched against all that has arrived of a frame: it may still become a counted one."""


def counted_run(data: bytes, pos: int, bound: int, out: list[Piece]) -> int:
    """The whole frames from `pos` on that are neither compressed nor over the bound, several of
    them as one block; the position after the last, its second trailer not passed, or `pos`."""
    lines: list[bytes] = []
    end = len(data)
    after = pos
    # `COUNTED` says the same of a plain payload, at the cost of the whole loop.
    while pos < end and data[pos] != _ZERO:
        start = pos
        last = min(end, pos + _COUNT_DIGITS)
        count = 0
        while start < last and _ZERO <= (digit := data[start]) <= _NINE:
            count = count * 10 + digit - _ZERO
            start += 1
        start += 1
        stop = start + count
        if (
            not count
            or count > bound
            or stop > end
            or data[start - 1] != _SPACE
            or data[start] != _LESS
        ):
            break
        line = data[start:stop]
        lines.append(line if data[stop - 1] > _CR else without_trailer(line))
        after = pos = stop
        if stop < end and data[stop] == _LF:
            pos += 1
    out += gather(lines)
    return after


class CountedFrame:
    """An octet-counted frame whose end has not arrived."""

    __slots__ = ("_bound", "_count", "_given", "_header_bytes", "_left", "_payload")

    second_trailer: Final = b"\n"
    """One LF right after the frame is a trailer the count left out, no empty line."""

    def __init__(self, count: int, header_bytes: int, bound: int) -> None:
        self._count = count
        self._header_bytes = header_bytes
        self._bound = bound
        self._payload = bytearray()
        self._left = count
        self._given = False

    def take(self, data: bytes, pos: int, out: list[Piece]) -> int:
        """Read on from `pos`; the position after the frame, or -1 when it goes on after `data`."""
        stop = min(pos + self._left, len(data))
        if not self._given:
            keep = min(self._count, self._bound)
            self._payload += data[pos : min(stop, pos + keep - len(self._payload))]
            if len(self._payload) == keep:
                out.append(self._piece(bytes(self._payload)))
                self._payload.clear()
                self._given = True
        self._left -= stop - pos
        return -1 if self._left else stop

    def _piece(self, payload: bytes) -> Piece:
        if self._count <= self._bound:
            return read_datagram(payload, self._bound)
        if is_compressed(payload):
            return inflate(payload, self._bound, whole=False)
        return Frame(payload, truncated=True)

    def end(self) -> Piece | None:
        return self.abort()

    def abort(self) -> Fault | None:
        """Lost, unless it was given out already, cut at the bound."""
        if self._given:
            return None
        return Fault(Drop.CUT_SHORT, self._header_bytes + len(self._payload))

    @property
    def buffered_bytes(self) -> int:
        return len(self._payload)
