"""Lines in their order, each failure with what earlier lines told of its message.

In: the lines of a batch that say anything, failures among them already read. Out: for each a `Job`,
which is what events are made of, or a skip, or nothing for now: a bounce may wait a moment for the
notice that Postfix sends of it, a failure of forwarded mail for the line that says what it came
from (`bounces`), the end of an alias for its other targets (`targets`); and what is told of a
message that began elsewhere waits for what the other receivers know. What becomes of recipients is
told by `fates`. Nothing here does IO or reads a clock; times are Unix times, seconds.
"""

from datetime import tzinfo
from typing import Protocol

from service.bounces import Bounces
from service.core.context import context_of
from service.core.correlate import skim
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
from service.core.line import event_id
from service.core.outcomes import Skip
from service.core.postfix import parse_success, record_of
from service.core.postfix.facts import Delivery, Reject
from service.core.postfix.result import Failure
from service.core.syslog.message import SyslogMessage
from service.correlation_config import CorrelationConfig
from service.entries import line_of, safely, written
from service.fates import Fates, is_expiry
from service.jobs import Batch, Entry, Heard, Job, Outcome, Released
from service.leaving import Leaving
from service.targets import End, Part, Targets, may_be_part
from service.waitroom import Waitroom
from service.waitrooms import Waitrooms

ASK_SECONDS = 1.0
"""How long a line may wait for what the other receivers know."""

_POSTSUPER = "postsuper"
_CLEANUP = "cleanup"
_PROXY_REJECT = "proxy-reject"
_ENDS = frozenset({"DATA", "DATA content", "BDAT", "BDAT content", "END-OF-MESSAGE"})
"""Stages at which smtpd refuses a message as a whole, not one recipient of it."""


class Sharing(Protocol):
    """What the receivers of a fleet tell each other of deferred messages."""

    def ask(self, queue: Queue, key: bytes) -> None:
        """What is known of this message? `Pipeline.learned` is called with the answer."""
        ...

    def changed(self, queue: Queue, key: bytes) -> None:
        """A recipient was deferred or has ended, or the message is gone."""
        ...


