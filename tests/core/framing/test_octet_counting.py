"""Grammar of the start, and a frame that arrives in parts."""

import pytest

from service.core.framing.base import Fault, Frame, Piece
from service.core.framing.octet_counting import (
    COUNTED,
    COUNTED_AFTER_LF,
    UNDECIDED,
    CountedFrame,
)
from service.core.outcomes import Drop


@pytest.mark.parametrize("start", [b"4 <", b"1 <23>4", b"9999999999 <", b"86 zx\xda", b"5 zx\x01"])
def test_counted(start: bytes) -> None:
    assert COUNTED.match(start)
    assert COUNTED_AFTER_LF.search(b"<1>a\n" + start)
    assert not UNDECIDED.fullmatch(start)


@pytest.mark.parametrize(
    "start",
    [
        b"0 <",
        b"04 <",
        b"99999999999 <",
        b" 4 <",
        b"4<",
        b"4  <",
        b"4\t<",
        b"4 x",
        b"4 zebra",
        b"4 zx\x9b",
        b"-4 <",
        b"2026-08-22T10:00:00 <",
        b"<4>",
    ],
)
def test_a_line(start: bytes) -> None:
    assert not COUNTED.match(start)
    assert not COUNTED_AFTER_LF.search(b"<1>a\n" + start)
    assert not UNDECIDED.fullmatch(start)


@pytest.mark.parametrize("start", [b"4", b"9999999999", b"4 ", b"4 z", b"4 zx", b"9999999999 zx"])
def test_undecided(start: bytes) -> None:
    assert not COUNTED.match(start)
    assert UNDECIDED.fullmatch(start)


def take(frame: CountedFrame, *reads: bytes) -> tuple[list[Piece], list[int]]:
    out: list[Piece] = []
    return out, [frame.take(data, 0, out) for data in reads]


def test_a_frame_in_three_parts() -> None:
    out, positions = take(CountedFrame(6, 2, bound=10), b"<1>", b"ab", b"cd")
    assert (out, positions) == ([Frame(b"<1>abc")], [-1, -1, 1])


def test_over_long_comes_out_at_the_bound_and_the_rest_is_skipped() -> None:
    frame = CountedFrame(12, 3, bound=5)
    out, positions = take(frame, b"<1>a", b"b", b"5 <xy", b"zz<2>")
    assert (out, positions) == ([Frame(b"<1>ab", truncated=True)], [-1, -1, -1, 2])
    assert frame.abort() is None


def test_over_long_compressed_gives_what_can_be_inflated() -> None:
    stored = b"zx\x01\x00\x0a\x00\xf5\xff0123456789"  # a stored block of 10 bytes
    out, _ = take(CountedFrame(30, 3, bound=12), stored[:12])
    assert out == [Frame(b"0123", truncated=True)]


def test_broken_off_is_lost_with_its_header() -> None:
    frame = CountedFrame(9, 2, bound=10)
    take(frame, b"<1>a")
    assert frame.buffered_bytes == 4
    assert frame.abort() == frame.end() == Fault(Drop.CUT_SHORT, 6)
