"""Time stamps of syslog lines: the text goes in, a UTC time and how far it can be trusted come out.

Two shapes: RFC 3339 (RFC 5424 6.2.3, rsyslog's `RSYSLOG_ForwardFormat`, journalctl, containers)
and BSD `Mmm dd HH:MM:SS` (RFC 3164 4.1.2, Postfix `util/msg_logger.c`), which tells neither year
nor zone. The year is the one that puts the time nearest to the receipt: right at both sides of
New Year, for replays of less than half a year, and for 29 February. The zone is the one given.
"""

import re
from datetime import UTC, datetime, tzinfo
from functools import lru_cache
from itertools import pairwise
from typing import Final

from service.core.syslog.message import TimeQuality

Time = tuple[datetime, TimeQuality]

_CLOCK = r"[0-9]{2}:[0-9]{2}:[0-9]{2}(?:[.,][0-9]{1,9})?"

ISO = r"[0-9]{4}-[0-9]{2}-[0-9]{2}[T ]" + _CLOCK + r"(?:Z|[+-][0-9]{2}(?::?[0-9]{2})?)?"
"""Pattern of an RFC 3339 stamp, and of what is sent in its place: a space for the T, a comma for
the point, `+0200`, `+02`, no zone at all."""

_YEAR = r"[0-9]{4}"
_MONTH = r"(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)"

# No host of that name: that would stand in front of a tag.
_YEAR_LAST = r"(?: (?:19|20)[0-9]{2}(?=\Z| [^ :\[]{1,255} ))?"

BSD = rf"(?:{_YEAR} )?{_MONTH} {{1,2}}[0-9]{{1,2}}(?: {_YEAR})? {_CLOCK}{_YEAR_LAST}"
"""Pattern of an RFC 3164 stamp; the day padded by a space, by a zero or not, fractions and a year
where a sender adds them, the year before the month, behind the day or last."""

_ISO_STAMP: Final = re.compile(ISO)
_BSD_STAMP: Final = re.compile(BSD)
_YEAR_WORD: Final = re.compile(_YEAR)
_POINT: Final = len("YYYY-MM-DDThh:mm:ss.")
_DIGITS: Final = 6
SHORTEST_EXACT: Final = len("YYYY-MM-DDThh:mm:ss.ffffffZ")
LONGEST_EXACT: Final = len("YYYY-MM-DDThh:mm:ss.ffffff+hh:mm")
"""Of the stamps that `exact_time` takes."""
_SECONDS: Final[dict[str, str]] = {}
"""A stamp without its six digits, to what stands before them in UTC: a busy host logs many lines in
a second. Empty: the stamp has to be looked at in full."""
_MOST_SECONDS: Final = 1024
"""Then all are forgotten."""
_from_iso: Final = datetime.fromisoformat

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")

_LAST: Final = datetime.max.replace(tzinfo=UTC)


def iso_time(stamp: str, received_at: datetime, zone: tzinfo) -> Time:
    """`stamp` matches `ISO`; `received_at` is UTC."""
    try:
        try:
            time = datetime.fromisoformat(stamp)
        except ValueError:
            # A leap second, the only value of the pattern that is a time and no datetime.
            time = datetime.fromisoformat(_last_microsecond(stamp))
        if time.tzinfo is UTC:
            return time, "exact"
        if time.tzinfo is not None:
            return time.astimezone(UTC), "exact"
        return time.replace(tzinfo=zone).astimezone(UTC), "inferred"
    except (ValueError, OverflowError):
        return received_at, "received"


def exact_time(stamp: str) -> datetime | None:
    """What `stamp_time` gives of a stamp with six digits of a second and a zone, as rsyslog and
    journald write it, at a fifth of the cost. None: it has to be looked at in full."""
    digits = stamp[_POINT : _POINT + _DIGITS]
    if not (digits.isdigit() and digits.isascii()):
        return None
    rest = stamp[:_POINT] + stamp[_POINT + _DIGITS :]
    second = _SECONDS.get(rest)
    if second is None:
        # Asked here alone: nothing of another length is ever remembered.
        if not SHORTEST_EXACT <= len(stamp) <= LONGEST_EXACT:
            return None
        second = _second(f"{stamp[:_POINT]}000000{stamp[_POINT + _DIGITS :]}")
        if len(_SECONDS) >= _MOST_SECONDS:
            _SECONDS.clear()
        _SECONDS[rest] = second
    return _from_iso(f"{second}{digits}+00:00") if second else None


def _second(stamp: str) -> str:
    """Of a stamp whose digits are zeros: they are what follows."""
    if _ISO_STAMP.fullmatch(stamp) is None:
        return ""
    time, quality = iso_time(stamp, _LAST, UTC)
    # Without a zone the time depends on a setting; and a leap second is its last microsecond.
    if quality != "exact" or time.microsecond:
        return ""
    return f"{time.isoformat()[: _POINT - 1]}."


def stamp_time(stamp: str, received_at: datetime, zone: tzinfo) -> Time:
    """Of either shape, or of none."""
    time = exact_time(stamp)
    if time is not None:
        return time, "exact"
    if _ISO_STAMP.fullmatch(stamp):
        return iso_time(stamp, received_at, zone)
    if _BSD_STAMP.fullmatch(stamp):
        return bsd_time(stamp, received_at, zone)
    return received_at, "received"


def _last_microsecond(stamp: str) -> str:
    """`23:59:60` and its fractions as `23:59:59.999999`; anything else unchanged."""
    if stamp[17:19] != "60":
        return stamp
    zone_at = next((i for i in range(19, len(stamp)) if stamp[i] in "Z+-"), len(stamp))
    return f"{stamp[:17]}59.999999{stamp[zone_at:]}"


def bsd_time(stamp: str, received_at: datetime, zone: tzinfo) -> Time:
    """`stamp` matches `BSD`; `received_at` is UTC."""
    for until, time in _candidates(stamp, received_at.year, zone):
        if received_at <= until:
            return time, "inferred"
    return received_at, "received"


@lru_cache(maxsize=1024)
def _candidates(stamp: str, year: int, zone: tzinfo) -> tuple[tuple[datetime, datetime], ...]:
    """Possible times in order, each with the last time of receipt to which it is the nearest.

    Cached: a busy host logs many lines in the second that is all the stamp tells.
    """
    words = stamp.split()
    stated = [word for word in words if _YEAR_WORD.fullmatch(word)][:1]
    name, day, clock = [word for word in words if not _YEAR_WORD.fullmatch(word)]
    month = _MONTHS.index(name) + 1
    hour, minute, second = int(clock[:2]), int(clock[3:5]), int(clock[6:8])
    microsecond = int(clock[9:15].ljust(6, "0"))
    if second == 60:
        second, microsecond = 59, 999_999
    times: list[datetime] = []
    for candidate in [int(stated[0])] if stated else [year - 1, year, year + 1]:
        try:
            local = datetime(
                candidate, month, int(day), hour, minute, second, microsecond, tzinfo=zone
            )
            times.append(local.astimezone(UTC))
        except (ValueError, OverflowError):
            continue  # no such day in that year, or no such time at all
    middles = [a + (b - a) / 2 for a, b in pairwise(times)]
    return tuple(zip([*middles, _LAST], times, strict=True)) if times else ()
