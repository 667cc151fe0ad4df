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
    assert lines().publish(message, "7") == (
        b"HPUB postfix.bounced.mx1 _INBOX.abc.7 %d %d\r\n%b" % (len(block), len(block) + 2, block)
    )
    assert header_size(message) == len(block)


@pytest.mark.parametrize(
    "subject", ["", "a b", "a\r\nPUB x 0\r\n", "a\tb", "a\x00", "postfix.\udcff"]
)
def test_a_subject_that_would_break_the_line(subject: str) -> None:
    with pytest.raises(ValueError, match=r"no NATS subject|surrogates not allowed") as raised:
        lines().publish(envelope(1, subject), "1")
    assert not isinstance(raised.value, UnicodeError)  # which would be said of its headers


def test_a_header_that_is_not_ascii() -> None:
    with pytest.raises(UnicodeError):
        lines().publish(with_headers("ce-source: \udcff"), "1")


def test_subjects_are_remembered_within_a_bound() -> None:
    ours = lines()
    for number in range(5000):
        ours.publish(envelope(1, f"postfix.bounced.mx{number}"), "1")
    assert b" _INBOX.abc.2 " in ours.publish(envelope(1, "postfix.bounced.mx1"), "2")
    assert len(ours._starts) <= 4096


def answer(token: bytes, sequence: int, sid: bytes = b"2") -> bytes:
    data = GOOD + b'"seq":%d}' % sequence
    return b"MSG _INBOX.abc.%b %b %d\r\n%b\r\n" % (token, sid, len(data), data)


def test_answers_of_every_form_one_after_the_other_and_together() -> None:
    ours = lines()
    each = [answer(b"%d" % digits, 10**digits) for digits in range(1, 200)]
    told = [(f"{digits}", False) for digits in range(1, 200)]
    for data, one in zip(each, told, strict=True):
        assert ours.read(data) == ([one], b"")
        assert ours.read(data) == ([one], b"")
    assert ours.read(b"".join(each)) == (told, b"")


@pytest.mark.parametrize("token", [b"", b"+1", b"1_0", b"no", b"9" * 19])
def test_what_is_no_token_is_left_to_others(token: bytes) -> None:
    data = answer(token, 1)
    assert lines().read(data) == ([], data)
    both = answer(b"5", 1) + data
    assert lines().read(both) == ([("5", False)], data)


def test_another_form_of_the_same_length() -> None:
    ours = lines()
    assert ours.read(answer(b"1", 1, b"2") + answer(b"12", 1, b"3")) == (
        [("1", False), ("12", False)],
        b"",
    )


@pytest.mark.parametrize("read_before", [True, False])
def test_an_answer_that_only_ends_like_one(read_before: bool) -> None:
    """What came before tells how an answer ends, and nothing of what it says at its beginning."""
    ours = lines()
    one = answer(b"1", 1)
    if read_before:
        ours.read(one)
    other = b'{"error":"%b"}' % one[len(b"MSG _INBOX.abc.1") :]
    data = b"MSG _INBOX.abc.1 2 %d\r\n%b\r\n" % (len(other), other)
    assert ours.read(data) == ([], data)
    cut = data[: data.rindex(b'"}')]  # so far it ends as the one before did
    assert ours.read(cut) == ([], cut)


def test_what_stands_behind_an_answer_is_given_back_and_says_nothing_of_it() -> None:
    ours = lines()
    other = b'MSG news 4 13\r\n"duplicate": 1\r\n'
    for _ in range(2):
        assert ours.read(answer(b"1", 1) + other + answer(b"2", 1)) == (
            [("1", False)],
            other + answer(b"2", 1),
        )
    cut = answer(b"3", 1)[:-1]
    assert ours.read(cut) == ([], cut)
    assert ours.read(answer(b"3", 1)) == ([("3", False)], b"")
