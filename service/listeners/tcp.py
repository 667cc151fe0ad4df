"""Syslog over TCP: RFC 6587 octet counting and LF framing, told apart frame by frame.

Backpressure: while the intake has no room the connection is not read, so that the sender's queue
fills and not ours. Idle connections are normal for log senders and are never closed for it.
"""

import asyncio
import os
import socket
from typing import cast

import structlog
from pydantic import BaseModel, ConfigDict, Field

from service.address import Addresses, split_address
from service.core.framing.base import MAX_FRAME_BYTES, Fault, Piece
from service.core.framing.hints import looks_like
from service.core.framing.sniffing import StreamFramer
from service.listeners.base import Intake, now, peer_ip
from service.metrics import Metrics
from service.received import Origin

log = structlog.get_logger(__name__)


class TcpConfig(BaseModel):
    """Syslog over plain TCP."""

    model_config = ConfigDict(extra="forbid")

    listen: Addresses = Field(
        default_factory=list, description="Addresses to listen on, as `0.0.0.0:5514`."
    )
    max_frame_bytes: int = Field(
        MAX_FRAME_BYTES,
        ge=480,
        le=1024 * 1024,
        description="Longer lines are cut here and marked `truncated`. RFC 5425 asks for 2048.",
    )
    max_connections: int = Field(
        1024, ge=1, description="Open connections per listener; more are closed at once."
    )


class TcpListener:
    transport = "tcp"

    def __init__(self, listen: str, config: TcpConfig, intake: Intake, metrics: Metrics) -> None:
        self._host, self._port = split_address(listen)
        self._config = config
        self._intake = intake
        self._metrics = metrics
        self._connections: set[_Connection] = set()
        self._server: asyncio.Server | None = None
        self._address = (self._host, self._port)

    @property
    def address(self) -> tuple[str, int]:
        return self._address

    @property
    def buffered_bytes(self) -> int:
        """Bytes of unfinished frames held for all connections."""
        return sum(connection.buffered_bytes for connection in self._connections)

    async def start(self) -> None:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            self._connection, self._host, self._port, backlog=1024, reuse_address=True
        )
        self._address = self._server.sockets[0].getsockname()[:2]

    async def stop(self, timeout: float) -> None:
        if self._server is not None:
            self._server.close()
        for connection in list(self._connections):
            connection.finish()
        closed = [connection.closed for connection in self._connections]
        if closed:
            _, late = await asyncio.wait(closed, timeout=timeout)
            if late:
                log.warning("connections_cut", transport=self.transport, connections=len(late))
        for connection in list(self._connections):
            connection.cut()

    def _connection(self) -> "_Connection":
        return _Connection(
            self.transport,
            self._intake,
            self._metrics,
            self._config,
            self._connections,
            asyncio.get_running_loop().create_future(),
        )


class _Connection(asyncio.Protocol):
    """One sender. Lives from `connection_made` to `connection_lost`."""

    def __init__(
        self,
        transport_name: str,
        intake: Intake,
        metrics: Metrics,
        config: TcpConfig,
        connections: set["_Connection"],
        closed: asyncio.Future[None],
    ) -> None:
        self._transport_name = transport_name
        self._intake = intake
        self._metrics = metrics
        self._max_connections = config.max_connections
        self._framer = StreamFramer(config.max_frame_bytes)
        self._connections = connections
        self._origin = Origin(transport_name, None)
        self._transport: asyncio.Transport | None = None
        self._is_fresh = True
        self._is_finishing = False
        self.closed = closed

    @property
    def buffered_bytes(self) -> int:
        return self._framer.buffered_bytes

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport = cast(asyncio.Transport, transport)  # uvloop's is no subclass of it
        peer = transport.get_extra_info("peername")
        self._origin = Origin(self._transport_name, peer_ip(peer[0]) if peer else None)
        if len(self._connections) >= self._max_connections:
            self._metrics.connection_refused(self._transport_name)
            log.warning(
                "connection_refused",
                transport=self._transport_name,
                peer=self._origin.source_ip,
                reason="max_connections",
            )
            transport.abort()
            return
        self._transport = transport
        self._connections.add(self)
        self._metrics.connection_opened(self._transport_name)
        _keep_alive(transport)

    def data_received(self, data: bytes) -> None:
        if self._transport is None:
            return
        if self._is_fresh:
            self._is_fresh = False
            self._hint(data)
        self._metrics.read(self._transport_name, len(data))
        self._take(self._framer.feed(data))
        if self._intake.should_hold_back:
            self._metrics.reading_paused(self._transport_name)
            self._transport.pause_reading()
            self._intake.when_room(self._resume)

    def eof_received(self) -> None:
        if self._is_finishing:  # the end is our own doing; the sender was inside a frame
            return
        self._take(self._framer.end())

    def connection_lost(self, exc: Exception | None) -> None:
        if self._transport is None:
            return
        self._take(self._framer.abort())
        self._transport = None
        self._connections.discard(self)
        self._metrics.connection_closed(self._transport_name)
        if not self.closed.done():
            self.closed.set_result(None)

    def finish(self) -> None:
        """Read what the kernel holds, then see an end of file: the sender is not heard further.

        `shutdown(SHUT_RD)` on Linux lets buffered bytes be read before the end is reported.
        """
        if self._transport is None:
            return
        self._is_finishing = True
        try:
            with socket.socket(fileno=os.dup(self._fileno(self._transport))) as duplicate:
                duplicate.shutdown(socket.SHUT_RD)
        except OSError:  # already gone
            self._transport.abort()

    def cut(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    @staticmethod
    def _fileno(transport: asyncio.Transport) -> int:
        number: int = transport.get_extra_info("socket").fileno()
        return number

    def _take(self, pieces: list[Piece]) -> None:
        if not pieces:
            return
        self._intake.take(pieces, self._origin, now())
        last = pieces[-1]
        if isinstance(last, Fault) and last.fatal:
            log.warning(
                "connection_closed",
                transport=self._transport_name,
                peer=self._origin.source_ip,
                reason=last.kind.value,
                detail=last.detail,
            )
            if self._transport is not None:
                self._transport.abort()

    def _resume(self) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()

    def _hint(self, data: bytes) -> None:
        hint = looks_like(data)
        if hint is not None:
            log.warning(
                "not_plain_syslog",
                transport=self._transport_name,
                peer=self._origin.source_ip,
                looks_like=hint,
            )


def _keep_alive(transport: asyncio.Transport) -> None:
    sock = transport.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
