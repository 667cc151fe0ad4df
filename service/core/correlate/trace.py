"""A line that tells of a message, as bytes: who logged it, of which message, and what.

In: raw lines. Out: of each a `Trace`, or None. Every line of a log comes here, and most are never
needed again: one anchored pattern takes all lines of a text apart, those with the common header,
and who that names is remembered; any other form goes through the parser that failures go through.
The queue id must stand right behind the tag: whatever a line quotes, nothing before that is a
client's to write.
"""

import re
from dataclasses import dataclass
from datetime import datetime, tzinfo
from hashlib import blake2b
from typing import Final

from schemas.subjects import mta_token
from service.core.postfix.record import MAX_TAG, identify
from service.core.postfix.remembered import remember
from service.core.syslog.header import parse_message
from service.core.syslog.rfc3164 import parse_origin
from service.core.syslog.rfc5424 import plain_head
from service.core.syslog.tag import BOM

CLIENT: Final = b"client="
"""smtpd(8), qmqpd(8)"""
MESSAGE_ID: Final = b"message-id="
"""cleanup(8)"""
FROM: Final = b"from="
"""qmgr(8)"""
TO: Final = b"to=<"
"""Any delivery agent."""
REMOVED: Final = b"removed"
"""qmgr(8), postsuper(1), cleanup(8)"""
UID: Final = b"uid="
"""pickup(8)"""
SENDER: Final = b"sender "
POSTMASTER: Final = b"postmaster "
"""bounce(8): a notice to one of these."""

BEGINNINGS: Final = frozenset({CLIENT, UID, MESSAGE_ID, FROM})
"""Of lines that never stand behind `removed`, but of another message."""

_ALL_OPENINGS = (FROM, TO, MESSAGE_ID, REMOVED, CLIENT, UID, SENDER, POSTMASTER)
"""The commonest first."""
NOQUEUE: Final = b"NOQUEUE"
_QUEUE_ID = rb"[0-9A-Z][0-9A-Za-z]{4,31}"
LONGEST_TEXT: Final = 2048
"""Bytes of it that are read."""
_SAID = rb": (%b)(.{0,%d})" % (b"|".join(_ALL_OPENINGS), LONGEST_TEXT)
# Priority, stamp, host and tag, looser than the parser has them: which host and tag these are, it
# is asked once. A stamp is kept, so its length and its characters are bounded. (What may be absent
# is written as an alternative: `re` repeats a group more dearly. NUL is in no tag; with it the set
# is one that `re` looks up instead of going through it.)
_COMMON = (
    rb"(?:<[0-9]{1,3}>|)([0-9]{4}-[-+.,:0-9TZ]{5,30}|[A-Z][a-z]{2} [ 0-3][0-9] [0-9:]{8}) "
    rb"([^ \n:/[\]]+ [^ \n\0]+): "
    rb"(?: *(?:%b|)(%b)%b|)" % (BOM.encode(), _QUEUE_ID, _SAID)
)
# Either takes any line, whole, so that no search goes on behind its beginning: the time is linear.
_EACH_LINE: Final = re.compile(rb"((?:%b|).*)\n" % _COMMON)
_WHOLE: Final = re.compile(rb"\A(?:%b|).*" % _COMMON, re.DOTALL)
_TOLD: Final = re.compile(
    rb"((?!NOQUEUE)%b|NOQUEUE(?=: client=))%b" % (_QUEUE_ID, _SAID), re.DOTALL
)
_MENTIONS = (*(opening for opening in _ALL_OPENINGS if opening != TO), b"to=")
"""What stands in any line that tells something: docker's json-file writes `<` as `\\u003c`."""
_LONGEST_ORIGIN = 512
"""Bytes of host and tag that are remembered."""
TRAILING: Final = b"\r\n\0"
_LF: Final = ord("\n")  # as a number: to look for bytes in bytes costs CPython an exception

_PREFIX_BYTES: Final = 4
_SESSION_BEGINS: Final = _PREFIX_BYTES + len(NOQUEUE)
_REMEMBERED = 8192
_MOST_INSTANCES = 16


