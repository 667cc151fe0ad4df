"""Queue ids that are used again though nobody saw the message before leave: who waited for it has
ended, once, and only where that is certain."""

from typing import Any

import pytest

from tests.correlation_house import ACTIVE, BEGUN, House, decoded, to

NEXT_CLIENT = "postfix/smtpd[1]: 4ABCDE12F: client=other.example[192.0.2.78]"
NEXT_LOCAL = "postfix/pickup[1]: 4ABCDE12F: uid=0 from=<root>"
NEXT_OWN = "postfix/cleanup[2]: 4ABCDE12F: message-id=<next@m.example>"
NEXT_ACTIVE = "postfix/qmgr[3]: 4ABCDE12F: from=<n@s.example>, size=10, nrcpt=1 (queue active)"
STAMP = "<22>2026-08-22T09:00:00.5Z mx1 "
"""Before any of `House`."""


def waiting(**config: Any) -> House:
    house = House(**config)
    house.take(*BEGUN, to("a", "deferred", "first"), to("b", "deferred", "later"), to("c", "sent"))
    return house


@pytest.mark.parametrize("first", [NEXT_CLIENT, NEXT_LOCAL, NEXT_OWN, NEXT_ACTIVE])
def test_who_waited_has_ended_with_the_next_message_of_that_id(first: str) -> None:
    house = waiting()
    a, b = decoded(house.take(first))
    for event, recipient, response in ((a, "a@r.example", "first"), (b, "b@r.example", "later")):
        assert (event.event_type, event.outcome, event.status) == ("resolved", "removed", None)
        assert (event.recipient, event.response, event.attempts) == (recipient, response, 1)
        # Of the message they waited for, and not of the one that has its id now.
        assert (event.sender, event.message.message_id) == ("qsender@s.example", "qid@m.example")
        assert event.message.client.name == "q-name.c.example"
        assert event.age is None, "when it left the queue nobody saw"


def test_they_end_once_and_the_next_message_is_told_from_its_beginning() -> None:
    house = waiting()
    assert len(house.take(NEXT_CLIENT)) == 2
    assert house.take(NEXT_CLIENT.replace("other", "third"), NEXT_CLIENT) == []
    assert house.take(NEXT_OWN, NEXT_ACTIVE) == []
    [event] = decoded(house.take(to("a", "deferred")))
    assert (event.attempt, event.message.context) == (1, "complete")
    assert (event.sender, event.message.message_id) == ("n@s.example", "next@m.example")
    assert event.message.client.name == "other.example"
    house.take("postfix/qmgr[3]: 4ABCDE12F: removed")
    [event] = decoded(house.end())
    assert (event.recipient, event.outcome, event.sender) == (
        "a@r.example",
        "removed",
        "n@s.example",
    )


def test_a_line_from_before_the_deferral_ends_nobody() -> None:
    """Of whichever message it is: it came late, and may be this one's with another stamp."""
    house = waiting()
    assert house.take((STAMP + NEXT_CLIENT).encode()) == []


def test_lines_of_the_message_itself_end_nobody() -> None:
    house = waiting()
    assert house.take(ACTIVE, BEGUN[1]) == []
    [event] = decoded(house.take(to("a", "sent")))
    assert (event.outcome, event.recipient, event.attempts) == ("delivered", "a@r.example", 2)


def test_who_was_served_by_an_alias_just_before_was_delivered() -> None:
    house = House(removal_wait=60)
    local = to("a", "deferred").replace("smtp[4]", "local[4]")
    house.take(*BEGUN, local, ACTIVE, local.replace("4.4.1", "2.0.0").replace("deferred", "sent"))
    [event] = decoded(house.take(NEXT_CLIENT))
    assert (event.outcome, event.message.message_id) == ("delivered", "qid@m.example")


def test_removed_sent_again_is_answered_by_its_events_not_at_once() -> None:
    """Over RELP it would be acknowledged while the first ones may not be durable yet."""
    house = waiting(removal_wait=0)
    removed = b"<22>2026-08-22T09:30:00.5Z mx1 postfix/postsuper[3]: 4ABCDE12F: removed"
    first, again = decoded(house.take(removed)), decoded(house.take(removed))
    assert [event.outcome for event in first] == ["removed", "removed"]
    assert [event.event_id for event in first] == [event.event_id for event in again]
