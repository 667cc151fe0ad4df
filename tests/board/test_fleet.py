"""MTAs and their silence."""

from service.board.fleet import Fleet
from tests.board.events import NOW


def heard(fleet: Fleet, name: str, events: int, pause: float, until: float) -> None:
    for number in range(events):
        fleet.take(name, until - (events - 1 - number) * pause)


def test_silent_is_who_is_quiet_for_much_longer_than_usual() -> None:
    fleet = Fleet(100, silent_after=900)
    heard(fleet, "busy", 200, 5, NOW - 1200)
    heard(fleet, "busier", 200, 5, NOW - 2000)
    heard(fleet, "rare", 20, 600, NOW - 1200)
    heard(fleet, "new", 3, 5, NOW - 1200)
    heard(fleet, "well", 200, 5, NOW - 10)
    assert [mta.name for mta in fleet.silent(NOW)] == ["busier", "busy"]
    assert round(fleet.silent(NOW)[0].pause) == 5
    assert [mta.name for mta in fleet.silent(NOW + 86_400)] == ["busier", "busy", "rare", "well"]


def test_not_before_silent_after() -> None:
    fleet = Fleet(100, silent_after=900)
    heard(fleet, "busy", 200, 1, NOW - 900)
    assert fleet.silent(NOW) == []
    assert fleet.silent(NOW + 1) != []


def test_an_event_that_comes_late_says_nothing_of_pauses() -> None:
    fleet = Fleet(100, silent_after=900)
    heard(fleet, "mx1", 20, 5, NOW)
    fleet.take("mx1", NOW - 5000)
    (mta,) = fleet.silent(NOW + 1000)
    assert (mta.heard, round(mta.pause), mta.events) == (NOW, 5, 21)


def test_beyond_the_bound_who_was_heard_of_longest_ago_is_forgotten() -> None:
    fleet = Fleet(10, silent_after=900)
    for number in range(10):
        fleet.take(f"mx{number}", NOW)
    fleet.take("mx0", NOW)
    fleet.take("new", NOW)
    assert (len(fleet), fleet.forgotten) == (10, 1)
    assert "mx0" in fleet.names()
    assert "mx1" not in fleet.names()
