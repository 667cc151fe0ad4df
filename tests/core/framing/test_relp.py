"""RelpFramer: named cases, then wires joined of known frames and cut anywhere."""

from collections.abc import Iterable, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.core.framing.base import Block, Fault, Frame, flatten
from service.core.framing.relp import MAX_DATA, MAX_TXNR, Command, Item, RelpFramer
from service.core.outcomes import Drop
from tests.relp_wires import (
    BOUND,
    OFFERS,
    TOO_LONG,
    Outcome,
    RelpPiece,
    broken_pieces,
    frame,
    opening,
    relp_pieces,
    syslog,
)
from tests.strategies import cut, cuts

CUT_SHORT = Drop.CUT_SHORT


def flat(items: Iterable[Item]) -> Iterator[Outcome]:
    for item in items:
        if isinstance(item, Command):
            yield item
        else:
            yield from flatten([item])


def without_detail(items: Iterable[Item]) -> list[Outcome]:
    return [
        Fault(item.kind, item.lost_bytes, item.fatal) if isinstance(item, Fault) else item
        for item in flat(items)
    ]


def read(reads: Iterable[bytes], bound: int = BOUND) -> list[Outcome]:
    framer = RelpFramer(bound)
    items: list[Item] = []
    for data in reads:
        items += framer.feed(data)
        assert framer.buffered_bytes <= max(bound, 52, 4096)
    items += framer.end()
    assert framer.buffered_bytes == 0
    return without_detail(items)


def byte_by_byte(wire: bytes) -> Iterator[bytes]:
    return (wire[i : i + 1] for i in range(len(wire)))


def fatal(kind: Drop, lost_bytes: int) -> Fault:
    return Fault(kind, lost_bytes, fatal=True)


LONG = b"<1>" + b"x" * 2 * BOUND
GOOD = syslog(1, b"<1>a")

CASES: dict[str, tuple[bytes, list[Outcome]]] = {
    "nothing": (b"", []),
    "a-session": (
        opening() + syslog(2, b"<1>a") + syslog(3, b"<1>b") + frame(4, b"close"),
        [Command(b"open", OFFERS), Frame(b"<1>a"), Frame(b"<1>b"), Command(b"close")],
    ),
    "lf-inside-the-data": (syslog(1, b"<1>a\n2 syslog 1 b"), [Frame(b"<1>a\n2 syslog 1 b")]),
    "trailers-inside-the-data": (
        syslog(1, b"<1>a\n") + syslog(2, b"<1>b\r\n") + syslog(3, b"<1>c\0"),
        [Frame(b"<1>a"), Frame(b"<1>b"), Frame(b"<1>c")],
    ),
    "no-data": (b"1 syslog 0\n2 syslog 0 \n", [Frame(b""), Frame(b"")]),
    "leading-zeros": (b"001 syslog 004 <1>a\n", [Frame(b"<1>a")]),
    "at-the-bound": (syslog(1, LONG[:BOUND]), [Frame(LONG[:BOUND])]),
    "over-the-bound": (
        syslog(1, LONG) + syslog(2, b"<1>b"),
        [Frame(LONG[:BOUND], truncated=True), Frame(b"<1>b")],
    ),
    "hints-take-no-number": (
        frame(0, b"noise", b"x") + GOOD,
        [Command(b"noise", b"x", is_hint=True), Frame(b"<1>a")],
    ),
    "number-missing-from-the-sequence": (
        GOOD + syslog(3, b"<1>b"),
        [Frame(b"<1>a"), fatal(Drop.OUT_OF_SEQUENCE, 11)],
    ),
    "number-twice": (GOOD + GOOD, [Frame(b"<1>a"), fatal(Drop.OUT_OF_SEQUENCE, 11)]),
    "syslog-is-no-hint": (syslog(0, b"<1>a"), [fatal(Drop.OUT_OF_SEQUENCE, 11)]),
    "count-too-small": (
        b"1 syslog 3 <1>a\n2 syslog 1 b\n",
        [fatal(Drop.BAD_FRAME, 11 + 3 + 1)],
    ),
    "count-too-large": (b"1 syslog 5 <1>a\n2 syslog 1 b\n", [fatal(Drop.BAD_FRAME, 11 + 5 + 1)]),
    "over-long-with-a-bad-trailer": (
        b"1 syslog 80 " + b"x" * 81,
        [fatal(Drop.BAD_FRAME, 12 + 81)],
    ),
    "data-promised-and-none": (b"1 syslog 5\n", [fatal(Drop.BAD_FRAME, 11)]),
    "too-long-to-skip": (TOO_LONG, [fatal(Drop.TOO_LONG, 17)]),
    "a-command-too-long": (b"1 open 4097 x", [fatal(Drop.TOO_LONG, 12)]),
    "nothing-after-a-fault": (b"x" + GOOD, [fatal(Drop.BAD_FRAME, 1)]),
    "cut-in-the-number": (GOOD + b"2", [Frame(b"<1>a"), Fault(CUT_SHORT, 1)]),
    "cut-in-the-name": (b"1 sysl", [Fault(CUT_SHORT, 6)]),
    "cut-before-the-data": (b"1 syslog 4 ", [Fault(CUT_SHORT, 11)]),
    "cut-in-the-data": (b"1 syslog 4 <1>", [Fault(CUT_SHORT, 14)]),
    "cut-before-the-trailer": (b"1 syslog 4 <1>a", [Fault(CUT_SHORT, 15)]),
    "cut-inside-an-over-long-one": (b"1 syslog 80 " + b"x" * 60, [Fault(CUT_SHORT, 72)]),
    "another-command-cut-is-no-lost-line": (b"1 open 80 relp_ver", []),
}


