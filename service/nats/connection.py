"""One NATS connection at a time, renewed for ever.

In: the servers. Out: calls when a client is connected, and when it is no more.

nats-py's own reconnecting is switched off: what was written to a dead socket is lost there without
a word, its buffer refuses publishes while the server is away, and some server errors close the
client for good. Here each connection is a new client to one server of the list, and the publisher
sends again what was not acknowledged on the old one.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable
from itertools import count

import structlog
from nats.aio.client import Client
from nats.errors import NoServersError

from service.nats.client import connect, let_go, obey_cancellation, words
from service.nats.config import NatsConfig

log = structlog.get_logger(__name__)

_FIRST_WAIT = 0.1
_LOOK_SECONDS = 0.1
_STEADY_SECONDS = 5.0
"""A connection that lasted so long was a good one: the next attempt comes after the first wait."""
_QUIET_SECONDS = 2.0
_LEARNT_MAX = 32


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
        self._learnt: list[str] = []
        """Further members of the cluster, as its servers named them."""
        self._on_connected = on_connected
        self._on_disconnected = on_disconnected
        self._quiet_until = 0.0
        self._said: str | None = None
        self._unsaid = 0
        self.is_connected = False
        self.last_error: str | None = None
        """For health: the latest trouble; None after a connection was made."""

    async def run(self) -> None:
        clock = asyncio.get_running_loop().time
        first = wait = min(_FIRST_WAIT, self._config.reconnect_wait_max)
        for turn in count():
            began = clock()
            servers = list(dict.fromkeys((*self._servers(), *self._learnt)))
            closed = asyncio.Event()
            client = await self._connect(servers[turn % len(servers)], closed)
            if client is not None:
                try:
                    obey_cancellation()
                    await self._serve(client, closed)
                finally:
                    self.is_connected = False
                    self._on_disconnected()
                    await let_go(client)
                # A server may take us and throw us out at once, again and again.
                if clock() - began > _STEADY_SECONDS:
                    wait = first
            obey_cancellation()
            # Half to the whole of it: receivers cut off together do not come back together.
            await asyncio.sleep(wait * random.uniform(0.5, 1))
            wait = min(wait * 2, self._config.reconnect_wait_max)

    async def _serve(self, client: Client, closed: asyncio.Event) -> None:
        self.last_error = self._said = None
        self._learn(client)
        try:
            await self._on_connected(client)
        except Exception as error:  # noqa: BLE001  # whatever it is, a new connection may heal it
            self._note(error)
            return
        obey_cancellation()
        self.is_connected = True
        log.info("nats_connected", server=_address(client))
        await _until_closed(client, closed)
        if client.last_error is not None:  # `-ERR` reaches no callback
            self._note(client.last_error)
        log.warning("nats_disconnected", error=self.last_error)

    async def _connect(self, server: str, closed: asyncio.Event) -> Client | None:
        async def on_error(error: Exception) -> None:
            self._note(error)

        async def on_closed() -> None:
            closed.set()

        try:
            # Two tries without a pause, then it gives up: the pauses are ours.
            async with asyncio.timeout(3 * self._config.connect_timeout):
                return await connect(self._config, [server], on_error, on_closed)
        except NoServersError:
            return None  # it says nothing new: `on_error` was told why
        except Exception as error:  # noqa: BLE001  # whatever answers at that address
            self._note(error)
            return None

    def _learn(self, client: Client) -> None:
        """Where the user stands in the URL, the others would not know us."""
        if not any("@" in server for server in self._servers()):
            self._learnt = [url.geturl() for url in client.discovered_servers][:_LEARNT_MAX]

    def _note(self, error: Exception) -> None:
        """Keep it for health; say it once, and not in a storm."""
        self.last_error = text = words(error)
        # Permission errors quote a subject: one line for all of them, not one for each.
        kind = text.partition('"')[0]
        now = asyncio.get_running_loop().time()
        if kind == self._said or now < self._quiet_until:
            self._unsaid += 1
            return
        log.warning("nats_trouble", error=text, unsaid=self._unsaid)
        self._said = kind
        self._unsaid = 0
        self._quiet_until = now + _QUIET_SECONDS


async def _until_closed(client: Client, closed: asyncio.Event) -> None:
    """nats-py's `closed_cb`, and a look every now and then: closing fails inside nats-py when it
    still had something to write to a socket that uvloop has closed, and then it calls nobody."""
    while client.is_connected:
        try:
            async with asyncio.timeout(_LOOK_SECONDS):
                await closed.wait()
        except TimeoutError:
            continue


def _address(client: Client) -> str | None:
    url = client.connected_url
    return None if url is None else url.netloc.rpartition("@")[2]
