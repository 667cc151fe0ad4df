"""Kill `nats-server` in the midst of 50,000 events, and look for each of them in the stream.

    python -m benchmarks.outage --kills 2

The server dies by SIGKILL, stays away for a while, and comes back on the same port and store while
the lines go on coming. Afterwards the stream is read back: every failure line must be in it once,
and none twice. Exit status 1 if not.
"""

import argparse
import asyncio
import json
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from benchmarks.counts import Counts
from benchmarks.generate import Corpus, Options, corpus
from benchmarks.measure import send, settled_counts
from benchmarks.processes import ROOT, NatsServer, ProcessError, Service
from benchmarks.report import console
from benchmarks.stream import Stream
from schemas.vocabulary import EventType

_LINES_PER_SECOND = 25_000
"""So that the sender is still at it when the server comes back, whatever the machine."""
_RECOVERY_SECONDS = 90.0


@dataclass(frozen=True)
class Outcome:
    expected: int
    in_stream: int
    missing: list[bytes]
    repeated: list[bytes]
    strange: int
    """Messages whose line was never sent."""
    outages: list[float]
    counts: Counts

    @property
    def is_right(self) -> bool:
        return not (self.missing or self.repeated or self.strange) and self.counts.is_balanced


async def survive(events: int, kills: int, away: float) -> Outcome:
    # A little over: lives that are not played to their end leave out failures, not other lines.
    options = Options(events * 2 + 4000, failures=0.5)
    lines = corpus(options, keep_failures=True)
    with tempfile.TemporaryDirectory(prefix="mailfault-outage-") as directory:
        work = Path(directory)
        (work / "data").mkdir()
        (work / "jetstream").mkdir()
        log = work / "mail.log"
        log.write_bytes(b"".join(lines.blocks))
        server = NatsServer(work / "jetstream")
        await server.start()
        await server.wait_until_ready()
        service = Service(ROOT, server.url, work / "data")
        try:
            await service.start()
            await service.wait_until_ready()
            host, port = service.listening["tcp"]
            arguments = ["--tcp", f"{host}:{port}", "--rate", str(_LINES_PER_SECOND)]
            sending = asyncio.create_task(send(arguments, log))
            outages = []
            for number in range(kills):
                async with Stream(server.url) as stream:
                    await stream.wait_for(lines.truth.failures * (number + 1) // (kills + 1))
                server, seconds = await _outage(server, work, away)
                outages.append(seconds)
            await sending
            async with Stream(server.url) as stream:
                await stream.wait_for(lines.truth.failures, idle=_RECOVERY_SECONDS)
                counts = await settled_counts(service.listening["http"], lines.truth.lines)
                stored = await _events_stored(stream)
            code = await service.stop()
            if code:
                raise service.failure(f"ended with {code}")
            return _compare(lines, stored, outages, counts)
        finally:
            await service.kill()
            await server.kill()


async def _outage(server: NatsServer, work: Path, away: float) -> tuple[NatsServer, float]:
    began = time.monotonic()
    await server.kill()
    await asyncio.sleep(away)
    back = NatsServer(work / "jetstream", port=server.port)
    await back.start()
    await back.wait_until_ready()
    return back, time.monotonic() - began


Stored = Counter[tuple[str, bytes]]
"""By id and line, of all events but `resolved`: their lines are no failures."""


async def _events_stored(stream: Stream) -> Stored:
    stored: Stored = Counter()
    async for message in stream.read_back():
        event = json.loads(message.data)
        if event["event_type"] != EventType.RESOLVED:
            stored[event["event_id"], event["raw"].encode()] += 1
    return stored


def _compare(lines: Corpus, stored: Stored, outages: list[float], counts: Counts) -> Outcome:
    expected = set(lines.failure_lines)
    found = {line for _, line in stored}
    return Outcome(
        expected=len(expected),
        in_stream=stored.total(),
        missing=[line for line in expected if line not in found],
        repeated=[line for (_, line), count in stored.items() if count > 1],
        strange=sum(count for (_, line), count in stored.items() if line not in expected),
        outages=outages,
        counts=counts,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description="Kill nats-server and look for every event.")
    parser.add_argument("--events", type=int, default=50_000)
    parser.add_argument("--kills", type=int, default=1)
    parser.add_argument("--away", type=float, default=2.0, help="seconds without a server")
    given = parser.parse_args()
    try:
        outcome = asyncio.run(survive(given.events, given.kills, given.away))
    except ProcessError as error:
        console.print(str(error), style="red", markup=False)
        sys.exit(1)
    counts = outcome.counts
    away = ", ".join(f"{seconds:.1f} s" for seconds in outcome.outages)
    console.print(
        f"{outcome.expected:,} failure lines; nats-server killed {len(outcome.outages)} times, "
        f"away for {away}\n"
        f"in the stream: {outcome.in_stream:,}; missing {len(outcome.missing):,}, "
        f"twice {len(outcome.repeated):,}, never sent {outcome.strange:,}\n"
        f"resends {counts.resends:,}, found to be stored already "
        f"{counts.published.get('duplicate', 0):,}; counts balance: {counts.is_balanced}",
        highlight=False,
    )
    sys.exit(not outcome.is_right)


if __name__ == "__main__":
    main()
