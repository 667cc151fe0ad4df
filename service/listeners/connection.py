"""One accepted connection, from its first byte to its last, whatever is spoken on it.

In: what the event loop reads. Out: the same bytes to a session, which is made once the sender is
known: at once, or after the PROXY header where a proxy is expected. Reading pauses while the
intake has no room, while the source is over its rate, or while the session asks for it. What was
read when there was no room waits here: one read of each connection, as it came over the wire, and
not the many times larger events it would give.
"""

import asyncio
import os
import socket
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import cast

import structlog

from service.core.framing.proxy_v2 import SIGNATURE, BadProxyHeader, ProxyHeaderReader
from service.core.outcomes import Drop, Refusal
from service.listeners.base import Intake, peer_ip
from service.listeners.config import StreamConfig
from service.listeners.door import Door
from service.listeners.rate import LogRates, Rates
from service.listeners.reading import FULL_READ, Pause, Reading, Turn
from service.listeners.session import OpenConnection, Session
from service.metrics import Metrics
from service.received import Origin, new_stream

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Terms:
    """What all connections of one listener share."""

    transport: str
    config: StreamConfig
    intake: Intake
    metrics: Metrics
    open_session: OpenConnection
    has_handshake: bool
    """The session says when it is `ready`."""
    door: Door
    rates: Rates | None
    log_rates: LogRates
    turn: Turn = field(default_factory=Turn)
    connections: set["Connection"] = field(default_factory=set)


