"""StreamFramer: named cases, then wires joined of known pieces and cut anywhere."""

from collections.abc import Iterable, Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.core.framing.base import Block, Fault, Frame, Piece, flatten
from service.core.framing.datagram import read_datagram
from service.core.framing.sniffing import StreamFramer
from service.core.outcomes import Drop
from tests.strategies import (
    BOUND,
    MAX_COUNT,
    WirePiece,
    bad_counts,
    compressed,
    counted,
    cut,
    cuts,
    wire_pieces,
)

CUT_SHORT = Drop.CUT_SHORT
BAD_COUNT = Drop.BAD_COUNT


def frames(pieces: Iterable[Piece]) -> list[Frame | Fault]:
    """Flat, and without the text of a fault, which is for the log."""
    return [
        Fault(piece.kind, piece.lost_bytes, piece.fatal) if isinstance(piece, Fault) else piece
        for piece in flatten(pieces)
    ]


def read(
    reads: Iterable[bytes], *, clean: bool = True, bound: int = BOUND, max_count: int = MAX_COUNT
) -> list[Frame | Fault]:
    framer = StreamFramer(bound, max_count=max_count)
    pieces: list[Piece] = []
    for data in reads:
        pieces += framer.feed(data)
    pieces += framer.end() if clean else framer.abort()
    assert framer.buffered_bytes == 0
    return frames(pieces)


def byte_by_byte(wire: bytes) -> Iterator[bytes]:
    return (wire[i : i + 1] for i in range(len(wire)))


def whole(*lines: bytes) -> list[Frame | Fault]:
    return [Frame(line) for line in lines]


ISO = b"2026-08-22T10:00:00+02:00 mx1 postfix"
LONG = b"<1>" + b"x" * BOUND
LONG_FRAME = Frame(LONG[:BOUND], truncated=True)

