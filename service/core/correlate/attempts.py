"""Recipients that were deferred: which attempt a failure is, who waits, and whom a line ends.

In: failures, and deliveries that came to their end, by message. Out: attempts with their numbers;
and whose waiting a line has ended, the same again (`endings`) when that line comes again.
"""

from dataclasses import dataclass
from typing import Final

from service.core.correlate.endings import ENDED_SECONDS, ENDED_SHARE, Endings
from service.core.correlate.memory import STAMP_BYTES, Bounds, Evicted, Memory, begun, stamp_of
from service.core.correlate.queued import (
    NAME,
    activated,
    activations,
    key_of,
    name_end,
    name_of,
    names_of,
    names_start,
    rotated,
)
from service.core.correlate.story import Story
from service.core.correlate.waiting import LONGEST_RESPONSE, Waiting, pack, waiting_in
from service.core.postfix.facts import Delivery

_RENEW_SECONDS: Final = 3600
"""A deferred recipient counts as heard of, so that it does not age, once in this time."""
_RETRY_SECONDS: Final = 240
"""Some less than the least that Postfix waits before it tries again (minimal_backoff_time)."""
_PASSED: Final = 64
"""Names of recipients who have ended: when more stand in front, they go to the end."""
_LOOKED_AT: Final = 64
"""Recipients."""
_MOST_NAMES_BYTES: Final = 1 << 19
"""Of the names of one message's deferred recipients: they lie in one value."""


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


