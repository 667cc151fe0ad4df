"""What events do to tickets: every way a mail can go, in any order, any number of times."""

import itertools
import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from examples.tickets import FORGET_AFTER, Tickets
from mailfault_schemas import BouncedEvent, DeferredEvent, Event, RejectEvent, ResolvedEvent
from mailfault_schemas.samples import example

HOUR = 3600.0
MTA = example(BouncedEvent).mta
MAIL = {"queue_id": "4ABCDE12F", "recipient": "anna@example.net", "mta": MTA}
START = example(DeferredEvent).event_time


def numbered(number: int, minutes: float) -> dict[str, Any]:
    return {**MAIL, "event_id": f"{number:032x}", "event_time": START + timedelta(minutes=minutes)}


YOUNG = example(DeferredEvent, delay=60.0, **numbered(1, 1))
OLD = example(DeferredEvent, delay=2 * HOUR, **numbered(2, 120))
OLDER = example(DeferredEvent, delay=4 * HOUR, **numbered(3, 240))
DELIVERED = example(ResolvedEvent, outcome="delivered", **numbered(4, 300))
REMOVED = example(ResolvedEvent, outcome="removed", **numbered(4, 300))
BOUNCED = example(BouncedEvent, **numbered(5, 300))
LOST = example(ResolvedEvent, outcome="bounced", **numbered(6, 300))
EXPIRED = example(ResolvedEvent, outcome="expired", **numbered(6, 300))
AT_THE_END = example(DeferredEvent, delay=5 * HOUR, **numbered(8, 300))
"""Logged in the second in which the mail was delivered to another target of an alias."""
LATER = example(
    BouncedEvent, message={"queued_at": START + timedelta(minutes=8999)}, **numbered(7, 9000)
)
"""Another mail, under the same queue id."""
LATER_UNSEEN = example(BouncedEvent, message=None, **numbered(7, 9000))
"""Of which nothing else was seen."""
TOO_LATE = example(DeferredEvent, delay=5 * HOUR, message={"queued_at": START}, **numbered(9, 301))
"""A try that went on when the mail was deleted."""
OTHER_TARGET = example(BouncedEvent, message={"queued_at": START}, **numbered(14, 301))
"""Logged behind the delivery to the first target of an alias."""
AGAIN, AT_LAST, AT_ONCE, BOUNCED_AGAIN = (
    type(event).model_validate(
        {
            **dict(event),
            "event_id": f"{number:032x}",
            "event_time": event.event_time + timedelta(minutes=400),
            "queue_id": queue_id,
            "message": {"queued_at": START + timedelta(minutes=250), "origin_queue_id": before},
        }
    )
    for number, event, queue_id, before in (
        (10, OLDER, "4B", MAIL["queue_id"]),
        (11, DELIVERED, "4C", "4B"),
        (12, DELIVERED, "4B", MAIL["queue_id"]),
        (13, BOUNCED, "4B", MAIL["queue_id"]),
    )
)
"""What became of the mail when it was re-queued (`postsuper -r`): it has another queue id."""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "tickets.db"


@contextmanager
def opened(file: Path) -> Iterator[Tickets]:
    with closing(sqlite3.connect(file)) as db:
        yield Tickets(db, after=HOUR)


def rows(file: Path, query: str) -> list[Any]:
    with closing(sqlite3.connect(file)) as db:
        return db.execute(query).fetchall()


def posts(file: Path) -> list[tuple[str, dict[str, Any]]]:
    found = rows(file, "SELECT key, body FROM outbox ORDER BY id")
    return [(key, json.loads(body)) for key, body in found]


def told(file: Path, *events: Event, now: float = 0) -> list[str]:
    """What the webhook is to hear."""
    with opened(file) as box:
        for event in events:
            box.take(event, now)
    return [body["action"] for _, body in posts(file)]


@pytest.mark.parametrize(
    ("events", "heard"),
    [
        ([YOUNG], []),
        ([OLD], ["open"]),
        ([YOUNG, OLD, OLDER], ["open"]),
        ([YOUNG, DELIVERED], []),
        ([OLD, OLDER, DELIVERED], ["open", "close"]),
        ([OLD, REMOVED], ["open", "close"]),
        ([BOUNCED], ["open"]),
        ([BOUNCED, LOST], ["open"]),
        ([LOST, BOUNCED], ["open"]),
        ([OLD, BOUNCED, LOST], ["open", "update"]),
        ([OLD, EXPIRED], ["open", "update"]),
        ([BOUNCED, OLD], ["open"]),
        ([DELIVERED, OLD], []),
        ([OLD, DELIVERED, OLDER], ["open", "close"]),
        ([OLD, DELIVERED, LATER], ["open", "close", "open"]),
        ([DELIVERED, LATER], ["open"]),
        ([OLD, DELIVERED, LATER_UNSEEN], ["open", "close", "open"]),
        ([OLD, REMOVED, TOO_LATE], ["open", "close"]),
        ([OLD, DELIVERED, OTHER_TARGET], ["open", "close", "open"]),
        ([OLD, AGAIN, AT_LAST], ["open", "close"]),
        ([OLD, BOUNCED_AGAIN], ["open", "update"]),
        ([OLD, BOUNCED_AGAIN, DELIVERED], ["open", "update"]),
        ([DELIVERED, AT_THE_END], []),
        ([example(RejectEvent)], []),
    ],
)
def test_what_the_webhook_hears(file: Path, events: list[Event], heard: list[str]) -> None:
    assert told(file, *events) == heard
    assert told(file, *events) == heard, "all once more, after a restart that lost the answers"
    assert told(file, *reversed(events)) == heard


