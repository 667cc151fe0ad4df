"""One packet, one frame (RFC 5426 3.1).

The same rules hold for the payload of an octet-counted frame, which has its own end too.
"""

from typing import Final

from service.core.framing.base import MAX_FRAME_BYTES, Block, Fault, Frame, Piece
from service.core.framing.compression import inflate, is_compressed
from service.core.framing.trailer import without_trailer

_COMPRESSED: Final = b"z"[0]
"""The first byte of a compressed payload, and hardly of another."""
_CR: Final = b"\r"[0]
"""No byte of a trailer is above it."""


def read_datagram(data: bytes, max_frame_bytes: int = MAX_FRAME_BYTES) -> Frame | Fault:
    """Inflate, take off the trailer, cut at the bound. An empty packet is an empty frame."""
    if is_compressed(data):
        return inflate(data, max_frame_bytes)
    line = without_trailer(data)
    if len(line) > max_frame_bytes:
        return Frame(line[:max_frame_bytes], truncated=True)
    return Frame(line)


def read_datagrams(datagrams: list[bytes], max_frame_bytes: int = MAX_FRAME_BYTES) -> list[Piece]:
    """What `read_datagram` makes of each. Where all are plain, as they nearly always are, that is
    one block, which the pipeline searches at once."""
    if len(datagrams) > 1:
        lines = datagrams
        if datagrams[0][-1:] <= b"\r":  # whose first has a trailer, they all have one
            lines = [without_trailer(data) for data in datagrams]
        if _are_plain(lines, max_frame_bytes):
            return [Block(b"\n".join((*lines, b"")), len(lines))]
    return [read_datagram(data, max_frame_bytes) for data in datagrams]


def _are_plain(datagrams: list[bytes], max_frame_bytes: int) -> bool:
    """Whether each is a frame as it is, and may be a line of a block."""
    for data in datagrams:
        if not data or data[0] == _COMPRESSED or data[-1] <= _CR or len(data) > max_frame_bytes:
            return False
    together = b"".join(datagrams)
    return together.find(b"\n") < 0 and together.find(b"\0") < 0
