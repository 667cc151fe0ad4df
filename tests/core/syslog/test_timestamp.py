"""Stamps to times: tables, and the year rule against every day around the receipt."""

import re
from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.core.syslog.timestamp import BSD, ISO, Time, bsd_time, exact_time, iso_time, stamp_time

NOW = datetime(2026, 8, 22, 10, 0, tzinfo=UTC)
BERLIN = ZoneInfo("Europe/Berlin")


def utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)  # type: ignore[arg-type, misc]


@pytest.mark.parametrize(
    ("stamp", "wanted"),
    [
        ("2026-08-01T10:20:30Z", utc(2026, 8, 1, 10, 20, 30)),
        ("2026-08-01T10:20:30+00:00", utc(2026, 8, 1, 10, 20, 30)),
        ("2026-08-01T10:20:30-00:00", utc(2026, 8, 1, 10, 20, 30)),
        ("2026-08-01T10:20:30+02:00", utc(2026, 8, 1, 8, 20, 30)),
        ("2026-08-01T10:20:30+0200", utc(2026, 8, 1, 8, 20, 30)),
        ("2026-08-01T10:20:30+02", utc(2026, 8, 1, 8, 20, 30)),
        ("2026-08-01T10:20:30-09:30", utc(2026, 8, 1, 19, 50, 30)),
        ("2026-08-01 10:20:30Z", utc(2026, 8, 1, 10, 20, 30)),
        ("2026-08-01T10:20:30.5Z", utc(2026, 8, 1, 10, 20, 30, 500_000)),
        ("2026-08-01T10:20:30.123456+02:00", utc(2026, 8, 1, 8, 20, 30, 123_456)),
        ("2026-08-01T10:20:30,123456+0200", utc(2026, 8, 1, 8, 20, 30, 123_456)),
        ("2026-08-01T10:20:30.1234567Z", utc(2026, 8, 1, 10, 20, 30, 123_456)),
        ("2026-08-01T10:20:30.123456789Z", utc(2026, 8, 1, 10, 20, 30, 123_456)),
        ("2026-12-31T23:59:60Z", utc(2026, 12, 31, 23, 59, 59, 999_999)),
        ("2016-12-31T23:59:60.25+01:00", utc(2016, 12, 31, 22, 59, 59, 999_999)),
        ("2024-02-29T00:00:00Z", utc(2024, 2, 29)),
    ],
)
def test_iso_with_zone_is_exact(stamp: str, wanted: datetime) -> None:
    assert re.fullmatch(ISO, stamp)
    assert iso_time(stamp, NOW, BERLIN) == (wanted, "exact")


@pytest.mark.parametrize(
    ("stamp", "wanted"),
    [
        ("2026-08-01T10:20:30", utc(2026, 8, 1, 8, 20, 30)),
        ("2026-01-01 10:20:30.25", utc(2026, 1, 1, 9, 20, 30, 250_000)),
        ("2026-08-01T23:59:60", utc(2026, 8, 1, 21, 59, 59, 999_999)),
        ("2026-10-25T02:30:00", utc(2026, 10, 25, 0, 30)),  # twice that night: the first
        ("2026-03-29T02:30:00", utc(2026, 3, 29, 1, 30)),  # never that night
    ],
)
def test_iso_without_zone_is_inferred(stamp: str, wanted: datetime) -> None:
    assert re.fullmatch(ISO, stamp)
    assert iso_time(stamp, NOW, BERLIN) == (wanted, "inferred")


@pytest.mark.parametrize(
    "stamp",
    [
        "2026-02-30T10:20:30Z",
        "2026-13-01T10:20:30Z",
        "2026-08-01T25:20:30Z",
        "2026-08-01T10:60:30Z",
        "2026-08-01T10:20:61Z",
        "2026-08-01T10:20:30+25:00",
        "0000-01-01T00:00:00Z",
        "0001-01-01T00:00:00+05:00",
        "9999-12-31T23:59:59-05:00",
        "0001-01-01T00:00:00",
    ],
)
def test_iso_unusable(stamp: str) -> None:
    assert re.fullmatch(ISO, stamp)
    assert iso_time(stamp, NOW, timezone(timedelta(hours=14))) == (NOW, "received")


