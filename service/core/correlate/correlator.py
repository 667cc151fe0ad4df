"""What the lines of a message tell of it, kept until one of them says that it failed.

In: lines that tell of messages, and failures, in the order they came. Out: what an event should
know that its own line does not say, and the recipients whose waiting has ended.

Every method takes the time in seconds as its caller knows it; nothing here reads a clock.
"""

from collections import deque
from dataclasses import dataclass
from datetime import tzinfo
from enum import Enum
from typing import Final

from service.core.correlate.memory import (
    STAMP_BYTES,
    Bounds,
    Evicted,
    Memory,
    begun,
    is_record_set,
    stamp_of,
)
from service.core.correlate.shared import GONE, Shared, encode
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
    REMOVED,
    TO,
    UID,
    Queue,
    Trace,
    Traces,
    is_session,
)
from service.core.correlate.waiting import LONGEST_RESPONSE, Waiting, pack, unpack
from service.core.postfix.facts import Delivery
from service.core.postfix.fragments import QUEUE_ID, pattern
from service.core.postfix.shapes.delivery import read_plain

_ACTIVE_END: Final = b" (queue active)"
_NOTIFICATION = b" notification: "
_NON_DELIVERY = b"non-delivery"
_FORWARDED: Final = b" (forwarded as "
_FORWARDING = pattern(rf"forwarded as ({QUEUE_ID})\Z")
_LOGIN = b", sasl_username="
_RECIPIENTS: Final = b", nrcpt="
_ORIGINAL_QUEUE_ID: Final = b", orig_queue_id="
_ORIGINAL_ID = b" orig_id="
_NAME: Final = b"\0"
_LF: Final = ord("\n")
_ZERO: Final = ord("0")
_RENEW_SECONDS: Final = 3600
"""A deferred recipient counts as heard of, so that it does not age, once in this time."""
_RETRY_SECONDS: Final = 240
"""Some less than the least that Postfix waits before it tries again (minimal_backoff_time)."""
_ENDED_SECONDS = 600
"""How long it is known of a recipient which line ended its waiting: as long as JetStream by default
knows an event id again."""
_ENDED_SHARE = 128
"""Of what may be remembered that much of those that ended, twice, and then it is known no longer:
three thousand endings at least with the usual bounds, so those of the last fifty thousand lines."""
_REFUSED_SECONDS: Final = 5
"""How long a message is still known that cleanup refused."""
_BEGINNING_BYTES: Final = 48
"""Of a record set: when it was begun, and the time of its first line."""
_REFUSED_SHARE: Final = 8
"""At most that part of the messages that may be remembered."""
_MOST_NAMES_BYTES: Final = 1 << 19
"""Of the names of one message's deferred recipients: they lie in one value."""
_MOST_STORIES: Final = 4096
"""That are kept read; then all are read anew."""
_NEIGHBOUR_SECONDS: Final = 60
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
    LATER = "later"
    """Others were asked of this message: it has to wait for their answer."""
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


@dataclass(slots=True, init=False)
class Attempt:
    """One that failed for now."""

    waiting: Waiting
    number: int | None
    is_news: bool
    """False: the line was here before, or an older one than that of the last attempt."""

    # Written out as in `core.postfix.facts`: for the compiled core.
    def __init__(self, waiting: Waiting, number: int | None, is_news: bool) -> None:
        self.waiting = waiting
        self.number = number
        self.is_news = is_news


