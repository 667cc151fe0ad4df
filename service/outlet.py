"""Deliver: from the waiting room to JetStream, until each event is durable or a dead letter.

In: envelopes. Out: nothing but counts; each envelope ends as acknowledged (`ok`, `duplicate`) or
`dead`. The publisher retries what is only unavailable for ever; what JetStream refuses for good
is replaced by a dead letter that says why, so that it blocks nobody behind it.
"""

import asyncio
import time
from collections.abc import Callable, Iterable

import structlog

from service.core.assemble import dead_letter
from service.core.envelope import Envelope, SubjectTemplate, seal
from service.metrics import Metrics
from service.nats.answer import Published, Rejected, Result
from service.nats.publisher import Publisher
from service.spool.memory import MemoryQueue

log = structlog.get_logger(__name__)

_BUSY = 0.1
"""Share of the waiting room that is used while NATS takes events."""
_GO_ON = 0.05
"""Held-back senders go on here: a distance to `_BUSY`, so that they do not flutter."""
_AT_ONCE = 256
"""Events handed to the publisher in one go, at most."""


class Outlet:
    def __init__(self, queue: MemoryQueue, template: SubjectTemplate, metrics: Metrics) -> None:
        self._queue = queue
        self._template = template
        self._metrics = metrics
        self._publisher: Publisher | None = None
        self._dead_letters: set[Envelope] = set()
        self._held_back: list[Callable[[], None]] = []
        self._not_empty = asyncio.Event()
        self._empty = asyncio.Event()

    @property
    def has_room(self) -> bool:
        """False: what comes in now has no place to wait."""
        return self._queue.has_room

    @property
    def should_hold_back(self) -> bool:
        """Whether senders that can wait should. While NATS takes events there is no use in
        reading faster than it takes them: most of the room is kept for when it does not."""
        return not self._queue.is_below(_BUSY if self._is_flowing else 1)

    @property
    def waiting(self) -> int:
        """Events not yet handed to the publisher."""
        return len(self._queue)

    def put(self, envelopes: Iterable[Envelope]) -> None:
        self._queue.extend(envelopes)
        self._empty.clear()
        self._not_empty.set()

    def when_room(self, resume: Callable[[], None]) -> None:
        self._held_back.append(resume)

    async def run(self, publisher: Publisher) -> None:
        """Until cancelled. An envelope leaves the queue only once the publisher has taken it."""
        self._publisher = publisher
        queue = self._queue
        while True:
            if not queue:
                self._empty.set()
                self._not_empty.clear()
                await self._not_empty.wait()
            for _ in range(await publisher.publish_some(queue.first(_AT_ONCE))):
                queue.popleft()
            if self._held_back:
                self._let_go()

    async def drain(self, publisher: Publisher, deadline: float) -> int:
        """Wait until nothing waits and nothing is in flight, at most until `deadline` (loop time).
        Returns how many events are left."""
        try:
            async with asyncio.timeout_at(deadline):
                await self.settled(publisher)
        except TimeoutError:
            pass
        return len(self._queue) + publisher.in_flight

    async def settled(self, publisher: Publisher) -> None:
        """Wait until nothing waits and nothing is in flight."""
        while self._queue or publisher.in_flight:  # a refusal puts a dead letter in
            await self._empty.wait()
            await publisher.idle()

    def flow_stopped(self) -> None:
        """NATS is away: who was held back early may fill the room now."""
        self._let_go()

    def done(self, envelope: Envelope, result: Result) -> None:
        """The publisher's answer; called once for each envelope."""
        if envelope in self._dead_letters:
            self._dead_letter_done(envelope, result)
        elif isinstance(result, Published):
            self._metrics.published(
                duplicate=result.duplicate,
                seconds=result.seconds,
                lag=time.time() - envelope.received,
            )
            if envelope.on_durable is not None:
                envelope.on_durable()
        else:
            self._refused(envelope, result)

    def _refused(self, envelope: Envelope, result: Rejected) -> None:
        self._metrics.event_dead()
        log.error(
            "event_refused",
            event_id=envelope.message_id,
            event_type=envelope.event_type,
            reason=result.reason,
            description=result.description,
        )
        letter = seal(
            dead_letter(envelope.body, result.reason, result.description),
            self._template,
            envelope.received,
        )
        letter.on_durable = envelope.on_durable
        self._dead_letters.add(letter)
        self.put([letter])

    def _dead_letter_done(self, letter: Envelope, result: Result) -> None:
        self._dead_letters.discard(letter)
        stored = isinstance(result, Published)
        self._metrics.dead_letter(stored=stored)
        if letter.on_durable is not None:  # nothing more can be done for it: its sender may go on
            letter.on_durable()
        if not stored:
            log.error("dead_letter_lost", event_id=letter.message_id)

    @property
    def _is_flowing(self) -> bool:
        return self._publisher is not None and self._publisher.is_attached

    def _let_go(self) -> None:
        if not self._held_back or not self._queue.is_below(_GO_ON if self._is_flowing else 1 / 2):
            return
        held_back, self._held_back = self._held_back, []
        for resume in held_back:
            resume()
