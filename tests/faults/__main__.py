"""`make faults`: the long form, as a table. Exit status 1 where a case fails.

python -m tests.faults                       # all, about ten minutes
python -m tests.faults --short relp-both-killed
"""

import argparse
import sys
import time
from collections.abc import Sequence

import uvloop
from rich.box import HEAVY_HEAD
from rich.console import Console
from rich.table import Table

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
    sys.exit(any(failed or outcome.problems for _, outcome, _, failed in rows))


_Row = tuple[str, Outcome, float, str]


def _play(case: Case, is_short: bool) -> _Row:
    _console.print(f"{case.name} ...", markup=False)
    began = time.monotonic()
    failed = ""
    try:
        outcome = uvloop.run(play(case, case.short if is_short else case.long))
    except (TimeoutError, AssertionError, OSError, RuntimeError) as error:  # the others still count
        failed = f"{type(error).__name__}: {error}"[:2000]
        outcome = Outcome(0, 0, 0, 0, 0)
    row = case.name, outcome, time.monotonic() - began, failed
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
    for name, outcome, seconds, failed in rows:
        numbers = (outcome.sent, outcome.stored, outcome.lost, outcome.doubled)
        notes = ", ".join(f"{key} {number:,.4g}" for key, number in outcome.notes.items())
        wrong = failed or "; ".join(outcome.problems)
        said = f"[red]{wrong}" if wrong else notes
        table.add_row(name, *(f"{number:,}" for number in numbers), f"{seconds:.0f}", said)
    _console.print(table)


if __name__ == "__main__":
    main()
