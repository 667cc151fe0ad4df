"""How large a fleet of receivers must be: a table, from what was measured and what is assumed.

    python -m benchmarks.sizing
    python -m benchmarks.sizing --line-us 9 --event-us 125 --failures 0.1 --mtas 250

In: the cost of a line, an event, a message remembered; how much mail there is. Out: Markdown, as
in `docs/scaling.md`. Whoever measures anew changes the defaults here, or gives options.
"""

import argparse
import math
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import TypeVar

_DAY = 86_400


@dataclass(frozen=True)
class Costs:
    """Measured: `python -m benchmarks.run` at two shares of failures, `benchmarks.remembering`.
    The CPU for a line is `line_us + failures * event_us`: two shares give both."""

    line_us: float = 9
    event_us: float = 125
    event_bytes: float = 2000
    remembered_bytes: float = 300
    process_mib: float = 150


@dataclass(frozen=True)
class Load:
    """Assumed, of each MTA."""

    messages_a_day: float = 100_000
    lines_a_message: float = 8.64
    """Six to ten: this is ten lines a second."""
    peak: float = 3
    """Times the mean."""
    failures: float = 0.1
    """Share of the lines."""
    deferred: float = 0.05
    """Share of the messages ..."""
    deferred_seconds: float = 3600
    """... and how long they stay, in the mean."""


@dataclass(frozen=True)
class Shape:
    """Chosen."""

    busy: float = 0.6
    """How much of a core a worker may need at the peak: the rest is for what waited."""
    workers: int = 4
    """On each machine."""


T = TypeVar("T", Costs, Load, Shape)


@dataclass(frozen=True)
class Size:
    mtas: int
    lines: float
    """A second, at the peak; so are the events and the cores."""
    events: float
    cores: float
    workers: int
    machines: int
    """One of them may be away."""
    waiting: float
    """Messages deferred at a time: keys of the bucket."""
    memory_mib: float
    """Of all workers."""
    stream_gb: float
    """A day, one copy."""


def size(mtas: int, costs: Costs, load: Load, shape: Shape) -> Size:
    messages = mtas * load.messages_a_day / _DAY
    lines = messages * load.lines_a_message * load.peak
    events = lines * load.failures
    cores = (lines * costs.line_us + events * costs.event_us) / 1e6
    workers = max(1, math.ceil(cores / shape.busy))
    machines = math.ceil(workers / shape.workers) + 1
    waiting = messages * load.deferred * load.deferred_seconds
    running = min(workers, shape.workers) * machines
    memory = running * costs.process_mib + waiting * costs.remembered_bytes / (1 << 20)
    stream = events / load.peak * _DAY * costs.event_bytes / 1e9
    return Size(mtas, lines, events, cores, workers, machines, waiting, memory, stream)


def table(sizes: Sequence[Size], shape: Shape) -> str:
    rows = [
        "| MTAs | lines/s | events/s | cores | workers | machines | deferred | memory | stream |",
        "|---:|---:|---:|---:|---:|---|---:|---:|---:|",
    ]
    for one in sizes:
        each = min(one.workers, shape.workers)
        rows.append(
            f"| {one.mtas:,} | {one.lines:,.0f} | {one.events:,.0f} | {one.cores:,.1f} "
            f"| {one.workers} | {one.machines}, `--workers {each}` | {one.waiting:,.0f} "
            f"| {one.memory_mib / 1024:,.1f} GiB | {one.stream_gb:,.0f} GB |"
        )
    return "\n".join(rows) + "\n"


def _of(given: argparse.Namespace, kind: type[T]) -> T:
    return kind(**{name: getattr(given, name) for name in kind.__dataclass_fields__})


def main() -> None:
    parser = argparse.ArgumentParser(description="How large must the fleet be?")
    parser.add_argument("--mtas", type=int, nargs="+", default=[100, 1000, 10_000])
    for kind in (Costs, Load, Shape):
        for field in fields(kind):
            option = "--" + field.name.replace("_", "-")
            parser.add_argument(option, type=type(field.default), default=field.default)
    given = parser.parse_args()
    costs, load, shape = _of(given, Costs), _of(given, Load), _of(given, Shape)
    print(table([size(mtas, costs, load, shape) for mtas in given.mtas], shape), end="")


if __name__ == "__main__":
    main()
