"""The UDP listener on real sockets."""

import asyncio
import socket
import zlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from service.core.framing.base import Piece
from service.core.outcomes import Drop
from service.listeners.kernel_drops import kernel_drops
from service.listeners.udp import UdpConfig, UdpListener
from service.metrics import Metrics
from service.received import Origin, Receipts
from tests.fakes import FakeIntake, NarrowIntake
from tests.metric_values import value


@asynccontextmanager
async def listening(
    intake: FakeIntake,
    metrics: Metrics,
    host: str = "127.0.0.1:0",
    inherited: socket.socket | None = None,
    **config: Any,
) -> AsyncIterator[UdpListener]:
    listener = UdpListener(host, UdpConfig(**config), intake, metrics, inherited)
    await listener.start()
    try:
        yield listener
    finally:
        await listener.stop(timeout=5)


class CountingIntake(FakeIntake):
    calls = 0

    def take(
        self,
        pieces: list[Piece],
        origin: Origin,
        received_at: datetime,
        receipts: Receipts | None = None,
    ) -> None:
        self.calls += 1
        super().take(pieces, origin, received_at, receipts)


def sender(listener: UdpListener, source: str | None = None) -> socket.socket:
    host, _ = listener.address
    sock = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM)
    if source is not None:
        sock.bind((source, 0))
    sock.connect(listener.address)
    return sock


async def test_one_datagram_one_frame() -> None:
    intake, metrics = FakeIntake(), Metrics()
    async with listening(intake, metrics) as listener:
        with sender(listener) as sock:
            sock.send(b"<22>plain\n")
            sock.send(b"")
            sock.send(b"z" + zlib.compress(b"<22>packed"))
            sock.send(b"z" + zlib.compress(b"<22>broken")[:-6])
            await intake.until(lambda seen: len(seen.origins) == 4)
    assert intake.frames == [b"<22>plain", b"", b"<22>packed"]
    assert [fault.kind for fault in intake.faults] == [Drop.BAD_COMPRESSION]
    assert intake.origins[0].source_ip == "127.0.0.1"
    assert value(metrics, "bytes_received_total", transport="udp") > 20


async def test_what_one_turn_of_the_loop_reads_is_taken_in_together() -> None:
    """Of each sender, in its order."""
    intake, metrics = CountingIntake(), Metrics()
    async with listening(intake, metrics) as listener:
        with sender(listener, "127.0.0.1") as one, sender(listener, "127.0.0.2") as two:
            for number in range(10):  # the event loop does not turn meanwhile
                one.send(b"<22>one %d" % number)
                two.send(b"<22>two %d" % number)
            await intake.until(lambda seen: len(seen.origins) == 20)
    assert intake.calls < 20
    for name, address in (b"one", "127.0.0.1"), (b"two", "127.0.0.2"):
        of_one = [frame for frame in intake.frames if name in frame]
        assert of_one == [b"<22>%b %d" % (name, number) for number in range(10)]
        assert sum(origin.source_ip == address for origin in intake.origins) == 10


@pytest.mark.parametrize("host", ["127.0.0.1:0", "[::1]:0"])
async def test_a_burst_is_read_from_the_socket_itself(host: str) -> None:
    """Not in the portions of the event loop, 32 at most; in its order all the same."""
    intake, metrics = CountingIntake(), Metrics()
    async with listening(intake, metrics, host) as listener:
        with sender(listener) as sock:
            for number in range(600):  # the event loop does not turn meanwhile
                sock.send(b"<22>%d" % number)
            await intake.until(lambda seen: len(seen.frames) == 600)
    assert intake.frames == [b"<22>%d" % number for number in range(600)]
    assert intake.calls < 600 / 32
    assert value(metrics, "bytes_received_total", transport="udp") == sum(map(len, intake.frames))


async def test_a_full_intake_drops_and_counts() -> None:
    intake, metrics = FakeIntake(), Metrics()
    intake.has_room = False
    async with listening(intake, metrics, "[::1]:0") as listener:
        with sender(listener) as sock:
            for _ in range(100):
                sock.send(b"<22>line")
            await intake.until(lambda seen: len(seen.faults) == 100)
            intake.make_room()
            sock.send(b"<22>after")
            await intake.until(lambda seen: seen.frames == [b"<22>after"])
    assert {fault.kind for fault in intake.faults} == {Drop.QUEUE_FULL}
    assert intake.origins[-1].source_ip == "::1"


async def test_of_folded_lines_no_more_than_a_few_pass_the_bound() -> None:
    intake, metrics = NarrowIntake(), Metrics()
    folded = b"<22>mx postfix/smtp[1]: message repeated 999 times: [ status=bounced]"
    async with listening(intake, metrics) as listener:
        with sender(listener) as sock:
            for _ in range(100):
                sock.send(folded)
            await intake.until(lambda seen: len(seen.faults) + len(seen.frames) == 100)
    assert 1 <= len(intake.frames) <= 16
    assert {fault.kind for fault in intake.faults} == {Drop.QUEUE_FULL}


async def test_stop_takes_in_what_the_kernel_already_holds() -> None:
    intake, metrics = FakeIntake(), Metrics()
    async with listening(intake, metrics) as listener:
        with sender(listener) as sock:
            for number in range(1000):
                sock.send(b"<22>%d" % number)
        await listener.stop(timeout=5)
    assert intake.frames == [b"<22>%d" % number for number in range(1000)]


def has_more_than(count: int, seen: FakeIntake) -> bool:
    return len(seen.frames) > count


