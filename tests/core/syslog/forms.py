"""Writes a `LogLine` in each form a sender may use: the inverse of the parser."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from zoneinfo import ZoneInfo

from tests.strategies import LogLine

ZONE = ZoneInfo("Europe/Berlin")


@dataclass(frozen=True)
class FormOf:
    render: Callable[[LogLine], str]
    resolution: timedelta
    """What the stamp tells; the rest of the time is lost."""
    exact: bool
    """The stamp tells year and zone."""


def _tagged(line: LogLine) -> str:
    return f"{line.tag}: " if line.pid is None else f"{line.tag}[{line.pid}]: "


def _local(line: LogLine) -> datetime:
    """In `ZONE`; the hour that comes twice is told as the first."""
    return line.time.astimezone(ZONE)


def _bsd(line: LogLine) -> str:
    return f"{_local(line):%b} {_local(line).day:2} {_local(line):%H:%M:%S}"


def _rsyslog_forward(line: LogLine) -> str:
    stamp = line.time.astimezone(timezone(timedelta(hours=2))).isoformat()
    return f"<22>{stamp} {line.host} {_tagged(line)}{line.text}"


def _rfc5424(line: LogLine, data: str = "-", before_text: str = "") -> str:
    stamp = line.time.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    procid = "-" if line.pid is None else line.pid
    return f"<22>1 {stamp} {line.host} {line.tag} {procid} - {data} {before_text}{line.text}"


def _maillog_file(line: LogLine) -> str:
    return f"{_local(line):%b %d %H:%M:%S} {line.host} {_tagged(line)}{line.text}"


def _journal_json(line: LogLine) -> str:
    microseconds = (line.time - datetime.fromtimestamp(0, line.time.tzinfo)) // timedelta(
        microseconds=1
    )
    fields: dict[str, object] = {
        "__REALTIME_TIMESTAMP": str(microseconds),
        "_HOSTNAME": line.host,
        "SYSLOG_IDENTIFIER": line.tag,
        "MESSAGE": line.text,
    }
    if line.pid is not None:
        fields["SYSLOG_PID"] = str(line.pid)
    return json.dumps(fields)


def _cri(line: LogLine) -> str:
    return f"2026-08-22T09:59:59.123456789+02:00 stdout F {_maillog_file(line)}"


def _docker_json(line: LogLine) -> str:
    return json.dumps(
        {"log": _maillog_file(line) + "\n", "stream": "stdout", "time": "2026-08-22T09:59:59.1Z"}
    )


SECOND = timedelta(seconds=1)
MICROSECOND = timedelta(microseconds=1)

FORMS: dict[str, FormOf] = {
    "RSYSLOG_TraditionalForwardFormat": FormOf(
        lambda line: f"<22>{_bsd(line)} {line.host} {_tagged(line)}{line.text}", SECOND, False
    ),
    "RSYSLOG_ForwardFormat": FormOf(_rsyslog_forward, MICROSECOND, True),
    "RSYSLOG_SyslogRFC5424Format": FormOf(_rfc5424, MICROSECOND, True),
    "RSYSLOG_SyslogProtocol23Format": FormOf(
        lambda line: _rfc5424(line, before_text=" ") + "\n", MICROSECOND, True
    ),
    "rfc5424-bom": FormOf(lambda line: _rfc5424(line, before_text="\ufeff"), MICROSECOND, True),
    "rfc5424-data": FormOf(
        lambda line: _rfc5424(line, data=r'[a@1 b="\"\\\] - x"][c]'), MICROSECOND, True
    ),
    "maillog_file": FormOf(_maillog_file, SECOND, False),
    "journal-short-precise": FormOf(
        lambda line: f"{_local(line):%b %d %H:%M:%S.%f} {line.host} {_tagged(line)}{line.text}",
        MICROSECOND,
        False,
    ),
    "journal-short-iso": FormOf(
        lambda line: f"{_local(line):%Y-%m-%dT%H:%M:%S%z} {line.host} {_tagged(line)}{line.text}",
        SECOND,
        True,
    ),
    "journal-short-full": FormOf(
        lambda line: (
            f"{_local(line):%a %Y-%m-%d %H:%M:%S %Z} {line.host} {_tagged(line)}{line.text}"
        ),
        SECOND,
        False,
    ),
    "journal-json": FormOf(_journal_json, MICROSECOND, True),
    "cri": FormOf(_cri, SECOND, False),
    "docker-json": FormOf(_docker_json, SECOND, False),
    "docker-logs": FormOf(
        lambda line: f"2026-08-22T09:59:59.123456789Z {_maillog_file(line)}", SECOND, False
    ),
    "docker-compose": FormOf(lambda line: f"mail-1  | {_maillog_file(line)}", SECOND, False),
    "docker-compose-t": FormOf(
        lambda line: f"mail-1  | 2026-08-22T09:59:59.123456789Z {_maillog_file(line)}",
        SECOND,
        False,
    ),
}
