"""What the lines of a message tell of it, kept until one of them says that it failed.

In: lines that tell of messages, and failures, in the order they came. Out: what an event should
know that its own line does not say, and the recipients whose waiting has ended.

Every method takes the time in seconds as its caller knows it; nothing here reads a clock.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import tzinfo
from enum import Enum
from math import inf
from typing import NamedTuple

from service.core.correlate.memory import (
    STAMP_BYTES,
    Bounds,
    Evicted,
    Memory,
    begun,
    is_record_set,
    stamp_of,
)
from service.core.correlate.story import (
    ACTIVE_RECORD,
    ASKED_RECORD,
    BEGUN_RECORD,
    CLIENT_RECORD,
    LONGEST_RECORD,
    MESSAGE_ID_RECORD,
    NOTICE_RECORD,
    ORIGIN_RECORD,
    PARENT_RECORD,
    SEPARATOR,
    UID_RECORD,
    Story,
    read_story,
)
from service.core.correlate.trace import (
    CLIENT,
    FROM,
    MESSAGE_ID,
    POSTMASTER,
    REMOVED,
    SENDER,
    TO,
    UID,
    Queue,
    Trace,
    Traces,
)
from service.core.correlate.waiting import LONGEST_RESPONSE, Waiting, pack, unpack
from service.core.postfix.facts import Delivery
from service.core.postfix.fragments import QUEUE_ID, pattern
from service.core.postfix.shapes.delivery import read_plain

_ACTIVE_END = b" (queue active)"
_NOTIFICATION = b" notification: "
_NON_DELIVERY = b"non-delivery"
_FORWARDED = b" (forwarded as "
_FORWARDING = pattern(rf"forwarded as ({QUEUE_ID})\Z")
_LOGIN = b", sasl_username="
_RECIPIENTS = b", nrcpt="
_ORIGINAL_QUEUE_ID = b", orig_queue_id="
_ORIGINAL_ID = b" orig_id="
_NAME = b"\0"
_RENEW_SECONDS = 3600
"""A deferred recipient counts as heard of, so that it does not age, once in this time."""
_ENDED_SECONDS = 600
"""How long it is known of a recipient which line ended its waiting, at least: as long as JetStream
by default knows an event id again."""
_MOST_NAMES_BYTES = 1 << 19
"""Of the names of one message's deferred recipients: they lie in one value."""
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


Kept = tuple[dict[bytes, bytes], dict[bytes, bytes], dict[bytes, bytes]]
"""Records of messages, queued messages, and deferred recipients."""


@dataclass(frozen=True, slots=True)
class Notice:
    """A non-delivery notice was queued."""

    queue_id: str
    kind: str
    """`sender` or `postmaster`."""


class Attempt(NamedTuple):
    """One that failed for now."""

    waiting: Waiting
    number: int | None
    is_news: bool
    """False: the line was here before, or an older one than that of the last attempt."""


