"""The block search finds the lines that a look at each line would find, and no others."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.core.postfix.markers import LONG_LINE, candidates, is_candidate

_PIECES = st.sampled_from(
    [
        b"reject: ",
        b"reject:",
        b"status=",
        b"status=sent (ok)",
        b"status=bounced (",
        b"status=deferred (",
        b"abort: TLS from ",
        b"abort: ",
        b"connect from x[192.0.2.1]",
        b"x" * 200,
        b"y" * LONG_LINE,
        b"",
        b"\r",
        b"s",
        b"=",
    ]
)
_LINES = st.lists(st.lists(_PIECES, max_size=6).map(b"".join), max_size=12)


@given(_LINES)
def test_block_and_single_lines_agree(lines: list[bytes]) -> None:
    block = b"".join(line + b"\n" for line in lines)
    assert [block[start:end] for start, end in candidates(block)] == [
        line for line in lines if is_candidate(line)
    ]


@pytest.mark.parametrize("before", [0, 100, 799, 800, 801, 999])
@pytest.mark.parametrize("length", [LONG_LINE - 1, LONG_LINE])
def test_a_long_line_is_found_wherever_it_begins(before: int, length: int) -> None:
    block = b"x" * before + b"\n" + b"y" * length + b"\n" + b"z\n" * 900
    found = [(before + 1, before + 1 + length)] if length >= LONG_LINE else []
    assert candidates(block) == found


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        (b"NOQUEUE: milter-reject: RCPT from", True),
        (b"to=<a>, status=bounced (x)", True),
        (b"to=<a>, status=sent (250 ok)", False),
        (b'to=<"status=sent"@x>, status=bounced (x)', True),
        (b"connect from x[192.0.2.1]", False),
        (b"", False),
        (b"x" * (LONG_LINE - 1), False),
        (b"x" * LONG_LINE, True),
    ],
)
def test_named_lines(line: bytes, wanted: bool) -> None:
    assert is_candidate(line) is wanted