CASES: dict[str, tuple[bytes, list[Frame | Fault]]] = {
    "nothing": (b"", []),
    "lf": (b"<1>a\n<2>b\n", whole(b"<1>a", b"<2>b")),
    "crlf": (b"<1>a\r\n<2>b\r\n", whole(b"<1>a", b"<2>b")),
    "one-cr-only": (b"<1>a\r\r\n", whole(b"<1>a\r")),
    "nul": (b"<1>a\0<2>b\0", whole(b"<1>a", b"<2>b")),
    "blank-lines-are-frames": (b"\n\n<1>a\n\n", whole(b"", b"", b"<1>a", b"")),
    "lf-nul-is-one-trailer": (b"<1>a\n\0<2>b\n\0", whole(b"<1>a", b"<2>b")),
    "nul-lf-is-one-trailer": (b"<1>a\0\n<2>b\0\n", whole(b"<1>a", b"<2>b")),
    "nul-nul-is-an-empty-frame": (b"<1>a\0\0<2>b\0", whole(b"<1>a", b"", b"<2>b")),
    "counted": (b"4 <1>a5 <2>bc", whole(b"<1>a", b"<2>bc")),
    "counted-lf-inside-the-count": (b"5 <1>a\n6 <2>b\r\n", whole(b"<1>a", b"<2>b")),
    "counted-nul-inside-the-count": (b"5 <1>a\x004 <2>b", whole(b"<1>a", b"<2>b")),
    "counted-stray-lf": (b"4 <1>a\n4 <2>b\n<3>c\n", whole(b"<1>a", b"<2>b", b"<3>c")),
    "counted-two-lfs-swallow-one": (b"4 <1>a\n\n<3>c\n", whole(b"<1>a", b"", b"<3>c")),
    "counted-lf-counts-and-stray-lf": (b"5 <1>a\n\n<3>c\n", whole(b"<1>a", b"<3>c")),
    "counted-keeps-inner-lines": (b"8 <1>a\n<2>4 <3>c", whole(b"<1>a\n<2>", b"<3>c")),
    "mixed": (b"<1>a\n4 <2>b<3>c\n4 <4>d", whole(b"<1>a", b"<2>b", b"<3>c", b"<4>d")),
    "compressed-between-lines": (
        b"<1>a\n" + counted(compressed(b"<2>b\n")) + b"<3>c\n",
        whole(b"<1>a", b"<2>b", b"<3>c"),
    ),
    "compressed-is-sniffed-by-its-zlib-header": (
        b"9 zebra\n9 zx\x9d\n",
        whole(b"9 zebra", b"9 zx\x9d"),
    ),
    "plain-z-line-is-not-inflated": (b"zx\x9cabc\n", whole(b"zx\x9cabc")),
    "corrupt-compression-is-one-fault": (
        b"7 zx\x9c\xff\xff\xff\xff<1>a\n",
        [Fault(Drop.BAD_COMPRESSION, 7), Frame(b"<1>a")],
    ),
    "iso-date-is-a-line": (ISO + b"\n" + ISO + b"\n", whole(ISO, ISO)),
    "number-and-word-is-a-line": (b"12 foo\n<1>a\n", whole(b"12 foo", b"<1>a")),
    "two-spaces-is-a-line": (b"4  <1>a\n", whole(b"4  <1>a")),
    "digits-only": (b"123\n45\n", whole(b"123", b"45")),
    "counted-after-digits-line": (b"123\n4 <1>a", whole(b"123", b"<1>a")),
    "count-zero-is-a-line": (b"0 <1>a\n", whole(b"0 <1>a")),
    "leading-zero-is-a-line": (b"04 <1>a\n", whole(b"04 <1>a")),
    "eleven-digits-is-a-line": (b"12345678901 <1>a\n", whole(b"12345678901 <1>a")),
    "count-one": (b"1 <23>4\n", whole(b"<", b"23>4")),
    "count-one-never-loops": (b"1 <23>4", whole(b"<", b"23>4")),
    "count-ends-in-the-next-frame": (b"6 <1>a\n<2>b\n", whole(b"<1>a\n<", b"2>b")),
    "bad-count": (
        b"<1>a\n4 <2>b91 <1>a\n<4>d\n",
        [*whole(b"<1>a", b"<2>b"), Fault(BAD_COUNT, 3, fatal=True)],
    ),
    "ten-digits": (b"9999999999 <1>", [Fault(BAD_COUNT, 11, fatal=True)]),
    "line-at-the-bound": (b"<1>" + b"x" * 37 + b"\n", whole(b"<1>" + b"x" * 37)),
    "over-long-line": (LONG + b"tail\n<2>b\n", [LONG_FRAME, Frame(b"<2>b")]),
    "over-long-line-ended-by-nul": (LONG + b"\0<2>b\0", [LONG_FRAME, Frame(b"<2>b")]),
    "digits-inside-skipped-line": (LONG + b"5 <22>4 <9\n<2>b\n", [LONG_FRAME, Frame(b"<2>b")]),
    "over-long-between-short": (
        b"<1>a\n<1>b\n" + LONG + b"\n" + LONG + b"\n<2>c\n",
        [*whole(b"<1>a", b"<1>b"), LONG_FRAME, LONG_FRAME, Frame(b"<2>c")],
    ),
    "over-long-counted": (counted(LONG) + b"<2>b\n", [LONG_FRAME, Frame(b"<2>b")]),
    "over-long-counted-stray-lf": (counted(LONG) + b"\n<2>b\n", [LONG_FRAME, Frame(b"<2>b")]),
    "frames-inside-skipped-counted": (
        counted(LONG + b"\n99999 <1\n4 <z>z\0") + b"<2>b\n",
        [LONG_FRAME, Frame(b"<2>b")],
    ),
    "counted-at-the-bound": (counted(LONG[:BOUND]), [Frame(LONG[:BOUND])]),
    "bound-counts-the-trailer-of-a-counted-frame": (counted(LONG[:BOUND] + b"\n"), [LONG_FRAME]),
    "bytes-that-are-no-utf8": (b"<1>\xff\xfe\n", whole(b"<1>\xff\xfe")),
    "tls-hello": (b"\x16\x03\x01\x02\n<1>", whole(b"\x16\x03\x01\x02", b"<1>")),
}

