import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.core.framing.base import Fault, Frame
from service.core.framing.compression import inflate, is_compressed
from service.core.outcomes import Drop
from tests.strategies import compressed

TEXT = b"<22>Aug  1 10:20:30 mx1 postfix/smtp[99]: 4XyZ: to=<a@example.org>, status=bounced (x)"


@pytest.mark.parametrize("level", range(10))
def test_every_level_of_rsyslog(level: int) -> None:
    payload = b"z" + zlib.compress(TEXT, level)
    assert is_compressed(payload)
    assert inflate(payload, 1000) == Frame(TEXT)


@pytest.mark.parametrize(
    "text", [b"", b"z", b"zx", b"zebra", b"zx81", b"zx\x9d", b"zx\xf9", b"<1>zx\x9c"]
)
def test_text_that_is_not_compressed(text: bytes) -> None:
    assert not is_compressed(text)


def test_the_trailer_is_stripped_inside_and_ignored_behind() -> None:
    assert inflate(compressed(TEXT + b"\r\n\0"), 1000) == Frame(TEXT)
    assert inflate(compressed(TEXT) + b"\n", 1000) == Frame(TEXT)


def test_an_empty_message() -> None:
    assert inflate(compressed(b""), 1000) == Frame(b"")


def test_exactly_the_limit_is_not_cut() -> None:
    assert inflate(compressed(TEXT), len(TEXT)) == Frame(TEXT)
    assert inflate(compressed(TEXT), len(TEXT) - 1) == Frame(TEXT[:-1], truncated=True)


def test_a_bomb_is_cut_at_the_limit() -> None:
    bomb = compressed(bytes(50_000_000))
    assert len(bomb) < 50_000
    assert inflate(bomb, 65_536) == Frame(bytes(65_536), truncated=True)


@pytest.mark.parametrize(
    "payload",
    [
        pytest.param(b"zx\x9c", id="header-only"),
        pytest.param(compressed(TEXT)[:-1], id="one-byte-short"),
        pytest.param(compressed(TEXT)[:-1] + b"\0", id="bad-checksum"),
        pytest.param(b"zx\x9c\xff\xff\xff", id="bad-block-type"),
        pytest.param(compressed(TEXT) + b"more", id="bytes-after-the-stream"),
    ],
)
def test_a_corrupt_frame_is_a_fault_that_is_not_fatal(payload: bytes) -> None:
    fault = inflate(payload, 1000)
    assert isinstance(fault, Fault)
    assert (fault.kind, fault.lost_bytes, fault.fatal) == (
        Drop.BAD_COMPRESSION,
        len(payload),
        False,
    )
    assert fault.detail


def test_the_beginning_of_a_stream_gives_what_it_holds() -> None:
    text = bytes(range(32, 127)) * 3
    payload = b"z" + zlib.compress(text, 0)
    frame = inflate(payload[:100], 1000, whole=False)
    assert isinstance(frame, Frame)
    assert frame.truncated
    assert 0 < len(frame.data) < 100
    assert text.startswith(frame.data)


@given(st.binary(max_size=60), st.integers(1, 50), st.booleans())
def test_never_an_exception_and_never_over_the_limit(junk: bytes, limit: int, whole: bool) -> None:
    for payload in (b"zx\x9c" + junk, compressed(junk), compressed(junk * 9)[: len(junk)] or b"z"):
        piece = inflate(payload, limit, whole=whole)
        if isinstance(piece, Frame):
            assert len(piece.data) <= limit
        else:
            assert piece.kind is Drop.BAD_COMPRESSION
