"""The limits of every stream listener against the hostile, on real sockets."""

import asyncio
import socket
import zlib
from collections import Counter
from typing import Any

import pytest
from structlog.testing import capture_logs

from service.core.outcomes import Drop, Refusal
from service.listeners import portions
from service.listeners.portions import LABORIOUS_BYTES, PORTION_BYTES
from service.listeners.reading import FULL_READ, Turn
from service.listeners.tcp import TcpConfig, TcpListener
from service.metrics import Metrics
from tests.core.framing.test_proxy_v2 import header, tcp4, tcp6
from tests.fakes import FakeIntake
from tests.listeners.over_tcp import listening
from tests.metric_values import value

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def connect(listener: TcpListener, source: str = "127.0.0.1") -> Streams:
    return await asyncio.open_connection(*listener.address, local_addr=(source, 0))


async def is_closed(streams: Streams) -> None:
    reader, writer = streams
    try:
        assert await reader.read() == b""
    except ConnectionResetError:
        pass
    writer.close()


def refused(metrics: Metrics, reason: Refusal) -> float:
    return value(metrics, "connections_refused_total", transport="tcp", reason=reason.value)


# Half frames


@pytest.mark.parametrize("half", [b"<22>half", b"12 <22>half", b"12", b"7 <22>"])
async def test_an_unfinished_frame_is_given_up(half: bytes) -> None:
    intake, metrics = FakeIntake(), Metrics()
    with capture_logs() as logs:
        async with listening(intake, metrics, half_frame_timeout=0.05) as listener:
            idle = await connect(listener)
            idle[1].write(b"<22>idle\n")
            slow = await connect(listener)
            slow[1].write(b"<22>whole\n" + half)
            await is_closed(slow)
            idle[1].write(b"<22>still here\n")
            await intake.until(lambda seen: len(seen.frames) == 3)
            idle[1].close()
    assert [fault.kind for fault in intake.faults] == [Drop.STALLED]
    [line] = [entry for entry in logs if entry["event"] == "connection_closed"]
    assert (line["peer"], line["reason"]) == ("127.0.0.1", "stalled")


async def test_drops_of_water_do_not_keep_a_frame_alive() -> None:
    """Slowloris: a byte now and then, and never the end."""
    intake, metrics = FakeIntake(), Metrics()
    async with listening(intake, metrics, half_frame_timeout=0.1) as listener:
        streams = await connect(listener)

        async def drip() -> None:
            while True:
                streams[1].write(b"x")
                await asyncio.sleep(0)

        dripping = asyncio.create_task(drip())
        await is_closed(streams)
        dripping.cancel()
    assert [fault.kind for fault in intake.faults] == [Drop.STALLED]


async def test_a_sender_of_whole_frames_stays() -> None:
    """At each look a frame is unfinished, but never the same one."""
    intake, metrics = FakeIntake(), Metrics()
    loop = asyncio.get_running_loop()
    # Long enough that a machine that is busy elsewhere does not make us slow.
    async with listening(intake, metrics, half_frame_timeout=1) as listener:
        _, writer = await connect(listener)
        writer.write(b"<22>begin")
        end = loop.time() + 2.5
        sent = 0
        while loop.time() < end:
            writer.write(b" end\n<22>begin")
            sent += 1
            await intake.until(lambda seen, n=sent: len(seen.frames) == n)  # type: ignore[misc]
        writer.write(b" end\n")
        await intake.until(lambda seen: len(seen.frames) == sent + 1)
        writer.close()
    assert intake.faults == []


async def test_who_is_held_back_is_not_called_slow() -> None:
    intake, metrics = FakeIntake(), Metrics()
    async with listening(intake, metrics, half_frame_timeout=0.05) as listener:
        _, held = await connect(listener)
        intake.has_room = False
        held.write(b"<22>one\n<22>half")
        await intake.until(lambda seen: seen.held_back == 1)
        intake.has_room = True  # and nobody is told
        slow = await connect(listener)
        slow[1].write(b"<22>two\n<22>half")
        await is_closed(slow)
        held.write(b" and whole\n")
        intake.make_room()
        await intake.until(lambda seen: len(seen.frames) == 3)
        held.close()
    assert intake.frames[2] == b"<22>half and whole"
    assert [fault.kind for fault in intake.faults] == [Drop.STALLED]


# Turns