class Attempts:
    def __init__(self, bounds: Bounds, messages: Memory) -> None:
        """`messages`: the record sets."""
        self._messages = messages
        self.queued = Memory(bounds, ENDED_SECONDS, ENDED_SHARE)
        """Messages with deferred recipients: activations seen, and the names of recipients."""
        self.recipients = Memory(bounds, ENDED_SECONDS, ENDED_SHARE)
        """Deferred recipients, by the same key and their name."""
        self.endings = Endings(bounds, self.recipients)
        self._uncounted_before = b""
        """In `STAMP_BYTES`: of messages begun until then recipients may have been forgotten."""
        self._second = -1
        self._second_stamp = b""

    @property
    def parts(self) -> tuple[Memory, ...]:
        """All that is bounded."""
        return self.queued, self.recipients, self.endings.lines

    def deferred(
        self, key: bytes, story: Story | None, facts: Delivery, at: float, event_id: str
    ) -> Attempt | None:
        """Count an attempt that failed for now. None: the line names no recipient. The caller
        completes what is news and gives it to `keep`."""
        recipient = facts.recipient
        if recipient is None:
            return None
        its_key = key_of(key, recipient)
        waiting = self.waiting(its_key)
        activation = self.activation(key, story)
        if waiting is None:
            ended = self.endings.left(its_key)
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
            is_news = ended is None or at > float(ended[STAMP_BYTES:].partition(b" ")[0])
            return Attempt(waiting, 1 if is_counted else None, is_news)
        is_news = waiting.last_id != event_id
        if is_news:
            if at < waiting.last_deferred:
                # Sent again with what came after it: it was counted then.
                return Attempt(waiting, None, False)
            waiting.add_original(facts.original_recipient)
            waiting.attempts += _is_another(waiting, activation, at)
            waiting.activation = activation
            waiting.last_deferred = at
            waiting.last_id = event_id
            waiting.status = facts.status
            waiting.response = facts.response[:LONGEST_RESPONSE]
            waiting.enhanced_code = facts.enhanced_code
        return Attempt(waiting, waiting.attempts if waiting.is_counted else None, is_news)

    def keep(self, key: bytes, waiting: Waiting, seconds: int) -> None:
        name = name_of(waiting.recipient)
        its_key = key + NAME + name
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
            told = queued[STAMP_BYTES:] + NAME + name
        else:
            told = queued[STAMP_BYTES:]
        self.queued.renew(key, stamp + told)
        known = self._messages.entries.get(key)
        if known is not None:
            self._messages.renew(key, known)

    def seen(self, key: bytes, facts: Delivery, at: float) -> Waiting | None:
        """Its recipient, if it was deferred, with this attempt counted. `at`: time of the line."""
        waiting = self._recipient(key, facts)
        if waiting is None or waiting.last_deferred > at:
            return None
        waiting.attempts += _is_another(waiting, self.activation(key, None), at)
        return waiting

    def has_just_failed(self, key: bytes, facts: Delivery) -> bool:
        """Whether its recipient was deferred at the attempt that goes on."""
        waiting = self._recipient(key, facts)
        return waiting is not None and 0 != waiting.activation == self.activation(key, None)

    def _recipient(self, key: bytes, facts: Delivery) -> Waiting | None:
        for name in (facts.recipient, facts.original_recipient):
            if name is not None and (waiting := self.waiting(key_of(key, name))) is not None:
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
            waiting = self.waiting(key_of(key, name))
            if waiting is not None and waiting.last_deferred <= at:
                waiting.attempts += _is_another(waiting, self.activation(key, None), at)
                self.endings.end(key, [waiting], by, False, seconds)
                return waiting
        again = self.endings.ended_by(by)
        return again[0] if again else None

    def all_ended(self, key: bytes, at: float, by: str, seconds: int) -> list[Waiting]:
        """The recipients of a message that left the queue, in the order of their first deferral, or
        nearly so.
        `at`, `by`: as for `ended`."""
        queued = self.queued.entries.get(key)
        all_ended = []
        if queued is not None:
            names = dict.fromkeys(names_of(queued))
            found = (self.waiting(key + NAME + name) for name in names)
            all_ended = [one for one in found if one is not None and one.last_deferred <= at]
        if not all_ended:
            return self.endings.ended_by(by)
        self.endings.end(key, all_ended, by, True, seconds)
        if not self.is_awaited(key):
            self.queued.close(key, seconds)
        return all_ended

    def is_end_of_any(self, line: str) -> bool:
        """Whether that line, by its event id, ended somebody's waiting when it was here before."""
        return self.endings.is_end_of_any(line)

    def has_ended(self, key: bytes, recipient: str) -> bool:
        """Whether he waited, and that is over."""
        return self.endings.left(key_of(key, recipient)) is not None

    def is_first_attempt(self, key: bytes, story: Story | None, facts: Delivery) -> bool:
        """Of a recipient that was not waiting."""
        recipient = facts.recipient
        if recipient is None:
            return False
        return self._is_first(key, self.endings.left(key_of(key, recipient)), story)

    def is_awaited(self, key: bytes) -> bool:
        """Whether a recipient of this message waits."""
        queued = self.queued.entries.get(key)
        if queued is None:
            return False
        place = names_start(queued)
        passed = 0
        while place <= len(queued):
            end = name_end(queued, place)
            if key + NAME + queued[place:end] in self.recipients.entries:
                if passed > _PASSED:  # or they would be passed again and again
                    self.queued.put(key, rotated(queued, place))
                return True
            passed += 1
            place = end + len(NAME)
        return False

    def is_awaited_since(self, key: bytes, at: float) -> bool:
        """Whether one waits that was not deferred after `at`. The first ones tell: while some are
        deferred after it, the message has not left the queue at `at`."""
        queued = self.queued.entries.get(key)
        if queued is None:
            return False
        place = names_start(queued)
        looked_at = 0
        while place <= len(queued) and looked_at < _LOOKED_AT:
            end = name_end(queued, place)
            one = self.waiting(key + NAME + queued[place:end])
            if one is not None:
                looked_at += 1
                if one.last_deferred <= at:
                    return True
            place = end + len(NAME)
        return False

    def all_before(self, key: bytes, at: float) -> bool:
        """Whether nobody waits who was deferred at `at` or after it."""
        queued = self.queued.entries.get(key)
        if queued is None:
            return True
        place = names_start(queued)
        while place <= len(queued):
            end = name_end(queued, place)
            one = self.waiting(key + NAME + queued[place:end])
            if one is not None and one.last_deferred >= at:
                return False
            place = end + len(NAME)
        return True

    def activation(self, key: bytes, story: Story | None) -> int:
        """How often qmgr took up this message, as far as counted; 0 where that was not seen."""
        queued = self.queued.entries.get(key)
        if queued is not None:
            return activations(queued)
        return 1 if story is not None and story.is_active else 0

    def waiting(self, its_key: bytes) -> Waiting | None:
        return waiting_in(self.recipients, its_key)

    # The message

    def activated(self, key: bytes) -> None:
        """qmgr took it up anew."""
        queued = self.queued.entries.get(key)
        if queued is not None:
            self.queued.put(key, activated(queued))

    def take_over(self, key: bytes, old: bytes) -> None:
        """It has a new id, and its recipients wait on under that."""
        queued = self.queued.entries.get(old)
        if queued is None:
            return
        for name in names_of(queued):
            packed = self.recipients.entries.get(old + NAME + name)
            if packed is not None:
                self.recipients.renew(key + NAME + name, packed)
        self.queued.renew(key, queued)

    def drop(self, key: bytes) -> None:
        """Nobody waits: another message has its id, or it is gone elsewhere."""
        queued = self.queued.entries.get(key)
        if queued is not None:
            for name in names_of(queued):
                self.recipients.let_go(key + NAME + name)
            self.queued.discard(key)

    def trim(self, seconds: int) -> None:
        """Keep the bounds."""
        queued = self.queued.trim(seconds)
        for key, value, reason in queued:
            # Who waits is known by his message: he would be taken for one of the next of that id.
            for name in names_of(value):
                if key + NAME + name in self.recipients.entries:
                    self.recipients.discard(key + NAME + name)
                    self.recipients.evicted[reason] += 1
        if self.recipients.trim(seconds) or queued:
            self._uncounted_before = self._stamp(seconds)

    def _is_first(self, key: bytes, ended: bytes | None, story: Story | None) -> bool:
        """Whether an attempt for somebody who is not waiting is the first: every line of the
        message was seen, and none ended a waiting. `ended`: of `Endings.left`."""
        if story is None or not story.is_begun:
            return False
        known = self._messages.get(key)
        if known is None:
            return False
        since = known[:STAMP_BYTES]  # in order as bytes
        if ended is not None and key not in self._messages.entries:
            return False  # it is gone, and he had waited: `since` is when it left
        return since > self._uncounted_before and (ended is None or since >= ended[:STAMP_BYTES])

    def _stamp(self, seconds: int) -> bytes:
        """`stamp_of` that, which is the same for many failures."""
        if seconds != self._second:
            self._second, self._second_stamp = seconds, stamp_of(seconds)
        return self._second_stamp


def _is_another(waiting: Waiting, activation: int, at: float) -> bool:
    """Whether a line is of another attempt than the last: local(8) may log several for one. After a
    while it is, though nothing was seen of the message being taken up anew: that line may have gone
    to another receiver."""
    return (
        activation == 0
        or activation != waiting.activation
        or at - waiting.last_deferred >= _RETRY_SECONDS
    )
