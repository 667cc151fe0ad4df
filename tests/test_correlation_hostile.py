"""Privacy, hostile text and defects of ours in what earlier lines told."""

import pytest

from service.core.privacy import Policy, Privacy, Treatment
from tests.correlation_house import (
    ACTIVE,
    BEGUN,
    EXPIRED,
    House,
    decoded,
    to,
)

HIDDEN = ("qsender", "q-name", "192.0.2.77", "qlogin", "qid", "alice", "bob", "carol")


def test_privacy_holds_for_what_earlier_lines_told() -> None:
    policy = Policy(
        sender=Treatment.DROP,
        recipient=Treatment.DROP,
        client=Treatment.DROP,
        sasl_username=Treatment.DROP,
        message_id=Treatment.DROP,
        keeps_raw=False,
        key=b"k" * 32,
    )
    texts = {
        name: f"host mx said: 450 <{name}@r.example> wait, qsender@s.example" for name in HIDDEN
    }
    lines = [
        *BEGUN,
        *(to(name, "deferred", texts[name]) for name in ("alice", "bob", "carol")),
        ACTIVE,
        to("alice", "sent", "250 ok <alice@r.example>"),
        to("bob", "bounced", texts["bob"]),
        EXPIRED,
    ]
    hidden, plain = House(Privacy(policy)), House()
    envelopes = hidden.take(*lines) + hidden.end()
    before = plain.take(*lines) + plain.end()
    assert [e.event_type for e in envelopes] == [e.event_type for e in before]
    assert [e.event_type for e in envelopes].count("resolved") == 3
    for envelope, shown in zip(envelopes, before, strict=True):
        text = f"{envelope.body.decode()} {envelope.header_lines} {envelope.subject}".lower()
        assert [word for word in HIDDEN if word in text] == []
        assert [word for word in HIDDEN if word in shown.body.decode()]
        assert envelope.message_id != shown.message_id, "keyed"
    assert len({envelope.message_id for envelope in envelopes}) == len(envelopes)


_FAKE = "4FFFFF11F: client=evil.example[192.0.2.66]"


_CONTENT = f"header Subject: x?{_FAKE} from local; from=<a> to=<b>"


_HELO = f"NOQUEUE: reject: HELO from x[192.0.2.1]: 501 5.5.2 <{_FAKE}>: no; helo=<{_FAKE}>"


_LOGIN = f"client=x[192.0.2.1], sasl_username=\n<22>Aug 22 10:00:00 mx1 postfix/smtpd[1]: {_FAKE}"


@pytest.mark.parametrize(
    "line",
    [
        f"postfix/cleanup[2]: 4ABCDE12F: reject: {_CONTENT}: 5.7.1 no",
        f"postfix/cleanup[2]: 4ABCDE12F: warning: {_CONTENT}",
        f"postfix/cleanup[2]: 4ABCDE12F: message-id=<x> {_FAKE}",
        f"postfix/smtpd[1]: {_HELO}",
        f"postfix/smtpd[1]: warning: {_FAKE}",
        f"postfix/smtpd[1]: connect from x[192.0.2.1] {_FAKE}",
        f"postfix/smtpd[1]: 4ABCDE12F: {_LOGIN}",
        f"dovecot: {_FAKE}",
    ],
)
def test_what_a_line_quotes_tells_of_no_other_message(line: str) -> None:
    house = House()
    house.take(line)
    [event] = decoded(house.take(to("a", "deferred").replace("4ABCDE12F", "4FFFFF11F")))
    assert event.message.context == "none"


class _Defective(bytes):
    """A line on which our own code goes wrong, the first time."""

    calls = 0

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        if encoding == "latin-1":  # the search for markers; any bytes give a text then
            return super().decode(encoding, errors)
        self.calls += 1
        if self.calls == 1:
            raise RuntimeError("a defect of ours")
        return super().decode(encoding, errors)


class TestDefect:
    def test_a_defect_in_a_line_that_tells_costs_a_dead_letter_and_no_other_line(self) -> None:
        house = House()
        house.take(*BEGUN, to("a", "deferred"))
        sent = _Defective(b"<22>2026-08-22T09:30:00.5Z mx1 " + to("a", "sent").encode())
        [letter] = decoded(house.take(sent))
        assert (letter.event_type, letter.reason, letter.raw_bytes) == (
            "invalid",
            "parser_failed",
            sent,
        )
        [event] = decoded(house.take("postfix/postsuper[9]: 4ABCDE12F: removed"))
        assert (event.outcome, event.recipient) == ("removed", "a@r.example")


def test_a_defect_in_a_line_that_waited_takes_no_other_with_it() -> None:
    house = House(removal_wait=60, notice_wait=60)
    removed = "postfix/qmgr[3]: 4ABCDE12F: removed"
    for queue_id in ("12F", "13A"):
        lines = [*BEGUN, to("a", "deferred"), removed]
        assert len(house.take(*(line.replace("12F", queue_id) for line in lines))) == 1
    queued = house.correlation.correlator.attempts.queued
    queued.put(next(iter(queued.entries)), b"no stamp")  # as our own code never writes
    letter, event = decoded(house.end())
    assert (letter.event_type, letter.reason) == ("invalid", "parser_failed")
    assert (event.outcome, event.queue_id) == ("removed", "4ABCDE13A")
    assert house.correlation.held == 0


def test_a_notice_that_cannot_be_right_takes_no_bounce_with_it() -> None:
    """All that waited for it were gone, and nothing told of them."""
    house = House(notice_wait=60)
    assert house.take(*BEGUN, to("a", "bounced"), to("b", "bounced")) == []
    notified = "postfix/bounce[5]: 4ABCDE12F: sender non-delivery notification: "
    [letter] = decoded(house.take(notified + "5F" * 17))
    assert (letter.event_type, letter.reason) == ("invalid", "parser_failed")
    assert house.correlation.held == 2
    notices = decoded(house.take(notified + "5F00112233"))
    assert [event.notice.queue_id for event in notices] == ["5F00112233"] * 2


@pytest.mark.parametrize(
    ("stamp", "waits"),
    [
        ("2026-08-22T09:00:03.5Z", True),
        ("2026-08-22T11:00:04.499999+02:00", True),
        ("2026-08-22T09:00:04.5Z", False),
        ("2026-08-22T09:00:05.5Z", False),
        # It may be of another hour.
        ("2026-08-22T09:00:03.5", False),
        ("Aug 22 09:00:03", False),
    ],
)
def test_a_bounce_waits_on_when_an_older_line_comes_again(stamp: str, waits: bool) -> None:
    house = House(notice_wait=60)
    assert house.take(*BEGUN, to("a", "bounced")) == []  # at 09:00:04.5Z
    made = house.take(f"<22>{stamp} mx1 postfix/qmgr[3]: 4ABCDE12F: removed".encode())
    assert (len(made), len(house.end())) == ((0, 1) if waits else (1, 0))
