"""An outlet with all that is behind it, for tests: store, spooler, publisher, a connection."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from nats.aio.client import Client

from service.core.envelope import SubjectTemplate
from service.metrics import Metrics
from service.nats.config import NatsConfig
from service.nats.connection import Connection
from service.nats.publisher import Publisher
from service.nats.stream import StreamKeeper
from service.outlet import Outlet
from service.spool.config import SpoolConfig
from service.spool.memory_config import MemoryQueueConfig
from service.spool.store import SpoolStore
from tests.sample_lines import TEMPLATE


class Way:
    """An outlet with all that is behind it, wired as the application does."""

    def __init__(
        self,
        config: NatsConfig,
        queue: MemoryQueueConfig,
        home: Path,
        spool: SpoolConfig,
        template: SubjectTemplate = TEMPLATE,
    ) -> None:
        self.metrics = Metrics()
        self.store = SpoolStore(home, spool, on_change=self._spool_changed)
        self.outlet = Outlet(queue, spool, self.store, template, self.metrics)
        self.queue = self.outlet.queue
        self._stream = StreamKeeper(config)
        self.publisher = Publisher(
            config.window,
            config.window_bytes,
            config.ack_timeout,
            config.stream.name,
            on_results=self.outlet.done,
            on_resend=self.metrics.resent,
            on_no_stream=self._stream.look_again,
            on_trouble=self._stream.refuses,
        )
        self._connection = Connection(
            config, lambda: config.servers, self._connected, self._disconnected
        )
        self.seen: Callable[[Client], None] = lambda client: None
        """Is shown each new connection."""
        self.connected = asyncio.Event()
        self.disconnected = asyncio.Event()

    def _spool_changed(self) -> None:
        self.outlet.spooler.changed()

    async def _connected(self, client: Client) -> None:
        await self._stream.check(client)
        await self.publisher.attach(client)
        self.seen(client)
        self.outlet.flow_started()
        self.connected.set()

    def _disconnected(self) -> None:
        self.publisher.detach()
        self.outlet.flow_stopped()
        self.disconnected.set()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        await self.store.open()
        tasks = [
            asyncio.create_task(work)
            for work in (
                self._connection.run(),
                self._stream.run(),
                self.publisher.run(),
                self.outlet.run(self.publisher),
            )
        ]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            _, left = await asyncio.wait(tasks, timeout=30)
            assert not left, left
            await self.store.close()

    async def flowing(self) -> None:
        """Connected, and nothing is left on disk: events go straight to NATS."""
        async with asyncio.timeout(20):
            await self.connected.wait()
            await self.outlet.spooler.caught_up()


NOWHERE = "nats://127.0.0.1:1"


def way(
    home: Path, url: str = NOWHERE, max_events: int = 1000, max_waiting: int = 10_000, **spool: Any
) -> Way:
    """`max_events`: in memory; `max_waiting`: on disk."""
    config = NatsConfig(servers=[url], reconnect_wait_max=0.2)
    queue = MemoryQueueConfig(max_events=max_events)
    return Way(config, queue, home / "data", SpoolConfig(max_events=max_waiting, **spool))
