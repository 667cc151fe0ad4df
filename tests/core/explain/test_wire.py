"""Which framing bytes have, as the framers would see it."""

import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.core.explain.wire import frame_end, unframed
from service.core.framing.base import MAX_FRAME_BYTES, Frame, flatten
from service.core.framing.sniffing import StreamFramer
from service.core.outcomes import Drop
from tests.sample_lines import REJECT

Z = b"z" + zlib.compress(REJECT)


def counted(payload: bytes) -> bytes:
    return b"%d %s" % (len(payload), payload)


@pytest.mark.parametrize(
    ("data", "framing"),
    [
        (REJECT, "one line or datagram"),
        (counted(REJECT), f"octet-counted, {len(REJECT)} bytes"),
        (b"7 syslog " + counted(REJECT) + b"\n", f"RELP, {len(REJECT)} bytes"),
        (Z, "one line or datagram, compressed (z)"),
        (counted(Z), f"octet-counted, {len(Z)} bytes, compressed (z)"),
    ],
)
def test_framings(data: bytes, framing: str) -> None:
    wire = unframed(data, MAX_FRAME_BYTES)
    assert wire.framing == framing
    assert wire.data == REJECT
    assert wire.priority == "<22> mail.info"
    assert (wire.drop, wire.is_unreadable, wire.truncated) == (None, False, False)


def test_a_frame_that_is_not_whole() -> None:
    wire = unframed(b"999 " + REJECT, MAX_FRAME_BYTES)
    assert wire.drop is Drop.CUT_SHORT
    assert wire.framing == (
        f"octet-counted: 999 bytes announced, {len(REJECT)} are here, read all the same"
    )
    assert wire.data == REJECT
    assert not wire.is_unreadable
    assert unframed(b"999 " + Z, MAX_FRAME_BYTES).is_unreadable


def test_what_does_not_inflate() -> None:
    wire = unframed(Z[:-20], MAX_FRAME_BYTES)
    assert wire.drop is Drop.BAD_COMPRESSION
    assert wire.is_unreadable
    assert wire.framing == "one line or datagram, compressed (z): incomplete zlib stream"


def test_too_long() -> None:
    wire = unframed(REJECT, 30)
    assert wire.truncated
    assert wire.data == REJECT[:30]
    assert wire.framing == "one line or datagram, cut at 30 bytes"


@pytest.mark.parametrize("first", [b"\x16\x03\x01", b"x\x9c", b"\x28\xb5\x2f\xfd"])
def test_what_is_no_syslog_at_all(first: bytes) -> None:
    wire = unframed(first + b"...", MAX_FRAME_BYTES)
    assert wire.is_unreadable
    assert wire.drop is None


@pytest.mark.parametrize(
    ("data", "priority"),
    [
        (b"<0>", "<0> kern.emerg"),
        (b"<191>1 ", "<191> local7.debug"),
        (b"<192>", None),
        (b"Aug 22", None),
        (b"<x>", None),
    ],
)
def test_priorities(data: bytes, priority: str | None) -> None:
    assert unframed(data, MAX_FRAME_BYTES).priority == priority


def test_where_a_frame_ends() -> None:
    assert frame_end(b"12 <22>") == 15
    assert frame_end(b"1 syslog 12 <22>") == 24
    assert frame_end(b"12 foo") is None


@given(st.binary(min_size=1, max_size=60).map(lambda junk: b"<22>" + junk), st.booleans())
def test_the_message_is_that_of_the_framer(payload: bytes, with_count: bool) -> None:
    payload = payload.replace(b"\n", b"?").replace(b"\0", b"?").replace(b"\r", b"?")
    data = counted(payload) if with_count else payload
    framer = StreamFramer()
    (piece,) = flatten([*framer.feed(data), *framer.end()])
    assert isinstance(piece, Frame)
    assert unframed(data, MAX_FRAME_BYTES).data == piece.data
