"""The plain values of a rules file: words, names, yes or no. A parser says what to write instead.

In: a value as TOML gave it. Out: the value, or `RuleError`.
"""

import re
from collections.abc import Callable, Collection

from service.core.spelling import nearest

MAX_LISTED = 500
"""Values in one list: three times the longest of the rules that come with the package."""
MAX_WORD = 64
"""Characters of a name: of a rule, a provider, a place."""
MAX_TEXT = 500
"""Characters of what is written for people (`source`)."""

NOTHING = "none"
"""No rule, no provider, where a word must stand."""

_IDENTIFIER = re.compile(rf"[a-z0-9][a-z0-9._-]{{0,{MAX_WORD - 1}}}")
_SHOWN = 60


class RuleError(ValueError):
    """A value of a rules file is wrong. Tell the operator where it stands, and go on reading: what
    else is wrong is told with it."""


def shown(value: object) -> str:
    """A value as messages quote it: escaped, and not of any length."""
    text = repr(value)
    return text if len(text) <= _SHOWN else text[:_SHOWN] + "..."


def listed(value: object) -> list[object]:
    """A list, or the one value that stands for a list of one."""
    values = value if isinstance(value, list) else [value]
    if not values:
        raise RuleError("an empty list would never match: name something, or leave the key out")
    if len(values) > MAX_LISTED:
        raise RuleError(f"{len(values)} values; at most {MAX_LISTED}: write a second table")
    return values


def names(values: object, longest: int = MAX_WORD) -> frozenset[str]:
    """Words of no known list, as the stages of a session are."""
    found = set()
    for value in listed(values):
        if not isinstance(value, str) or not 1 <= len(value) <= longest:
            raise RuleError(f"{shown(value)} is not a word of 1 to {longest} characters in quotes")
        found.add(value)
    return frozenset(found)


def upper(values: object) -> frozenset[str]:
    return frozenset(value.upper() for value in names(values))


def one_of(known: Collection[str]) -> Callable[[object], str]:
    """The parser of a word that must be known."""

    def parse(value: object) -> str:
        if not isinstance(value, str):
            raise RuleError(f"{shown(value)} is not a word in quotes")
        if value not in known:
            raise RuleError(f"{shown(value)} is not known{nearest(value, sorted(known))}")
        return value

    return parse


def some_of(known: Collection[str]) -> Callable[[object], frozenset[str]]:
    """The same for a word or a list of words."""
    parse_one = one_of(known)

    def parse(values: object) -> frozenset[str]:
        return frozenset(parse_one(value) for value in listed(values))

    return parse


def identifier(value: object) -> str:
    """What a rule or a provider is called, in events and metrics."""
    if not isinstance(value, str) or not _IDENTIFIER.fullmatch(value):
        raise RuleError(
            f"{shown(value)} is no name: write a-z, 0-9 and . _ - in it, at most {MAX_WORD} "
            "characters, the first of them a letter or digit"
        )
    if value == NOTHING:
        raise RuleError(f"{NOTHING} means that there is none: take another name")
    return value


def text(value: object) -> str:
    """For people."""
    if not isinstance(value, str) or not 1 <= len(value) <= MAX_TEXT:
        raise RuleError(f"{shown(value)} is not text of 1 to {MAX_TEXT} characters in quotes")
    return value


def yes_or_no(value: object) -> bool:
    if not isinstance(value, bool):
        raise RuleError(f"{shown(value)} is not true or false (without quotes)")
    return value
