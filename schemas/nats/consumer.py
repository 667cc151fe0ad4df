"""Events of one durable pull consumer, as an async iterator or for a handler.

In: servers, a name that is kept, what to deliver. Out: `Message` by `Message`, in the order of the
stream but for redeliveries. Several processes with one `durable` share its events.
"""

import contextlib
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from datetime import datetime
from types import TracebackType
from typing import Any, Self

from nats.aio.msg import Msg

from ..codec import DecodeError, Event, decode
from ..subjects import DEFAULT_PREFIX, wildcard
from .durable import Durable, Start
from .link import BROKEN, Link, open_link
from .message import ACK, Counts, Message, Terminate, nak, term

_log = logging.getLogger(__name__)

BACKOFF = (1.0, 5.0, 30.0, 120.0, 600.0, 3600.0)
MAX_DELIVERIES = 30
"""With `BACKOFF` that is about a day, in which whatever the subscriber needs may come back."""

_SUSPECT = 2
"""From this delivery on an event is handled with nothing else in hand: if it kills the process,
only its own deliveries are counted."""
_SINGLE_BELOW = 4
"""With so few deliveries allowed none may be spent on an event that is merely at hand when another
one kills the process: events are fetched one by one."""

Some = str | Iterable[str]
Handler = Callable[[Message], Awaitable[object]]


