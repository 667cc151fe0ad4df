"""The UDP listener on real sockets."""

import asyncio
import socket
import zlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from service.core.outcomes import Drop
from service.listeners.udp import UdpConfig, UdpListener
from service.metrics import Metrics
from tests.fakes import FakeIntake
from tests.metric_values import value


@asynccontextmanager
async def listening(
    intake: FakeIntake, metrics: Metrics, host: str = "127.0.0.1:0", **config: int
) -> AsyncIterator[UdpListener]:
    listener = UdpListener(host, UdpConfig(**config), intake, metrics)
    await listener.start()
    try:
        yield listener
    finally:
        await listener.stop(timeout=5)


def sender(listener: UdpListener) -> socket.socket:
    host, _ = listener.address
    sock = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM)
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


async def test_stop_takes_in_what_the_kernel_already_holds() -> None:
    intake, metrics = FakeIntake(), Metrics()
    async with listening(intake, metrics) as listener:
        with sender(listener) as sock:
            for number in range(1000):
                sock.send(b"<22>%d" % number)
        await listener.stop(timeout=5)
    assert intake.frames == [b"<22>%d" % number for number in range(1000)]


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
