"""Generated logs as files, made once and shared by the runs that need the same one."""

from dataclasses import dataclass
from pathlib import Path

from benchmarks.generate import Options, blocks
from benchmarks.lines import Truth


@dataclass(frozen=True)
class Log:
    path: Path
    truth: Truth


class Logs:
    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._made: dict[Options, Log] = {}

    def get(self, options: Options) -> Log:
        if options not in self._made:
            path = self._directory / f"{len(self._made)}.log"
            truth = Truth()
            with path.open("wb") as file:
                file.writelines(blocks(options, truth))
            self._made[options] = Log(path, truth)
        return self._made[options]
