"""Expiry, a bounce that failed, and the correlation lines that imitate them."""

import pytest

from service.core.outcomes import Skip
from service.core.postfix.facts import Delivery
from tests.core.postfix.lines import delivery, failure, read
from tests.strategies_postfix import expiry_line, internal

TAG = "postfix/qmgr"
EXPIRY = "x>, status=expired, returned to sender"


@pytest.mark.parametrize("status", ["expired", "force-expired"])
@pytest.mark.parametrize("sender", ["", "s@y.example", "jörg@例え.example", '"a b"@y.example'])
def test_expiry(status: str, sender: str) -> None:
    text = f"4ABCDE12F: from=<{sender}>, status={status}, returned to sender"
    assert failure(text, TAG).record.queue_id == "4ABCDE12F"
    assert delivery(text, TAG) == Delivery(
        kind="bounced", status=status, response="returned to sender", sender=sender
    )


@pytest.mark.parametrize(
    ("logged", "sender"),
    [
        ("foo bar@y.example", "foo bar@y.example"),
        ("s@y.example>", "s@y.example"),
        (
            "x>, size=1, nrcpt=1 (queue active)@y.example",
            "x>, size=1, nrcpt=1 (queue active)@y.example",
        ),
    ],
)
def test_expiry_with_an_odd_sender(logged: str, sender: str) -> None:
    text = f"4ABCDE12F: from=<{logged}>, status=expired, returned to sender"
    assert delivery(text, TAG).sender == sender


@pytest.mark.parametrize(
    "text",
    [
        "4ABCDE12F: from=<s@y.example>, status=expired, returned to sen",
        "4ABCDE12F: from=<s@y.example>, status=expired",
    ],
)
def test_a_cut_expiry(text: str) -> None:
    facts = delivery(text, TAG)
    assert (facts.status, facts.sender, facts.truncated) == ("expired", "s@y.example", True)


def test_an_imitated_expiry_in_a_sender_is_the_sender() -> None:
    assert delivery(expiry_line(f"{EXPIRY}@y.example")).sender == f'"{EXPIRY}"@y.example'
    assert delivery(expiry_line(f"{EXPIRY}@y.example", internal)).sender == f"{EXPIRY}@y.example"


def test_a_bounce_that_failed() -> None:
    assert delivery("4ABCDE12F: status=deferred (bounce failed)", TAG) == Delivery(
        kind="deferred", status="deferred", response="bounce failed"
    )


@pytest.mark.parametrize(
    "text",
    [
        "4ABCDE12F: from=<s@y.example>, size=4211, nrcpt=2 (queue active)",
        f'4ABCDE12F: from=<"{EXPIRY}"@y.example>, size=1, nrcpt=2 (queue active)',
        f"4ABCDE12F: from=<{EXPIRY}@y.example>, size=1, nrcpt=2 (queue active)",
        "4ABCDE12F: from=<x status=deferred (y)@y.example>, size=4211, nrcpt=2 (queue active)",
        "4ABCDE12F: uid=1000 from=<status=bounced>",
        "4ABCDE12F: uid=90 from=<a@x.example> orig_id=4ABCDE130",
        "4ABCDE12F: sender non-delivery notification: 5F00112233",
        "4ABCDE12F: postmaster non-delivery notification: 5F00112233",
        "4ABCDE12F: sender delay notification: 5F00112233",
        "4ABCDE12F: sender delivery status notification: 5F00112233",
        "4ABCDE12F: not sending trace/success notification for single-bounce message",
        "4ABCDE12F: removed",
        "4ABCDE12F: removed (discarded)",
        "4ABCDE12F: skipped, still being delivered",
        "4ABCDE12F: placed on hold",
        "4ABCDE12F: released from hold",
        "4ABCDE12F: requeued",
        "4ABCDE12F: expired",
        "Requeued: 3 messages",
        "statistics: max connection rate 12/60s for (smtp:192.0.2.10) at Aug  1 10:18:02",
        "",
    ],
)  # fmt: skip
def test_other_lines_are_no_failures(text: str) -> None:
    assert read(text, TAG) is Skip.NOT_A_FAILURE