class TurnsIntake(FakeIntake):
    """Knows in which turn of the loop it took something."""

    def __init__(self) -> None:
        super().__init__()
        self.turn = 0
        self.taken_in: list[int] = []
        self.sizes: list[int] = []
        """Lines of each."""
        self._loop = asyncio.get_running_loop()
        self._next_turn()

    def _next_turn(self) -> None:
        self.turn += 1
        self._handle = self._loop.call_soon(self._next_turn)

    def stop(self) -> None:
        self._handle.cancel()

    def take(self, *taken: Any) -> None:
        self.taken_in.append(self.turn)
        before = len(self.frames)
        super().take(*taken)
        self.sizes.append(len(self.frames) - before)


async def taken_in_turns() -> list[int]:
    """In which turns of the loop a fast sender's reads were taken."""
    intake, metrics = TurnsIntake(), Metrics()
    held = socket.create_server(("127.0.0.1", 0))
    # As much in the kernel as it takes for some full reads, before the loop turns.
    held.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 * FULL_READ)
    host, port = held.getsockname()
    listener = TcpListener(f"{host}:{port}", TcpConfig(), intake, metrics, inherited=held)
    await listener.start()
    try:
        sock = socket.create_connection((host, port))
        sock.setblocking(False)
        line = b"<22>" + b"x" * 995 + b"\n"
        _, writer = await asyncio.open_connection(sock=sock)
        writer.write(line * 4000)
        await writer.drain()
        await intake.until(lambda seen: len(seen.frames) == 4000)
        writer.close()
    finally:
        intake.stop()
        await listener.stop(timeout=5)
    assert value(metrics, "reads_paused_total") == 0
    return intake.taken_in


