"""Medians of several runs by turns, and ratios to ours."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from benchmarks.peers.run import Run

OURS = "mailfault"
_MEANS = {
    "mailfault": "TCP in; parsed, correlated, classified, validated; acknowledged by JetStream",
    "rsyslog": "imptcp, mmnormalize, JSON file",
    "syslog-ng": "network, regexp-parser, JSON file",
    "exporter": "Prometheus exporter; file, counters",
    "mtail": "file, three patterns, counters",
    "pflogsumm": "file, one report",
}


@dataclass(frozen=True)
class Figures:
    name: str
    rate: float
    """Lines a second, median; so is what follows."""
    least: float
    most: float
    per_cpu: float
    """Lines a CPU second."""
    events: int
    ours_by_rate: float
    """How many times as fast ours is."""
    ours_by_cpu: float

    @property
    def does(self) -> str:
        return _MEANS[self.name]


def figures(runs: Mapping[str, Sequence[Run]]) -> list[Figures]:
    """`runs`: by name, ours among them."""
    ours_rate, ours_cpu = _medians(runs[OURS])
    result = []
    for name, found in runs.items():
        rate, per_cpu = _medians(found)
        rates = [run.lines_per_second for run in found]
        events = int(statistics.median(run.events for run in found))
        ratios = ours_rate / rate, ours_cpu / per_cpu
        result.append(Figures(name, rate, min(rates), max(rates), per_cpu, events, *ratios))
    return result


def turns(names: Sequence[str], number: int) -> list[str]:
    """The order of a turn: each begins with another one, and every second goes backwards."""
    first = number % len(names)
    rest = [*names[first + 1 :], *names[:first]]
    return [names[first], *(rest if number % 2 == 0 else reversed(rest))]


def _medians(runs: Sequence[Run]) -> tuple[float, float]:
    return (
        statistics.median(run.lines_per_second for run in runs),
        statistics.median(run.lines_per_cpu_second for run in runs),
    )
