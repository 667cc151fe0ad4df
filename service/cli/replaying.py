"""The work of `mailfault replay`: lines of files through the receiver's pipeline, and their events
to JetStream, each acknowledged; what waits is bounded by one batch of lines and the window.

In: settings, files in order. Out: `Counts`. There is no spool: the files are one. A line is done
once its events are durable, and `done` says how many lines from the first on are.
"""

import asyncio
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial

import structlog
from nats.aio.client import Client

from service import supervision
from service.cli.in_order import InOrder, Outcome
from service.cli.log_files import LogFile
from service.cli.replay_progress import Shown
from service.cli.replay_reading import ReadAhead
from service.core.envelope import Envelope, SubjectTemplate, seal
from service.core.invalid import dead_letter
from service.core.outcomes import Skip
from service.nats.answer import Published, Result
from service.nats.config import DEFAULT_SERVER, NatsConfig
from service.nats.connection import Connection
from service.nats.publisher import Publisher
from service.nats.stream import StreamKeeper, StreamState
from service.pipeline import Pipeline

log = structlog.get_logger(__name__)

_REACH_SECONDS = 10.0
"""Until then NATS must have been reached once; from then on it may be away for as long as it is."""
_LAST_ANSWERS_SECONDS = 5.0
_SHOW_SECONDS = 0.2
_HOPELESS = (StreamState.ABSENT, StreamState.UNSUITABLE, StreamState.FOREIGN)


class ReplayError(Exception):
    """It cannot go on: tell the operator and stop."""


@dataclass
class Counts:
    lines: int = 0
    """Read, those passed over among them."""
    passed_over: int = 0
    skipped: Counter[str] = field(default_factory=Counter)
    events: Counter[str] = field(default_factory=Counter)
    published: int = 0
    duplicates: int = 0
    dead: int = 0
    """Refused by JetStream for good, and published as dead letters."""
    lost: int = 0
    """Refused, and their dead letters too."""
    errors: list[str] = field(default_factory=list)
    """Files that could not be read to their end."""


