"""Receivers that share what they know of one message, by what they hear of it."""

from datetime import UTC, datetime
from math import inf

from service.core.correlate.correlator import Correlator
from service.core.correlate.memory import Bounds, stamp_of
from service.core.correlate.shared import decode
from service.core.correlate.trace import queue_of, told_by
from service.core.correlate.waiting import Waiting
from service.core.postfix.facts import Delivery

HOST = "mx1.example.org"
QUEUE = queue_of(HOST, "postfix")
KEY = QUEUE.key("4ABCDE12F")
NOW = 1_800_000_000
AT = float(NOW)
CLIENT = "smtpd[1]: 4ABCDE12F: client=mail.example.net[192.0.2.10]"
MESSAGE_ID = "cleanup[2]: 4ABCDE12F: message-id=<1@example.net>"
ACTIVE = "qmgr[3]: 4ABCDE12F: from=<s@example.net>, size=1, nrcpt=1 (queue active)"


def correlator() -> Correlator:
    return Correlator(Bounds(1000, 1_000_000, 6 * 86_400), UTC, is_shared=True)


def note(
    here: Correlator, *lines: str, at: int = NOW, stamp: str = "2027-01-15T08:00:00.000000+00:00"
) -> None:
    for line in lines:
        raw = f"<22>{stamp} {HOST} postfix/{line}".encode()
        trace = here.traces.read(told_by(raw), datetime.fromtimestamp(at, UTC), "x")
        assert trace is not None
        here.hear(trace, stamp_of(at))


def delivery(recipient: str = "r@example.com") -> Delivery:
    return Delivery(
        kind="deferred",
        status="deferred",
        recipient=recipient,
        original_recipient=None,
        relay=None,
        delay=3.0,
        delays=None,
        enhanced_code="4.4.1",
        response="timed out",
        remote_reply=None,
    )


def fail(
    here: Correlator, at: float = AT, name: str = "id", recipient: str = "r@example.com"
) -> int:
    """Gives the attempts counted."""
    story = here.story(QUEUE, KEY)
    attempt = here.attempts.deferred(KEY, story, delivery(recipient), at, name)
    assert attempt is not None
    here.attempts.keep(KEY, attempt.waiting, int(at))
    return attempt.waiting.attempts


def end(here: Correlator, facts: Delivery, at: float) -> Waiting | None:
    return here.attempts.ended(KEY, facts, at, f"end of {facts.recipient} at {at}", NOW)


def all_end(here: Correlator) -> list[Waiting]:
    return here.attempts.all_ended(KEY, inf, "end of all", NOW)


def tell(one: Correlator, other: Correlator) -> bool:
    """True: the other knows more."""
    return other.exchange.learn(KEY, decode(one.exchange.export(KEY)), NOW)
