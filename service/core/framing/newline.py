"""Framing by trailer: LF or NUL ends a frame (RFC 6587 3.4.2).

A run of whole lines goes in and comes out as blocks; a line that has begun and not yet ended is
held until it does, or until it is over the bound. The bound counts what stands before the trailer,
a CR included.
"""

from typing import Final

from service.core.framing.base import Block, Fault, Frame, Piece
from service.core.outcomes import Drop

SECOND_TRAILER: Final = {b"\n": b"\0", b"\0": b"\n"}
"""Some senders end a line with both; the second of the pair is no empty frame."""


def split_run(data: bytes, pos: int, end: int, bound: int, out: list[Piece]) -> None:
    """`data[pos:end]`, whole LF-framed lines without NUL, as blocks and over-long frames.

    Looks at windows of the size of the bound, not at lines: a window that holds an LF holds no
    line over the bound before it.
    """
    start = pos
    while end - pos > bound + 1:
        after = data.rfind(b"\n", pos, pos + bound + 1) + 1
        if not after:
            _block(data, start, pos, out)
            out.append(Frame(data[pos : pos + bound], truncated=True))
            start = after = data.index(b"\n", pos + bound) + 1
        pos = after
    _block(data, start, end, out)


def _block(data: bytes, start: int, end: int, out: list[Piece]) -> None:
    if start < end:
        lines = data[start:end]
        out.append(Block(lines, count_lines(lines)))


def count_lines(data: bytes) -> int:
    """How many LFs it holds. CPython counts a byte by a look at each, and removes one by `memchr`,
    which takes a twentieth of the time, the copy included."""
    return len(data) - len(data.replace(b"\n", b""))


def gather(lines: list[bytes]) -> list[Block] | list[Frame]:
    """Frames of another framing, each at most the bound and without its trailer, as one block
    where they are several and none holds what a line of a block cannot."""
    if len(lines) > 1:
        data = b"\n".join((*lines, b""))
        # `find` and not `in`, which costs an exception; two bytes are sought much slower than one.
        if (
            count_lines(data) == len(lines)
            and data.find(b"\0") < 0
            and (data.find(b"\r") < 0 or data.find(b"\r\n") < 0)
        ):
            return [Block(data, len(lines))]
    return [Frame(line) for line in lines]


def line_frame(data: bytes, pos: int, end: int, bound: int) -> Frame:
    """The one line `data[pos:end]`, its trailer excluded."""
    if end - pos > bound:
        return Frame(data[pos : pos + bound], truncated=True)
    return Frame(data[pos:end].removesuffix(b"\r"))


class OpenLine:
    """A line whose trailer has not arrived."""

    __slots__ = ("_bound", "_given", "_line", "second_trailer")

    def __init__(self, bound: int) -> None:
        self._bound = bound
        self._line = bytearray()
        self._given = False
        self.second_trailer = b""

    def take(self, data: bytes, pos: int, out: list[Piece]) -> int:
        """Read on from `pos`; the position after the trailer, or -1 when it is not in `data`."""
        stop = data.find(b"\n", pos)
        end = len(data) if stop < 0 else stop
        nul = data.find(b"\0", pos, end)
        if nul >= 0:
            stop = end = nul
        if not self._given:
            self._line += data[pos : min(end, pos + self._bound + 1 - len(self._line))]
            if len(self._line) > self._bound:
                out.append(Frame(bytes(self._line[: self._bound]), truncated=True))
                self._line.clear()
                self._given = True
            elif stop >= 0:
                out.append(self._frame())
        if stop < 0:
            return -1
        self.second_trailer = SECOND_TRAILER[data[stop : stop + 1]]
        return stop + 1

    def _frame(self) -> Frame:
        return Frame(bytes(self._line).removesuffix(b"\r"))

    def end(self) -> Piece | None:
        """A last line without its trailer is whole; nothing is left of one that was cut."""
        return None if self._given else self._frame()

    def abort(self) -> Fault | None:
        return None if self._given else Fault(Drop.CUT_SHORT, len(self._line))

    @property
    def buffered_bytes(self) -> int:
        return len(self._line)