TAILS: dict[str, tuple[bytes, list[Frame | Fault], list[Frame | Fault]]] = {
    # wire, outcome after a clean end, outcome after a broken connection
    "line": (b"<1>a\n<2>b", whole(b"<1>a", b"<2>b"), [Frame(b"<1>a"), Fault(CUT_SHORT, 4)]),
    "line-cr": (b"<2>b\r", whole(b"<2>b"), [Fault(CUT_SHORT, 5)]),
    "digits": (b"<1>a\n12", whole(b"<1>a", b"12"), [Frame(b"<1>a"), Fault(CUT_SHORT, 2)]),
    "digits-space": (b"12 ", whole(b"12 "), [Fault(CUT_SHORT, 3)]),
    "digits-z": (b"12 zx", whole(b"12 zx"), [Fault(CUT_SHORT, 5)]),
    "counted": (
        b"4 <1>a9 <2>",
        [Frame(b"<1>a"), Fault(CUT_SHORT, 5)],
        [Frame(b"<1>a"), Fault(CUT_SHORT, 5)],
    ),
    "nothing-open": (b"<1>a\n4 <2>b", whole(b"<1>a", b"<2>b"), whole(b"<1>a", b"<2>b")),
    "skipping-a-line": (LONG + b"y", [LONG_FRAME], [LONG_FRAME]),
    "skipping-a-counted": (b"80 " + LONG, [LONG_FRAME], [LONG_FRAME]),
    "over-long-counted-cut-before-the-bound": (
        b"80 <1>",
        [Fault(CUT_SHORT, 6)],
        [Fault(CUT_SHORT, 6)],
    ),
    "after-a-bad-count": (
        b"91 <1>a\n<2>",
        [Fault(BAD_COUNT, 3, True)],
        [Fault(BAD_COUNT, 3, True)],
    ),
}


@pytest.mark.parametrize(("wire", "wanted"), CASES.values(), ids=CASES)
class TestNamed:
    def test_whole(self, wire: bytes, wanted: list[Frame | Fault]) -> None:
        assert read([wire]) == wanted

    def test_byte_by_byte(self, wire: bytes, wanted: list[Frame | Fault]) -> None:
        assert read(byte_by_byte(wire)) == wanted

    def test_cut_in_two_everywhere(self, wire: bytes, wanted: list[Frame | Fault]) -> None:
        for place in range(len(wire)):
            assert read([wire[:place], wire[place:]]) == wanted, place

    def test_with_bytes_after(self, wire: bytes, wanted: list[Frame | Fault]) -> None:
        framer = StreamFramer(BOUND, max_count=MAX_COUNT)
        framer.feed(wire)
        line_end = b"\n" if framer.buffered_bytes else b""
        after: list[Frame | Fault] = whole(b"<9>z", b"<9>y")
        if any(isinstance(piece, Fault) and piece.fatal for piece in wanted):
            after = []
        assert read([wire + line_end + b"<9>z\n4 <9>y"]) == wanted + after


@pytest.mark.parametrize(("wire", "ended", "broken"), TAILS.values(), ids=TAILS)
def test_tail(wire: bytes, ended: list[Frame | Fault], broken: list[Frame | Fault]) -> None:
    for reads in ([wire], list(byte_by_byte(wire))):
        assert read(reads, clean=True) == ended
        assert read(reads, clean=False) == broken


