"""Aliases of local(8), and recipients under several addresses: one end each."""

import pytest

from service.core.framing.base import Frame
from tests.correlation_house import (
    ACTIVE,
    BEGUN,
    EXPIRED,
    NOTICE,
    REMOVED,
    Expecting,
    House,
    decoded,
    local,
    to,
)
from tests.metric_values import value
from tests.sample_lines import NOW, ORIGIN


@pytest.mark.parametrize("is_refused_first", [True, False])
@pytest.mark.parametrize(
    "refused",
    [
        local("bounced", "all"),
        local("bounced", "anna", "all"),
        local("bounced", "anna", "all", daemon="lmtp"),
    ],
)
def test_an_alias_waits_on_when_one_of_its_targets_bounces(
    refused: str, is_refused_first: bool
) -> None:
    """Postfix tries all of them again each time."""
    house = House(notice_wait=60, removal_wait=60)
    house.take(*BEGUN)
    events = []
    for attempt in (1, 2):
        lines = [local("deferred", "all"), refused]
        events += house.take(*(reversed(lines) if is_refused_first else lines), NOTICE, ACTIVE)
        told = [(event.event_type, event.attempt) for event in decoded(events)[-2:]]
        assert sorted(told) == [("bounced", attempt), ("deferred", attempt)]
    events = house.take(
        local("sent", "all"), refused, NOTICE, "postfix/qmgr[3]: 4ABCDE12F: removed"
    )
    resolved, bounced = decoded(events)
    assert (resolved.event_type, resolved.recipient) == ("resolved", "all@r.example")
    assert (resolved.outcome, resolved.attempts) == ("delivered", 3)
    assert (bounced.event_type, bounced.attempt) == ("bounced", 3)
    assert bounced.notice.queue_id == "5F00112233"
    assert house.end() == []


def test_two_aliases_of_one_message_do_not_end_each_other() -> None:
    house = House(removal_wait=60)
    house.take(*BEGUN, local("deferred", "one"), local("deferred", "two"), ACTIVE)
    assert house.take(local("sent", "one")) == []
    events = house.take(local("deferred", "two"), local("deferred", "one"))
    assert [(event.event_type, event.attempt) for event in decoded(events)] == [("deferred", 2)] * 2
    assert house.end() == []


def test_an_alias_ends_with_the_target_that_bounces_last() -> None:
    house = House(notice_wait=60, removal_wait=60)
    house.take(*BEGUN, local("deferred", "all"), ACTIVE)
    assert house.take(local("bounced", "anna", "all")) == []
    bounced, resolved = decoded(house.end())
    assert (bounced.event_type, bounced.recipient, bounced.attempt) == (
        "bounced",
        "anna@r.example",
        2,
    )
    assert (resolved.recipient, resolved.outcome) == ("all@r.example", "bounced")


def test_a_bounce_of_an_alias_is_told_before_it_is_known_whether_it_was_the_last() -> None:
    house = House(notice_wait=0, removal_wait=60)
    house.take(*BEGUN, local("deferred", "all"), ACTIVE)
    [bounced] = decoded(house.take(local("bounced", "anna", "all")))
    assert (bounced.event_type, bounced.attempt) == ("bounced", 2)
    assert house.correlation.held == 1
    [resolved] = decoded(house.end())
    assert (resolved.recipient, resolved.outcome, resolved.attempts) == (
        "all@r.example",
        "bounced",
        2,
    )
    assert value(house.metrics, "frames_received_total", transport="tcp") == 6


def test_a_bounce_of_an_alias_is_told_its_sender_only_with_what_comes_of_it_later() -> None:
    house, receipts = House(notice_wait=0, removal_wait=60), Expecting()
    house.take(*BEGUN, local("deferred", "all"), ACTIVE)
    stamp = "<22>2026-08-22T09:30:00.5Z mx1 "
    line = Frame((stamp + local("bounced", "anna", "all")).encode())
    [bounced] = house.pipeline.process([line], ORIGIN, NOW, receipts)
    assert receipts.expected == [0, 0]
    [resolved] = house.end()
    for envelope in (bounced, resolved):
        assert envelope.on_durable is not None
        envelope.on_durable()
    assert receipts.made_durable == [0, 0]


def test_a_bounce_of_an_alias_that_waits_on_leaves_its_sender_nothing_to_wait_for() -> None:
    house, receipts = House(notice_wait=0, removal_wait=60), Expecting()
    house.take(*BEGUN, local("deferred", "all"), ACTIVE)
    stamp = "<22>2026-08-22T09:30:00.5Z mx1 "
    bounced, deferred = (
        Frame((stamp + line).encode())
        for line in (local("bounced", "anna", "all"), local("deferred", "all"))
    )
    made = house.pipeline.process([bounced, deferred], ORIGIN, NOW, receipts)
    assert [event.event_type for event in decoded(made)] == ["bounced", "deferred"]
    assert (receipts.expected, receipts.made_durable) == ([0, 0, 1], [0])
    assert house.end() == []