@pytest.mark.parametrize(("wire", "wanted"), CASES.values(), ids=CASES)
class TestCases:
    def test_whole(self, wire: bytes, wanted: list[Outcome]) -> None:
        assert read([wire]) == wanted

    def test_byte_by_byte(self, wire: bytes, wanted: list[Outcome]) -> None:
        assert read(byte_by_byte(wire)) == wanted


def test_the_longest_that_is_skipped() -> None:
    data = b"x" * MAX_DATA
    framer = RelpFramer(BOUND)
    assert framer.feed(syslog(1, data)) == [Frame(data[:BOUND], truncated=True)]


def test_after_the_last_number_comes_1() -> None:
    framer = RelpFramer()
    framer._txnr = MAX_TXNR
    assert framer.feed(syslog(MAX_TXNR, b"a") + syslog(1, b"b")) == [Block(b"a\nb\n", 2)]
    framer._txnr = MAX_TXNR
    items = [
        item
        for data in byte_by_byte(syslog(MAX_TXNR, b"a") + syslog(1, b"b"))
        for item in framer.feed(data)
    ]
    assert items == [Frame(b"a"), Frame(b"b")]


@pytest.mark.parametrize("odd", [b"x\ny", b"x\0y", b"x\r\r\n"])
def test_what_arrives_together_is_a_block_where_a_block_can_hold_it(odd: bytes) -> None:
    wire = syslog(1, b"a") + syslog(2, b"b\n") + syslog(3, b"\n")
    assert RelpFramer().feed(wire) == [Block(b"a\nb\n\n", 3)]
    with_odd = RelpFramer().feed(wire + syslog(4, odd))
    assert with_odd[:3] == [Frame(b"a"), Frame(b"b"), Frame(b"")]


RUN = syslog(1, b"a") + b"2 syslog 0 \n" + syslog(3, b"c d  e") + syslog(4, b"\xff")


