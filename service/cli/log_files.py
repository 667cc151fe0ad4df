"""Log files in the order of their lines, and the year of stamps that name none.

In: paths as given, `-` among them. Out: `LogFile`s, oldest lines first. Rotated files of one log
are put in order by the number or date in their names (logrotate: `mail.log`, `mail.log.1`,
`mail.log.2.gz`, `maillog-20261101.xz`), different logs by their first stamps.

A stamp without a year is of the last year in which it does not lie after its file's last write, nor
after the first stamp of the next file of that log: so the years are right over any number of
rotated files, on both sides of New Year, and where copying lost the files' times all but once.
"""

import os
import re
import stat
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from itertools import islice
from pathlib import Path

from service.cli.input_lines import open_log, read_lines
from service.core.framing.base import MAX_FRAME_BYTES
from service.core.syslog import parse_message

STANDARD_INPUT = "-"

_CLOCKS_DIFFER = timedelta(days=1)
"""A stamp may lie so much after the last write: in another zone, or by a clock that is wrong."""
_HALF_A_YEAR = timedelta(days=182)
"""Rounded in favour of such a stamp."""
_COMPRESSED = (".gz", ".xz", ".zst")
_ROTATED = re.compile(r"(?P<log>.+?)[.-](?P<mark>[0-9]{1,14}|[0-9]{4}-[0-9]{2}(?:-[0-9]{2})?)")
_LONGEST_NUMBER = 3
"""Digits; more are a date."""
_LOOKED_AT = 200
"""Lines, for the first stamp of a file."""


@dataclass(frozen=True)
class LogFile:
    path: str
    size: int | None
    """Bytes as stored; None where nobody knows."""
    written: datetime | None
    """No line in it is newer, clocks aside; None: it is being written."""

    @property
    def newest(self) -> datetime:
        return self.written or datetime.now(UTC)

    @property
    def near(self) -> datetime:
        """The nearest year to this is the last one that is possible."""
        return self.newest + _CLOCKS_DIFFER - _HALF_A_YEAR


def log_file(path: str) -> LogFile:
    """By itself. Raises `OSError`."""
    if path == STANDARD_INPUT:
        return LogFile(path, None, None)
    found = os.stat(path)
    if not stat.S_ISREG(found.st_mode):
        return LogFile(path, None, None)
    written = datetime.fromtimestamp(found.st_mtime, UTC)
    return LogFile(path, found.st_size, min(datetime.now(UTC), written))


def oldest_first(paths: Sequence[str], zone: tzinfo) -> list[LogFile]:
    """Each once. Raises `OSError` for one that cannot be read."""
    logs: dict[tuple[str, str], list[_Rotated]] = {}
    for path in _each_once(paths):
        rotated = _rotated(path)
        logs.setdefault(rotated.log, []).append(rotated)
    series = [_dated(sorted(files, key=lambda file: file.rank), zone) for files in logs.values()]
    series.sort(key=lambda dated: dated[0])
    return [file for _, files in series for file in files]


@dataclass(frozen=True)
class _Rotated:
    path: str
    log: tuple[str, str]
    """Folder, and the name without what rotation and compression added."""
    rank: tuple[int, int]
    """Order within that log, oldest first: dates, numbers from high to low, the log itself."""


def _rotated(path: str) -> _Rotated:
    folder, name = os.path.split(path)
    if name.endswith(_COMPRESSED):
        name = name.rpartition(".")[0]
    match = _ROTATED.fullmatch(name)
    if match is None:
        return _Rotated(path, (folder, name), (2, 0))
    mark = match["mark"].replace("-", "")
    is_number = len(mark) <= _LONGEST_NUMBER
    rank = (1, -int(mark)) if is_number else (0, int(mark.ljust(14, "0")))
    return _Rotated(path, (folder, match["log"]), rank)


def _dated(files: list[_Rotated], zone: tzinfo) -> tuple[datetime, list[LogFile]]:
    """From the newest file to the oldest: the first stamp of the one bounds the other."""
    dated: list[LogFile] = []
    bound = datetime.now(UTC)
    for rotated in reversed(files):
        file = log_file(rotated.path)
        if file.written is not None:
            file = LogFile(file.path, file.size, min(file.written, bound))
            bound = _first_stamp(file, zone) or file.newest
        dated.insert(0, file)
    return bound, dated


def _first_stamp(file: LogFile, zone: tzinfo) -> datetime | None:
    with open_log(file.path) as log:
        for frame in islice(read_lines(log.text, MAX_FRAME_BYTES), _LOOKED_AT):
            message = parse_message(frame.data, received_at=file.near, zone=zone)
            if message is not None and message.time_quality != "received":
                return message.time
    return None


def _each_once(paths: Iterable[str]) -> Iterable[str]:
    """Lines read twice would count as logged twice."""
    seen = set()
    for path in paths:
        known = path if path == STANDARD_INPUT else str(Path(path).resolve())
        if known not in seen:
            seen.add(known)
            yield path
