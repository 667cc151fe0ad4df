"""What the lines of a message tell of it, kept until one of them says that it failed.

In: lines that tell of messages, and failures, in the order they came. Out: what an event should
know that its own line does not say, and the recipients whose waiting has ended.

Every method takes the time in seconds as its caller knows it; nothing here reads a clock.
"""

from dataclasses import dataclass
from datetime import datetime, tzinfo
from enum import Enum

from service.core.correlate.memory import STAMP_BYTES, Bounds, Evicted, Memory, begun
from service.core.correlate.shared import GONE, Shared, encode
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
_RETRY_SECONDS = 240
"""Some less than the least that Postfix waits before it tries again (minimal_backoff_time)."""
_NEIGHBOUR_SECONDS = 60
"""How far apart the lines of one message may be that were logged under two instances' names."""


_BEGINNINGS = (
    CLIENT_RECORD,
    UID_RECORD,
    BEGUN_RECORD,
    NOTICE_RECORD,
    ORIGIN_RECORD,
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
        self._asked = ASKED_RECORD
        self._doubts = 0
        self._unsure_before = 0

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
                last_deferred=at,
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
            waiting.attempts += _is_another(waiting, activation, at)
            waiting.activation = activation
            waiting.last_deferred = at
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

    def ended(self, key: bytes, facts: Delivery, at: float) -> Waiting | None:
        """The recipient of a delivery that came to its end, with this attempt counted; None where
        it was not waiting."""
        for recipient in (facts.recipient, facts.original_recipient):
            waiting = None if recipient is None else self._waiting(key, recipient)
            if waiting is not None:
                self.recipients.discard(key + _NAME + _name(waiting.recipient))
                waiting.attempts += _is_another(waiting, self._activation(key, None), at)
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

    # What the receivers of a fleet tell each other

    def is_foreign(self, key: bytes) -> bool:
        """Others may know of it what is not known here, and have not been asked."""
        value = self.memory.get(key)
        if value is None:
            return True
        if begun(value) >= self._unsure_before and (
            # Nearly always it comes first.
            value.startswith(_BEGINNINGS, STAMP_BYTES)
            or any(_has(value, kind) for kind in _BEGINNINGS)
        ):
            return False
        return not _has(value, self._asked)

    def asked(self, key: bytes, seconds: int) -> None:
        """They were asked, and need not be asked again."""
        self._add(key, self._asked, seconds)

    def doubt(self, seconds: int) -> None:
        """They were not heard for a while: they are asked anew of all that is known here."""
        self._doubts += 1
        self._asked = b"%b%d;" % (ASKED_RECORD, self._doubts)
        self._unsure_before = seconds

    def holds(self, key: bytes) -> bool:
        """Whether this message is known here and has not left the queue."""
        return key in self.memory.entries or key in self.queued.entries

    def has_left(self, key: bytes) -> bool:
        """Whether this message was seen to leave the queue a moment ago."""
        return not self.holds(key) and self.memory.get(key) is not None

    def export(self, key: bytes) -> bytes:
        """What others should know of a message that has, or had, deferred recipients."""
        queued = self.queued.entries.get(key)
        if queued is None:
            return GONE
        known = self.memory.get(key)
        records = [] if known is None else known[STAMP_BYTES:].split(b"\n")
        waiting, ended = [], []
        for name in _names(queued):
            packed = self.recipients.entries.get(key + _NAME + name)
            if packed is None:
                ended.append(name)
            else:
                waiting.append(packed[STAMP_BYTES:])
        return encode(
            begun(queued if known is None else known),
            [record for record in records if record[:1] != ASKED_RECORD],
            self._activation(key, None),
            waiting,
            ended,
        )

    def learn(self, key: bytes, shared: Shared, seconds: int) -> bool:
        """Take over what another receiver tells. It may come late, twice, or in another order than
        it was written. True: more is known here than it tells."""
        if shared.is_gone:
            self.all_ended(key)
            return False
        known = self.memory.entries.get(key)
        if known is not None and _is_other(known, shared):
            if begun(known) > shared.begun:
                return True
            self._forget(key)
            known = None
        # Counted by whoever saw it from its beginning, if nothing was missed since.
        has_all = known is not None and not self.is_foreign(key) and _has_begun(known)
        knows_more = self._learn_records(key, known, shared, seconds)
        queued = self.queued.entries.get(key)
        names = [] if queued is None else _names(queued)
        activations = shared.activations
        if queued is not None:
            activations = max(activations, self._activation(key, None))
        elif known is not None and _has(known, ACTIVE_RECORD):
            activations += 1  # it was taken up anew, and that line came here
        stamp = seconds.to_bytes(STAMP_BYTES)
        told = set()
        for waiting in shared.waiting:
            name = _name(waiting.recipient)
            told.add(name)
            here = self._waiting(key, waiting.recipient)
            if here is None and name in names:
                knows_more = True  # it has ended
                continue
            if here is None:
                knows_more |= has_all and not waiting.is_counted
                waiting.is_counted |= has_all
                names.append(name)
            elif not _is_ahead(waiting, here):
                knows_more |= _is_ahead(here, waiting)
                continue
            elif here.first_deferred < waiting.first_deferred:
                knows_more = True  # they did not know of the attempts that were seen here
                waiting.attempts += here.attempts
                waiting.first_deferred, waiting.is_counted = here.first_deferred, here.is_counted
            self.recipients.renew(key + _NAME + name, stamp + pack(waiting))
        for recipient in shared.ended:
            name = _name(recipient)
            told.add(name)
            self.recipients.discard(key + _NAME + name)
            if name not in names:
                names.append(name)
        if not names:
            return False
        self.queued.renew(key, b"%b%d\n%b" % (stamp, activations, _NAME.join(names)))
        return (knows_more or any(name not in told for name in names)) and not shared.is_cut

    def _learn_records(self, key: bytes, known: bytes | None, shared: Shared, seconds: int) -> bool:
        told = b"\n".join(shared.records)
        if known is None:
            # Not younger than now, and not so old that it would be forgotten at once.
            at = min(max(shared.begun, seconds - self.memory.bounds.seconds // 2), seconds)
            if told:
                self.memory.renew(key, at.to_bytes(STAMP_BYTES) + told)
            return False
        has_begun = _has_begun(known)
        for record in shared.records:
            kind = record[:1]
            if not _has(known, kind) and not (kind == BEGUN_RECORD and has_begun):
                known = b"%b\n%b" % (known, record)
        self.memory.put(key, known)
        kinds = {record[:1] for record in shared.records}
        return any(
            record[:1] not in kinds and record[:1] != ASKED_RECORD
            for record in known[STAMP_BYTES:].split(b"\n")
        )

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


def _has_begun(value: bytes) -> bool:
    return any(_has(value, kind) for kind in (CLIENT_RECORD, UID_RECORD, BEGUN_RECORD))


def _is_other(known: bytes, shared: Shared) -> bool:
    """Whether a message told of is not the one known by that id, but an earlier or a later one."""
    if abs(begun(known) - shared.begun) < _NEIGHBOUR_SECONDS:
        return False  # resent lines may come with stamps of another form
    for record in shared.records:
        if record[:1] in (CLIENT_RECORD, UID_RECORD, BEGUN_RECORD) and _has(known, record[:1]):
            return not _has(known, record.partition(SEPARATOR)[0])
    return False


def _is_ahead(told: Waiting, here: Waiting) -> bool:
    """Whether what is told of a recipient goes beyond what is known here. Who counts for himself,
    for want of hearing of the others, has another first deferral than they."""
    if told.first_deferred == here.first_deferred:
        return (told.attempts, told.is_counted) > (here.attempts, here.is_counted)
    return told.first_deferred < here.first_deferred or told.last_id != here.last_id


def _name(recipient: str) -> bytes:
    return recipient.encode("utf-8", "replace").replace(_NAME, b"?")


def _names(queued: bytes) -> list[bytes]:
    return queued[queued.index(b"\n", STAMP_BYTES) + 1 :].split(_NAME)


def _is_another(waiting: Waiting, activation: int, at: float) -> bool:
    """Whether a line is of another attempt than the last: local(8) may log several for one. After a
    while it is, though nothing was seen of the message being taken up anew: that line may have gone
    to another receiver."""
    return (
        activation == 0
        or activation != waiting.activation
        or at - waiting.last_deferred >= _RETRY_SECONDS
    )
