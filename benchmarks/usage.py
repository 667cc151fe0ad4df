"""What a process and its children cost: CPU seconds and resident memory, from `/proc` (proc(5))."""

import asyncio
import itertools
import os
import statistics
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")
_SAMPLE_SECONDS = 0.05


def cpu_seconds(pid: int) -> float:
    """User and system time of the process and its living descendants."""
    return sum(map(_own_cpu, _family(pid)))


def resident_bytes(pid: int) -> int:
    return sum(map(_own_memory, _family(pid)))


def _family(pid: int) -> Iterator[int]:
    yield pid
    for children in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            pids = children.read_text().split()
        except OSError:  # the thread has ended
            continue
        for child in pids:
            yield from _family(int(child))


def _own_cpu(pid: int) -> float:
    try:
        # After the command name, which may hold anything: field 3 is the first; 14 and 15 are ours.
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / _TICKS


def _own_memory(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE
    except OSError:
        return 0


@dataclass
class MemoryCurve:
    """Resident memory over a run."""

    samples: list[int] = field(default_factory=list)

    @property
    def peak(self) -> int:
        return max(self.samples, default=0)

    @property
    def quarters(self) -> list[int]:
        """Medians of the four quarters of the run."""
        count = len(self.samples)
        cuts = [count * part // 4 for part in range(5)]
        return [
            int(statistics.median(self.samples[first : max(last, first + 1)] or [0]))
            for first, last in itertools.pairwise(cuts)
        ]

    @property
    def is_flat(self) -> bool:
        """The last quarter is no higher than the second by more than a tenth and 8 MiB: caches
        and buffers have filled by then, so what still grows is a leak."""
        _, second, _, last = self.quarters
        return last <= second * 1.1 + (8 << 20)


class MemoryWatch:
    """Samples a process while the block runs."""

    def __init__(self, pid: int) -> None:
        self.curve = MemoryCurve()
        self._pid = pid
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> MemoryCurve:
        self._task = asyncio.create_task(self._sample())
        return self.curve

    async def __aexit__(self, *_: object) -> None:
        assert self._task is not None
        self._task.cancel()
        await asyncio.wait([self._task])
        self.curve.samples.append(resident_bytes(self._pid))

    async def _sample(self) -> None:
        while True:
            self.curve.samples.append(resident_bytes(self._pid))
            await asyncio.sleep(_SAMPLE_SECONDS)