@dataclass(frozen=True, slots=True)
class Queue:
    """One queue directory: what a queue id is unique within."""

    host: str
    """Lower case."""
    instance: str
    name: str
    """Both, as tokens of a subject."""
    prefix: bytes
    """Stands for both in keys; the same everywhere and always."""

    def key(self, queue_id: str) -> bytes:
        return self.prefix + queue_id.encode("ascii", "replace")

    def session(self, tag: str, pid: int) -> bytes:
        """Of mail that an smtpd(8) hands on to a filter before the queue: it has no id, and one
        process has one client at a time."""
        return self.prefix + NOQUEUE + f"{tag}[{pid}]".encode()


def is_session(key: bytes) -> bool:
    """Whether `Queue.session` made it."""
    return key[_PREFIX_BYTES:_SESSION_BEGINS] == NOQUEUE


Told = tuple[bytes, bytes, bytes, bytes, bytes, bytes]
"""A line; stamp, and host and tag, both empty where it has not the common header; queue id,
opening, and the text behind that, all empty where it does not tell of a message in that form."""


def told_by(line: bytes) -> Told:
    """A line feed in it is one of its bytes."""
    found: list[tuple[bytes, bytes, bytes, bytes, bytes]] = _WHOLE.findall(line)
    stamp, origin, queue_id, opening, text = found[0]
    return line, stamp, origin, queue_id, opening, text


Trace = tuple[Queue, bytes, bytes, bytes, bytes]
"""Queue; key, of queue and queue id or session; stamp as logged, or the time it tells; opening; the
text behind that. A bare tuple: one is made for every other line of a log."""


Skimmed = tuple[bytes, Trace | None]
"""A line without its LF, and what it tells; None where whoever made it does not know that."""


def queue_of(host: str, instance: str) -> Queue:
    names = (host, instance)
    queue = _QUEUES.get(names)
    if queue is None:
        queue = _queue(host, instance)
        # What is remembered must be bounded, the names in it too.
        if len(host) <= _LONGEST_ORIGIN:
            remember(_QUEUES, names, queue)
    return queue


def prefix_of(name: str) -> bytes:
    """Of a queue by its `name`."""
    return blake2b(name.encode(), digest_size=_PREFIX_BYTES).digest()


def _queue(host: str, instance: str) -> Queue:
    name = f"{mta_token(host)}.{mta_token(instance)}"
    return Queue(host.lower(), instance, name, prefix_of(name))


_QUEUES: Final[dict[tuple[str, str], Queue]] = {}


