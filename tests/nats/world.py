"""A publisher on a connection to a real server, with its results."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

from nats.aio.client import Client

from service.core.envelope import Envelope
from service.nats.answer import Result
from service.nats.config import NatsConfig
from service.nats.connection import Connection
from service.nats.publisher import Publisher
from service.nats.stream import StreamKeeper
from tests.nats.waiting import until


class World:
    def __init__(
        self, config: NatsConfig, on_client: Callable[[Client], None] = lambda client: None
    ) -> None:
        """`on_client`: is shown each new connection."""
        self.config = config
        self._on_client = on_client
        self.results: dict[Envelope, Result] = {}
        self.resends = 0
        self._changed = asyncio.Event()
        self.stream = StreamKeeper(config)
        self.publisher = Publisher(
            config.window,
            config.window_bytes,
            config.ack_timeout,
            config.stream.name,
            on_results=self._done,
            on_resend=self._resent,
            on_no_stream=self.stream.look_again,
            on_trouble=self.stream.refuses,
        )
        self.connection = Connection(
            config, lambda: config.servers, self._connected, self._disconnected
        )

    async def until(self, is_reached: Callable[["World"], bool], seconds: float = 30) -> None:
        async with asyncio.timeout(seconds):
            while not is_reached(self):
                self._changed.clear()
                await self._changed.wait()

    async def publish(self, *envelopes: Envelope) -> list[Result]:
        for envelope in envelopes:
            await self.publisher.publish(envelope)
        await self.until(lambda world: all(e in world.results for e in envelopes))
        return [self.results[envelope] for envelope in envelopes]

    def _done(self, results: Sequence[tuple[Envelope, Result]]) -> None:
        for envelope, result in results:
            assert envelope not in self.results, "one result for each envelope"
            self.results[envelope] = result
        self._changed.set()

    def _resent(self, count: int) -> None:
        self.resends += count
        self._changed.set()

    async def _connected(self, client: Client) -> None:
        self._on_client(client)
        await self.stream.check(client)
        await self.publisher.attach(client)
        self._changed.set()

    def _disconnected(self) -> None:
        self.publisher.detach()
        self._changed.set()


@asynccontextmanager
async def world(
    config: NatsConfig, on_client: Callable[[Client], None] = lambda client: None
) -> AsyncIterator[World]:
    made = World(config, on_client)
    tasks = [
        asyncio.create_task(made.connection.run()),
        asyncio.create_task(made.publisher.run()),
        asyncio.create_task(made.stream.run()),
    ]
    try:
        yield made
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


@asynccontextmanager
async def attached(config: NatsConfig) -> AsyncIterator[World]:
    async with world(config) as here:
        await here.until(lambda world: world.publisher.is_attached)
        yield here


async def last_error_of(config: NatsConfig, words: str) -> None:
    """It does not connect, it says why, and it goes on trying."""
    async with world(config) as here:
        await until(lambda: words in (here.connection.last_error or ""))
        assert not here.connection.is_connected
        assert not here.publisher.is_attached


def envelope(number: int, subject: str = "postfix.bounced.mx1", size: int = 600) -> Envelope:
    message_id = f"{number:032x}"
    return Envelope(
        subject=subject,
        message_id=message_id,
        event_type="bounced",
        body=b"%032x" % number + b"x" * (size - 32),
        header_lines=f"ce-id: {message_id}\r\nce-type: mailfault.bounced.v1",
    )
