"""Rooms under one bound: what is beyond it lets go of what has waited the longest, room by room."""

from datetime import UTC, datetime

import pytest

from service.jobs import Batch, Entry
from service.received import Origin
from service.waitroom import Waitroom
from service.waitrooms import Waitrooms

NOW = datetime(2026, 8, 22, 8, tzinfo=UTC)


def entry(size: int) -> Entry:
    batch = Batch(Origin("tcp", "192.0.2.1"), NOW, NOW, None, 0.0, 0, b"", "", True)
    return Entry(b"x" * size, False, 0, batch)


class House:
    def __init__(self, max_lines: int, max_bytes: int) -> None:
        self.rooms = Waitrooms(max_lines, max_bytes)
        self.first: Waitroom[str] = Waitroom(60)
        self.second: Waitroom[str] = Waitroom(60)
        self.left: list[str] = []
        self.rooms.include(self.first, lambda key, now: self.left.extend(self.first.take(key)))
        self.rooms.include(self.second, lambda key, now: self.left.extend(self.second.take(key)))

    def hold(self, room: Waitroom[str], name: str, size: int = 1) -> None:
        self.rooms.hold(room, name.encode(), name, entry(size))


@pytest.mark.parametrize(("max_lines", "max_bytes"), [(3, 1000), (1000, 30)])
def test_the_room_that_was_included_first_is_emptied_first(max_lines: int, max_bytes: int) -> None:
    house = House(max_lines, max_bytes)
    house.hold(house.second, "oldest", 10)
    house.hold(house.first, "a", 10)
    house.hold(house.first, "b", 10)
    assert house.left == []
    for name in ("c", "d", "e"):
        house.hold(house.second, name, 10)
    assert house.left == ["a", "b", "oldest"]
    assert (house.rooms.lines, house.rooms.size, house.rooms.hurried) == (3, 30, 3)


def test_the_bound_of_bytes_is_passed_by_one_line_at_most() -> None:
    house = House(10, 30)
    house.hold(house.first, "small", 10)
    house.hold(house.first, "other", 20)
    house.hold(house.second, "large", 31)
    assert house.left == ["small"]
    house.hold(house.first, "next")
    assert house.left == ["small", "other", "large"]
    assert (house.rooms.lines, house.rooms.size) == (1, 1)
