"""The framer of a TCP or TLS connection: octet counting and LF or NUL framing, frame by frame.

Bytes go in as the socket gave them, pieces come out (RFC 6587 3.4; RFC 5425 asks for octet
counting, but rsyslog frames by LF over TLS too, and mixes both in one connection: a compressed
message is counted, the plain ones around it are lines; rsyslog `runtime/tcpclt.c`).

A frame is octet-counted when it starts with a number of 1 to 10 digits that does not start with 0,
one space, and then `<` or a compressed payload; else it ends at the next LF or NUL. While what has
arrived can become either, the framer waits.

One frame is one piece, or one line of a block. That holds for each end too:

- a line over the bound, or a counted frame over it: one truncated frame, the rest is skipped;
- a count over `max_count`: a fatal fault, and nothing more is read;
- one LF right after an octet-counted frame, one NUL right after an LF and one LF right after a NUL
  are second trailers and no empty frames. Any other empty line is an empty frame.
"""

from service.core.framing.base import MAX_FRAME_BYTES, Fault, Frame, Piece
from service.core.framing.newline import SECOND_TRAILER, OpenLine, line_frame, split_run
from service.core.framing.octet_counting import (
    COUNTED,
    COUNTED_AFTER_LF,
    MAX_COUNT,
    UNDECIDED,
    CountedFrame,
    counted_run,
)
from service.core.outcomes import Drop


class StreamFramer:
    """Holds at most the bound of one frame; a piece given out is not held any more."""

    __slots__ = ("_bound", "_closed", "_head", "_max_count", "_open", "_second_trailer")

    def __init__(
        self, max_frame_bytes: int = MAX_FRAME_BYTES, *, max_count: int = MAX_COUNT
    ) -> None:
        """`max_count` is at least `max_frame_bytes`: a frame within the bound is never a fault."""
        self._bound = max_frame_bytes
        self._max_count = max(max_count, max_frame_bytes)
        self._head = b""
        """The start of a frame whose framing is undecided: 13 bytes at most."""
        self._open: OpenLine | CountedFrame | None = None
        self._second_trailer = b""
        self._closed = False

    def feed(self, data: bytes) -> list[Piece]:
        out: list[Piece] = []
        if self._closed:
            return out
        if self._head:
            data = self._head + data
            self._head = b""
        pos = 0
        end = len(data)
        # Positions looked up once and again only when passed: all searches of one call together
        # go through the data a fixed number of times, whatever a peer sends.
        nul = counted = -1
        while pos < end:
            if self._open is not None:
                # The state before the bytes: digits inside an open frame start no frame.
                pos = self._open.take(data, pos, out)
                if pos < 0:
                    return out
                self._second_trailer = self._open.second_trailer
                self._open = None
                continue
            if self._second_trailer:
                trailer, self._second_trailer = self._second_trailer, b""
                if data.startswith(trailer, pos):
                    pos += 1
                    continue
            if b"1" <= data[pos : pos + 1] <= b"9":
                after = counted_run(data, pos, self._bound, out)
                if after > pos:
                    self._second_trailer = CountedFrame.second_trailer
                    pos = after
                    continue
                if header := COUNTED.match(data, pos):
                    pos = header.end()
                    count = int(header[1])
                    if count <= self._max_count:
                        self._open = CountedFrame(count, len(header[0]), self._bound)
                    else:
                        out.append(self._bad_count(count, len(header[0])))
                        return out
                    continue
                if UNDECIDED.fullmatch(data, pos):
                    self._head = data[pos:]
                    return out
            if nul < pos:
                found = data.find(b"\0", pos)
                nul = end if found < 0 else found
            if counted < pos:
                match = COUNTED_AFTER_LF.search(data, pos)
                counted = match.start() + 1 if match else end
            # The hot path: every line up to here is framed by LF, one block takes them all.
            after = data.rfind(b"\n", pos, min(nul, counted)) + 1
            if after:
                split_run(data, pos, after, self._bound, out)
                self._second_trailer = SECOND_TRAILER[b"\n"]
                pos = after
            elif nul < end:
                out.append(line_frame(data, pos, nul, self._bound))
                self._second_trailer = SECOND_TRAILER[b"\0"]
                pos = nul + 1
            else:
                self._open = OpenLine(self._bound)
        return out

    def _bad_count(self, count: int, header_bytes: int) -> Fault:
        self._closed = True
        detail = f"octet count {count} is over {self._max_count}"
        return Fault(Drop.BAD_COUNT, header_bytes, fatal=True, detail=detail)

    def end(self) -> list[Piece]:
        """An undecided start was a line after all; a counted frame without its end is lost."""
        last: Piece | None = None
        if self._head:
            last = Frame(self._head)
        elif self._open is not None:
            last = self._open.end()
        return self._close(last)

    def abort(self) -> list[Piece]:
        last: Piece | None = None
        if self._head:
            last = Fault(Drop.CUT_SHORT, len(self._head))
        elif self._open is not None:
            last = self._open.abort()
        return self._close(last)

    def _close(self, last: Piece | None) -> list[Piece]:
        self._head = b""
        self._open = None
        self._closed = True
        return [] if last is None else [last]

    @property
    def is_inside_frame(self) -> bool:
        """Whether a frame has begun whose end has not arrived."""
        return bool(self._head) or self._open is not None

    @property
    def buffered_bytes(self) -> int:
        return len(self._head) + (0 if self._open is None else self._open.buffered_bytes)
