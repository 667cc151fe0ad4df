"""The board as a whole: NATS, the picture, the feed and the web server, started and stopped."""

import asyncio
import socket
from time import time
from typing import Any

import structlog
import uvicorn
import uvloop
from nats.aio.client import Client

from service import supervision
from service.address import split_address
from service.board.config import BoardConfig
from service.board.door import Door
from service.board.feed import Feed
from service.board.pages import Pages
from service.board.picture import Picture
from service.board.reader import StreamReader
from service.http_server import HttpServer, bind
from service.nats.config import DEFAULT_SERVER, NatsConfig
from service.nats.connection import Connection
from service.signals import stop_signal

log = structlog.get_logger(__name__)

_STOP_SECONDS = 3
_UNREAD_SECONDS = 20.0
"""A browser that takes nothing for so long is gone, or nearly."""
_OTHER_REQUESTS = 64
"""At once, beside the pages that are open."""


def run(config: BoardConfig, nats: NatsConfig) -> int:
    """Serve until SIGTERM or SIGINT. Returns the exit status. Raises `TokenError`."""
    token = config.read_token()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_serve(config, nats, token))


async def _serve(config: BoardConfig, nats: NatsConfig, token: str | None) -> int:
    board = Board(config, nats, token)
    stop = stop_signal()
    try:
        board.start()
    except OSError as error:
        log.error("start_failed", error=str(error))
        return 1
    await stop
    await board.stop()
    return 1 if supervision.has_failed() else 0


class Board:
    """In the running event loop: `start` once, then `stop` once."""

    def __init__(
        self,
        config: BoardConfig,
        nats: NatsConfig,
        token: str | None,
        unread_seconds: float = _UNREAD_SECONDS,
    ) -> None:
        self._config = config
        self._unread_ms = int(unread_seconds * 1000)
        self.address = split_address(config.listen)
        self._picture = Picture(config)
        self._reader = StreamReader(
            nats, config.history, config.history_events, self._take, self._picture.start_anew
        )
        servers = nats.servers or [DEFAULT_SERVER]
        self._connection = Connection(nats, lambda: servers, self._connected, self._disconnected)
        self._away_since: float | None = time()
        self._door = Door(config, token)
        self._feed = Feed(self._picture, self._state, config.clients)
        pages = Pages(
            self._picture,
            self._feed,
            self._reader,
            self._door,
            config.history,
            config.secure_cookie,
        )
        self._server = HttpServer(
            uvicorn.Config(
                pages.app(),
                access_log=False,
                log_config=None,
                lifespan="off",
                server_header=False,
                # `proxy_from` says whom to believe, and what.
                proxy_headers=False,
                limit_concurrency=config.clients + _OTHER_REQUESTS,
                timeout_graceful_shutdown=_STOP_SECONDS,
            )
        )
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Raises `OSError`."""
        sock = bind("board", *self.address)
        # Connections inherit it.
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, self._unread_ms)
        self.address = host, port = sock.getsockname()[:2]
        self._server.start(sock)
        self._tasks = [
            supervision.start(self._connection.run(), "nats-connection"),
            supervision.start(self._feed.run(), "feed"),
        ]
        log.info("listening", transport="board", host=host, port=port)

    async def stop(self) -> None:
        log.info("stopping")
        self._feed.close()
        await self._server.stop()
        for task in self._tasks:
            task.cancel()
        await asyncio.wait(self._tasks, timeout=_STOP_SECONDS)
        log.info("stopped")

    def _take(self, seq: int, data: bytes) -> None:
        self._picture.take(seq, data, time())

    async def _connected(self, client: Client) -> None:
        self._reader.attach(client)
        self._away_since = None

    def _disconnected(self) -> None:
        self._reader.detach()
        self._away_since = time()

    def _state(self) -> dict[str, Any]:
        trouble = self._reader.trouble if self._away_since is None else None
        return {
            "nats": {"away_since": self._away_since, "trouble": trouble},
            "to_read": self._reader.to_read,
            "is_cut": self._reader.is_cut,
            "has_token": self._door.has_token,
        }
