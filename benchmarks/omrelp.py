"""What one real omrelp sends: to a receiver that acknowledges at once, to the service, by turns.

    python -m benchmarks.omrelp --lines 200000 --failures 0.2 --repeat 3 --tree .venv/compiled

The first is the most that rsyslogd can send over one connection with its default window of 128;
the ratio says how much of it the service takes, each event stored by JetStream before its line is
acknowledged. Needs Debian's packages rsyslog and rsyslog-relp.
Exit status 1 when a run was wrong.
"""

import argparse
import asyncio
import json
import statistics
import sys
import tempfile
from pathlib import Path
from typing import get_args

from rich.table import Table

from benchmarks.compare import ratio
from benchmarks.logs import Log, Logs
from benchmarks.measure import Result, measure
from benchmarks.processes import ROOT, Process, ProcessError
from benchmarks.report import console
from benchmarks.rsyslogd import Queue, rsyslogd
from benchmarks.scenario import Scenario

_PATIENCE_SECONDS = 120.0


class Sink(Process):
    """`benchmarks.relp_sink` as a process of its own."""

    def __init__(self, lines: int) -> None:
        self.address: tuple[str, int] | None = None
        self.ended: float | None = None
        self.done = asyncio.Event()
        arguments = [sys.executable, "-m", "benchmarks.relp_sink", str(lines)]
        super().__init__("RELP sink", arguments, ROOT)

    @property
    def is_ready(self) -> bool:
        return self.address is not None

    def hear(self, line: str) -> None:
        try:
            said = json.loads(line)
        except ValueError:
            return  # a traceback: among the last words
        if said["event"] == "listening":
            self.address = (said["host"], said["port"])
        else:
            self.ended = said["ended"]
            self.done.set()


async def most(log: Log, queue: Queue) -> float:
    """Lines a second, to a receiver that does nothing but acknowledge."""
    sink = Sink(log.truth.lines)
    try:
        await sink.start()
        await sink.wait_until_ready()
        assert sink.address is not None
        with tempfile.TemporaryDirectory(prefix="mailfault-") as directory:
            async with rsyslogd(Path(directory), sink.address, log.truth.lines, queue) as sender:
                began = await sender.feed(log.path.read_bytes())
                try:
                    await asyncio.wait_for(sink.done.wait(), _PATIENCE_SECONDS)
                except TimeoutError:
                    raise sink.failure("did not get all lines") from None
        await sink.wait()  # it ends with its connection
        assert sink.ended is not None
        return log.truth.lines / (sink.ended - began)
    finally:
        await sink.kill()


async def compare(scenario: Scenario, repeat: int, tree: Path) -> tuple[list[float], list[Result]]:
    rates: list[float] = []
    results: list[Result] = []
    with tempfile.TemporaryDirectory(prefix="mailfault-logs-") as directory:
        log = Logs(Path(directory)).get(scenario.log)
        for number in range(repeat):
            console.print(f"[{number + 1}/{repeat}] {scenario.name} ...", markup=False)
            rates.append(await most(log, scenario.queue))
            results.append(await measure(scenario, log, tree=tree))
    return rates, results


def main() -> None:
    parser = argparse.ArgumentParser(description="What one real omrelp sends, and to whom.")
    parser.add_argument("--lines", type=int, default=200_000)
    parser.add_argument("--failures", type=float, default=0.2)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument(
        "--tree", type=Path, default=ROOT, help="what to run; else these sources as they are"
    )
    parser.add_argument(
        "--queue", choices=get_args(Queue), default="own",
        help="what omrelp takes from: a queue of its own, or the main one, as where it has none",
    )  # fmt: skip
    given = parser.parse_args()
    scenario = Scenario(given.lines, given.failures, "omrelp", queue=given.queue)
    try:
        rates, results = asyncio.run(compare(scenario, given.repeat, given.tree))
    except ProcessError as error:
        console.print(str(error), style="red", markup=False)
        sys.exit(1)
    _print(scenario, rates, results)
    wrong = [problem for result in results for problem in result.problems]
    for problem in wrong:
        console.print(problem, style="red", markup=False)
    sys.exit(bool(wrong))


def _print(scenario: Scenario, rates: list[float], results: list[Result]) -> None:
    reached = [result.lines_per_second for result in results]
    table = Table(title=f"one omrelp, {scenario.lines:,} lines, {scenario.failures:.0%} failures")
    for column in ("receiver", "lines/s", "least", "most", "µs CPU per line"):
        table.add_column(column, justify="left" if column == "receiver" else "right")
    cost = f"{statistics.median(1e6 / result.lines_per_cpu_second for result in results):.1f}"
    for name, values, cpu in (("acknowledges at once", rates, ""), ("mailfault", reached, cost)):
        spread = (statistics.median(values), min(values), max(values))
        table.add_row(name, *(f"{value:,.0f}" for value in spread), cpu)
    console.print(table)
    console.print(f"mailfault takes {ratio(rates, reached):.0%} of what omrelp can send.")


if __name__ == "__main__":
    main()
