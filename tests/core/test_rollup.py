"""Counting events by host and cause, within bounds."""

from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import schemas
from schemas import BouncedEvent, DeferredEvent, InvalidEvent, Mta, RejectEvent, RollupEvent
from schemas.samples import example
from service.core.envelope import seal
from service.core.outcomes import RollupOverflow
from service.core.rollup import MAX_WORDS, Rollups
from tests.sample_lines import TEMPLATE

BEGAN = datetime(2026, 8, 22, 10, 0, 17, 5, tzinfo=UTC)
MINUTE = datetime(2026, 8, 22, 10, 1, tzinfo=UTC)
NEXT = MINUTE + timedelta(minutes=1)


def counted(*events: schemas.Event, max_hosts: int = 10, max_causes: int = 99_999) -> Rollups:
    made = Rollups("r1", BEGAN, max_hosts, max_causes)
    for event in events:
        made.count(event)
    return made


def at(host: str, model: Any = RejectEvent, **changes: Any) -> Any:
    return example(model, mta=Mta(host=host, transport="udp"), **changes)


def test_by_type_category_scope_and_provider() -> None:
    rejects = [at("mx1", category="relay_denied", scope="policy")] * 2
    rejects.append(at("mx1", category="blocklisted_ip", scope="reputation"))
    deferred = at("mx1", DeferredEvent, category="rate_limited", scope="reputation",
                  provider="google")  # fmt: skip
    (event,) = counted(*rejects, deferred, at("mx1", InvalidEvent)).end(MINUTE, MINUTE)
    assert event.counts["reject"].model_dump() == {
        "total": 3,
        "categories": {"relay_denied": 2, "blocklisted_ip": 1},
        "scopes": {"policy": 2, "reputation": 1},
        "providers": {"none": 3},
    }
    assert event.counts["deferred"].providers == {"google": 1}
    assert event.counts["invalid"].model_dump() == {
        "total": 1,
        "categories": {"none": 1},
        "scopes": {"none": 1},
        "providers": {"none": 1},
    }
    assert (event.mta.host, event.receiver) == ("mx1", "r1")
    assert (event.period.start, event.period.end) == (BEGAN, MINUTE)
    assert type(schemas.decode(schemas.encode(event))) is RollupEvent


def test_one_of_each_host_and_none_of_silent_ones() -> None:
    made = counted(at("mx1"), at("mx2"), at("mx1"))
    first = made.end(MINUTE, MINUTE)
    assert {event.mta.host: event.counts["reject"].total for event in first} == {"mx1": 2, "mx2": 1}
    assert made.end(NEXT, NEXT) == []
    made.count(at("mx2"))
    (event,) = made.end(NEXT + timedelta(minutes=1), NEXT)
    assert (event.mta.host, event.period.start) == ("mx2", NEXT)


def test_spellings_of_a_host_are_one() -> None:
    (event,) = counted(at("mx1.example.org"), at("MX1.Example.org."), at("mx1.example.org")).end(
        MINUTE, MINUTE
    )
    assert event.counts["reject"].total == 3
    assert seal(event, TEMPLATE, 0).subject == "postfix.rollup.mx1_example_org"


class TestIds:
    def of(self, receiver: str = "r1", began: datetime = BEGAN, host: str = "mx1") -> str:
        made = Rollups(receiver, began, 10)
        made.end(MINUTE, MINUTE)
        made.count(at(host))
        (event,) = made.end(NEXT, NEXT)
        return event.event_id

    def test_the_same_part_has_the_same_one(self) -> None:
        assert self.of() == self.of() == self.of(host="MX1")

    def test_other_parts_have_others(self) -> None:
        """Two receivers, two lives of one within the same minute, two hosts, two minutes."""
        (before,) = counted(at("mx1")).end(MINUTE, MINUTE)
        parts = [before.event_id, self.of(), self.of("r2"), self.of(host="mx2")]
        parts.append(self.of(began=BEGAN + timedelta(seconds=1)))
        assert len({*parts}) == len(parts)

    def test_a_clock_that_is_set_back_tells_no_part_twice(self) -> None:
        made = counted(at("mx1"))
        first = made.end(MINUTE, MINUTE)
        made.count(at("mx1"))
        back = BEGAN - timedelta(hours=1)
        second = made.end(back, back)
        made.count(at("mx1"))
        third = made.end(MINUTE, MINUTE)
        events = [*first, *second, *third]
        assert len({event.event_id for event in events}) == 3
        assert all(event.period.start <= event.period.end for event in events)
        assert third[0].period.start == back


