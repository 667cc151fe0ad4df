"""Deliver: from the pipeline to JetStream, over the disk where NATS does not take events at once.

In: envelopes. Out: counts, and a word to whoever waits for an event to be durable; each envelope
ends as acknowledged (`ok`, `duplicate`) or `dead`. The publisher retries for ever what is only
unavailable; in the place of what JetStream refuses for good goes a dead letter (`dead_letters`).

    put ──▶ memory ──▶ publisher          NATS takes events, nothing is behind
    put ──▶ spool ──▶ memory ──▶ publisher    NATS is away or slow, the spool is not yet drained,
                                              or durability is `write-ahead`
"""

import asyncio
import time
from collections.abc import Callable, Iterable

import structlog

from service.core.envelope import Envelope, SubjectTemplate
from service.dead_letters import DeadLetters
from service.durability import Durability
from service.metrics import Metrics
from service.nats.answer import Published, Result
from service.nats.client import obey_cancellation
from service.nats.publisher import Publisher
from service.spool.config import SpoolConfig
from service.spool.memory import MemoryQueue
from service.spool.memory_config import MemoryQueueConfig
from service.spool.spooler import Spooler
from service.spool.store import SpoolStore

log = structlog.get_logger(__name__)

_BUSY = 0.1
"""Share of the waiting room that is used while events get on."""
_GO_ON = 0.05
"""Held-back senders go on here: a distance to `_BUSY`, so that they do not flutter."""
_BUSY_EVENTS = 500
"""In front of a publisher that takes them: its window is what keeps it at work, and whoever waits
for an acknowledgement waits for all that stands here. Ten times as many bring no more lines."""
_GO_ON_EVENTS = 250
_READ_AHEAD = 2000
"""Events from the spool that wait in memory to be published, if `_GO_ON` is not less."""
_LOOK_SECONDS = 0.1
_STUCK_SECONDS = 5.0
"""NATS that has owed an acknowledgement for so long is no way out."""
_SAVE_SECONDS = 5.0
"""At stop, how long the disk may take for what NATS did not."""


