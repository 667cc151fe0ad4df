"""Two ways to run the same lines, by turns; what one costs beside the other.

In: a comparison, a log, a number of turns. Out: the results of both, and the ratio of medians. By
turns, because ratios outlive what else the machine does; the first of a turn is the last of the
next.
"""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from rich.table import Table

from benchmarks.compare import ratio
from benchmarks.logs import Logs
from benchmarks.measure import Result, measure
from benchmarks.report import console
from benchmarks.scenario import Scenario


@dataclass(frozen=True)
class Comparison:
    what: str
    plain: Scenario
    more: Scenario
    names: tuple[str, str]
    most_lost: float
    """What the second may cost of the lines a second that the first reaches."""


def comparisons(lines: int) -> list[Comparison]:
    """Of what acknowledgements to the sender cost, and of what correlation does."""
    tcp = Scenario(lines)
    relp = replace(tcp, transport="relp")
    hosts = tcp.hosts
    tcps, relps = (replace(one, connections=hosts) for one in (tcp, relp))
    # What sharing costs is a measurement of its own (`benchmarks.sharing`).
    told = replace(tcp, sharing=False)
    alone = replace(told, correlation=False)
    return [
        Comparison(f"RELP beside TCP, of {hosts} hosts", tcps, relps, ("tcp", "relp"), 1 / 3),
        Comparison("RELP beside TCP, over one connection", tcp, relp, ("tcp", "relp"), 1 / 3),
        Comparison("Correlation and outcomes beside none", alone, told, ("none", "all"), 1 / 4),
    ]


@dataclass(frozen=True)
class Beside:
    comparison: Comparison
    plain: list[Result]
    more: list[Result]

    @property
    def kept(self) -> float:
        """Share of the lines a second."""
        return ratio(
            [result.lines_per_second for result in self.plain],
            [result.lines_per_second for result in self.more],
        )


async def beside(
    comparison: Comparison, logs: Logs, turns: int, *, tree: Path, pin: bool
) -> Beside:
    found = Beside(comparison, [], [])
    both = ((comparison.plain, found.plain), (comparison.more, found.more))
    for number in range(turns):
        for scenario, results in both if number % 2 == 0 else reversed(both):
            console.print(f"[{number + 1}/{turns}] {scenario.name} by turns ...", markup=False)
            results.append(await measure(scenario, logs.get(scenario.log), tree=tree, pin=pin))
    return found


def print_beside(found: Beside) -> None:
    comparison = found.comparison
    scenario, name = comparison.plain, comparison.names
    mix = f"{scenario.lines:,} lines, {scenario.failures:.0%} failures"
    table = Table(title=f"{comparison.what}, {mix}, {len(found.plain)} turns, medians")
    for column in ("", "lines/s", "least", "most", "µs CPU per line"):
        table.add_column(column, justify="right" if column else "left")
    for row, results in zip(name, (found.plain, found.more), strict=True):
        table.add_row(row, *_row(results))
    console.print(table)
    most = comparison.most_lost
    verdict = f"[red]it costs more than {most:.0%}" if found.kept < 1 - most else "within bounds"
    console.print(
        f"{name[1]} reaches {found.kept:.0%} of {name[0]}: {verdict} (at most {most:.0%} may be "
        "lost).\n"
    )


def _row(results: Sequence[Result]) -> list[str]:
    rates = [result.lines_per_second for result in results]
    spread = (statistics.median(rates), min(rates), max(rates))
    cost = statistics.median(1e6 / result.lines_per_cpu_second for result in results)
    return [*(f"{value:,.0f}" for value in spread), f"{cost:.2f}"]
