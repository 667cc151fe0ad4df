"""What is taken apart by looking where things stand is what a pattern and the parser make of it."""

from time import process_time

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from service.core.correlate.skim import Skimmer
from service.core.correlate.trace import FROM, TO, Trace, Traces, told_by
from tests.core.correlate.telling import LINES, NOTHING, PROXIED
from tests.core.syslog.forms import FORMS, ZONE
from tests.strategies import RECEIVED_AT, LogLine, log_lines

PEER = "192.0.2.250"


def alone(line: bytes, traces: Traces) -> Trace | None:
    """What a line tells, by the pattern."""
    told = told_by(line)
    _, stamp, _, _, opening, _ = told
    return None if stamp and not opening else traces.read(told, RECEIVED_AT, PEER)


def skimmed(skimmer: Skimmer, traces: Traces, lines: list[bytes]) -> list[Trace]:
    """What these lines tell; where the skimmer cannot say it, by the pattern."""
    told = skimmer.lines(b"".join(line + b"\n" for line in lines))
    traced = (alone(line, traces) if trace is None else trace for line, trace in told)
    return [trace for trace in traced if trace is not None]


def searched(traces: Traces, lines: list[bytes]) -> list[Trace]:
    """What these lines tell by the way that is quicker as Python."""
    found = traces.lines(b"".join(line + b"\n" for line in lines), RECEIVED_AT, PEER)
    assert all(trace == alone(line, traces) for line, trace in found)
    return [trace for _, trace in found if trace is not None]


def check(lines: list[bytes]) -> None:
    traces = Traces(ZONE)
    skimmer = Skimmer(traces)
    told = [trace for line in lines if (trace := alone(line, Traces(ZONE))) is not None]
    # The second time what the first one taught is known.
    for _ in range(2):
        assert skimmed(skimmer, traces, lines) == told
        assert searched(traces, lines) == told


HEADS = (
    b"<22>Aug 22 10:00:00 mx1 postfix/x[1]: ",
    b"<22>2026-08-22T10:00:00.1Z mx1 postfix/x[1]: ",
    b"<22>2026-08-22T10:00:00.123456+02:00 mx1 postfix/x[1]: ",
    b"<6>2026-08-22T10:00:00.123456+02:00 mx1 postfix/x[1]: ",
    b"2026-08-22T10:00:00+02:00 mx1 postfix-out/smtp[4194304]: ",
    b"<22>2026-08-22T10:00:00+02:00 m\xffx dovecot[12]: ",
)
PIECES = st.one_of(
    st.sampled_from(
        [
            *(head[:at] for head in HEADS for at in (4, 11, 15, 16, 20, 21, -6, -2, -1, None)),
            *(line.encode() for line in (*LINES.values(), PROXIED, *NOTHING)),
            *(b"4ABCDE12F", b": ", b":", b" ", b"from=", b"removed", b"NOQUEUE: ", b"\xef\xbb\xbf"),
            *(b"[", b"]", b"]: ", b"[77777777]: ", b"7", b".", b"+02:00 ", b"Z "),
            *(b"\r", b"\0", b"\x0b", b"\x0c", b"\x1c", b"\x85", b"\xe2\x80\xa8", b"y" * 2050),
        ]
    ),
    st.binary(max_size=3),
)
"""Parts of lines, so that one ends wherever it may and the next begins with what it lacked; and all
that looks like the end of a line and is none."""
ANY_LINES = st.lists(
    st.lists(PIECES, max_size=6).map(lambda parts: b"".join(parts).replace(b"\n", b"?")),
    max_size=8,
)


@given(ANY_LINES)
@example([HEADS[0][:-2], LINES[FROM].encode()])
@example([HEADS[0] + b"4ABCDE12F: removed", b"", HEADS[1]])
@example([HEADS[0] + b"4ABCDE12F: removed", HEADS[0][:-4] + b"]4ABCDE12F: removed"])
@example([HEADS[2] + b"4ABCDE12F: removed", b"<22>2026-08-22T10:00:00.12345x+02:00 mx1 a[1]: b"])
def test_a_text_tells_what_its_lines_tell(lines: list[bytes]) -> None:
    check(lines)


