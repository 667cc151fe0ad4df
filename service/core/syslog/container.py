"""What a container runtime, or a tool, puts around a line of the program inside.

- docker's json-file driver: `{"log":"LINE\\n","stream":"stdout","time":"STAMP"}`
- `docker logs -t`: `STAMP LINE`
- Kubernetes (CRI): `STAMP stdout F LINE`
- `docker compose logs`: `NAME-1  | LINE`, with `-t` `NAME-1  | STAMP LINE`
- a relay that keeps the header of the line it has got: `STAMP HOST LINE`
- `grep` in several files: `FILE:LINE`, with `-n` `FILE:NUMBER:LINE`
- somebody who quotes it: spaces

The line goes in, the inner line and the runtime's stamp come out.
"""

import re
from dataclasses import dataclass

from service.core.syslog.json_line import read_object, string_of
from service.core.syslog.rfc3164 import PRIORITY
from service.core.syslog.tag import HOST
from service.core.syslog.timestamp import BSD, ISO

_COMPOSE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,127} {1,64}\| ?")
_CRI = re.compile(r"(" + ISO + r") (?:stdout|stderr) [FP](?::[^ ]{1,64})? ")
# Without the second stamp or a priority it is an ordinary line: STAMP HOST TAG.
_LOGS_WITH_TIME = re.compile(r"(" + ISO + r") (?=" + BSD + r" |" + ISO + r" |" + PRIORITY + r")")
_STAMP_AHEAD = r"(?:" + PRIORITY + r" ?)?(?:" + BSD + r"|" + ISO + r") "
# There is no tag in front of the second stamp: no program can have written it.
_RELAYED = re.compile(_STAMP_AHEAD + HOST + r" (?=" + _STAMP_AHEAD + r")")
_GREP = re.compile(
    r"[^ :\[\]]{1,255}:(?:[0-9]{1,9}:)?(?=" + BSD + r" |" + ISO + r" |" + PRIORITY + r")"
)
_INDENT = re.compile(r"[ \t]{1,64}(?=[^ \t])")
_STAMP = re.compile(ISO)


@dataclass(slots=True)
class Wrapped:
    runtime: str
    inner: str
    stamp: str
    """Matches `timestamp.ISO`, or is empty."""


def unwrap(text: str) -> Wrapped | None:
    """One layer. None: there is none."""
    if text.startswith('{"log":'):
        return _json_file(text)
    if match := _COMPOSE.match(text):
        return Wrapped("compose", text[match.end() :], "")
    if match := _CRI.match(text):
        return Wrapped("cri", text[match.end() :], match[1])
    if match := _LOGS_WITH_TIME.match(text):
        return Wrapped("docker-logs", text[match.end() :], match[1])
    if match := _RELAYED.match(text):
        return Wrapped("relayed", text[match.end() :], "")
    if match := _GREP.match(text):
        return Wrapped("grep", text[match.end() :], "")
    if match := _INDENT.match(text):
        return Wrapped("indented", text[match.end() :], "")
    return None


def _json_file(text: str) -> Wrapped | None:
    fields = read_object(text)
    if fields is None:
        return None
    stamp = string_of(fields.get("time")) or ""
    inner = (string_of(fields.get("log")) or "").rstrip("\r\n")
    return Wrapped("docker-json", inner, stamp if _STAMP.fullmatch(stamp) else "")
