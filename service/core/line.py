"""A line with everything known of it before its meaning, and the id of its events.

In: the raw line, the syslog message read from it, how it came. Out: a `Line`; of that the host it
is from, what is kept of its bytes, and event ids (`core.identity`).
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from service.core.identity import id_of, origin_key
from service.core.postfix.remembered import remember
from service.core.syslog.message import SyslogMessage

UNKNOWN_HOST: Final = "unknown"
NAME_MAX: Final = 255
"""RFC 5424 6: HOSTNAME. A line may hold a longer one; where room is scarce, that is cut."""

_Process = tuple[str, str, int | None]

# Made once and remembered: a log names the same processes again and again.
_KEYS: Final[dict[_Process, str]] = {}


@dataclass(slots=True, init=False)
class Line:
    """One line with everything known of it before its meaning."""

    raw: bytes
    message: SyslogMessage
    received_at: datetime
    transport: str
    source_ip: str | None
    truncated: bool
    keep_raw: bool
    before: Callable[[str], int] | None = None
    """Where the stamp does not tell equal lines apart: how many with that id came before."""

    id: str = field(default="", init=False)
    """Of its first event, once `event_id` was asked."""

    # Written out as in `core.postfix.facts`: for the compiled core.
    def __init__(
        self,
        raw: bytes,
        message: SyslogMessage,
        received_at: datetime,
        transport: str,
        source_ip: str | None,
        truncated: bool,
        keep_raw: bool,
        before: Callable[[str], int] | None = None,
    ) -> None:
        self.raw = raw
        self.message = message
        self.received_at = received_at
        self.transport = transport
        self.source_ip = source_ip
        self.truncated = truncated
        self.keep_raw = keep_raw
        self.before = before
        self.id = ""

    @property
    def host(self) -> str:
        return self.message.host or self.source_ip or UNKNOWN_HOST


def event_id(line: Line, repeat: int = 0) -> str:
    """The id of one event of a line; `repeat` tells apart those of a line that folds several."""
    if repeat == 0 and line.id:
        return line.id
    name = id_of(line.message, line.raw, _key(line), repeat, line.before)
    if repeat == 0:
        line.id = name
    return name


def raw_of(line: Line) -> str | None:
    return line.raw.decode("utf-8", "replace") if line.keep_raw else None


def _key(line: Line) -> str:
    message = line.message
    host, tag, pid = line.host, message.tag, message.pid
    process = (host, tag, pid)
    key = _KEYS.get(process)
    if key is None:
        key = origin_key(host, tag, pid)
        # What is remembered must be bounded, the names in it too.
        if len(host) <= NAME_MAX >= len(tag):
            remember(_KEYS, process, key)
    return key