class Connection(asyncio.Protocol):
    """Implements `session.HandshakeWire` for its session."""

    def __init__(self, terms: Terms) -> None:
        self._terms = terms
        self._metrics = terms.metrics
        self._intake = terms.intake
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._peer: str | None = None
        self._source: str | None = None
        self._is_inside = False
        self._session: Session | None = None
        self._receive: Callable[[bytes], None] = self._first_received
        self._proxy: ProxyHeaderReader | None = None
        self._deadline: asyncio.TimerHandle | None = None
        self._reading: Reading | None = None
        self._unheard = b""
        self._unfinished: int | None = None
        self._unfinished_since = 0.0
        self._loss = Drop.CUT_SHORT
        self._is_finishing = False
        self._is_refused = False
        self.closed: asyncio.Future[None] = self._loop.create_future()

    # What the event loop tells

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport = cast(asyncio.Transport, transport)  # uvloop's is no subclass of it
        peer = transport.get_extra_info("peername")
        self._peer = self._source = peer_ip(peer[0]) if peer else None
        self._transport = transport
        self._reading = Reading(self._terms.transport, transport, self._metrics)
        self._metrics.connection_opened(self._terms.transport)
        is_full = len(self._terms.connections) >= self._terms.config.max_connections
        self._terms.connections.add(self)
        if is_full:
            self.refuse(Refusal.MAX_CONNECTIONS)
            transport.abort()
            return
        sock = transport.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        self._deadline = self._loop.call_later(self._terms.config.handshake_timeout, self._late)
        if self._terms.door.is_proxy(self._peer):
            self._proxy = ProxyHeaderReader()
            self._receive = self._proxy_received
        else:
            self._enter()

    def data_received(self, data: bytes) -> None:
        self._metrics.read(self._terms.transport, len(data))
        # Many connections may have something to read in one turn of the loop: the first of them
        # may have taken the room of all.
        if self._unheard or (self._intake.should_hold_back and self._deadline is None):
            self._unheard += data
        else:
            self._receive(data)
        if self._intake.should_hold_back:
            self._hold_back()
        if len(data) >= FULL_READ and self._terms.turn.is_over():
            self._give_way()

    def eof_received(self) -> bool:
        self.hear()
        return self._session is not None and self._session.eof()

    def connection_lost(self, exc: Exception | None) -> None:
        self.hear()
        self.ready()
        self._transport = self._reading = None
        if self._session is not None:
            self._session.lost(self._loss)
        if self._is_inside:
            self._terms.door.leave(self._source)
        self._terms.connections.discard(self)
        self._metrics.connection_closed(self._terms.transport)
        if not self.closed.done():
            self.closed.set_result(None)

    # What the server asks

    @property
    def buffered_bytes(self) -> int:
        held = len(self._unheard)
        held += 0 if self._session is None else self._session.buffered_bytes
        return held if self._proxy is None else held + self._proxy.buffered_bytes

    def finish(self) -> None:
        """Read what the kernel holds, then see an end of file: the sender is not heard further.

        `shutdown(SHUT_RD)` on Linux lets buffered bytes be read before the end is reported.
        """
        if self._transport is None or self._reading is None:
            return
        if self._session is None:
            self._transport.abort()
            return
        self._is_finishing = True
        self._session.finish()
        self._reading.resume(Pause.RATE)
        try:
            number = self._transport.get_extra_info("socket").fileno()
            with socket.socket(fileno=os.dup(number)) as duplicate:
                duplicate.shutdown(socket.SHUT_RD)
        except OSError:  # already gone
            self._transport.abort()

    def hear(self) -> None:
        """What has waited for room, room or not: it was read, so it must not be lost."""
        unheard, self._unheard = self._unheard, b""
        if unheard:
            self._receive(unheard)

    def give_up_stalled(self, now: float) -> None:
        """Close if one frame has stayed unfinished for too long while it was read."""
        if self._session is None or self._reading is None or self._reading.is_paused:
            unfinished = None
        else:
            unfinished = self._session.unfinished
        if unfinished is None or unfinished != self._unfinished:
            self._unfinished = unfinished
            self._unfinished_since = now
        elif now - self._unfinished_since >= self._terms.config.half_frame_timeout:
            self._loss = Drop.STALLED
            self.warn("connection_closed", reason=Drop.STALLED.value)
            self.abort()

    # What the session asks

    def write(self, data: bytes) -> None:
        if self._transport is not None:
            self._transport.write(data)

    @property
    def unsent_bytes(self) -> int:
        return 0 if self._transport is None else self._transport.get_write_buffer_size()

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def pause(self) -> None:
        if self._reading is not None:
            self._reading.pause(Pause.SESSION)

    def resume(self) -> None:
        if self._reading is not None:
            self._reading.resume(Pause.SESSION)

    @property
    def is_rated(self) -> bool:
        return self._terms.rates is not None

    def spent(self, frames: int) -> None:
        if self._terms.rates is None or self._is_finishing or not frames:
            return
        wait = self._terms.rates.spend(self._source, frames, self._loop.time())
        if wait and self._reading is not None and self._reading.pause(Pause.RATE):
            self._metrics.rate_limited(self._terms.transport)
            self._loop.call_later(wait, self._reading.resume, Pause.RATE)

    def ready(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def refuse(self, reason: Refusal, **facts: object) -> None:
        if self._is_refused:
            return
        self._is_refused = True
        self._metrics.connection_refused(self._terms.transport, reason)
        self.warn("connection_refused", reason=reason.value, **facts)
        self._receive = _ignore
        self.close()

    def warn(self, event: str, **facts: object) -> None:
        if not self._terms.log_rates.has_room(self._source, self._loop.time()):
            return
        via = {} if self._source == self._peer else {"proxy": self._peer}
        log.warning(event, transport=self._terms.transport, peer=self._source, **via, **facts)

    # How a connection gets its session

    def _proxy_received(self, data: bytes) -> None:
        if self._proxy is None:
            return
        header = self._proxy.feed(data)
        if header is None:
            return
        self._proxy = None
        if isinstance(header, BadProxyHeader):
            self.refuse(Refusal.BAD_PROXY_HEADER, detail=header.detail)
            return
        self._source = header.source or self._peer
        self._enter()
        if header.rest:
            self._receive(header.rest)

    def _enter(self) -> None:
        refusal = self._terms.door.enter(self._source)
        if refusal is not None:
            self.refuse(refusal)
            self.abort()
            return
        self._is_inside = True
        is_proxied = self._receive == self._proxy_received
        self._session = self._terms.open_session(
            self, Origin(self._terms.transport, self._source, new_stream())
        )
        if not self._terms.has_handshake:
            self.ready()
        self._receive = self._session.data_received if is_proxied else self._first_received

    def _first_received(self, data: bytes) -> None:
        if self._session is None:
            return
        if data.startswith(SIGNATURE):
            self.refuse(Refusal.PROXY_NOT_TRUSTED)
            return
        self._receive = self._session.data_received
        self._receive(data)

    def _late(self) -> None:
        self._deadline = None
        self.refuse(Refusal.HANDSHAKE_TIMEOUT)
        self.abort()

    def _give_way(self) -> None:
        if self._reading is not None and self._reading.pause(Pause.TURN):
            self._loop.call_soon(self._reading.resume, Pause.TURN)

    def _hold_back(self) -> None:
        # A handshake brings no frames, and would be late.
        if (
            self._deadline is None
            and self._reading is not None
            and self._reading.pause(Pause.INTAKE)
        ):
            self._intake.when_room(self._go_on)

    def _go_on(self) -> None:
        if self._unheard and not self._intake.should_hold_back:
            self.hear()
        if self._unheard or self._intake.should_hold_back:
            # Others had their turn first and left no room, or it was taken by what has waited.
            self._intake.when_room(self._go_on)
        elif self._reading is not None:
            self._reading.resume(Pause.INTAKE)


def _ignore(data: bytes) -> None:
    """What a refused peer still sends."""
