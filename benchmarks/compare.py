"""Compare two commits on this machine: the same lines through both, by turns, ratio of medians.

    python -m benchmarks.compare HEAD~1 HEAD
    python -m benchmarks.compare main .            # `.`: the tree as it stands

Absolute figures differ from machine to machine and from hour to hour; a ratio taken by turns does
not. The harness and the lines are this tree's, the service is the commit's. Exit status 1 when a
run was wrong, or when B needs more CPU per line than A by more than `--tolerance`.
"""

import argparse
import asyncio
import statistics
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Callable, Sequence
from io import BytesIO
from pathlib import Path

from rich.table import Table

from benchmarks.logs import Logs
from benchmarks.measure import Result, measure
from benchmarks.processes import ROOT, ProcessError
from benchmarks.report import console
from benchmarks.scenario import Scenario


def check_out(commit: str, directory: Path, repository: Path = ROOT) -> Path:
    """The commit's files, without a trace in the repository; `.` is the tree as it stands."""
    if commit == ".":
        return repository
    packed = subprocess.run(
        ["git", "archive", "--format=tar", commit],
        cwd=repository, capture_output=True, check=False,
    )  # fmt: skip
    if packed.returncode:
        raise ProcessError(f"no commit {commit}: {packed.stderr.decode(errors='replace').strip()}")
    tree = directory / f"tree-{len(list(directory.iterdir()))}"
    with tarfile.open(fileobj=BytesIO(packed.stdout)) as archive:
        if hasattr(tarfile, "data_filter"):  # Python 3.11.4; what git packed is harmless anyway
            archive.extraction_filter = tarfile.data_filter
        archive.extractall(tree)
    return tree


def ratio(a: Sequence[float], b: Sequence[float]) -> float:
    """How many times the median of `b` is that of `a`."""
    return statistics.median(b) / statistics.median(a)


async def compare(
    scenario: Scenario, commits: tuple[str, str], repeat: int, pin: bool
) -> tuple[list[Result], list[Result]]:
    results: tuple[list[Result], list[Result]] = ([], [])
    with tempfile.TemporaryDirectory(prefix="mailfault-compare-") as name:
        directory = Path(name)
        trees = [check_out(commit, directory) for commit in commits]
        log = Logs(directory).get(scenario.log)
        for number in range(repeat):
            # A B, B A, A B ...: neither is always the one on the warmer machine.
            for which in (0, 1) if number % 2 == 0 else (1, 0):
                console.print(f"[{number + 1}/{repeat}] {commits[which]} ...", markup=False)
                results[which].append(await measure(scenario, log, tree=trees[which], pin=pin))
    return results


def main() -> None:
    parser = argparse.ArgumentParser(description="Compare two commits by turns.")
    parser.add_argument("a")
    parser.add_argument("b", nargs="?", default=".")
    parser.add_argument("--lines", type=int, default=500_000)
    parser.add_argument("--failures", type=float, default=0.2)
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument(
        "--tolerance", type=float, default=0.05, help="0.05: 5 %% slower is too slow"
    )
    parser.add_argument("--pin", action="store_true")
    given = parser.parse_args()
    scenario = Scenario(given.lines, given.failures)
    try:
        a, b = asyncio.run(compare(scenario, (given.a, given.b), given.repeat, given.pin))
    except ProcessError as error:
        console.print(str(error), style="red", markup=False)
        sys.exit(1)
    cost = show(given.a, given.b, a, b)
    wrong = [problem for result in (*a, *b) for problem in result.problems]
    for problem in wrong:
        console.print(problem, style="red", markup=False)
    sys.exit(bool(wrong) or cost > 1 + given.tolerance)


def show(name_a: str, name_b: str, a: list[Result], b: list[Result]) -> float:
    """Returns how much more CPU B needs per line."""
    table = Table(title=f"{a[0].scenario.name}, {a[0].sent.lines:,} lines, {len(a)} runs each")
    for column in ("", f"A: {name_a}", f"B: {name_b}", "B / A"):
        table.add_column(column, justify="left" if not column else "right")
    measures: tuple[tuple[str, str, Callable[[Result], float]], ...] = (
        ("lines/s", "{:,.0f}", lambda result: result.lines_per_second),
        ("µs CPU per line", "{:.3f}", _cost),
        ("peak MiB", "{:.0f}", lambda result: result.memory.peak / (1 << 20)),
    )
    for name, form, read in measures:
        values_a, values_b = list(map(read, a)), list(map(read, b))
        medians = (form.format(statistics.median(values)) for values in (values_a, values_b))
        table.add_row(name, *medians, f"{ratio(values_a, values_b):.3f}")
    console.print(table)
    return ratio(list(map(_cost, a)), list(map(_cost, b)))


def _cost(result: Result) -> float:
    return 1e6 / result.lines_per_cpu_second


if __name__ == "__main__":
    main()
