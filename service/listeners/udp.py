"""Syslog over UDP (RFC 5426): one datagram, one frame.

UDP cannot be held back. asyncio-dgram's receive queue has no bound of its own, so this listener
never lets it wait: the reading task drains it to the end each time it runs, whatever happens to
the datagrams then, so that it holds at most what the event loop reads in one turn. That is few, and
dear: where there may be more, the task reads these from the socket itself. When the intake is full,
datagrams are dropped here and counted; when the process is too slow, the kernel drops them at its
buffer, and that count is exported too.
"""

import asyncio
import socket
import time
from collections import defaultdict
from collections.abc import Iterator
from functools import lru_cache
from itertools import chain, islice
from typing import Any, cast

import asyncio_dgram
import structlog
from asyncio_dgram.aio import DatagramStream
from pydantic import Field

from service import supervision
from service.address import split_address
from service.core.framing.base import MAX_FRAME_BYTES, Fault, Piece
from service.core.framing.datagram import read_datagrams
from service.core.outcomes import Drop
from service.listeners.base import Intake, now, peer_ip
from service.listeners.config import ListenerConfig, is_within
from service.listeners.kernel_drops import kernel_drops
from service.listeners.portions import may_grow
from service.listeners.rate import LogRates, rates_of
from service.listeners.receive_buffer import ask_for_buffer, granted_buffer
from service.metrics import Metrics
from service.received import Origin, new_stream

log = structlog.get_logger(__name__)

_KNOWN_ADDRESSES = 4096
"""Addresses of which origin and right to send are remembered."""

_Datagram = tuple[bytes, tuple[Any, ...]]
"""And its sender: address, port, and for IPv6 more."""

_LOOP_READS = 32
"""Datagrams that the event loop reads in one turn, at most (libuv `uv__udp_recvmsg`). With fewer
the kernel's buffer was empty, and to ask it again would cost a call and an exception."""

_AT_ONCE = 512
"""Datagrams that are taken in together, at most: those of each sender are one call of the intake,
which may pass its bound by so many. Meanwhile the loop does nothing else and the kernel's buffer
fills: 4 MiB of it hold ten times as many lines of mail."""

_FEW = 16
"""Datagrams that are taken in together where they may become many times more than they are."""

_DRAIN_DATAGRAMS = 1_000_000
"""At stop, the most that is read from the kernel's buffer: far more than it can hold."""


class UdpConfig(ListenerConfig):
    """Syslog over UDP."""

    max_frame_bytes: int = Field(
        MAX_FRAME_BYTES,
        ge=480,
        le=1024 * 1024,
        description="Longer datagrams (after inflation) are cut here and marked `truncated`.",
    )
    receive_buffer_bytes: int = Field(
        32 * 1024 * 1024,
        ge=4096,
        le=1024 * 1024 * 1024,
        description="SO_RCVBUF asked for. Without CAP_NET_ADMIN the kernel grants at most "
        "net.core.rmem_max.",
    )


