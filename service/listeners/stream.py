"""The server of every listener with connections: accept, limits, backpressure, and the end.

In: a `StreamConfig` and a factory of sessions (`service.listeners.session`), which say what is
spoken. The rest, the same for plain TCP, TLS and RELP, is here and in `connection`.
"""

import asyncio
import socket
from contextlib import suppress
from functools import partial

import structlog

from service.address import split_address
from service.listeners.base import Intake
from service.listeners.config import StreamConfig
from service.listeners.connection import Connection, Terms
from service.listeners.door import Door
from service.listeners.rate import LogRates, rates_of
from service.listeners.session import HandshakeWire, OpenConnection, OpenSession, Session
from service.listeners.tls_context import ServerTls
from service.listeners.tls_session import TlsSession
from service.metrics import Metrics
from service.received import Origin

log = structlog.get_logger(__name__)

_BACKLOG = 1024

_LOOKS_A_TIMEOUT = 4
"""How often unfinished frames are looked at within `half_frame_timeout`."""


class StreamServer:
    largest_segment: int | None = None
    """Bytes; of what peers send, where the network has larger ones. None: as it has them."""

    def __init__(
        self,
        transport: str,
        listen: str,
        config: StreamConfig,
        intake: Intake,
        metrics: Metrics,
        open_session: OpenSession,
        tls: ServerTls | None = None,
        inherited: socket.socket | None = None,
    ) -> None:
        """`open_session` is for what is spoken inside TLS where there is TLS. `inherited`: a socket
        that listens at that address already, which it makes its own."""
        self._host, self._port = split_address(listen)
        self._inherited = inherited
        self._config = config
        self._transport = transport
        self._rates = rates_of(config, lambda: metrics.rate_source_forgotten(transport))
        self._terms = Terms(
            transport,
            config,
            intake,
            metrics,
            open_session if tls is None else _inside(tls, open_session),
            tls is not None,
            Door(config),
            self._rates,
            LogRates(),
        )
        self._server: asyncio.Server | None = None
        self._sweep_timer: asyncio.TimerHandle | None = None
        self._address = (self._host, self._port)

    @property
    def address(self) -> tuple[str, int]:
        return self._address

    @property
    def buffered_bytes(self) -> int:
        """Bytes of unfinished frames held for all connections."""
        return sum(connection.buffered_bytes for connection in self._terms.connections)

    @property
    def rated_sources(self) -> int:
        """Addresses whose rate is remembered."""
        return 0 if self._rates is None else len(self._rates)

    async def start(self) -> None:
        loop = asyncio.get_running_loop()
        accept = partial(Connection, self._terms)
        if self._inherited is None:
            self._server = await loop.create_server(
                accept, self._host, self._port, backlog=_BACKLOG, reuse_address=True
            )
        else:
            self._server = await loop.create_server(accept, sock=self._inherited, backlog=_BACKLOG)
            self._inherited = None
        if self.largest_segment is not None:
            for sock in self._server.sockets:
                with suppress(OSError):  # not everywhere; it is only quicker
                    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, self.largest_segment)
        self._address = self._server.sockets[0].getsockname()[:2]
        self._sweep()

    async def stop(self, timeout: float) -> None:
        """Accept no more, hear what the kernel holds, close; at most `timeout` seconds."""
        self.finish()
        await self.closed(timeout)
        self.cut()

    def finish(self) -> None:
        """Accept no more and ask every session to finish; returns at once."""
        if self._server is not None:
            self._server.close()
        for connection in list(self._terms.connections):
            connection.finish()

    async def closed(self, timeout: float) -> None:
        """Wait until no connection is left, at most `timeout` seconds."""
        closed = [connection.closed for connection in self._terms.connections]
        if closed:
            await asyncio.wait(closed, timeout=timeout)

    def cut(self) -> None:
        """Close what is left."""
        late = list(self._terms.connections)
        if late:
            log.warning("connections_cut", transport=self._transport, connections=len(late))
        for connection in late:
            connection.hear()
            connection.abort()
        if self._sweep_timer is not None:
            self._sweep_timer.cancel()

    def _sweep(self) -> None:
        loop = asyncio.get_running_loop()
        now = loop.time()
        for connection in list(self._terms.connections):
            connection.give_up_stalled(now)
        pause = self._config.half_frame_timeout / _LOOKS_A_TIMEOUT
        self._sweep_timer = loop.call_later(pause, self._sweep)


def _inside(tls: ServerTls, open_session: OpenSession) -> OpenConnection:
    def open_tls(wire: HandshakeWire, origin: Origin) -> Session:
        return TlsSession(wire, origin, tls.context, open_session)

    return open_tls
