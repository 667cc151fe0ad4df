"""One packet, one frame (RFC 5426 3.1).

The same rules hold for the payload of an octet-counted frame, which has its own end too.
"""

from service.core.framing.base import MAX_FRAME_BYTES, Fault, Frame
from service.core.framing.compression import inflate, is_compressed
from service.core.framing.trailer import without_trailer


def read_datagram(data: bytes, max_frame_bytes: int = MAX_FRAME_BYTES) -> Frame | Fault:
    """Inflate, take off the trailer, cut at the bound. An empty packet is an empty frame."""
    if is_compressed(data):
        return inflate(data, max_frame_bytes)
    line = without_trailer(data)
    if len(line) > max_frame_bytes:
        return Frame(line[:max_frame_bytes], truncated=True)
    return Frame(line)