@settings(max_examples=300)
@given(
    st.lists(wire_pieces, max_size=12),
    st.none() | bad_counts,
    st.sampled_from([b"", b"<5>tail", b"<5>tail\n"]),
    cuts(),
)
def test_joined_pieces_cut_anywhere(
    pieces: list[WirePiece], bad: WirePiece | None, tail: bytes, points: list[int]
) -> None:
    wire = b""
    wanted: list[Frame | Fault] = []
    second_trailer = b""
    for piece in [*pieces, bad] if bad else pieces:
        if second_trailer and piece.wire == second_trailer:  # an empty line, but not here
            wire += piece.wire
            second_trailer = b""
            continue
        if second_trailer and piece.wire.startswith(second_trailer):
            continue
        wire += piece.wire
        wanted.append(piece.outcome)
        second_trailer = piece.second_trailer
    wire += tail
    if tail and not bad:
        wanted.append(Frame(b"<5>tail"))
    assert read([wire]) == wanted
    assert read(cut(wire, points)) == wanted
    assert read(byte_by_byte(wire)) == wanted


@settings(max_examples=300)
@given(
    st.lists(
        wire_pieces.map(lambda piece: piece.wire)
        | bad_counts.map(lambda piece: piece.wire)
        | st.sampled_from([b"\n", b"\0", b"\r", b"5 ", b"1 <", b"<", b"z", b"12 zx", b"40 <", b"8"])
        | st.binary(max_size=4),
        max_size=10,
    ).map(b"".join),
    cuts(),
    st.booleans(),
)
def test_broken_pieces_read_the_same_however_cut(
    wire: bytes, points: list[int], clean: bool
) -> None:
    wanted = read([wire], clean=clean)
    assert read(cut(wire, points), clean=clean) == wanted
    assert read(byte_by_byte(wire), clean=clean) == wanted


class TestCountedRuns:
    """Counted frames that arrive together are one block, if each is one line."""

    def test_as_one_block(self) -> None:
        wire = counted(b"<1>a") + counted(b"<2>b\n") + counted(b"<3>c\r\n\0") + b"\n"
        framer = StreamFramer()
        assert framer.feed(wire) == [Block(b"<1>a\n<2>b\n<3>c\n", 3)]
        assert framer.feed(counted(b"<4>d")) == [Frame(b"<4>d")]

    @pytest.mark.parametrize("odd", [b"<2>b\nc", b"<2>b\n\n", b"<2>\0b", b"<2>b\r\r\n"])
    def test_a_frame_that_is_no_line_of_a_block(self, odd: bytes) -> None:
        wire = counted(b"<1>a") + counted(odd) + counted(b"<3>c")
        alone = read_datagram(odd)
        assert StreamFramer().feed(wire) == [Frame(b"<1>a"), alone, Frame(b"<3>c")]

    def test_ended_by_what_is_read_with_care(self) -> None:
        two = counted(b"<1>a") + counted(b"<2>b") + b"\n"
        block = Block(b"<1>a\n<2>b\n", 2)
        rests: list[tuple[bytes, list[Piece]]] = [
            (counted(compressed(b"<9>packed")), [Frame(b"<9>packed")]),
            (b"<3>c\n", [Block(b"<3>c\n", 1)]),
            (counted(b"<" * 200), [Frame(b"<" * 100, truncated=True)]),
            (b"99999999 <", [Fault(BAD_COUNT, 9, fatal=True)]),
        ]
        for rest, pieces in rests:
            found, *others = StreamFramer(100).feed(two + rest)
            assert found == block
            assert frames(others) == frames(pieces)


