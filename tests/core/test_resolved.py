"""The end of a deferred recipient: told by its last attempt, else by what was said before."""

from dataclasses import replace
from datetime import timedelta

import pytest

from schemas.base import Message
from service.core.classify import builtin_classifier
from service.core.context import NO_CONTEXT, Context
from service.core.correlate.waiting import Waiting
from service.core.identity import derived_id
from service.core.line import event_id
from service.core.resolved import Ending, assemble_resolved
from tests.core.sample_facts import LINE, MESSAGE, RECORD, delivery

AT = MESSAGE.time.timestamp()
WAITING = Waiting(
    recipient="later@Example.NET",
    original_recipient="old@example.org",
    first_deferred=AT - 600,
    last_deferred=AT - 60,
    attempts=3,
    is_counted=True,
    activation=2,
    last_id="0" * 32,
    arrived=AT - 700,
    status="deferred",
    response="451 4.7.1 greylisted",
    smtp_code=451,
    enhanced_code="4.7.1",
    category="greylisted",
    scope="message",
    provider="example",
    provider_code="G1",
)
REMOVED = Ending(WAITING, "removed", None, None, None)


def test_without_a_last_attempt_it_says_what_was_said_last() -> None:
    event = assemble_resolved(LINE, RECORD, REMOVED, NO_CONTEXT)
    assert event.event_id == derived_id(event_id(LINE), "resolved", "later@Example.NET")
    assert event.event_time == MESSAGE.time
    assert event.received_at == LINE.received_at
    assert event.time_quality == "inferred"
    assert (event.mta.host, event.mta.daemon) == ("MX1.example.org", "smtpd")
    assert event.queue_id == "4ABCDE12F"
    assert (event.recipient, event.recipient_domain) == ("later@Example.NET", "example.net")
    assert (event.outcome, event.status, event.severity) == ("removed", None, None)
    assert (event.smtp_code, event.enhanced_code) == (451, "4.7.1")
    assert event.response == "451 4.7.1 greylisted"
    assert (event.category, event.scope) == ("greylisted", "message")
    assert (event.provider, event.provider_code) == ("example", "G1")
    assert (event.attempt, event.attempts) == (3, 3)
    assert event.first_deferred_at == MESSAGE.time - timedelta(minutes=10)
    assert event.age == 700
    assert event.raw == "<22>raw \ufffd"
    assert not event.truncated


def test_a_last_attempt_says_all_of_it() -> None:
    facts = delivery()
    verdict = builtin_classifier().classify(facts)
    context = Context(Message(sender="a@x.example"), sender="a@x.example")
    ending = Ending(WAITING, "bounced", "bounced", facts, verdict)
    event = assemble_resolved(LINE, RECORD, ending, context)
    assert (event.outcome, event.status, event.severity) == ("bounced", "bounced", "permanent")
    assert (event.smtp_code, event.enhanced_code) == (550, "5.1.1")
    assert event.response == "host mx said: 550 5.1.1 gone"
    assert (event.category, event.scope) == (verdict.category, verdict.scope)
    assert (event.provider, event.provider_code) == (verdict.provider, verdict.provider_code)
    assert event.age == 1.5
    assert event.sender == "a@x.example"
    assert event.message == context.message


def test_a_last_attempt_without_a_reply_has_no_code() -> None:
    ending = Ending(WAITING, "delivered", "sent", delivery(remote_reply=None), None)
    event = assemble_resolved(LINE, RECORD, ending, NO_CONTEXT)
    assert event.smtp_code is None
    assert event.severity is None
    assert event.category == "greylisted", "why it had waited"


@pytest.mark.parametrize(
    ("queued", "arrived", "age"),
    [
        (AT - 5.25, AT - 700, 5.25),
        (None, AT - 700, 700),
        (None, None, None),
        (None, AT + 1, None),
        (AT + 1, None, None),
        (AT, None, 0),
    ],
)
def test_age_is_from_the_queue_file_else_from_the_arrival(
    queued: float | None, arrived: float | None, age: float | None
) -> None:
    """Of a line with no delay of its own; and never negative."""
    queued_at = None if queued is None else MESSAGE.time + timedelta(seconds=queued - AT)
    ending = replace(REMOVED, waiting=replace(WAITING, arrived=arrived))
    event = assemble_resolved(LINE, RECORD, ending, Context(Message(queued_at=queued_at)))
    assert event.age == age


def test_what_was_not_counted_has_no_number() -> None:
    ending = replace(REMOVED, waiting=replace(WAITING, is_counted=False))
    event = assemble_resolved(LINE, RECORD, ending, NO_CONTEXT)
    assert (event.attempt, event.attempts, event.first_deferred_at) == (None, 3, None)
