"""The shapes of Postfix's failure lines, as tables of text beside this file.

In: a table's name. Out: its rows, each as often as its weight says, to pick from at once. One row
a line, columns parted by ` | `, `#` begins a comment line. Words to fill in: `{q}` queue id, `{c}`
client, `{ip}`, `{h}` HELO name, `{s}` sender, `{r}` recipient, `{u}` its local part, `{d}` its
domain, `{m}` remote server, `{n}` a number.
"""

from pathlib import Path
from typing import NamedTuple

from benchmarks.lines import Kind


class Reason(NamedTuple):
    """Why a delivery failed."""

    status: str
    agent: str
    relay: str
    code: str
    text: str


class Hostile(NamedTuple):
    program: str
    kind: Kind
    text: str


def texts(table: str) -> list[str]:
    return [text for (text,) in _weighted(table, 2)]


def reasons(table: str) -> list[Reason]:
    return [Reason(*columns) for columns in _weighted(table, 6)]


def decoys() -> list[tuple[str, str]]:
    return [(program, text) for program, text in _rows("decoys", 2)]


def hostile() -> list[Hostile]:
    return [Hostile(a, Kind[b.upper()], text) for a, b, text in _rows("hostile", 3)]


def _weighted(table: str, columns: int) -> list[list[str]]:
    return [rest for weight, *rest in _rows(table, columns) for _ in range(int(weight))]


def _rows(table: str, columns: int) -> list[list[str]]:
    text = Path(__file__).with_name(f"{table}.txt").read_text(encoding="utf-8")
    return [
        line.split(" | ", columns - 1)
        for line in text.splitlines()
        if line and not line.startswith("#")
    ]
