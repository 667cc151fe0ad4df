"""RFC 3164 as rsyslog, syslog-ng, syslogd, Postfix and journalctl write it.

`[<PRI>]STAMP [HOST] TAG[PID]: TEXT`, where the stamp is a BSD one (Postfix `maillog_file`, rsyslog
`RSYSLOG_TraditionalForwardFormat`) or an RFC 3339 one (`RSYSLOG_ForwardFormat`, journalctl
`-o short-iso`), and forms without any stamp. Without a priority these are the lines of a log file.
"""

import re
from datetime import datetime, tzinfo

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
from service.core.syslog.timestamp import BSD, ISO, bsd_time, iso_time

PRIORITY = r"<(?:[0-9]{1,2}|1[0-8][0-9]|19[01])>"
"""RFC 5424 6.2.1: facility * 8 + severity, 0 to 191."""

_PRIORITY = r"(?:" + PRIORITY + r" ?)?"
_STAMPED = _PRIORITY + r"(?:(" + BSD + r"):?|(" + ISO + r")) "

# One for each stamp: an alternative of both costs a third more. The end is `clean_text`.
_ORIGIN = r" (" + HOST + r") " + TAG + r" *" + BOM + r"?"
_COMMON_ISO = re.compile(_PRIORITY + r"(" + ISO + r")" + _ORIGIN)
_COMMON_BSD = re.compile(_PRIORITY + r"(" + BSD + r"):?" + _ORIGIN)
_ANY = re.compile(_STAMPED)
_UNSTAMPED = re.compile(PRIORITY + r" ?")
_BARE = re.compile(r"(?:(" + HOST + r") )?([A-Za-z0-9_./@+-]+)(?:\[([0-9]{1,10})\])?:(?: |$)")


def parse_common(text: str, received_at: datetime, zone: tzinfo) -> SyslogMessage | None:
    """The hot path: a stamp, a host and a whole tag, by one match. What it takes for host and tag
    `parse_stamped` takes for them too."""
    match = _COMMON_ISO.match(text)
    if match is not None:
        stamp, host, tag, pid = match.groups()
        time, quality = iso_time(stamp, received_at, zone)
    else:
        match = _COMMON_BSD.match(text)
        if match is None:
            return None
        stamp, host, tag, pid = match.groups()
        time, quality = bsd_time(stamp, received_at, zone)
    return SyslogMessage(
        stamp, time, quality, host, tag, int(pid) if pid else None, text[match.end() :]
    )


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