class Correlation:
    def __init__(
        self, config: CorrelationConfig, zone: tzinfo, sharing: Sharing | None = None
    ) -> None:
        self.correlator = Correlator(
            Bounds(config.max_messages, config.max_bytes, config.max_age),
            zone,
            is_shared=sharing is not None,
        )
        self._attempts = self.correlator.attempts
        self._skimmer = skim.Skimmer(self.correlator.traces)
        # Compiled the skimmer is the quicker way, as Python the search is.
        self._is_compiled = not skim.__file__.endswith(".py")
        self.is_enabled = config.enabled
        self._sharing = sharing
        self._zone = zone
        self._released: list[Released] = []
        self._rooms = rooms = Waitrooms(config.max_held, config.max_held_bytes)
        self._bounces = Bounces(config, zone, self.correlator, rooms, self._released)
        self._targets = Targets(config.alias_wait, zone, rooms, self._released, self._target_ended)
        self._foreign: Waitroom[Entry] = Waitroom(ASK_SECONDS)
        """Lines of messages that began elsewhere: they wait for what the others know."""
        self._fates = Fates(self.correlator, zone, self._tell_others, self._targets.wait_on)
        self._leaving = Leaving(
            config.removal_wait,
            zone,
            rooms,
            self._released,
            self._fates.removed,
            is_shared=sharing is not None,
        )
        rooms.include(self._foreign, self.learned)

    @property
    def held(self) -> int:
        """Lines that wait."""
        return self._rooms.lines

    @property
    def held_bytes(self) -> int:
        """Of these lines, as they were received; a folded one counts as often as it happened."""
        return self._rooms.size

    @property
    def hurried(self) -> int:
        """Times that something was released for want of room."""
        return self._rooms.hurried

    def waiting_bounces(self) -> list[Job]:
        """Those whose recipients have ended as far as is remembered, while their events wait."""
        return self._bounces.jobs()

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
        if self._sharing is not None and key in self._foreign:
            # All lines of the message, or what it tells of itself would not be in its order.
            return trace, News.LATER
        if opening in BEGINNINGS:
            # qmgr takes up what no delivery is going on of, and another message may have the id.
            if key in self._targets:
                self._targets.let_end(key)
            if key in self._leaving:
                self._leaving.let_leave(key)
        news = self.correlator.hear(trace, batch.stamp)
        if news is None:
            return None
        if isinstance(news, Notice):
            self._attempt_over(trace, news, batch)
            return None
        if news is News.UNKNOWN:
            if self._must_ask(key):
                self._ask(queue, key)
            return None
        if news is News.REMOVED:
            self._attempt_over(trace, None, batch)
            # Where recipients waited a moment ago, it may be the line of their end, sent again.
            if (
                not self._attempts.is_awaited(key)
                and self._attempts.queued.left(key) is None
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
            return Job(line_of(entry, self._zone), parsed)
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
        released = self._released[:]
        self._released.clear()
        return released

    def overdue(self, now: float) -> None:
        """Release what has waited long enough at `now`."""
        self._targets.overdue(now)  # first: of these, too, some wait for their notice then
        self._bounces.overdue(now)
        for key in self._foreign.overdue(now):
            self.learned(key, now)
        self._leaving.overdue(now)

    def hurry(self) -> None:
        """Let go of what waits for a later line. With RELP all lines behind it wait, too, and the
        sender has sent nearly all it may: what had to come soon has come. But for the targets of
        aliases, of which there may be slow ones, and what other receivers have to tell of a message
        that left the queue: they wait on, with their lines answered."""
        self._targets.answer()
        self._bounces.let_everything_go()
        self._leaving.hurry()

    def release_all(self, now: float) -> None:
        """Release everything."""
        while (key := self._foreign.oldest()) is not None:
            self.learned(key, now)
        self._targets.let_everything_end()  # first: of these, too, some wait for their notice then
        self.hurry()
        self._leaving.let_everything_leave()

    def trim(self, seconds: int) -> None:
        """Keep the bounds of what is remembered."""
        self.correlator.trim(seconds)

    def learned(self, key: bytes, now: float) -> None:
        """The other receivers have answered, or will not: go on with what is here."""
        self.correlator.exchange.asked(key, int(now))
        for entry in self._foreign.take(key):
            outcome = safely(entry, self._zone, self.follow, entry)
            if outcome is not None:
                self._released.append((entry, outcome))

    # A line that tells of a message

    def _told(self, entry: Entry, trace: Trace, news: News) -> Outcome | None:
        queue, key, _, _, _ = trace
        if self._is_asked(queue, key):
            if news is News.LATER:
                entry.heard = None  # until then
            self._rooms.hold(self._foreign, key, entry, entry)
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
        if key not in self._attempts.queued.entries:
            return Skip.NOT_A_FAILURE
        line = line_of(entry, self._zone)
        success = parse_success(line.message)
        if success is None:
            return Skip.NOT_A_FAILURE
        waiting = self._attempts.seen(key, success.facts, written(line))
        if waiting is not None and may_be_part(success.record, success.facts, waiting):
            if self._attempts.has_just_failed(key, success.facts):
                return Skip.NOT_A_FAILURE
            self._targets.hold(key, entry, queue, success)
            return None
        return self._fates.delivered(entry, success, queue, key)

    def _removal(self, entry: Entry, queue: Queue, key: bytes) -> Outcome | None:
        """The message left the queue. Its deferred recipients have ended, but for those whose last
        line may have changed places with this one."""
        self._targets.let_end(key)
        line = line_of(entry, self._zone)
        record = record_of(line.message)
        if record is None or not self._attempts.is_awaited(key):
            if record is not None and self._attempts.is_end_of_any(event_id(line)):
                # Sent again. Behind its events of the first time, which may have had to wait.
                self._released.append((entry, self._fates.removed(entry, record, queue, key)))
                return None
            self.correlator.close(queue, key, entry.batch.seconds)
            return Skip.NOT_A_FAILURE
        if not self._attempts.is_awaited_since(key, written(line)):
            # Sent again, when another message had the id already.
            return Skip.NOT_A_FAILURE
        if record.daemon == _POSTSUPER:
            return self._fates.removed(entry, record, queue, key)
        self._leaving.hold(key, entry, queue, record)
        return None

    def _reused(self, entry: Entry, queue: Queue, key: bytes) -> Outcome:
        """Another message has the id."""
        line = line_of(entry, self._zone)
        record = record_of(line.message)
        self._targets.let_end(key)
        outcome: Outcome = Skip.NOT_A_FAILURE
        # Not by a line of the time before, sent again: that is another one's, and ends nobody.
        if record is not None and self._attempts.all_before(key, line.message.time.timestamp()):
            self._bounces.let_go(key)
            outcome = self._fates.replaced(entry, record, queue, key)
        self.correlator.forget(key)
        entry.heard = self.hear_line(entry.raw, entry.batch)
        return outcome

    # A failure

    def _failure(self, entry: Entry, failure: Failure) -> Outcome | None:
        record, facts = failure.record, failure.facts
        line = line_of(entry, self._zone)
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
            self._rooms.hold(self._foreign, key, entry, entry)
            return None
        story = self.correlator.story(queue, key)
        if facts.kind == "deferred":
            return self._deferred(entry, failure, facts, queue, key, story)
        return self._bounced(entry, failure, facts, queue, key, story)

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
    ) -> Outcome | None:
        job = self._fates.deferred(entry, failure, facts, queue, key, story)
        is_orphan = story is not None and story.is_orphan
        if is_orphan and self._bounces.may_wait(entry, key):
            self._bounces.hold(key, entry, job, is_orphan)
            return None
        return job

    def _bounced(
        self,
        entry: Entry,
        failure: Failure,
        facts: Delivery,
        queue: Queue,
        key: bytes,
        story: Story | None,
    ) -> Outcome | None:
        # The null sender too: with `notify_classes = 2bounce` the postmaster is told of those. Not
        # where it is unknown: nothing was seen of this message, and little will be.
        is_known = facts.sender is not None or (story is not None and story.sender is not None)
        is_orphan = story is not None and story.is_orphan
        may_wait = (is_known or is_orphan) and self._bounces.may_wait(entry, key)
        waiting = self._attempts.seen(key, facts, written(line_of(entry, self._zone)))
        if waiting is not None and may_be_part(failure.record, facts, waiting):
            part = Part(failure, facts, waiting, may_wait)
            if not self._attempts.has_just_failed(key, facts):
                if entry.done is not None:  # he is given all of a line at once
                    self._targets.hold(key, entry, queue, part)
                    return None
                # The bounce is one in any case, and urgent. What waits is whether it ends the
                # waiting.
                self._targets.hold(key, entry.rest(), queue, part)
            return self._part_bounced(entry, part, queue, key, is_end=False)
        if is_expiry(facts):
            self._targets.let_end(key)
            job = self._fates.expired(entry, failure, facts, queue, key, story)
        else:
            job = self._fates.bounced(entry, failure, facts, queue, key, story)
        if may_wait:
            self._bounces.hold(key, entry, job, is_orphan)
            return None
        return job

    # What has waited

    def _target_ended(
        self, entry: Entry, queue: Queue, key: bytes, end: End, is_end: bool
    ) -> Outcome | None:
        if isinstance(end, Part):
            if entry.is_counted:
                return self._part_bounced(entry, end, queue, key, is_end)
            return self._part_ended(entry, end, queue, key) if is_end else Skip.NOT_A_FAILURE
        return self._fates.delivered(entry, end, queue, key) if is_end else Skip.NOT_A_FAILURE

    def _part_bounced(
        self, entry: Entry, part: Part, queue: Queue, key: bytes, is_end: bool
    ) -> Outcome | None:
        """`is_end`: of the waiting, too."""
        story = self.correlator.story(queue, key)
        job = self._fates.bounced(
            entry, part.failure, part.facts, queue, key, story, part.waiting, is_end
        )
        if part.may_wait:
            self._bounces.hold(key, entry, job, is_orphan=False)
            return None
        return job

    def _part_ended(self, entry: Entry, part: Part, queue: Queue, key: bytes) -> Outcome | None:
        """No other target of the recipient waits: its bounce, told before, was its end."""
        job = self._fates.bounced_before(entry, part.failure, part.facts, queue, key)
        if job is None:
            return Skip.NOT_A_FAILURE
        if key in self._bounces:  # the bounce waits for its notice: behind it
            self._bounces.hold(key, entry, job, is_orphan=False)
            return None
        return job

    def _attempt_over(self, trace: Trace, notice: Notice | None, batch: Batch) -> None:
        """The notice of a message's bounces was queued, or it left the queue without one."""
        if trace[1] in self._targets:
            self._targets.let_end(trace[1])
        self._bounces.heard(trace, notice, batch)

    # Other receivers

    def _is_asked(self, queue: Queue, key: bytes) -> bool:
        """Whether the others are asked of this message, now or before, and have yet to answer."""
        if self._must_ask(key):
            self._ask(queue, key)
        return self._sharing is not None and key in self._foreign

    def _must_ask(self, key: bytes) -> bool:
        return (
            self._sharing is not None
            and key not in self._foreign
            and self.correlator.exchange.is_foreign(key)
        )

    def _ask(self, queue: Queue, key: bytes) -> None:
        if self._sharing is not None:
            self._foreign.open(key)
            self._sharing.ask(queue, key)

    def _tell_others(self, queue: Queue, key: bytes) -> None:
        if self._sharing is not None:
            self._sharing.changed(queue, key)
