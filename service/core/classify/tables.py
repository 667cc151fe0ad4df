"""The tables of a rules file to checked values, each by the parser of its key.

In: a table as TOML gave it, and a parser for each key it may have. Out: values. Whatever is wrong
is noted with file, table and key, so that an operator is told of all of it at once.
"""

import re
from collections.abc import Callable, Mapping, Set
from dataclasses import dataclass, field
from typing import Any

from service.core.classify.values import RuleError, shown
from service.core.spelling import nearest

MAX_MISTAKES = 50
"""Mistakes that are told one by one."""

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]{1,40}")


class RulesError(Exception):
    """Rules files cannot be used: show `problems` to the operator. A classifier that is in use is
    not touched."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


@dataclass(frozen=True, slots=True)
class Place:
    """Where in which file something stands; the mistakes of all places that come of one."""

    path: str
    _mistakes: list[str] = field(default_factory=list)

    def at(self, part: str) -> "Place":
        return Place(f"{self.path}: {part}", self._mistakes)

    def file(self, name: str) -> "Place":
        return Place(name, self._mistakes)

    def wrong(self, problem: str) -> None:
        self._mistakes.append(f"{self.path}: {problem}")

    def raise_mistakes(self) -> None:
        """Raises `RulesError` if there was one."""
        if not self._mistakes:
            return
        told, more = self._mistakes[:MAX_MISTAKES], len(self._mistakes) - MAX_MISTAKES
        raise RulesError([*told, f"and {more} more"] if more > 0 else told)


@dataclass(frozen=True, slots=True)
class Checked:
    values: dict[str, Any] = field(default_factory=dict)
    refused: Set[str] = frozenset()
    """Keys that are there, with a value that is wrong."""


def check(
    table: Mapping[str, object], parsers: Mapping[str, Callable[[object], Any]], place: Place
) -> Checked:
    values: dict[str, Any] = {}
    refused = set()
    for key, value in table.items():
        its_place = place.at(key if _BARE_KEY.fullmatch(key) else shown(key))
        parse = parsers.get(key)
        if parse is None:
            its_place.wrong(f"unknown key{nearest(key, sorted(parsers))}")
            continue
        try:
            values[key] = parse(value)
        except RuleError as error:
            its_place.wrong(str(error))
            refused.add(key)
    return Checked(values, refused)


def tables(file: Mapping[str, object], key: str, place: Place) -> list[Mapping[str, object]]:
    """The `[[key]]` tables of a file."""
    listed = file.get(key, [])
    if not isinstance(listed, list) or not all(isinstance(table, Mapping) for table in listed):
        place.at(key).wrong(f"is a list of tables: write [[{key}]]")
        return []
    return listed
