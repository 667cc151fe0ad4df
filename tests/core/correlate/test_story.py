"""What a story is read from: the same by fixed words as by the pattern they stand for."""

import re
from datetime import UTC

from hypothesis import example, given
from hypothesis import strategies as st

from service.core.correlate.memory import stamp_of
from service.core.correlate.records import (
    ACTIVE_RECORD,
    CLIENT_RECORD,
    LONGEST_RECORD,
    SEPARATOR,
)
from service.core.correlate.story import Story, read_story

_ACTIVE = re.compile(r"<(.*)>, size=([0-9]{1,18}), nrcpt=([0-9]{1,9})\Z", re.DOTALL)
_STAMP = b"2026-08-22T10:00:00.000007+02:00"
_PIECES = st.sampled_from(
    [
        *("<", ">", "a@x", ">, size=", ", size=", ", nrcpt=", "", " ", ","),
        *("7", "7" * 9, "7" * 10, "8" * 18, "8" * 19, "\u0663", "\u00b2", "+7", "7_7"),
    ]
)


def story_of(*records: bytes) -> Story:
    return read_story(stamp_of(1_787_000_000) + b"".join(records), UTC)


def client_of(text: str) -> Story:
    return story_of(CLIENT_RECORD + _STAMP + SEPARATOR + text.encode())


@given(
    st.lists(_PIECES, max_size=8).map("".join)
    | st.tuples(
        st.just("<"), _PIECES, st.just(">, size="), _PIECES, st.just(", nrcpt="), _PIECES
    ).map("".join)
)
@example('<"x>, size=1, nrcpt=1"@x>, size=2, nrcpt=3')
def test_what_qmgr_said(text: str) -> None:
    match = _ACTIVE.match(text)
    wanted = (None, None, None) if match is None else (match[1], int(match[2]), int(match[3]))
    begun = story_of(CLIENT_RECORD + _STAMP + SEPARATOR, ACTIVE_RECORD + text.encode())
    assert (begun.sender, begun.size, begun.recipients) == wanted
    # Without its beginning this may be a later try, with fewer recipients.
    later = story_of(ACTIVE_RECORD + text.encode())
    assert (later.sender, later.size, later.recipients) == (*wanted[:2], None)


def test_a_client_that_comes_again_is_read_as_the_first_time() -> None:
    for text in (
        "q.example[192.0.2.77]",
        "unknown[unknown]",
        "q.example[192.0.2.77]:25, sasl_username=anna",
        "q.example[192.0.2.77], orig_queue_id=4ABCDE12F, orig_client=c.example[192.0.2.8]",
        "no client",
        "q.example[192.0.2.77]" + "," * LONGEST_RECORD,
    ):
        first, again = client_of(text), client_of(text)
        told = (first.client, first.sasl_username, first.origin_queue_id, first.queued_at)
        assert (again.client, again.sasl_username, again.origin_queue_id, again.queued_at) == told
    assert told[0] == ("q.example", "192.0.2.77", None)


def test_clients_beyond_what_is_remembered() -> None:
    for number in range(5000):
        client = client_of(f"c{number}.example[192.0.2.77]").client
        assert client == (f"c{number}.example", "192.0.2.77", None)
