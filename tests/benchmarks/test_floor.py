"""The least an event costs: ready-made events, each its own, all of them stored."""

from benchmarks.floor import measure
from benchmarks.floor_steps import batches, recipes, sealed, validated
from benchmarks.processes import ROOT
from schemas.codec import decode


def test_events_are_made_again_as_the_service_made_them() -> None:
    made, events_per_line = recipes()
    assert 0.2 < events_per_line < 0.3
    batch = [recipe for batch in batches(made, len(made)) for recipe in batch]
    events = validated(batch)
    assert {event.event_type for event in events} >= {"reject", "deferred", "bounced", "resolved"}
    assert [decode(envelope.body) for envelope in sealed(batch)] == events


def test_no_two_events_are_the_same_to_jetstream() -> None:
    made, _ = recipes()
    ids = [values["event_id"] for batch in batches(made, 1100) for _, values in batch]
    assert len(set(ids)) == len(ids) == 1100


async def test_what_each_step_costs_is_told_once_all_are_stored() -> None:
    told = await measure(3000, ROOT)
    assert min(told.values()) > 0
