from typing import Any

import pytest
from pydantic import ValidationError

from schemas import RollupEvent, TypeCounts, decode, encode
from schemas.samples import example


def test_the_example_adds_up() -> None:
    event = example(RollupEvent)
    assert event.event_time == event.period.start
    assert (event.period.end - event.period.start).total_seconds() == 60
    for counts in event.counts.values():
        for words in (counts.categories, counts.scopes, counts.providers):
            assert sum(words.values()) == counts.total


def test_words_of_later_versions() -> None:
    new = {"total": 1, "categories": {"a-new_word": 1}, "scopes": {}, "providers": {"0": 1}}
    event = example(RollupEvent, counts={"quarantined": new})
    assert decode(encode(event)) == event
    assert event.counts["quarantined"].categories == {"a-new_word": 1}


def many(number: int) -> dict[str, int]:
    return {f"w{n}": n for n in range(number)}


@pytest.mark.parametrize(
    "changes",
    [
        {"receiver": ""},
        {"receiver": "x" * 256},
        {"period": None},
        {"counts": {"reject": {"total": 1}}},
        {"counts": {"Reject x": TypeCounts(total=0, categories={}, scopes={}, providers={})}},
        {"counts": {"reject": {"total": -1, "categories": {}, "scopes": {}, "providers": {}}}},
        {"counts": {"reject": {"total": 1, "categories": many(129), "scopes": {},
                               "providers": {}}}},
        {"counts": {f"t{n}": {"total": 1, "categories": {}, "scopes": {}, "providers": {}}
                    for n in range(33)}},
    ],
)  # fmt: skip
def test_refuses(changes: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        example(RollupEvent, **changes)


def test_a_line_has_a_transport_and_a_rollup_none() -> None:
    assert example(RollupEvent).mta.transport is None