class Consumer:
    """Use it as `async with`, then iterate or `run`. Nothing is lost when the program dies: what
    was not settled comes again after `ack_wait`."""

    def __init__(
        self,
        servers: str | list[str] = "nats://127.0.0.1:4222",
        *,
        durable: str,
        types: Some = (),
        mta: Some = (),
        category: Some = (),
        domain: Some = (),
        start: Start = "all",
        stream: str = "POSTFIX",
        prefix: str = DEFAULT_PREFIX,
        subjects: Some = (),
        ack_wait: float = 60.0,
        backoff: Sequence[float] = BACKOFF,
        max_deliveries: int = MAX_DELIVERIES,
        prefetch: int = 32,
        connect: Mapping[str, Any] | None = None,
    ) -> None:
        """
        - `durable`: name of the consumer in the server, which remembers how far it got.
        - `types`, `mta`: event types and reporting hosts; the server delivers no others. `subjects`
          in their place for a receiver with a subject template of its own.
        - `category`, `domain`: causes and recipient domains; others are acknowledged unseen.
        - `start`: where a new consumer begins: `all` that is stored, what is `new`, or a time.
        - `ack_wait`: seconds after which the events of a process that died are delivered again.
        - `backoff`: seconds until the next delivery, after the first, second ... one failed.
        - `max_deliveries`: what failed that often is terminated.
        - `prefetch`: events to have at hand; 1 where several slow processes share them.
        - `connect`: more options of `nats.connect`: `user_credentials`, `tls`, `inbox_prefix` ...

        For each of the filters: one word or several; nothing means all.
        """
        if isinstance(start, datetime) and start.tzinfo is None:
            raise ValueError("start needs a time zone")
        if not isinstance(start, datetime) and start not in ("all", "new"):
            raise ValueError("start is 'all', 'new' or a time")
        if min(ack_wait, max_deliveries, prefetch, *backoff) <= 0 or not backoff:
            raise ValueError("ack_wait, backoff, max_deliveries and prefetch are above zero")
        wanted = _several(subjects) or _subjects(_several(types), _several(mta), prefix)
        self.counts = Counts()
        self._servers = servers
        self._options = dict(connect or {})
        self._durable = Durable(stream, durable, wanted, start, ack_wait, tuple(backoff))
        self._categories = frozenset(_several(category))
        self._domains = frozenset(name.lower() for name in _several(domain))
        self._backoff = tuple(backoff)
        self._max_deliveries = max_deliveries
        self._prefetch = 1 if max_deliveries < _SINGLE_BELOW else prefetch
        self._singly = 1  # so many are fetched one by one, before several at once
        self._stopped = False
        self._link: Link | None = None

    async def __aenter__(self) -> Self:
        """Connects, and makes or checks the consumer. Waits until a server lets it in, and logs
        each attempt that fails. Raises `ConsumerError`."""
        self._link = await open_link(self._durable, self._servers, self._options)
        if self._stopped:
            self._link.stop()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Gives back what was fetched, at once, and what was in hand, after `backoff`."""
        link = self._connected
        try:
            await link.end_fetching()
            with contextlib.suppress(*BROKEN):  # then all of it comes again after `ack_wait`
                for message in link.unsettled():
                    await message.nak()
                await self._give_back(link.rest())
        finally:
            self._link = None
            await link.close()

    def stop(self) -> None:
        """No more events: the iteration ends after this one, `run` returns. For a signal handler:
        `loop.add_signal_handler(signal.SIGTERM, consumer.stop)`."""
        self._stopped = True
        if self._link is not None:
            self._link.stop()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Message:
        link = self._connected
        while (raw := await link.next(1 if self._singly else self._prefetch)) is not None:
            self.counts.delivered += 1
            message = await self._message(raw)
            if message is not None:
                link.hold(message)
                return message
        raise StopAsyncIteration

    async def run(self, handler: Handler) -> None:
        """Until `stop`: hands over each event, acknowledges it when the handler returns.

        When the handler raises, the event is delivered again after `backoff`, at most
        `max_deliveries` times; it is terminated at once when the handler raises `Terminate`. A
        handler may settle the message itself. Slow handlers are no problem, those that block the
        event loop are.
        """
        async for message in self:
            try:
                await handler(message)
            except Terminate as decision:
                if not message.settled:
                    await message.term(str(decision))
            except Exception as error:  # noqa: BLE001  # whatever it is, the next event is another
                await self._failed(message, error)
            else:
                if not message.settled:
                    await message.ack()

    @property
    def _connected(self) -> Link:
        if self._link is None:
            raise RuntimeError("a Consumer is used as `async with Consumer(...) as consumer:`")
        return self._link

    async def _message(self, raw: Msg) -> Message | None:
        """What the program is to see of it: None where the consumer deals with it itself."""
        deliveries = raw.metadata.num_delivered
        if deliveries >= _SUSPECT:
            await self._give_back(await self._connected.recall())
            # Where one was delivered again others are: giving back is to stay the exception.
            self._singly = self._prefetch
        elif self._singly:
            self._singly -= 1
        if deliveries > self._max_deliveries:
            await self._poison(raw, f"delivered {deliveries - 1} times and never acknowledged")
            return None
        try:
            event = decode(raw.data)
        except DecodeError as error:
            await self._poison(raw, str(error))
            return None
        if not self._wants(event):
            await self._connected.publish(raw.reply, ACK)
            self.counts.filtered += 1
            return None
        return Message(event, raw, self._connected.publish, self.counts, self._delay_after)

    def _wants(self, event: Event) -> bool:
        return (not self._categories or event.category in self._categories) and (
            not self._domains or event.recipient_domain in self._domains
        )

    async def _failed(self, message: Message, error: Exception) -> None:
        if message.settled:
            _log.exception("%r: failed after it was settled", message, exc_info=error)
        elif message.deliveries >= self._max_deliveries:
            message.settled = True
            reason = f"failed {message.deliveries} times, at last with {type(error).__name__}"
            _log.error("%r: %s", message, reason, exc_info=error)
            await self._poison(message.raw, reason)
        else:
            _log.warning("%r: failed, will be tried again", message, exc_info=error)
            await message.nak()

    async def _poison(self, raw: Msg, reason: str) -> None:
        """For good: the reason goes into the server's advisory and the log."""
        sequence = raw.metadata.sequence.stream
        _log.error("poison: %s, message %d of the stream: %s", raw.subject, sequence, reason)
        await self._connected.publish(raw.reply, term(reason))
        self.counts.poison += 1

    async def _give_back(self, untouched: list[Msg]) -> None:
        """At once the first time; later after a while, so that a program that is restarted over
        and over does not use up deliveries."""
        for raw in untouched:
            deliveries = raw.metadata.num_delivered
            delay = self._delay_after(deliveries - 1) if deliveries >= _SUSPECT else 0.0
            await self._connected.publish(raw.reply, nak(delay))
            self.counts.delivered += 1
            self.counts.returned += 1

    def _delay_after(self, deliveries: int) -> float:
        return self._backoff[min(deliveries, len(self._backoff)) - 1]


def _several(words: Some) -> tuple[str, ...]:
    return (words,) if isinstance(words, str) else tuple(dict.fromkeys(words))


def _subjects(types: tuple[str, ...], hosts: tuple[str, ...], prefix: str) -> tuple[str, ...]:
    """Without two that overlap: the server takes no such consumer."""
    kinds: tuple[str | None, ...] = types or (None,)
    places: tuple[str | None, ...] = hosts or (None,)
    return tuple(
        dict.fromkeys(
            wildcard(kind, mta=place, prefix=prefix) for kind in kinds for place in places
        )
    )
