"""One rule: conditions that must all hold, and the cause they mean.

In: a `[[rule]]` table of a rules file. Out: a `Rule`, or `RuleError` that names rule and key.

    id               unique; events and `explain` show it
    category, scope  words of `schemas.vocabulary`
    source           where the fact is documented
    said             door, remote, own: who speaks (absent: anybody)
    starts           the text starts with one of these phrases
    all              each of these stands in the text; a list in the list is alternatives
    any              at least one of these stands in the text
    not              none of these stands in the text
    code             SMTP codes: 550, "4xx"
    enhanced         enhanced codes: "5.1.1", "x.1.1", "5.7.606-649", "x.7.x"
    place            stage at our door, or command that was answered (RCPT TO, GREETING)
    action           at our door: reject, milter-reject, proxy-reject ...
    of               receiving providers
    listed           true: Postfix named the list that blocked the client
    machine          true: a remote reply names the address of a machine, as a rule the client's

A rule without `place` is asked of any, but if it blames the recipient not before RCPT TO.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple

from schemas.vocabulary import Category, Scope
from service.core.classify.conditions import (
    EnhancedRange,
    Group,
    RuleError,
    enhanced_range,
    group,
    names,
    smtp_codes,
    split_enhanced,
)
from service.core.classify.subject import SAID, Subject


class Verdict(NamedTuple):
    category: str
    scope: str
    provider: str | None
    provider_code: str | None
    rule: str
    """Id of the rule that matched; `none` where no rule did."""


KEYS = frozenset(
    {
        "id",
        "category",
        "scope",
        "source",
        "said",
        "starts",
        "all",
        "any",
        "not",
        "code",
        "enhanced",
        "place",
        "action",
        "of",
        "listed",
        "machine",
    }
)
_CATEGORIES = frozenset(category.value for category in Category)
_SCOPES = frozenset(scope.value for scope in Scope)
_REQUIRED = ("id", "category", "scope", "source")
_NEVER_THE_ADDRESS = frozenset({Category.BLOCKLISTED_IP, Category.BLOCKLISTED_DOMAIN})
_BEFORE_RECIPIENT = frozenset({"GREETING", "EHLO", "HELO", "MAIL FROM"})
"""A server that answers these has not been told the recipient: `user unknown` then means the
sender, and `blocked` the client."""


@dataclass(slots=True, frozen=True, kw_only=True)
class Rule:
    id: str
    category: str
    scope: str
    source: str
    said: frozenset[str] | None
    starts: tuple[str, ...] | None
    groups: tuple[Group, ...]
    without: Group | None
    codes: frozenset[int] | None
    enhanced: tuple[EnhancedRange, ...]
    places: frozenset[str] | None
    actions: frozenset[str] | None
    providers: frozenset[str] | None
    listed: bool
    machine: bool
    too_early: frozenset[str]

    @property
    def phrases(self) -> tuple[Group, ...]:
        """All groups of alternatives that must be found in the text."""
        return (Group(self.starts), *self.groups) if self.starts else self.groups

    def without_group(self, group: Group) -> "Rule":
        """The rule for a text in which the group is already known to be. Where a text must start
        stays a condition."""
        return replace(self, groups=tuple(g for g in self.groups if g is not group))

    def matches(self, subject: Subject, normal: str, provider: str | None) -> bool:
        if self.said is not None and subject.said not in self.said:
            return False
        if self.providers is not None and provider not in self.providers:
            return False
        if self.codes is not None and subject.smtp_code not in self.codes:
            return False
        if subject.place in self.too_early:
            return False
        if self.starts is not None and not normal.startswith(self.starts):
            return False
        for alternatives in self.groups:
            if not alternatives.found(normal):
                return False
        if self.enhanced and not self._has_enhanced(subject.enhanced):
            return False
        if self.places is not None and subject.place not in self.places:
            return False
        if self.actions is not None and subject.action not in self.actions:
            return False
        if self.listed and not subject.listed:
            return False
        if self.machine and not subject.machine:
            return False
        return self.without is None or not self.without.found(normal)

    def _has_enhanced(self, code: str | None) -> bool:
        parts = split_enhanced(code) if code is not None else None
        if parts is None:
            return False
        status_class, subject, detail = parts
        return any(
            (wanted.status_class is None or wanted.status_class == status_class)
            and wanted.subject == subject
            and wanted.first <= detail <= wanted.last
            for wanted in self.enhanced
        )


def compile_rule(table: Mapping[str, object], providers: Collection[str]) -> Rule:
    """Compile one table."""
    name = table.get("id")
    if not isinstance(name, str) or not name:
        raise RuleError(f"a rule without an id: {dict(table)!r}")
    for key in _REQUIRED:
        if not isinstance(table.get(key), str) or not table[key]:
            raise RuleError(f"rule {name}: {key} is missing")
    if unknown := sorted(table.keys() - KEYS):
        raise RuleError(
            f"rule {name}: unknown key {unknown[0]!r}; known: {', '.join(sorted(KEYS))}"
        )
    try:
        return _compile(table, providers)
    except RuleError as error:
        raise RuleError(f"rule {name}: {error}") from None


def _compile(table: Mapping[str, object], providers: Collection[str]) -> Rule:
    (category,) = names(table["category"], _CATEGORIES)
    (scope,) = names(table["scope"], _SCOPES)
    if category in _NEVER_THE_ADDRESS and scope == Scope.RECIPIENT:
        raise RuleError("a block list says nothing about the recipient's address")
    both = table.get("all", [])
    if not isinstance(both, list):
        raise RuleError("all: a list of phrases")
    groups = [group(item) for item in both]
    if "any" in table:
        groups.append(group(table["any"]))
    for key in ("listed", "machine"):
        if not isinstance(table.get(key, False), bool):
            raise RuleError(f"{key}: true or false")
    ranges = table.get("enhanced", [])
    compiled = Rule(
        id=str(table["id"]),
        category=category,
        scope=scope,
        source=str(table["source"]),
        said=names(table["said"], SAID) if "said" in table else None,
        starts=group(table["starts"]).needles if "starts" in table else None,
        groups=tuple(groups),
        without=group(table["not"]) if "not" in table else None,
        codes=smtp_codes(table["code"]) if "code" in table else None,
        enhanced=tuple(map(enhanced_range, ranges if isinstance(ranges, list) else [ranges])),
        places=_upper(table, "place"),
        actions=names(table["action"]) if "action" in table else None,
        providers=names(table["of"], providers) if "of" in table else None,
        listed=table.get("listed") is True,
        machine=table.get("machine") is True,
        too_early=(
            _BEFORE_RECIPIENT if scope == Scope.RECIPIENT and "place" not in table else frozenset()
        ),
    )
    if not (
        compiled.starts
        or compiled.groups
        or compiled.enhanced
        or compiled.codes
        or compiled.places
        or compiled.actions
        or compiled.listed
        or compiled.machine
    ):
        raise RuleError("no condition: it would match everything")
    return compiled


def _upper(table: Mapping[str, object], key: str) -> frozenset[str] | None:
    return frozenset(name.upper() for name in names(table[key])) if key in table else None
