"""Send a file of LF-terminated lines to a receiver on this machine, fast or at a pace.

    python -m benchmarks.send --tcp 127.0.0.1:5514 /tmp/mail.log
    python -m benchmarks.send --tcp 127.0.0.1:5514 --connections 16 /tmp/mail.log
    python -m benchmarks.send --octet-counted 127.0.0.1:5514 /tmp/mail.log
    python -m benchmarks.send --udp 127.0.0.1:5514 --rate 100000 /tmp/mail.log
    python -m benchmarks.send --relp 127.0.0.1:2514 --window 128 /tmp/mail.log

In: a file, an address on the loopback (any other is refused), a form, a rate. Out: one JSON
object on stdout: lines and bytes sent, the wall clock at the first and after the last of them.
Everything is read and framed before the clock starts. TCP blocks as long as the receiver holds it
back, but never longer than `STALL_SECONDS` without a byte taken. RELP ends with the last line's
acknowledgement, and sends again what a broken connection left without one.
"""

import argparse
import asyncio
import json
import socket
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta, timezone
from ipaddress import ip_address
from pathlib import Path

from benchmarks.relp import WINDOW, RelpSender

STALL_SECONDS = 60.0
_BLOCK_BYTES = 256 * 1024
_ZONE = timezone(timedelta(hours=2))
"""As in the generated lines: the width of the stamp must not change."""
_TICK_SECONDS = 0.001
"""Paced lines leave in bursts of this length, as a sleep is not much finer."""


@dataclass(frozen=True)
class Sent:
    lines: int
    bytes: int
    began: float
    """`time.time()`, comparable with the server's stamps."""
    ended: float

    @property
    def seconds(self) -> float:
        return self.ended - self.began


def loopback(address: str) -> tuple[str, int]:
    """`HOST:PORT` as a pair. Raises `ValueError` for anything that is not this machine."""
    host, _, port = address.rpartition(":")
    host = host.strip("[]")
    if not ip_address(host).is_loopback:
        raise ValueError(f"{host} is not a loopback address: benchmarks stay on this machine")
    return host, int(port)


def lines_of(data: bytes) -> list[bytes]:
    """Each with its LF."""
    return [line + b"\n" for line in data.removesuffix(b"\n").split(b"\n")]


def octet_counted(line: bytes) -> bytes:
    """RFC 6587 3.4.1, as rsyslog's `TCP_Framing="octet-counted"`: no LF inside the frame."""
    return b"%d %b" % (len(line) - 1, line[:-1])


def send_tcp(
    address: tuple[str, int], chunks: Sequence[bytes], lines: int, stall: float = STALL_SECONDS
) -> Sent:
    """Raises `TimeoutError` when the receiver takes nothing for `stall` seconds."""
    with _connect(address, stall) as sock:
        began = time.time()
        for chunk in chunks:
            sock.sendall(chunk)
        sock.shutdown(socket.SHUT_WR)
        return Sent(lines, sum(map(len, chunks)), began, time.time())


def by_host(lines: Sequence[bytes], most: int) -> list[list[bytes]]:
    """In at most `most` parts. The lines of a host stay together and in order, as each host has a
    connection of its own."""
    parts: list[list[bytes]] = [[] for _ in range(most)]
    places: dict[bytes, int] = {}
    for line in lines:
        host = b"".join(line.split(b" ", 2)[1:2])
        parts[places.setdefault(host, len(places) % most)].append(line)
    return [part for part in parts if part]


def send_tcp_apart(
    address: tuple[str, int], parts: Sequence[Sequence[bytes]], stall: float = STALL_SECONDS
) -> Sent:
    """Each part over a connection of its own, all at once. Raises as `send_tcp`."""
    pieces = [(chunked(part), len(part)) for part in parts]
    with ThreadPoolExecutor(len(parts)) as pool:
        sent = list(pool.map(lambda piece: send_tcp(address, piece[0], piece[1], stall), pieces))
    return Sent(
        sum(one.lines for one in sent),
        sum(one.bytes for one in sent),
        min(one.began for one in sent),
        max(one.ended for one in sent),
    )


def send_tcp_paced(
    address: tuple[str, int],
    lines: Sequence[bytes],
    rate: float,
    stamp: Callable[[bytes], bytes] | None = None,
) -> Sent:
    """`stamp` rewrites each line at the moment it is sent."""
    size = 0
    with _connect(address, STALL_SECONDS) as sock:
        began = time.time()
        for first, last in _bursts(len(lines), rate):
            burst = lines[first:last]
            data = b"".join(map(stamp, burst) if stamp else burst)
            size += len(data)
            sock.sendall(data)
        sock.shutdown(socket.SHUT_WR)
        return Sent(len(lines), size, began, time.time())


