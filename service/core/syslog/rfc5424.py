"""RFC 5424: `<PRI>1 STAMP HOST APP-NAME PROCID MSGID STRUCTURED-DATA [MSG]`.

rsyslog (`RSYSLOG_SyslogProtocol23Format`) leaves two spaces before MSG, and APP-NAME is `postfix`
alone there unless `parser.permitSlashInProgramName` is on. Structured data is skipped by its own
grammar (6.3), so that no word inside it is taken for the message; where it is broken, all of it is
left in the text: better a line too much than one lost.
"""

import re
from datetime import datetime, tzinfo

from service.core.syslog.message import SyslogMessage
from service.core.syslog.rfc3164 import PRIORITY
from service.core.syslog.tag import BOM, clean_text
from service.core.syslog.timestamp import ISO, Time, iso_time

_NIL = "-"

_HEADER = re.compile(
    PRIORITY + r"1 (-|[0-9]{4}-[0-9]{2}-[^ ]+) ([^ ]+) ([^ ]+) ([^ ]+) [^ ]+(?: +|$)"
)
_STAMP = re.compile(ISO)
_PLAIN_HEAD = re.compile(
    rf"{PRIORITY}1 ({ISO}) (?!{_NIL} )([^ :\[\]/]+) ([^ :\[\]]+) [^ ]+ [^ ]+ - {{1,2}}"
    rf"(?:{BOM})?(?! )".encode()
)

# One way to match, so that a value without its closing quote fails at once. (No possessive groups:
# Python before 3.11.5 matches them wrongly.)
_VALUE = r'"[^"\\]*+(?:\\.[^"\\]*+)*"'
_ELEMENT = re.compile(r'\[[^ =\]"]++(?: ++[^ =\]"]++=' + _VALUE + r")* *+\]", re.DOTALL)


def parse_rfc5424(text: str, received_at: datetime, zone: tzinfo) -> SyslogMessage | None:
    match = _HEADER.match(text)
    if match is None:
        return None
    stamp, host, app_name, procid = match.groups()
    time: Time = (received_at, "received")
    if _STAMP.fullmatch(stamp):
        time = iso_time(stamp, received_at, zone)
    return SyslogMessage(
        stamp="" if stamp == _NIL else stamp,
        time=time[0],
        time_quality=time[1],
        host=None if host == _NIL else host,
        tag="" if app_name == _NIL else app_name,
        pid=int(procid) if procid.isascii() and procid.isdecimal() and len(procid) <= 10 else None,
        text=clean_text(text[_after_structured_data(text, match.end()) :]),
    )


def plain_head(line: bytes) -> tuple[bytes, bytes, bytes, bytes] | None:
    """Stamp, host, program and MSG of a line in the commonest form: a whole stamp, a host, no
    structured data. None for any other, which `parse_rfc5424` may understand."""
    match = _PLAIN_HEAD.match(line)
    if match is None:
        return None
    stamp, host, program = match.groups()
    return stamp, host, program, line[match.end() :]


def _after_structured_data(text: str, start: int) -> int:
    """Where MSG begins; `start` when there is no well-formed structured data."""
    end = start
    if text.startswith(_NIL, start):
        end += 1
    else:
        while element := _ELEMENT.match(text, end):
            end = element.end()
    return end if text[end : end + 1] in ("", " ") else start
