"""Throw bytes at the running service for a while, then see whether it still does its work.

    python -m benchmarks.fuzz --seconds 120 --connections 40

TCP and UDP on the loopback, many connections at a time: some whole, some in drips, some reset in
the midst of a frame. Afterwards: the process lives, `/livez` and `/readyz` say so, memory stayed
under `--memory` MiB, the counts balance, every event in the stream decodes with the schemas, and a
valid failure line still reaches NATS by each way in. Exit status 1 if not.
"""

import argparse
import asyncio
import random
import socket
import struct
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import schemas
from benchmarks.counts import Counts, fetch, scrape
from benchmarks.generate import Options, corpus
from benchmarks.malformed import Malformed
from benchmarks.processes import ROOT, NatsServer, ProcessError, Service
from benchmarks.report import console
from benchmarks.send import octet_counted
from benchmarks.stream import Stream
from benchmarks.usage import MemoryCurve, MemoryWatch

_PROOF = (
    b"<22>2026-08-01T12:00:00.%06d+02:00 mx00 postfix/smtp[7]: %b: to=<proof@proof.example>, "
    b"relay=none, delay=1, delays=0.1/0/0.9/0, dsn=4.4.1, status=deferred (connect to "
    b"mx.proof.example[192.0.2.1]:25: Connection refused)\n"
)
_DATAGRAM_PAUSE = 0.0005
_RESET = struct.pack("ii", 1, 0)
"""SO_LINGER that closes with a reset."""


@dataclass
class Thrown:
    connections: int = 0
    bytes: int = 0
    datagrams: int = 0
    refused: int = 0
    """Connections that the receiver ended first: its right after a bad count."""


@dataclass
class Finding:
    thrown: Thrown
    counts: Counts
    memory: MemoryCurve
    events: Counter[str]
    problems: list[str] = field(default_factory=list)


async def fuzz(seconds: float, connections: int, seed: int, memory_limit: int) -> Finding:
    with tempfile.TemporaryDirectory(prefix="mailfault-fuzz-") as directory:
        work = Path(directory)
        (work / "data").mkdir()
        (work / "jetstream").mkdir()
        server = NatsServer(work / "jetstream")
        await server.start()
        try:
            await server.wait_until_ready()
            service = Service(ROOT, server.url, work / "data")
            await service.start()
            try:
                await service.wait_until_ready()
                thrown = Thrown()
                async with MemoryWatch(service.pid) as memory:
                    await _throw(service, seconds, connections, seed, thrown)
                    problems = await _health(service)
                    async with Stream(server.url) as stream:
                        problems += await _still_works(service, stream)
                        events = await _read_events(stream, problems)
                if not service.is_alive:
                    raise service.failure("died")
                counts = await _balance(service, problems)
                if memory.peak > memory_limit:
                    problems.append(f"memory rose to {memory.peak >> 20} MiB")
                if code := await service.stop():
                    problems.append(f"the service ended with {code}, not 0")
                problems += [f"the service logged: {line[:400]}" for line in service.errors[:5]]
                return Finding(thrown, counts, memory, events, problems)
            finally:
                await service.kill()
        finally:
            await server.kill()


async def _throw(
    service: Service, seconds: float, connections: int, seed: int, thrown: Thrown
) -> None:
    lines = corpus(Options(3000, failures=0.6, seed=seed)).blocks
    frames = b"".join(lines).splitlines()
    until = time.monotonic() + seconds
    throwers = [
        _tcp(service, Malformed(frames, random.Random(f"{seed} {n}")), seed + n, until, thrown)
        for n in range(connections)
    ]
    throwers.append(_udp(service, Malformed(frames, random.Random(seed)), until, thrown))
    await asyncio.gather(*throwers)


async def _tcp(
    service: Service, malformed: Malformed, seed: int, until: float, thrown: Thrown
) -> None:
    luck = random.Random(seed)
    host, port = service.listening["tcp"]
    while time.monotonic() < until and service.is_alive:
        try:
            _, writer = await asyncio.open_connection(host, port)
        except OSError:
            await asyncio.sleep(0.1)
            continue
        thrown.connections += 1
        try:
            await _talk(writer, malformed.stream(), luck, thrown)
        except (OSError, TimeoutError):
            thrown.refused += 1
            writer.transport.abort()
        else:
            if luck.random() < 0.3:
                sock: socket.socket = writer.get_extra_info("socket")
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            writer.close()


