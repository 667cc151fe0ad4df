"""The waiting room: order, both bounds, the bytes it says it holds."""

from service.core.envelope import Envelope
from service.spool.memory import MemoryQueue
from service.spool.memory_config import MemoryQueueConfig


def envelope(size: int) -> Envelope:
    return Envelope("postfix.bounced.mx1", "id", "bounced", b"x" * size)


def queue(max_events: int = 100, max_bytes: int = 1000) -> MemoryQueue:
    return MemoryQueue(MemoryQueueConfig(max_events=max_events, max_bytes=max_bytes))


def test_first_in_first_out() -> None:
    waiting = queue()
    envelopes = [envelope(1) for _ in range(5)]
    waiting.extend(envelopes[:3])
    waiting.extend(iter(envelopes[3:]))
    out: list[Envelope] = []
    while waiting:
        out += waiting.take(2, 1_000_000)
    # Envelopes compare by identity.
    assert out == envelopes
    assert waiting.bytes == 0


def test_is_full_at_the_bound_of_events() -> None:
    waiting = queue(max_events=3)
    waiting.extend([envelope(1)] * 2)
    assert waiting.has_room
    waiting.extend([envelope(1)])
    assert not waiting.has_room
    waiting.take(1, 1)
    assert waiting.has_room


def test_is_full_at_the_bound_of_bytes() -> None:
    waiting = queue(max_bytes=100)
    waiting.extend([envelope(99)])
    assert waiting.has_room
    assert waiting.bytes == 99
    waiting.extend([envelope(1)])
    assert not waiting.has_room


def test_one_batch_may_pass_the_bound() -> None:
    """The events of one read have been read: there is no giving them back."""
    waiting = queue(max_events=2)
    waiting.extend([envelope(1)] * 10)
    assert len(waiting) == 10
    assert not waiting.has_room


def test_shares_count_events_and_bytes() -> None:
    waiting = queue(max_events=10, max_bytes=100)
    assert waiting.is_below(0.1)
    waiting.extend([envelope(1)])
    assert not waiting.is_below(0.1)
    assert waiting.is_below(0.2)
    waiting.extend([envelope(60)])
    assert not waiting.is_below(0.5), "half the bytes are taken, if few of the events"
    assert waiting.is_below(0.7)


def test_takes_within_both_bounds_but_at_least_one() -> None:
    waiting = queue()
    envelopes = [envelope(60), envelope(30), envelope(30), envelope(1)]
    waiting.extend(envelopes)
    assert waiting.take(10, 1) == envelopes[:1]
    assert waiting.take(10, 31) == envelopes[1:3]
    assert waiting.take(0, 100) == []
    assert waiting.take(1, 100) == envelopes[3:]
    assert waiting.take(1, 100) == []
    assert waiting.bytes == 0


def test_the_first_take_up_room_until_they_are_dropped() -> None:
    waiting = queue(max_events=5)
    envelopes = [envelope(60), envelope(30), envelope(30), envelope(1), envelope(1)]
    waiting.extend(envelopes)
    assert waiting.first(10, 1) == envelopes[:1]
    assert waiting.first(10, 61) == envelopes[:2]
    assert waiting.first(3, 1_000) == envelopes[:3]
    assert waiting.first(10, 1_000) == envelopes
    assert not waiting.has_room
    assert waiting.bytes == 122
    waiting.drop_first(2)
    assert waiting.has_room
    assert waiting.bytes == 32
    assert waiting.first(10, 1_000) == waiting.take(10, 1_000) == envelopes[2:]
    assert waiting.first(10, 1_000) == []


def test_gives_up_what_is_in_memory_only() -> None:
    waiting = queue()
    envelopes = [envelope(size) for size in range(1, 6)]
    envelopes[1].row = 7
    waiting.extend(envelopes)
    assert waiting.unsaved == 4
    assert waiting.take_unsaved() == [envelopes[0], *envelopes[2:]]
    assert (len(waiting), waiting.bytes, waiting.unsaved) == (1, 2, 0)
    assert waiting.take_unsaved() == []
    assert waiting.take(9, 1_000) == [envelopes[1]]
