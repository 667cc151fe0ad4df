"""Each thing is given once: with its word, or when its time is over."""

import gc
import weakref

from hypothesis import given
from hypothesis import strategies as st

from service.waitroom import Waitroom


class Thing:
    pass


def test_all_that_wait_for_a_key_come_in_order() -> None:
    room: Waitroom[int] = Waitroom(1)
    for number in range(3):
        room.add(b"a", number, 0)
    room.add(b"b", 9, 0)
    assert (len(room), b"a" in room, b"c" in room) == (4, True, False)
    assert room.take(b"a") == [0, 1, 2]
    assert (len(room), room.take(b"a"), b"a" in room) == (1, [], False)


def test_their_size_is_that_of_all_that_wait() -> None:
    room: Waitroom[int] = Waitroom(1)
    room.add(b"a", 1, 0, 10)
    room.add(b"a", 2, 0, 5)
    room.add(b"b", 3, 0, 1)
    assert room.size == 16
    room.take(b"a")
    assert room.size == 1
    room.take(b"b")
    assert room.size == 0


def test_the_first_of_a_key_decides_for_all_of_it() -> None:
    room: Waitroom[str] = Waitroom(1)
    room.add(b"a", "first", 0)
    room.add(b"b", "other", 0.5)
    room.add(b"a", "second", 0.9)
    assert room.overdue(0.99) == []
    assert room.overdue(1) == [b"a"]
    assert room.take(b"a") == ["first", "second"]
    assert room.overdue(2) == [b"b"]


def test_who_comes_again_waits_anew() -> None:
    room: Waitroom[int] = Waitroom(1)
    room.add(b"a", 1, 0)
    room.take(b"a")
    room.add(b"a", 2, 0.5)
    assert room.overdue(1.2) == []
    assert room.overdue(1.5) == [b"a"]


def test_the_oldest_first_and_then_what_is_only_open() -> None:
    room: Waitroom[int] = Waitroom(1)
    assert room.oldest() is None
    room.open(b"open")
    room.add(b"a", 1, 0)
    room.add(b"b", 2, 0)
    assert b"open" in room
    assert [room.oldest(), room.take(b"a"), room.oldest(), room.take(b"b")] == [
        b"a",
        [1],
        b"b",
        [2],
    ]
    assert (room.oldest(), len(room), room.take(b"open"), room.oldest()) == (b"open", 0, [], None)


def test_nothing_of_what_has_left_is_kept_where_nobody_waits_to_the_end() -> None:
    room: Waitroom[Thing] = Waitroom(1)
    gone = []
    for _ in range(100):
        thing = Thing()
        gone.append(weakref.ref(thing))
        room.add(b"a", thing, 0)
        room.take(b"a")
        del thing
    gc.collect()
    assert sum(reference() is not None for reference in gone) <= 1


def test_many_for_one_key_cost_no_more_than_many_keys() -> None:
    room: Waitroom[int] = Waitroom(1)
    for number in range(10_000):
        room.add(b"a", number, 0)
    assert room.overdue(1) == [b"a"]
    assert len(room.take(b"a")) == 10_000


_KEYS = st.sampled_from([b"a", b"b", b"c"])


@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("add"), _KEYS, st.floats(0, 0.7)),
            st.tuples(st.sampled_from(["take", "open"]), _KEYS, st.just(0.0)),
            st.tuples(st.sampled_from(["overdue", "oldest"]), st.just(b""), st.floats(0, 0.7)),
        ),
        max_size=40,
    )
)
def test_everything_is_given_once_and_none_waits_too_long(
    steps: list[tuple[str, bytes, float]],
) -> None:
    room: Waitroom[int] = Waitroom(1)
    now, given_back, added = 0.0, [], {}
    for number, (step, key, later) in enumerate(steps):
        now += later
        if step == "add":
            room.add(key, number, now)
            added[number] = now
        elif step == "open":
            room.open(key)
        else:
            oldest = room.oldest()
            keys = {"take": [key], "oldest": [] if oldest is None else [oldest]}
            for each in keys.get(step, room.overdue(now) if step == "overdue" else []):
                given_back += room.take(each)
            if step == "overdue":
                assert all(now - added[n] < 1 for n in set(added) - set(given_back))
        assert len(room) == len(added) - len(given_back)
    while (key_left := room.oldest()) is not None:
        given_back += room.take(key_left)
    assert sorted(given_back) == sorted(added)
    assert len(room) == 0


def test_some_of_a_key_are_given_and_the_others_wait_on() -> None:
    room: Waitroom[int] = Waitroom(1)
    for number in range(4):
        room.add(b"a", number, number / 10, 10**number)
    assert room.take_those(b"a", lambda number: number % 2 == 0) == [0, 2]
    assert (len(room), room.size) == (2, 10 + 1000)
    assert room.take_those(b"a", lambda number: number > 9) == []
    assert room.take_those(b"b", lambda number: True) == []
    assert (len(room), room.overdue(1.09), room.overdue(1.1)) == (2, [], [b"a"])
    assert room.take_those(b"a", lambda number: True) == [1, 3]
    assert (len(room), b"a" in room, room.oldest()) == (0, False, None)
