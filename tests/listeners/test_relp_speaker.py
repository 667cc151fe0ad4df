"""How blocks are divided, so that no frame waits for another's events."""

from hypothesis import given
from hypothesis import strategies as st

from service.core.framing.base import Block, Frame, flatten
from service.core.postfix.markers import LONG_LINE, candidates, is_candidate
from service.listeners.relp_speaker import split
from tests.metric_values import assert_balanced
from tests.sample_lines import NOW, ORIGIN, pipeline

LINES = st.sampled_from(
    [
        b"",
        b"<22>mx postfix/smtp[1]: 4A: to=<a@b>, status=sent (ok)",
        b"<22>mx postfix/smtp[1]: 4A: to=<a@b>, status=bounced (no)",
        b"<22>mx postfix/smtpd[1]: NOQUEUE: reject: RCPT from x",
        b"x" * LONG_LINE,
        b"x" * (LONG_LINE + 1),
        b"reject: ",
        b"postfix/smtpd[1]: NOQUEUE: reject: RCPT from x",
    ]
)


@given(st.lists(LINES, min_size=1, max_size=12))
def test_all_lines_in_order_and_what_may_give_events_alone(lines: list[bytes]) -> None:
    block = Block(b"\n".join((*lines, b"")), len(lines))
    pieces = list(split(block))
    divided = [piece.data for piece in flatten(pieces) if isinstance(piece, Frame)]
    assert divided == lines
    for piece in pieces:
        if isinstance(piece, Block):
            assert piece.count == piece.data.count(b"\n") > 0
            assert piece.has_no_candidate
            assert not candidates(piece.data)
        else:
            assert isinstance(piece, Frame)
            assert piece.is_candidate
            assert is_candidate(piece.data)


@given(st.lists(LINES, min_size=1, max_size=12))
def test_what_is_divided_is_counted_as_the_whole(lines: list[bytes]) -> None:
    block = Block(b"\n".join((*lines, b"")), len(lines))
    whole, whole_metrics = pipeline()
    divided, divided_metrics = pipeline()
    expected = [envelope.message_id for envelope in whole.process([block], ORIGIN, NOW)]
    found = divided.process(list(split(block)), ORIGIN, NOW)
    assert [envelope.message_id for envelope in found] == expected
    assert divided_metrics.balance() == whole_metrics.balance()
    assert_balanced(divided_metrics)
