"""Senders over real sockets: nothing lost, nothing added, held back, and only on this machine."""

import asyncio
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path

import pytest

from benchmarks.generate import Options, corpus
from benchmarks.processes import ROOT
from benchmarks.send import (
    by_host,
    chunked,
    lines_of,
    loopback,
    octet_counted,
    restamp,
    send_tcp,
    send_tcp_apart,
    send_tcp_paced,
    send_udp,
)

DATA = b"".join(corpus(Options(2000)).blocks)


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        sock.settimeout(10)
        yield sock


def receive_all(listener: socket.socket) -> bytes:
    peer, _ = listener.accept()
    received = bytearray()
    with peer:
        while data := peer.recv(65_536):
            received += data
    return bytes(received)


async def test_tcp_sends_every_byte_once(listener: socket.socket) -> None:
    receiving = asyncio.create_task(asyncio.to_thread(receive_all, listener))
    sent = await asyncio.to_thread(send_tcp, listener.getsockname(), chunked([DATA], 1000), 2000)
    assert await receiving == DATA
    assert (sent.lines, sent.bytes) == (2000, len(DATA))
    assert 0 < sent.seconds < 10


async def test_hosts_have_connections_of_their_own(listener: socket.socket) -> None:
    def host(line: bytes) -> bytes:
        return line.split(b" ")[1]

    lines = lines_of(DATA)
    parts = by_host(lines, 3)
    assert len(parts) == 3
    of_parts = [set(map(host, part)) for part in parts]
    assert sum(map(len, of_parts)) == len(set(map(host, lines))), "each in one part"

    def receive_three() -> list[bytes]:
        with ThreadPoolExecutor(3) as pool:
            return list(pool.map(lambda _: receive_all(listener), range(3)))

    receiving = asyncio.create_task(asyncio.to_thread(receive_three))
    sent = await asyncio.to_thread(send_tcp_apart, listener.getsockname(), parts)
    assert sorted(await receiving) == sorted(map(b"".join, parts))
    assert (sent.lines, sent.bytes) == (2000, len(DATA))


def test_octet_counted_frames_hold_the_lines_without_lf() -> None:
    lines = lines_of(DATA)
    stream = b"".join(map(octet_counted, lines))
    found = []
    while stream:
        count, _, stream = stream.partition(b" ")
        found.append(stream[: int(count)])
        stream = stream[int(count) :]
    assert found == DATA.split(b"\n")[:-1]


def test_chunks_join_to_the_lines() -> None:
    lines = lines_of(DATA)
    pieces = chunked(lines, 777)
    assert b"".join(pieces) == DATA
    assert max(map(len, pieces)) == 777


def test_lines_are_split_at_lf_only() -> None:
    assert lines_of(b"a\r\nb\x0bc\x85\n") == [b"a\r\n", b"b\x0bc\x85\n"]


async def test_tcp_waits_for_a_receiver_that_does_not_read(listener: socket.socket) -> None:
    large = [bytes(1 << 20)] * 64
    sending = asyncio.create_task(asyncio.to_thread(send_tcp, listener.getsockname(), large, 1))
    await asyncio.wait([sending], timeout=0.3)
    assert not sending.done()
    received = await asyncio.to_thread(receive_all, listener)
    assert len(received) == 64 << 20
    assert (await sending).bytes == 64 << 20


async def test_tcp_gives_up_on_a_receiver_that_never_reads(listener: socket.socket) -> None:
    with pytest.raises(TimeoutError):
        await asyncio.to_thread(send_tcp, listener.getsockname(), [bytes(64 << 20)], 1, 0.2)


async def test_paced_tcp_keeps_the_pace_and_the_lines(listener: socket.socket) -> None:
    lines = lines_of(DATA)[:400]
    receiving = asyncio.create_task(asyncio.to_thread(receive_all, listener))
    sent = await asyncio.to_thread(send_tcp_paced, listener.getsockname(), lines, 2000)
    assert await receiving == b"".join(lines)
    assert sent.seconds >= 399 / 2000 - 0.002
    assert sent.lines == 400


async def test_paced_tcp_stamps_each_line_as_it_goes(listener: socket.socket) -> None:
    lines = lines_of(DATA)[:300]
    receiving = asyncio.create_task(asyncio.to_thread(receive_all, listener))
    before = time.time()
    await asyncio.to_thread(send_tcp_paced, listener.getsockname(), lines, 600, restamp)
    after = time.time()
    received = lines_of(await receiving)
    stamps = [
        datetime.fromisoformat(line[4 : line.index(b" ")].decode()).timestamp() for line in received
    ]
    assert before - 1e-6 <= stamps[0] <= stamps[-1] <= after
    assert stamps[0] < stamps[-1]
    assert stamps[-1] - before >= 299 / 600 - 0.002, "a late start is caught up with, no more"
    assert [line.partition(b" ")[2] for line in received] == [
        line.partition(b" ")[2] for line in lines
    ]


def test_restamp_keeps_the_length() -> None:
    line = lines_of(DATA)[0]
    assert len(restamp(line)) == len(line)


async def test_udp_sends_a_datagram_a_line_at_the_pace() -> None:
    lines = lines_of(DATA)[:200]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
        receiver.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        receiver.bind(("127.0.0.1", 0))
        receiver.settimeout(10)
        sent = await asyncio.to_thread(send_udp, receiver.getsockname(), lines, 1000)
        received = [receiver.recv(65_536) for _ in lines]
        receiver.setblocking(False)
        with pytest.raises(BlockingIOError):
            receiver.recv(1)
    assert received == [line[:-1] for line in lines]
    assert sent.seconds >= 199 / 1000 - 0.002


@pytest.mark.parametrize(
    "address",
    [
        "192.0.2.1:514",
        "0.0.0.0:514",
        "[2001:db8::1]:514",
        "[::]:514",
        "mail.example:514",
        "localhost:1",
    ],
)
def test_only_this_machine(address: str) -> None:
    with pytest.raises(ValueError, match=r"loopback|IPv4 or IPv6"):
        loopback(address)


@pytest.mark.parametrize(
    ("address", "pair"),
    [
        ("127.0.0.1:5514", ("127.0.0.1", 5514)),
        ("[::1]:1", ("::1", 1)),
        ("127.9.9.9:2", ("127.9.9.9", 2)),
    ],
)
def test_loopback_addresses(address: str, pair: tuple[str, int]) -> None:
    assert loopback(address) == pair


@pytest.mark.parametrize(
    "arguments",
    [
        ["--tcp", "192.0.2.1:514"],
        ["--udp", "127.0.0.1:514"],
        ["--octet-counted", "127.0.0.1:514", "--rate", "5"],
    ],
)
def test_command_refuses(arguments: list[str], tmp_path: Path) -> None:
    log = tmp_path / "mail.log"
    log.write_bytes(DATA)
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.send", *arguments, str(log)],
        cwd=ROOT, capture_output=True, check=False, timeout=30,
    )  # fmt: skip
    assert done.returncode == 2
    assert b"usage:" in done.stderr
