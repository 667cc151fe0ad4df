"""Generate Postfix logs: the same bytes for the same options, with the exact truth about them.

    python -m benchmarks.generate -n 1000000 --failures 0.2 -o /tmp/mail.log

In: options. Out: blocks of LF-terminated syslog lines, each line unique, and a `Truth`: how many
lines of which kind a receiver must find. Lives (`lives`) are played side by side, as on a busy
host; the share of failures is kept by choosing the next life, so that it holds all along.
"""

import argparse
import heapq
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.lines import FAILURES, Kind, Round, Truth
from benchmarks.lives import FAILING, HEALTHY, STORM
from benchmarks.stamps import FORMATS, Clock
from benchmarks.world import World

BLOCK_LINES = 2000
_SIDE_BY_SIDE = 64
"""Lives in progress at a time."""
_PRIORITY = {kind: "<20>" if kind is Kind.WARNING else "<22>" for kind in Kind}
"""mail.warning and mail.info: all failures are info (`util/msg_syslog.c`)."""


@dataclass(frozen=True)
class Options:
    lines: int
    failures: float = 0.2
    hosts: int = 8
    seed: int = 42
    format: str = "forward"

    def __post_init__(self) -> None:
        if self.lines < 0 or self.hosts < 1 or not 0 <= self.failures <= 1:
            raise ValueError(f"no such log: {self}")


@dataclass
class Corpus:
    """Lines in memory, and the truth about them."""

    blocks: list[bytes] = field(default_factory=list)
    truth: Truth = field(default_factory=Truth)
    failure_lines: list[bytes] = field(default_factory=list)
    """Kept on request only: memory."""


def corpus(options: Options, *, keep_failures: bool = False) -> Corpus:
    made = Corpus()
    keep = made.failure_lines if keep_failures else None
    made.blocks.extend(blocks(options, made.truth, keep))
    return made


def blocks(
    options: Options, truth: Truth, failure_lines: list[bytes] | None = None
) -> Iterator[bytes]:
    """Counts into `truth` as it goes on; complete once the iterator is exhausted."""
    left = options.lines
    source = _items(options, truth)
    while left > 0:
        text: list[str] = []
        for line, kind in source:
            text.append(line)
            if failure_lines is not None and kind in FAILURES:
                failure_lines.append(line.encode())
            if len(text) == BLOCK_LINES or len(text) == left:
                break
        left -= len(text)
        text.append("")
        block = "\n".join(text).encode()
        truth.bytes += len(block)
        yield block


def _items(options: Options, truth: Truth) -> Iterator[tuple[str, int]]:
    """Endless: stop asking when there are enough."""
    world = World(options.seed, options.hosts, options.format)
    clock = Clock(options.format)
    stage = _Stage(world, clock, options.failures)
    random, advance, kinds, rounds = world.random, clock.advance, truth.kinds, stage.rounds
    repeats_possible = options.format == "traditional"
    this_second: set[str] = set()
    while True:
        if len(rounds) < _SIDE_BY_SIDE:
            stage.begin(truth.lines)
        chosen = int(random() * len(rounds))
        lines = rounds[chosen]
        header, text, kind = lines.pop()
        if not lines:
            rounds[chosen] = rounds[-1]
            rounds.pop()
        priority = _PRIORITY[kind]  # type: ignore[index]  # an IntEnum's key answers to its number
        line = f"{priority}{advance(random())}{header}{text}"
        if repeats_possible:  # such stamps tell seconds only: keep the line unique all the same
            if not clock.microseconds:
                this_second.clear()
            while line in this_second:
                this_second.clear()
                line = f"{priority}{clock.next_second()}{header}{text}"
            this_second.add(line)
        truth.lines += 1
        kinds[kind] += 1
        yield line, kind


class _Stage:
    """The rounds being played, and the retries that wait for their time."""

    def __init__(self, world: World, clock: Clock, share: float) -> None:
        self.rounds: list[Round] = []
        """Each in reverse: the next line is the last."""
        self._world = world
        self._clock = clock
        self._share = share
        self._waiting: list[tuple[int, int, Round]] = []
        self._lines = 0
        self._failures = 0
        self._serial = 0

    def begin(self, played: int) -> None:
        if self._waiting and self._waiting[0][0] <= played:
            self._play(heapq.heappop(self._waiting)[2])
            return
        world = self._world
        if self._failures >= self._share * self._lines and self._share < 1:
            life = world.pick(HEALTHY)
        elif self._share > 0.4 and (self._share == 1 or world.chance(0.7)):
            life = world.pick(STORM)
        else:
            life = world.pick(FAILING)
        first, *later = life(world, world.pick(world.hosts), self._clock)
        self._play(first)
        due = played
        for lines in later:
            due += 2000 + world.below(20_000)
            self._serial += 1
            heapq.heappush(self._waiting, (due, self._serial, lines))

    def _play(self, lines: Round) -> None:
        self._lines += len(lines)
        self._failures += sum(1 for item in lines if item[2] >= Kind.REJECT)
        lines.reverse()
        self.rounds.append(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description="Generate Postfix logs; the truth goes to stderr.")
    parser.add_argument("-n", "--lines", type=int, default=100_000)
    parser.add_argument(
        "--failures", type=float, default=0.2, help="share of failure lines, 0 to 1"
    )
    parser.add_argument("--hosts", type=int, default=8)
    parser.add_argument("--seed", type=int, default=42)
    parser.add_argument("--format", choices=FORMATS, default="forward")
    parser.add_argument("-o", "--output", type=Path, help="file to write; stdout if not given")
    given = parser.parse_args()
    options = Options(given.lines, given.failures, given.hosts, given.seed, given.format)
    truth = Truth()
    if given.output is None:
        sys.stdout.buffer.writelines(blocks(options, truth))
    else:
        with given.output.open("wb") as file:
            file.writelines(blocks(options, truth))
    print(json.dumps(truth.as_dict()), file=sys.stderr)


if __name__ == "__main__":
    main()