class UdpListener:
    transport = "udp"

    def __init__(
        self,
        listen: str,
        config: UdpConfig,
        intake: Intake,
        metrics: Metrics,
        inherited: socket.socket | None = None,
    ) -> None:
        """`inherited`: a socket bound to that address already, which it makes its own."""
        self._host, self._port = split_address(listen)
        self._inherited = inherited
        self._config = config
        self._intake = intake
        self._metrics = metrics
        self._address = (self._host, self._port)
        self._socket: socket.socket | None = None
        self._stream: DatagramStream | None = None
        self._task: asyncio.Task[None] | None = None
        self._kernel_drops_seen = 0
        self._rates = rates_of(config, lambda: metrics.rate_source_forgotten(self.transport))
        self._log_rates = LogRates()
        self._is_allowed = lru_cache(maxsize=_KNOWN_ADDRESSES)(self._look_up)

    @property
    def rated_sources(self) -> int:
        """Addresses whose rate is remembered."""
        return 0 if self._rates is None else len(self._rates)

    @property
    def address(self) -> tuple[str, int]:
        return self._address

    async def start(self) -> None:
        sock = self._inherited
        try:
            if sock is None:
                sock = await self._bind()
            else:
                self._look_at_inherited(sock)
            self._stream = await asyncio_dgram.from_socket(sock)
        except BaseException:
            if sock is not None:
                sock.close()
            raise
        self._socket = sock
        self._address = sock.getsockname()[:2]
        self._task = supervision.start(self._read(self._stream, sock), "udp-reader")

    async def stop(self, timeout: float) -> None:
        if self._socket is None or self._stream is None or self._task is None:
            return
        # First the event loop must read no more: what it put into the library's queue after we
        # emptied that would be lost. Then the queue and the kernel's buffer are ours.
        with self._socket.dup() as sock:
            self._stream.close()
            self._task.cancel()
            await asyncio.wait([self._task], timeout=timeout)
            rest = chain(_queued(self._stream), _buffered(sock, _DRAIN_DATAGRAMS))
            while some := list(islice(rest, _AT_ONCE)):
                self._take(some)
            self._socket = sock
            self.count_kernel_drops()
        self._stream = self._socket = None

    def count_kernel_drops(self) -> None:
        """Bring the exported counter up to what the kernel says of this socket."""
        if self._socket is None:
            return
        drops = kernel_drops(self._socket)
        if drops > self._kernel_drops_seen:
            self._metrics.kernel_dropped(drops - self._kernel_drops_seen)
            self._kernel_drops_seen = drops

    async def _bind(self) -> socket.socket:
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(
            self._host, self._port, type=socket.SOCK_DGRAM, flags=socket.AI_PASSIVE
        )
        family, kind, protocol, _, address = found[0]
        sock = socket.socket(family, kind, protocol)
        try:
            sock.setblocking(False)
            if family == socket.AF_INET6:
                # As every other listener: `[::]` and `0.0.0.0` of one port are two addresses.
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            self._ask_for_buffer(sock)
            sock.bind(address)
        except BaseException:
            sock.close()
            raise
        return sock

    def _look_at_inherited(self, sock: socket.socket) -> None:
        """Its buffer is its owner's affair: systemd may go beyond net.core.rmem_max, and if we
        asked again it could only become smaller. Drops of our last life, which counted them, and
        those since cannot be told apart: they are said here, and not counted again."""
        self._check_buffer(sock, remedy="ReceiveBuffer= of its socket unit")
        self._kernel_drops_seen = kernel_drops(sock)
        if self._kernel_drops_seen:
            log.warning("udp_kernel_drops_before_start", drops=self._kernel_drops_seen)

    def _ask_for_buffer(self, sock: socket.socket) -> None:
        wanted = self._config.receive_buffer_bytes
        ask_for_buffer(sock, wanted)
        self._check_buffer(sock, remedy=f"sysctl -w net.core.rmem_max={wanted}")

    def _check_buffer(self, sock: socket.socket, remedy: str) -> None:
        wanted = self._config.receive_buffer_bytes
        granted = granted_buffer(sock)
        if granted < wanted:
            log.warning(
                "udp_buffer_smaller_than_asked",
                asked=wanted,
                granted=granted,
                remedy=remedy,
            )

    async def _read(self, stream: DatagramStream, sock: socket.socket) -> None:
        while True:
            try:
                first = cast(_Datagram, await stream.recv())
            except asyncio_dgram.TransportClosed:
                return
            except OSError as error:
                log.warning("udp_receive_failed", error=str(error))
                continue
            some = [first, *_queued(stream)]
            if len(some) >= _LOOP_READS:
                some += _buffered(sock, _AT_ONCE - len(some))
            self._take(some)

    def _take(self, some: list[_Datagram]) -> None:
        by_address = defaultdict[str, list[bytes]](list)
        for data, sender in some:
            by_address[sender[0]].append(data)
        received_at = now()
        size = 0
        for address, datagrams in by_address.items():
            size += sum(map(len, datagrams))
            origin = _origin(address)
            for portion in _portions(datagrams):
                pieces = self._pieces(portion, origin.source_ip)
                self._intake.take(pieces, origin, received_at)
        self._metrics.read(self.transport, size)

    def _pieces(self, datagrams: list[bytes], source: str | None) -> list[Piece]:
        """Of one sender; faults for what is refused."""
        if self._config.allow and not self._is_allowed(source):
            return _refused(datagrams, Drop.NOT_ALLOWED)
        over_rate: list[Piece] = []
        if self._rates is not None:
            time_now = time.monotonic()
            within = sum(self._rates.has_room(source, time_now) for _ in datagrams)
            over_rate = _refused(datagrams[within:], Drop.RATE_LIMITED)
            for _ in over_rate:
                self._metrics.rate_limited(self.transport)
            datagrams = datagrams[:within]
        if not self._intake.has_room:
            return _refused(datagrams, Drop.QUEUE_FULL) + over_rate
        return read_datagrams(datagrams, self._config.max_frame_bytes) + over_rate

    def _look_up(self, source: str | None) -> bool:
        is_allowed = is_within(source, self._config.allow)
        # Once for each address that is remembered; forged ones are many.
        if not is_allowed and self._log_rates.has_room(source, time.monotonic()):
            log.warning("sender_not_allowed", transport=self.transport, peer=source)
        return is_allowed


def _queued(stream: DatagramStream) -> Iterator[_Datagram]:
    """What the library has read, and has no public way to give out once the stream is closed."""
    queue = stream._recvq  # type: ignore[attr-defined]
    while not queue.empty():
        data, address = queue.get_nowait()
        if data is not None:  # None: its mark of the end
            yield data, address


def _buffered(sock: socket.socket, most: int) -> Iterator[_Datagram]:
    for _ in range(most):
        try:
            yield sock.recvfrom(65_536)
        except OSError:  # BlockingIOError: nothing more
            return


def _portions(datagrams: list[bytes]) -> Iterator[list[bytes]]:
    """All together, nearly always; so few that what they give is little beside the bound of the
    intake, where each may give much."""
    # The space is what stands before a compressed payload elsewhere.
    if len(datagrams) <= _FEW or not may_grow(b" ".join((b"", *datagrams))):
        yield datagrams
        return
    for start in range(0, len(datagrams), _FEW):
        yield datagrams[start : start + _FEW]


def _refused(datagrams: list[bytes], reason: Drop) -> list[Piece]:
    return [Fault(reason, len(data)) for data in datagrams]


@lru_cache(maxsize=_KNOWN_ADDRESSES)
def _origin(address: str) -> Origin:
    return Origin(UdpListener.transport, peer_ip(address), new_stream())
