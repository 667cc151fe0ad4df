"""Lines for the server to the byte, and answers of it that are read in part."""

import pytest

from service.core.envelope import Envelope
from service.nats.answer import good_start
from service.nats.lines import Lines, header_size
from tests.nats.world import envelope

INBOX = "_INBOX.abc."
GOOD = good_start("POSTFIX")


def lines() -> Lines:
    return Lines(INBOX, GOOD)


def with_headers(header_lines: str) -> Envelope:
    return Envelope("postfix.bounced.mx1", "id1", "bounced", b"{}", header_lines)


@pytest.mark.parametrize(
    ("header_lines", "block"),
    [
        ("ce-id: id1", b"NATS/1.0\r\nNats-Msg-Id: id1\r\nce-id: id1\r\n\r\n"),
        ("", b"NATS/1.0\r\nNats-Msg-Id: id1\r\n\r\n"),
    ],
)
def test_a_line_is_what_the_protocol_asks_for(header_lines: str, block: bytes) -> None:
    message = with_headers(header_lines)
    assert lines().publish(message, 7) == (
        b"HPUB postfix.bounced.mx1 _INBOX.abc.7 %d %d\r\n%b" % (len(block), len(block) + 2, block)
    )
    assert header_size(message) == len(block)


@pytest.mark.parametrize(
    "subject", ["", "a b", "a\r\nPUB x 0\r\n", "a\tb", "a\x00", "postfix.\udcff"]
)
def test_a_subject_that_would_break_the_line(subject: str) -> None:
    with pytest.raises(ValueError, match=r"no NATS subject|surrogates not allowed") as raised:
        lines().publish(envelope(1, subject), 1)
    assert not isinstance(raised.value, UnicodeError)  # which would be said of its headers


def test_a_header_that_is_not_ascii() -> None:
    with pytest.raises(UnicodeError):
        lines().publish(with_headers("ce-source: \udcff"), 1)


def test_subjects_are_remembered_within_a_bound() -> None:
    ours = lines()
    for number in range(5000):
        ours.publish(envelope(1, f"postfix.bounced.mx{number}"), 1)
    assert b" _INBOX.abc.2 " in ours.publish(envelope(1, "postfix.bounced.mx1"), 2)
    assert len(ours._starts) <= 4096


def answer(token: bytes, sequence: int, sid: bytes = b"2") -> bytes:
    data = GOOD + b'"seq":%d}' % sequence
    return b"MSG _INBOX.abc.%b %b %d\r\n%b\r\n" % (token, sid, len(data), data)


def test_forms_of_answers_are_remembered_within_a_bound() -> None:
    ours = lines()
    for digits in range(1, 200):
        data = answer(b"1", 10**digits)
        assert ours.read(data) == ([(1, False)], b"")
        assert ours.read(data) == ([(1, False)], b"")
    assert len(ours._forms) <= 64


@pytest.mark.parametrize("token", [b"", b"+1", b"1_0", b"no", b"9" * 19])
def test_what_is_no_token_is_left_to_others(token: bytes) -> None:
    data = answer(token, 1)
    assert lines().read(data) == ([], data)
    both = answer(b"5", 1) + data
    assert lines().read(both) == ([(5, False)], data)


def test_another_form_of_the_same_length() -> None:
    ours = lines()
    assert ours.read(answer(b"1", 1, b"2"))[0] == [(1, False)]
    data = answer(b"1", 1, b"3")
    assert ours.read(data) == ([], data)
