"""The PROXY protocol header, version 2: whole, cut anywhere, wrong, and random."""

from ipaddress import IPv4Address, IPv6Address, ip_address
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.core.framing.proxy_v2 import (
    MAX_HEADER_BYTES,
    SIGNATURE,
    BadProxyHeader,
    ProxyHeader,
    ProxyHeaderReader,
)


def header(command: int, family: int, payload: bytes) -> bytes:
    return SIGNATURE + bytes((command, family)) + len(payload).to_bytes(2) + payload


def tcp4(source: str, fields: bytes = b"") -> bytes:
    ends = IPv4Address(source).packed + IPv4Address("192.0.2.9").packed
    return header(0x21, 0x11, ends + b"\x30\x39\x02\x02" + fields)


def tcp6(source: str, fields: bytes = b"") -> bytes:
    ends = IPv6Address(source).packed + IPv6Address("2001:db8::9").packed
    return header(0x21, 0x21, ends + b"\x30\x39\x02\x02" + fields)


def read(*portions: bytes) -> ProxyHeader | BadProxyHeader | None:
    reader = ProxyHeaderReader()
    answer = None
    for portion in portions:
        if isinstance(answer, ProxyHeader):
            answer = ProxyHeader(answer.source, answer.rest + portion)
        elif answer is None:
            answer = reader.feed(portion)
        assert reader.buffered_bytes <= MAX_HEADER_BYTES + len(portion)
    return answer


FIELDS = b"\x03\x00\x04abcd" + b"\x04\x00\x00"

GOOD = [
    pytest.param(tcp4("203.0.113.7"), "203.0.113.7", id="tcp4"),
    pytest.param(tcp4("203.0.113.7", FIELDS), "203.0.113.7", id="tcp4-fields"),
    pytest.param(tcp6("2001:db8::7"), "2001:db8::7", id="tcp6"),
    pytest.param(tcp6("2001:db8::7", FIELDS), "2001:db8::7", id="tcp6-fields"),
    pytest.param(tcp6("::ffff:203.0.113.7"), "203.0.113.7", id="mapped"),
    pytest.param(header(0x20, 0x00, b""), None, id="local"),
    pytest.param(header(0x20, 0x11, b"x" * 12), None, id="local-with-addresses"),
    pytest.param(header(0x20, 0x31, FIELDS), None, id="local-of-any-family"),
    pytest.param(header(0x21, 0x00, b""), None, id="unspec"),
    pytest.param(header(0x21, 0x00, FIELDS), None, id="unspec-fields"),
]


@pytest.mark.parametrize(("data", "source"), GOOD)
@pytest.mark.parametrize("after", [b"", b"<22>line\n", SIGNATURE])
def test_a_header_names_its_sender_and_ends_where_it_says(
    data: bytes, source: str | None, after: bytes
) -> None:
    assert read(data + after) == ProxyHeader(source, after)
    assert read(*(bytes((byte,)) for byte in data + after)) == ProxyHeader(source, after)


BAD = [
    pytest.param(b"PROXY TCP4 203.0.113.7 192.0.2.9 1 2\r\n", "no version 2 signature", id="v1"),
    pytest.param(b"<22>line\n", "no version 2 signature", id="syslog"),
    pytest.param(SIGNATURE[:-1] + b"X", "no version 2 signature", id="signature"),
    pytest.param(header(0x11, 0x11, b"x" * 12), "version and command 0x11", id="version"),
    pytest.param(header(0x22, 0x11, b"x" * 12), "version and command 0x22", id="command"),
    pytest.param(header(0x21, 0x12, b"x" * 12), "family 0x12", id="udp"),
    pytest.param(header(0x21, 0x31, b"x" * 216), "family 0x31", id="unix"),
    pytest.param(header(0x21, 0x11, b"x" * 11), "family 0x11 in 11 bytes", id="short4"),
    pytest.param(header(0x21, 0x21, b"x" * 35), "family 0x21 in 35 bytes", id="short6"),
    pytest.param(
        header(0x21, 0x11, b"x" * MAX_HEADER_BYTES),
        f"{MAX_HEADER_BYTES} bytes of addresses and fields",
        id="long",
    ),
]


@pytest.mark.parametrize(("data", "detail"), BAD)
def test_what_is_no_such_header_is_told(data: bytes, detail: str) -> None:
    assert read(data) == BadProxyHeader(detail)
    assert read(*(bytes((byte,)) for byte in data)) == BadProxyHeader(detail)


@pytest.mark.parametrize("data", [param.values[0] for param in GOOD])
def test_every_beginning_asks_for_more(data: bytes) -> None:
    assert [read(data[:length]) for length in range(len(data))] == [None] * len(data)


headers = st.one_of(
    st.ip_addresses(v=4).map(lambda ip: tcp4(str(ip), FIELDS)),
    st.ip_addresses(v=6).map(lambda ip: tcp6(str(ip))),
    st.builds(header, st.sampled_from([0x20, 0x21]), st.integers(0, 255), st.binary(max_size=60)),
    st.builds(header, st.integers(0, 255), st.sampled_from([0, 0x11, 0x21]), st.binary()),
)


@st.composite
def streams(draw: st.DrawFn) -> bytes:
    """Headers, and headers that something happened to, and what may come after."""
    data = bytearray(draw(st.one_of(headers, st.binary(max_size=40))))
    for _ in range(draw(st.integers(0, 2))):
        if data:
            data[draw(st.integers(0, len(data) - 1))] = draw(st.integers(0, 255))
    return bytes(data) + draw(st.binary(max_size=20))


@given(streams(), st.lists(st.integers(0, 120)))
def test_cut_anywhere_the_answer_is_the_same(data: bytes, cuts: list[int]) -> None:
    places = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    portions = [data[a:b] for a, b in pairwise(places)]
    whole = read(data)
    assert read(*portions) == whole
    if isinstance(whole, ProxyHeader) and whole.source is not None:
        ip_address(whole.source)
