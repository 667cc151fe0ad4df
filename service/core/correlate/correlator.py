"""What the lines of a message tell of it, kept until one of them says that it failed.

In: lines that tell of messages, and failures, in the order they came. Out: what an event should
know that its own line does not say. What becomes of deferred recipients is in `attempts`, what the
receivers of a fleet tell each other in `exchange`.

Every method takes the time in seconds as its caller knows it; nothing here reads a clock.
"""

from datetime import tzinfo
from enum import Enum
from typing import Final

from service.core.correlate.attempts import Attempts
from service.core.correlate.exchange import Exchange
from service.core.correlate.links import Links, Notice
from service.core.correlate.memory import (
    STAMP_BYTES,
    Bounds,
    Evicted,
    Memory,
    begun,
    is_record_set,
)
from service.core.correlate.records import (
    ACTIVE_RECORD,
    BEGUN_RECORD,
    CLIENT_RECORD,
    LONGEST_RECORD,
    MESSAGE_ID_RECORD,
    NEIGHBOUR_SECONDS,
    SEPARATOR,
    UID_RECORD,
    has_begun,
    has_source,
)
from service.core.correlate.refused import Refused
from service.core.correlate.story import Story, read_story
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

_ACTIVE_END: Final = b" (queue active)"
_RECIPIENTS: Final = b", nrcpt="
_MOST_STORIES: Final = 4096
"""That are kept read; then all are read anew."""


class News(Enum):
    """What a line that tells of a message may mean for others."""

    DELIVERY = "delivery"
    """A recipient was served, and this message has some that wait."""
    REMOVED = "removed"
    """The message is gone."""
    LATER = "later"
    """Others were asked of this message: it has to wait for their answer."""
    REUSED = "reused"
    """Another message begins under an id under which recipients wait; it has yet to be heard."""
    UNKNOWN = "unknown"
    """It goes on here and did not begin here."""


Kept = tuple[dict[bytes, bytes], dict[bytes, bytes], dict[bytes, bytes]]
"""Records of messages, queued messages, and deferred recipients."""


