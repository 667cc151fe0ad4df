"""One NATS connection at a time, renewed for ever.

nats-py's own reconnecting is switched off: what was written to a dead socket is lost there without
a word, its buffer refuses publishes while the server is away, and some server errors close the
client for good. Here each connection is a new client, and the publisher sends again what was not
acknowledged on the old one.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable

import nats
import structlog
from nats.aio.client import Client
from nats.errors import Error as NatsError

from service import __version__
from service.nats.config import CredentialsError, NatsConfig

log = structlog.get_logger(__name__)

_FIRST_WAIT = 0.1
_LOOK_SECONDS = 0.1
_PENDING_BYTES = 4 * 1024 * 1024
"""nats-py writes to the socket without waiting while less than this is pending."""


class Connection:
    """`run` until cancelled. Hooks are called in this loop: `on_connected` may await, and the
    connection counts as up when it returns."""

    def __init__(
        self,
        config: NatsConfig,
        servers: Callable[[], list[str]],
        on_connected: Callable[[Client], Awaitable[None]],
        on_disconnected: Callable[[], None],
    ) -> None:
        self._config = config
        self._servers = servers
        self._on_connected = on_connected
        self._on_disconnected = on_disconnected
        self.is_connected = False
        self.last_error: str | None = None
        """For health: the latest trouble; None after a connection was made."""

    async def run(self) -> None:
        wait = _FIRST_WAIT
        while True:
            closed = asyncio.Event()
            client = await self._connect(closed)
            if client is not None:
                wait = _FIRST_WAIT
                try:
                    await self._serve(client, closed)
                finally:
                    self.is_connected = False
                    self._on_disconnected()
                    await _close(client)
            # Half to the whole of it: receivers cut off together do not come back together.
            await asyncio.sleep(wait * random.uniform(0.5, 1))
            wait = min(wait * 2, self._config.reconnect_wait_max)

    async def _serve(self, client: Client, closed: asyncio.Event) -> None:
        self.last_error = None
        try:
            await self._on_connected(client)
        except (NatsError, OSError, TimeoutError) as error:
            self._note(error)
            return
        self.is_connected = True
        log.info("nats_connected", server=_address(client))
        await _until_closed(client, closed)
        log.warning("nats_disconnected", error=self.last_error)

    async def _connect(self, closed: asyncio.Event) -> Client | None:
        async def on_error(error: Exception) -> None:
            self._note(error)

        async def on_closed() -> None:
            closed.set()

        config = self._config
        try:
            return await nats.connect(
                servers=self._servers(),
                name=f"mailfault/{__version__}",
                allow_reconnect=False,
                connect_timeout=config.connect_timeout,
                ping_interval=config.ping_interval,
                inbox_prefix=config.inbox_prefix,
                pending_size=_PENDING_BYTES,
                error_cb=on_error,
                closed_cb=on_closed,
                **config.credentials(),
            )
        except (NatsError, CredentialsError, OSError, TimeoutError, ValueError) as error:
            self._note(error)
            return None

    def _note(self, error: Exception) -> None:
        text = str(error) or type(error).__name__
        if text != self.last_error:
            log.warning("nats_trouble", error=text)
        self.last_error = text


async def _until_closed(client: Client, closed: asyncio.Event) -> None:
    """nats-py's `closed_cb`, and a look every now and then: closing fails inside nats-py when it
    still had something to write to a socket that uvloop has closed, and then it calls nobody."""
    while client.is_connected:
        try:
            await asyncio.wait_for(closed.wait(), _LOOK_SECONDS)
        except TimeoutError:
            continue


async def _close(client: Client) -> None:
    try:
        await client.close()
    except (NatsError, OSError, RuntimeError, TimeoutError):
        pass  # it was broken already


def _address(client: Client) -> str | None:
    url = client.connected_url
    return None if url is None else url.netloc.rpartition("@")[2]