async def _talk(
    writer: asyncio.StreamWriter, data: bytes, luck: random.Random, thrown: Thrown
) -> None:
    cut = len(data) if luck.random() < 0.6 else luck.choice((1, 3, 17, 1000))
    data = data if cut > 3 else data[:400]
    for at in range(0, len(data), cut):
        writer.write(data[at : at + cut])
        thrown.bytes += len(data[at : at + cut])
        await asyncio.wait_for(writer.drain(), 30)
        if cut < 1000:
            await asyncio.sleep(0)
    if luck.random() < 0.2:
        await asyncio.sleep(luck.random())  # stay, silent, in the midst of whatever it was


async def _udp(service: Service, malformed: Malformed, until: float, thrown: Thrown) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.connect(service.listening["udp"])
        while time.monotonic() < until and service.is_alive:
            try:
                thrown.bytes += sock.send(malformed.datagram())
            except OSError:  # the port is unreachable: the service died, which is seen elsewhere
                await asyncio.sleep(0.1)
            thrown.datagrams += 1
            await asyncio.sleep(_DATAGRAM_PAUSE)


async def _health(service: Service) -> list[str]:
    if not service.is_alive:
        raise service.failure("died")
    problems = []
    for path in ("/livez", "/readyz"):
        status, body = await fetch(service.listening["http"], path)
        if status != 200:
            problems.append(f"{path} answers {status}: {body[:200]}")
    return problems


async def _still_works(service: Service, stream: Stream) -> list[str]:
    """A valid line by each way in becomes an event."""
    waiting = await stream.client.subscribe("postfix.deferred.mx00")
    await stream.client.flush()
    ways = {b"1E2401C0A01": "tcp", b"1E2401C0A02": "octet-counted", b"1E2401C0A03": "udp"}
    for number, (queue_id, way) in enumerate(ways.items()):
        line = _PROOF % (number, queue_id)
        if way == "udp":
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
                sock.sendto(line[:-1], service.listening["udp"])
        else:
            _, writer = await asyncio.open_connection(*service.listening["tcp"])
            writer.write(octet_counted(line) if way == "octet-counted" else line)
            writer.close()
            await writer.wait_closed()
    missing = {queue_id.decode(): way for queue_id, way in ways.items()}
    until = time.monotonic() + 30
    while missing and (left := until - time.monotonic()) > 0:
        try:
            message = await waiting.next_msg(timeout=left)
        except TimeoutError:
            break
        missing.pop(schemas.decode(message.data).queue_id or "", None)
    return [f"a valid line over {way} is not answered by an event" for way in missing.values()]


async def _read_events(stream: Stream, problems: list[str]) -> Counter[str]:
    """All that the noise has made: each a valid event."""
    events: Counter[str] = Counter()
    async for message in stream.read_back():
        try:
            events[schemas.decode(message.data).event_type] += 1
        except ValueError as error:
            problems.append(f"an event does not decode: {error}"[:500])
    return events


async def _balance(service: Service, problems: list[str]) -> Counts:
    until = time.monotonic() + 15
    while True:
        counts = await scrape(service.listening["http"])
        if counts.is_balanced and counts.settled == sum(counts.events.values()):
            return counts
        if time.monotonic() > until:
            problems.append(f"the counts do not balance: {counts}")
            return counts
        await asyncio.sleep(0.2)


def main() -> None:
    parser = argparse.ArgumentParser(description="Throw bytes at the running service.")
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--connections", type=int, default=40)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--memory", type=int, default=300, help="MiB it may use at most")
    given = parser.parse_args()
    try:
        finding = asyncio.run(
            fuzz(given.seconds, given.connections, given.seed, given.memory << 20)
        )
    except ProcessError as error:
        console.print(str(error), style="red", markup=False)
        sys.exit(1)
    thrown, counts = finding.thrown, finding.counts
    console.print(
        f"thrown: {thrown.connections:,} connections ({thrown.refused:,} ended by the receiver), "
        f"{thrown.datagrams:,} datagrams, {thrown.bytes / 1e6:,.0f} MB\n"
        f"received {counts.received:,} = with events {counts.with_events:,} + skipped "
        f"{counts.skipped:,} + dropped {counts.dropped:,}\n"
        f"in the stream: {dict(finding.events)}; duplicates "
        f"{counts.published.get('duplicate', 0):,}, dead {counts.published.get('dead', 0):,}\n"
        f"memory: {' '.join(str(q >> 20) for q in finding.memory.quarters)} MiB by quarter, "
        f"peak {finding.memory.peak >> 20}",
        highlight=False,
    )
    for problem in finding.problems:
        console.print(problem, style="red", markup=False)
    sys.exit(bool(finding.problems))


if __name__ == "__main__":
    main()