def send_udp(address: tuple[str, int], lines: Sequence[bytes], rate: float) -> Sent:
    """One datagram a line, without its LF."""
    family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
    size = 0
    with socket.socket(family, socket.SOCK_DGRAM) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4 << 20)
        sock.connect(address)
        send = sock.send
        began = time.time()
        for first, last in _bursts(len(lines), rate):
            for line in lines[first:last]:
                size += send(line[:-1])
        return Sent(len(lines), size, began, time.time())


def send_relp(
    address: tuple[str, int],
    parts: Sequence[Sequence[bytes]],
    window: int = WINDOW,
    rate: float | None = None,
) -> Sent:
    """Each part over a connection of its own, until each line is acknowledged. `rate`: of each."""
    senders = [RelpSender([address], [line[:-1] for line in part], window, rate) for part in parts]
    lines = sum(map(len, parts))
    size = sum(len(line) - 1 for part in parts for line in part)

    async def run() -> None:
        async with asyncio.TaskGroup() as tasks:
            for sender in senders:
                tasks.create_task(sender.run())

    began = time.time()
    asyncio.run(run())
    return Sent(lines, size, began, time.time())


def restamp(line: bytes) -> bytes:
    """Put the present moment into a line of the `forward` form: its stamp has a fixed width."""
    now = datetime.now(UTC).astimezone(_ZONE).isoformat(timespec="microseconds").encode()
    return line[:4] + now + line[4 + len(now) :]


def _bursts(count: int, rate: float) -> Iterator[tuple[int, int]]:
    """Ranges of lines that are due; sleeps between them. A late burst catches up."""
    start = time.monotonic()
    sent = 0
    while sent < count:
        due = min(count, int((time.monotonic() - start) * rate) + 1)
        if due > sent:
            yield sent, due
            sent = due
        if sent < count:
            time.sleep(max(_TICK_SECONDS, start + sent / rate - time.monotonic()))


def _connect(address: tuple[str, int], stall: float) -> socket.socket:
    sock = socket.create_connection(address, timeout=stall)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


def chunked(lines: Sequence[bytes], size: int = _BLOCK_BYTES) -> list[bytes]:
    """Joined to pieces of about `size` bytes, cut anywhere as a stream is."""
    data = b"".join(lines)
    return [data[start : start + size] for start in range(0, len(data), size)]


def main() -> None:
    parser = argparse.ArgumentParser(description="Send lines to a receiver on the loopback.")
    form = parser.add_mutually_exclusive_group(required=True)
    form.add_argument("--tcp", type=loopback, metavar="HOST:PORT", help="LF framing")
    form.add_argument("--octet-counted", type=loopback, metavar="HOST:PORT")
    form.add_argument("--udp", type=loopback, metavar="HOST:PORT", help="needs --rate")
    form.add_argument("--relp", type=loopback, metavar="HOST:PORT", help="waits for answers")
    parser.add_argument(
        "--window", type=int, default=WINDOW, help="lines that RELP leaves unacknowledged, at most"
    )
    parser.add_argument(
        "--rate", type=float, help="lines a second; as fast as possible if not given"
    )
    parser.add_argument(
        "--connections",
        type=int,
        default=1,
        help="of --tcp and --relp, as fast as possible: a host has one",
    )
    parser.add_argument("--restamp", action="store_true", help="stamp paced lines as they are sent")
    parser.add_argument("file", type=Path)
    given = parser.parse_args()
    data = given.file.read_bytes()
    if given.udp:
        if not given.rate:
            parser.error("--udp needs --rate: nothing holds a datagram back")
        sent = send_udp(given.udp, lines_of(data), given.rate)
    elif given.relp:
        lines = lines_of(data)
        parts = by_host(lines, given.connections) if given.connections > 1 else [lines]
        sent = send_relp(given.relp, parts, given.window, given.rate)
    elif given.rate and given.tcp:
        lines = lines_of(data)
        sent = send_tcp_paced(given.tcp, lines, given.rate, restamp if given.restamp else None)
    elif given.rate:
        parser.error("--rate goes with --tcp, --udp and --relp")
    elif given.octet_counted:
        frames = list(map(octet_counted, lines_of(data)))
        sent = send_tcp(given.octet_counted, chunked(frames), len(frames))
    elif given.connections > 1:
        sent = send_tcp_apart(given.tcp, by_host(lines_of(data), given.connections))
    else:
        chunks = [data[at : at + _BLOCK_BYTES] for at in range(0, len(data), _BLOCK_BYTES)]
        sent = send_tcp(given.tcp, chunks, data.count(b"\n"))
    json.dump(asdict(sent), sys.stdout)


if __name__ == "__main__":
    main()
