import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.core.framing.base import MAX_FRAME_BYTES, Fault, Frame
from service.core.framing.datagram import read_datagram
from service.core.outcomes import Drop
from tests.strategies import compressed


@pytest.mark.parametrize(
    ("packet", "wanted"),
    [
        pytest.param(b"<1>a", Frame(b"<1>a"), id="plain"),
        pytest.param(b"<1>a\n", Frame(b"<1>a"), id="rsyslog-23-format"),
        pytest.param(b"<1>a\r\n\0", Frame(b"<1>a"), id="every-trailer"),
        pytest.param(b"<1>a\n<2>b\n", Frame(b"<1>a\n<2>b"), id="one-packet-one-frame"),
        pytest.param(b"4 <1>a", Frame(b"4 <1>a"), id="no-octet-counting-here"),
        pytest.param(b"", Frame(b""), id="empty"),
        pytest.param(b"zebra", Frame(b"zebra"), id="plain-z"),
        pytest.param(b"<1>\xff", Frame(b"<1>\xff"), id="no-utf8"),
        pytest.param(compressed(b"<1>a\n"), Frame(b"<1>a"), id="compressed"),
        pytest.param(b"zx\x9c!", Fault(Drop.BAD_COMPRESSION, 4), id="corrupt"),
        pytest.param(b"0123456789", Frame(b"0123456789"), id="at-the-bound"),
        pytest.param(b"0123456789\n", Frame(b"0123456789"), id="at-the-bound-with-trailer"),
        pytest.param(b"0123456789a", Frame(b"0123456789", True), id="over-long"),
        pytest.param(
            compressed(b"0123456789a"), Frame(b"0123456789", True), id="inflates-over-long"
        ),
    ],
)
def test_packet(packet: bytes, wanted: Frame | Fault) -> None:
    piece = read_datagram(packet, 10)
    if isinstance(piece, Fault):
        piece.detail = ""
    assert piece == wanted


def test_the_largest_packet_is_within_the_default_bound() -> None:
    packet = b"<1>" + b"x" * 65_504
    assert len(packet) < MAX_FRAME_BYTES
    assert read_datagram(packet) == Frame(packet)


@given(st.binary(max_size=30) | st.binary(max_size=30).map(lambda junk: b"zx\xda" + junk))
def test_never_an_exception(packet: bytes) -> None:
    piece = read_datagram(packet, 10)
    assert isinstance(piece, Fault) or len(piece.data) <= 10