class Replay:
    """`run` once, in an event loop; it may be cancelled, and then `settle` waits for answers."""

    def __init__(
        self, settings: NatsConfig, pipeline: Pipeline, files: list[LogFile], pass_over: int
    ) -> None:
        self._settings = settings
        self._template = SubjectTemplate(settings.subject_template, settings.subject_prefix)
        self._files = files
        self._pass_over = pass_over
        self._in_order = InOrder(pipeline, self._take)
        self._stream = StreamKeeper(settings)
        self._publisher = Publisher(
            settings.window,
            settings.window_bytes,
            settings.ack_timeout,
            settings.stream.name,
            on_results=self._answered,
            on_resend=lambda count: None,
            on_no_stream=self._stream.look_again,
            on_trouble=self._stream.refuses,
        )
        self._connection = Connection(
            settings,
            lambda: settings.servers or [DEFAULT_SERVER],
            self._connected,
            self._publisher.detach,
        )
        self._reached: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._queue: deque[Envelope] = deque()
        self._letters: set[Envelope] = set()
        """Dead letters on their way."""
        self._open: dict[int, int] = {}
        """Lines with events that are not yet durable, and how many; in the order of the lines."""
        self._with_events = 0
        """Lines."""
        self._position = 0
        self._tasks: list[asyncio.Task[None]] = []
        self.counts = Counts()

    @property
    def done(self) -> int:
        """Lines from the first on of which all is published."""
        seen = self.counts.passed_over + self.counts.skipped.total() + self._with_events
        return next(iter(self._open), seen + 1) - 1

    async def start(self, shown: Shown) -> None:
        """Raises `ReplayError` where NATS cannot be reached or has no stream for our events."""
        self._tasks += [
            supervision.start(self._connection.run(), "nats-connection"),
            supervision.start(self._stream.run(), "stream-keeper"),
            supervision.start(self._publisher.run(), "publish-sweep"),
            supervision.start(self._show(shown), "progress"),
        ]
        try:
            async with asyncio.timeout(_REACH_SECONDS):
                await self._reached
        except TimeoutError:
            why = self._connection.last_error or "it does not answer"
            raise ReplayError(f"NATS cannot be reached: {why}") from None

    async def run(self) -> None:
        """All lines, until the last event is acknowledged."""
        ahead = ReadAhead(self._files)
        while (batch := await ahead.next()) is not None:
            near, newest = batch.file.near, batch.file.newest
            for frame in batch.frames:
                self._in_order.read(frame, near, newest)
            if batch.error is not None:
                self.counts.errors.append(batch.error)
            self.counts.lines = self._in_order.lines
            self._position = batch.position
            await self._publish()
        self._in_order.finish()
        await self._publish()
        await self.settle()

    async def settle(self) -> None:
        """Wait until everything sent is answered, dead letters too."""
        while self._publisher.in_flight or self._queue:
            await self._publish()
            await self._publisher.idle()

    async def settle_soon(self) -> None:
        """The same for a moment, and without what was not sent yet."""
        self._queue.clear()
        try:
            async with asyncio.timeout(_LAST_ANSWERS_SECONDS):
                await self.settle()
        except TimeoutError:
            pass

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    # From the lines

    def _take(self, number: int, outcome: Outcome) -> None:
        counts = self.counts
        if number <= self._pass_over:
            counts.passed_over += 1
        elif isinstance(outcome, Skip):
            counts.skipped[outcome.value] += 1
        else:
            self._with_events += 1
            self._open[number] = len(outcome)
            for event in outcome:
                counts.events[event.event_type] += 1
                envelope = seal(event, self._template, event.received_at.timestamp())
                envelope.on_durable = partial(self._durable, number)
                self._queue.append(envelope)

    def _durable(self, number: int) -> None:
        self._open[number] -= 1
        if not self._open[number]:
            del self._open[number]

    # To NATS

    async def _publish(self) -> None:
        while self._queue:
            await self._publisher.publish_from(self._next)

    def _next(self, max_events: int, max_bytes: int) -> list[Envelope]:
        envelopes: list[Envelope] = []
        while self._queue and len(envelopes) < max_events and max_bytes > 0:
            envelopes.append(self._queue.popleft())
            max_bytes -= len(envelopes[-1].body)
        return envelopes

    def _answered(self, results: Sequence[tuple[Envelope, Result]]) -> None:
        for envelope, result in results:
            try:
                self._take_result(envelope, result)
            except Exception:  # others of this answer must not end with it
                log.exception("result_failed", event_id=envelope.message_id)

    def _take_result(self, envelope: Envelope, result: Result) -> None:
        is_letter = envelope in self._letters
        self._letters.discard(envelope)
        if isinstance(result, Published):
            if is_letter:
                self.counts.dead += 1
            elif result.duplicate:
                self.counts.duplicates += 1
            else:
                self.counts.published += 1
        elif is_letter:
            self.counts.lost += 1
        else:
            letter = dead_letter(envelope.body, result.reason, result.description)
            sealed = seal(letter, self._template, envelope.received)
            sealed.on_durable = envelope.on_durable
            self._letters.add(sealed)
            self._queue.appendleft(sealed)
            return
        if envelope.on_durable is not None:
            envelope.on_durable()

    async def _connected(self, client: Client) -> None:
        await self._stream.check(client)
        report = self._stream.report
        if report is not None and report.state in _HOPELESS and not self._reached.done():
            name = self._settings.stream.name
            why = "; ".join(report.findings) or "it does not exist"
            self._reached.set_exception(ReplayError(f"stream {name}: {why}"))
            return
        await self._publisher.attach(client)
        if not self._reached.done():
            self._reached.set_result(None)

    async def _show(self, shown: Shown) -> None:
        while True:
            shown.show(self._position, self.counts.lines, self._publisher.is_attached)
            await asyncio.sleep(_SHOW_SECONDS)
