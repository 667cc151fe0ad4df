"""What becomes of recipients: attempts counted, waitings ended.

In: lines that tell of a recipient's delivery, or of the end of a message. Out: what their events
are made of, those of each recipient whose waiting ended among them. Nothing waits here: where a
later line may tell more, `Correlation` has waited for it before it asks.
"""

from collections.abc import Callable
from datetime import tzinfo
from math import inf

from service.core.classify import Verdict
from service.core.context import backscatter_risk, context_of, utc
from service.core.correlate.attempts import Attempt
from service.core.correlate.correlator import Correlator
from service.core.correlate.story import Story
from service.core.correlate.trace import Queue
from service.core.correlate.waiting import Waiting
from service.core.line import Line, event_id
from service.core.outcomes import Skip
from service.core.postfix.facts import Delivery, Record
from service.core.postfix.result import Failure, Success
from service.core.resolved import Ending
from service.entries import line_of, written
from service.jobs import Entry, Job, Outcome

_EXPIRIES = frozenset({"expired", "force-expired"})


class Fates:
    def __init__(
        self,
        correlator: Correlator,
        zone: tzinfo,
        changed: Callable[[Queue, bytes], None],
        waits_on: Callable[[bytes, str], None],
    ) -> None:
        """`changed` is told of messages of which a recipient was deferred or has ended, or that are
        gone; `waits_on`, of a message and of which recipient of it what he had so far was not his
        end."""
        self._correlator = correlator
        self._attempts = correlator.attempts
        self._zone = zone
        self._changed = changed
        self._waits_on = waits_on

    # A recipient

    def deferred(
        self,
        entry: Entry,
        failure: Failure,
        facts: Delivery,
        queue: Queue,
        key: bytes,
        story: Story | None,
    ) -> Job:
        line = line_of(entry, self._zone)
        at = line.message.time.timestamp()
        verdict = entry.verdict
        attempt = self._attempts.deferred(key, story, facts, at, event_id(line))
        if attempt is None:
            return Job(line, failure, verdict, context_of(story))
        waiting, reply = attempt.waiting, facts.remote_reply
        self._waits_on(key, waiting.recipient)
        if attempt.is_news:
            waiting.smtp_code = None if reply is None else reply.smtp_code
            if verdict is not None:
                category, scope, provider, provider_code, _ = verdict
                waiting.category, waiting.scope = category, scope
                waiting.provider, waiting.provider_code = provider, provider_code
            if self._correlator.is_gone(key):
                return self._deferred_too_late(line, failure, attempt, key, story, verdict)
            self._attempts.keep(key, waiting, entry.batch.seconds)
            self._changed(queue, key)
        since = waiting.since
        # Of a first attempt it is the time of the line itself.
        first = line.message.time if since == at else utc(since)
        return Job(line, failure, verdict, context_of(story, attempt.number, first))

    def _deferred_too_late(
        self,
        line: Line,
        failure: Failure,
        attempt: Attempt,
        key: bytes,
        story: Story | None,
        verdict: Verdict | None,
    ) -> Job:
        """Its message was deleted while it was delivered, and is not tried again. He has ended with
        it where he had waited, and does so now where he had not."""
        waiting = attempt.waiting
        first = line.message.time if waiting.is_counted else None
        job = Job(line, failure, verdict, context_of(story, attempt.number, first))
        if not self._attempts.has_ended(key, waiting.recipient):
            job.endings = [Ending(waiting, "removed", None, None, None)]
        return job

    def delivered(self, entry: Entry, success: Success, queue: Queue, key: bytes) -> Outcome:
        waiting = self._ended(entry, success.facts, key)
        if waiting is None:
            return Skip.NOT_A_FAILURE
        ending = Ending(waiting, "delivered", success.facts.status, success.facts, None)
        return self._end(entry, success.record, queue, key, ending)

    def bounced_before(
        self, entry: Entry, failure: Failure, facts: Delivery, queue: Queue, key: bytes
    ) -> Job | None:
        """The bounce that was told before was his end. None: he has ended already."""
        waiting = self._ended(entry, facts, key)
        if waiting is None:
            return None
        ending = Ending(waiting, "bounced", facts.status, facts, entry.verdict)
        return self._end(entry, failure.record, queue, key, ending)

    def bounced(
        self,
        entry: Entry,
        failure: Failure,
        facts: Delivery,
        queue: Queue,
        key: bytes,
        story: Story | None,
        part_of: Waiting | None = None,
        is_end: bool = True,
    ) -> Job:
        """`part_of`: the waiting it may not have ended; `is_end`: whether it has."""
        line = line_of(entry, self._zone)
        job = Job(line, failure, entry.verdict)
        waiting = self._ended(entry, facts, key) if is_end else None
        if waiting is not None:
            job.endings = [Ending(waiting, "bounced", facts.status, facts, entry.verdict)]
            self._changed(queue, key)
        attempt = since = None
        waiting = waiting or part_of
        if waiting is not None:
            attempt, since = waiting.attempt, waiting.since
        elif self._attempts.is_first_attempt(key, story, facts):
            attempt = 1
        return _with_story(job, facts, story, attempt, since)

    # A message

    def expired(
        self,
        entry: Entry,
        failure: Failure,
        facts: Delivery,
        queue: Queue,
        key: bytes,
        story: Story | None,
    ) -> Job:
        """It names no recipient (`is_expiry`): each who waits has bounced."""
        job = Job(line_of(entry, self._zone), failure, entry.verdict)
        job.expired = self._all_ended(entry, key)
        job.endings = [
            Ending(waiting, "expired", facts.status, None, None) for waiting in job.expired
        ]
        if job.endings:
            self._changed(queue, key)
        return _with_story(job, facts, story, None, None)

    def removed(self, entry: Entry, record: Record, queue: Queue, key: bytes) -> Outcome:
        """The message left the queue, and nobody of it waits any more."""
        story = self._correlator.story(queue, key)
        endings = [
            Ending(waiting, "removed", None, None, None) for waiting in self._all_ended(entry, key)
        ]
        if not self._attempts.is_awaited(key):
            self._correlator.close(queue, key, entry.batch.seconds)
        self._changed(queue, key)
        if not endings:
            return Skip.NOT_A_FAILURE
        line = line_of(entry, self._zone)
        return Job(line, None, None, context_of(story), record, [], endings)

    def replaced(self, entry: Entry, record: Record, queue: Queue, key: bytes) -> Outcome:
        """Another message has its id: it left the queue some time before, and no line of that
        came."""
        line = line_of(entry, self._zone)
        context = context_of(self._correlator.story(queue, key))
        endings = [
            Ending(waiting, "removed", None, None, None, is_dated=False)
            for waiting in self._attempts.all_ended(key, inf, event_id(line), entry.batch.seconds)
        ]
        self._changed(queue, key)
        if not endings:
            return Skip.NOT_A_FAILURE
        return Job(line, None, None, context, record, [], endings)

    def _ended(self, entry: Entry, facts: Delivery, key: bytes) -> Waiting | None:
        line = line_of(entry, self._zone)
        return self._attempts.ended(key, facts, written(line), event_id(line), entry.batch.seconds)

    def _all_ended(self, entry: Entry, key: bytes) -> list[Waiting]:
        line = line_of(entry, self._zone)
        return self._attempts.all_ended(key, written(line), event_id(line), entry.batch.seconds)

    def _end(self, entry: Entry, record: Record, queue: Queue, key: bytes, ending: Ending) -> Job:
        """Of a line whose only event it is."""
        self._changed(queue, key)
        context = context_of(self._correlator.story(queue, key))
        return Job(line_of(entry, self._zone), None, None, context, record, [], [ending])


def is_expiry(facts: Delivery) -> bool:
    """Of a whole message: qmgr names no recipient then."""
    return facts.recipient is None and facts.status in _EXPIRIES


def _with_story(
    job: Job, facts: Delivery, story: Story | None, attempt: int | None, since: float | None
) -> Job:
    context = context_of(story, attempt, utc(since))
    sender = facts.sender if facts.sender is not None else context.sender
    context.backscatter_risk = backscatter_risk(story, sender)
    job.context = context
    return job