class Outlet:
    def __init__(
        self,
        queue: MemoryQueueConfig,
        spool: SpoolConfig,
        store: SpoolStore,
        template: SubjectTemplate,
        metrics: Metrics,
    ) -> None:
        self.queue = MemoryQueue(queue)
        """To be published next."""
        self._store = store
        self._read_ahead = max(1, min(_READ_AHEAD, int(_GO_ON * queue.max_events)))
        self.spooler = Spooler(
            store,
            queue,
            self._hand_on,
            wants_more=self._wants_more,
            may_bypass=self._may_bypass,
            on_progress=self._let_go,
        )
        self._is_write_ahead = spool.durability == "write-ahead"
        self._patience = spool.after
        self._metrics = metrics
        self._publisher: Publisher | None = None
        self._letters = DeadLetters(
            template, metrics, self.spooler, self._hand_on, self._is_durable
        )
        self._held_back: list[Callable[[], None]] = []
        self._not_empty = asyncio.Event()
        self._empty = asyncio.Event()

    @property
    def has_room(self) -> bool:
        """False: what comes in now has no place to wait."""
        return self.queue.has_room and self.spooler.incoming.has_room

    @property
    def should_hold_back(self) -> bool:
        """Whether senders that can wait should. While events get on there is no use in reading
        faster than they do: most of the room is kept for when they do not."""
        share = _BUSY if self._gets_on else 1
        return not self._is_below(share, _BUSY_EVENTS)

    @property
    def is_safe(self) -> bool:
        """Whether what comes in now has somewhere durable to go."""
        return self._store.has_room or (self._may_bypass() and not self._is_stuck)

    @property
    def waiting(self) -> int:
        """Events in memory that the publisher does not have yet."""
        return len(self.queue) + self.spooler.unsaved

    def put(self, envelopes: Iterable[Envelope]) -> None:
        envelopes = list(envelopes)
        if self._is_write_ahead or self.spooler.is_behind:
            self.spooler.put(envelopes)
        elif not self._is_published_at_once(envelopes):
            self._hand_on(envelopes)

    def when_room(self, resume: Callable[[], None]) -> None:
        self._held_back.append(resume)

    async def run(self, publisher: Publisher) -> None:
        """Until cancelled: publishes, and takes the way over the disk when NATS is no way out."""
        self._publisher = publisher
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._publish(publisher))
            tasks.create_task(self._watch(publisher))
            tasks.create_task(self.spooler.append())
            tasks.create_task(self.spooler.drain())
            tasks.create_task(self.spooler.remove())

    async def drain(self, publisher: Publisher, deadline: float) -> int:
        """Until `deadline` (loop time) and while NATS takes events, wait until all are published,
        those on disk too; then put on disk what is not. Returns how many events are neither."""
        clock = asyncio.get_running_loop().time
        while self._is_flowing and (left := deadline - clock()) > 0:
            try:
                async with asyncio.timeout(min(left, _LOOK_SECONDS)):
                    await self.settled(publisher)
                break
            except TimeoutError:
                continue  # NATS may have gone away meanwhile: then there is nothing to wait for
        self._save_all(publisher)
        try:
            async with asyncio.timeout(_SAVE_SECONDS):
                await self.spooler.saved()
                await self.spooler.remove_now()
        except TimeoutError:
            pass
        return self._unsaved(publisher) + self.spooler.unsaved

    async def settled(self, publisher: Publisher) -> None:
        """Wait until every event made so far is acknowledged."""
        while self.queue or publisher.in_flight or self.spooler.is_unsettled:
            await self._a_step(publisher)  # a refusal puts a dead letter in
            await self.spooler.caught_up()

    def flow_started(self) -> None:
        """NATS is back: what is on disk may go on."""
        self.spooler.look_again()

    def flow_stopped(self) -> None:
        """NATS is away: who was held back early may fill the room now."""
        self._let_go()

    async def durable(self) -> None:
        """Wait until every event made until now is acknowledged, or on disk."""
        unsaved = self.queue.all_unsaved() + self.spooler.all_unsaved()
        if self._publisher is not None:
            unsaved += self._publisher.all_unsaved()
        await Durability(unsaved).reached()

    def done(self, results: Iterable[tuple[Envelope, Result]]) -> None:
        """The publisher's answers; one for each envelope."""
        same: Published | None = None
        received, count = 0.0, 0
        letters = self._letters.on_their_way  # hardly ever any
        for envelope, result in results:
            if letters and envelope in letters:
                self._letters.done(envelope, result)
            elif isinstance(result, Published):
                # Counted in runs: those that were read, sent and answered together are alike.
                if result is not same or envelope.received != received:
                    self._count(same, received, count)
                    same, received, count = result, envelope.received, 0
                count += 1
                self._is_durable(envelope)
            else:
                self._letters.refused(envelope, result)
        self._count(same, received, count)

    def _is_published_at_once(self, envelopes: list[Envelope]) -> bool:
        """For senders that wait for their answers, who then send no more: the way through the queue
        costs them some turns of the loop. Whoever does not wait is served in larger numbers."""
        return (
            self._publisher is not None
            and not self.queue
            and bool(envelopes)
            and envelopes[0].on_durable is not None
            and self._publisher.publish_now(envelopes)
        )

    def _hand_on(self, envelopes: Iterable[Envelope]) -> None:
        self.queue.extend(envelopes)
        self._empty.clear()
        self._not_empty.set()

    async def _publish(self, publisher: Publisher) -> None:
        queue = self.queue
        while True:
            if not queue:
                self._empty.set()
                self._not_empty.clear()
                await self._not_empty.wait()
            await publisher.publish_from(queue.take)
            obey_cancellation()
            if self._held_back:
                self._let_go()
            if self.spooler.is_behind:
                self.spooler.look_again()

    async def _watch(self, publisher: Publisher) -> None:
        clock = asyncio.get_running_loop().time
        flowed = clock()
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            now = clock()
            if publisher.is_attached:
                flowed = now
            is_late = max(now - flowed, publisher.oldest_seconds) >= self._patience
            if is_late and self._store.has_room and (unsaved := self._unsaved(publisher)):
                log.warning(
                    "events_go_to_disk", events=unsaved, nats_connected=publisher.is_attached
                )
                self._save_all(publisher)

    def _save_all(self, publisher: Publisher) -> None:
        """What is in memory only, in order, and everything after it, over the disk."""
        withdrawn = publisher.withdraw_unsaved()
        self._metrics.resent(len(withdrawn))  # from the disk, whatever became of the first time
        unsaved = withdrawn + self.queue.take_unsaved()
        if unsaved:
            self.spooler.fall_behind()
            self.spooler.put(unsaved)

    def _unsaved(self, publisher: Publisher) -> int:
        """Events that are in memory only, and not on their way to the disk."""
        return publisher.unsaved + self.queue.unsaved

    async def _a_step(self, publisher: Publisher) -> None:
        """Until something moved on."""
        await self.spooler.saved()
        if self.queue:
            await self._empty.wait()
        await publisher.idle()
        await asyncio.sleep(0)

    def _count(self, published: Published | None, received: float, count: int) -> None:
        if published is not None:
            self._metrics.published(
                duplicate=published.duplicate,
                seconds=published.seconds,
                lag=time.time() - received,
                count=count,
            )

    def _is_durable(self, envelope: Envelope) -> None:
        if envelope.row is not None:
            self.spooler.published(envelope.row)
        if envelope.on_durable is not None:
            try:
                envelope.on_durable()
            except Exception:  # others of this answer must not end with it
                log.exception("receipt_failed")

    def _wants_more(self) -> int:
        return max(0, self._read_ahead - len(self.queue)) if self._is_flowing else 0

    def _may_bypass(self) -> bool:
        return self._is_flowing and not self._is_write_ahead

    @property
    def _is_flowing(self) -> bool:
        return self._publisher is not None and self._publisher.is_attached

    @property
    def _is_stuck(self) -> bool:
        """NATS is there and takes nothing: the stream is full, or the server hangs."""
        return self._publisher is not None and self._publisher.oldest_seconds >= _STUCK_SECONDS

    @property
    def _gets_on(self) -> bool:
        return self._is_flowing or self._store.has_room

    def _is_below(self, share: float, events: int) -> bool:
        """`events`: where they go straight on. On the way over the disk they come and go by
        thousands."""
        is_straight = self._may_bypass() and not self.spooler.is_behind
        return (
            (not is_straight or len(self.queue) < events)
            and self.queue.is_below(share)
            and self.spooler.incoming.is_below(share)
        )

    def _let_go(self) -> None:
        share = _GO_ON if self._gets_on else 1 / 2
        if not self._held_back or not self._is_below(share, _GO_ON_EVENTS):
            return
        held_back, self._held_back = self._held_back, []
        for resume in held_back:
            resume()
