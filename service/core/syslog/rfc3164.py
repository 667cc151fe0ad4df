"""RFC 3164 as rsyslog, syslog-ng, syslogd, Postfix and journalctl write it.

`[<PRI>]STAMP [HOST] TAG[PID]: TEXT`, where the stamp is a BSD one (Postfix `maillog_file`, rsyslog
`RSYSLOG_TraditionalForwardFormat`) or an RFC 3339 one (`RSYSLOG_ForwardFormat`, journalctl
`-o short-iso`), and forms without any stamp. Without a priority these are the lines of a log file.
"""

import re
from datetime import UTC, datetime, tzinfo
from functools import lru_cache

from service.core.syslog.message import SyslogMessage
from service.core.syslog.tag import (
    BOM,
    HOST,
    TAG,
    Origin,
    clean_text,
    split_origin,
    split_unstamped,
)
from service.core.syslog.timestamp import BSD, ISO, LAST, bsd_time, iso_time

PRIORITY = r"<(?:[0-9]{1,2}|1[0-8][0-9]|19[01])>"
"""RFC 5424 6.2.1: facility * 8 + severity, 0 to 191."""

_PRIORITY = r"(?:" + PRIORITY + r" ?)?"
_STAMPED = _PRIORITY + r"(?:(" + BSD + r"):?|(" + ISO + r")) "

# As rsyslog and journald write it: a stamp with six digits of a second, two words and the text.
# What these pieces hold is looked at by `_second` and `_origin`, which remember it.
_COMMON = re.compile(
    rf"(?:{PRIORITY} ?|)"
    r"(([^.]{19})\.([0-9]{6})([^ ]{0,6})) ([^ ]{1,255} [^ ]{1,255} )(.*)",
    re.DOTALL,
)
# One for each stamp: an alternative of both costs a third more.
_ISO_HEAD = re.compile(_PRIORITY + r"(" + ISO + r") ")
_BSD_HEAD = re.compile(_PRIORITY + r"(" + BSD + r"):? ")
_ORIGIN = re.compile(r"(" + HOST + r") " + TAG)
_ISO_STAMP = re.compile(ISO)
_ORIGIN_END = ": "
_UNCLEAN = (" ", BOM)
_MAX_ORIGIN = 512
"""Longer ones are not remembered. RFC 5424 6: 255 characters of host, 48 of program."""
_ANY = re.compile(_STAMPED)
_UNSTAMPED = re.compile(PRIORITY + r" ?")
_BARE = re.compile(r"(?:(" + HOST + r") )?([A-Za-z0-9_./@+-]+)(?:\[([0-9]{1,10})\])?:(?: |$)")


def parse_common(text: str, received_at: datetime, zone: tzinfo) -> SyslogMessage | None:
    """The hot path: a stamp, a host and a whole tag. What it takes for host and tag
    `parse_stamped` takes for them too."""
    match = _COMMON.match(text)
    if match is not None:
        stamp, before, digits, after, names, rest = match.groups()
        second, origin = _second(before, after), parse_origin(names)
        if second is not None and origin is not None:
            if rest.startswith(_UNCLEAN):
                rest = clean_text(rest)
            host, tag, pid = origin
            time = datetime.fromisoformat(f"{second}.{digits}+00:00")
            return SyslogMessage(stamp, time, "exact", host, tag, pid, rest)
    return _parse_common(text, received_at, zone)


def _parse_common(text: str, received_at: datetime, zone: tzinfo) -> SyslogMessage | None:
    """The same for all other stamps, and for a text that is empty."""
    match = _ISO_HEAD.match(text)
    if match is not None:
        stamp = match[1]
        time, quality = iso_time(stamp, received_at, zone)
    else:
        match = _BSD_HEAD.match(text)
        if match is None:
            return None
        stamp = match[1]
        time, quality = bsd_time(stamp, received_at, zone)
    # The end of a tag is the first colon that a space follows: neither host nor tag holds one.
    start = match.end()
    end = text.find(_ORIGIN_END, start, start + _MAX_ORIGIN) + len(_ORIGIN_END)
    if end < len(_ORIGIN_END):
        end = len(text)  # a text that is empty, with no space after the colon
        if end - start > _MAX_ORIGIN:
            return None
    origin = parse_origin(text[start:end])
    if origin is None:
        return None
    host, tag, pid = origin
    return SyslogMessage(stamp, time, quality, host, tag, pid, clean_text(text[end:]))


@lru_cache(maxsize=1024)
def _second(before: str, after: str) -> str | None:
    """The time up to the second, in UTC, that a stamp tells by what stands before its point and
    what behind its six digits. None for what has to be looked at in full.

    Remembered: a busy host logs many lines in one second.
    """
    if not _ISO_STAMP.fullmatch(f"{before}.000000{after}"):
        return None
    time, quality = iso_time(f"{before}{after}", LAST, UTC)
    # Without a zone the time depends on a setting; and a leap second is its last microsecond.
    if quality != "exact" or time.microsecond:
        return None
    return time.isoformat()[: len(before)]


@lru_cache(maxsize=4096)
def parse_origin(text: str) -> tuple[str, str, int | None] | None:
    """Host, tag and PID of `HOST TAG[PID]: `. Remembered: a process logs many lines."""
    match = _ORIGIN.fullmatch(text)
    if match is None:
        return None
    host, tag, pid = match.groups()
    return host, tag, int(pid) if pid else None


def parse_stamped(text: str, received_at: datetime, zone: tzinfo) -> SyslogMessage | None:
    """A stamp, and after it whatever is there."""
    match = _ANY.match(text)
    if match is None:
        return None
    bsd, iso = match.groups()
    time, quality = bsd_time(bsd, received_at, zone) if bsd else iso_time(iso, received_at, zone)
    origin = split_origin(text[match.end() :])
    return SyslogMessage(
        bsd or iso, time, quality, origin.host, origin.tag, origin.pid, origin.text
    )


def parse_unstamped(text: str, received_at: datetime, zone: tzinfo) -> SyslogMessage | None:
    """A priority without a stamp, or a tag that cannot be anything else."""
    match = _UNSTAMPED.match(text)
    origin = split_unstamped(text[match.end() :]) if match else _bare(text)
    if origin is None:
        return None
    return SyslogMessage(
        "", received_at, "received", origin.host, origin.tag, origin.pid, origin.text
    )


def _bare(text: str) -> Origin | None:
    """Neither priority nor stamp: a PID or a slash must tell a tag from the words of any text."""
    match = _BARE.match(text)
    if match is None:
        return None
    host, tag, pid = match.groups()
    if pid is None and "/" not in tag:
        return None
    return Origin(host, tag, int(pid) if pid else None, clean_text(text[match.end() :]))
