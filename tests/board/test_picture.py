"""All the numbers of the page."""

import json
from datetime import UTC, datetime

import schemas
from schemas.samples import example
from service.board.config import BoardConfig
from service.board.picture import Picture
from tests.board.events import NOW, event
from tests.board.traffic import Traffic


def picture(**settings: object) -> Picture:
    return Picture(BoardConfig.model_validate(settings))


def test_the_numbers_of_a_day_add_up() -> None:
    made = picture()
    now = datetime(2026, 9, 22, 12, tzinfo=UTC)
    events = Traffic(now=now).events(2000, hours=6)
    for seq, one in enumerate(events, 1):
        made.take(seq, schemas.encode(one), now.timestamp())
    view = made.view(86_400, now.timestamp())
    kinds = [one.event_type for one in events]
    assert view["totals"] == [kinds.count(kind) for kind in view["kinds"]]
    assert [sum(bar) for bar in zip(*view["chart"]["bars"], strict=True)] == view["totals"]
    failures = sum(one.event_type in ("reject", "deferred", "bounced") for one in events)
    for group in ("category", "mta"):
        leaders = view["leaders"][group]
        assert sum(sum(counts) for _, counts in leaders["first"]) + leaders["others"] == failures
    assert sum(view["waiting"]["ages"]) == view["waiting"]["total"] > 0
    assert [mta["name"] for mta in view["mtas"]["silent"]] == ["lists.example.org"]
    assert view["mtas"]["known"] == 6
    assert made.names() == sorted({one.mta.host for one in events})
    assert view["read"] == 2000
    hour = made.view(3600, now.timestamp())
    assert sum(hour["totals"]) < sum(view["totals"])
    json.dumps(view, allow_nan=False)


def test_what_is_no_event_is_counted_and_what_is_not_known_is_let_alone() -> None:
    made = picture()
    made.take(1, b"not json", NOW)
    made.take(2, b'{"event_type": "of a later version", "schema_version": "1.9"}', NOW)
    made.take(3, schemas.encode(example(schemas.RollupEvent)), NOW)
    view = made.view(3600, NOW)
    assert (view["read"], view["unreadable"], len(made.recent)) == (3, 1, 0)


def test_an_event_of_long_ago_is_listed_and_not_counted() -> None:
    made = picture(history=3600)
    made.add(event(1, at=NOW - 7200), NOW)
    view = made.view(3600, NOW)
    assert view["outside"] == 1
    assert sum(view["totals"]) == 0
    assert view["mtas"]["known"] == 0
    assert len(made.recent) == 1


def test_a_clock_ahead_of_ours_counts_as_now() -> None:
    made = picture()
    made.add(event(1, at=NOW + 5000), NOW)
    assert sum(made.view(3600, NOW)["totals"]) == 1
    assert sum(made.view(3600, NOW)["chart"]["bars"][-1]) == 1


def test_old_things_go_with_time() -> None:
    made = picture(history=3600, waiting_quiet=3600)
    made.add(event(1, "deferred"), NOW)
    made.add(event(2, "reject", at=NOW + 7300, queue_id=None), NOW + 7300)
    view = made.view(3600, NOW + 7300)
    assert view["waiting"]["total"] == 0
    assert view["totals"] == [1, 0, 0, 0, 0]


def test_another_stream_of_the_same_name() -> None:
    made = picture()
    made.take(1, schemas.encode(example(schemas.BouncedEvent)), NOW)
    before = made.changes
    made.start_anew()
    assert made.changes > before
    assert made.view(3600, NOW)["read"] == 0
    assert made.recent.last == 0
