"""The TCP listener on real sockets: framing in a stream, backpressure, limits, and its end."""

import asyncio
import socket
import struct
import zlib

import pytest

from service.core.outcomes import Drop
from service.listeners.portions import PORTION_BYTES
from service.listeners.tcp import TcpListener
from service.metrics import Metrics
from tests.fakes import FakeIntake, NarrowIntake
from tests.listeners.over_tcp import listening
from tests.metric_values import value


async def send(listener: TcpListener, *portions: bytes) -> None:
    reader, writer = await asyncio.open_connection(*listener.address)
    for portion in portions:
        writer.write(portion)
        await writer.drain()
    writer.write_eof()
    await reader.read()
    writer.close()
    await writer.wait_closed()


async def test_both_framings_in_one_connection() -> None:
    intake, metrics = FakeIntake(), Metrics()
    async with listening(intake, metrics) as listener:
        await send(listener, b"<22>one\n5 <22>t<22>three\n8 <22>f", b"our<22>tail without end")
        await intake.until(lambda seen: len(seen.frames) == 5)
    assert intake.frames == [
        b"<22>one",
        b"<22>t",
        b"<22>three",
        b"<22>four",
        b"<22>tail without end",
    ]
    assert intake.origins[0].source_ip == "127.0.0.1"
    assert intake.origins[0].transport == "tcp"


async def test_ipv6_peer() -> None:
    intake, metrics = FakeIntake(), Metrics()
    async with listening(intake, metrics, "[::1]:0") as listener:
        await send(listener, b"<22>one\n")
        await intake.until(lambda seen: len(seen.frames) == 1)
    assert intake.origins[0].source_ip == "::1"


async def test_bad_count_closes_the_connection_and_keeps_earlier_frames() -> None:
    intake, metrics = FakeIntake(), Metrics()
    async with listening(intake, metrics) as listener:
        reader, writer = await asyncio.open_connection(*listener.address)
        writer.write(b"<22>good\n9999999999 <22>never\n<22>not read\n")
        with pytest.raises((ConnectionResetError, asyncio.IncompleteReadError)):
            await reader.readexactly(1)
        writer.close()
    assert intake.frames == [b"<22>good"]
    assert [fault.kind for fault in intake.faults] == [Drop.BAD_COUNT]
    assert value(metrics, "connections", transport="tcp") == 0


async def test_over_long_line_is_cut_once_and_marked() -> None:
    intake, metrics = FakeIntake(), Metrics()
    async with listening(intake, metrics, max_frame_bytes=480) as listener:
        await send(listener, b"<22>" + b"x" * 5000 + b"\n<22>next\n")
        await intake.until(lambda seen: len(seen.frames) == 2)
    assert intake.truncated == [(b"<22>" + b"x" * 5000)[:480]]
    assert intake.frames[1] == b"<22>next"


async def test_a_full_intake_holds_the_sender_back_and_loses_nothing() -> None:
    intake, metrics = FakeIntake(), Metrics()
    intake.has_room = False
    line = b"<22>" + b"x" * 1000 + b"\n"
    lines = 20_000  # 20 MB: more than the socket buffers hold
    async with listening(intake, metrics) as listener:
        _, writer = await asyncio.open_connection(*listener.address)
        writer.transport.set_write_buffer_limits(high=0)
        writer.write(line)
        await intake.until(lambda seen: seen.held_back == 1)
        writer.write(line * (lines - 1))
        drained = asyncio.ensure_future(writer.drain())
        assert intake.frames == []
        intake.make_room()
        await drained
        await intake.until(lambda seen: len(seen.frames) == lines)
        writer.close()
        await writer.wait_closed()
    assert value(metrics, "reads_paused_total", transport="tcp") >= 1


async def test_many_that_send_at_once_do_not_all_pass_the_bound() -> None:
    """One of them takes the last room; what was read of the others waits as it came."""
    intake, metrics = NarrowIntake(), Metrics()
    numbers = range(20)
    async with listening(intake, metrics) as listener:
        writers = [(await asyncio.open_connection(*listener.address))[1] for _ in numbers]
        for number, writer in enumerate(writers):
            writer.write(b"<22>%d\n" % number)
        await intake.until(lambda seen: seen.held_back == len(numbers))
        for heard in numbers:
            assert len(intake.frames) == heard + 1
            intake.make_room()
        for writer in writers:
            writer.close()
    assert sorted(intake.frames) == sorted(b"<22>%d" % number for number in numbers)


