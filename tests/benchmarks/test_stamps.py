"""The clock moves on with every line, over the end of a second too."""

from datetime import datetime

import pytest

from benchmarks.stamps import Clock


def test_forward_stamps_grow_by_at_least_a_microsecond() -> None:
    clock = Clock("forward")
    moments = [datetime.fromisoformat(clock.advance(luck / 10)) for luck in range(10) for _ in "ab"]
    assert moments == sorted(set(moments))
    assert moments[0].isoformat(timespec="microseconds") == "2026-08-01T10:00:00.000001+02:00"


def test_a_second_is_carried() -> None:
    clock = Clock("forward", lines_per_second=3)
    stamps = [clock.advance(0.9) for _ in range(3)]
    assert stamps[-1] == "2026-08-01T10:00:01.800003+02:00"


@pytest.mark.parametrize(
    ("form", "stamp"),
    [
        ("forward", "2026-08-01T10:00:00.000001+02:00"),
        ("rfc5424", "1 2026-08-01T10:00:00.000001+02:00"),
        ("traditional", "Aug  1 10:00:00"),
    ],
)
def test_forms(form: str, stamp: str) -> None:
    assert Clock(form).advance(0) == stamp


def test_next_second_starts_anew() -> None:
    clock = Clock("traditional")
    clock.advance(0.5)
    assert clock.next_second() == "Aug  1 10:00:01"
    assert clock.microseconds == 0
