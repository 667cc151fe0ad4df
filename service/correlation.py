"""Lines in their order, each failure with what earlier lines told of its message.

In: the lines of a batch that say anything, failures among them already read. Out: for each a `Job`,
which is what events are made of, or a skip, or nothing for now: a bounce may wait a moment for the
notice that Postfix sends of it, a failure of forwarded mail for the line that says what it came
from, the end of an alias for its other targets; and what is told of a message that began elsewhere
waits for what the other receivers know. Nothing here does IO or reads a clock; times are Unix
times, seconds.
"""

from collections.abc import Callable
from datetime import datetime, tzinfo
from math import inf
from typing import Protocol, TypeVar

from schemas.base import Message
from service.core.classify import Verdict
from service.core.context import backscatter_risk, context_of, notice_of, utc
from service.core.correlate import skim
from service.core.correlate.attempts import Attempt
from service.core.correlate.correlator import Correlator, News
from service.core.correlate.links import Notice
from service.core.correlate.memory import Bounds
from service.core.correlate.story import Story
from service.core.correlate.trace import (
    BEGINNINGS,
    Queue,
    Skimmed,
    Trace,
    queue_of,
    told_by,
)
from service.core.correlate.waiting import Waiting
from service.core.line import Line, event_id
from service.core.outcomes import Skip
from service.core.postfix import parse_success, record_of
from service.core.postfix.facts import Delivery, Record, Reject
from service.core.postfix.result import Failure, Success
from service.core.resolved import Ending
from service.core.syslog import parse_message
from service.core.syslog.message import SyslogMessage
from service.core.syslog.timestamp import stamp_time
from service.correlation_config import CorrelationConfig
from service.jobs import Batch, Entry, Heard, Job, Outcome, Released
from service.waitroom import Waitroom

_T = TypeVar("_T")

ASK_SECONDS = 1.0
"""How long a line may wait for what the other receivers know."""

_EXPIRIES = frozenset({"expired", "force-expired"})
_POSTSUPER = "postsuper"
_LOCAL = "local"
_CLEANUP = "cleanup"
_PROXY_REJECT = "proxy-reject"
_ENDS = frozenset({"DATA", "DATA content", "BDAT", "BDAT content", "END-OF-MESSAGE"})
"""Stages at which smtpd refuses a message as a whole, not one recipient of it."""


_MOST_OF_ONE = 64
"""Lines of one message that may be gone through at each of its lines. Postfix seldom logs more
targets of a message in the time that they wait."""


class Sharing(Protocol):
    """What the receivers of a fleet tell each other of deferred messages."""

    def ask(self, queue: Queue, key: bytes) -> None:
        """What is known of this message? `Pipeline.learned` is called with the answer."""
        ...

    def changed(self, queue: Queue, key: bytes) -> None:
        """A recipient was deferred or has ended, or the message is gone."""
        ...


class _Part:
    """A bounce that may be of one target of a recipient that waits, while another one waits on."""

    __slots__ = ("facts", "failure", "may_wait", "waiting")

    def __init__(self, failure: Failure, facts: Delivery, waiting: Waiting, may_wait: bool) -> None:
        """`waiting`: as it was, with this attempt counted; `may_wait`: for its notice."""
        self.failure = failure
        self.facts = facts
        self.waiting = waiting
        self.may_wait = may_wait


_Served = tuple[Entry, Queue, Success | _Part]
_Told = tuple[Entry, Job, bool]
"""A failure; whether it is yet to be told what its message came from."""


