"""The RELP listener on real sockets: durable first, then answered, in order, and never blocked."""

import asyncio
import socket
import struct
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Self

import pytest

from service.core.framing.relp import MAX_DATA
from service.core.outcomes import Drop
from service.listeners.portions import PORTION_BYTES
from service.listeners.relp import RelpListener
from service.listeners.relp_config import RelpConfig
from service.metrics import Metrics
from tests.fakes import FakeIntake, NarrowIntake
from tests.metric_values import value
from tests.relp_wires import frame, ok, opening, syslog

EVENT = b"<22>mx postfix/smtp[1]: status=bounced"
PLAIN = b"<22>mx postfix/smtp[1]: status=sent"
SERVERCLOSE = b"0 serverclose 0\n"


class Peer:
    """What librelp is to the listener, and what it is not."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    @classmethod
    async def connect(cls, listener: RelpListener, **tls: Any) -> Self:
        return cls(*await asyncio.open_connection(*listener.address, **tls))

    @classmethod
    async def deaf(cls, listener: RelpListener, **tls: Any) -> Self:
        """With an open session, and reading no more. What its kernel would take for it is little,
        else it takes hundreds of thousands of answers until one is not taken."""
        sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.setblocking(False)
        await asyncio.get_running_loop().sock_connect(sock, listener.address)
        peer = cls(*await asyncio.open_connection(sock=sock, **tls))
        await peer._open()
        peer.writer.transport.pause_reading()  # type: ignore[attr-defined]
        return peer

    @classmethod
    async def open(cls, listener: RelpListener, **tls: Any) -> Self:
        peer = await cls.connect(listener, **tls)
        await peer._open()
        return peer

    async def _open(self) -> None:
        self.writer.write(opening())
        header = await self.reader.readuntil(b" 200 OK\n")
        length = int(header.split()[2])
        offers = await self.reader.readexactly(length - len(b"200 OK\n") + 1)
        assert header.startswith(b"1 rsp ")
        assert b"relp_version=0\n" in offers
        assert offers.endswith(b"\ncommands=syslog\n")

    def send(self, *wires: bytes) -> None:
        self.writer.write(b"".join(wires))

    async def hears(self, wanted: bytes) -> None:
        assert await self.reader.readexactly(len(wanted)) == wanted

    async def hears_nothing_more(self) -> None:
        """The connection ends, in whatever way, and there is nothing before it."""
        try:
            assert await self.reader.read() == b""
        except ConnectionResetError:
            pass

    async def send_for_ever(self) -> None:
        number = 2
        while True:
            self.send(*(syslog(n, b"") for n in range(number, number + 1000)))
            number += 1000
            await self.writer.drain()

    async def close(self) -> None:
        self.writer.close()
        try:
            await self.writer.wait_closed()
        except ConnectionResetError:
            pass

    def reset(self) -> None:
        linger = struct.pack("ii", 1, 0)  # SO_LINGER 0: close sends RST
        sock = self.writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.writer.transport.abort()


@asynccontextmanager
async def listening(
    intake: FakeIntake, metrics: Metrics, **config: int
) -> AsyncIterator[RelpListener]:
    listener = RelpListener("127.0.0.1:0", RelpConfig(**config), intake, metrics)
    await listener.start()
    try:
        yield listener
    finally:
        await listener.stop(timeout=5)
        await listener.close(timeout=5)


async def test_without_events_at_once_with_events_once_durable() -> None:
    intake, metrics = FakeIntake(), Metrics()
    async with listening(intake, metrics) as listener:
        peer = await Peer.open(listener)
        peer.send(syslog(2, PLAIN), syslog(3, EVENT), syslog(4, PLAIN))
        await peer.hears(ok(2))
        assert listener.unanswered == 2
        intake.make_durable()
        await peer.hears(ok(3, 4))
        assert listener.unanswered == 0
        await peer.close()
    assert intake.frames == [PLAIN, EVENT, PLAIN]
    assert {origin.transport for origin in intake.origins} == {"relp"}
    assert intake.origins[0].source_ip == "127.0.0.1"


async def test_answers_in_order_of_the_frames() -> None:
    intake, metrics = FakeIntake(), Metrics()
    async with listening(intake, metrics) as listener:
        peer = await Peer.open(listener)
        peer.send(syslog(2, EVENT), syslog(3, EVENT), syslog(4, EVENT))
        await intake.until(lambda seen: len(seen.undurable) == 3)
        intake.undurable.reverse()
        intake.make_durable(2)
        assert listener.unanswered == 3
        intake.make_durable()
        await peer.hears(ok(2, 3, 4))
        await peer.close()


@pytest.mark.skipif(sys.platform != "linux", reason="needs Linux: loopback has large segments")
async def test_a_peer_that_corks_its_socket_fills_a_segment_before_its_window() -> None:
    """Over loopback one segment held all of omrelp's 128 lines: without a queue of its own it sent
    one window in 200 ms, 700 lines a second."""
    async with listening(FakeIntake(), Metrics()) as listener:
        peer = await Peer.open(listener)
        sock = peer.writer.get_extra_info("socket")
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG) <= 8192
        await peer.close()


async def test_close_is_answered_last() -> None:
    intake, metrics = FakeIntake(), Metrics()
    async with listening(intake, metrics) as listener:
        peer = await Peer.open(listener)
        peer.send(syslog(2, EVENT), frame(3, b"close"))
        await intake.until(lambda seen: len(seen.undurable) == 1)
        intake.make_durable()
        await peer.hears(ok(2, 3))
        await peer.hears_nothing_more()
        await peer.close()
    assert value(metrics, "connections", transport="relp") == 0
    assert value(metrics, "relp_sessions_refused_total") == 0


async def test_a_peer_that_half_closes_still_gets_its_answers() -> None:
    intake, metrics = FakeIntake(), Metrics()
    async with listening(intake, metrics) as listener:
        peer = await Peer.open(listener)
        peer.send(syslog(2, EVENT), b"3 syslog 9 half")
        peer.writer.write_eof()
        await intake.until(lambda seen: len(seen.faults) == 1)
        intake.make_durable()
        await peer.hears(ok(2))
        await peer.hears_nothing_more()
        await peer.close()
    assert [fault.kind for fault in intake.faults] == [Drop.CUT_SHORT]


@pytest.mark.parametrize(
    ("wire", "reason"),
    [
        (syslog(4, PLAIN), "out_of_sequence"),
        (syslog(2, PLAIN), "out_of_sequence"),
        (b"3 syslog 1 ab\n", "bad_frame"),
        (b"GET / HTTP/1.1\r\n\r\n", "bad_frame"),
        (b"3 syslog %d x" % (MAX_DATA + 1), "too_long"),
    ],
)
async def test_a_broken_frame_ends_the_session_unanswered(wire: bytes, reason: str) -> None:
    intake, metrics = FakeIntake(), Metrics()
    async with listening(intake, metrics) as listener:
        peer = await Peer.open(listener)
        peer.send(syslog(2, PLAIN), wire)
        await peer.hears(ok(2))
        await peer.hears_nothing_more()
        await peer.close()
    assert intake.frames == [PLAIN]
    assert [fault.kind.value for fault in intake.faults] == [reason]
    assert value(metrics, "relp_sessions_refused_total", reason=reason) == 1
    assert value(metrics, "connections", transport="relp") == 0


async def test_what_becomes_durable_after_a_broken_frame_changes_nothing() -> None:
    class Durable(FakeIntake):
        def take(self, *arguments: Any) -> None:
            super().take(*arguments)
            asyncio.get_running_loop().call_soon(self.make_durable)

    metrics = Metrics()
    async with listening(Durable(), metrics) as listener:
        peer = await Peer.open(listener)
        peer.send(syslog(2, EVENT), syslog(7, PLAIN))
        await peer.hears_nothing_more()
        await peer.close()
    assert value(metrics, "relp_sessions_refused_total") == 1


async def test_syslog_before_open_ends_the_connection_unanswered() -> None:
    intake, metrics = FakeIntake(), Metrics()
    async with listening(intake, metrics) as listener:
        peer = await Peer.connect(listener)
        peer.send(syslog(1, PLAIN))
        await peer.hears_nothing_more()
        await peer.close()
    assert intake.frames == []
    assert value(metrics, "relp_sessions_refused_total", reason="not_open") == 1


async def test_open_without_the_offers_it_takes_is_told_so() -> None:
    intake, metrics = FakeIntake(), Metrics()
    async with listening(intake, metrics) as listener:
        peer = await Peer.connect(listener)
        peer.send(frame(1, b"open", b"relp_version=0"))
        assert (await peer.reader.read()).endswith(
            b"500 offer missing or not supported: commands\n"
        )
        await peer.close()
    assert value(metrics, "relp_sessions_refused_total", reason="bad_offers") == 1


async def test_a_second_open_is_refused_and_the_session_goes_on() -> None:
    intake, metrics = FakeIntake(), Metrics()
    async with listening(intake, metrics) as listener:
        peer = await Peer.open(listener)
        peer.send(opening().replace(b"1", b"2", 1), syslog(3, PLAIN))
        await peer.hears(b"2 rsp 22 500 unexpected command\n" + ok(3))
        await peer.close()


async def test_over_long_data_is_cut_marked_and_answered() -> None:
    intake, metrics = FakeIntake(), Metrics()
    async with listening(intake, metrics, max_frame_bytes=480) as listener:
        peer = await Peer.open(listener)
        peer.send(syslog(2, PLAIN.ljust(MAX_DATA, b"x")), syslog(3, PLAIN))
        await peer.hears(ok(2, 3))
        await peer.close()
    assert intake.truncated == [PLAIN.ljust(480, b"x")]
    assert intake.frames[1] == PLAIN


async def test_a_peer_that_never_reads_its_answers_is_dropped_and_blocks_nobody() -> None:
    intake, metrics = FakeIntake(), Metrics()
    async with listening(intake, metrics, max_answer_bytes=4096) as listener:
        deaf = await Peer.deaf(listener)
        with pytest.raises(ConnectionError):
            await deaf.send_for_ever()
        other = await Peer.open(listener)
        other.send(syslog(2, PLAIN))
        await other.hears(ok(2))
        await other.close()
        await deaf.close()
    assert value(metrics, "relp_sessions_refused_total", reason="answers_unread") == 1


async def test_a_window_of_unanswered_frames_is_read_no_further() -> None:
    intake, metrics = FakeIntake(), Metrics()
    async with listening(intake, metrics, max_unanswered=100) as listener:
        peer = await Peer.open(listener)
        sent = 2

        def has_all(seen: FakeIntake) -> bool:
            return len(seen.frames) == sent - 2

        while not value(metrics, "reads_paused_total", transport="relp"):
            peer.send(syslog(sent, EVENT))
            sent += 1
            await intake.until(has_all)
        assert sent - 2 == listener.unanswered == 100
        peer.send(syslog(sent, EVENT))
        intake.make_durable(49)
        await peer.hears(ok(*range(2, 51)))
        assert len(intake.frames) == 100
        intake.make_durable(1)
        await intake.until(lambda seen: len(seen.frames) == 101)
        intake.make_durable()
        await peer.hears(ok(*range(51, sent + 1)))
        await peer.close()


async def test_a_full_intake_holds_the_sender_back() -> None:
    intake, metrics = FakeIntake(), Metrics()
    async with listening(intake, metrics) as listener:
        peer = await Peer.open(listener)
        intake.has_room = False
        peer.send(syslog(2, PLAIN))
        await intake.until(lambda seen: seen.held_back == 1)
        assert intake.frames == []
        peer.send(syslog(3, PLAIN))
        intake.make_room()
        await peer.hears(ok(2, 3))
        await peer.close()


async def test_what_was_not_heard_before_the_end_is_neither_taken_nor_answered() -> None:
    intake, metrics = FakeIntake(), Metrics()
    async with listening(intake, metrics) as listener:
        peer = await Peer.open(listener)
        intake.has_room = False
        peer.send(syslog(2, PLAIN))
        await intake.until(lambda seen: seen.held_back == 1)
        await listener.stop(timeout=0)
        await listener.close(timeout=0)
        await peer.hears(SERVERCLOSE)
        await peer.hears_nothing_more()
        await peer.close()
    assert intake.frames == []


async def test_folded_lines_are_heard_a_few_at_a_time_and_all_answered() -> None:
    """Each may give a thousand events: a window of them would be a million."""
    intake, metrics = NarrowIntake(), Metrics()
    folded = b"<22>mx postfix/smtp[1]: message repeated 999 times: [ status=bounced]"
    last = 501
    async with listening(intake, metrics, max_unanswered=100) as listener:
        peer = await Peer.open(listener)
        intake.has_room = True
        peer.send(*(syslog(number, folded) for number in range(2, last + 1)))
        while len(intake.frames) < last - 1:
            before = len(intake.frames)
            await intake.until(lambda seen: seen.held_back > 0)
            intake.make_durable()
            intake.make_room()
            await intake.until(lambda seen, n=before: len(seen.frames) > n)  # type: ignore[misc]
            assert len(intake.frames) - before <= 2 * PORTION_BYTES // len(folded)
        intake.make_durable()
        await peer.hears(ok(*range(2, last + 1)))
        await peer.close()


async def test_a_lost_peer_needs_no_answers() -> None:
    intake, metrics = FakeIntake(), Metrics()
    async with listening(intake, metrics) as listener:
        peer = await Peer.open(listener)
        peer.send(syslog(2, EVENT), syslog(3, EVENT), b"4 syslog 10 half")
        await intake.until(lambda seen: len(seen.undurable) == 2)
        peer.reset()
        await intake.until(lambda seen: len(seen.faults) == 1)
        intake.make_durable()
        assert listener.unanswered == 0
    assert intake.frames == [EVENT, EVENT]
    assert [fault.kind for fault in intake.faults] == [Drop.CUT_SHORT]


async def test_stop_hears_what_was_sent_and_close_answers_what_became_durable() -> None:
    intake, metrics = FakeIntake(), Metrics()
    async with listening(intake, metrics) as listener:
        peer = await Peer.open(listener)
        intake.has_room = False
        peer.send(syslog(2, EVENT))
        await intake.until(lambda seen: seen.held_back == 1)
        peer.send(syslog(3, EVENT), syslog(4, PLAIN))
        await peer.writer.drain()
        intake.make_room()
        await listener.stop(timeout=5)
        assert intake.frames == [EVENT, EVENT, PLAIN]
        with pytest.raises(ConnectionError):
            await Peer.connect(listener)
        intake.make_durable(1)
        await peer.hears(ok(2))
        intake.make_durable()
        await listener.close(timeout=5)
        await peer.hears(ok(3, 4) + SERVERCLOSE)
        await peer.hears_nothing_more()
        await peer.close()
    assert value(metrics, "connections", transport="relp") == 0


async def test_what_never_became_durable_is_not_answered_at_the_end() -> None:
    intake, metrics = FakeIntake(), Metrics()
    async with listening(intake, metrics) as listener:
        peer = await Peer.open(listener)
        peer.send(syslog(2, EVENT), syslog(3, PLAIN))
        await intake.until(lambda seen: len(seen.undurable) == 1)
        await listener.stop(timeout=5)
        await listener.close(timeout=5)
        assert await peer.reader.read() == SERVERCLOSE
        await peer.close()


async def test_idle_connections_do_not_hold_up_the_end() -> None:
    intake, metrics = FakeIntake(), Metrics()
    async with listening(intake, metrics) as listener:
        peers = [await Peer.open(listener) for _ in range(3)]
        fresh = await Peer.connect(listener)
        await listener.stop(timeout=5)
        await listener.close(timeout=5)
        for peer in (*peers, fresh):
            assert await peer.reader.read() == SERVERCLOSE
            await peer.close()
