"""Received frames to envelopes, counting every outcome. Synchronous, no IO, no clock.

In: the pieces a framer gave, and where they came from. Out: envelopes. Every frame ends as
event(s), a skip with a reason or a drop with a reason, and is counted as exactly one of them.
"""

from collections import deque
from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import Final
from zoneinfo import ZoneInfo

from service.core.assemble import Event
from service.core.classify import Classifier
from service.core.correlate.memory import stamp_of
from service.core.envelope import Envelope, SubjectTemplate, seal
from service.core.framing.base import Block, Frame, Piece
from service.core.line import UNKNOWN_HOST
from service.core.occurrences import Occurrences, is_told_apart
from service.core.outcomes import Skip
from service.core.postfix import parse
from service.core.postfix.markers import candidates, is_candidate
from service.core.postfix.result import Failure, Parsed
from service.core.privacy import Privacy
from service.core.syslog import parse_message
from service.correlation import Correlation
from service.correlation_config import CorrelationConfig
from service.entries import line_with
from service.jobs import Batch, Entry, Job, Released
from service.making import make, unread
from service.metrics import Metrics, Tally
from service.pipeline_config import PipelineConfig
from service.received import Origin, Receipts

_TEXT_BYTES: Final = 16_384
"""Of lines that are taken apart at once: with the last of them a text is longer. A line takes some
hundred bytes then, an empty one, too."""

AT_ONCE: Final = 1000
"""Events that are made at once, of lines that gave many or had to wait, but one line if there is
one. That is a fortieth of a second; of a read that holds nothing else it would be a minute."""
_MANY: Final = 50
"""Events of one line."""

_Part = tuple[int, Entry | Frame | bytes]
"""Index of a piece, and of its lines one that may be a failure; or a frame that is none; or a text
of whole lines, none of which is."""


