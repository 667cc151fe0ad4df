"""Tag, severity word, queue id and folded repeats decide before any shape does."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from service.core.outcomes import Malformed, Skip
from service.core.postfix import LONG_LINE
from service.core.postfix.facts import Record
from service.core.postfix.result import Failure, Unparsed
from tests.core.postfix.lines import delivery, failure, read, reject
from tests.strategies_postfix import PIECES

REFUSED = (
    "NOQUEUE: reject: RCPT from unknown[192.0.2.66]: 554 5.7.1 <r@x.example>: Relay access denied; "
    "from=<s@y.example> to=<r@x.example> proto=ESMTP helo=<h.example>"
)
BOUNCED = (
    "4ABCDE12F: to=<r@x.example>, relay=local, delay=0.1, delays=0.1/0/0/0, dsn=5.1.1, "
    'status=bounced (unknown user: "r")'
)


@pytest.mark.parametrize(
    ("tag", "instance", "daemon"),
    [
        ("postfix/smtpd", "postfix", "smtpd"),
        ("postfix/submission/smtpd", "postfix", "smtpd"),
        ("postfix-out/smtp", "postfix-out", "smtp"),
        ("postfix-in/a/b/cleanup", "postfix-in", "cleanup"),
        ("mx-inbound/smtpd", "mx-inbound", "smtpd"),
        ("postfix/some-wrapper", "postfix", "some-wrapper"),
        ("postfix", "postfix", None),
        ("postfix-out", "postfix-out", None),
        ("postfix/", "postfix", None),
    ],
)
def test_postfix_tags(tag: str, instance: str, daemon: str | None) -> None:
    assert failure(REFUSED, tag).record == Record(tag, instance, daemon, None)
    assert failure(BOUNCED, tag).record == Record(tag, instance, daemon, "4ABCDE12F")


@pytest.mark.parametrize(
    "tag", ["dovecot", "amavis", "", "smtpd", "opendkim", "dovecot/imap", "x/postfix", "Postfix"]
)
def test_other_programs(tag: str) -> None:
    assert read(REFUSED, tag) is Skip.NOT_POSTFIX


@pytest.mark.parametrize("word", ["warning", "error", "fatal", "panic"])
def test_no_line_with_a_severity_word_is_a_failure(word: str) -> None:
    assert read(f"{word}: {REFUSED}") is Skip.NOT_A_FAILURE
    assert read(f"{word}: {BOUNCED}") is Skip.NOT_A_FAILURE
    assert read(f"{word}: 4ABCDE12F: reject: no shape at all") is Skip.NOT_A_FAILURE


@pytest.mark.parametrize(
    "text",
    [
        # 3.5: cleanup refuses without the word
        "4ABCDE12F: message rejected: hopcount exceeded",
        "4ABCDE12F: message rejected: missing sender envelope record",
        "4ABCDE12F: queue file size limit exceeded",
        "4ABCDE12F: write queue file: No space left on device",
        "4ABCDE12F: virtual_alias_maps map lookup problem for x -- reject: not accepted, try later",
        "4ABCDE12F: unreasonable virtual_alias_maps map expansion size for x -- not accepted",
        "4ABCDE12F: read timeout on cleanup socket",
        "4ABCDE12F: bounce message failure",
        # 3.8: at the door without a `reject:` line
        "x.example[192.0.2.1]: SASL LOGIN authentication failed: status=deferred (",
        "Connection rate limit exceeded: 31 from x.example[192.0.2.1] for service smtp",
        "Illegal address syntax from x[192.0.2.1] in RCPT command: <NOQUEUE: reject: RCPT from x>",
        "non-SMTP command from x[192.0.2.1]: NOQUEUE: reject: RCPT from y[192.0.2.2]: 554 z",
        'proxy 127.0.0.1:10025 rejected "RCPT TO:<b@x.example>": "550 5.1.1 no such user"',
        "reject: RCPT from x[192.0.2.1]: 554 5.7.1 no; proto=SMTP",
        "reject: ETRN from x[192.0.2.1]",
        "4ABCDE12F: reject: ETRN x.example... from y[192.0.2.1]",
    ],
)
def test_warnings_are_no_failures(text: str) -> None:
    assert read(f"warning: {text}") is Skip.NOT_A_FAILURE


@pytest.mark.parametrize(
    "queue_id",
    ["1E2401C0002", "4hRGXZ0sf8zFpTZ", "123450987", "0E1234567890", "1E2401", "48rT2v1hQrz1J0N"],
)
def test_queue_ids_stay_strings(queue_id: str) -> None:
    assert failure(BOUNCED.replace("4ABCDE12F", queue_id)).record.queue_id == queue_id
    assert failure(REFUSED.replace("NOQUEUE", queue_id)).record.queue_id == queue_id


@pytest.mark.parametrize(
    ("wrapped", "repeats"),
    [
        (f"message repeated 2 times: [ {REFUSED}]", 2),
        (f"message repeated 3 times: [{REFUSED}]", 3),
        (f"message repeated 0 times: [ {REFUSED}]", 1),
        (f"message repeated 1000000 times: [ {REFUSED}]", 1000),
        (f"message repeated 2 times: [ {REFUSED}", 2),
    ],
)
def test_folded_repeats(wrapped: str, repeats: int) -> None:
    once = failure(REFUSED)
    assert failure(wrapped) == Failure(once.record, once.facts, repeats)


def test_repeats_fold_deliveries_and_warnings_alike() -> None:
    assert failure(f"message repeated 4 times: [ {BOUNCED}]").repeats == 4
    folded = "message repeated 2 times: [ warning: 4ABCDE12F: reject: x]"
    assert read(folded) is Skip.NOT_A_FAILURE
    # Only once: a text that goes on like that is not Postfix's.
    twice = f"message repeated 2 times: [ message repeated 2 times: [ {REFUSED}]]"
    assert read(twice) is Skip.NOT_A_FAILURE


@pytest.mark.parametrize("end", [" ", "\n", "\r\n", "  \t"])
def test_white_space_at_the_end_does_not_matter(end: str) -> None:
    assert failure(REFUSED + end) == failure(REFUSED)
    assert failure(BOUNCED + end) == failure(BOUNCED)


@pytest.mark.parametrize(
    "text",
    [
        "NOQUEUE: reject: Unsupported",
        "reject: nothing known",
        "NOQUEUE: milter-reject: of a new form",
        "4ABCDE12F: tls-reject: RCPT from x[192.0.2.1]: 554 no; proto=SMTP",
        "proxy-reject: ; from=<a@b>",
        "NOQUEUE: abort: TLS without a client",
        "4ABCDE12F: reject: header-like but not",
        "4ABCDE12F: envelope status=bounced (for a new reason)",
        "4ABCDE12F: quarantine: by reject: of something new",
        "4ABCDE12F: from=<a@b.example>, status=frozen, kept",
        "4ABCDE12F: status=expired (x)",
        "4ABCDE12F: to=<a@b.example>, relay=none, delay=1, dsn=4.0.0, status=postponed (why)",
        "4ABCDE12F: to=<no@address at all>, relay=none, delay=1, dsn=4.0.0, status=deferred (why)",
        "4ABCDE12F: a@b.example, relay=none, delay=1, status=deferred (no field name)",
        "ab-cdef: to=<a@b.example>, relay=none, delay=1, dsn=5.1.1, status=bounced (an id unknown)",
        "{id}: to=<a@b.example>, relay=none, delay=1, dsn=4.0.0, status=deferred (an id unknown)",
        "<id>: reject: RCPT from x[192.0.2.1]: 554 5.7.1 no; proto=SMTP",
    ],
)
def test_unknown_shapes_are_kept(text: str) -> None:
    parsed = read(text)
    assert isinstance(parsed, Unparsed), parsed
    assert parsed.reason is Malformed.UNKNOWN_SHAPE
    assert parsed.record is not None
    assert parsed.record.queue_id == ("4ABCDE12F" if text.startswith("4") else None)


def test_the_long_line_bound_is_part_of_the_interface() -> None:
    assert LONG_LINE == 1000


_WORDS = st.sampled_from(
    (
        *PIECES, "NOQUEUE: ", "4ABCDE12F: ", "reject: ", "milter-reject: ", "RCPT from ",
        "EHLO from ", "connect from ", "x[192.0.2.1]: ", "[192.0.2.1]:25: ", "header ",
        "mime-error x: ", "to=<",
        "from=<", "relay=none, ", "delay=1, ", "status=", "deferred", "warning: reject: ",
        "abort: ",
        "ETRN x... from ", "message repeated 3 times: [ ", "]", "TLS from ", "helo=<", "550 5.7.1 ",
        "proxy-reject: END-OF-MESSAGE: ", "\ud800", "\u0661", "\x00", "from local; ", "dsn=",
    )
)  # fmt: skip


@given(
    st.lists(_WORDS, max_size=14).map("".join) | st.text(),
    st.sampled_from(["postfix/smtpd", "postfix", "postfix/cleanup", "postfix/postscreen", "x"]),
    st.booleans(),
)
@example("", "postfix/smtpd", False)
@example(")", "postfix/smtpd", True)
@example("x" * 100_000, "postfix/smtpd", False)
@example("4ABCDE12F: to=<" + "é" * 5_000, "postfix/smtp", False)
@example("message repeated 99999999999999999999 times: [ ", "postfix/smtpd", False)
def test_no_text_raises(text: str, tag: str, truncated: bool) -> None:
    assert isinstance(read(text, tag, truncated=truncated), Failure | Unparsed | Skip)


@given(st.sampled_from([REFUSED, BOUNCED]), st.data())
def test_no_cut_raises_or_takes_the_wrong_kind(text: str, data: st.DataObject) -> None:
    short = text[: data.draw(st.integers(0, len(text)))]
    parsed = read(short, truncated=True)
    if isinstance(parsed, Failure):
        assert type(parsed.facts) is type(failure(text).facts)


def test_over_long_texts_are_cut_and_say_so() -> None:
    long = delivery(BOUNCED[:-1] + "x" * 20_000 + ")")
    assert long.truncated
    assert len(long.response) < 8192
    assert reject(f"{REFUSED}{'x' * 20_000}").truncated
