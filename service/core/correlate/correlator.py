"""What the lines of a message tell of it, kept until one of them says that it failed.

In: lines that tell of messages, and failures, in the order they came. Out: what an event should
know that its own line does not say, and the recipients whose waiting has ended.

Every method takes the time in seconds as its caller knows it; nothing here reads a clock.
"""

from dataclasses import dataclass
from datetime import datetime, tzinfo
from enum import Enum

from service.core.correlate.memory import STAMP_BYTES, Bounds, Evicted, Memory, begun
from service.core.correlate.story import (
    ACTIVE_RECORD,
    ASKED_RECORD,
    BEGUN_RECORD,
    CLIENT_RECORD,
    MESSAGE_ID_RECORD,
    NOTICE_RECORD,
    ORIGIN_RECORD,
    PARENT_RECORD,
    SEPARATOR,
    UID_RECORD,
    Story,
    read_story,
)
from service.core.correlate.trace import Queue, Trace, Traces
from service.core.correlate.waiting import LONGEST_RESPONSE, Waiting, pack, unpack
from service.core.postfix.facts import Delivery

_LONGEST_RECORD = 512
_CLIENT = b"client="
_MESSAGE_ID = b"message-id="
_UID = b"uid="
_FROM = b"from=<"
_ACTIVE_END = b" (queue active)"
_REMOVED = b"removed"
_TO = b"to=<"
_NOTIFICATION = b" notification: "
_NON_DELIVERY = b"non-delivery"
_FORWARDED = b" (forwarded as "
_ORIGINAL_QUEUE_ID = b", orig_queue_id="
_ORIGINAL_ID = b" orig_id="
_NAME = b"\0"
_NEIGHBOUR_SECONDS = 60
"""How far apart the lines of one message may be that were logged under two instances' names."""


_BEGINNINGS = (
    CLIENT_RECORD,
    UID_RECORD,
    BEGUN_RECORD,
    NOTICE_RECORD,
    ORIGIN_RECORD,
    ASKED_RECORD,
)


class News(Enum):
    """What a line that tells of a message may mean for others."""

    DELIVERY = "delivery"
    """A recipient was served, and this message has some that wait."""
    REMOVED = "removed"
    """The message is gone."""
    UNKNOWN = "unknown"
    """It goes on here and did not begin here."""


@dataclass(slots=True)
class Told:
    """What earlier lines told of one failure."""

    story: Story | None = None
    attempt: int | None = None
    """Its number; None where the first ones may not have been seen."""
    first_deferred: float | None = None
    """Unix time, seconds."""


@dataclass(frozen=True, slots=True)
class Notice:
    """A non-delivery notice was queued."""

    queue_id: str
    kind: str
    """`sender` or `postmaster`."""


