"""RELP frames: `TXNR SP COMMAND SP DATALEN [SP DATA] LF` (librelp `doc/relp.md`, `relpframe.c`).

Bytes of one connection go in as the socket gave them. Out come syslog frames, which are the payload
of the command `syslog`; the other commands, which are for the session; and at most one fault, which
is fatal: after a broken frame nothing of the stream can be trusted.

Transaction numbers count from 1, so each frame that comes out has the next one and carries none.
A frame out of sequence is a fault, as rsyslog's own receiver drops it. Number 0 is a hint, never a
syslog frame, and is not counted.

Frames that arrive together come out as one block where they can; each line of it has a number.
A frame comes out once its trailer is there: until then it is not known to be whole, and its
acknowledgement would be a promise.
"""

import re
from dataclasses import dataclass
from typing import Final

from service.core.framing.base import MAX_FRAME_BYTES, Block, Fault, Frame
from service.core.framing.newline import gather
from service.core.framing.trailer import without_trailer
from service.core.outcomes import Drop

MAX_TXNR: Final = 999_999_999
"""The number after it is 1 (doc/relp.md; librelp 1.11 itself breaks off there and reconnects)."""

MAX_DATA: Final = 1_048_576
"""A longer frame is not even skipped: 1 MiB, eight times librelp's own bound of 128 KiB."""

MAX_COMMAND_DATA: Final = 4096
"""Bound of the data of other commands; the longest is `open`, with librelp 86 bytes."""

_LENGTH_DIGITS: Final = 9
_ZERO: Final = 0x30
_NINE: Final = 0x39
_SPACE: Final = 0x20
_CR: Final = 0x0D
_LF: Final = 0x0A
_TXNR: Final = rb"([0-9]{1,9})"
_DATALEN: Final = _TXNR
_HEADER: Final = re.compile(_TXNR + rb" ([A-Za-z]{1,32}) " + _DATALEN + rb"([ \n])")
_HEADER_SO_FAR: Final = re.compile(
    rb"(?:[0-9]{1,9}(?: (?:[A-Za-z]{1,32}(?: (?:[0-9]{1,9})?)?)?)?)?"
)
"""All that can still become a header; at most 52 bytes."""


@dataclass(slots=True)
class Command:
    """Any command but `syslog`."""

    name: bytes
    data: bytes = b""
    is_hint: bool = False
    """Transaction number 0: takes no number, gets no answer."""


Item = Frame | Block | Command | Fault