class TestBlocks:
    def test_a_run_of_lines_is_one_block(self) -> None:
        assert StreamFramer().feed(b"<1>a\n\n<2>b\r\n") == [Block(b"<1>a\n\n<2>b\r\n", 3)]

    def test_lines_without_priority_are_a_block_too(self) -> None:
        wire = (ISO + b"\n") * 3
        assert StreamFramer().feed(wire) == [Block(wire, 3)]

    def test_blocks_end_before_an_over_long_line_and_go_on_after_it(self) -> None:
        wire = b"<1>a\n<1>b\n" + LONG + b"\n<1>c\n" + b"<1>d\n" * 20
        assert StreamFramer(BOUND).feed(wire) == [
            Block(b"<1>a\n<1>b\n", 2),
            LONG_FRAME,
            Block(b"<1>c\n" + b"<1>d\n" * 20, 21),
        ]

    def test_the_run_around_a_counted_frame(self) -> None:
        assert StreamFramer().feed(b"<1>a\n<1>b\n4 <2>c<3>d\n<3>e\n") == [
            Block(b"<1>a\n<1>b\n", 2),
            Frame(b"<2>c"),
            Block(b"<3>d\n<3>e\n", 2),
        ]

    @given(st.lists(wire_pieces, max_size=10), cuts())
    def test_every_block_keeps_its_promise(
        self, pieces: list[WirePiece], points: list[int]
    ) -> None:
        framer = StreamFramer(BOUND, max_count=MAX_COUNT)
        for data in cut(b"".join(piece.wire for piece in pieces), points):
            for piece in framer.feed(data):
                if isinstance(piece, Block):
                    assert piece.data.endswith(b"\n")
                    assert b"\0" not in piece.data
                    lines = piece.data.split(b"\n")[:-1]
                    assert len(lines) == piece.count > 0
                    assert max(map(len, lines)) <= BOUND
                elif isinstance(piece, Frame):
                    assert len(piece.data) <= BOUND


class TestBuffer:
    def test_is_what_is_held_back(self) -> None:
        framer = StreamFramer(BOUND, max_count=MAX_COUNT)
        steps = [
            (b"<1>", 3),  # a line
            (b"x" * 30, 33),
            (b"x" * 30, 0),  # over the bound: given out, the rest is skipped
            (b"\n50", 2),  # undecided
            (b" ", 3),
            (b"<", 1),  # the payload of a counted frame
            (b"y" * 30, 31),
            (b"y" * 10, 0),  # over the bound
            (b"y" * 9 + b"<2>", 3),
            (b"\n91", 2),
            (b" <", 0),  # a bad count: nothing is read any more
        ]
        for data, held in steps:
            framer.feed(data)
            assert framer.buffered_bytes == held, data

    @settings(max_examples=50)
    @given(st.lists(wire_pieces, max_size=10), cuts())
    def test_never_over_the_bound(self, pieces: list[WirePiece], points: list[int]) -> None:
        framer = StreamFramer(BOUND, max_count=MAX_COUNT)
        for data in cut(b"".join(piece.wire for piece in pieces), points):
            framer.feed(data)
            assert framer.buffered_bytes <= BOUND

    def test_a_large_count_is_not_held_in_memory(self) -> None:
        framer = StreamFramer(BOUND)
        assert framer.feed(b"1000000 <" + b"x" * 50) == [Frame(b"<" + b"x" * 39, truncated=True)]
        for _ in range(10):
            assert framer.feed(b"x" * 90_000) == []
            assert framer.buffered_bytes == 0
        assert framer.feed(b"x" * 99_949 + b"<2>b\n") == [Block(b"<2>b\n", 1)]


def test_nothing_comes_out_after_the_end() -> None:
    framer = StreamFramer()
    framer.feed(b"<1>")
    assert framer.end() == [Frame(b"<1>")]
    assert framer.end() == []
    assert framer.feed(b"<2>b\n") == []


def test_a_fault_tells_what_was_found() -> None:
    (fault,) = StreamFramer(BOUND, max_count=MAX_COUNT).feed(b"91 <1>")
    assert isinstance(fault, Fault)
    assert fault.detail == "octet count 91 is over 90"


def test_a_count_within_the_bound_is_never_bad() -> None:
    assert read([counted(b"<1>abcdef")], bound=20, max_count=5) == whole(b"<1>abcdef")