class Correlator:
    def __init__(self, bounds: Bounds, zone: tzinfo, is_shared: bool = False) -> None:
        """`is_shared`: other receivers may know of recipients that wait."""
        self.is_shared = is_shared
        self.memory = Memory(bounds)
        """Records of messages, by queue and queue id."""
        self.queued = Memory(bounds, _ENDED_SECONDS)
        """Messages with deferred recipients: activations seen, and the names of recipients."""
        self.recipients = Memory(bounds, _ENDED_SECONDS)
        """Deferred recipients, by the same key and their name."""
        self._endings = Memory(bounds, _ENDED_SECONDS)
        """Recipients whose waiting a line ended, by its event id."""
        self._uncounted_before = -1
        """Unix time, seconds: of messages begun until then recipients may have been forgotten."""
        self.traces = Traces(zone)
        self._zone = zone

    # Lines that tell of a message

    def note(self, trace: Trace, stamp: bytes) -> News | Notice | None:
        """Remember what a line tells. `stamp`: the time now, in `STAMP_BYTES`."""
        return READERS[trace[3]](self, trace, stamp)

    def _accepted(self, trace: Trace, stamp: bytes) -> None:
        """smtpd(8) or qmqpd(8): `client=`."""
        self._begin(trace, CLIENT_RECORD, stamp)
        if trace[4].find(_ORIGINAL_QUEUE_ID) > 0:
            # A login is the client's to choose: what follows it is not believed.
            text = trace[4][:LONGEST_RECORD].partition(_LOGIN)[0]
            origin = text.partition(_ORIGINAL_QUEUE_ID)[2].partition(b",")[0]
            if origin:
                self._inherit(trace, origin)

    def _submitted(self, trace: Trace, stamp: bytes) -> None:
        """pickup(8): `uid=`."""
        text = trace[4]
        is_news = self._begin(trace, UID_RECORD, stamp)
        origin = text.rpartition(_ORIGINAL_ID)[2]
        # Where the line was cut, the sender may end like this.
        if is_news and origin != text and len(text) < LONGEST_RECORD:
            self._inherit(trace, origin)
            self._take_over(trace, origin)

    def _served(self, trace: Trace, stamp: bytes) -> News | None:
        """A delivery, and it is no failure."""
        _, key, _, _, text = trace
        if text.find(_FORWARDED) > 0:
            self._forwarded(trace, stamp)
        return News.DELIVERY if self.is_shared or key in self.queued.entries else None

    def _begin(self, trace: Trace, kind: bytes, stamp: bytes) -> bool:
        """A message begins. What was known under its id was another one's, unless this line has
        been here before (then False) or came late."""
        _, key, time, _, text = trace
        record = kind + time + SEPARATOR + text[:LONGEST_RECORD]
        known = self.memory.entries.get(key)
        if known is not None:
            if CLIENT_RECORD in known or UID_RECORD in known:
                if record in known:
                    return False
            elif begun(stamp) - begun(known) < _NEIGHBOUR_SECONDS:
                self.memory.put(key, known + record)
                return True
            self._forget(key)
        elif key in self.queued.entries:
            self._forget(key)
        self.memory.add(key, stamp + record)
        return True

    def _identified(self, trace: Trace, stamp: bytes) -> None:
        """cleanup(8): `message-id=`."""
        _, key, time, _, text = trace
        record = MESSAGE_ID_RECORD + text[:LONGEST_RECORD]
        known = self.memory.entries.get(key)
        if known is not None:
            if known.find(MESSAGE_ID_RECORD) < 0:
                if not _is_begun(known):  # Postfix' own: what made it was told before
                    record = BEGUN_RECORD + time + record
                self.memory.put(key, known + record)
                return
            if ACTIVE_RECORD not in known or record in known:
                return  # a second such header, or the line once more
            self._forget(key)
        elif key in self.queued.entries:
            self._forget(key)
        self.memory.add(key, stamp + BEGUN_RECORD + time + record)

    def _activated(self, trace: Trace, stamp: bytes) -> News | None:
        """qmgr(8): `from=<sender>, size=n, nrcpt=n (queue active)`."""
        _, key, _, _, text = trace
        if text[-len(_ACTIVE_END) :] != _ACTIVE_END:
            return None
        known = self.memory.entries.get(key)
        record = ACTIVE_RECORD + text[: -len(_ACTIVE_END)][:LONGEST_RECORD]
        if known is not None and _is_of_another(known, record):
            self._forget(key)
            known = None
        queued = self.queued.entries.get(key)
        if queued is not None:
            activations, newline, names = queued[STAMP_BYTES:].partition(b"\n")
            self.queued.put(
                key, b"%b%d%b%b" % (queued[:STAMP_BYTES], int(activations) + 1, newline, names)
            )
        if known is None:
            self.memory.add(key, stamp + record)
            return News.UNKNOWN
        if known.find(ACTIVE_RECORD) < 0:
            self.memory.put(key, known + record)
        return None

    def _removed(self, trace: Trace, stamp: bytes) -> News:
        """qmgr(8), postsuper(1), cleanup(8): `removed`."""
        return News.REMOVED

    # Links between messages

    def _inherit(self, trace: Trace, origin: bytes) -> None:
        """A message that was made from another came to this host as that one did."""
        queue, key, _, _, _ = trace
        for candidate in (queue, *self.traces.siblings(queue)):
            parent = self.memory.get(candidate.prefix + origin)
            if parent is not None:
                self._add_parent(key, parent)
                return

    def _add_parent(self, key: bytes, parent: bytes) -> None:
        known = self.memory.entries.get(key)
        if known is None or PARENT_RECORD in known:
            return
        for record in parent.split(b"\n"):
            if b"\n" + record[:1] in (CLIENT_RECORD, UID_RECORD):
                self.memory.put(key, known + PARENT_RECORD + record)
                return

    def _take_over(self, trace: Trace, origin: bytes) -> None:
        """`postsuper -r` gave a message a new id: its recipients wait on under that."""
        queue, key, _, _, _ = trace
        old = queue.prefix + origin
        queued = self.queued.entries.get(old)
        if queued is not None:
            for name in _names(queued):
                packed = self.recipients.entries.get(old + _NAME + name)
                if packed is not None:
                    self.recipients.renew(key + _NAME + name, packed)
            self.queued.renew(key, queued)
        self._forget(old)

    def _forwarded(self, trace: Trace, stamp: bytes) -> None:
        """local(8): it lives on under another id, whose first line came before this one."""
        queue, origin, _, _, text = trace
        queue_id = origin[len(queue.prefix) :]
        # The whole line is read: a server that took a message may answer in these words, too.
        read = read_plain((queue_id + b": to=<" + text).decode("utf-8", "replace"))
        facts = None if read is None else read[1]
        match = _FORWARDING.match(facts.response) if isinstance(facts, Delivery) else None
        if match is None:
            return
        key = queue.prefix + match[1].encode()
        self._link(key, ORIGIN_RECORD + queue_id, stamp)
        parent = self.memory.get(origin)
        if parent is not None:
            self._add_parent(key, parent)

    def _notified(self, trace: Trace, stamp: bytes) -> Notice | None:
        """bounce(8) made a message of its own; before 3.11 that message's lines come first."""
        queue, origin, _, opening, text = trace
        said, _, queue_id = text.rpartition(_NOTIFICATION)
        if not queue_id.isalnum():
            return None
        self._link(queue.prefix + queue_id, NOTICE_RECORD + origin[len(queue.prefix) :], stamp)
        if said != _NON_DELIVERY:
            return None  # a delay is no failure, and success is none either
        return Notice(queue_id.decode("ascii"), opening.rstrip().decode("ascii"))

    def _link(self, key: bytes, record: bytes, stamp: bytes) -> None:
        """To where it comes from; it comes from one."""
        known = self.memory.entries.get(key)
        if known is None or record[: len(ORIGIN_RECORD)] not in known:
            self._add(key, record, stamp)

    def _add(self, key: bytes, record: bytes, stamp: bytes) -> None:
        known = self.memory.entries.get(key)
        if known is None:
            self.memory.add(key, stamp + record)
        elif record not in known:
            self.memory.put(key, known + record)

    # Failures

    def story(self, queue: Queue, key: bytes) -> Story | None:
        """None: nothing is known of this message."""
        value = self.memory.get(key)
        if value is None:
            return None
        if value.find(CLIENT_RECORD) < 0 and value.find(UID_RECORD) < 0:
            value = self._with_neighbour(queue, key, value)
        return read_story(value, self._zone)

    def _with_neighbour(self, queue: Queue, key: bytes, value: bytes) -> bytes:
        """smtpd of a second instance may log as `postfix/submission`: its line then lies under the
        first one's name."""
        queue_id = key[len(queue.prefix) :]
        for sibling in self.traces.siblings(queue):
            other = self.memory.entries.get(sibling.prefix + queue_id)
            if other is None or MESSAGE_ID_RECORD in other or ACTIVE_RECORD in other:
                continue
            if abs(begun(value) - begun(other)) < _NEIGHBOUR_SECONDS:
                self.memory.discard(sibling.prefix + queue_id)
                value += other[STAMP_BYTES:]
                if key in self.memory.entries:
                    self.memory.put(key, value)
                return value
        return value

    def deferred(
        self, key: bytes, story: Story | None, facts: Delivery, at: float, event_id: str
    ) -> Attempt | None:
        """Count an attempt that failed for now. None: the line names no recipient. The caller
        completes what is news and gives it to `keep`."""
        if facts.recipient is None:
            return None
        waiting = self._waiting(key, facts.recipient)
        activation = self._activation(key, story)
        if waiting is None:
            is_counted = self._is_first(key, facts.recipient, story)
            waiting = Waiting(
                recipient=facts.recipient,
                original_recipient=facts.original_recipient,
                first_deferred=at,
                last_deferred=at,
                attempts=1,
                is_counted=is_counted,
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
            number = 1 if is_counted else None
            # One that has ended is not waited for again: this is an older line, sent again.
            return Attempt(waiting, number, at > self._ended_at(key, facts.recipient))
        is_news = waiting.last_id != event_id
        if is_news:
            if at < waiting.last_deferred:
                # Sent again with what came after it: it was counted then.
                return Attempt(waiting, None, False)
            waiting.attempts += _is_another(waiting, activation)
            waiting.activation = activation
            waiting.last_deferred = at
            waiting.last_id = event_id
            waiting.status = facts.status
            waiting.response = facts.response[:LONGEST_RESPONSE]
            waiting.enhanced_code = facts.enhanced_code
        return Attempt(waiting, waiting.attempts if waiting.is_counted else None, is_news)

    def keep(self, key: bytes, waiting: Waiting, seconds: int) -> None:
        stamp = stamp_of(seconds)
        name = _name(waiting.recipient)
        its_key = key + _NAME + name
        before = self.recipients.entries.get(its_key)
        queued = self.queued.entries.get(key)
        if before is not None and queued is not None and seconds - begun(before) < _RENEW_SECONDS:
            self.recipients.put(its_key, before[:STAMP_BYTES] + pack(waiting))
            return
        if queued is not None and before is None and len(queued) > _MOST_NAMES_BYTES:
            self.recipients.evicted[Evicted.BYTES] += 1
            self._uncounted_before = seconds
            return
        self.recipients.renew(its_key, stamp + pack(waiting))
        if queued is None:
            queued = b"%b%d\n%b" % (stamp, waiting.activation, name)
        elif before is None:
            queued = b"%b%b%b" % (queued, _NAME, name)
        self.queued.renew(key, stamp + queued[STAMP_BYTES:])
        known = self.memory.entries.get(key)
        if known is not None:
            self.memory.renew(key, known)

    def ended(
        self, key: bytes, facts: Delivery, at: float, by: str, seconds: int
    ) -> Waiting | None:
        """The recipient of a delivery that came to its end, with this attempt counted; None where
        it was not waiting. `at`: time of the line, which ends nothing that was deferred later;
        infinite where it is not sure. `by`: its event id; it gives the same when it comes again."""
        names = [name for name in (facts.recipient, facts.original_recipient) if name is not None]
        for name in names:
            waiting = self._waiting(key, name)
            if waiting is not None and waiting.last_deferred <= at:
                waiting.attempts += _is_another(waiting, self._activation(key, None))
                self._end(key, [waiting], by, seconds)
                return waiting
        again = self._ended_by(by)
        return again[0] if again else None

    def all_ended(self, key: bytes, at: float, by: str, seconds: int) -> list[Waiting]:
        """The recipients of a message that left the queue, in the order of their first deferral.
        `at`, `by`: as for `ended`."""
        queued = self.queued.entries.get(key)
        all_ended = []
        if queued is not None:
            names = dict.fromkeys(map(_decoded, _names(queued)))
            found = (self._waiting(key, name) for name in names)
            all_ended = [one for one in found if one is not None and one.last_deferred <= at]
        if not all_ended:
            return self._ended_by(by)
        self._end(key, all_ended, by, seconds)
        if not self.is_awaited(key):
            self.queued.close(key, seconds)
        return all_ended

    def is_first_attempt(self, key: bytes, story: Story | None, facts: Delivery) -> bool:
        """Of a recipient that was not waiting."""
        return facts.recipient is not None and self._is_first(key, facts.recipient, story)

    def is_awaited(self, key: bytes) -> bool:
        """Whether a recipient of this message waits."""
        queued = self.queued.entries.get(key)
        return queued is not None and any(
            key + _NAME + name in self.recipients.entries for name in _names(queued)
        )

    def is_awaited_since(self, key: bytes, at: float) -> bool:
        """Whether one waits that was not deferred after `at`."""
        queued = self.queued.entries.get(key)
        if queued is None:
            return False
        waiting = (self._waiting(key, _decoded(name)) for name in _names(queued))
        return any(one is not None and one.last_deferred <= at for one in waiting)

    def is_foreign(self, key: bytes) -> bool:
        """Its beginning was not seen here, and nobody has been asked."""
        value = self.memory.get(key)
        return value is None or not any(kind in value for kind in _BEGINNINGS)

    def asked(self, key: bytes, seconds: int) -> None:
        """Somebody was asked, and need not be asked again."""
        self._add(key, ASKED_RECORD, stamp_of(seconds))

    def close(self, key: bytes, seconds: int) -> None:
        """The message is gone."""
        self.queued.close(key, seconds)
        self.memory.close(key, seconds)

    @property
    def evicted(self) -> dict[str, float]:
        """How much was forgotten, by reason."""
        parts = (self.memory, self.recipients)
        return {reason.value: sum(part.evicted[reason] for part in parts) for reason in Evicted}

    def kept(self) -> Kept:
        """All that is remembered, as it is now."""
        return (
            self.memory.entries.copy(),
            self.queued.entries.copy(),
            self.recipients.entries.copy(),
        )

    def restore(self, kept: Kept) -> None:
        """What `kept` gave in an earlier life; entries that cannot be its own are left out."""
        for memory, entries in zip((self.memory, self.queued, self.recipients), kept, strict=True):
            for key, value in entries.items():
                if key not in memory.entries and is_record_set(value):
                    memory.add(key, value)

    def trim(self, seconds: int) -> None:
        """Keep the bounds."""
        self.memory.trim(seconds)
        queued = self.queued.trim(seconds)
        for key, value, reason in queued:
            # Who waits is known by his message: he would be taken for one of the next of that id.
            for name in _names(value):
                if key + _NAME + name in self.recipients.entries:
                    self.recipients.discard(key + _NAME + name)
                    self.recipients.evicted[reason] += 1
        if self.recipients.trim(seconds) or queued:
            self._uncounted_before = seconds

    def _waiting(self, key: bytes, recipient: str) -> Waiting | None:
        packed = self.recipients.entries.get(key + _NAME + _name(recipient))
        return None if packed is None else _unpacked(packed)

    def _end(self, key: bytes, ended: list[Waiting], by: str, seconds: int) -> None:
        stamp = stamp_of(seconds)
        for waiting in ended:
            its_key = key + _NAME + _name(waiting.recipient)
            self.recipients.put(its_key, stamp + b"%a" % waiting.last_deferred)
            self.recipients.close(its_key, seconds)
        name = by.encode()
        self._endings.renew(name, stamp + b"\n".join(map(pack, ended)))
        self._endings.close(name, seconds)

    def _ended_by(self, line: str) -> list[Waiting]:
        """Whose waiting that line ended when it was here before."""
        value = self._endings.left(line.encode())
        return [] if value is None else list(map(unpack, value[STAMP_BYTES:].split(b"\n")))

    def _ended_at(self, key: bytes, recipient: str) -> float:
        """When a recipient was last deferred that does not wait any more, as far as known."""
        value = self.recipients.left(key + _NAME + _name(recipient))
        return -inf if value is None else float(value[STAMP_BYTES:])

    def _is_first(self, key: bytes, recipient: str, story: Story | None) -> bool:
        """Whether an attempt for somebody who is not waiting is the first: every line of the
        message was seen, and none ended a waiting."""
        if story is None or not story.is_begun:
            return False
        known = self.memory.get(key)
        ended = self.recipients.left(key + _NAME + _name(recipient))
        if known is None or begun(known) <= self._uncounted_before:
            return False
        return ended is None or begun(known) >= begun(ended)

    def _activation(self, key: bytes, story: Story | None) -> int:
        """How often qmgr took up this message, as far as counted; 0 where that was not seen."""
        queued = self.queued.entries.get(key)
        if queued is not None:
            return int(queued[STAMP_BYTES : queued.index(b"\n", STAMP_BYTES)])
        return 1 if story is not None and story.is_active else 0

    def _forget(self, key: bytes) -> None:
        """Another message has its id."""
        queued = self.queued.entries.get(key)
        if queued is not None:
            for name in _names(queued):
                self.recipients.discard(key + _NAME + name)
            self.queued.discard(key)
        self.memory.discard(key)


READERS: dict[bytes, Callable[[Correlator, Trace, bytes], News | Notice | None]] = {
    FROM: Correlator._activated,
    CLIENT: Correlator._accepted,
    MESSAGE_ID: Correlator._identified,
    TO: Correlator._served,
    REMOVED: Correlator._removed,
    UID: Correlator._submitted,
    SENDER: Correlator._notified,
    POSTMASTER: Correlator._notified,
}
"""What `note` does, by the opening of a line."""


def _unpacked(packed: bytes) -> Waiting | None:
    """None: another version wrote it."""
    try:
        return unpack(packed[STAMP_BYTES:])
    except ValueError:
        return None


def _name(recipient: str) -> bytes:
    return recipient.encode("utf-8", "replace").replace(_NAME, b"?")


def _names(queued: bytes) -> list[bytes]:
    return queued[queued.index(b"\n", STAMP_BYTES) + 1 :].split(_NAME)


def _decoded(name: bytes) -> str:
    return name.decode("utf-8", "replace")


def _is_begun(known: bytes) -> bool:
    return CLIENT_RECORD in known or UID_RECORD in known or BEGUN_RECORD in known


def _is_of_another(known: bytes, record: bytes) -> bool:
    """Whether what qmgr says is of another message than it said before: sender and size of one stay
    as they are, the number of its recipients does not."""
    constant = record[: record.rfind(_RECIPIENTS) + 1]
    return len(constant) > 0 and ACTIVE_RECORD in known and constant not in known


def _is_another(waiting: Waiting, activation: int) -> bool:
    return activation == 0 or activation != waiting.activation
