"""Runs of lines split by windows, and a line that arrives in parts."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.core.framing.base import Block, Fault, Frame, Piece, flatten
from service.core.framing.newline import OpenLine, line_frame, split_run
from service.core.outcomes import Drop


def split(data: bytes, bound: int) -> list[Piece]:
    out: list[Piece] = []
    split_run(b"ab\n" + data + b"cd", 3, 3 + len(data), bound, out)
    return out


@pytest.mark.parametrize(
    ("data", "wanted"),
    [
        (b"\n", [Block(b"\n", 1)]),
        (b"12345\n", [Block(b"12345\n", 1)]),
        (b"123456\n", [Frame(b"12345", True)]),
        (b"123456\n12345\n", [Frame(b"12345", True), Block(b"12345\n", 1)]),
        (b"1\n123456\n", [Block(b"1\n", 1), Frame(b"12345", True)]),
        (b"12345\n" * 4, [Block(b"12345\n" * 4, 4)]),
        (b"\n" * 20, [Block(b"\n" * 20, 20)]),
        (b"123456\n" * 2, [Frame(b"12345", True)] * 2),
        (
            b"1\n22\n" + b"3" * 40 + b"\n4\n\n",
            [Block(b"1\n22\n", 2), Frame(b"33333", True), Block(b"4\n\n", 2)],
        ),
    ],
)
def test_split_run(data: bytes, wanted: list[Piece]) -> None:
    assert split(data, 5) == wanted


@given(st.lists(st.integers(0, 14), min_size=1, max_size=30), st.integers(1, 12))
def test_split_run_is_the_same_as_line_by_line(lengths: list[int], bound: int) -> None:
    lines = [bytes([97 + i % 26]) * length for i, length in enumerate(lengths)]
    wanted = [Frame(line[:bound], truncated=len(line) > bound) for line in lines]
    assert list(flatten(split(b"\n".join(lines) + b"\n", bound))) == wanted


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        (b"", Frame(b"")),
        (b"abc\r", Frame(b"abc")),
        (b"abcde", Frame(b"abcde")),
        (b"abcdef", Frame(b"abcde", True)),
        (b"abcde\r", Frame(b"abcde", True)),
    ],
)
def test_the_bound_counts_what_stands_before_the_trailer(line: bytes, wanted: Frame) -> None:
    assert line_frame(b"--" + line + b"\0", 2, 2 + len(line), bound=5) == wanted
    out: list[Piece] = []
    assert OpenLine(5).take(line + b"\0", 0, out) == len(line) + 1
    assert out == [wanted]


class TestOpenLine:
    def test_ends_at_the_first_of_lf_and_nul(self) -> None:
        for data, second_trailer in ((b"c\nd\0", b"\0"), (b"c\0d\n", b"\n")):
            line, out = OpenLine(9), list[Piece]()
            assert line.take(b"ab", 0, out) == -1
            assert line.take(data, 0, out) == 2
            assert out == [Frame(b"abc")]
            assert line.second_trailer == second_trailer

    def test_over_long_comes_out_once(self) -> None:
        line, out = OpenLine(3), list[Piece]()
        assert [line.take(data, 0, out) for data in (b"abc", b"d", b"efg", b"h\ni")] == [
            -1,
            -1,
            -1,
            2,
        ]
        assert out == [Frame(b"abc", True)]
        assert line.end() is None
        assert line.abort() is None

    def test_unfinished(self) -> None:
        line, out = OpenLine(9), list[Piece]()
        line.take(b"abc\r", 0, out)
        assert line.buffered_bytes == 4
        assert line.end() == Frame(b"abc")
        assert line.abort() == Fault(Drop.CUT_SHORT, 4)

    def test_holds_no_more_than_the_bound_of_a_large_read(self) -> None:
        line, out = OpenLine(9), list[Piece]()
        line.take(b"x" * 1_000_000, 0, out)
        assert out == [Frame(b"x" * 9, True)]
        assert line.buffered_bytes == 0