@pytest.mark.parametrize(
    "odd",
    [
        pytest.param(syslog(6, b"x"), id="out-of-sequence"),
        pytest.param(syslog(4, b"x"), id="number-twice"),
        pytest.param(b"05 syslog 1 x\n", id="leading-zero-in-the-number"),
        pytest.param(b"5 syslog 01 x\n", id="leading-zero-in-the-length"),
        pytest.param(b"5 syslog 000000001 x\n", id="nine-digits"),
        pytest.param(b"5 syslog 0000000001 x\n", id="ten-digits"),
        pytest.param(b"1_3 syslog 1 x\n", id="not-a-number"),
        pytest.param(b"5 syslog +1 x\n", id="not-a-length"),
        pytest.param(b"5 syslog  x\n", id="no-length"),
        pytest.param(b"5 syslog 1:x\n", id="no-digit-after-the-length"),
        pytest.param(b"5 syslog 2 x\n", id="length-too-large"),
        pytest.param(b"5 syslog 0 x\n", id="length-too-small"),
        pytest.param(b"5 syslog 0\n", id="no-space-after-the-length"),
        pytest.param(b"5  syslog 1 x\n", id="two-spaces"),
        pytest.param(b"\n", id="nothing"),
        pytest.param(frame(5, b"sysl0g", b"x"), id="another-command"),
        pytest.param(frame(5, b"close"), id="close"),
        pytest.param(syslog(5, b"x" * (BOUND + 1)), id="over-the-bound"),
        pytest.param(syslog(5, b"5 syslog 1 x\n6 syslog 1 x"), id="frames-inside"),
        pytest.param(syslog(5, b"x\0y"), id="nul-inside"),
    ],
)
def test_after_plain_frames_an_odd_one_reads_as_it_does_alone(odd: bytes) -> None:
    wire = RUN + odd + syslog(6, b"<1>b")
    wanted = read(byte_by_byte(wire))
    for place in range(len(wire)):
        assert read([wire[:place], wire[place:]]) == wanted


def test_a_fault_says_what_was_found() -> None:
    (fault,) = RelpFramer().feed(b"7 syslog 1 a\n")
    assert isinstance(fault, Fault)
    assert fault.detail == "b'7 syslog 1 ' where frame 1 is due"


def joined(pieces: Iterable[RelpPiece]) -> tuple[bytes, list[Outcome]]:
    wire = b""
    txnr = 1
    for piece in (pieces := list(pieces)):
        wire += piece.wire(txnr)
        txnr += piece.takes_number
    return wire, [piece.outcome for piece in pieces]


@given(st.lists(relp_pieces, max_size=20), cuts())
def test_joined_of_whole_frames(pieces: list[RelpPiece], points: list[int]) -> None:
    wire, wanted = joined(pieces)
    assert read(cut(wire, points)) == wanted
    assert read(byte_by_byte(wire)) == wanted


@given(st.lists(relp_pieces, max_size=8), broken_pieces, st.lists(relp_pieces, max_size=3), cuts())
def test_a_broken_frame_ends_the_stream_and_harms_none_before_it(
    before: list[RelpPiece], broken: RelpPiece, after: list[RelpPiece], points: list[int]
) -> None:
    wire, wanted = joined([*before, broken])
    wire += b"".join(piece.wire(7) for piece in after)
    # A fault inside data is found where the trailer should be, so the wire must reach it.
    assert read(cut(wire, points)) == wanted
    assert read(byte_by_byte(wire)) == wanted


@given(st.lists(relp_pieces, min_size=1, max_size=8), st.integers(0, 800), cuts())
def test_broken_off_anywhere(pieces: list[RelpPiece], length: int, points: list[int]) -> None:
    wire, wanted = joined(pieces)
    part = wire[:length]
    items = read(cut(part, points))
    assert items == read(byte_by_byte(part))
    whole = [item for item in items if not isinstance(item, Fault)]
    assert whole == wanted[: len(whole)]
    assert len(items) - len(whole) <= 1


@given(
    st.lists(st.one_of(st.binary(max_size=30), relp_pieces.map(lambda p: p.start)), max_size=12),
    cuts(),
)
def test_anything_cut_anywhere_gives_the_same(parts: list[bytes], points: list[int]) -> None:
    wire = b"".join(parts)
    assert read(cut(wire, points)) == read([wire]) == read(byte_by_byte(wire))
