"""What sharing context with other receivers costs one that shares: the same lines with and without,
by turns, ratio of medians.

    python -m benchmarks.sharing
    python -m benchmarks.sharing --failures 0.05 --repeat 5 --tree .venv/compiled

At a pace, so that a server that has more to do does not slow down what is measured. The receiver
writes its news and hears nobody; the lines all begin at it. What it costs to go on with messages of
another is one question each: `mailfault_sharing_answers_total` counts them.
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

_SETTING = "MAILFAULT_SHARING__ENABLED"
_NAMES = ("alone", "sharing")


async def compare(
    scenario: Scenario, repeat: int, *, tree: Path, pin: bool
) -> tuple[list[Result], list[Result]]:
    results: tuple[list[Result], list[Result]] = ([], [])
    with tempfile.TemporaryDirectory(prefix="mailfault-sharing-") as name:
        log = Logs(Path(name)).get(scenario.log)
        for number in range(repeat):
            for which in (0, 1) if number % 2 == 0 else (1, 0):
                console.print(f"[{number + 1}/{repeat}] {_NAMES[which]} ...", markup=False)
                os.environ[_SETTING] = ("false", "true")[which]
                results[which].append(await measure(scenario, log, tree=tree, pin=pin))
    return results


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure what sharing costs.")
    parser.add_argument("--lines", type=int, default=80_000)
    parser.add_argument("--failures", type=float, default=0.2)
    parser.add_argument(
        "--rate", type=float, default=4000, help="lines a second; 0: as fast as they are taken"
    )
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument(
        "--tree", type=Path, default=ROOT, help="what to run; else these sources as they are"
    )
    parser.add_argument("--pin", action="store_true")
    given = parser.parse_args()
    scenario = Scenario(given.lines, given.failures, rate=given.rate or None)
    try:
        alone, sharing = asyncio.run(
            compare(scenario, given.repeat, tree=given.tree, pin=given.pin)
        )
    except ProcessError as error:
        console.print(str(error), style="red", markup=False)
        sys.exit(1)
    show(*_NAMES, alone, sharing)
    wrong = [problem for result in (*alone, *sharing) for problem in result.problems]
    for problem in wrong:
        console.print(problem, style="red", markup=False)
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
