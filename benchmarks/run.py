"""Measure the service: `python -m benchmarks.run` (what `make bench` does), about three minutes.

    python -m benchmarks.run --quick                                  # a tenth of it
    python -m benchmarks.run --lines 1000000 --failures 0.2 --repeat 5
    python -m benchmarks.run --transport udp --rate 100000 --lines 3000000

Exit status 1 when a count does not balance or a failure line is missing.
"""

import argparse
import asyncio
import sys
import tempfile
from pathlib import Path
from typing import get_args

from benchmarks.beside import Beside, beside, comparisons, print_beside
from benchmarks.logs import Logs
from benchmarks.measure import Result, measure
from benchmarks.processes import ROOT, ProcessError
from benchmarks.report import console, print_results
from benchmarks.scenario import BESIDE_LINES, BESIDE_TURNS, FULL_PLAN, PLAN, Scenario, Transport


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure the service against a real nats-server.")
    parser.add_argument("--lines", type=int, help="one scenario of so many lines, not the plan")
    parser.add_argument("--failures", type=float, help="share of failure lines, 0 to 1")
    parser.add_argument("--transport", choices=get_args(Transport))
    parser.add_argument("--rate", type=float, help="lines a second; else as fast as they are taken")
    parser.add_argument("--alone", action="store_true", help="without correlation")
    parser.add_argument("--hosts", type=int, default=8)
    parser.add_argument("--seed", type=int, default=42)
    parser.add_argument("--repeat", type=int, default=1, help="runs of each scenario, interleaved")
    parser.add_argument("--quick", action="store_true", help="a tenth of the lines")
    parser.add_argument("--full", action="store_true", help="the long plan, UDP included")
    parser.add_argument(
        "--tree", type=Path, default=ROOT, help="what to run; else these sources as they are"
    )
    parser.add_argument("--pin", action="store_true", help="the service on a CPU of its own")
    given = parser.parse_args()
    if given.transport == "udp" and not given.rate:
        parser.error("--transport udp needs --rate: nothing holds a datagram back")
    if given.transport in ("octet-counted", "omrelp") and given.rate:
        parser.error("--rate goes with tcp, udp and relp")
    plan = _plan(given)
    beside_lines = 0 if _is_single(given) else BESIDE_LINES
    if given.quick:
        plan = [scenario.scaled(0.1) for scenario in plan]
        beside_lines //= 3  # shorter ones say nothing
    try:
        results, by_turns = asyncio.run(
            _measure_all(plan, given.repeat, given.tree, given.pin, beside_lines)
        )
    except ProcessError as error:
        console.print(str(error), style="red", markup=False)
        sys.exit(1)
    compared = [repeats for found in by_turns for repeats in (found.plain, found.more)]
    print_results(results + compared)
    is_compiled = any(given.tree.glob("service/*.so"))
    console.print(
        f"The service: {given.tree}, its core {'compiled' if is_compiled else 'as Python'}."
    )
    for found in by_turns:
        print_beside(found)
    console.print("Other processes on the machine are in these figures; ratios outlive them.")
    sys.exit(any(result.problems for repeats in (*results, *compared) for result in repeats))


def _is_single(given: argparse.Namespace) -> bool:
    return any((given.lines, given.failures is not None, given.transport, given.rate, given.alone))


def _plan(given: argparse.Namespace) -> list[Scenario]:
    if not _is_single(given):
        return list(FULL_PLAN if given.full else PLAN)
    return [
        Scenario(
            given.lines or 1_000_000,
            0.2 if given.failures is None else given.failures,
            given.transport or "tcp",
            given.rate,
            given.hosts,
            given.seed,
            correlation=not given.alone,
        )
    ]


async def _measure_all(
    plan: list[Scenario], repeat: int, tree: Path, pin: bool, beside_lines: int
) -> tuple[list[list[Result]], list[Beside]]:
    """The plan; then what is compared by turns, if `beside_lines` says with how many lines."""
    results: list[list[Result]] = [[] for _ in plan]
    with tempfile.TemporaryDirectory(prefix="mailfault-logs-") as directory:
        logs = Logs(Path(directory))
        for number in range(repeat):
            for scenario, repeats in zip(plan, results, strict=True):
                console.print(f"[{number + 1}/{repeat}] {scenario.name} ...", markup=False)
                repeats.append(await measure(scenario, logs.get(scenario.log), tree=tree, pin=pin))
        by_turns = [
            await beside(comparison, logs, max(BESIDE_TURNS, repeat), tree=tree, pin=pin)
            for comparison in (comparisons(beside_lines) if beside_lines else [])
        ]
    return results, by_turns


if __name__ == "__main__":
    main()
