"""What the first bytes of a connection say when its frames come out as garbage.

The bytes are framed as any others; the hint is for the log, so that an operator sees at once that
TLS was sent to a plain port.
"""

from typing import Literal

Hint = Literal["tls_client_hello", "zlib_stream", "zstd_stream"]

_SIGNS: tuple[tuple[bytes, Hint], ...] = (
    (b"\x16\x03", "tls_client_hello"),  # RFC 8446 5.1: handshake record, version 3.x
    (b"\x78\x01", "zlib_stream"),  # RFC 1950: rsyslog's compression.mode="stream:always"
    (b"\x78\x9c", "zlib_stream"),
    (b"\x78\xda", "zlib_stream"),
    (b"\x28\xb5\x2f\xfd", "zstd_stream"),  # RFC 8878 3.1.1: newer rsyslog, compression.driver
)


def looks_like(first: bytes) -> Hint | None:
    """None: nothing known, which is what a syslog stream should be."""
    for sign, hint in _SIGNS:
        if first.startswith(sign):
            return hint
    return None