def test_a_word_for_an_outcome_that_is_not_known_yet_is_an_end(file: Path) -> None:
    unheard = example(ResolvedEvent, outcome="teleported", **numbered(4, 300))
    assert told(file, OLD, unheard) == ["open", "close"]


@pytest.mark.parametrize("order", [*itertools.permutations([YOUNG, OLD, BOUNCED, LOST])])
def test_in_any_order_there_is_one_ticket_for_a_lost_mail(
    file: Path, order: tuple[Event, ...]
) -> None:
    heard = told(file, *order, *order)
    assert heard[0] == "open"
    assert heard.count("open") == 1
    assert "close" not in heard
    assert len({body["ticket"] for _, body in posts(file)}) == 1
    assert posts(file)[-1][1]["state"] == "bounced"


@pytest.mark.parametrize("order", [*itertools.permutations([YOUNG, OLD, OLDER, DELIVERED])])
def test_in_any_order_a_ticket_of_a_delivered_mail_is_closed_last(
    file: Path, order: tuple[Event, ...]
) -> None:
    assert told(file, *order, *order) in ([], ["open", "close"])


@pytest.mark.parametrize("order", [*itertools.permutations([YOUNG, OLD, OLDER, AT_ONCE])])
def test_in_any_order_the_ticket_of_a_requeued_mail_is_closed_last(
    file: Path, order: tuple[Event, ...]
) -> None:
    """Its end was told under another queue id, and a ticket stayed open for ever."""
    assert told(file, *order, *order) in ([], ["open", "close"])


@pytest.mark.parametrize(
    "other",
    [
        {"recipient": "bob@example.net"},
        {"recipient": None},
        {"queue_id": "4abcde12f"},
        {"mta": MTA.model_copy(update={"host": "mx9"})},
        {"mta": MTA.model_copy(update={"instance": "postfix-out"})},
    ],
)
def test_another_recipient_or_message_has_a_ticket_of_its_own(
    file: Path, other: dict[str, Any]
) -> None:
    another = example(BouncedEvent, **{**numbered(8, 300), **other})
    assert told(file, BOUNCED, another) == ["open", "open"]


def test_a_post_says_what_a_ticket_needs_and_nothing_of_the_raw_line(file: Path) -> None:
    hostile = 'x"}\n\x1b[31m<script>\u202e'
    event = example(BouncedEvent, **numbered(1, 1), response=hostile, raw=hostile)
    told(file, event)
    [(key, body)] = posts(file)
    assert key == f"{1:032x}-open"
    assert body == {
        "ticket": event.event_id,
        "action": "open",
        "state": "bounced",
        "event": event.model_dump(mode="json", exclude={"raw"}),
    }
    [(sent,)] = rows(file, "SELECT body FROM outbox")
    assert sent.isascii()
    assert sent.isprintable(), "so it is one line in a log, whatever is in it"


def test_posts_wait_in_order_and_a_refused_one_is_set_aside(file: Path) -> None:
    with opened(file) as box:
        for event in (OLD, DELIVERED):
            box.take(event, now=0)
        (first, opening, _), (second, closing, _) = box.waiting()
        assert opening.endswith("-open")
        assert closing.endswith("-close")
        box.settle(first, 422)
        assert [number for number, _, _ in box.waiting()] == [second]
        box.settle(second, 204)
        assert box.waiting() == []
    assert rows(file, "SELECT key, refused FROM outbox") == [(opening, 422)]


def test_what_nothing_was_heard_of_for_long_is_forgotten(file: Path) -> None:
    def tickets(recipient: str, now: float) -> int:
        told(file, example(BouncedEvent, **{**numbered(8, 300), "recipient": recipient}), now=now)
        return len(rows(file, "SELECT * FROM ticket"))

    assert tickets("anna@example.net", now=1000) == 1
    assert tickets("bob@example.net", now=1000 + FORGET_AFTER) == 2
    assert tickets("eve@example.net", now=1001 + FORGET_AFTER) == 2
