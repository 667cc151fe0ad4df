"""What the store keeps and answers, against a count by hand."""

import json
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from examples.store import NAMES, QUESTIONS, Store, printable
from mailfault_schemas import EVENT_ADAPTER, BouncedEvent, Event, EventType, ResolvedEvent
from mailfault_schemas.samples import example, example_bytes
from tests.schemas.events import FIELDS

LONG_AGO = datetime(1, 1, 1, tzinfo=UTC)
ALL = 10**6
BY_HAND: dict[str, Callable[[Event], str | None]] = {
    "type": lambda event: event.event_type,
    "category": lambda event: event.category,
    "domain": lambda event: event.recipient_domain,
    "recipient": lambda event: event.recipient,
    "dsn": lambda event: event.enhanced_code,
    "hour": lambda event: f"{event.event_time:%Y-%m-%dT%H:00}",
    "provider": lambda event: event.provider,
    "mta": lambda event: event.mta.host,
}


@pytest.fixture
def db() -> Iterator[sqlite3.Connection]:
    made = sqlite3.connect(":memory:")
    yield made
    made.close()


def random_events() -> st.SearchStrategy[list[Event]]:
    kinds = [
        st.fixed_dictionaries({**fields, "event_type": st.just(str(kind))})
        for kind, fields in FIELDS.items()
    ]
    return st.lists(st.one_of(kinds).map(EVENT_ADAPTER.validate_python), max_size=12)


@settings(max_examples=40)
@given(random_events(), st.sampled_from([None, *EventType]))
def test_answers_are_what_counting_by_hand_gives(
    events: list[Event], kind: EventType | None
) -> None:
    once = {event.event_id: event for event in reversed(events)}.values()
    wanted = [event for event in once if kind in (None, event.event_type)]
    db = sqlite3.connect(":memory:")
    store = Store(db)
    store.add(events[:3])
    store.add(events)
    for question, answer in BY_HAND.items():
        if question == "hour" and any(event.event_time.year < 1000 for event in events):
            continue  # strftime of years before 1000 is the C library's affair
        found = store.count(question, LONG_AGO, kind, ALL)
        assert dict(found) == Counter(map(answer, wanted)), question
        assert len(found) == len(dict(found))
    db.close()


def test_every_question_is_asked_by_hand() -> None:
    assert QUESTIONS.keys() == BY_HAND.keys()


def test_each_column_holds_the_field_of_its_name(db: sqlite3.Connection) -> None:
    Store(db).add([EVENT_ADAPTER.validate_json(example_bytes(kind)) for kind in EventType])
    for kind in EventType:
        wanted = json.loads(example_bytes(kind))
        found = db.execute("SELECT * FROM event WHERE event_type = ?", [kind])
        row = dict(zip((column[0] for column in found.description), found.fetchone(), strict=True))
        assert [*row] == NAMES
        assert row.pop("mta") == wanted["mta"]["host"]
        assert row == {name: wanted.get(name) for name in row}


def bounces(*times: datetime, **changes: Any) -> list[Event]:
    return [
        example(BouncedEvent, event_id=f"{n:032x}", event_time=time, **changes)
        for n, time in enumerate(times)
    ]


NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)


def test_the_most_frequent_come_first_and_the_latest_hours(db: sqlite3.Connection) -> None:
    store = Store(db)
    store.add(bounces(NOON, NOON + timedelta(seconds=1), recipient="a@example.net"))
    late = [NOON + timedelta(hours=n) for n in (1, 2, 2)]
    store.add(
        [
            event.model_copy(update={"event_id": f"f{n:031x}", "recipient": f"b{n}@example.net"})
            for n, event in enumerate(bounces(*late))
        ]
    )
    assert store.count("recipient", LONG_AGO, limit=2) == [
        ("a@example.net", 2),
        ("b0@example.net", 1),
    ]
    assert store.count("hour", LONG_AGO, limit=2) == [
        ("2026-11-23T14:00", 2),
        ("2026-11-23T13:00", 1),
    ]
    assert store.count("type", NOON + timedelta(hours=1)) == [("bounced", 3)]
    assert store.count("type", LONG_AGO, EventType.DEFERRED) == []


def test_rows_go_after_their_time(db: sqlite3.Connection) -> None:
    store = Store(db)
    store.add(bounces(NOON - timedelta(seconds=1), NOON, NOON + timedelta(microseconds=1)))
    store.forget(NOON)
    assert db.execute("SELECT min(event_id), count(*) FROM event").fetchone() == (f"{1:032x}", 2)


def test_an_end_is_kept_with_its_outcome(db: sqlite3.Connection) -> None:
    Store(db).add([example(ResolvedEvent, outcome="removed")])
    assert db.execute("SELECT event_type, outcome FROM event").fetchone() == ("resolved", "removed")


@pytest.mark.parametrize(
    ("answer", "shown"),
    [
        (None, "-"),
        ("anna@example.net", "anna@example.net"),
        ("müller@bücher.example", "müller@bücher.example"),
        ("a\x1b[2J\r\nb", "a\\u001b[2J\\u000d\\u000ab"),
        ("a\u202ebc", "a\\u202ebc"),
        ("x" * 300, "x" * 200),
    ],
)
def test_nothing_of_an_answer_moves_the_cursor(answer: str | None, shown: str) -> None:
    assert printable(answer) == shown
