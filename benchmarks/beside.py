"""RELP beside plain TCP: the same lines over each, by turns; what the acknowledgements cost.

In: a log, a number of turns. Out: the results of both, and the ratio of medians. By turns, because
ratios outlive what else the machine does; the first of a turn is the last of the next.
"""

import statistics
from collections.abc import Sequence
from dataclasses import replace

from rich.table import Table

from benchmarks.compare import ratio
from benchmarks.logs import Logs
from benchmarks.measure import Result, measure
from benchmarks.report import console
from benchmarks.scenario import Scenario

MOST_LOST = 1 / 3
"""What RELP may cost of the lines a second that TCP reaches."""


async def beside(
    lines: int, failures: float, logs: Logs, turns: int, *, pin: bool
) -> tuple[list[Result], list[Result]]:
    tcp = Scenario(lines, failures)
    scenarios = (tcp, replace(tcp, transport="relp"))
    results: tuple[list[Result], list[Result]] = ([], [])
    for number in range(turns):
        for which in (0, 1) if number % 2 == 0 else (1, 0):
            scenario = scenarios[which]
            console.print(f"[{number + 1}/{turns}] {scenario.name} by turns ...", markup=False)
            results[which].append(await measure(scenario, logs.get(scenario.log), pin=pin))
    return results


def print_beside(tcp: Sequence[Result], relp: Sequence[Result]) -> None:
    scenario = tcp[0].scenario
    title = f"RELP beside TCP, {scenario.lines:,} lines, {scenario.failures:.0%} failures"
    table = Table(title=f"{title}, {len(tcp)} turns, medians")
    for column in ("", "lines/s", "least", "most", "µs CPU per line"):
        table.add_column(column, justify="right" if column else "left")
    for name, results in (("tcp", tcp), ("relp", relp)):
        rates = [result.lines_per_second for result in results]
        spread = (statistics.median(rates), min(rates), max(rates))
        cost = statistics.median(1e6 / result.lines_per_cpu_second for result in results)
        table.add_row(name, *(f"{value:,.0f}" for value in spread), f"{cost:.2f}")
    console.print(table)
    kept = ratio(
        [result.lines_per_second for result in tcp], [result.lines_per_second for result in relp]
    )
    console.print(
        f"RELP, acknowledged after the PubAck, reaches {kept:.0%} of TCP: "
        + (f"[red]it costs more than {MOST_LOST:.0%}" if kept < 1 - MOST_LOST else "within bounds")
        + f" (at most {MOST_LOST:.0%} may be lost).\n"
    )
