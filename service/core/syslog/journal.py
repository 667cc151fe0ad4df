"""journald's own formats (systemd `src/shared/logs-show.c`).

`journalctl -o json`: the fields are named, nothing has to be guessed. `-o short-full` and
`-o with-unit`: `Sat 2026-08-01 10:20:30 CEST HOST TAG[PID]: TEXT`. The other short formats have
the shape of RFC 3164 and are read there.
"""

import re
from datetime import UTC, datetime, timedelta, tzinfo

from service.core.syslog.json_line import read_object, string_of
from service.core.syslog.message import SyslogMessage
from service.core.syslog.tag import clean_text, split_origin
from service.core.syslog.timestamp import Time, iso_time

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

_SHORT_FULL = re.compile(
    r"((?:Mon|Tue|Wed|Thu|Fri|Sat|Sun) "
    r"([0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,6})?) "
    r"([A-Z]{2,5}|[+-][0-9]{2}(?:[0-9]{2})?)) "
)
_UTC_NAMES = frozenset({"UTC", "GMT"})


def parse_journal_json(text: str, received_at: datetime, zone: tzinfo) -> SyslogMessage | None:
    if not text.startswith("{") or '"MESSAGE"' not in text:
        return None
    fields = read_object(text)
    if fields is None:
        return None
    stamp = string_of(fields.get("__REALTIME_TIMESTAMP")) or ""
    time = _microseconds(stamp, received_at)
    pid = string_of(fields.get("SYSLOG_PID")) or string_of(fields.get("_PID")) or ""
    return SyslogMessage(
        stamp=stamp,
        time=time[0],
        time_quality=time[1],
        host=string_of(fields.get("_HOSTNAME")) or None,
        tag=string_of(fields.get("SYSLOG_IDENTIFIER")) or string_of(fields.get("_COMM")) or "",
        pid=int(pid) if pid.isascii() and pid.isdecimal() and len(pid) <= 10 else None,
        text=clean_text(string_of(fields.get("MESSAGE")) or ""),
    )


def _microseconds(stamp: str, received_at: datetime) -> Time:
    if not (stamp.isascii() and stamp.isdecimal() and len(stamp) <= 18):
        return received_at, "received"
    try:
        return _EPOCH + timedelta(microseconds=int(stamp)), "exact"
    except OverflowError:
        return received_at, "received"


def parse_short_full(text: str, received_at: datetime, zone: tzinfo) -> SyslogMessage | None:
    match = _SHORT_FULL.match(text)
    if match is None:
        return None
    stamp, clock, zone_name = match.groups()
    # A number is a zone; of the names only UTC says by itself which one is meant.
    if zone_name in _UTC_NAMES:
        clock += "Z"
    elif not zone_name.isalpha():
        clock += zone_name
    time, quality = iso_time(clock, received_at, zone)
    origin = split_origin(text[match.end() :])
    return SyslogMessage(stamp, time, quality, origin.host, origin.tag, origin.pid, origin.text)