@pytest.mark.parametrize(
    ("stamp", "wanted"),
    [
        ("Aug 1 10:20:30", utc(2026, 8, 1, 8, 20, 30)),
        ("Aug  1 10:20:30", utc(2026, 8, 1, 8, 20, 30)),
        ("Aug 01 10:20:30", utc(2026, 8, 1, 8, 20, 30)),
        ("Aug 21 10:20:30", utc(2026, 8, 21, 8, 20, 30)),
        ("Aug 01 10:20:30.123456", utc(2026, 8, 1, 8, 20, 30, 123_456)),
        ("Aug 01 10:20:30.123", utc(2026, 8, 1, 8, 20, 30, 123_000)),
        ("Aug 01 10:20:30,123456789", utc(2026, 8, 1, 8, 20, 30, 123_456)),
        ("Mar 15 00:00:00", utc(2026, 3, 14, 23, 0)),
        ("Aug 01 2019 10:20:30", utc(2019, 8, 1, 8, 20, 30)),
        ("Feb 29 2024 12:00:00", utc(2024, 2, 29, 11)),
        ("Jun 30 23:59:60", utc(2026, 6, 30, 21, 59, 59, 999_999)),
        ("Oct 25 02:30:00", utc(2026, 10, 25, 0, 30)),
    ],
)
def test_bsd_is_inferred(stamp: str, wanted: datetime) -> None:
    assert re.fullmatch(BSD, stamp)
    assert bsd_time(stamp, NOW, BERLIN) == (wanted, "inferred")


@pytest.mark.parametrize(
    "stamp",
    [
        "Feb 30 10:20:30",
        "Feb 29 10:20:30",  # neither 2025 nor 2026 nor 2027
        "Feb 29 2026 10:20:30",
        "Aug 00 10:20:30",
        "Aug 32 10:20:30",
        "Aug 01 25:20:30",
        "Aug 01 10:60:30",
        "Aug 01 10:20:61",
        "Aug 01 0000 10:20:30",
        "Dec 31 9999 23:59:59",
    ],
)
def test_bsd_unusable(stamp: str) -> None:
    assert re.fullmatch(BSD, stamp)
    assert bsd_time(stamp, NOW, timezone(timedelta(hours=-5))) == (NOW, "received")


@pytest.mark.parametrize(
    ("stamp", "received_at", "year"),
    [
        ("Dec 31 23:59:59", utc(2027, 1, 1, 0, 0, 1), 2026),
        ("Jan  1 00:00:01", utc(2026, 12, 31, 23, 59, 59), 2027),
        ("Jan  1 00:00:01", utc(2027, 1, 1, 0, 0, 1), 2027),
        ("Dec 31 23:59:59", utc(2026, 12, 31, 23, 59, 59), 2026),
        ("Mar  1 00:00:00", utc(2026, 8, 22), 2026),
        ("Feb 20 00:00:00", utc(2026, 8, 22), 2027),
        ("Feb 29 12:00:00", utc(2028, 3, 1), 2028),
        ("Feb 29 12:00:00", utc(2027, 12, 1), 2028),
        ("Feb 29 12:00:00", utc(2029, 2, 1), 2028),
        ("Feb 29 12:00:00", utc(2028, 1, 1), 2028),
        ("Jan  1 00:00:00", utc(2026, 7, 2, 12), 2026),  # as far from 2027: the past
        ("Jan  1 00:00:00", utc(2026, 7, 2, 12, 0, 1), 2027),
        ("Dec 31 23:59:59", utc(9999, 12, 31, 23), 9999),
        ("Jan  1 12:00:00", utc(1, 1, 1, 13), 1),
    ],
)
def test_the_year_nearest_to_the_receipt(stamp: str, received_at: datetime, year: int) -> None:
    time, quality = bsd_time(stamp, received_at, UTC)
    assert (time.year, quality) == (year, "inferred")