class Pipeline:
    """Takes all lines of a call through one stage, then all through the next: the code and data of
    a stage stay in the processor's caches, which makes the whole a quarter faster."""

    def __init__(
        self,
        config: PipelineConfig,
        template: SubjectTemplate,
        metrics: Metrics,
        classifier: Classifier,
        correlation: Correlation | None = None,
        privacy: Privacy | None = None,
    ) -> None:
        """`correlation`: by default one of its own. `privacy`: None where everything is kept."""
        self._privacy = privacy
        self._zone = ZoneInfo(config.default_timezone)
        self._keep_raw = config.keep_raw
        self._template = template
        self._metrics = metrics
        self.correlation = correlation or Correlation(CorrelationConfig(), self._zone)
        self.occurrences = Occurrences(config.remembered_lines)
        self._ready: deque[Released] = deque()
        """Lines that gave many events or had to wait: nothing is left but to make these."""
        self.on_event: Callable[[Event], None] | None = None
        """Is told of each event that goes out."""
        self.use(classifier)

    def use(self, classifier: Classifier) -> None:
        """For all lines read from now on."""
        self.classifier = classifier
        self._metrics.providers_known(classifier.providers.names)

    def process(
        self,
        pieces: list[Piece],
        origin: Origin,
        received_at: datetime,
        receipts: Receipts | None = None,
    ) -> list[Envelope]:
        """`received_at`: aware, UTC. Envelopes come in the order of their lines, but for those that
        had to wait, or of which there are many: ask for these (`released`) while there are `ready`
        lines. `receipts` is told what to expect of which piece, and each envelope knows whom to
        tell when it is durable."""
        tally = Tally()
        batch = self._batch(origin, received_at, received_at, receipts)
        parts = self._find(pieces, batch, tally)
        for _, part in parts:
            if isinstance(part, Entry):
                self._read(part)
        outcomes = self._follow_all(parts, batch)
        if receipts is not None and receipts.is_pressed:
            self.correlation.hurry()
        tally.skip(Skip.NOT_A_FAILURE, tally.frames - len(outcomes))
        self.correlation.trim(batch.seconds)
        envelopes: list[Envelope] = []
        for entry, outcome in outcomes:
            if outcome is None:
                tally.frames -= 1  # counted once it is known what becomes of it
                if receipts is not None:
                    receipts.expect(entry.piece)
            elif isinstance(outcome, Skip):
                tally.skip(outcome)
            elif outcome.count > _MANY:
                tally.frames -= 1
                if receipts is not None:
                    receipts.expect(entry.piece)
                self._get_ready(entry, outcome)
            else:
                envelopes += self._seal(entry, self._make(outcome), tally, 0)
        self._metrics.processed(origin.transport, tally)
        envelopes += self.released()
        return envelopes

    @property
    def ready(self) -> int:
        """Lines whose events `released` has yet to make."""
        return len(self._ready)

    def unmade(self) -> list[Job]:
        """Those whose recipients have ended as far as is remembered, and whose events are yet to be
        made."""
        ready = [job for _, job in self._ready if isinstance(job, Job)]
        return self.correlation.waiting_bounces() + ready

    def released(self, most: int = AT_ONCE) -> list[Envelope]:
        """Of lines that had to wait and need not any more, or gave many events. Not many more than
        `most`, and then there are `ready` ones left."""
        envelopes: list[Envelope] = []
        ready = self._ready
        for entry, outcome in self.correlation.released():
            self._get_ready(entry, outcome)
        # One for each transport: a line of its own in the metrics costs as much as a fifth of its
        # event.
        tallies: dict[str, Tally] = {}
        while ready and len(envelopes) < most:
            entry, outcome = ready.popleft()
            if entry.done is not None:
                entry.done(outcome if isinstance(outcome, Skip) else self._make(outcome))
                continue
            transport = entry.batch.origin.transport
            tally = tallies.get(transport)
            if tally is None:
                tally = tallies[transport] = Tally()
            if entry.is_counted:
                tally.frames += 1
            if isinstance(outcome, Skip):
                if entry.is_counted:
                    tally.skip(outcome)
                if entry.batch.receipts is not None:
                    entry.batch.receipts.durable(entry.piece)
            else:
                envelopes += self._seal(entry, self._make(outcome), tally, 1)
        for transport, tally in tallies.items():
            self._metrics.processed(transport, tally)
        return envelopes

    def _get_ready(self, entry: Entry, outcome: Job | Skip) -> None:
        if isinstance(outcome, Skip) or entry.done is not None:
            self._ready.append((entry, outcome))
            return
        first, *others = outcome.parts(_MANY)
        self._ready.append((entry, first))
        self._ready.extend([(entry.rest(), other) for other in others])

    def overdue(self, now: datetime) -> None:
        """`released` gives those that have waited long enough at `now`."""
        self.correlation.overdue(now.timestamp())

    def learned(self, key: bytes, now: datetime) -> None:
        """`released` gives those that waited for what other receivers know of a message, which is
        known now."""
        self.correlation.learned(key, now.timestamp())

    def release_all(self, now: datetime) -> list[Envelope]:
        """Of all lines that wait, however many."""
        self.correlation.release_all(now.timestamp())
        envelopes = self.released()
        while self._ready:
            envelopes += self.released()
        return envelopes

    def frame(self, frame: Frame, origin: Origin, received_at: datetime) -> list[Envelope]:
        return self.process([frame], origin, received_at)

    def block(self, block: Block, origin: Origin, received_at: datetime) -> list[Envelope]:
        return self.process([block], origin, received_at)

    def read_line(
        self,
        frame: Frame,
        origin: Origin,
        received_at: datetime,
        written_at: datetime,
        done: Callable[[list[Event] | Skip], None],
    ) -> None:
        """What one line means; nothing is counted. Never raises. `done` is called with it, at once
        or by `released` and `release_all`. `written_at`: the time that stamps without a year are
        near to."""
        batch = self._batch(origin, received_at, written_at, None)
        entry = Entry(frame.data, frame.truncated, 0, batch, done=done)
        if is_candidate(frame.data):
            self._read(entry)
        outcome = self._follow(entry)
        self.correlation.trim(batch.seconds)
        if outcome is not None:
            done(outcome if isinstance(outcome, Skip) else self._make(outcome))
        self.released()

    def _batch(
        self,
        origin: Origin,
        received_at: datetime,
        written_at: datetime,
        receipts: Receipts | None,
    ) -> Batch:
        seconds = max(0, int(written_at.timestamp()))
        return Batch(
            origin,
            received_at,
            written_at,
            receipts,
            received_at.timestamp(),
            seconds,
            stamp_of(seconds),
            origin.source_ip or UNKNOWN_HOST,
            self._keep_raw,
        )

    def _find(self, pieces: list[Piece], batch: Batch, tally: Tally) -> list[_Part]:
        """The lines to look at, in order."""
        parts: list[_Part] = []
        hears_all = self.correlation.is_enabled
        for index, piece in enumerate(pieces):
            if isinstance(piece, Frame):
                tally.frames += 1
                if piece.truncated:
                    self._metrics.truncated(batch.origin.transport)
                if piece.is_candidate or is_candidate(piece.data):
                    parts.append((index, Entry(piece.data, piece.truncated, index, batch)))
                elif hears_all:
                    parts.append((index, piece))
            elif isinstance(piece, Block):
                tally.frames += piece.count
                if hears_all or not piece.has_no_candidate:
                    _divide(piece, index, batch, hears_all, parts)
            else:
                self._metrics.dropped(batch.origin.transport, piece.kind)
        return parts

    def _read(self, entry: Entry) -> None:
        """What a line is that may be a failure."""
        batch, raw = entry.batch, entry.raw
        origin = batch.origin
        parsed: Parsed | Exception
        try:
            message = parse_message(raw, received_at=batch.written_at, zone=self._zone)
            if message is None:
                entry.parsed = Skip.NOT_SYSLOG
                return
            parsed = parse(message, truncated=entry.truncated)
            if isinstance(parsed, Skip):
                entry.parsed = parsed
                return
            if isinstance(parsed, Failure):
                entry.verdict = self.classifier.classify(parsed.facts)
        except Exception as error:  # noqa: BLE001  # one bad line must not take others with it
            message, parsed = unread(raw, batch.received_at), error
        line = line_with(entry, message)
        if origin.stream is not None and not is_told_apart(message.stamp):
            line.before = partial(self.occurrences.before, origin.stream)
        entry.line, entry.parsed = line, parsed

    def _follow_all(
        self, parts: list[_Part], batch: Batch
    ) -> list[tuple[Entry, Job | Skip | None]]:
        """In the order of the lines. Those that only told something of a message, or nothing, are
        left out."""
        outcomes: list[tuple[Entry, Job | Skip | None]] = []
        correlation = self.correlation
        for index, part in parts:
            if isinstance(part, Entry):
                outcomes.append((part, self._follow(part)))
                continue
            for line, trace in (
                correlation.skim(part, batch) if isinstance(part, bytes) else [(part.data, None)]
            ):
                try:
                    heard = (
                        correlation.hear_line(line, batch)
                        if trace is None
                        else correlation.hear(trace, batch)
                    )
                except Exception as error:  # noqa: BLE001  # as above
                    entry = Entry(line, False, index, batch, parsed=error)
                else:
                    if heard is None:
                        continue
                    entry = Entry(line, False, index, batch, heard)
                outcomes.append((entry, self._follow(entry)))
        return outcomes

    def _follow(self, entry: Entry) -> Job | Skip | None:
        try:
            return self.correlation.follow(entry)
        except Exception as error:  # noqa: BLE001  # as above
            message = unread(entry.raw, entry.batch.received_at)
            return Job(line_with(entry, message), error)

    def _make(self, job: Job) -> list[Event]:
        events = make(job)
        return events if self._privacy is None else self._privacy.treat(events)

    def _seal(
        self, entry: Entry, events: list[Event], tally: Tally, expected: int
    ) -> list[Envelope]:
        """`expected`: of how many events the receipts have been told."""
        batch = entry.batch
        receipts = batch.receipts
        if entry.is_counted:
            tally.frames_with_events += 1
        counted = tally.events
        envelopes = []
        for event in events:
            if self.on_event is not None:
                self.on_event(event)
            # One look-up: each attribute of a model is a search of its own.
            fields = event.__dict__
            cause = (fields["event_type"], fields["category"], fields["scope"], fields["provider"])
            counted[cause] = counted.get(cause, 0) + 1
            envelope = seal(event, self._template, batch.now)
            if receipts is not None:
                if expected:
                    expected -= 1
                else:
                    receipts.expect(entry.piece)
                envelope.on_durable = partial(receipts.durable, entry.piece)
            envelopes.append(envelope)
        return envelopes


def _divide(block: Block, index: int, batch: Batch, hears_all: bool, parts: list[_Part]) -> None:
    """The lines of a block that may be failures, one by one; with `hears_all` what stands between
    them, too."""
    data = block.data
    if data.find(b"\r") >= 0:
        data = data.replace(b"\r\n", b"\n")  # the CR of a CR LF is none of its line
    before = 0
    for start, end in [] if block.has_no_candidate else candidates(data):
        if hears_all:
            _add_text(data, before, start, index, parts)
        before = end + 1
        parts.append((index, Entry(data[start:end], False, index, batch)))
    if hears_all:
        _add_text(data, before, len(data), index, parts)


def _add_text(data: bytes, start: int, end: int, index: int, parts: list[_Part]) -> None:
    """`data[start:end]`, whole lines."""
    while end - start > _TEXT_BYTES:
        stop = data.find(b"\n", start + _TEXT_BYTES) + 1
        parts.append((index, data[start:stop]))
        start = stop
    if start < end:
        parts.append((index, data[start:end]))
