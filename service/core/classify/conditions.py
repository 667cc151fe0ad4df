"""What a rule may ask of a subject: phrases, codes, places. Checked when rules are compiled.

In: values of a rules file. Out: compiled conditions, or `RuleError` that names what is wrong.
A phrase is a few words; `*.example.org` is that domain or a host in it. There are no patterns:
whoever writes a rule cannot write a slow one.
"""

from collections.abc import Collection, Iterable
from typing import NamedTuple

from service.core.classify.wording import words


class RuleError(ValueError):
    """A rules file is wrong. The operator repairs it; a running classifier is not touched."""


class Group(NamedTuple):
    """Alternatives: one of the phrases must be there."""

    needles: tuple[str, ...]

    def found(self, normal: str) -> bool:
        return any(needle in normal for needle in self.needles)


def phrase(value: object) -> tuple[str, ...]:
    """The needles of a phrase."""
    if not isinstance(value, str):
        raise RuleError(f"{value!r} is not a phrase (text)")
    if value.startswith("*."):
        domain = words(value[2:])
        if domain.strip().count(" "):
            raise RuleError(f"{value!r} is not a domain")
        return (domain, "." + domain.lstrip())
    normal = words(value)
    if normal.strip() == "":
        raise RuleError(f"{value!r} has no words")
    return (normal,)


def group(values: object) -> Group:
    """A phrase, or a list of alternatives."""
    listed = values if isinstance(values, list) else [values]
    if not listed:
        raise RuleError("an empty list of phrases would never match")
    return Group(tuple(needle for value in listed for needle in phrase(value)))


class EnhancedRange(NamedTuple):
    """`5.1.1`, `x.1.1` (any class), `5.7.606-649`, `x.7.x` (any detail). RFC 3463."""

    status_class: str | None
    subject: str
    first: int
    last: int

    def index_keys(self) -> Iterable[str]:
        """Where the index finds it: subject and detail, or the subject with any detail."""
        if self.last >= ANY_DETAIL:
            return [self.subject]
        return [f"{self.subject}.{detail}" for detail in range(self.first, self.last + 1)]


ANY_DETAIL = 999


def enhanced_range(value: object) -> EnhancedRange:
    problem = RuleError(f"{value!r} is not an enhanced code: 5.1.1, x.1.1, 5.7.606-649 or x.7.x")
    if not isinstance(value, str):
        raise problem
    parts = value.split(".")
    if len(parts) != 3 or parts[0] not in ("x", "4", "5") or not parts[1].isdigit():
        raise problem
    status_class = None if parts[0] == "x" else parts[0]
    if parts[2] == "x":
        return EnhancedRange(status_class, parts[1], 0, ANY_DETAIL)
    first, dash, last = parts[2].partition("-")
    if not first.isdigit() or (dash and not last.isdigit()):
        raise problem
    low, high = int(first), int(last or first)
    if not low <= high < ANY_DETAIL:
        raise problem
    return EnhancedRange(status_class, parts[1], low, high)


def split_enhanced(code: str) -> tuple[str, str, int] | None:
    """Class, subject and detail of a logged code."""
    parts = code.split(".")
    if len(parts) != 3 or not (parts[2].isascii() and parts[2].isdigit() and len(parts[2]) <= 3):
        return None
    return parts[0], parts[1], int(parts[2])


def smtp_codes(values: object) -> frozenset[int]:
    """`550`, or `"4xx"` for all of a class."""
    codes: set[int] = set()
    for value in values if isinstance(values, list) else [values]:
        if isinstance(value, int) and not isinstance(value, bool) and 200 <= value <= 599:
            codes.add(value)
        elif value in ("2xx", "3xx", "4xx", "5xx"):
            start = int(str(value)[0]) * 100
            codes.update(range(start, start + 100))
        else:
            raise RuleError(f'{value!r} is not an SMTP code: 550, or "5xx"')
    return frozenset(codes)


def names(values: object, known: Collection[str] | None = None) -> frozenset[str]:
    """A word or a list of words, each one of those known."""
    listed = values if isinstance(values, list) else [values]
    for value in listed:
        if not isinstance(value, str):
            raise RuleError(f"{value!r} is not a word")
        if known is not None and value not in known:
            raise RuleError(f"{value!r} is not one of {', '.join(sorted(known))}")
    return frozenset(listed)
