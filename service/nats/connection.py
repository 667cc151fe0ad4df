"""One connection to NATS, for ever: connect, notice its end, connect again.

In: settings. Out: nats-py clients, one after the other, handed to the `User`s of the connection;
whether it stands, and the last error in words.

Each connection is a new nats-py `Client`, with its own reconnecting switched off: that gives up
for good on any `-ERR` of the server, dies of unexpected exceptions, and keeps bytes that were
meant for the old connection. What was not acknowledged is the publisher's to send again.
"""

import asyncio
import contextlib
import random
from collections.abc import Callable, Sequence
from typing import Protocol

import structlog
from nats.aio.client import Client

from service.nats.config import NatsConfig
from service.nats.credentials import credentials
from service.nats.seldom import Seldom
from service.nats.servers import Candidate, Servers

log = structlog.get_logger(__name__)

_FIRST_WAIT = 0.1
_STABLE_SECONDS = 5.0
"""A connection that lived this long was a good one: the next attempt needs no wait."""
_LOOK_SECONDS = 0.25
"""nats-py does not always say that a connection ended (an error while closing hides it), so the
state is looked at too."""
_DISPOSE_SECONDS = 2.0


class User(Protocol):
    """Who works with the connection."""

    async def attach(self, client: Client) -> None:
        """A new connection stands: subscribe. An exception ends this connection."""
        ...

    def detach(self) -> None:
        """It is gone. Called once after each `attach`."""
        ...


class Connection:
    """`start` once, `close` once. Never raises for what a server or a network does."""

    def __init__(
        self,
        config: NatsConfig,
        users: Sequence[User] = (),
        *,
        on_connected: Callable[[], None] = lambda: None,
        on_disconnected: Callable[[], None] = lambda: None,
    ) -> None:
        self._config = config
        self._users = users
        self._on_connected = on_connected
        self._on_disconnected = on_disconnected
        self._servers = Servers(config.servers)
        self._client: Client | None = None
        self._server: str | None = None
        self._task: asyncio.Task[None] | None = None
        self._ended = asyncio.Event()
        self._seldom = Seldom(5.0)
        self.last_error: str | None = None
        """Why there is no connection, or what the server complained of since it stands."""
        self.connects = 0

    @property
    def connected(self) -> bool:
        return self._client is not None

    @property
    def server(self) -> str | None:
        """URL of the server, while connected."""
        return self._server

    def start(self) -> None:
        self._task = asyncio.create_task(self._stay_connected(), name="nats-connection")

    async def close(self, timeout: float = 5.0) -> None:
        """Say good-bye: what was sent is delivered, subscriptions end."""
        client = self._client
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task], timeout=timeout)
        if client is not None and client.is_connected:
            with contextlib.suppress(Exception):
                async with asyncio.timeout(timeout):
                    await client.drain()
        if client is not None:
            await _dispose(client)

    async def _stay_connected(self) -> None:
        failures = 0
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(self._wait(failures))
            failures += 1
            candidate = self._servers.next()
            client = await self._connect(candidate)
            if client is None:
                continue
            began = loop.time()
            try:
                await self._use(client, candidate)
            finally:
                self._lose()
            if loop.time() - began >= _STABLE_SECONDS:
                failures = 0
            await _dispose(client)

    def _wait(self, failures: int) -> float:
        """All servers are tried before the wait grows."""
        if failures == 0:
            return 0.0
        rounds = min(failures // max(1, len(self._servers)), 16)
        longest = min(self._config.reconnect_wait_max, _FIRST_WAIT * 2**rounds)
        return random.uniform(longest / 2, longest)

    async def _connect(self, candidate: Candidate) -> Client | None:
        config = self._config
        client = Client()
        self._ended.clear()
        self._note(None)
        try:
            # Each step of nats-py has this timeout; together they are bounded too.
            async with asyncio.timeout(3 * config.connect_timeout):
                await client.connect(
                    [candidate.url],
                    name=config.name,
                    connect_timeout=config.connect_timeout,  # type: ignore[arg-type]
                    ping_interval=config.ping_interval,  # type: ignore[arg-type]
                    allow_reconnect=False,
                    max_reconnect_attempts=1,
                    reconnect_time_wait=0,
                    # No buffer for what is published while the connection is gone.
                    pending_size=0,
                    # The publisher checks subjects, each one once.
                    skip_subject_validation=True,
                    inbox_prefix=config.inbox_prefix,
                    tls_hostname=config.tls_hostname or candidate.hostname,
                    tls_handshake_first=config.tls_handshake_first,
                    error_cb=self._on_error,
                    disconnected_cb=self._on_end,
                    closed_cb=self._on_end,
                    lame_duck_mode_cb=self._on_lame_duck,
                    discovered_server_cb=self._on_discovered,
                    **credentials(config),
                )
            for user in self._users:
                await user.attach(client)
        except Exception as error:  # noqa: BLE001  (for ever means whatever it is)
            for user in self._users:
                user.detach()
            # nats-py raises "no servers" after it gave the true reason to the error callback.
            self._note(self.last_error or _words(error))
            if (held_back := self._seldom.due()) is not None:
                log.warning(
                    "nats_connect_failed",
                    server=candidate.url,
                    error=self.last_error,
                    held_back=held_back,
                )
            await _dispose(client)
            return None
        except BaseException:
            await _dispose(client)
            raise
        return client

    async def _use(self, client: Client, candidate: Candidate) -> None:
        self._client, self._server = client, candidate.url
        self._note(None)
        self.connects += 1
        self._servers.learn(candidate, (url.geturl() for url in client.discovered_servers))
        log.info(
            "nats_connected",
            server=candidate.url,
            version=str(client.connected_server_version),
            again=self.connects > 1,
        )
        self._on_connected()
        while client.is_connected:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_LOOK_SECONDS):
                    await self._ended.wait()
                    break
        if self.last_error is None and client.last_error is not None:
            self._note(_words(client.last_error))

    def _lose(self) -> None:
        if self._client is None:
            return
        self._client = self._server = None
        for user in self._users:
            user.detach()
        log.warning("nats_disconnected", error=self.last_error)
        self._on_disconnected()

    def _note(self, error: str | None) -> None:
        self.last_error = error

    # What nats-py calls: coroutines, all of them.

    async def _on_error(self, error: Exception) -> None:
        self._note(_words(error))
        if self._client is not None and (held_back := self._seldom.due()) is not None:
            log.warning("nats_error", error=_words(error), held_back=held_back)

    async def _on_end(self) -> None:
        self._ended.set()

    async def _on_lame_duck(self) -> None:
        log.warning("nats_lame_duck", server=self._server)

    async def _on_discovered(self) -> None:
        log.debug("nats_servers_discovered", server=self._server)


def _words(error: BaseException) -> str:
    text = str(error).removeprefix("nats: ").strip("'") or type(error).__name__
    return text[:500]


async def _dispose(client: Client) -> None:
    """Let go of sockets and tasks, whatever state they are in."""
    with contextlib.suppress(Exception):
        async with asyncio.timeout(_DISPOSE_SECONDS):
            await client.close()
