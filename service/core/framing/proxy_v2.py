"""The PROXY protocol's binary header, version 2, which a proxy sends in front of a connection.

In: the first bytes of a connection, in any portions. Out: the address the proxy speaks for and the
bytes after the header, or what is wrong with it. haproxy.org/download/3.0/doc/proxy-protocol.txt,
section 2.2. Type-length-value fields after the addresses are skipped. Version 1 is text and no
header here.
"""

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"

MAX_HEADER_BYTES = 4096
"""The largest that is believed. The addresses take at most 232 bytes; what proxies add (TLS facts,
cloud endpoints) stays well below this."""

_FIXED_BYTES = 16
_LOCAL, _PROXY = 0x20, 0x21
_UNSPEC, _TCP4, _TCP6 = 0x00, 0x11, 0x21
_TCP4_BYTES, _TCP6_BYTES = 12, 36


@dataclass(frozen=True, slots=True)
class ProxyHeader:
    source: str | None
    """The sender's address; None where the proxy speaks for itself (LOCAL) or does not say."""
    rest: bytes
    """What had arrived after the header."""


@dataclass(frozen=True, slots=True)
class BadProxyHeader:
    detail: str
    """For the log."""


class ProxyHeaderReader:
    """Holds at most `MAX_HEADER_BYTES` and one portion."""

    def __init__(self) -> None:
        self._data = b""

    @property
    def buffered_bytes(self) -> int:
        return len(self._data)

    def feed(self, data: bytes) -> ProxyHeader | BadProxyHeader | None:
        """None: more is needed. After any other answer the reader is done."""
        self._data += data
        return _read(self._data)


def _read(data: bytes) -> ProxyHeader | BadProxyHeader | None:
    if not data.startswith(SIGNATURE[: len(data)]):
        return BadProxyHeader("no version 2 signature")
    if len(data) < _FIXED_BYTES:
        return None
    command, family = data[12], data[13]
    size = int.from_bytes(data[14:16])
    if command not in (_LOCAL, _PROXY):
        return BadProxyHeader(f"version and command 0x{command:02x}")
    if _FIXED_BYTES + size > MAX_HEADER_BYTES:
        return BadProxyHeader(f"{size} bytes of addresses and fields")
    needed = {_UNSPEC: 0, _TCP4: _TCP4_BYTES, _TCP6: _TCP6_BYTES}.get(family)
    if command == _PROXY and needed is None:
        return BadProxyHeader(f"family 0x{family:02x}")
    if command == _PROXY and needed is not None and size < needed:
        return BadProxyHeader(f"family 0x{family:02x} in {size} bytes")
    if len(data) < _FIXED_BYTES + size:
        return None
    rest = data[_FIXED_BYTES + size :]
    if command == _LOCAL or family == _UNSPEC:
        return ProxyHeader(None, rest)
    if family == _TCP4:
        return ProxyHeader(str(IPv4Address(data[16:20])), rest)
    address = IPv6Address(data[16:32])
    return ProxyHeader(str(address.ipv4_mapped or address), rest)