class TestBounds:
    def test_of_hosts(self) -> None:
        made = counted(*(at(f"mx{n % 5}") for n in range(20)), max_hosts=3)
        assert len(made) == 3
        assert made.overflow[RollupOverflow.MTAS] == 8
        assert [event.mta.host for event in made.end(MINUTE, MINUTE)] == ["mx0", "mx1", "mx2"]
        made.count(at("mx4"))
        assert made.end(NEXT, NEXT)[0].mta.host == "mx4", "each period anew"

    def test_what_is_too_long_is_no_host(self) -> None:
        made = counted(at("x" * 256), at("x" * 255))
        assert (made.overflow[RollupOverflow.MTAS], len(made)) == (1, 1)

    def test_of_words(self) -> None:
        rejects = [at("mx1", provider=f"p{n}") for n in range(MAX_WORDS + 3)]
        made = counted(*rejects, at("mx1", provider="p130"))
        (event,) = made.end(MINUTE, MINUTE)
        counts = event.counts["reject"]
        assert len(counts.providers) == MAX_WORDS
        assert next(iter(counts.providers.items())) == ("p130", 2), "the most frequent ones stay"
        assert counts.total == MAX_WORDS + 4

    def test_of_causes(self) -> None:
        """In all hosts together; what was counted before is counted on."""
        made = counted(at("mx1"), at("mx2"), max_causes=2)
        for event in (at("mx1", BouncedEvent), at("mx1"), at("mx2", provider="google")):
            made.count(event)
        assert made.overflow[RollupOverflow.CAUSES] == 2
        first, second = made.end(MINUTE, MINUTE)
        assert first.counts["reject"].providers == {"none": 2}
        assert first.counts["bounced"].model_dump() == {
            "total": 1, "categories": {}, "scopes": {}, "providers": {}
        }  # fmt: skip
        assert (second.counts["reject"].total, second.counts["reject"].providers) == (
            2,
            {"none": 1},
        )
        made.count(at("mx1", provider="google"))
        assert made.end(NEXT, NEXT)[0].counts["reject"].providers == {"google": 1}


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["mx1", "MX1", "mx2"]),
            st.sampled_from([RejectEvent, DeferredEvent, BouncedEvent]),
            st.sampled_from(list(schemas.Category)),
            st.sampled_from(["google", "microsoft", None]),
        ),
        max_size=60,
    )
)
def test_nothing_is_lost_or_doubled(some: list[tuple[str, Any, Any, str | None]]) -> None:
    made = counted()
    events: list[RollupEvent] = []
    for number, (host, model, category, provider) in enumerate(some):
        made.count(at(host, model, category=category, provider=provider))
        if number % 20 == 19:
            end = BEGAN + timedelta(minutes=number)
            events += made.end(end, end)
    events += made.end(NEXT + timedelta(hours=2), NEXT)
    totals = [counts.total for event in events for counts in event.counts.values()]
    assert sum(totals) == len(some)
    for event in events:
        for counts in event.counts.values():
            for words in (counts.categories, counts.scopes, counts.providers):
                assert sum(words.values()) == counts.total
    found = sum(
        event.counts[kind].categories.get("timeout", 0)
        for event in events
        for kind in islice(event.counts, None)
    )
    assert found == sum(category == "timeout" for _, _, category, _ in some)


def test_words_are_bounded_as_the_schema_says() -> None:
    with pytest.raises(ValueError, match="at most 128"):
        schemas.TypeCounts(
            total=0, scopes={}, providers={}, categories=dict.fromkeys(map(str, range(129)), 0)
        )
    assert MAX_WORDS == 128
