import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.core.framing.base import MAX_FRAME_BYTES, Block, Fault, Frame, Piece, flatten
from service.core.framing.datagram import read_datagram, read_datagrams
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


_PLAIN = st.sampled_from(
    [b"<1>a", b"<22>line", b"4 <1>a", b"a\rb", b"zebra", b"<1>\xff", b"0123456789"]
)
_ODD = st.sampled_from(
    [b"", b"<1>a\nb", b"\n", b"<1>\0a", b"\r", b"0123456789a", compressed(b"<1>a\n"), b"zx\x9c!"]
)
_TRAILER = st.sampled_from([b"", b"", b"\n", b"\r\n", b"\n\n", b"\0", b"\n\0"])


def _alone(datagrams: list[bytes]) -> list[Frame | Fault]:
    return [read_datagram(data, 10) for data in datagrams]


@given(
    st.lists(_PLAIN, max_size=9)
    | st.lists(_PLAIN.map(lambda line: line + b"\n"), max_size=9)
    | st.lists(
        st.tuples(_PLAIN | _ODD | st.binary(max_size=12), _TRAILER).map(b"".join), max_size=9
    )
)
def test_together_they_are_what_each_is_alone(datagrams: list[bytes]) -> None:
    assert list(flatten(read_datagrams(datagrams, 10))) == _alone(datagrams)


@pytest.mark.parametrize("trailer", [b"", b"\n", b"\r\n", b"\n\0"])
def test_plain_ones_are_one_block(trailer: bytes) -> None:
    datagrams = [b"<1>a" + trailer, b"<22>line" + trailer]
    wanted: list[Piece] = [Block(b"<1>a\n<22>line\n", 2)]
    assert read_datagrams(datagrams) == wanted


@pytest.mark.parametrize(
    "odd",
    [
        b"",
        b"<1>a\nb",
        b"<1>\0a",
        b"<1>a\0",
        b"0123456789a",
        compressed(b"<1>a"),
        b"zx\x9c!",
        b"a\r",
    ],
)
def test_one_odd_one_among_them(odd: bytes) -> None:
    for datagrams in ([odd, b"<1>b"], [b"<1>b", odd], [b"<1>b\n", odd], [b"<1>b", odd, b"<1>c"]):
        assert list(flatten(read_datagrams(datagrams, 10))) == _alone(datagrams)