@given(st.lists(st.tuples(st.sampled_from(HEADS), st.lists(PIECES, max_size=3))))
def test_whatever_stands_behind_a_header_known_before(
    lines: list[tuple[bytes, list[bytes]]],
) -> None:
    check([head + b"".join(rest).replace(b"\n", b"?") for head, rest in lines])


@given(st.lists(st.tuples(st.sampled_from(sorted(FORMS)), log_lines), max_size=5))
def test_lines_with_headers_of_every_form(lines: list[tuple[str, LogLine]]) -> None:
    check([FORMS[form].render(line).replace("\n", "?").encode() for form, line in lines])


@pytest.mark.parametrize("head", HEADS[:5])
@pytest.mark.parametrize("line", LINES.values())
def test_a_line_like_one_before_needs_no_pattern(head: bytes, line: str) -> None:
    skimmer = Skimmer(Traces(ZONE))
    text = head + line.encode()
    [(_, first), (_, second)] = skimmer.lines(text + b"\n" + text + b"\r\n")
    assert first == second == alone(text, Traces(ZONE))
    assert first is not None


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("line", ["connect from x[192.0.2.1]", "", "warning: 4ABCDE12F: removed"])
def test_a_line_that_tells_nothing_is_left_out(head: bytes, line: str) -> None:
    skimmer = Skimmer(Traces(ZONE))
    text = head + line.encode() + b"\n"
    assert skimmer.lines(text + text) == []


def test_what_is_not_postfix_tells_nothing() -> None:
    assert Skimmer(Traces(ZONE)).lines(HEADS[5] + LINES[TO].encode() + b"\n") == []


def test_clocks_that_do_not_agree_do_not_forget_each_other() -> None:
    skimmer = Skimmer(Traces(ZONE))
    line = b"<22>2026-08-22T10:00:%02d.123456+02:00 mx1 postfix/x[1]: 4ABCDE12F: removed\n"
    seconds = [line % second for second in range(8)]
    skimmer.lines(b"".join(seconds))
    assert all(trace is not None for _, trace in skimmer.lines(b"".join(seconds * 4)))


def test_forms_that_take_turns_are_left_to_the_pattern() -> None:
    """To learn a form costs more than that. Each of the first eight lines is learned from, and the
    form of the last of them stays."""
    lines = [head + b"4ABCDE12F: removed\n" for head in HEADS[1:3]] * 20
    told = Skimmer(Traces(ZONE)).lines(b"".join(lines))
    assert len(told) == 40
    assert [trace is None for _, trace in told] == [False] * 8 + [True, False] * 16


@pytest.mark.parametrize(
    "line",
    [
        HEADS[0][:-2] + b"x:" * 50_000,
        HEADS[0] + b" " * 100_000,
        HEADS[0] + LINES[TO].encode() + b": " * 50_000,
        HEADS[2][:-6] + b"7" * 100_000,
        b"4ABCDE12F: " * 10_000,
        b"<22>" * 25_000,
    ],
)
def test_no_line_is_gone_through_again_and_again(line: bytes) -> None:
    """Ten times as many bytes take some ten times the work, and not a hundred times."""
    traces = Traces(ZONE)
    skimmer = Skimmer(traces)

    def seconds(text: bytes) -> float:
        def once() -> float:
            begun = process_time()
            skimmed(skimmer, traces, [text])
            searched(traces, [text])
            return process_time() - begun

        return min(once() for _ in range(5))

    skimmer.lines(b"".join(head + b"\n" for head in HEADS))
    assert seconds(line) < 40 * seconds(line[: len(line) // 10]) + 0.001


def test_many_lines_without_a_program_take_no_longer_each() -> None:
    """Its bracket is looked for in the line only."""
    skimmer = Skimmer(Traces(ZONE))

    def seconds(count: int) -> float:
        text = b"<22>Aug 22 10:00:00 mx1 x\n" * count

        def once() -> float:
            begun = process_time()
            assert len(skimmer.lines(text)) == count
            return process_time() - begun

        return min(once() for _ in range(5))

    assert seconds(20_000) < 40 * seconds(2000) + 0.001
