"""plain_run: what it takes, and that it takes nothing that one by one would read otherwise."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.core.framing.base import Block, flatten
from service.core.framing.relp import RelpFramer
from service.core.framing.relp_run import plain_run
from tests.relp_wires import BOUND, frame, syslog

RUN = syslog(9, b"a") + b"10 syslog 0 \n" + syslog(11, b"c d  e") + syslog(12, b"\xff")


def test_a_run_is_its_lines() -> None:
    assert plain_run(RUN, 9, BOUND) == (b"a\n\nc d  e\n\xff\n", 4)


@pytest.mark.parametrize(
    "odd",
    [
        pytest.param(syslog(14, b"x"), id="out-of-sequence"),
        pytest.param(syslog(12, b"x"), id="number-twice"),
        pytest.param(b"013 syslog 1 x\n", id="leading-zero-in-the-number"),
        pytest.param(b"13 syslog 01 x\n", id="leading-zero-in-the-length"),
        pytest.param(b"1_3 syslog 1 x\n", id="not-a-number"),
        pytest.param(b"13 syslog +1 x\n", id="not-a-length"),
        pytest.param(b"13 syslog 2 x\n", id="length-too-large"),
        pytest.param(b"13 syslog 0 x\n", id="length-too-small"),
        pytest.param(b"13 syslog 0\n", id="no-space-after-the-length"),
        pytest.param(b"13  syslog 1 x\n", id="two-spaces"),
        pytest.param(b"\n", id="nothing"),
        pytest.param(frame(13, b"sysl0g", b"x"), id="another-command"),
        pytest.param(frame(13, b"close"), id="close"),
        pytest.param(syslog(13, b"x" * (BOUND + 1)), id="over-the-bound"),
        pytest.param(syslog(13, b"x\ny"), id="lf-inside"),
        pytest.param(syslog(13, b"13 syslog 1 x\n14 syslog 1 x"), id="frames-inside"),
        pytest.param(syslog(13, b"x\n"), id="lf-at-the-end"),
        pytest.param(syslog(13, b"x\r"), id="cr-at-the-end"),
        pytest.param(syslog(13, b"x\0y"), id="nul-inside"),
    ],
)
def test_one_odd_frame_and_there_is_no_run(odd: bytes) -> None:
    assert plain_run(RUN + odd, 9, BOUND) is None


@given(
    st.lists(st.one_of(st.binary(max_size=BOUND + 1), st.sampled_from([b"", b"1 syslog 1 x"]))),
    st.integers(1, 3),
)
def test_what_it_takes_reads_the_same_one_by_one(lines: list[bytes], first: int) -> None:
    wire = b"".join(syslog(number, line) for number, line in enumerate(lines, 1))
    framer = RelpFramer(BOUND)
    one_by_one = [item for byte in wire for item in framer.feed(bytes([byte]))]
    run = plain_run(wire, first, BOUND) if wire else None
    is_plain = first == 1 and all(
        0 < len(line) <= BOUND and not {*b"\n\0"} & {*line} and not line.endswith(b"\r")
        for line in lines
    )
    assert (run is not None) == (is_plain and bool(lines))
    if run is not None:
        assert list(flatten([Block(*run)])) == one_by_one
