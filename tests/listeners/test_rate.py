"""Messages a second of one source."""

from hypothesis import given
from hypothesis import strategies as st

from service.listeners.rate import Rates


def forget_nobody() -> None:
    raise AssertionError


def test_a_burst_and_then_the_rate() -> None:
    rates = Rates(10, 5, 100, forget_nobody)
    assert [rates.has_room("a", 0.0) for _ in range(7)] == [True] * 5 + [False] * 2
    assert rates.has_room("b", 0.0)
    assert [rates.has_room("a", 0.1) for _ in range(2)] == [True, False]
    assert [rates.has_room("a", 60.0) for _ in range(7)] == [True] * 5 + [False] * 2


def test_what_was_taken_over_the_rate_is_waited_for() -> None:
    rates = Rates(10, 5, 100, forget_nobody)
    assert rates.spend("a", 5, 0.0) == 0
    assert rates.spend("a", 20, 0.0) == 2.0
    assert rates.spend("a", 10, 2.0) == 1.0
    assert rates.spend("a", 0, 60.0) == 0


def test_no_more_sources_than_are_kept() -> None:
    forgotten: list[None] = []
    rates = Rates(1, 1, 2, lambda: forgotten.append(None))
    for source in "abc":
        assert rates.has_room(source, 0.0)
    assert len(rates) == 2
    assert len(forgotten) == 1
    assert rates.has_room("a", 0.0), "it was forgotten, b was its price"
    for source in "xy":
        assert rates.has_room(source, 100.0)
    assert len(forgotten) == 2, "who has the whole burst again loses nothing"


@given(st.lists(st.floats(0, 0.3), max_size=200))
def test_never_more_than_rate_and_burst(pauses: list[float]) -> None:
    rates = Rates(20, 10, 5, forget_nobody)
    now = 0.0
    taken = 0
    for pause in pauses:
        now += pause
        taken += rates.has_room("a", now)
    assert taken <= 10 + now * 20 + 1
