"""The connection, and one consumer at the end of it: kept through whatever happens to both.

In: how to connect, and the durable. Out: raw messages. Reconnecting is nats-py's; a consumer that
was deleted is made again where the last one had got to; JetStream is told of what is in hand.
"""

import asyncio
import contextlib
import logging
import weakref
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import replace
from typing import Any

import nats
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error as NatsError

from .durable import ConsumerError, Durable, Progress, StreamNotFoundError, ack_wait_of, settled_by
from .message import IN_PROGRESS, Message
from .pull import Puller, Trouble

_log = logging.getLogger(__name__)

_LOOK_SECONDS = 10.0
_RETRY_SECONDS = 1.0
_CLOSE_SECONDS = 5.0
BROKEN = (NatsError, OSError, TimeoutError, RuntimeError)
"""What nats-py raises when a connection breaks; `RuntimeError` is uvloop's closed socket."""


class Link:
    def __init__(self, durable: Durable, client: Client) -> None:
        """For `open_link` only."""
        # Weak: what the program has let go of without settling it comes again after `ack_wait`.
        self._in_hand: weakref.WeakSet[Message] = weakref.WeakSet()
        self._durable = durable
        self._client = client
        self._jetstream = client.jetstream()
        self._puller = Puller(client, durable.stream, durable.name)
        self._ack_wait = durable.ack_wait
        self._progress: Progress | None = None
        self._closing = False
        self._stopping = asyncio.Event()
        self._keeper: asyncio.Task[None] | None = None

    async def open(self) -> None:
        await self._look()
        await self._puller.start()
        self._keeper = asyncio.create_task(self._keep())

    def stop(self) -> None:
        """`next` returns None from now on."""
        self._stopping.set()
        self._puller.wake()

    def connection_changed(self) -> None:
        """It is another one, or there is none any more."""
        self._puller.forget()

    async def next(self, batch: int) -> Msg | None:
        """The next message; None once stopped. Raises `ConsumerError`."""
        while not self._stopping.is_set():
            if self._puller.arrived:
                return self._puller.arrived.popleft()
            if self._client.is_closed:
                raise ConsumerError(f"the connection is closed: {self._client.last_error}")
            try:
                await self._puller.wait(batch)
            except (Trouble, *BROKEN) as trouble:
                await self._recover(trouble)
        return None

    def hold(self, message: Message) -> None:
        """The program has it now."""
        self._in_hand.add(message)

    def unsettled(self) -> list[Message]:
        """What the program has in hand."""
        return [message for message in self._in_hand if not message.settled]

    async def recall(self) -> list[Msg]:
        """`rest`, and nothing more comes before `next` asks for it."""
        with contextlib.suppress(*BROKEN):  # then nothing of it comes, or `next` finds out
            await self._puller.recall()
        return self.rest()

    def rest(self) -> list[Msg]:
        """What was fetched and not taken; it is the caller's now."""
        rest = list(self._puller.arrived)
        self._puller.arrived.clear()
        return rest

    async def publish(self, subject: str, payload: bytes) -> None:
        await self._client.publish(subject, payload)

    async def end_fetching(self) -> None:
        """After it `rest` is complete."""
        self.stop()
        if self._client.is_connected:
            await _bounded(self._puller.end())

    async def close(self) -> None:
        """Bounded, whatever state the connection is in."""
        self._closing = True
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.wait([self._keeper])
        if self._client.is_connected:
            await _bounded(self._client.flush())  # what was settled last has reached the server
        await _bounded(self._client.close())

    async def _look(self) -> None:
        """Makes the consumer where it is not there, and notes how far it has got."""
        info, self._progress = await self._durable.ensure(self._jetstream, self._progress)
        self._ack_wait = ack_wait_of(info)

    async def _recover(self, trouble: Exception) -> None:
        """Until the consumer is there again, or nobody wants it any more."""
        while not self._stopping.is_set() and not self._client.is_closed:
            _log.warning("fetching from %s: %s", self._durable.name, _text(trouble))
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), _RETRY_SECONDS)
                return
            try:
                return await self._look()
            except (StreamNotFoundError, *BROKEN) as error:  # it was there, and may be again
                trouble = error

    async def _keep(self) -> None:
        """Tells JetStream that work goes on, and asks it how far everybody has got."""
        loop = asyncio.get_running_loop()
        asked = loop.time()
        # The flag, because nats-py swallows a cancellation now and then on Python 3.11.
        while not self._closing:
            await asyncio.sleep(min(self._ack_wait / 3, _LOOK_SECONDS))
            try:
                await self._say_in_progress()
                if loop.time() - asked >= _LOOK_SECONDS:
                    asked = loop.time()
                    await self._ask_how_far()
            except Exception as error:  # noqa: BLE001  # nats-py lets pass whatever it cannot read
                # Fetching finds out by itself, and acts; this has to go on.
                _log.debug("keeping hold of %s: %s", self._durable.name, error)

    async def _say_in_progress(self) -> None:
        # Apart from `_keep`: a message in a variable of that one would be kept for ever.
        for reply in [raw.reply for raw in self._puller.arrived]:
            await self.publish(reply, IN_PROGRESS)
        for message in self.unsettled():
            await message.in_progress()

    async def _ask_how_far(self) -> None:
        """Kept for the day somebody deletes the consumer."""
        info = await self._jetstream.consumer_info(self._durable.stream, self._durable.name)
        if self._progress is not None:
            self._progress = replace(self._progress, settled=settled_by(info))


async def open_link(durable: Durable, servers: str | list[str], options: Mapping[str, Any]) -> Link:
    """Raises `ConsumerError`, or what nats-py raises where no server lets us in."""
    links: list[Link] = []

    def telling(callback: str) -> Callable[[], Awaitable[None]]:
        theirs = options.get(callback)

        async def tell() -> None:
            for link in links:
                link.connection_changed()
            if theirs is not None:
                await theirs()

        return tell

    client = await nats.connect(
        servers,
        **{
            "name": f"mailfault-consumer/{durable.name}",
            "max_reconnect_attempts": -1,
            "error_cb": _log_error,
            **options,
            "reconnected_cb": telling("reconnected_cb"),
            "closed_cb": telling("closed_cb"),
        },
    )
    link = Link(durable, client)
    links.append(link)
    try:
        await link.open()
    except BaseException:
        await link.close()
        raise
    return link


async def _bounded(closing: Coroutine[Any, Any, None]) -> None:
    """Not `wait_for`: nats-py may keep its cancellation to itself and wait on."""
    task = asyncio.ensure_future(closing)
    await asyncio.wait([task], timeout=_CLOSE_SECONDS)
    if not task.done():
        task.cancel()
    elif not task.cancelled():
        task.exception()  # seen; there is nothing left to do about it


async def _log_error(error: Exception) -> None:
    _log.warning("nats: %s", _text(error))


def _text(error: Exception) -> str:
    return str(error) or type(error).__name__