class Traces:
    """Reads lines; remembers who writes them."""

    def __init__(self, zone: tzinfo) -> None:
        self._zone = zone
        self._queues: dict[bytes, Queue | None] = {}
        """By host and tag as they stand in the line; None for a program that is not Postfix."""
        self._programs: dict[bytes, Queue | None] = {}
        """The same by host and program of RFC 5424."""
        self._instances: dict[str, tuple[Queue, ...]] = {}
        """All queues seen of a host."""

    def siblings(self, queue: Queue) -> tuple[Queue, ...]:
        """The other instances of its host that have been seen."""
        return tuple(q for q in self._instances.get(queue.host, ()) if q.instance != queue.instance)

    def read(self, told: Told, received_at: datetime, sender: str) -> Trace | None:
        """`sender`: who is taken for the host where the line names none."""
        line, stamp, origin, queue_id, opening, text = told
        if not stamp:
            return self._other_form(line, received_at, sender)
        queue = self._queues.get(origin)
        if queue is None:
            if origin not in self._queues and not self._learn(origin):
                return self._with_care(line, received_at, sender)
            queue = self._queues[origin]
        if queue is None or not opening:
            return None
        if text[-1:] <= b"\r":
            text = text.rstrip(TRAILING)
        if _LF in text:  # of a counted frame: records are lines
            text = text.replace(b"\n", b"?")
        if queue_id.startswith(NOQUEUE):
            return self._with_care(line, received_at, sender)
        return queue, queue.prefix + queue_id, stamp, opening, text

    def lines(self, text: bytes, received_at: datetime, sender: str) -> list[Skimmed]:
        """As `skim.Skimmer.lines`, by one search over the text: as Python that is quicker than to
        look where things stand in each line. `received_at`, `sender`: as for `read`."""
        skimmed: list[Skimmed] = []
        found: list[Told] = _EACH_LINE.findall(text)
        for told in found:
            line, stamp, _, _, opening, _ = told
            if stamp and not opening:
                continue
            try:
                trace = self.read(told, received_at, sender)
            except Exception:  # noqa: BLE001  # raised again when it is read alone
                skimmed.append((line, None))
            else:
                if trace is not None:
                    skimmed.append((line, trace))
        return skimmed

    def known(self, origin: bytes) -> tuple[Queue | None] | None:
        """Whose lines have that host and tag, as they stand there; None where only the parser can
        say it."""
        if origin not in self._queues and not self._learn(origin):
            return None
        return (self._queues[origin],)

    def _other_form(self, line: bytes, received_at: datetime, sender: str) -> Trace | None:
        found = plain_head(line)
        if found is None:
            return self._with_care(line, received_at, sender)
        stamp, host, program, text = found
        if text.startswith(NOQUEUE):
            return self._with_care(line, received_at, sender)
        origin = b"%b %b" % (host, program)  # neither has a space in it
        if origin not in self._programs:
            if len(origin) > _LONGEST_ORIGIN:
                return self._with_care(line, received_at, sender)
            if len(self._programs) >= _REMEMBERED:
                self._programs.clear()
            self._programs[origin] = self._queue(_decoded(host), _decoded(program))
        queue = self._programs[origin]
        return None if queue is None else _trace(queue, stamp, text)

    def _learn(self, origin: bytes) -> bool:
        """Whether host and tag are in the common form, so that they are remembered."""
        found = parse_origin(_decoded(origin + b": ")) if len(origin) <= _LONGEST_ORIGIN else None
        if found is None:
            return False
        if len(self._queues) >= _REMEMBERED:
            self._queues.clear()
        host, tag, _ = found
        self._queues[origin] = self._queue(host, tag)
        return True

    def _with_care(self, line: bytes, received_at: datetime, sender: str) -> Trace | None:
        for mention in _MENTIONS:
            if line.find(mention) >= 0:
                break
        else:
            return None
        message = parse_message(line, received_at=received_at, zone=self._zone)
        if message is None:
            return None
        queue = self._queue(message.host or sender, message.tag)
        text = message.text.encode("utf-8", "replace")
        if queue is None:
            return None
        # Of whatever form it is: what was understood of it.
        stamp = b"" if message.time_quality == "received" else message.time.isoformat().encode()
        trace = _trace(queue, stamp, text)
        if trace is None or not is_session(trace[1]):
            return trace
        if message.pid is None:
            return None
        return queue, queue.session(message.tag, message.pid), *trace[2:]

    def _queue(self, host: str, tag: str) -> Queue | None:
        """None: of a program that is not Postfix."""
        identity = identify(tag) if len(tag) <= MAX_TAG else None
        if identity is None:
            return None
        queue = queue_of(host, identity.instance)
        if len(host) <= _LONGEST_ORIGIN:
            if len(self._instances) >= _REMEMBERED:
                self._instances.clear()
            seen = self._instances.get(queue.host, ())
            if queue not in seen:
                self._instances[queue.host] = (*seen[1 - _MOST_INSTANCES :], queue)
        return queue


def _trace(queue: Queue, stamp: bytes, text: bytes) -> Trace | None:
    match = _TOLD.match(text)
    if match is None:
        return None
    queue_id, opening, said = match.groups()
    said = said.rstrip(TRAILING)
    return queue, queue.prefix + queue_id, stamp, opening, said.replace(b"\n", b"?")


def _decoded(data: bytes) -> str:
    return data.decode("utf-8", "replace")
