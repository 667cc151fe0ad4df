"""How much memory a receiver takes to remember messages: `python -m benchmarks.remembering`.

    python -m benchmarks.remembering --messages 1000000

Sends the lines of so many messages that arrive and do not leave (client, Message-ID, activation)
to the real service, and reads its resident memory. Exit status 1 when it remembers fewer, or takes
over the bound.
"""

import argparse
import asyncio
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from benchmarks.counts import fetch
from benchmarks.measure import send
from benchmarks.processes import ROOT, NatsServer, ProcessError, Service
from benchmarks.report import console
from benchmarks.usage import MemoryWatch, resident_bytes

MOST_BYTES = 400_000_000
"""For a million."""
_LOOK_SECONDS = 0.2
_STILL_SECONDS = 30.0


def lines(messages: int) -> Iterator[bytes]:
    """Three of each, as long as they commonly are; short queue ids, 20 hosts."""
    for number in range(messages):
        queue_id = f"{number % 1_000_000:05X}{0x1C0000 + number:X}"
        second = number // 1000
        stamp = f"2026-08-01T{8 + second // 3600:02d}:{second // 60 % 60:02d}:{second % 60:02d}"
        head = f"<22>{stamp}.{number % 1_000_000:06d}+02:00 mx{number % 20}.example.org postfix/"
        sender = f"mail{number % 1000}.example.net"
        yield (
            f"{head}smtpd[{2000 + number % 50}]: {queue_id}: "
            f"client={sender}[192.0.2.{number % 250}]\n"
            f"{head}cleanup[{3000 + number % 50}]: {queue_id}: "
            f"message-id=<{20260801102030 + number}.{queue_id}@{sender}>\n"
            f"{head}qmgr[901]: {queue_id}: from=<user{number % 5000}@example{number % 300}.net>, "
            f"size={4000 + number % 9000}, nrcpt=1 (queue active)\n"
        ).encode()


async def measure(messages: int) -> tuple[int, int, int]:
    """Messages remembered; resident bytes before and after. Raises `ProcessError`."""
    with tempfile.TemporaryDirectory(prefix="mailfault-remembering-") as directory:
        work = Path(directory)
        (work / "data").mkdir()
        (work / "jetstream").mkdir()
        log = work / "mail.log"
        with log.open("wb") as file:
            file.writelines(lines(messages))
        server = NatsServer(work / "jetstream")
        await server.start()
        await server.wait_until_ready()
        service = Service(ROOT, server.url, work / "data")
        try:
            await service.start()
            await service.wait_until_ready()
            before = resident_bytes(service.pid)
            async with MemoryWatch(service.pid) as memory:
                host, port = service.listening["tcp"]
                await send(["--tcp", f"{host}:{port}"], log)
                remembered = await _until_heard(service, messages)
            return remembered, before, memory.samples[-1]
        finally:
            await service.kill()
            await server.kill()


async def _until_heard(service: Service, messages: int) -> int:
    remembered, changed = 0, time.monotonic()
    while remembered < messages and time.monotonic() - changed < _STILL_SECONDS:
        await asyncio.sleep(_LOOK_SECONDS)
        now = await _remembered(service)
        if now != remembered:
            remembered, changed = now, time.monotonic()
    return remembered


async def _remembered(service: Service) -> int:
    _, page = await fetch(service.listening["http"], "/metrics")
    for family in text_string_to_metric_families(page):
        if family.name == "mailfault_correlation_entries":
            return int(family.samples[0].value)
    raise service.failure("does not say what it remembers")


def main() -> None:
    parser = argparse.ArgumentParser(description="Memory that remembered messages take.")
    parser.add_argument("--messages", type=int, default=1_000_000)
    given = parser.parse_args()
    try:
        remembered, before, after = asyncio.run(measure(given.messages))
    except ProcessError as error:
        console.print(str(error), style="red", markup=False)
        sys.exit(1)
    each = (after - before) / max(remembered, 1)
    console.print(
        f"{remembered:,} messages remembered; resident memory {before / 1e6:.0f} MB before, "
        f"{after / 1e6:.0f} MB after: {each:.0f} bytes a message",
        highlight=False,
    )
    most = max(MOST_BYTES, MOST_BYTES * given.messages // 1_000_000)
    sys.exit(remembered < given.messages or after > most)


if __name__ == "__main__":
    main()