class Correlator:
    def __init__(self, bounds: Bounds, zone: tzinfo, is_shared: bool = False) -> None:
        """`is_shared`: other receivers may know of recipients that wait."""
        self.is_shared = is_shared
        self.memory = Memory(bounds)
        """Records of messages, by queue and queue id."""
        self.queued = Memory(bounds)
        """Messages with deferred recipients: activations seen, and the names of recipients."""
        self.recipients = Memory(bounds)
        """Deferred recipients, by the same key and their name."""
        self._traces = Traces(zone)
        self._zone = zone

    # Lines that tell of a message

    def trace(self, line: bytes, received_at: datetime, sender: str) -> Trace | None:
        """Whose line it is; None where it is of no message. `sender`: who is taken for the host
        where the line names none."""
        return self._traces.read(line, received_at, sender)

    def note(self, trace: Trace, seconds: int) -> News | Notice | None:
        """Remember what a line tells. The commonest come first."""
        text, key = trace.text, trace.key
        if text.startswith(_FROM):
            return self._active(key, text, seconds)
        if text.startswith(_CLIENT):
            self._begin(key, CLIENT_RECORD, trace, text[len(_CLIENT) :], seconds)
            if _ORIGINAL_QUEUE_ID in text:
                origin = text.rpartition(_ORIGINAL_QUEUE_ID)[2].partition(b",")[0]
                self._inherit(trace, origin)
            return None
        if text.startswith(_MESSAGE_ID):
            self._message_id(trace, text[len(_MESSAGE_ID) :], seconds)
            return None
        if text.startswith(_REMOVED):
            return News.REMOVED
        if text.startswith(_TO):
            if _FORWARDED in text:
                self._forwarded(trace, text, seconds)
            return News.DELIVERY if key in self.queued.entries or self.is_shared else None
        if text.startswith(_UID):
            self._begin(key, UID_RECORD, trace, text[len(_UID) :], seconds)
            origin = text.rpartition(_ORIGINAL_ID)[2]
            if origin != text:
                self._inherit(trace, origin)
                self._take_over(trace, origin)
            return None
        if _NOTIFICATION in text:
            return self._notified(trace, text, seconds)
        return None

    def _begin(self, key: bytes, kind: bytes, trace: Trace, text: bytes, seconds: int) -> None:
        """A message begins. What was known under its id was another one's, unless this line has
        been here before or came late."""
        record = b"%b%b%b%b" % (kind, trace.stamp, SEPARATOR, text[:_LONGEST_RECORD])
        known = self.memory.entries.get(key)
        if known is not None:
            if _has(known, CLIENT_RECORD) or _has(known, UID_RECORD):
                if record in known:
                    return
                self._forget(key)
            elif seconds - begun(known) < _NEIGHBOUR_SECONDS:
                self.memory.put(key, b"%b\n%b" % (known, record))
                return
        self.memory.renew(key, seconds.to_bytes(STAMP_BYTES) + record)

    def _message_id(self, trace: Trace, text: bytes, seconds: int) -> None:
        key = trace.key
        record = MESSAGE_ID_RECORD + text[:_LONGEST_RECORD]
        known = self.memory.entries.get(key)
        if known is not None:
            if not _has(known, MESSAGE_ID_RECORD):
                self.memory.put(key, b"%b\n%b" % (known, record))
                return
            if not _has(known, ACTIVE_RECORD) or record in known:
                return  # a second such header, or the line once more
            self._forget(key)
        self.memory.renew(
            key, b"%b%b%b\n%b" % (seconds.to_bytes(STAMP_BYTES), BEGUN_RECORD, trace.stamp, record)
        )

    def _active(self, key: bytes, text: bytes, seconds: int) -> News | None:
        if not text.endswith(_ACTIVE_END):
            return None
        queued = self.queued.entries.get(key)
        if queued is not None:
            activations, newline, names = queued[STAMP_BYTES:].partition(b"\n")
            self.queued.put(
                key, b"%b%d%b%b" % (queued[:STAMP_BYTES], int(activations) + 1, newline, names)
            )
        known = self.memory.entries.get(key)
        record = ACTIVE_RECORD + text[len(_FROM) - 1 : -len(_ACTIVE_END)][:_LONGEST_RECORD]
        if known is None:
            self.memory.renew(key, seconds.to_bytes(STAMP_BYTES) + record)
            return News.UNKNOWN
        if not _has(known, ACTIVE_RECORD):
            self.memory.put(key, b"%b\n%b" % (known, record))
        return None

    # Links between messages

    def _inherit(self, trace: Trace, origin: bytes) -> None:
        """A message that was made from another came to this host as that one did."""
        parent = self._find(trace.queue, origin)
        if parent is not None:
            self._add_parent(trace.key, parent[1])

    def _add_parent(self, key: bytes, parent: bytes) -> None:
        known = self.memory.entries.get(key)
        if known is None or _has(known, PARENT_RECORD):
            return
        for record in parent[STAMP_BYTES:].split(b"\n"):
            if record[:1] in (CLIENT_RECORD, UID_RECORD):
                self.memory.put(key, b"%b\n%b%b" % (known, PARENT_RECORD, record))
                return

    def _find(self, queue: Queue, queue_id: bytes) -> tuple[bytes, bytes] | None:
        """Key and value of a message of this host, of whichever instance."""
        for candidate in (queue, *self._traces.siblings(queue)):
            key = candidate.prefix + queue_id
            value = self.memory.get(key)
            if value is not None:
                return key, value
        return None

    def _take_over(self, trace: Trace, origin: bytes) -> None:
        """`postsuper -r` gave a message a new id: its recipients wait on under that."""
        old = trace.queue.prefix + origin
        queued = self.queued.entries.get(old)
        if queued is not None:
            for name in _names(queued):
                packed = self.recipients.entries.get(old + _NAME + name)
                if packed is not None:
                    self.recipients.renew(trace.key + _NAME + name, packed)
            self.queued.renew(trace.key, queued)
        self._forget(old)

    def _forwarded(self, trace: Trace, text: bytes, seconds: int) -> None:
        """local(8): it lives on under another id, whose first line came before this one."""
        queue_id = text.rpartition(_FORWARDED)[2].removesuffix(b")")
        if not queue_id.isalnum():
            return
        key = trace.queue.prefix + queue_id
        origin = trace.key[len(trace.queue.prefix) :]
        self._add(key, ORIGIN_RECORD + origin, seconds)
        parent = self.memory.get(trace.key)
        if parent is not None:
            self._add_parent(key, parent)

    def _notified(self, trace: Trace, text: bytes, seconds: int) -> Notice | None:
        """bounce(8) made a message of its own; before 3.11 that message's lines come first."""
        said, _, queue_id = text.rpartition(_NOTIFICATION)
        if not queue_id.isalnum():
            return None
        origin = trace.key[len(trace.queue.prefix) :]
        self._add(trace.queue.prefix + queue_id, NOTICE_RECORD + origin, seconds)
        kind, _, what = said.partition(b" ")
        if what != _NON_DELIVERY:
            return None  # a delay is no failure, and success is none either
        return Notice(queue_id.decode("ascii"), kind.decode("ascii", "replace"))

    def _add(self, key: bytes, record: bytes, seconds: int) -> None:
        known = self.memory.entries.get(key)
        if known is None:
            self.memory.renew(key, seconds.to_bytes(STAMP_BYTES) + record)
        elif not _has(known, record):
            self.memory.put(key, b"%b\n%b" % (known, record))

    # Failures

    def story(self, queue: Queue, key: bytes) -> Story | None:
        """None: nothing is known of this message."""
        value = self.memory.get(key)
        if value is None or not (_has(value, CLIENT_RECORD) or _has(value, UID_RECORD)):
            value = self._with_neighbour(queue, key, value)
        return None if value is None else read_story(value, self._zone)

    def _with_neighbour(self, queue: Queue, key: bytes, value: bytes | None) -> bytes | None:
        """smtpd of a second instance may log as `postfix/submission`: its line then lies under the
        first one's name."""
        queue_id = key[len(queue.prefix) :]
        for sibling in self._traces.siblings(queue):
            other = self.memory.entries.get(sibling.prefix + queue_id)
            if other is None or _has(other, MESSAGE_ID_RECORD) or _has(other, ACTIVE_RECORD):
                continue
            if value is None:
                return other
            if abs(begun(value) - begun(other)) < _NEIGHBOUR_SECONDS:
                self.memory.discard(sibling.prefix + queue_id)
                value = b"%b\n%b" % (value, other[STAMP_BYTES:])
                if key in self.memory.entries:
                    self.memory.put(key, value)
                return value
        return value

    def deferred(
        self, key: bytes, story: Story | None, facts: Delivery, at: float, event_id: str
    ) -> Waiting | None:
        """Count an attempt that failed for now. None: the line names no recipient. The caller
        completes what is said and gives it to `keep`."""
        if facts.recipient is None:
            return None
        waiting = self._waiting(key, facts.recipient)
        activation = self._activation(key, story)
        if waiting is None:
            return Waiting(
                recipient=facts.recipient,
                original_recipient=facts.original_recipient,
                first_deferred=at,
                attempts=1,
                is_counted=story is not None and story.is_begun,
                activation=activation,
                last_id=event_id,
                arrived=None if facts.delay is None else at - facts.delay,
                status=facts.status,
                response=facts.response[:LONGEST_RESPONSE],
                smtp_code=None,
                enhanced_code=facts.enhanced_code,
                category=None,
                scope=None,
                provider=None,
                provider_code=None,
            )
        if waiting.last_id != event_id:
            waiting.attempts += _is_another(waiting, activation)
            waiting.activation = activation
            waiting.last_id = event_id
            waiting.status = facts.status
            waiting.response = facts.response[:LONGEST_RESPONSE]
            waiting.enhanced_code = facts.enhanced_code
        return waiting

    def keep(self, key: bytes, waiting: Waiting, seconds: int) -> None:
        stamp = seconds.to_bytes(STAMP_BYTES)
        name = _name(waiting.recipient)
        self.recipients.renew(key + _NAME + name, stamp + pack(waiting))
        queued = self.queued.entries.get(key)
        if queued is None:
            queued = b"%b%d\n%b" % (stamp, waiting.activation, name)
        elif name not in _names(queued):
            queued = b"%b%b%b" % (queued, _NAME, name)
        self.queued.renew(key, stamp + queued[STAMP_BYTES:])
        known = self.memory.entries.get(key)
        if known is not None:
            self.memory.renew(key, known)

    def ended(self, key: bytes, facts: Delivery) -> Waiting | None:
        """The recipient of a delivery that came to its end, with this attempt counted; None where
        it was not waiting."""
        for recipient in (facts.recipient, facts.original_recipient):
            waiting = None if recipient is None else self._waiting(key, recipient)
            if waiting is not None:
                self.recipients.discard(key + _NAME + _name(waiting.recipient))
                waiting.attempts += _is_another(waiting, self._activation(key, None))
                return waiting
        return None

    def all_ended(self, key: bytes) -> list[Waiting]:
        """The recipients of a message that left the queue, in the order of their first deferral."""
        queued = self.queued.entries.get(key)
        if queued is None:
            return []
        self.queued.discard(key)
        ended = []
        for name in _names(queued):
            packed = self.recipients.entries.get(key + _NAME + name)
            if packed is not None:
                self.recipients.discard(key + _NAME + name)
                ended.append(unpack(packed[STAMP_BYTES:]))
        return ended

    def is_awaited(self, key: bytes) -> bool:
        """Whether a recipient of this message waits."""
        queued = self.queued.entries.get(key)
        return queued is not None and any(
            key + _NAME + name in self.recipients.entries for name in _names(queued)
        )

    def is_foreign(self, key: bytes) -> bool:
        """Its beginning was not seen here, and nobody has been asked."""
        value = self.memory.get(key)
        return value is None or not any(_has(value, kind) for kind in _BEGINNINGS)

    def asked(self, key: bytes, seconds: int) -> None:
        """Somebody was asked, and need not be asked again."""
        self._add(key, ASKED_RECORD, seconds)

    def close(self, key: bytes, seconds: int) -> None:
        """The message is gone."""
        self.queued.discard(key)
        self.memory.close(key, seconds)

    @property
    def evicted(self) -> dict[str, float]:
        """How much was forgotten, by reason."""
        parts = (self.memory, self.recipients)
        return {reason.value: sum(part.evicted[reason] for part in parts) for reason in Evicted}

    def trim(self, seconds: int) -> None:
        """Keep the bounds."""
        for memory in (self.memory, self.queued, self.recipients):
            memory.trim(seconds)

    def _waiting(self, key: bytes, recipient: str) -> Waiting | None:
        packed = self.recipients.entries.get(key + _NAME + _name(recipient))
        return None if packed is None else unpack(packed[STAMP_BYTES:])

    def _activation(self, key: bytes, story: Story | None) -> int:
        """How often qmgr took up this message, as far as counted; 0 where that was not seen."""
        queued = self.queued.entries.get(key)
        if queued is not None:
            return int(queued[STAMP_BYTES : queued.index(b"\n", STAMP_BYTES)])
        return 1 if story is not None and story.is_active else 0

    def _forget(self, key: bytes) -> None:
        self.all_ended(key)
        self.memory.discard(key)


def _has(value: bytes, kind: bytes) -> bool:
    return value.startswith(kind, STAMP_BYTES) or value.find(b"\n" + kind, STAMP_BYTES) >= 0


def _name(recipient: str) -> bytes:
    return recipient.encode("utf-8", "replace").replace(_NAME, b"?")


def _names(queued: bytes) -> list[bytes]:
    return queued[queued.index(b"\n", STAMP_BYTES) + 1 :].split(_NAME)


def _is_another(waiting: Waiting, activation: int) -> bool:
    return activation == 0 or activation != waiting.activation
