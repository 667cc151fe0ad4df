"""One run: a fresh `nats-server`, a fresh service, the lines of a log, and what came of them.

In: a scenario, its log, the source tree to run. Out: a `Result`: figures, and what is wrong.
The figures come from outside the service where they can: time from the stream's stamps, CPU and
memory from `/proc`, the number of events from JetStream.
"""

import asyncio
import contextlib
import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.counts import Counts, scrape
from benchmarks.latency import Latencies
from benchmarks.logs import Log
from benchmarks.processes import ROOT, NatsServer, ProcessError, Service
from benchmarks.rsyslogd import rsyslogd
from benchmarks.scenario import Scenario
from benchmarks.send import Sent
from benchmarks.stream import Stream, StreamState
from benchmarks.usage import MemoryCurve, MemoryWatch, cpu_seconds
from benchmarks.verdict import problems

_SETTLE_SECONDS = 5.0
_AT_ONCE = ("reject", "deferred")
"""Events of these types are published as soon as their lines are read: with the last of them a log
is through. Others wait up to a second on purpose, however short the log is."""


@dataclass(frozen=True)
class Result:
    scenario: Scenario
    sent: Sent
    counts: Counts
    stream: StreamState
    seconds: float
    """From the first byte sent to the last event stored of a type that waits for no later line."""
    service_cpu: float
    server_cpu: float
    memory: MemoryCurve
    latencies: list[float] = field(default_factory=list)
    """Seconds from sending a line to its event being published; paced TCP only."""
    problems: list[str] = field(default_factory=list)

    @property
    def events(self) -> int:
        return sum(self.counts.events.values())

    @property
    def lines(self) -> int:
        """Lines it had to do with: what the kernel dropped of a UDP run cost it nothing."""
        return self.counts.received

    @property
    def lines_per_second(self) -> float:
        return self.lines / self.seconds

    @property
    def lines_per_cpu_second(self) -> float:
        return self.lines / self.service_cpu


async def measure(
    scenario: Scenario,
    log: Log,
    *,
    tree: Path = ROOT,
    pin: bool = False,
    options: tuple[str, ...] = (),
) -> Result:
    with tempfile.TemporaryDirectory(prefix="mailfault-bench-") as directory:
        work = Path(directory)
        (work / "data").mkdir()
        (work / "jetstream").mkdir()
        apart, together = _cpus(pin)
        server = NatsServer(work / "jetstream")
        try:
            with _pinned(together):
                await server.start()
            await server.wait_until_ready()
            if scenario.transport in ("relp", "omrelp"):
                options += ("--relp", "127.0.0.1:0")
            service = Service(tree, server.url, work / "data", *options)
            try:
                with _pinned(apart):
                    await service.start(scenario.environment)
                await service.wait_until_ready()
                with _pinned(together):
                    return await _run(scenario, log, server, service)
            finally:
                await service.kill()
        finally:
            await server.kill()


async def _run(scenario: Scenario, log: Log, server: NatsServer, service: Service) -> Result:
    http = service.listening["http"]
    async with Stream(server.url) as stream, contextlib.AsyncExitStack() as stack:
        latencies: list[float] = []
        if _is_latency(scenario):
            latencies = await stack.enter_async_context(Latencies(stream.client))
        before = cpu_seconds(service.pid), cpu_seconds(server.pid)
        async with MemoryWatch(service.pid) as memory:
            sending = asyncio.create_task(_send(scenario, log, service))
            try:
                await _until_stored(scenario, log, stream, sending)
                sent = await sending
            except ProcessError as error:  # the sender's; the cause stands in the service's log
                raise service.failure(f"could not be sent to ({error})") from error
            counts = await settled_counts(http, sent.lines)
        after = cpu_seconds(service.pid), cpu_seconds(server.pid)
        state = await stream.state(subjects=True)
        ended = await stream.last_of(_AT_ONCE) or time.time()
        await stack.aclose()
    code = await service.stop()
    wrong = problems(sent.lines, log.truth, counts, state, is_lossless=scenario.transport != "udp")
    if code:
        wrong.append(f"the service ended with {code}, not 0")
    wrong += [f"the service logged: {line[:300]}" for line in service.errors[:3]]
    return Result(
        scenario, sent, counts, state, ended - sent.began, after[0] - before[0],
        after[1] - before[1], memory, latencies, wrong,
    )  # fmt: skip


def _is_latency(scenario: Scenario) -> bool:
    return scenario.rate is not None and scenario.transport == "tcp"


async def _until_stored(
    scenario: Scenario, log: Log, stream: Stream, sending: "asyncio.Task[Sent]"
) -> None:
    if scenario.rate is None:
        await stream.wait_for(log.truth.failures)
    else:
        await sending
        # Where datagrams were lost the number is never reached: what is on its way comes soon.
        await stream.wait_for(log.truth.failures, idle=2.0)


async def _send(scenario: Scenario, log: Log, service: Service) -> Sent:
    """By a process of its own, which ends by itself."""
    if scenario.transport == "omrelp":
        return await _relay(scenario, log, service)
    listener = "tcp" if scenario.transport == "octet-counted" else scenario.transport
    host, port = service.listening[listener]
    arguments = [f"--{scenario.transport}", f"{host}:{port}"]
    if scenario.rate is not None:
        arguments += ["--rate", str(scenario.rate)]
    if scenario.connections > 1:
        arguments += ["--connections", str(scenario.connections)]
    if _is_latency(scenario):
        arguments.append("--restamp")
    return await send(arguments, log.path)


async def _relay(scenario: Scenario, log: Log, service: Service) -> Sent:
    """By rsyslogd. It stays until all is received: what it has not sent then, it would keep."""
    data, lines = log.path.read_bytes(), log.truth.lines
    with tempfile.TemporaryDirectory(prefix="mailfault-") as directory:
        receiver = service.listening["relp"]
        async with rsyslogd(Path(directory), receiver, lines, scenario.queue) as sender:
            began = await sender.feed(data)
            counts = await settled_counts(service.listening["http"], lines)
            if counts.received < lines:
                raise sender.failure("did not send all")
    return Sent(lines, len(data), began, time.time())


async def send(arguments: list[str], path: Path) -> Sent:
    sender = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "benchmarks.send", *arguments, str(path),
        cwd=ROOT, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        out, err = await sender.communicate()
    finally:
        if sender.returncode is None:
            sender.kill()
    if sender.returncode:
        raise ProcessError(f"the sender failed: {err.decode(errors='replace')[-2000:]}")
    return Sent(**json.loads(out))


async def settled_counts(http: tuple[str, int], lines: int) -> Counts:
    """Once all lines are accounted for and all events answered, or nothing changes any more."""
    counts, changed = await scrape(http), time.monotonic()
    while time.monotonic() - changed < _SETTLE_SECONDS:
        is_all_seen = counts.received + counts.kernel_drops >= lines and not counts.held
        if is_all_seen and counts.settled == sum(counts.events.values()):
            break
        await asyncio.sleep(0.1)
        last, counts = counts, await scrape(http)
        if counts != last:
            changed = time.monotonic()
    return counts


def _cpus(pin: bool) -> tuple[set[int], set[int]]:
    """CPUs of the service, and of everything else."""
    every = sorted(os.sched_getaffinity(0))
    if not pin or len(every) < 2:
        return set(every), set(every)
    return {every[-1]}, set(every[:-1])


@contextlib.contextmanager
def _pinned(cpus: set[int]) -> Iterator[None]:
    """Children started in the block run on these CPUs only: they inherit it."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cpus)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
