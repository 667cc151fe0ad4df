"""Events per minute."""

from service.board.minutes import Minutes
from tests.board.events import NOW

MINUTE = int(NOW) // 60 * 60


def test_a_bar_for_each_minute_of_the_last_hour() -> None:
    minutes = Minutes(86_400)
    minutes.add("bounced", MINUTE + 59)
    minutes.add("bounced", MINUTE)
    minutes.add("reject", MINUTE - 59 * 60)
    minutes.add("reject", MINUTE - 60 * 60)  # just too old
    start, step, bars = minutes.chart(3600, MINUTE + 59)
    assert (start, step, len(bars)) == (MINUTE - 59 * 60, 60, 60)
    assert bars[0] == [1, 0, 0, 0, 0]
    assert bars[-1] == [0, 0, 2, 0, 0]
    assert sum(map(sum, bars)) == 3
    assert minutes.totals(3600, MINUTE + 59) == [1, 0, 2, 0, 0]
    assert minutes.totals(86_400, MINUTE + 59) == [2, 0, 2, 0, 0]


def test_a_longer_time_has_wider_bars_and_the_same_events() -> None:
    minutes = Minutes(7 * 86_400)
    for hour in range(24):
        minutes.add("deferred", MINUTE - hour * 3600)
    for seconds in (6 * 3600, 86_400, 7 * 86_400):
        start, step, bars = minutes.chart(seconds, MINUTE)
        assert len(bars) <= 120
        assert start + step * (len(bars) - 1) <= MINUTE < start + step * len(bars)
        assert sum(map(sum, bars)) == min(seconds // 3600, 24)


def test_what_is_older_than_the_history_is_forgotten() -> None:
    minutes = Minutes(3600)
    for back in range(180):
        minutes.add("invalid", MINUTE - back * 60)
    minutes.forget(MINUTE)
    assert len(minutes) == 61
    assert minutes.totals(3600, MINUTE)[4] == 60
