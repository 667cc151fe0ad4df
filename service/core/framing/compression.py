"""rsyslog's single-message compression (`compression.mode="single"`, legacy `@@(z9)`).

A payload goes in that is the letter `z` followed by one zlib stream (RFC 1950); the inflated
frame comes out, or the fault. Sender: rsyslog `tools/omfwd.c`, which compresses each message that
gets smaller by it, so that plain and compressed frames alternate.
"""

import zlib
from typing import Final

from service.core.framing.base import Fault, Frame
from service.core.framing.trailer import without_trailer
from service.core.outcomes import Drop

PLAUSIBLE_START: Final = rb"zx[\x01\x5e\x9c\xda]"
"""`z`, then the zlib header: CMF 0x78 (deflate, 32 KiB window), and the four FLG bytes that make
CMF * 256 + FLG a multiple of 31 without a preset dictionary. Plain text may start with `z`."""

STARTS: Final = (b"zx\x01", b"zx\x5e", b"zx\x9c", b"zx\xda")


def is_compressed(payload: bytes) -> bool:
    return payload.startswith(STARTS)


def inflate(payload: bytes, limit: int, *, whole: bool = True) -> Frame | Fault:
    """Inflate to at most `limit` bytes, so that a small payload cannot become a large one.

    `whole=False`: the payload itself was cut at the bound, a stream without an end is no fault.
    """
    inflater = zlib.decompressobj()
    try:
        data = inflater.decompress(memoryview(payload)[1:], limit + 1)
    except zlib.error as error:
        return Fault(Drop.BAD_COMPRESSION, len(payload), detail=str(error))
    if len(data) > limit:
        return Frame(data[:limit], truncated=True)
    if not whole:
        return Frame(data, truncated=True)
    if not inflater.eof:
        return Fault(Drop.BAD_COMPRESSION, len(payload), detail="incomplete zlib stream")
    if inflater.unused_data.strip(b"\r\n\0"):
        return Fault(Drop.BAD_COMPRESSION, len(payload), detail="bytes after the zlib stream")
    return Frame(without_trailer(data))
