"""What a rule may ask of a subject: phrases, codes, places. Checked when rules are compiled.

In: values of a rules file. Out: compiled conditions, or `RuleError` that says what is wrong.
A phrase is a few words; `*.example.org` is that domain or a host in it. There are no patterns:
whoever writes a rule cannot write a slow one.
"""

import re
from collections.abc import Iterable
from typing import NamedTuple

from service.core.classify.values import RuleError, listed, shown
from service.core.classify.wording import words

MAX_PHRASE = 200
"""Characters of a phrase: a fifth of the text that is looked at (`wording.LIMIT`)."""


class Group(NamedTuple):
    """Alternatives: one of the phrases must be there."""

    needles: tuple[str, ...]

    def found(self, normal: str) -> bool:
        for needle in self.needles:  # noqa: SIM110  # any() of a generator takes twice as long
            if needle in normal:
                return True
        return False


def phrase(value: object) -> tuple[str, ...]:
    """The needles of a phrase."""
    if not isinstance(value, str):
        raise RuleError(f"{shown(value)} is not a phrase: write text in quotes")
    if len(value) > MAX_PHRASE:
        raise RuleError(f"{shown(value)} is longer than {MAX_PHRASE} characters: a few words do")
    if "@" in value:
        raise RuleError(
            f"{shown(value)} would never match: addresses are cut out of a text before rules see "
            "it; name the words around it"
        )
    if value.startswith("*."):
        domain = words(value[2:])
        if len(domain.split()) != 1:
            raise RuleError(f"{shown(value)} is not a domain, as *.example.org")
        return (domain, "." + domain.lstrip())
    normal = words(value)
    if normal.strip() == "":
        raise RuleError(f"{shown(value)} has no words to look for")
    return (normal,)


def group(values: object) -> Group:
    """A phrase, or a list of alternatives."""
    return Group(tuple(needle for value in listed(values) for needle in phrase(value)))


def groups(values: object) -> tuple[Group, ...]:
    """All of these must be there; a list in the list is alternatives."""
    if not isinstance(values, list):
        raise RuleError(f"{shown(values)} is not a list of phrases; one phrase is written with any")
    return tuple(group(item) for item in listed(values))


class EnhancedRange(NamedTuple):
    """`5.1.1`, `x.1.1` (any class), `5.7.606-649`, `x.7.x` (any detail). RFC 3463."""

    status_class: str | None
    subject: str
    first: int
    last: int

    @property
    def width(self) -> int:
        """The number of `index_keys`."""
        return 1 if self.last >= ANY_DETAIL else self.last - self.first + 1

    def index_keys(self) -> Iterable[str]:
        """Where the index finds it: subject and detail, or the subject with any detail."""
        if self.last >= ANY_DETAIL:
            return [self.subject]
        return [f"{self.subject}.{detail}" for detail in range(self.first, self.last + 1)]


ANY_DETAIL = 999
_ENHANCED = re.compile(r"([x45])\.(\d{1,3})\.(?:(\d{1,3})(?:-(\d{1,3}))?|x)", re.ASCII)


def enhanced_range(value: object) -> EnhancedRange:
    match = _ENHANCED.fullmatch(value) if isinstance(value, str) else None
    if match is not None:
        status_class, subject, first, last = match.groups()
        low, high = (0, ANY_DETAIL) if first is None else (int(first), int(last or first))
        if low <= high and (first is None or high < ANY_DETAIL):
            return EnhancedRange(None if status_class == "x" else status_class, subject, low, high)
    raise RuleError(
        f"{shown(value)} is not an enhanced code: write 5.1.1, x.1.1, 5.7.606-649 or x.7.x"
    )


def enhanced_ranges(values: object) -> tuple[EnhancedRange, ...]:
    return tuple(map(enhanced_range, listed(values)))


def split_enhanced(code: str) -> tuple[str, str, int] | None:
    """Class, subject and detail of a logged code."""
    parts = code.split(".")
    if len(parts) != 3 or not (parts[2].isascii() and parts[2].isdigit() and len(parts[2]) <= 3):
        return None
    return parts[0], parts[1], int(parts[2])


def smtp_codes(values: object) -> frozenset[int]:
    """`550`, or `"4xx"` for all of a class."""
    codes: set[int] = set()
    for value in listed(values):
        if isinstance(value, int) and not isinstance(value, bool) and 200 <= value <= 599:
            codes.add(value)
        elif value in ("2xx", "3xx", "4xx", "5xx"):
            start = int(str(value)[0]) * 100
            codes.update(range(start, start + 100))
        else:
            raise RuleError(
                f'{shown(value)} is not an SMTP code: write 550 without quotes, or "5xx"'
            )
    return frozenset(codes)