class Correlator:
    def __init__(self, bounds: Bounds, zone: tzinfo, is_shared: bool = False) -> None:
        """`is_shared`: other receivers may know of recipients that wait."""
        self.is_shared = is_shared
        self.memory = Memory(bounds)
        """Record sets of messages, by queue and queue id."""
        self.attempts = Attempts(bounds, self.memory)
        self.exchange = Exchange(self.memory, self.attempts)
        self.traces = Traces(zone)
        self.links = Links(self.memory, self.attempts, self.traces)
        self._refused = Refused(self.memory, self.attempts)
        self._zone = zone
        self._stories: dict[bytes, Story] = {}
        """By the records they were read from: one message may fail for many recipients."""

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
            return self._identified(trace, stamp)
        if opening == REMOVED:
            return News.REMOVED
        if opening == CLIENT:
            return self._accepted(trace, stamp)
        if opening == UID:
            return self._submitted(trace, stamp)
        return self.links.notified(trace, stamp)

    def _accepted(self, trace: Trace, stamp: bytes) -> News | None:
        """smtpd(8) or qmqpd(8): `client=`."""
        _, key, time, _, text = trace
        if is_session(key):
            record = CLIENT_RECORD + time + SEPARATOR + text[:LONGEST_RECORD]
            self.memory.renew(key, stamp + record)
            return None
        if self._begin(trace, CLIENT_RECORD, stamp) is None:
            return News.REUSED
        self.links.given_back(trace)
        return None

    def _submitted(self, trace: Trace, stamp: bytes) -> News | None:
        """pickup(8): `uid=`."""
        is_new = self._begin(trace, UID_RECORD, stamp)
        if is_new is None:
            return News.REUSED
        if is_new:
            self.links.requeued(trace)
        return None

    def _served(self, trace: Trace, stamp: bytes) -> News | None:
        """A delivery, and it is no failure."""
        key = trace[1]
        self.links.forwarded(trace, stamp)
        if key in self.attempts.queued.entries or (
            self.is_shared and self.exchange.is_foreign(key)
        ):
            return News.DELIVERY
        return None

    def _begin(self, trace: Trace, kind: bytes, stamp: bytes) -> bool | None:
        """A message begins. What was known under its id was another one's, unless this line has
        been here before (then False) or came late. None: recipients of that one wait."""
        _, key, time, _, text = trace
        record = b"".join((kind, time, SEPARATOR, text[:LONGEST_RECORD]))
        known = self.memory.entries.get(key)
        if known is not None:
            if has_source(known):
                if known.find(record) >= 0:
                    return False
            elif begun(stamp) - begun(known) < NEIGHBOUR_SECONDS:
                self.memory.put(key, known + record)
                return True
        if not self._is_free(key, known):
            return None
        self.memory.add(key, stamp + record)
        return True

    def _identified(self, trace: Trace, stamp: bytes) -> News | None:
        """cleanup(8): `message-id=`."""
        _, key, time, _, text = trace
        record = MESSAGE_ID_RECORD + text[:LONGEST_RECORD]
        known = self.memory.entries.get(key)
        if known is not None:
            if known.find(MESSAGE_ID_RECORD) < 0:
                if not has_begun(known):  # Postfix' own: what made it was told before
                    record = BEGUN_RECORD + time + record
                self.memory.put(key, known + record)
                return None
            if known.find(ACTIVE_RECORD) < 0 or known.find(record) >= 0:
                return None  # a second such header, or the line once more
        if not self._is_free(key, known):
            return News.REUSED
        self.memory.add(key, stamp + BEGUN_RECORD + time + record)
        return None

    def _activated(self, trace: Trace, stamp: bytes) -> News | None:
        """qmgr(8): `from=<sender>, size=n, nrcpt=n (queue active)`."""
        _, key, _, _, text = trace
        if text[-len(_ACTIVE_END) :] != _ACTIVE_END:
            return None
        known = self.memory.entries.get(key)
        record = ACTIVE_RECORD + text[: -len(_ACTIVE_END)][:LONGEST_RECORD]
        is_active = known is not None and known.find(ACTIVE_RECORD) >= 0
        if known is not None and is_active and _is_of_another(known, record):
            if not self._is_free(key, known):
                return News.REUSED
            known = None
        self.attempts.activated(key)
        if known is None:
            self.memory.add(key, stamp + record)
            return News.UNKNOWN
        if not is_active:
            self.memory.put(key, known + record)
        return None

    # Failures

    def story(self, queue: Queue, key: bytes) -> Story | None:
        """None: nothing is known of this message."""
        value = self.memory.get(key)
        if value is None:
            return None
        if not has_source(value):
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
            if abs(begun(value) - begun(other)) < NEIGHBOUR_SECONDS:
                self.memory.discard(sibling.prefix + queue_id)
                value += other[STAMP_BYTES:]
                if key in self.memory.entries:
                    self.memory.put(key, value)
                return value
        return value

    # The end of a message

    def close(self, queue: Queue, key: bytes, seconds: int) -> None:
        """The message is gone."""
        value = self.memory.entries.get(key)
        if value is not None and not has_source(value):
            # Nothing says `removed` under the neighbour's name: it would be remembered for days.
            self._with_neighbour(queue, key, value)
        self.attempts.queued.close(key, seconds)
        self.memory.close(key, seconds)

    def is_gone(self, key: bytes) -> bool:
        """Whether the message left the queue a moment ago, and no other one has its id."""
        if key in self.memory.entries or key in self.attempts.queued.entries:
            return False
        return self.memory.left(key) is not None or self.attempts.queued.left(key) is not None

    def refused(self, key: bytes, seconds: int) -> None:
        """The message was refused as a whole: qmgr never has it, and never says `removed`."""
        self._refused.add(key, seconds)

    def forget(self, key: bytes) -> None:
        """Another message has its id."""
        self.attempts.drop(key)
        self.memory.discard(key)

    def _is_free(self, key: bytes, known: bytes | None) -> bool:
        """Forgets what was known under this id; not where recipients wait, who are told first."""
        if key in self.attempts.queued.entries:
            if self.attempts.is_awaited(key):
                return False
            self.forget(key)
        elif known is not None:
            self.memory.discard(key)
        return True

    # All that is remembered

    @property
    def evicted(self) -> dict[str, float]:
        """How much was forgotten, by reason."""
        parts = (self.memory, self.attempts.recipients)
        return {reason.value: sum(part.evicted[reason] for part in parts) for reason in Evicted}

    @property
    def parts(self) -> tuple[Memory, ...]:
        """All that is bounded, what has ended included."""
        return self.memory, *self.attempts.parts

    def kept(self) -> Kept:
        """All that is remembered, as it is now."""
        return (
            self.memory.entries.copy(),
            self.attempts.queued.entries.copy(),
            self.attempts.recipients.entries.copy(),
        )

    def restore(self, kept: Kept) -> None:
        """What `kept` gave in an earlier life; entries that cannot be its own are left out."""
        for memory, entries in zip(
            (self.memory, self.attempts.queued, self.attempts.recipients), kept, strict=True
        ):
            for key, value in entries.items():
                if key not in memory.entries and is_record_set(value):
                    memory.add(key, value)

    def trim(self, seconds: int) -> None:
        """Keep the bounds."""
        self._refused.trim(seconds)
        self.memory.trim(seconds)
        self.attempts.trim(seconds)


def _is_of_another(known: bytes, record: bytes) -> bool:
    """Whether what qmgr says is of another message than it said before: sender and size of one stay
    as they are, the number of its recipients does not."""
    constant = record[: record.rfind(_RECIPIENTS) + 1]
    return len(constant) > 0 and known.find(constant) < 0
