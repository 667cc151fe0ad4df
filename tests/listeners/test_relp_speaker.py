"""How blocks are divided, so that no frame waits for another's events."""

from hypothesis import given
from hypothesis import strategies as st

from service.core.framing.base import Block, flatten
from service.core.postfix.markers import LONG_LINE, candidates
from service.listeners.relp_speaker import split

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
    assert list(flatten(pieces)) == list(flatten([block]))
    for piece in pieces:
        if isinstance(piece, Block):
            assert piece.count == piece.data.count(b"\n") > 0
            assert not candidates(piece.data)
