"""Failures that wait a moment for what another line tells of them.

In: bounces, whose notice Postfix may name, and failures of forwarded mail, whose origin local(8)
may; then the lines that name them. Out: the failures again, with what they were told, or without it
once they have waited for long enough. In a flood of bounces none waits: being quick matters more.
"""

from datetime import datetime, tzinfo

from schemas.base import Message
from service.core.context import backscatter_risk, context_of, notice_of
from service.core.correlate.correlator import Correlator
from service.core.correlate.links import Notice
from service.core.correlate.trace import Trace, queue_of
from service.core.postfix.facts import Delivery
from service.core.postfix.result import Failure
from service.core.syslog.timestamp import stamp_time
from service.correlation_config import CorrelationConfig
from service.jobs import Batch, Entry, Job, Released
from service.waitroom import Waitroom
from service.waitrooms import MOST_OF_ONE, Waitrooms, size_of

_Failed = tuple[Entry, Job, bool]
"""A failure that waits; whether it is yet to be told what its message came from."""


class Bounces:
    def __init__(
        self,
        config: CorrelationConfig,
        zone: tzinfo,
        correlator: Correlator,
        rooms: Waitrooms,
        released: list[Released],
    ) -> None:
        """`released`: where those go that wait no longer."""
        self._correlator = correlator
        self._zone = zone
        self._wait = config.notice_wait
        self._rate = config.notice_rate
        self._rooms = rooms
        self._released = released
        self._waiting: Waitroom[_Failed] = Waitroom(config.notice_wait)
        self._first: dict[bytes, datetime | None] = {}
        """When the first that waits was written, by message; None where that is not sure."""
        self._orphans: set[bytes] = set()
        """Messages whose failures wait for what they came from."""
        self._second = 0
        self._in_second = 0
        self._is_flooded = False
        rooms.include(self._waiting, lambda key, now: self.let_go(key))
        correlator.links.on_forwarded = self._forwarded

    def __contains__(self, key: bytes) -> bool:
        return key in self._waiting

    def jobs(self) -> list[Job]:
        """Of all that wait."""
        return [job for _, job, _ in self._waiting.all()]

    def may_wait(self, entry: Entry, key: bytes) -> bool:
        """Messages are counted, not their recipients: one notice tells of all of these."""
        if self._wait <= 0:
            return False
        if key in self._waiting:
            return True
        second = int(entry.batch.now)
        if second != self._second:
            # A flood is known by its first second; then none waits until it is over.
            self._is_flooded = second == self._second + 1 and self._in_second > self._rate
            self._second, self._in_second = second, 0
        self._in_second += 1
        return not self._is_flooded and self._in_second <= self._rate

    def hold(self, key: bytes, entry: Entry, job: Job, is_orphan: bool) -> None:
        """`is_orphan`: it is yet to be told what its message came from."""
        self._rooms.hold(self._waiting, key, (entry, job, is_orphan), entry)
        self._note(key, job, is_orphan)

    def heard(self, trace: Trace, notice: Notice | None, batch: Batch) -> None:
        """They have their notice, or there will be none. A line that is older than they are was
        sent again and tells nothing of them."""
        _, key, stamp, _, _ = trace
        if key not in self._waiting:
            return
        # Read before anything is taken: a line that cannot be right raises, and they wait on.
        told = None if notice is None else notice_of(notice.queue_id, notice.kind)
        time, quality = stamp_time(stamp.decode("ascii", "replace"), batch.written_at, self._zone)
        first = self._first.get(key)
        if quality == "exact" and first is not None and first > time:
            return  # all of them are younger
        waiting: list[_Failed] = []
        for failed in self._take(key):
            entry, job, is_orphan = failed
            message = job.line.message
            is_later = quality == "exact" == message.time_quality and message.time > time
            if told is not None and not is_later and _is_bounce(job):
                job.context.notice = told
            if is_later or is_orphan:
                waiting.append(failed)
            else:
                self._released.append((entry, job))
        if len(waiting) > MOST_OF_ONE:
            self._rooms.hurried += 1
            self._let_all_go(key, waiting)
            return
        for failed in waiting:
            entry, job, is_orphan = failed
            self._waiting.add(key, failed, batch.now, size_of(entry))
            self._note(key, job, is_orphan)

    def let_go(self, key: bytes) -> None:
        self._let_all_go(key, self._take(key))

    def let_everything_go(self) -> None:
        while (key := self._waiting.oldest()) is not None:
            self.let_go(key)

    def overdue(self, now: float) -> None:
        for key in self._waiting.overdue(now):
            self.let_go(key)

    def _note(self, key: bytes, job: Job, is_orphan: bool) -> None:
        message = job.line.message
        at = message.time if message.time_quality == "exact" else None
        first = self._first.get(key, at)
        self._first[key] = None if at is None or first is None else min(first, at)
        if is_orphan:
            self._orphans.add(key)

    def _take(self, key: bytes) -> list[_Failed]:
        self._first.pop(key, None)
        self._orphans.discard(key)
        return self._waiting.take(key)

    def _let_all_go(self, key: bytes, waited: list[_Failed]) -> None:
        for entry, job, is_orphan in waited:
            if is_orphan:
                self._adopt(job, key)
            self._released.append((entry, job))

    def _forwarded(self, key: bytes) -> None:
        """It is known now what this message came from. A bounce may wait on for its notice."""
        if key not in self._orphans:
            return
        self._orphans.discard(key)
        self._waiting.change(key, lambda failed: self._adopted(failed, key))
        done = self._waiting.take_those(
            key, lambda failed: failed[1].context.notice is not None or not _is_bounce(failed[1])
        )
        if key not in self._waiting:
            self._first.pop(key, None)
        self._released += [(entry, job) for entry, job, _ in done]

    def _adopted(self, failed: _Failed, key: bytes) -> _Failed:
        entry, job, is_orphan = failed
        if is_orphan:
            self._adopt(job, key)
        return entry, job, False

    def _adopt(self, job: Job, key: bytes) -> None:
        """What is known by now of the message that failed."""
        parsed = job.parsed
        if not isinstance(parsed, Failure):
            return
        story = self._correlator.story(queue_of(job.line.host, parsed.record.instance), key)
        told, context = context_of(story), job.context
        if _beginning(told.message) != _beginning(context.message):
            return  # by now the id is another one's
        context.message, context.sender = told.message, told.sender
        if _is_bounce(job):
            context.backscatter_risk = backscatter_risk(story, told.sender)


def _beginning(message: Message) -> tuple[datetime | None, str | None]:
    return message.queued_at, message.message_id


def _is_bounce(job: Job) -> bool:
    """And no deferral, which only waits for what its message came from."""
    facts = job.parsed.facts if isinstance(job.parsed, Failure) else None
    return not isinstance(facts, Delivery) or facts.kind != "deferred"