class RelpFramer:
    """Holds at most the bound of one frame."""

    __slots__ = ("_bound", "_closed", "_head", "_open", "_txnr")

    def __init__(self, max_frame_bytes: int = MAX_FRAME_BYTES) -> None:
        """Longer syslog frames are cut at the bound, up to `MAX_DATA`."""
        self._bound = max_frame_bytes
        self._txnr = 1
        """Of the next frame."""
        self._head = b""
        self._open: _OpenFrame | None = None
        self._closed = False

    def feed(self, data: bytes) -> list[Item]:
        out: list[Item] = []
        if self._closed:
            return out
        if self._head:
            data = self._head + data
            self._head = b""
        pos = 0 if self._open is None else self._go_on(self._open, data, 0, out)
        end = len(data)
        while pos < end:
            pos = self._run(data, pos, out)
            if pos < end:
                pos = self._begin(data, pos, out)
        return out

    def _run(self, data: bytes, pos: int, out: list[Item]) -> int:
        """The whole syslog frames from `pos` on that are written as librelp writes them, several of
        them as one block; the position after the last. Everything else goes the long way."""
        end, bound, txnr = len(data), self._bound, self._txnr
        lines: list[bytes] = []
        while pos < end:
            head = b"%d syslog " % txnr
            start = pos + len(head)
            if data[pos:start] != head:
                break
            last = min(end, start + _LENGTH_DIGITS)
            length = 0
            while start < last and _ZERO <= (digit := data[start]) <= _NINE:
                length = length * 10 + digit - _ZERO
                start += 1
            start += 1
            stop = start + length
            # Of no digits at all it is the space of the head that stands before.
            if (
                length > bound
                or stop >= end
                or data[stop] != _LF
                or data[start - 1] != _SPACE
                or data[start - 2] == _SPACE
            ):
                break
            line = data[start:stop]
            lines.append(line if data[stop - 1] > _CR else without_trailer(line))
            pos = stop + 1
            txnr = txnr + 1 if txnr < MAX_TXNR else 1
        self._txnr = txnr
        out += gather(lines)
        return pos

    def _begin(self, data: bytes, pos: int, out: list[Item]) -> int:
        """One frame of any kind, or the start of one; the position after it."""
        header = _HEADER.match(data, pos)
        if header is None:
            so_far = _HEADER_SO_FAR.match(data, pos)
            stop = so_far.end() if so_far else pos
            if stop < len(data):
                return self._fault(Drop.BAD_FRAME, data[pos : stop + 1], out)
            self._head = data[pos:]
            return stop
        number, length = int(header[1]), int(header[3])
        name = header[2]
        is_syslog = name == b"syslog"
        is_hint = number == 0 and not is_syslog
        if number != self._txnr and not is_hint:
            return self._fault(Drop.OUT_OF_SEQUENCE, header[0], out)
        if length > (MAX_DATA if is_syslog else MAX_COMMAND_DATA):
            return self._fault(Drop.TOO_LONG, header[0], out)
        if length and header[4] == b"\n":
            return self._fault(Drop.BAD_FRAME, header[0], out)
        frame = _OpenFrame(
            None if is_syslog else Command(name, is_hint=is_hint),
            length,
            len(header[0]),
            self._bound if is_syslog else MAX_COMMAND_DATA,
        )
        # Without data, the LF may follow the length at once, and should.
        return self._go_on(frame, data, header.end() - (header[4] == b"\n"), out)

    def _go_on(self, frame: "_OpenFrame", data: bytes, pos: int, out: list[Item]) -> int:
        """Its data, then its trailer."""
        pos = frame.take(data, pos)
        if pos == len(data):
            self._open = frame
            return pos
        self._open = None
        if data[pos] != _LF:
            return self._fault(Drop.BAD_FRAME, data[pos : pos + 1], out, frame.arrived_bytes)
        whole = frame.whole()
        out.append(whole)
        if isinstance(whole, Frame) or not whole.is_hint:
            self._txnr = self._txnr + 1 if self._txnr < MAX_TXNR else 1
        return pos + 1

    def _fault(self, kind: Drop, found: bytes, out: list[Item], before: int = 0) -> int:
        self._closed = True
        detail = f"{found!r} where frame {self._txnr} is due"
        out.append(Fault(kind, before + len(found), fatal=True, detail=detail))
        return 1 << 62  # past the end of any data

    def end(self) -> list[Fault]:
        """The connection is over, in whatever way: a frame without its end is lost."""
        lost = len(self._head)
        if self._open is not None and not self._open.is_command:
            lost = self._open.arrived_bytes
        self._head = b""
        self._open = None
        self._closed = True
        return [Fault(Drop.CUT_SHORT, lost)] if lost else []

    @property
    def is_inside_frame(self) -> bool:
        return bool(self._head) or self._open is not None

    @property
    def buffered_bytes(self) -> int:
        return len(self._head) + (0 if self._open is None else self._open.buffered_bytes)


class _OpenFrame:
    """A frame whose header is read and whose trailer has not arrived."""

    __slots__ = ("_command", "_data", "_header_bytes", "_keep", "_left", "_length")

    def __init__(self, command: Command | None, length: int, header_bytes: int, bound: int) -> None:
        """`command`: None for a syslog frame."""
        self._command = command
        self._length = self._left = length
        self._header_bytes = header_bytes
        self._keep = min(length, bound)
        self._data = bytearray()

    def take(self, data: bytes, pos: int) -> int:
        """Read on from `pos`; the position where the trailer should stand."""
        stop = min(pos + self._left, len(data))
        self._data += data[pos : min(stop, pos + self._keep - len(self._data))]
        self._left -= stop - pos
        return stop

    def whole(self) -> Frame | Command:
        data = bytes(self._data)
        if self._command is not None:
            self._command.data = data
            return self._command
        if self._keep < self._length:
            return Frame(data, truncated=True)
        return Frame(without_trailer(data))

    @property
    def is_command(self) -> bool:
        return self._command is not None

    @property
    def arrived_bytes(self) -> int:
        return self._header_bytes + self._length - self._left

    @property
    def buffered_bytes(self) -> int:
        return len(self._data)
