"""`make faults`: the long form, as a table. Exit status 1 where a case fails.

python -m tests.faults                       # all, about a quarter of an hour
python -m tests.faults --short relp-both-killed
"""

import argparse
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass

import pytest
import uvloop
from rich.box import HEAVY_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from tests.faults.case import Case, Outcome
from tests.faults.play import play
from tests.faults.table import CASES

_console = Console(width=150)


def main() -> None:
    names = [case.name for case in CASES]
    parser = argparse.ArgumentParser(description="Kill things and count what is lost.")
    parser.add_argument("--short", action="store_true", help="the sizes of `make test`")
    parser.add_argument("case", nargs="*", help=f"of {', '.join(names)}; all if none is named")
    given = parser.parse_args()
    if unknown := set(given.case) - set(names):
        parser.error(f"no such case: {', '.join(sorted(unknown))}")
    chosen = [case for case in CASES if not given.case or case.name in given.case]
    rows = [_play(case, given.short) for case in chosen]
    _print(rows, "sent, and what of it is in the stream")
    sys.exit(any(row.wrong for row in rows))


@dataclass(frozen=True)
class _Row:
    name: str
    outcome: Outcome
    seconds: float
    failed: str
    skipped: str

    @property
    def wrong(self) -> str:
        return self.failed or "; ".join(self.outcome.problems)


def _play(case: Case, is_short: bool) -> _Row:
    _console.print(f"{case.name} ...", markup=False)
    outcome = Outcome(0, 0, 0, 0, 0)
    began = time.monotonic()
    failed = skipped = ""
    try:
        outcome = uvloop.run(play(case, case.short if is_short else case.long))
    except (TimeoutError, AssertionError, OSError, RuntimeError) as error:  # the others still count
        failed = f"{type(error).__name__}: {error}"[:2000]
    except pytest.skip.Exception as skip:
        skipped = f"not played: {skip}"
    row = _Row(case.name, outcome, time.monotonic() - began, failed, skipped)
    _print([row])
    return row


def _print(rows: Sequence[_Row], title: str | None = None) -> None:
    table = Table(
        title=title, show_header=title is not None, box=None if title is None else HEAVY_HEAD
    )
    table.add_column("case", no_wrap=True)
    for column in ("sent", "stored", "lost", "doubled", "seconds"):
        table.add_column(column, justify="right")
    table.add_column("")
    for row in rows:
        outcome = row.outcome
        numbers = (outcome.sent, outcome.stored, outcome.lost, outcome.doubled)
        notes = ", ".join(f"{key} {number:,.4g}" for key, number in outcome.notes.items())
        said = Text(row.wrong, "red") if row.wrong else row.skipped or notes
        shown = [f"{number:,}" for number in (*numbers, round(row.seconds))]
        table.add_row(row.name, *shown, said)
    _console.print(table)


if __name__ == "__main__":
    main()