@given(
    st.timedeltas(timedelta(days=-15_000), timedelta(days=15_000)),
    st.timedeltas(timedelta(days=-182), timedelta(days=182)),
)
def test_a_late_or_early_line_keeps_its_time(age: timedelta, lateness: timedelta) -> None:
    time = (NOW + age).replace(microsecond=0)
    received_at = time + lateness
    assert bsd_time(f"{time:%b %d %H:%M:%S}", received_at, UTC) == (time, "inferred")


@given(st.timedeltas(timedelta(days=-170), timedelta(days=170)))
def test_bsd_and_iso_agree_on_the_zone(lateness: timedelta) -> None:
    naive = (NOW + lateness).replace(tzinfo=None)
    assert bsd_time(f"{naive:%b %d %H:%M:%S.%f}", NOW, BERLIN) == iso_time(
        naive.isoformat(), NOW, BERLIN
    )


@given(st.from_regex(ISO, fullmatch=True), st.from_regex(BSD, fullmatch=True))
def test_never_an_exception_and_always_utc(iso: str, bsd: str) -> None:
    for time, _ in (iso_time(iso, NOW, BERLIN), bsd_time(bsd, NOW, BERLIN)):
        assert time.utcoffset() == timedelta(0)
        assert time.tzinfo is UTC


def test_the_cache_does_not_mix_zones_or_years() -> None:
    stamp = "Jan  1 00:30:00"
    assert bsd_time(stamp, utc(2026, 1, 1), UTC)[0] == utc(2026, 1, 1, 0, 30)
    assert bsd_time(stamp, utc(2026, 1, 1), BERLIN)[0] == utc(2025, 12, 31, 23, 30)
    assert bsd_time(stamp, utc(2027, 1, 1), UTC)[0] == utc(2027, 1, 1, 0, 30)
    assert bsd_time(stamp, utc(2026, 9, 1), UTC)[0] == utc(2027, 1, 1, 0, 30)
    assert bsd_time(stamp, utc(2026, 5, 1), UTC)[0] == utc(2026, 1, 1, 0, 30)


def careful(stamp: str) -> Time:
    """Both patterns, and nothing remembered."""
    if re.fullmatch(ISO, stamp):
        return iso_time(stamp, NOW, BERLIN)
    if re.fullmatch(BSD, stamp):
        return bsd_time(stamp, NOW, BERLIN)
    return NOW, "received"


_ZONES = st.sampled_from(["", "Z", "z", "+02", "+0200", "+02:00", "-09:30", "+25:00", "-00:00"])
_CLOCKS = st.sampled_from(["10:20:30", "23:59:60", "10:60:30", "00:00:00", "10:20:3\u0663"])
_DATES = st.sampled_from(["2026-08-01", "2026-02-30", "0001-01-01", "9999-12-31", "2026-W31-6"])
_FRACTIONS = st.integers(0, 10**6 - 1).map("{:06}".format) | st.sampled_from(
    ["5", "12345", "1234567", "12345\u0663", "\u00b2" * 6, "000000", "12:456", "-12345"]
)


@given(
    st.tuples(
        _DATES,
        st.sampled_from("T t"),
        _CLOCKS,
        st.sampled_from(".,:"),
        _FRACTIONS,
        _ZONES,
    ).map("".join)
    | st.from_regex(ISO, fullmatch=True)
    | st.from_regex(BSD, fullmatch=True)
)
def test_a_stamp_is_what_the_patterns_say_the_first_time_and_again(stamp: str) -> None:
    for _ in range(2):
        assert stamp_time(stamp, NOW, BERLIN) == careful(stamp)
        assert exact_time(stamp) in (None, careful(stamp)[0])


def test_a_full_memory_of_seconds_changes_nothing() -> None:
    for second in range(3000):
        stamp = f"2026-08-01T{10 + second // 3600}:{second // 60 % 60:02}:{second % 60:02}.000007Z"
        assert exact_time(stamp) == careful(stamp)[0]