def test_two_aliases_of_one_recipient() -> None:
    """Postfix delivers to him twice. What waits has not ended when the other copy is there."""
    house = House()
    first, second = (local("deferred", "anna", alias, daemon="smtp") for alias in ("info", "sales"))
    house.take(*BEGUN, first)
    assert house.take(second.replace("4.4.1", "2.0.0").replace("deferred", "sent")) == []
    [resolved] = decoded(house.take(ACTIVE, local("sent", "anna", "info", daemon="smtp")))
    assert (resolved.outcome, resolved.attempts) == ("delivered", 2)


@pytest.mark.parametrize("is_served_first", [True, False])
def test_two_aliases_of_one_recipient_that_both_wait_end_with_the_last(
    is_served_first: bool,
) -> None:
    """He was told as delivered with the first copy, and the end of the second one not at all, or
    as another end."""
    house = House()
    kinds = [("deferred", "info"), ("deferred", "sales"), ("sent", "info"), ("deferred", "sales")]
    lines = [local(status, "anna", alias, daemon="smtp") for status, alias in kinds]
    house.take(*BEGUN, *lines[:2], ACTIVE)
    events = house.take(*(lines[2:] if is_served_first else reversed(lines[2:])))
    assert [(event.event_type, event.attempt) for event in decoded(events)] == [("deferred", 2)]
    events = house.take(ACTIVE, local("sent", "anna", "sales", daemon="smtp"), REMOVED)
    [resolved] = decoded(events)
    assert (resolved.recipient, resolved.outcome) == ("anna@r.example", "delivered")
    assert (resolved.attempt, resolved.attempts) == (3, 3)
    assert house.end() == []


@pytest.mark.parametrize(
    ("ends", "outcome"), [(("sent", "bounced"), "delivered"), (("bounced", "sent"), "bounced")]
)
def test_two_aliases_that_end_differently_in_one_attempt_end_as_the_first(
    ends: tuple[str, str], outcome: str
) -> None:
    house = House()
    aliases = ("info", "sales")
    house.take(*BEGUN, *(local("deferred", "anna", alias, "smtp") for alias in aliases), ACTIVE)
    lines = [local(end, "anna", alias, "smtp") for end, alias in zip(ends, aliases, strict=True)]
    events = decoded([*house.take(*lines, REMOVED), *house.end()])
    told = {event.event_type: event for event in events}
    assert len(events) == len(told) == 2
    assert told["bounced"].original_recipient == f"{aliases[ends.index('bounced')]}@r.example"
    assert told["resolved"].outcome == outcome
    assert {event.attempt for event in events} == {2}


def test_which_of_two_aliases_expired_no_line_tells() -> None:
    house = House()
    house.take(*BEGUN, *(local("deferred", "anna", alias) for alias in ("info", "sales")))
    bounced, resolved = decoded([*house.take(EXPIRED), *house.end()])
    assert (bounced.event_type, bounced.recipient) == ("bounced", "anna@r.example")
    assert bounced.original_recipient is None
    assert (resolved.recipient, resolved.outcome) == ("anna@r.example", "expired")


def test_a_program_of_an_alias_takes_some_seconds_to_fail_once_more() -> None:
    """The alias was told as delivered a second after its other target was served."""
    house = House()
    house.take(*BEGUN, local("sent", "all"), local("deferred", "all"), ACTIVE)
    assert house.take(local("sent", "all")) == []
    assert house.later(5) == []
    [again] = decoded(house.take(local("deferred", "all")))
    assert (again.event_type, again.attempt) == ("deferred", 2)
    [resolved] = decoded(house.take(ACTIVE, *[local("sent", "all")] * 2, REMOVED))
    assert (resolved.outcome, resolved.attempts) == ("delivered", 3)
    assert house.end() == []


def test_an_alias_has_ended_when_its_message_is_taken_up_for_others() -> None:
    house = House(alias_wait=60)
    house.take(*BEGUN, local("deferred", "all"), to("b", "deferred"), ACTIVE)
    assert house.take(local("sent", "all")) == []
    house.take(to("b", "deferred"))
    [resolved] = decoded(house.take(ACTIVE))
    assert (resolved.recipient, resolved.outcome, resolved.attempts) == (
        "all@r.example",
        "delivered",
        2,
    )
    [event] = decoded(house.take(to("b", "deferred")))
    assert (event.event_type, event.attempt) == ("deferred", 3)