class Correlator:
    def __init__(self, bounds: Bounds, zone: tzinfo, is_shared: bool = False) -> None:
        """`is_shared`: other receivers may know of recipients that wait."""
        self.is_shared = is_shared
        self.memory = Memory(bounds)
        """Records of messages, by queue and queue id."""
        self.queued = Memory(bounds, _ENDED_SECONDS, _ENDED_SHARE)
        """Messages with deferred recipients: activations seen, and the names of recipients."""
        self.recipients = Memory(bounds, _ENDED_SECONDS, _ENDED_SHARE)
        """Deferred recipients, by the same key and their name."""
        self._endings = Memory(bounds, _ENDED_SECONDS, _ENDED_SHARE)
        """Recipients whose waiting a line ended, by its event id."""
        self._refused: deque[tuple[int, bytes, bytes]] = deque()
        """Messages that were: when, which, and how its record set begins."""
        self._uncounted_before = b""
        """In `STAMP_BYTES`: of messages begun until then recipients may have been forgotten."""
        self.traces = Traces(zone)
        self._zone = zone
        self._stories: dict[bytes, Story] = {}
        """By the records they were read from: one message may fail for many recipients."""
        self._second = -1
        self._second_stamp = b""
        self._asked = ASKED_RECORD
        self._unsure_before = stamp_of(0)

    # Lines that tell of a message

    def hear(self, trace: Trace, stamp: bytes) -> News | Notice | None:
        """Remember what a line tells. `stamp`: the time now in `STAMP_BYTES`."""
        opening = trace[3]
        # One after the other, the commonest first: a call that is written out costs the compiled
        # core a tenth of one through a table.
        if opening == FROM:
            return self._activated(trace, stamp)
        if opening == TO:
            return self._served(trace, stamp)
        if opening == MESSAGE_ID:
            self._identified(trace, stamp)
        elif opening == REMOVED:
            return News.REMOVED
        elif opening == CLIENT:
            self._accepted(trace, stamp)
        elif opening == UID:
            self._submitted(trace, stamp)
        else:
            return self._notified(trace, stamp)
        return None

    def _accepted(self, trace: Trace, stamp: bytes) -> None:
        """smtpd(8) or qmqpd(8): `client=`."""
        _, key, time, _, text = trace
        if is_session(key):
            record = CLIENT_RECORD + time + SEPARATOR + text[:LONGEST_RECORD]
            self.memory.renew(key, stamp + record)
            return
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
        if key in self.queued.entries or (self.is_shared and self.is_foreign(key)):
            return News.DELIVERY
        return None

    def _begin(self, trace: Trace, kind: bytes, stamp: bytes) -> bool:
        """A message begins. What was known under its id was another one's, unless this line has
        been here before (then False) or came late."""
        _, key, time, _, text = trace
        record = b"".join((kind, time, SEPARATOR, text[:LONGEST_RECORD]))
        known = self.memory.entries.get(key)
        if known is not None:
            if known.find(CLIENT_RECORD) >= 0 or known.find(UID_RECORD) >= 0:
                if known.find(record) >= 0:
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
                if not _has_begun(known):  # Postfix' own: what made it was told before
                    record = BEGUN_RECORD + time + record
                self.memory.put(key, known + record)
                return
            if known.find(ACTIVE_RECORD) < 0 or known.find(record) >= 0:
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
        is_active = known is not None and known.find(ACTIVE_RECORD) >= 0
        if known is not None and is_active and _is_of_another(known, record):
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
        if not is_active:
            self.memory.put(key, known + record)
        return None

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
        records = {b"\n" + record[:1]: record for record in reversed(parent.split(b"\n"))}
        # What that one had inherited itself comes first: it was the same mail before.
        inherited = records.get(PARENT_RECORD, b"")[1:]
        record = inherited or records.get(CLIENT_RECORD) or records.get(UID_RECORD)
        if record is not None:
            self.memory.put(key, known + PARENT_RECORD + record)

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
        # Nearly always it stands first; to look for it costs eight times as much.
        first = value[STAMP_BYTES : STAMP_BYTES + len(CLIENT_RECORD)]
        if first != CLIENT_RECORD and first != UID_RECORD and not _has_source(value):
            value = self._with_neighbour(queue, key, value)
        story = self._stories.get(value)
        if story is None:
            if len(self._stories) >= _MOST_STORIES:
                self._stories.clear()
            story = self._stories[value] = read_story(value, self._zone)
        return story

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
        recipient = facts.recipient
        if recipient is None:
            return None
        its_key = _its_key(key, recipient)
        waiting = self._waiting(its_key)
        activation = self._activation(key, story)
        if waiting is None:
            ended = self._left(its_key)
            is_counted = self._is_first(key, ended, story)
            waiting = Waiting(
                recipient,
                facts.original_recipient,
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
            # One that has ended is not waited for again: this is an older line, sent again.
            is_news = ended is None or at > float(ended[STAMP_BYTES:])
            return Attempt(waiting, 1 if is_counted else None, is_news)
        is_news = waiting.last_id != event_id
        if is_news:
            if at < waiting.last_deferred:
                # Sent again with what came after it: it was counted then.
                return Attempt(waiting, None, False)
            waiting.attempts += _is_another(waiting, activation, at)
            waiting.activation = activation
            waiting.last_deferred = at
            waiting.last_id = event_id
            waiting.status = facts.status
            waiting.response = facts.response[:LONGEST_RESPONSE]
            waiting.enhanced_code = facts.enhanced_code
        return Attempt(waiting, waiting.attempts if waiting.is_counted else None, is_news)

    def keep(self, key: bytes, waiting: Waiting, seconds: int) -> None:
        name = _name(waiting.recipient)
        its_key = key + _NAME + name
        before = self.recipients.entries.get(its_key)
        queued = self.queued.entries.get(key)
        if before is not None and queued is not None and seconds - begun(before) < _RENEW_SECONDS:
            self.recipients.put(its_key, before[:STAMP_BYTES] + pack(waiting))
            return
        if queued is not None and before is None and len(queued) > _MOST_NAMES_BYTES:
            self.recipients.evicted[Evicted.BYTES] += 1
            self._uncounted_before = self._stamp(seconds)
            return
        stamp = self._stamp(seconds)
        self.recipients.renew(its_key, stamp + pack(waiting))
        if queued is None:
            told = b"%d\n" % waiting.activation + name
        elif before is None:
            told = queued[STAMP_BYTES:] + _NAME + name
        else:
            told = queued[STAMP_BYTES:]
        self.queued.renew(key, stamp + told)
        known = self.memory.entries.get(key)
        if known is not None:
            self.memory.renew(key, known)

    def is_waited_for(self, key: bytes, facts: Delivery) -> bool:
        """Whether its recipient was deferred."""
        return self._recipient(key, facts) is not None

    def has_just_failed(self, key: bytes, facts: Delivery) -> bool:
        """Whether its recipient was deferred at the attempt that goes on."""
        waiting = self._recipient(key, facts)
        return waiting is not None and 0 != waiting.activation == self._activation(key, None)

    def _recipient(self, key: bytes, facts: Delivery) -> Waiting | None:
        for name in (facts.recipient, facts.original_recipient):
            if name is not None and (waiting := self._waiting(_its_key(key, name))) is not None:
                return waiting
        return None

    def ended(
        self, key: bytes, facts: Delivery, at: float, by: str, seconds: int
    ) -> Waiting | None:
        """The recipient of a delivery that came to its end, with this attempt counted; None where
        it was not waiting. `at`: time of the line, which ends nothing that was deferred later;
        infinite where it is not sure. `by`: its event id; it gives the same when it comes again."""
        names = [name for name in (facts.recipient, facts.original_recipient) if name is not None]
        for name in names:
            waiting = self._waiting(_its_key(key, name))
            if waiting is not None and waiting.last_deferred <= at:
                waiting.attempts += _is_another(waiting, self._activation(key, None), at)
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
            names = dict.fromkeys(_names(queued))
            found = (self._waiting(key + _NAME + name) for name in names)
            all_ended = [one for one in found if one is not None and one.last_deferred <= at]
        if not all_ended:
            return self._ended_by(by)
        self._end(key, all_ended, by, seconds)
        if not self.is_awaited(key):
            self.queued.close(key, seconds)
        return all_ended

    def is_first_attempt(self, key: bytes, story: Story | None, facts: Delivery) -> bool:
        """Of a recipient that was not waiting."""
        recipient = facts.recipient
        if recipient is None:
            return False
        return self._is_first(key, self._left(_its_key(key, recipient)), story)

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
        waiting = (self._waiting(key + _NAME + name) for name in _names(queued))
        return any(one is not None and one.last_deferred <= at for one in waiting)

    # What the receivers of a fleet tell each other

    def is_foreign(self, key: bytes) -> bool:
        """Others may know of it what is not known here, and have not been asked."""
        value = self.memory.get(key)
        if value is None:
            return True
        # Stamps stand first, and in order as bytes.
        if value >= self._unsure_before:
            for kind in _BEGINNINGS:
                if value.find(kind) >= 0:
                    return False
        return value.find(self._asked) < 0

    def asked(self, key: bytes, seconds: int) -> None:
        """They were asked, and need not be asked again."""
        self._add(key, self._asked, stamp_of(seconds))

    def doubt(self, seconds: int) -> None:
        """They were not heard for a while: they are asked anew of all that is known here."""
        self._unsure_before = stamp_of(seconds)
        self._asked = ASKED_RECORD + self._unsure_before

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
        records = [] if known is None else _records(known)
        waiting, ended = [], []
        for name in dict.fromkeys(_names(queued)):
            packed = self.recipients.entries.get(key + _NAME + name)
            if packed is None:
                ended.append(name)
            else:
                waiting.append(packed[STAMP_BYTES:])
        return encode(
            begun(queued if known is None else known),
            [record for record in records if _kind(record) != ASKED_RECORD],
            self._activation(key, None),
            waiting,
            ended,
        )

    def learn(self, key: bytes, shared: Shared, seconds: int) -> bool:
        """Take over what another receiver tells. It may come late, twice, or in another order than
        it was written. True: more is known here than it tells."""
        if shared.is_gone:
            self._drop_waiting(key)
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
        # All may have ended here a moment ago, and the others, or the bucket, not know it yet.
        left = self.queued.left(key) if queued is None and known is not None else None
        names = [] if queued is None else _names(queued)
        ended_here = names if left is None else _names(left)
        activations = shared.activations
        if queued is not None:
            activations = max(activations, self._activation(key, None))
        elif known is not None and ACTIVE_RECORD in known:
            activations += 1  # it was taken up anew, and that line came here
        stamp = stamp_of(seconds)
        told = set()
        for waiting in shared.waiting:
            name = _name(waiting.recipient)
            told.add(name)
            here = self._waiting(key + _NAME + name)
            if here is None and name in ended_here:
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
            if name not in names and name not in ended_here:
                names.append(name)
        if not names:
            return left is not None
        self.queued.renew(key, b"%b%d\n%b" % (stamp, activations, _NAME.join(names)))
        return (knows_more or any(name not in told for name in names)) and not shared.is_cut

    def _learn_records(self, key: bytes, known: bytes | None, shared: Shared, seconds: int) -> bool:
        if known is None:
            # Not younger than now, and not so old that it would be forgotten at once.
            at = min(max(shared.begun, seconds - self.memory.bounds.seconds // 2), seconds)
            if shared.records:
                told = b"".join(b"\n" + record for record in shared.records)
                self.memory.renew(key, stamp_of(at) + told)
            return False
        has_begun = _has_begun(known)
        kinds = set()
        for record in shared.records:
            kind = _kind(record)
            kinds.add(kind)
            if kind not in known and not (kind == BEGUN_RECORD and has_begun):
                known += b"\n" + record
        self.memory.put(key, known)
        return any(_kind(record) not in kinds | {ASKED_RECORD} for record in _records(known))

    def close(self, key: bytes, seconds: int) -> None:
        """The message is gone."""
        self.queued.close(key, seconds)
        self.memory.close(key, seconds)

    def refused(self, key: bytes, seconds: int) -> None:
        """cleanup(8) refused the message as a whole: qmgr never has it, and never says `removed`.
        Content is refused by the thousand, and each would be remembered until it is too old. But
        cleanup goes on for a moment: its message-id, or a bounce of mail from this host."""
        known = self.memory.entries.get(key)
        if known is not None and key not in self.queued.entries:
            self._refused.append((seconds, key, known[:_BEGINNING_BYTES]))

    def _forget_refused(self, seconds: int) -> None:
        most = self.memory.bounds.messages // _REFUSED_SHARE
        while self._refused:
            since, key, beginning = self._refused[0]
            if seconds - since < _REFUSED_SECONDS and len(self._refused) <= most:
                return
            self._refused.popleft()
            known = self.memory.entries.get(key)
            if known is None or key in self.queued.entries:
                continue
            if known.startswith(beginning):  # else it is another one's by now
                self.memory.discard(key)

    @property
    def evicted(self) -> dict[str, float]:
        """How much was forgotten, by reason."""
        parts = (self.memory, self.recipients)
        return {reason.value: sum(part.evicted[reason] for part in parts) for reason in Evicted}

    @property
    def parts(self) -> tuple[Memory, ...]:
        """All that is bounded, what has ended included."""
        return self.memory, self.queued, self.recipients, self._endings

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
        self._forget_refused(seconds)
        self.memory.trim(seconds)
        queued = self.queued.trim(seconds)
        for key, value, reason in queued:
            # Who waits is known by his message: he would be taken for one of the next of that id.
            for name in _names(value):
                if key + _NAME + name in self.recipients.entries:
                    self.recipients.discard(key + _NAME + name)
                    self.recipients.evicted[reason] += 1
        if self.recipients.trim(seconds) or queued:
            self._uncounted_before = self._stamp(seconds)

    def _waiting(self, its_key: bytes) -> Waiting | None:
        packed = self.recipients.entries.get(its_key)
        return None if packed is None else _unpacked(packed)

    def _end(self, key: bytes, ended: list[Waiting], by: str, seconds: int) -> None:
        stamp = self._stamp(seconds)
        for waiting in ended:
            its_key = _its_key(key, waiting.recipient)
            self.recipients.put(its_key, stamp + b"%a" % waiting.last_deferred)
            self.recipients.close(its_key, seconds)
        name = by.encode()
        self._endings.renew(name, stamp + b"\n".join(map(pack, ended)))
        self._endings.close(name, seconds)

    def _ended_by(self, line: str) -> list[Waiting]:
        """Whose waiting that line ended when it was here before."""
        value = self._endings.left(line.encode())
        return [] if value is None else list(map(unpack, value[STAMP_BYTES:].split(b"\n")))

    def _left(self, its_key: bytes) -> bytes | None:
        """Of a recipient that does not wait any more, as far as known: when it ended, in
        `STAMP_BYTES`, and the Unix time when it was last deferred."""
        return self.recipients.left(its_key)

    def _is_first(self, key: bytes, ended: bytes | None, story: Story | None) -> bool:
        """Whether an attempt for somebody who is not waiting is the first: every line of the
        message was seen, and none ended a waiting. `ended`: of `_left`."""
        if story is None or not story.is_begun:
            return False
        known = self.memory.get(key)
        if known is None:
            return False
        since = known[:STAMP_BYTES]  # in order as bytes
        return since > self._uncounted_before and (ended is None or since >= ended[:STAMP_BYTES])

    def _activation(self, key: bytes, story: Story | None) -> int:
        """How often qmgr took up this message, as far as counted; 0 where that was not seen."""
        queued = self.queued.entries.get(key)
        if queued is not None:
            return _activations(queued)
        return 1 if story is not None and story.is_active else 0

    def _stamp(self, seconds: int) -> bytes:
        """`stamp_of` that, which is the same for many failures."""
        if seconds != self._second:
            self._second, self._second_stamp = seconds, stamp_of(seconds)
        return self._second_stamp

    def _forget(self, key: bytes) -> None:
        """Another message has its id."""
        self._drop_waiting(key)
        self.memory.discard(key)

    def _drop_waiting(self, key: bytes) -> None:
        queued = self.queued.entries.get(key)
        if queued is not None:
            for name in _names(queued):
                self.recipients.discard(key + _NAME + name)
            self.queued.discard(key)


def _unpacked(packed: bytes) -> Waiting | None:
    """None: another version wrote it."""
    try:
        return unpack(packed[STAMP_BYTES:])
    except ValueError:
        return None


def _records(value: bytes) -> list[bytes]:
    """Without the line feeds before them."""
    return value[STAMP_BYTES + 1 :].split(b"\n")


def _kind(record: bytes) -> bytes:
    return b"\n" + record[:1]


def _has_begun(value: bytes) -> bool:
    # Asked at every message-id, so in the order in which they are likely. (`in` costs CPython an
    # exception.)
    return (
        value.find(CLIENT_RECORD) >= 0
        or value.find(BEGUN_RECORD) >= 0
        or value.find(UID_RECORD) >= 0
    )


def _has_source(value: bytes) -> bool:
    """Whether it tells of a client or a user."""
    return value.find(CLIENT_RECORD) >= 0 or value.find(UID_RECORD) >= 0


def _is_other(known: bytes, shared: Shared) -> bool:
    """Whether a message told of is not the one known by that id, but an earlier or a later one."""
    if abs(begun(known) - shared.begun) < _NEIGHBOUR_SECONDS:
        return False  # resent lines may come with stamps of another form
    for record in shared.records:
        kind = _kind(record)
        if kind in (CLIENT_RECORD, UID_RECORD, BEGUN_RECORD) and kind in known:
            return b"\n" + record.partition(SEPARATOR)[0] not in known
    return False


def _is_ahead(told: Waiting, here: Waiting) -> bool:
    """Whether what is told of a recipient goes beyond what is known here. Who counts for himself,
    for want of hearing of the others, has another first deferral than they."""
    if told.first_deferred == here.first_deferred:
        return (told.attempts, told.is_counted) > (here.attempts, here.is_counted)
    return told.first_deferred < here.first_deferred or told.last_id != here.last_id


def _name(recipient: str) -> bytes:
    return recipient.replace("\0", "?").encode("utf-8", "replace")


def _activations(queued: bytes) -> int:
    # Digit by digit: it is nearly always one, and costs a tenth of finding its end for `int`.
    number, place = 0, STAMP_BYTES
    while queued[place] != _LF:
        number = number * 10 + queued[place] - _ZERO
        place += 1
    return number


def _its_key(key: bytes, recipient: str) -> bytes:
    """Of a recipient of a message."""
    return key + _NAME + _name(recipient)


def _names(queued: bytes) -> list[bytes]:
    return queued[queued.index(b"\n", STAMP_BYTES) + 1 :].split(_NAME)


def _is_of_another(known: bytes, record: bytes) -> bool:
    """Whether what qmgr says is of another message than it said before: sender and size of one stay
    as they are, the number of its recipients does not."""
    constant = record[: record.rfind(_RECIPIENTS) + 1]
    return len(constant) > 0 and known.find(constant) < 0


def _is_another(waiting: Waiting, activation: int, at: float) -> bool:
    """Whether a line is of another attempt than the last: local(8) may log several for one. After a
    while it is, though nothing was seen of the message being taken up anew: that line may have gone
    to another receiver."""
    return (
        activation == 0
        or activation != waiting.activation
        or at - waiting.last_deferred >= _RETRY_SECONDS
    )
