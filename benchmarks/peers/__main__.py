"""Our lines through what Debian has, by turns with ours: `python -m benchmarks.peers`.

    python -m benchmarks.peers --lines 100000 --repeat 3 --only rsyslog mtail

Needs the packages that `programs.py` names; root has them installed, others are told which. All on
the loopback and in directories of its own. Exit status 1 where a run of ours was wrong.
"""

import argparse
import asyncio
import sys
import tempfile
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

import pytest
from rich.table import Table

from benchmarks.lines import Truth
from benchmarks.logs import Log, Logs
from benchmarks.measure import Result, measure
from benchmarks.peers import pipelines, readers
from benchmarks.peers.figures import OURS, Figures, figures, turns
from benchmarks.peers.pipelines import Runner
from benchmarks.peers.run import Run, Work
from benchmarks.processes import ROOT, ProcessError
from benchmarks.report import console
from benchmarks.scenario import Scenario

_PEERS: Mapping[str, Runner] = {
    "rsyslog": pipelines.rsyslog,
    "syslog-ng": pipelines.syslog_ng,
    "exporter": readers.exporter,
    "mtail": readers.mtail,
    "pflogsumm": readers.pflogsumm,
}
_Ours = Callable[[Log], Awaitable[Result]]
_PRIORITY_BYTES = 4
"""`<22>` and `<20>`."""
_MONTHS = b"Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split()


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure what Debian has beside ours, by turns.")
    parser.add_argument("--lines", type=int, default=500_000)
    parser.add_argument("--failures", type=float, default=0.2)
    parser.add_argument("--hosts", type=int, default=8)
    parser.add_argument("--seed", type=int, default=42)
    parser.add_argument("--repeat", type=int, default=5, help="runs of each, by turns")
    parser.add_argument("--only", nargs="+", choices=_PEERS, default=list(_PEERS))
    parser.add_argument("--pin", action="store_true", help="our service on a CPU of its own")
    parser.add_argument(
        "--tree",
        type=Path,
        default=ROOT,
        help="what of ours to run; else these sources as they are",
    )
    given = parser.parse_args()
    scenario = Scenario(given.lines, given.failures, hosts=given.hosts, seed=given.seed)
    ours = partial(measure, scenario, tree=given.tree, pin=given.pin)
    try:
        wrong = asyncio.run(_measure(scenario, ours, given.only, given.repeat))
    except ProcessError as error:
        console.print(str(error), style="red", markup=False)
        sys.exit(1)
    sys.exit(bool(wrong))


async def _measure(scenario: Scenario, ours: _Ours, peers: Sequence[str], repeat: int) -> list[str]:
    """Returns what was wrong with runs of ours."""
    runs: dict[str, list[Run]] = {OURS: [], **{name: [] for name in peers}}
    missing: dict[str, str] = {}
    wrong: list[str] = []
    with tempfile.TemporaryDirectory(prefix="mf-peers-") as name:
        directory = Path(name)
        log = Logs(directory).get(scenario.log)
        file = directory / "mail.log"
        write_file(log.path, file)
        for number in range(repeat):
            for which in turns(list(runs), number):
                if which in missing:
                    continue
                console.print(f"[{number + 1}/{repeat}] {which} ...", markup=False)
                try:
                    runs[which].append(await _one(which, scenario, ours, log, file, wrong))
                except pytest.skip.Exception as skip:
                    missing[which] = str(skip)
    _print(figures({name: found for name, found in runs.items() if found}), log.truth, repeat)
    for which, why in missing.items():
        console.print(f"not measured: {which}: {why}", style="yellow", markup=False)
    for problem in wrong:
        console.print(f"a run of ours was wrong: {problem}", style="red", markup=False)
    return wrong


async def _one(
    which: str, scenario: Scenario, ours: _Ours, log: Log, file: Path, wrong: list[str]
) -> Run:
    """Raises `pytest.skip.Exception` where the program cannot be had. What was wrong with a run of
    ours is added to `wrong`."""
    if which == OURS:
        result = await ours(log)
        wrong += result.problems
        return Run(OURS, result.lines, result.seconds, result.service_cpu, log.truth.failures)
    with tempfile.TemporaryDirectory(prefix="mf-peer-") as home:
        return await _PEERS[which](Work(scenario.lines, log.path, file, Path(home)))


def write_file(log: Path, path: Path) -> None:
    """The same lines as a mail host has them in its own file: `Aug  1 10:00:00 mx1 ...`, without
    priority, year, zone and fraction."""
    with log.open("rb") as lines, path.open("wb") as file:
        for line in lines:
            stamp, _, rest = line[_PRIORITY_BYTES:].partition(b" ")
            month, day = _MONTHS[int(stamp[5:7]) - 1], int(stamp[8:10])
            file.write(b"%b %2d %b %b" % (month, day, stamp[11:19], rest))


def _print(found: Sequence[Figures], truth: Truth, repeat: int) -> None:
    table = Table(title=f"{truth.lines:,} lines, {truth.failures:,} failures; {repeat} runs each")
    for column in (
        "", "lines/s", "least", "most", "lines per\nCPU s", "failures\ntold", "ours / it\nlines/s",
        "ours / it\nper CPU s",
    ):  # fmt: skip
        table.add_column(column, justify="right" if column else "left", no_wrap=True)
    table.add_column("does")
    for one in found:
        table.add_row(
            one.name,
            *(f"{value:,.0f}" for value in (one.rate, one.least, one.most, one.per_cpu)),
            f"{one.events:,}" if one.events >= 0 else "?",
            f"{one.ours_by_rate:.2f}",
            f"{one.ours_by_cpu:.2f}",
            one.does,
        )
    console.print(table)
    console.print("Ours works for `nats-server` too, whose CPU is not counted; peers write a file.")


if __name__ == "__main__":
    main()