async def test_what_comes_while_it_stops_is_for_the_next_on_the_same_socket() -> None:
    """A socket that outlives its listener, as systemd keeps one: each datagram of a sender that
    never pauses is taken in by one of the two, or counted by the kernel."""
    intake, metrics, sent = FakeIntake(), Metrics(), 20_000
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as kept:
        kept.setblocking(False)
        kept.bind(("127.0.0.1", 0))
        address = kept.getsockname()

        def send() -> None:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
                for number in range(sent):
                    sock.sendto(b"<22>%d" % number, address)

        sending = asyncio.get_running_loop().run_in_executor(None, send)
        while not sending.done():
            listener = UdpListener("127.0.0.1:0", UdpConfig(), intake, metrics, kept.dup())
            await listener.start()
            assert listener.address == address
            some = asyncio.create_task(intake.until(partial(has_more_than, len(intake.frames))))
            await asyncio.wait([some, sending], return_when=asyncio.FIRST_COMPLETED)
            some.cancel()
            await listener.stop(timeout=5)
        async with listening(intake, metrics, inherited=kept.dup()):
            pass
        assert len(set(intake.frames)) == len(intake.frames)
        assert len(intake.frames) + kernel_drops(kept) == sent


async def test_both_families_at_one_port() -> None:
    """As for TCP, `0.0.0.0` and `[::]` are two addresses."""
    intake, metrics = FakeIntake(), Metrics()
    async with listening(intake, metrics, "0.0.0.0:0") as four:
        _, port = four.address
        async with listening(intake, metrics, f"[::]:{port}") as six:
            for family, host in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
                with socket.socket(family, socket.SOCK_DGRAM) as sock:
                    sock.sendto(b"<22>line", (host, port))
            await intake.until(lambda seen: len(seen.frames) == 2)
            assert six.address == ("::", port)
    assert {origin.source_ip for origin in intake.origins} == {"127.0.0.1", "::1"}


async def test_an_inherited_socket_s_buffer_and_drops_are_its_owner_s() -> None:
    intake, metrics = FakeIntake(), Metrics()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as kept:
        kept.setblocking(False)
        kept.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
        kept.bind(("127.0.0.1", 0))
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            for _ in range(100):
                sock.sendto(b"x" * 1000, kept.getsockname())
        lost = kernel_drops(kept)
        assert 0 < lost < 100
        with capture_logs() as logs:
            async with listening(intake, metrics, inherited=kept.dup()):
                await intake.until(lambda seen: len(seen.frames) == 100 - lost)
        assert kept.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) == 2 * 8192
    assert value(metrics, "udp_kernel_drops_total") == 0
    said = {entry["event"]: entry for entry in logs}
    assert said["udp_kernel_drops_before_start"]["drops"] == lost
    assert said["udp_buffer_smaller_than_asked"]["remedy"] == "ReceiveBuffer= of its socket unit"


def most_without_a_right() -> int:
    return int(Path("/proc/sys/net/core/rmem_max").read_text())


def has_net_admin() -> bool:
    effective = next(
        line for line in Path("/proc/self/status").read_text().splitlines() if "CapEff" in line
    )
    return bool(int(effective.split()[1], 16) >> 12 & 1)  # CAP_NET_ADMIN, capability.h


@pytest.mark.parametrize("most", [0, 4096], ids=["all", "more than all"])
async def test_more_buffer_than_the_system_s_bound(most: int) -> None:
    bound = most_without_a_right()
    wanted = bound + most
    with capture_logs() as logs:
        async with listening(FakeIntake(), Metrics(), receive_buffer_bytes=wanted):
            pass
    said = [entry for entry in logs if entry["event"] == "udp_buffer_smaller_than_asked"]
    if most == 0 or has_net_admin():
        assert not said
    else:
        assert [(entry["asked"], entry["granted"]) for entry in said] == [(wanted, bound)]


async def test_the_kernel_s_drops_are_exported() -> None:
    intake, metrics = FakeIntake(), Metrics()
    async with listening(intake, metrics, receive_buffer_bytes=4096) as listener:
        with sender(listener) as sock:
            for _ in range(200):  # the event loop does not turn meanwhile
                sock.send(b"x" * 1000)
        await asyncio.sleep(0)
        listener.count_kernel_drops()
        dropped = value(metrics, "udp_kernel_drops_total")
        await intake.until(lambda seen: len(seen.frames) == 200 - dropped)
    assert dropped > 0


async def test_only_allowed_networks() -> None:
    intake, metrics = FakeIntake(), Metrics()
    with capture_logs() as logs:
        async with listening(intake, metrics, allow=["127.0.0.2/32"]) as listener:
            with sender(listener, "127.0.0.1") as bad, sender(listener, "127.0.0.2") as good:
                bad.send(b"<22>bad")
                bad.send(b"<22>bad again")
                good.send(b"<22>good")
                await intake.until(lambda seen: len(seen.origins) == 3)
    assert intake.frames == [b"<22>good"]
    assert [fault.kind for fault in intake.faults] == [Drop.NOT_ALLOWED] * 2
    said = [entry["peer"] for entry in logs if entry["event"] == "sender_not_allowed"]
    assert said == ["127.0.0.1"]


async def test_over_its_rate_a_source_loses_and_others_do_not() -> None:
    intake, metrics = FakeIntake(), Metrics()
    async with listening(intake, metrics, rate_limit=0.001, rate_limit_burst=10) as listener:
        with sender(listener, "127.0.0.1") as loud, sender(listener, "127.0.0.2") as calm:
            for _ in range(50):
                loud.send(b"<22>loud")
            calm.send(b"<22>calm")
            await intake.until(lambda seen: len(seen.origins) == 51)
        assert listener.rated_sources == 2
    assert intake.frames.count(b"<22>loud") == 10
    assert intake.frames.count(b"<22>calm") == 1
    assert [fault.kind for fault in intake.faults] == [Drop.RATE_LIMITED] * 40
    assert value(metrics, "rate_limited_total", transport="udp") == 40
