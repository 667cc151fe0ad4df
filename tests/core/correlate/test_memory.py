"""Within bounds of count, bytes and time, and what they cost is counted."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.core.correlate.memory import (
    ENTRY_BYTES,
    Bounds,
    Evicted,
    Memory,
    begun,
    is_record_set,
    stamp_of,
)

DAY = 86_400
NOW = 1_787_392_800


def memory(messages: int = 1000, size: int = 1 << 30, seconds: int = DAY) -> Memory:
    return Memory(Bounds(messages, size, seconds))


def value(seconds: int = NOW, text: bytes = b"\nmx") -> bytes:
    return stamp_of(seconds) + text


def trimmed(kept: Memory, seconds: int) -> list[bytes]:
    before = dict(kept.entries)
    evicted = kept.trim(seconds)
    assert all(before[each.key] == each.value for each in evicted)
    return [each.key for each in evicted]


def test_records_are_found_until_they_are_discarded() -> None:
    kept = memory()
    kept.add(b"a", value())
    kept.put(b"a", value(text=b"\nlonger"))
    assert kept.get(b"a") == value(text=b"\nlonger")
    assert (len(kept), kept.size) == (1, len(value(text=b"\nlonger")) + ENTRY_BYTES)
    kept.discard(b"a")
    kept.discard(b"a")
    assert (kept.get(b"a"), len(kept), kept.size) == (None, 0, 0)


def test_more_messages_than_are_kept_push_out_the_oldest() -> None:
    kept = memory(messages=80)
    for number in range(81):
        kept.add(b"%d" % number, value())
    gone = trimmed(kept, NOW)
    assert gone == [b"%d" % number for number in range(11)], "one, and an eighth to spare"
    assert kept.evicted == {Evicted.COUNT: 11, Evicted.BYTES: 0, Evicted.AGE: 0}
    assert trimmed(kept, NOW) == []


@pytest.mark.parametrize("messages", [1, 7, 8, 1000])
def test_more_bytes_than_are_kept_push_out_the_oldest(messages: int) -> None:
    kept = memory(messages=messages, size=10_000)
    for number in range(messages):
        kept.add(b"%d" % number, value(text=b"x" * 2000))
    kept.trim(NOW)
    assert kept.size <= 10_000
    assert len(kept) + kept.evicted[Evicted.BYTES] == messages


def test_what_is_touched_anew_is_the_youngest() -> None:
    kept = memory(messages=2)
    kept.add(b"a", value())
    kept.add(b"b", value())
    kept.renew(b"a", value())
    kept.add(b"c", value())
    assert trimmed(kept, NOW) == [b"b"]


def test_what_is_too_old_goes() -> None:
    kept = memory(seconds=100)
    kept.add(b"a", value(NOW))
    kept.add(b"b", value(NOW + 50))
    assert trimmed(kept, NOW + 100) == []
    assert trimmed(kept, NOW + 105) == [], "looked at every ten seconds"
    assert trimmed(kept, NOW + 111) == [b"a"]
    assert kept.evicted[Evicted.AGE] == 1


def test_what_has_left_stays_in_reach_for_a_moment() -> None:
    kept = memory()
    kept.add(b"a", value())
    kept.close(b"a", NOW)
    kept.close(b"a", NOW)
    assert (len(kept), kept.size) == (0, 0)
    for later in (0, 4, 5):
        kept.add(b"%d" % later, value())
        kept.close(b"%d" % later, NOW + later)
        assert kept.get(b"a") is not None, later
    kept.add(b"last", value())
    kept.close(b"last", NOW + 10)
    assert kept.get(b"a") is None


def test_what_has_left_is_out_of_reach_once_the_key_is_used_again() -> None:
    kept = memory()
    for later in (0, 5):
        kept.add(b"a", value())
        kept.close(b"a", NOW)
        kept.add(b"%d" % later, value())
        kept.close(b"%d" % later, NOW + later)
        kept.add(b"a", value(text=b"\nnew"))
        kept.discard(b"a")
        assert kept.get(b"a") is None


def test_what_has_left_is_bounded_by_number_and_by_bytes() -> None:
    for messages, size, text in ((800, 1 << 30, b"x"), (1 << 30, 800_000, b"x" * 2000)):
        kept = memory(messages=messages, size=size)
        for number in range(10_000):
            kept.add(b"%d" % number, value(text=text))
            kept.close(b"%d" % number, NOW)
        found = [kept.get(b"%d" % number) for number in range(10_000)]
        reachable = [each for each in found if each is not None]
        assert found[-1] is not None
        assert len(reachable) <= messages / 4 + 2
        assert sum(map(len, reachable)) <= size / 4 + 2 * len(value(text=text))
        assert len(reachable) == kept.closed <= kept.max_closed
        last_ones = 2 * (len(value(text=text)) + ENTRY_BYTES)
        assert kept.closed_size <= kept.max_closed_size + last_ones


def test_a_clock_that_goes_back_keeps_the_bounds() -> None:
    kept = memory(messages=80)
    for number in range(1000):
        kept.add(b"%d" % number, value(NOW - number))
        kept.close(b"%d" % number, NOW - number)
    assert sum(kept.get(b"%d" % number) is not None for number in range(1000)) <= 24


def test_stamps() -> None:
    assert begun(stamp_of(NOW) + b"\nx") == NOW
    assert begun(stamp_of(-5)) == 0
    assert begun(stamp_of(1 << 40)) == 0xFFFFFFFF
    assert is_record_set(value())
    for broken in (b"", b"\nmx", stamp_of(NOW), b"zzzzzzzz\nm", b"-0000001\nm"):
        assert not is_record_set(broken), broken


_ALL_KEYS = [b"%d" % number for number in range(31)]
_KEYS = st.sampled_from(_ALL_KEYS)
_STEPS = st.lists(
    st.tuples(
        st.sampled_from(["add", "put", "renew", "discard", "close", "trim"]),
        _KEYS,
        st.integers(0, 400),
        st.integers(0, 20),
    ),
    max_size=80,
)


@given(_STEPS)
def test_the_books_are_right_whatever_is_done(steps: list[tuple[str, bytes, int, int]]) -> None:
    kept = memory(messages=12, size=5000, seconds=60)
    now = NOW
    for step, key, length, later in steps:
        now += later
        record = value(now, b"\n" + b"x" * length)
        if step == "trim":
            before = set(kept.entries)
            evicted = trimmed(kept, now)
            assert before - set(kept.entries) == set(evicted)
            assert len(kept) <= 12
            assert kept.size <= 5000
        elif step == "add" and key not in kept.entries:
            kept.add(key, record)
        elif step == "put" and key in kept.entries:
            kept.put(key, record)
        elif step == "renew":
            kept.renew(key, record)
        elif step == "discard":
            kept.discard(key)
        elif step == "close":
            kept.close(key, now)
        assert kept.size == sum(map(len, kept.entries.values())) + ENTRY_BYTES * len(kept.entries)
        closed = [left for key in _ALL_KEYS if (left := kept.left(key)) is not None]
        assert kept.closed == len(closed)
        assert kept.closed_size == sum(map(len, closed)) + ENTRY_BYTES * len(closed)
