"""What more workers gain: the same lines to one and to several, by turns, ratio of medians.

    python -m benchmarks.workers
    python -m benchmarks.workers --workers 4 --repeat 5 --tree .venv/compiled

Every host has a connection of its own, as in a fleet, and the kernel deals them out. Sender and
`nats-server` need CPUs, too: where there are not two more than workers, the CPU time for each line
tells more than lines/s. As long as that does not rise, workers gain what cores give.
"""

import argparse
import asyncio
import os
import sys
import tempfile
from pathlib import Path

from benchmarks.compare import show
from benchmarks.logs import Logs
from benchmarks.measure import Result, measure
from benchmarks.processes import ROOT, ProcessError
from benchmarks.report import console
from benchmarks.scenario import Scenario


async def compare(
    scenario: Scenario, workers: int, repeat: int, tree: Path
) -> tuple[list[Result], list[Result]]:
    results: tuple[list[Result], list[Result]] = ([], [])
    numbers = (1, workers)
    with tempfile.TemporaryDirectory(prefix="mailfault-workers-") as name:
        log = Logs(Path(name)).get(scenario.log)
        for number in range(repeat):
            for which in (0, 1) if number % 2 == 0 else (1, 0):
                console.print(f"[{number + 1}/{repeat}] {numbers[which]} ...", markup=False)
                options = ("--workers", str(numbers[which]))
                results[which].append(await measure(scenario, log, tree=tree, options=options))
    return results


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure what more workers gain.")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--lines", type=int, default=200_000)
    parser.add_argument("--failures", type=float, default=0.2)
    parser.add_argument("--hosts", type=int, default=32)
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument(
        "--tree", type=Path, default=ROOT, help="what to run; else these sources as they are"
    )
    given = parser.parse_args()
    scenario = Scenario(given.lines, given.failures, hosts=given.hosts, connections=given.hosts)
    try:
        one, more = asyncio.run(compare(scenario, given.workers, given.repeat, given.tree))
    except ProcessError as error:
        console.print(str(error), style="red", markup=False)
        sys.exit(1)
    console.print(f"{os.cpu_count()} CPUs, for workers, sender and nats-server.")
    show("1 worker", f"{given.workers} workers", one, more)
    wrong = [problem for result in (*one, *more) for problem in result.problems]
    for problem in wrong:
        console.print(problem, style="red", markup=False)
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