class Correlation:
    def __init__(
        self, config: CorrelationConfig, zone: tzinfo, sharing: Sharing | None = None
    ) -> None:
        self.correlator = Correlator(
            Bounds(config.max_messages, config.max_bytes, config.max_age),
            zone,
            is_shared=sharing is not None,
        )
        self._skimmer = skim.Skimmer(self.correlator.traces)
        # Compiled the skimmer is the quicker way, as Python the search is.
        self._is_compiled = not skim.__file__.endswith(".py")
        self.is_enabled = config.enabled
        self._max_held = config.max_held
        self._max_held_bytes = config.max_held_bytes
        self._notice_wait = config.notice_wait
        self._notice_rate = config.notice_rate
        self.sharing = sharing
        self._zone = zone
        self._bounces: Waitroom[_Told] = Waitroom(config.notice_wait)
        """They wait for their notice; and other failures for what their messages came from."""
        self._first_bounces: dict[bytes, datetime | None] = {}
        """When the first of those was written; None where that is not sure."""
        self._orphans: set[bytes] = set()
        """Messages of which some of those wait for what they came from."""
        self.correlator.links.on_forwarded = self._forwarded
        self._foreign: Waitroom[Entry] = Waitroom(ASK_SECONDS)
        """Lines of messages that began elsewhere: they wait for what the others know."""
        self._leaving: Waitroom[tuple[Entry, Queue, Record]] = Waitroom(config.removal_wait)
        """Removals that wait for the last lines of deferred recipients."""
        self._served: Waitroom[_Served] = Waitroom(config.alias_wait)
        """Ends of deliveries that may have been only one part of it, as of an alias."""
        self._unsure: set[bytes] = set()
        """Of what left or was served: the next line of that message's life says that it is so."""
        self._unanswered: set[bytes] = set()
        """Of what was served, where a sender waits for an answer."""
        self._released: list[Released] = []
        self.hurried = 0
        """Times that something was released for want of room."""
        self._second = 0
        self._bounces_in_second = 0
        self._is_flooded = False

    @property
    def held(self) -> int:
        """Lines that wait."""
        return len(self._bounces) + len(self._foreign) + len(self._leaving) + len(self._served)

    def waiting_bounces(self) -> list[Job]:
        """Those whose recipients have ended as far as is remembered, while their events wait."""
        return [job for _, job, _ in self._bounces.all()]

    @property
    def held_bytes(self) -> int:
        """Of these lines, as they were received; a folded one counts as often as it happened."""
        return self._bounces.size + self._foreign.size + self._leaving.size + self._served.size

    def skim(self, text: bytes, batch: Batch) -> list[Skimmed]:
        """The lines of a text that ends with LF which may tell of a message: `hear` what they tell,
        or `hear_line` where that is not known."""
        if self._is_compiled:
            return self._skimmer.lines(text)
        return self.correlator.traces.lines(text, batch.written_at, batch.sender)

    def hear_line(self, line: bytes, batch: Batch) -> Heard | None:
        """As `hear`, of any line."""
        told = told_by(line)
        _, stamp, _, _, opening, _ = told
        if stamp and not opening:  # the common header, and nothing of a message behind it
            return None
        trace = self.correlator.traces.read(told, batch.written_at, batch.sender)
        return None if trace is None else self.hear(trace, batch)

    def hear(self, trace: Trace, batch: Batch) -> Heard | None:
        """Remember what a line tells that is no failure. None: that was all, as nearly always;
        else `follow` an entry of it."""
        queue, key, _, opening, _ = trace
        if self.sharing is not None and key in self._foreign:
            # All lines of the message, or what it tells of itself would not be in its order.
            return trace, News.LATER
        if self._unsure and key in self._unsure and opening in BEGINNINGS:
            self._let_served_end(key)  # qmgr takes up what no delivery is going on of
            self._let_leave(key)  # or the next message of that id would be taken for it
        news = self.correlator.hear(trace, batch.stamp)
        if news is None:
            return None
        if isinstance(news, Notice):
            self._bounces_heard(trace, news, batch)
            return None
        if news is News.UNKNOWN:
            if self._must_ask(key):
                self._ask(queue, key)
            return None
        if news is News.REMOVED:
            self._bounces_heard(trace, None, batch)
            attempts = self.correlator.attempts
            # Where recipients waited a moment ago, it may be the line of their end, sent again.
            if (
                not attempts.is_awaited(key)
                and attempts.queued.left(key) is None
                and not self._must_ask(key)
            ):
                self.correlator.close(queue, key, batch.seconds)
                return None
        return trace, news

    def follow(self, entry: Entry) -> Outcome | None:
        """What becomes of a line; None: it waits, and `released` gives it later."""
        parsed = entry.parsed
        if isinstance(parsed, Failure):
            return self._failure(entry, parsed)
        if parsed is not None and not isinstance(parsed, Skip):
            return Job(_line(entry, self._zone), parsed)
        if entry.heard is None and self.is_enabled:
            # A failure marker may stand in a line that tells of a message.
            entry.heard = self.hear_line(entry.raw, entry.batch)
        skip = parsed if isinstance(parsed, Skip) else Skip.NOT_A_FAILURE
        if entry.heard is None:
            return skip
        outcome = self._told(entry, *entry.heard)
        return skip if isinstance(outcome, Skip) else outcome

    def released(self) -> list[Released]:
        """The lines whose waiting is over, each given once."""
        released, self._released = self._released, []
        return released

    def overdue(self, now: float) -> None:
        """Release what has waited long enough at `now`."""
        for key in self._served.overdue(now):
            self._let_served_end(key)  # first: of these, too, some wait for their notice then
        for key in self._bounces.overdue(now):
            self._let_bounces_go(key)
        for key in self._foreign.overdue(now):
            self.learned(key, now)
        for key in self._leaving.overdue(now):
            self._let_leave(key)

    def hurry(self) -> None:
        """Let go of what waits for a later line. With RELP all lines behind it wait, too, and the
        sender has sent nearly all it may: what had to come soon has come. But for the targets of
        aliases, of which there may be slow ones: they wait on, with their lines answered."""
        for unanswered in self._unanswered:
            self._served.change(unanswered, self._answered)
        self._unanswered.clear()
        while (key := self._bounces.oldest()) is not None:
            self._let_bounces_go(key)
        while (key := self._leaving.oldest()) is not None:
            self._let_leave(key)

    def release_all(self, now: float) -> None:
        """Release everything."""
        while (key := self._foreign.oldest()) is not None:
            self.learned(key, now)
        while (key := self._served.oldest()) is not None:
            self._let_served_end(key)  # first: of these, too, some wait for their notice then
        self.hurry()

    def trim(self, seconds: int) -> None:
        """Keep the bounds of what is remembered."""
        self.correlator.trim(seconds)

    def learned(self, key: bytes, now: float) -> None:
        """The other receivers have answered, or will not: go on with what is here."""
        self.correlator.exchange.asked(key, int(now))
        for entry in self._foreign.take(key):
            outcome = self._safely(entry, self.follow, entry)
            if outcome is not None:
                self._released.append((entry, outcome))

    # A line that tells of a message

    def _told(self, entry: Entry, trace: Trace, news: News) -> Outcome | None:
        queue, key, _, _, _ = trace
        if self._is_asked(queue, key):
            if news is News.LATER:
                entry.heard = None  # until then
            self._hold(self._foreign, key, entry, entry)
            return None
        if news is News.LATER:  # it was let go for want of room
            entry.heard = self.hear_line(entry.raw, entry.batch)
            return Skip.NOT_A_FAILURE if entry.heard is None else self._told(entry, *entry.heard)
        if news is News.REUSED:
            return self._reused(entry, queue, key)
        if news is News.REMOVED:
            return self._removal(entry, queue, key)
        return self._delivery(entry, queue, key)

    def _delivery(self, entry: Entry, queue: Queue, key: bytes) -> Outcome | None:
        """A recipient was served. It may have been one target of an alias, while another one of the
        same recipient is not: then Postfix tries both again."""
        if key not in self.correlator.attempts.queued.entries:
            return Skip.NOT_A_FAILURE
        line = _line(entry, self._zone)
        success = parse_success(line.message)
        if success is None:
            return Skip.NOT_A_FAILURE
        waiting = self.correlator.attempts.seen(key, success.facts, _at(line))
        if waiting is not None and _may_be_part(success.record, success.facts, waiting):
            if self.correlator.attempts.has_just_failed(key, success.facts):
                return Skip.NOT_A_FAILURE
            self._hold_part(key, (entry, queue, success), entry)
            return None
        return self._delivered(entry, queue, key, success)

    def _delivered(self, entry: Entry, queue: Queue, key: bytes, success: Success) -> Outcome:
        line = _line(entry, self._zone)
        waiting = self.correlator.attempts.ended(
            key, success.facts, _at(line), event_id(line), entry.batch.seconds
        )
        if waiting is None:
            return Skip.NOT_A_FAILURE
        self._tell_others(queue, key)
        story = self.correlator.story(queue, key)
        ending = Ending(waiting, "delivered", success.facts.status, success.facts, None)
        return Job(line, None, None, context_of(story), success.record, [], [ending])

    def _removal(self, entry: Entry, queue: Queue, key: bytes) -> Outcome | None:
        """The message left the queue. Its deferred recipients have ended, but for those whose last
        line may have changed places with this one."""
        self._let_served_end(key)
        line = _line(entry, self._zone)
        record = record_of(line.message)
        if record is None or not self.correlator.attempts.is_awaited(key):
            if record is not None and self.correlator.attempts.is_end_of_any(event_id(line)):
                # Sent again. Behind its events of the first time, which may have had to wait.
                again = self._removed(entry, queue, key, record)
                self._released.append((entry, again))
                return None
            self.correlator.close(queue, key, entry.batch.seconds)
            return Skip.NOT_A_FAILURE
        if not self.correlator.attempts.is_awaited_since(key, _at(line)):
            # Sent again, when another message had the id already.
            return Skip.NOT_A_FAILURE
        if record.daemon == _POSTSUPER:
            return self._removed(entry, queue, key, record)
        self._hold(self._leaving, key, (entry, queue, record), entry)
        self._unsure.add(key)
        return None

    def _removed(self, entry: Entry, queue: Queue, key: bytes, record: Record) -> Outcome:
        line = _line(entry, self._zone)
        story = self.correlator.story(queue, key)
        seconds = entry.batch.seconds
        endings = [
            Ending(waiting, "removed", None, None, None)
            for waiting in self.correlator.attempts.all_ended(
                key, _at(line), event_id(line), seconds
            )
        ]
        if not self.correlator.attempts.is_awaited(key):
            self.correlator.close(queue, key, seconds)
        self._tell_others(queue, key)
        if not endings:
            return Skip.NOT_A_FAILURE
        return Job(line, None, None, context_of(story), record, [], endings)

    def _reused(self, entry: Entry, queue: Queue, key: bytes) -> Outcome:
        """Another message has the id: the one before left the queue, and no line of that came."""
        line = _line(entry, self._zone)
        record = record_of(line.message)
        self._let_served_end(key)
        job = Job(line, None, None, context_of(self.correlator.story(queue, key)), record)
        # Not by a line of the time before, sent again: that is another one's, and ends nobody.
        if record is not None and self.correlator.attempts.all_before(
            key, line.message.time.timestamp()
        ):
            self._let_bounces_go(key)
            job.endings = [
                Ending(waiting, "removed", None, None, None, is_dated=False)
                for waiting in self.correlator.attempts.all_ended(
                    key, inf, event_id(line), entry.batch.seconds
                )
            ]
            self._tell_others(queue, key)
        self.correlator.forget(key)
        entry.heard = self.hear_line(entry.raw, entry.batch)
        if job.endings:
            return job
        return Skip.NOT_A_FAILURE

    # A failure

    def _failure(self, entry: Entry, failure: Failure) -> Outcome | None:
        record, facts = failure.record, failure.facts
        line = _line(entry, self._zone)
        if not self.is_enabled:
            return Job(line, failure, entry.verdict)
        if record.queue_id is None:
            if isinstance(facts, Reject) and facts.action == _PROXY_REJECT:
                self._add_client(facts, queue_of(line.host, record.instance), line.message)
            return Job(line, failure, entry.verdict)
        queue = queue_of(line.host, record.instance)
        key = queue.key(record.queue_id)
        if not isinstance(facts, Delivery):
            story = self.correlator.story(queue, key)
            if record.daemon == _CLEANUP or facts.stage in _ENDS:
                self.correlator.refused(key, entry.batch.seconds)
            return Job(line, failure, entry.verdict, context_of(story))
        if self._is_asked(queue, key):
            self._hold(self._foreign, key, entry, entry)
            return None
        story = self.correlator.story(queue, key)
        is_orphan = story is not None and story.is_orphan
        if facts.kind == "deferred":
            job = self._deferred(entry, failure, facts, queue, key, story)
            may_wait = is_orphan and self._may_wait(entry, key)
            return self._until_told(entry, job, key, may_wait, is_orphan)
        # The null sender too: with `notify_classes = 2bounce` the postmaster is told of those. Not
        # where it is unknown: nothing was seen of this message, and little will be.
        is_known = facts.sender is not None or (story is not None and story.sender is not None)
        may_wait = (is_known or is_orphan) and self._may_wait(entry, key)
        waiting = self.correlator.attempts.seen(key, facts, _at(line))
        if waiting is not None and _may_be_part(record, facts, waiting):
            part = _Part(failure, facts, waiting, may_wait)
            if self.correlator.attempts.has_just_failed(key, facts):
                return self._part_bounced(entry, part, queue, key, is_end=False)
            if entry.done is not None:  # he is given all of a line at once
                self._hold_part(key, (entry, queue, part), entry)
                return None
            # The bounce is one in any case, and urgent. What waits is whether it ends the waiting.
            self._hold_part(key, (entry.rest(), queue, part), entry)
            return self._part_bounced(entry, part, queue, key, is_end=False)
        job = self._bounced(entry, failure, facts, queue, key, story)
        return self._until_told(entry, job, key, may_wait, is_orphan)

    def _add_client(self, facts: Reject, queue: Queue, message: SyslogMessage) -> None:
        """What a filter before the queue refuses at its end, smtpd logs without the client."""
        if facts.client is None and message.pid is not None:
            story = self.correlator.story(queue, queue.session(message.tag, message.pid))
            if story is not None:
                facts.client = story.client
                facts.sasl_username = facts.sasl_username or story.sasl_username

    def _deferred(
        self,
        entry: Entry,
        failure: Failure,
        facts: Delivery,
        queue: Queue,
        key: bytes,
        story: Story | None,
    ) -> Job:
        line = _line(entry, self._zone)
        at = line.message.time.timestamp()
        verdict = entry.verdict
        attempt = self.correlator.attempts.deferred(key, story, facts, at, event_id(line))
        if attempt is None:
            return Job(line, failure, verdict, context_of(story))
        waiting, reply = attempt.waiting, facts.remote_reply
        self._has_not_ended(key, waiting.recipient)
        if attempt.is_news:
            waiting.smtp_code = None if reply is None else reply.smtp_code
            if verdict is not None:
                category, scope, provider, provider_code, _ = verdict
                waiting.category, waiting.scope = category, scope
                waiting.provider, waiting.provider_code = provider, provider_code
            if self.correlator.is_gone(key):
                return self._deferred_too_late(line, failure, attempt, key, story, verdict)
            self.correlator.attempts.keep(key, waiting, entry.batch.seconds)
            self._tell_others(queue, key)
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
        if not self.correlator.attempts.has_ended(key, waiting.recipient):
            job.endings = [Ending(waiting, "removed", None, None, None)]
        return job

    def _part_bounced(
        self, entry: Entry, part: _Part, queue: Queue, key: bytes, is_end: bool
    ) -> Job | None:
        """`is_end`: of the waiting, too."""
        story = self.correlator.story(queue, key)
        job = self._bounced(
            entry, part.failure, part.facts, queue, key, story, part.waiting, is_end
        )
        return self._until_told(entry, job, key, part.may_wait)

    def _part_ended(self, entry: Entry, part: _Part, queue: Queue, key: bytes) -> Outcome | None:
        """No other target of the recipient waits: its bounce, told before, was its end."""
        line, facts = _line(entry, self._zone), part.facts
        waiting = self.correlator.attempts.ended(
            key, facts, _at(line), event_id(line), entry.batch.seconds
        )
        if waiting is None:
            return Skip.NOT_A_FAILURE
        self._tell_others(queue, key)
        story = self.correlator.story(queue, key)
        ending = Ending(waiting, "bounced", facts.status, facts, entry.verdict)
        job = Job(line, None, None, context_of(story), part.failure.record, [], [ending])
        # Behind the bounce, where that waits for its notice.
        return self._until_told(entry, job, key, key in self._bounces)

    def _bounced(
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
        line, seconds = _line(entry, self._zone), entry.batch.seconds
        job = Job(line, failure, entry.verdict)
        attempt = since = None
        if facts.recipient is None and facts.status in _EXPIRIES:
            self._let_served_end(key)
            job.expired = self.correlator.attempts.all_ended(
                key, _at(line), event_id(line), seconds
            )
            job.endings = [
                Ending(waiting, "expired", facts.status, None, None) for waiting in job.expired
            ]
        else:
            waiting = None
            if is_end:
                waiting = self.correlator.attempts.ended(
                    key, facts, _at(line), event_id(line), seconds
                )
            if waiting is not None:
                job.endings = [Ending(waiting, "bounced", facts.status, facts, entry.verdict)]
            waiting = waiting or part_of
            if waiting is not None:
                attempt, since = waiting.attempt, waiting.since
            elif self.correlator.attempts.is_first_attempt(key, story, facts):
                attempt = 1
        if job.endings:
            self._tell_others(queue, key)
        context = context_of(story, attempt, utc(since))
        sender = facts.sender if facts.sender is not None else context.sender
        context.backscatter_risk = backscatter_risk(story, sender)
        job.context = context
        return job

    def _until_told(
        self, entry: Entry, job: Job, key: bytes, may_wait: bool, is_orphan: bool = False
    ) -> Job | None:
        """None: it waits for its notice, or for what its message came from."""
        if may_wait:
            self._hold(self._bounces, key, (entry, job, is_orphan), entry)
            self._note_first(key, job)
            if is_orphan:
                self._orphans.add(key)
            return None
        return job

    # Waiting

    def _note_first(self, key: bytes, job: Job) -> None:
        message = job.line.message
        at = message.time if message.time_quality == "exact" else None
        first = self._first_bounces.get(key, at)
        self._first_bounces[key] = None if at is None or first is None else min(first, at)

    def _take_bounces(self, key: bytes) -> list[_Told]:
        self._first_bounces.pop(key, None)
        self._orphans.discard(key)
        return self._bounces.take(key)

    def _hold(self, room: "Waitroom[_T]", key: bytes, thing: _T, entry: Entry) -> None:
        now = entry.batch.now
        while self.held >= self._max_held or self.held_bytes >= self._max_held_bytes:
            self._make_room(now)
        parsed = entry.parsed
        size = len(entry.raw)
        room.add(key, thing, now, size * parsed.repeats if isinstance(parsed, Failure) else size)

    def _hold_part(self, key: bytes, served: _Served, entry: Entry) -> None:
        if self._served.count_of(key) >= _MOST_OF_ONE:
            self.hurried += 1
            self._let_served_end(key)
        self._hold(self._served, key, served, entry)
        self._unsure.add(key)
        if entry.batch.receipts is not None:
            self._unanswered.add(key)

    def _answered(self, served: _Served) -> _Served:
        entry, queue, end = served
        if entry.batch.receipts is None:
            return served
        self._released.append((entry, Skip.NOT_A_FAILURE))
        return entry.answered(), queue, end

    def _make_room(self, now: float) -> None:
        self.hurried += 1
        if (key := self._bounces.oldest()) is not None:
            self._let_bounces_go(key)
        elif (key := self._served.oldest()) is not None:
            self._let_served_end(key)
        elif (key := self._leaving.oldest()) is not None:
            self._let_leave(key)
        elif (key := self._foreign.oldest()) is not None:
            self.learned(key, now)

    def _bounces_heard(self, trace: Trace, notice: Notice | None, batch: Batch) -> None:
        """Bounces have their notice, or there will be none. A line that is older than they are was
        sent again and tells nothing of them."""
        _, key, stamp, _, _ = trace
        if key in self._served:
            self._let_served_end(key)  # it comes when an attempt is over
        if key not in self._bounces:
            return
        # Read before anything is taken: a line that cannot be right raises, and they wait on.
        told = None if notice is None else notice_of(notice.queue_id, notice.kind)
        time, quality = stamp_time(stamp.decode("ascii", "replace"), batch.written_at, self._zone)
        first = self._first_bounces.get(key)
        if quality == "exact" and first is not None and first > time:
            return  # all of them are younger
        waiting: list[_Told] = []
        for failed in self._take_bounces(key):
            entry, job, is_orphan = failed
            message = job.line.message
            is_later = quality == "exact" == message.time_quality and message.time > time
            if told is not None and not is_later and _is_bounce(job):
                job.context.notice = told
            if is_later or is_orphan:
                waiting.append(failed)
            else:
                self._released.append((entry, job))
        if len(waiting) > _MOST_OF_ONE:
            self.hurried += 1
            self._let_go(key, waiting)
            return
        for failed in waiting:
            self._wait_on(key, failed, batch.now)

    def _wait_on(self, key: bytes, failed: _Told, now: float) -> None:
        """For a notice, or for what the message came from."""
        _, job, is_orphan = failed
        self._bounces.add(key, failed, now)
        self._note_first(key, job)
        if is_orphan:
            self._orphans.add(key)

    def _let_bounces_go(self, key: bytes) -> None:
        self._let_go(key, self._take_bounces(key))

    def _let_go(self, key: bytes, told: list[_Told]) -> None:
        for entry, job, is_orphan in told:
            if is_orphan:
                self._adopt(job, key)
            self._released.append((entry, job))

    def _forwarded(self, key: bytes) -> None:
        """It is known now what this message came from. A bounce may wait on for its notice."""
        if key not in self._orphans:
            return
        self._orphans.discard(key)
        self._bounces.change(key, lambda failed: self._adopted(failed, key))
        told = self._bounces.take_those(
            key, lambda failed: failed[1].context.notice is not None or not _is_bounce(failed[1])
        )
        if key not in self._bounces:
            self._first_bounces.pop(key, None)
        self._released += [(entry, job) for entry, job, _ in told]

    def _adopted(self, failed: _Told, key: bytes) -> _Told:
        entry, job, is_orphan = failed
        if is_orphan:
            self._adopt(job, key)
        return entry, job, False

    def _adopt(self, job: Job, key: bytes) -> None:
        """What is known by now of the message that failed."""
        parsed = job.parsed
        if not isinstance(parsed, Failure):
            return
        story = self.correlator.story(queue_of(job.line.host, parsed.record.instance), key)
        told, context = context_of(story), job.context
        if _beginning(told.message) != _beginning(context.message):
            return  # by now the id is another one's
        context.message, context.sender = told.message, told.sender
        if _is_bounce(job):
            context.backscatter_risk = backscatter_risk(story, told.sender)

    def _let_served_end(self, key: bytes) -> None:
        served = self._served.take(key)
        self._forget_unsure(key)
        self._release_served(key, served, is_end=True)

    def _has_not_ended(self, key: bytes, recipient: str) -> None:
        """What this recipient had so far was only a part of it."""
        parts = self._served.take_those(key, lambda served: recipient in _names(served[2].facts))
        self._forget_unsure(key)
        self._release_served(key, parts, is_end=False)

    def _forget_unsure(self, key: bytes) -> None:
        if key not in self._served:
            self._unanswered.discard(key)
            if key not in self._leaving:
                self._unsure.discard(key)

    def _release_served(self, key: bytes, served: list[_Served], is_end: bool) -> None:
        for entry, queue, end in served:
            outcome: Outcome | None = Skip.NOT_A_FAILURE
            if isinstance(end, _Part) and entry.is_counted:
                outcome = self._safely(entry, self._part_bounced, entry, end, queue, key, is_end)
            elif isinstance(end, _Part):
                if is_end:
                    outcome = self._safely(entry, self._part_ended, entry, end, queue, key)
            elif is_end:
                outcome = self._safely(entry, self._delivered, entry, queue, key, end)
            if outcome is not None:
                self._released.append((entry, outcome))

    def _let_leave(self, key: bytes) -> None:
        leaving = self._leaving.take(key)
        self._forget_unsure(key)
        for entry, queue, record in leaving:
            outcome = self._safely(entry, self._removed, entry, queue, key, record)
            if outcome is not None:
                self._released.append((entry, outcome))

    def _safely(
        self, entry: Entry, step: Callable[..., Outcome | None], *arguments: object
    ) -> Outcome | None:
        """One bad line must not take others with it that waited, too."""
        try:
            return step(*arguments)
        except Exception as error:  # noqa: BLE001
            return Job(_line(entry, self._zone), error)

    def _may_wait(self, entry: Entry, key: bytes) -> bool:
        """Messages are counted, not their recipients: one notice tells of all of these."""
        if self._notice_wait <= 0:
            return False
        if key in self._bounces:
            return True
        second = int(entry.batch.now)
        if second != self._second:
            # A flood is known by its first second; then none waits until it is over.
            self._is_flooded = (
                second == self._second + 1 and self._bounces_in_second > self._notice_rate
            )
            self._second, self._bounces_in_second = second, 0
        self._bounces_in_second += 1
        return not self._is_flooded and self._bounces_in_second <= self._notice_rate

    def _is_asked(self, queue: Queue, key: bytes) -> bool:
        """Whether the others are asked of this message, now or before, and have yet to answer."""
        if self._must_ask(key):
            self._ask(queue, key)
        return self.sharing is not None and key in self._foreign

    def _must_ask(self, key: bytes) -> bool:
        return (
            self.sharing is not None
            and key not in self._foreign
            and self.correlator.exchange.is_foreign(key)
        )

    def _ask(self, queue: Queue, key: bytes) -> None:
        if self.sharing is not None:
            self._foreign.open(key)
            self.sharing.ask(queue, key)

    def _tell_others(self, queue: Queue, key: bytes) -> None:
        if self.sharing is not None:
            self.sharing.changed(queue, key)


def _beginning(message: Message) -> tuple[datetime | None, str | None]:
    return message.queued_at, message.message_id


def _is_bounce(job: Job) -> bool:
    """And no deferral, which only waits for what its message came from."""
    facts = job.parsed.facts if isinstance(job.parsed, Failure) else None
    return not isinstance(facts, Delivery) or facts.kind != "deferred"


def _names(facts: Delivery) -> tuple[str | None, str | None]:
    return facts.recipient, facts.original_recipient


def _may_be_part(record: Record, facts: Delivery, waiting: Waiting) -> bool:
    """Whether a delivery that ended may have been one of several of a recipient that waits: of an
    alias local(8) logs one for each target; and several recipients may have become one, whom
    Postfix delivers to for each of them."""
    return (
        record.daemon == _LOCAL
        or waiting.is_several
        or facts.recipient != waiting.recipient
        or facts.original_recipient != waiting.original_recipient
    )


def _at(line: Line) -> float:
    """When it was written. A stamp without its zone tells one hour of the year twice, so it is not
    said by it that a line is the older one."""
    message = line.message
    return message.time.timestamp() if message.time_quality == "exact" else inf


def _line(entry: Entry, zone: tzinfo) -> Line:
    """Of an entry that was not read as a failure, too."""
    if entry.line is None:
        batch = entry.batch
        message = parse_message(entry.raw, received_at=batch.written_at, zone=zone)
        if message is None:  # not so, or it would not have told of a message
            message = SyslogMessage("", batch.received_at, "received", None, "", None, "")
        entry.line = Line(
            entry.raw,
            message,
            batch.received_at,
            batch.origin.transport,
            batch.origin.source_ip,
            entry.truncated,
            batch.keep_raw,
        )
    return entry.line