async def test_a_fast_sender_gives_way_once_its_turn_is_over(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Else libuv reads on as long as there is something, and nobody else is served."""
    monkeypatch.setattr(Turn, "SECONDS", 0)
    turns = await taken_in_turns()
    assert len(set(turns)) == len(turns) > 1


async def test_a_fast_sender_is_read_on_while_its_turn_lasts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Turn, "SECONDS", 60)
    turns = await taken_in_turns()
    assert len(set(turns)) < len(turns)


async def taken_of(data: bytes, lines: int) -> tuple[list[int], list[int]]:
    """In which turns of the loop it was taken, in portions of how many lines."""
    intake, metrics = TurnsIntake(), Metrics()
    listener = TcpListener("127.0.0.1:0", TcpConfig(), intake, metrics)
    await listener.start()
    try:
        _, writer = await asyncio.open_connection(*listener.address)
        writer.write(data)
        await intake.until(lambda seen: len(seen.frames) == lines)
        writer.close()
    finally:
        intake.stop()
        await listener.stop(timeout=5)
    return intake.taken_in, intake.sizes


async def test_after_a_read_that_took_longer_than_a_turn_portions_are_small(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A quarter of a million empty lines have room in a read, and were half a second each time."""
    monkeypatch.setattr(portions, "TURN_SECONDS", 0)
    turns, sizes = await taken_of(b"\n" * 200_000, 200_000)
    assert max(Counter(turns).values()) <= 2, "one that waited, and one that is read"
    assert max(sizes) <= LABORIOUS_BYTES
    assert sum(sizes) == 200_000


async def test_compressed_lines_are_no_more_than_a_turn_of_work(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """To inflate those of a read took a second, and no event of theirs held the sender back."""
    monkeypatch.setattr(portions, "TURN_SECONDS", 0)
    packed = b"z" + zlib.compress(b"<22>" + b"A" * 60_000)
    wire = b"%d %b" % (len(packed), packed)
    turns, sizes = await taken_of(wire * 500, 500)
    assert max(Counter(turns).values()) <= 2, "one that waited, and one that is read"
    assert max(sizes) <= PORTION_BYTES // len(wire) + 1


# Who and how many


async def test_only_allowed_networks() -> None:
    intake, metrics = FakeIntake(), Metrics()
    with capture_logs() as logs:
        async with listening(intake, metrics, allow="127.0.0.2, 127.0.1.0/24") as listener:
            await is_closed(await connect(listener, "127.0.0.1"))
            for number, source in enumerate(("127.0.0.2", "127.0.1.77"), start=1):
                _, writer = await connect(listener, source)
                writer.write(b"<22>line\n")
                await intake.until(lambda seen, n=number: len(seen.frames) == n)  # type: ignore[misc]
                writer.close()
    assert [origin.source_ip for origin in intake.origins] == ["127.0.0.2", "127.0.1.77"]
    assert refused(metrics, Refusal.NOT_ALLOWED) == 1
    [line] = [entry for entry in logs if entry["event"] == "connection_refused"]
    assert (line["peer"], line["reason"]) == ("127.0.0.1", "not_allowed")


async def test_no_more_connections_from_one_address() -> None:
    intake, metrics = FakeIntake(), Metrics()
    async with listening(intake, metrics, max_connections_per_address=2) as listener:
        open_ones = [await connect(listener) for _ in range(2)]
        await is_closed(await connect(listener))
        other = await connect(listener, "127.0.0.9")
        other[1].write(b"<22>other\n")
        await intake.until(lambda seen: seen.frames == [b"<22>other"])
        assert refused(metrics, Refusal.MAX_CONNECTIONS_PER_ADDRESS) == 1
        assert value(metrics, "connections", transport="tcp") == 3
        _, writer = open_ones.pop()
        writer.write(b"<22>tail")
        writer.write_eof()
        await intake.until(lambda seen: len(seen.frames) == 2)
        again = await connect(listener)
        again[1].write(b"<22>again\n")
        await intake.until(lambda seen: len(seen.frames) == 3)
        for _, one in (*open_ones, other, again):
            one.close()
        writer.close()


async def test_a_flood_of_connections_costs_nobody_else() -> None:
    intake, metrics = FakeIntake(), Metrics()
    with capture_logs() as logs:
        async with listening(
            intake, metrics, max_connections=20, max_connections_per_address=5
        ) as listener:
            _, good = await connect(listener, "127.0.0.2")
            flood = [await connect(listener) for _ in range(100)]
            good.write(b"<22>good\n")
            await intake.until(lambda seen: seen.frames == [b"<22>good"])
            for streams in flood[5:]:
                await is_closed(streams)
            assert refused(metrics, Refusal.MAX_CONNECTIONS_PER_ADDRESS) == 95
            assert value(metrics, "connections", transport="tcp") == 6
            for _, writer in (*flood[:5], (None, good)):
                writer.close()
    said = [entry for entry in logs if entry["event"] == "connection_refused"]
    assert 0 < len(said) <= 20, "all are counted, not all are said"


# The rate of one source


async def test_over_its_rate_a_source_is_held_back_and_loses_nothing() -> None:
    intake, metrics = FakeIntake(), Metrics()
    loop = asyncio.get_running_loop()
    async with listening(intake, metrics, rate_limit=1000, rate_limit_burst=10) as listener:
        _, writer = await connect(listener)
        began = loop.time()
        writer.write(b"<22>line\n" * 110)
        await intake.until(lambda seen: len(seen.frames) == 110)
        writer.write(b"<22>after\n")
        await intake.until(lambda seen: len(seen.frames) == 111)
        assert loop.time() - began >= 0.09
        assert listener.rated_sources == 1
        writer.close()
    assert intake.faults == []
    assert value(metrics, "rate_limited_total", transport="tcp") >= 1
    assert value(metrics, "reads_paused_total", transport="tcp") >= 1


# PROXY protocol


TRUSTING = {"proxy_protocol_from": "127.0.0.5, ::1"}


@pytest.mark.parametrize(
    ("head", "source"),
    [
        (tcp4("203.0.113.7"), "203.0.113.7"),
        (tcp6("2001:db8::7"), "2001:db8::7"),
        (header(0x20, 0, b""), "127.0.0.5"),
        (header(0x21, 0, b"\x04\x00\x00"), "127.0.0.5"),
    ],
)
async def test_a_trusted_proxy_names_the_sender(head: bytes, source: str) -> None:
    intake, metrics = FakeIntake(), Metrics()
    async with listening(intake, metrics, **TRUSTING) as listener:
        _, writer = await connect(listener, "127.0.0.5")
        for byte in head:
            writer.write(bytes((byte,)))
            await asyncio.sleep(0)
        writer.write(b"<22>one\n<22>two\n")
        await intake.until(lambda seen: len(seen.frames) == 2)
        writer.write(head + b"\n")  # no second one: it is a line like any other
        await intake.until(lambda seen: len(seen.frames) > 2)
        writer.close()
    assert intake.frames[:2] == [b"<22>one", b"<22>two"]
    assert {origin.source_ip for origin in intake.origins} == {source}


async def test_header_and_lines_in_one_read() -> None:
    intake, metrics = FakeIntake(), Metrics()
    async with listening(intake, metrics, **TRUSTING) as listener:
        _, writer = await connect(listener, "127.0.0.5")
        writer.write(tcp4("203.0.113.7") + b"<22>one\n")
        await intake.until(lambda seen: seen.frames == [b"<22>one"])
        writer.close()
    assert intake.origins[0].source_ip == "203.0.113.7"


@pytest.mark.parametrize(
    ("source", "sent", "reason", "said"),
    [
        ("127.0.0.1", tcp4("203.0.113.7"), Refusal.PROXY_NOT_TRUSTED, {}),
        (
            "127.0.0.5",
            b"<22>line\n",
            Refusal.BAD_PROXY_HEADER,
            {"detail": "no version 2 signature"},
        ),
        (
            "127.0.0.5",
            b"PROXY TCP4 203.0.113.7 192.0.2.9 1 2\r\n",
            Refusal.BAD_PROXY_HEADER,
            {"detail": "no version 2 signature"},
        ),
    ],
)
async def test_proxy_headers_refused(
    source: str, sent: bytes, reason: Refusal, said: dict[str, str]
) -> None:
    intake, metrics = FakeIntake(), Metrics()
    with capture_logs() as logs:
        async with listening(intake, metrics, **TRUSTING) as listener:
            streams = await connect(listener, source)
            streams[1].write(sent + b"<22>more\n")
            await is_closed(streams)
    assert intake.frames == []
    assert refused(metrics, reason) == 1
    [line] = [entry for entry in logs if entry["event"] == "connection_refused"]
    assert line.items() >= {"peer": source, "reason": reason.value, **said}.items()


async def test_who_is_not_trusted_is_heard_without_a_header() -> None:
    intake, metrics = FakeIntake(), Metrics()
    async with listening(intake, metrics, **TRUSTING) as listener:
        _, writer = await connect(listener, "127.0.0.1")
        writer.write(b"<22>line\n")
        await intake.until(lambda seen: seen.frames == [b"<22>line"])
        writer.close()


async def test_limits_are_for_whom_the_proxy_speaks() -> None:
    intake, metrics = FakeIntake(), Metrics()
    limits: dict[str, Any] = {
        "allow": "203.0.113.0/24",
        "max_connections_per_address": 1,
        **TRUSTING,
    }
    with capture_logs() as logs:
        async with listening(intake, metrics, **limits) as listener:
            opened = []
            for number, source in enumerate(("203.0.113.7", "203.0.113.8"), start=1):
                streams = await connect(listener, "127.0.0.5")
                streams[1].write(tcp4(source) + b"<22>line\n")
                await intake.until(lambda seen, n=number: len(seen.frames) == n)  # type: ignore[misc]
                opened.append(streams)
            for source in ("203.0.113.7", "198.51.100.1"):
                streams = await connect(listener, "127.0.0.5")
                streams[1].write(tcp4(source) + b"<22>line\n")
                await is_closed(streams)
            for _, writer in opened:
                writer.close()
    assert refused(metrics, Refusal.MAX_CONNECTIONS_PER_ADDRESS) == 1
    assert refused(metrics, Refusal.NOT_ALLOWED) == 1
    said = [entry for entry in logs if entry["event"] == "connection_refused"]
    assert [entry["peer"] for entry in said] == ["203.0.113.7", "198.51.100.1"]
    assert {entry["proxy"] for entry in said} == {"127.0.0.5"}


async def test_a_proxy_that_says_nothing_is_not_waited_for() -> None:
    intake, metrics = FakeIntake(), Metrics()
    async with listening(intake, metrics, handshake_timeout=0.05, **TRUSTING) as listener:
        await is_closed(await connect(listener, "127.0.0.5"))
        assert refused(metrics, Refusal.HANDSHAKE_TIMEOUT) == 1


async def test_health_checks_of_a_proxy_are_no_trouble() -> None:
    intake, metrics = FakeIntake(), Metrics()
    with capture_logs() as logs:
        async with listening(intake, metrics, **TRUSTING) as listener:
            _, writer = await connect(listener, "127.0.0.5")
            writer.write(header(0x20, 0, b""))
            writer.close()
            await writer.wait_closed()
            with socket.create_connection(listener.address, source_address=("127.0.0.5", 0)):
                pass
            await listener.closed(5)
    assert [entry for entry in logs if entry["log_level"] != "info"] == []
    assert value(metrics, "connections_refused_total") == 0
