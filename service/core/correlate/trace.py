"""A line that tells of a message, as bytes: who logged it and under which queue id.

In: a raw line. Out: a `Trace`, or None. Most lines that come here are never needed again, so the
common headers are read by one anchored pattern each and what follows the stamp is remembered; any
other form goes through the parser that failures go through. The queue id must stand right behind
the tag: whatever a line quotes, nothing before that is a client's to write.
"""

import re
from dataclasses import dataclass
from datetime import datetime, tzinfo
from functools import lru_cache
from hashlib import blake2b

from schemas.subjects import mta_token
from service.core.postfix.record import MAX_TAG, identify
from service.core.syslog.header import parse_message
from service.core.syslog.rfc3164 import PRIORITY, parse_origin
from service.core.syslog.tag import BOM
from service.core.syslog.timestamp import BSD, ISO

_PRIORITY = rf"(?:{PRIORITY} ?)?".encode()
_ISO_HEAD = re.compile(_PRIORITY + rf"({ISO}) ".encode())
_BSD_HEAD = re.compile(_PRIORITY + rf"({BSD}):? ".encode())
# RFC 5424 without structured data, as rsyslog writes it. Groups: stamp, host, program.
_5424_HEAD = re.compile(
    rf"{PRIORITY}1 ({ISO}) ([^ :\[\]/]+) ([^ :\[\]]+) [^ ]+ [^ ]+ - {{1,2}}(?:{BOM})?".encode()
)
_SEPARATOR = b": "
_MAX_ORIGIN = 512
_SHORTEST_ID, _LONGEST_ID = 5, 32
"""As `postfix.fragments.QUEUE_ID`."""
_NOQUEUE = b"NOQUEUE"
_UNCLEAN = (b" ", b"\xef")
"""What `syslog.tag.clean_text` takes off the front of a text begins like this."""
MAX_TEXT = 2048
"""Bytes behind the queue id that are looked at: Postfix cuts its records at 2000."""

_PREFIX_BYTES = 4
_REMEMBERED = 8192
_LONGEST_NAME = 255
"""RFC 5424 HOSTNAME. What is longer is no name, and not remembered."""


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


@dataclass(slots=True)
class Trace:
    queue: Queue
    key: bytes
    """Queue and queue id."""
    stamp: bytes
    text: bytes
    """What stands behind the queue id and its colon."""


def queue_of(host: str, instance: str) -> Queue:
    if len(host) > _LONGEST_NAME or len(instance) > _LONGEST_NAME:
        return _queue_of(host, instance)
    return _remembered_queue(host, instance)


def prefix_of(name: str) -> bytes:
    """Of a queue by its `name`."""
    return blake2b(name.encode(), digest_size=_PREFIX_BYTES).digest()


def _queue_of(host: str, instance: str) -> Queue:
    name = f"{mta_token(host)}.{mta_token(instance)}"
    return Queue(host.lower(), instance, name, prefix_of(name))


_remembered_queue = lru_cache(maxsize=4096)(_queue_of)


class Traces:
    """Reads lines; remembers who writes them."""

    def __init__(self, zone: tzinfo) -> None:
        self._zone = zone
        self._queues: dict[bytes, Queue | None] = {}
        """By `HOST TAG[PID]: `; None for a program that is not Postfix."""
        self._instances: dict[str, tuple[Queue, ...]] = {}
        """All queues seen of a host."""

    def siblings(self, queue: Queue) -> tuple[Queue, ...]:
        """The other instances of its host that have been seen."""
        return tuple(q for q in self._instances.get(queue.host, ()) if q.instance != queue.instance)

    def read(self, line: bytes, received_at: datetime, sender: str) -> Trace | None:
        """`sender`: who is taken for the host where the line names none."""
        match = _ISO_HEAD.match(line) or _BSD_HEAD.match(line)
        if match is not None:
            start = match.end()
            end = line.find(_SEPARATOR, start, start + _MAX_ORIGIN) + 2
            origin = line[start:end]
            queue = self._queues.get(origin)
            if queue is None:
                if origin in self._queues:
                    return None
                queue = self._learn(origin)
            if queue is not None and line[end : end + 1] not in _UNCLEAN:
                return _trace(queue, match[1], line[end : end + MAX_TEXT])
        else:
            match = _5424_HEAD.match(line)
            if match is not None:
                stamp, host, program = match.groups()
                queue = self._known(b"%b %b" % (host, program), host, program)
                if queue is None:
                    return None
                return _trace(queue, stamp, line[match.end() : match.end() + MAX_TEXT])
        return self._read_with_care(line, received_at, sender)

    def _learn(self, origin: bytes) -> Queue | None:
        """None: not the common form."""
        found = parse_origin(origin.decode("utf-8", "replace"))
        if found is None:
            return None
        host, tag, _ = found
        return self._remember(origin, host, tag)

    def _known(self, origin: bytes, host: bytes, program: bytes) -> Queue | None:
        if origin in self._queues:
            return self._queues[origin]
        return self._remember(
            origin, host.decode("utf-8", "replace"), program.decode("utf-8", "replace")
        )

    def _read_with_care(self, line: bytes, received_at: datetime, sender: str) -> Trace | None:
        message = parse_message(line, received_at=received_at, zone=self._zone)
        if message is None:
            return None
        queue = self._remember(b"", message.host or sender, message.tag)
        text = message.text[:MAX_TEXT].encode("utf-8", "replace")
        if queue is None:
            return None
        return _trace(queue, message.stamp.encode("utf-8", "replace"), text)

    def _remember(self, origin: bytes, host: str, tag: str) -> Queue | None:
        identity = identify(tag) if len(tag) <= MAX_TAG else None
        queue = None if identity is None else queue_of(host, identity.instance)
        if len(self._queues) >= _REMEMBERED:
            self._queues.clear()
        if origin:
            self._queues[origin] = queue
        if queue is not None:
            if len(self._instances) >= _REMEMBERED:
                self._instances.clear()
            seen = self._instances.get(queue.host, ())
            if queue not in seen:
                self._instances[queue.host] = (*seen[-15:], queue)
        return queue


def _trace(queue: Queue, stamp: bytes, text: bytes) -> Trace | None:
    colon = text.find(_SEPARATOR, _SHORTEST_ID, _LONGEST_ID + 2)
    if colon < 0:
        return None
    if b"\n" in text:  # of a counted frame: records are lines
        text = text.replace(b"\n", b"?")
    queue_id = text[:colon]
    if not queue_id.isalnum() or queue_id == _NOQUEUE:
        return None
    return Trace(queue, queue.prefix + queue_id, stamp, text[colon + 2 :])
