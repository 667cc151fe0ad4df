"""RFC 3164 as rsyslog, syslog-ng, syslogd, Postfix and journalctl write it.

`[<PRI>]STAMP [HOST] TAG[PID]: TEXT`, where the stamp is a BSD one (Postfix `maillog_file`, rsyslog
`RSYSLOG_TraditionalForwardFormat`) or an RFC 3339 one (`RSYSLOG_ForwardFormat`, journalctl
`-o short-iso`), and forms without any stamp. Without a priority these are the lines of a log file.
"""

import re
from datetime import datetime, tzinfo
from typing import Final

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
from service.core.syslog.timestamp import (
    BSD,
    ISO,
    LONGEST_EXACT,
    SHORTEST_EXACT,
    bsd_time,
    exact_time,
    iso_time,
)

PRIORITY = r"<(?:[0-9]{1,2}|1[0-8][0-9]|19[01])>"
"""RFC 5424 6.2.1: facility * 8 + severity, 0 to 191."""

_PRIORITIES: Final = frozenset(
    {"", *map("<{}>".format, range(192)), *map("<0{}>".format, range(10))}
)
"""All that `PRIORITY` matches, and none."""
_LONGEST_PRIORITY: Final = len("<191>")

_PRIORITY = r"(?:" + PRIORITY + r" ?)?"
_STAMPED = _PRIORITY + r"(?:(" + BSD + r"):?|(" + ISO + r")) "

# One for each stamp: an alternative of both costs a third more.
_ISO_HEAD: Final = re.compile(_PRIORITY + r"(" + ISO + r") ")
_BSD_HEAD: Final = re.compile(_PRIORITY + r"(" + BSD + r"):? ")
_ORIGIN: Final = re.compile(r"(" + HOST + r") " + TAG)
_ORIGIN_END: Final = ": "
_MAX_ORIGIN: Final = 512
"""Longer ones are not remembered. RFC 5424 6: 255 characters of host, 48 of program."""
# FreeBSD's syslogd with `-v` twice names facility and level behind the stamp.
_ANY = re.compile(_STAMPED + r"(?:<[a-z0-9]{1,16}\.[a-z]{1,16}> )?")
_UNSTAMPED = re.compile(PRIORITY + r" ?")
_BARE = re.compile(r"(?:(" + HOST + r") )?([A-Za-z0-9_./@+-]+)(?:\[([0-9]{1,10})\])?:(?: |$)")


_Names = tuple[str, str, int | None]

# A process logs many lines. Bounded in number, and in length by who asks.
_ORIGINS: Final[dict[str, _Names]] = {}
_MOST_ORIGINS: Final = 4096


def parse_common(text: str, received_at: datetime, zone: tzinfo) -> SyslogMessage | None:
    """The hot path, for what rsyslog and journald write: a stamp with six digits of a second, a
    host and a whole tag. What it takes for host and tag `parse_stamped` takes for them too."""
    start = text.find(">", 0, _LONGEST_PRIORITY) + 1
    space = text.find(" ", start, start + LONGEST_EXACT + 1)
    # A BSD stamp holds a space long before.
    if space - start >= SHORTEST_EXACT and text[:start] in _PRIORITIES:
        stamp = text[start:space]
        time = exact_time(stamp)
        if time is not None:
            # Neither host nor tag holds a colon, so the first one ends them. Without one the piece
            # is empty, and no origin.
            colon = text.find(":", space, space + _MAX_ORIGIN)
            origin = parse_origin(text[space + 1 : colon + 2])
            if origin is not None:
                host, tag, pid = origin
                rest = text[colon + 2 :]
                if rest and (rest[0] == " " or rest[0] == BOM or rest[0] == "["):
                    rest = clean_text(rest)
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


def parse_origin(text: str) -> _Names | None:
    """Host, tag and PID of `HOST TAG[PID]: `. The caller bounds its length."""
    known = _ORIGINS.get(text)
    if known is not None:
        return known
    match = _ORIGIN.fullmatch(text)
    if match is None:
        return None
    host, tag, digits = match.groups()
    origin = (host, tag, int(digits) if digits else None)
    if len(_ORIGINS) >= _MOST_ORIGINS:
        _ORIGINS.clear()
    _ORIGINS[text] = origin
    return origin


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