async def test_what_waits_for_room_is_heard_in_order() -> None:
    intake, metrics = FakeIntake(), Metrics()
    intake.has_room = False
    async with listening(intake, metrics) as listener:
        _, writer = await asyncio.open_connection(*listener.address)
        writer.write(b"<22>one\n<22>tw")
        await intake.until(lambda seen: seen.held_back == 1)
        assert listener.buffered_bytes > 0
        writer.write(b"o\n<22>three\n")
        intake.make_room()
        await intake.until(lambda seen: len(seen.frames) == 3)
        assert listener.buffered_bytes == 0
        writer.close()
    assert intake.frames == [b"<22>one", b"<22>two", b"<22>three"]


async def test_what_was_read_is_not_lost_where_there_is_no_room_until_the_end() -> None:
    intake, metrics = FakeIntake(), Metrics()
    intake.has_room = False
    async with listening(intake, metrics) as listener:
        _, writer = await asyncio.open_connection(*listener.address)
        writer.write(b"<22>read\n<22>half")
        await intake.until(lambda seen: seen.held_back == 1)
        await listener.stop(timeout=0)
        assert intake.frames == [b"<22>read"]
        writer.close()
    await intake.until(lambda seen: len(seen.faults) == 1)
    assert intake.faults[0].kind is Drop.CUT_SHORT


async def test_compressed_lines_a_thousand_times_as_long_are_heard_a_few_at_a_time() -> None:
    """A read of 256 KB holds some thousand of them, which are some hundred MB."""
    intake, metrics = NarrowIntake(), Metrics()
    line = b"<22>mx postfix/smtp[1]: " + b"A" * 60_000
    packed = b"z" + zlib.compress(line)
    wire = (b"%d %b" % (len(packed), packed)) * 500
    async with listening(intake, metrics) as listener:
        _, writer = await asyncio.open_connection(*listener.address)
        writer.write(wire)
        await intake.until(lambda seen: seen.held_back > 0)
        most = 0
        while len(intake.frames) < 500:
            before = len(intake.frames)
            await intake.until(lambda seen: seen.held_back > 0)
            intake.make_room()
            await intake.until(lambda seen, n=before: len(seen.frames) > n)  # type: ignore[misc]
            most = max(most, len(intake.frames) - before)
        writer.close()
    assert most <= 2 * PORTION_BYTES // len(packed)
    assert set(intake.frames) == {line}


async def test_connections_over_the_limit_are_refused_and_counted() -> None:
    intake, metrics = FakeIntake(), Metrics()
    async with listening(intake, metrics, max_connections=1) as listener:
        _, first = await asyncio.open_connection(*listener.address)
        first.write(b"<22>one\n")
        await intake.until(lambda seen: len(seen.frames) == 1)
        reader, second = await asyncio.open_connection(*listener.address)
        with pytest.raises((ConnectionResetError, asyncio.IncompleteReadError)):
            await reader.readexactly(1)
        assert value(metrics, "connections_refused_total") == 1
        first.write(b"<22>two\n")
        await intake.until(lambda seen: len(seen.frames) == 2)
        for writer in (first, second):
            writer.close()


async def test_a_broken_connection_loses_only_the_unfinished_frame() -> None:
    intake, metrics = FakeIntake(), Metrics()
    async with listening(intake, metrics) as listener:
        _, writer = await asyncio.open_connection(*listener.address)
        writer.write(b"<22>whole\n<22>half")
        await intake.until(lambda seen: len(seen.frames) == 1)
        sock = writer.get_extra_info("socket")
        reset = struct.pack("ii", 1, 0)  # SO_LINGER 0: close sends RST
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, reset)
        writer.transport.abort()
        await intake.until(lambda seen: len(seen.faults) == 1)
    assert intake.frames == [b"<22>whole"]
    assert intake.faults[0].kind is Drop.CUT_SHORT


async def test_stop_reads_what_the_kernel_already_holds() -> None:
    intake, metrics = FakeIntake(), Metrics()
    lines = 5_000
    async with listening(intake, metrics) as listener:
        _, writer = await asyncio.open_connection(*listener.address)
        intake.has_room = False
        writer.write(b"<22>first\n")
        await intake.until(lambda seen: seen.held_back == 1)
        writer.write(b"<22>line\n" * lines + b"<22>unfinished")
        await writer.drain()
        intake.make_room()
        await listener.stop(timeout=5)
        writer.close()
    assert len(intake.frames) == lines + 1
    assert [fault.kind for fault in intake.faults] == [Drop.CUT_SHORT]
    assert value(metrics, "connections", transport="tcp") == 0
