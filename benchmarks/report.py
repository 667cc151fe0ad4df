"""Results as tables for people."""

import statistics
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from benchmarks.measure import Result

console = Console(width=170)


def print_results(results: Sequence[Sequence[Result]]) -> None:
    """`results`: the repeats of each scenario. Medians, and the span where there are repeats."""
    table = Table(title="mailfault, one process, every event acknowledged by JetStream on files")
    table.add_column("scenario", no_wrap=True)
    for column in (
        "lines", "events", "lines/s", "lines per\nCPU s", "µs CPU\nper line", "µs CPU\nper event",
        "server µs\nper event", "peak\nMiB", "MiB by quarter",
    ):  # fmt: skip
        table.add_column(column, justify="right", no_wrap=True)
    for repeats in results:
        first = repeats[0]
        peak = max(result.memory.peak for result in repeats)
        quarters = " ".join(f"{value >> 20}" for value in repeats[-1].memory.quarters)
        table.add_row(
            first.scenario.name,
            f"{first.lines:,}",
            f"{first.events:,}",
            _span([r.lines_per_second for r in repeats], "{:,.0f}"),
            f"{statistics.median(r.lines_per_cpu_second for r in repeats):,.0f}",
            _span([1e6 / r.lines_per_cpu_second for r in repeats], "{:.2f}"),
            f"{statistics.median(_per_event(r, r.service_cpu) for r in repeats):.1f}",
            f"{statistics.median(_per_event(r, r.server_cpu) for r in repeats):.1f}",
            f"{peak / (1 << 20):.0f}",
            quarters + ("" if repeats[-1].memory.is_flat else " grows"),
        )
    console.print(table)
    _print_latencies(results)
    _print_balance(results)


def _print_latencies(results: Sequence[Sequence[Result]]) -> None:
    paced = [result for repeats in results for result in repeats if result.latencies]
    if not paced:
        return
    table = Table(title="from a line to its event, milliseconds")
    for column in ("scenario", "p50", "p99", "most", "lag p50", "lag p99"):
        table.add_column(column, justify="left" if column == "scenario" else "right")
    for result in paced:
        cuts = statistics.quantiles(result.latencies, n=100)
        lag = [result.counts.lag_quantile(share) * 1e3 for share in (0.5, 0.99)]
        worst = max(result.latencies)
        shown = [cuts[49] * 1e3, cuts[98] * 1e3, worst * 1e3, *lag]
        table.add_row(result.scenario.name, *(f"{value:.2f}" for value in shown))
    console.print(table)
    console.print(
        "p50, p99: sent to seen by a subscriber. lag: received to PubAck, by the service's own "
        "histogram.\n"
    )


def _print_balance(results: Sequence[Sequence[Result]]) -> None:
    table = Table(title="balance: sent = with events + skipped + dropped (+ lost in the kernel)")
    table.add_column("scenario", no_wrap=True)
    for column in (
        "sent", "with events", "skipped", "dropped", "kernel", "events", "in stream",
        "duplicates", "resends", "",
    ):  # fmt: skip
        table.add_column(column, justify="right", no_wrap=True)
    for repeats in results:
        for result in repeats:
            counts = result.counts
            numbers = (
                result.sent.lines, counts.with_events, counts.skipped, counts.dropped,
                counts.kernel_drops, result.events, result.stream.messages,
                counts.published.get("duplicate", 0), counts.resends,
            )  # fmt: skip
            verdict = "[red]wrong" if result.problems else "[green]balances"
            table.add_row(result.scenario.name, *(f"{n:,}" for n in numbers), verdict)
    console.print(table)
    for repeats in results:
        for result in repeats:
            for problem in result.problems:
                console.print(f"{result.scenario.name}: {problem}", style="red", markup=False)


def _per_event(result: Result, cpu: float) -> float:
    return cpu / result.events * 1e6 if result.events else 0.0


def _span(values: Sequence[float], form: str) -> str:
    middle = form.format(statistics.median(values))
    if len(values) == 1:
        return middle
    return f"{middle} [{form.format(min(values))}-{form.format(max(values))}]"
