"""One rule: conditions that must all hold, and the cause they mean.

In: a `[[rule]]` table of a rules file. Out: a `Rule`; what is wrong with it is noted.

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

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from schemas.vocabulary import Category, Scope
from service.core.classify.conditions import (
    EnhancedRange,
    Group,
    enhanced_ranges,
    group,
    groups,
    smtp_codes,
    split_enhanced,
)
from service.core.classify.subject import SAID, Subject
from service.core.classify.tables import Checked, Place, check
from service.core.classify.values import (
    identifier,
    names,
    one_of,
    some_of,
    text,
    upper,
    yes_or_no,
)


class Verdict(NamedTuple):
    category: str
    scope: str
    provider: str | None
    provider_code: str | None
    rule: str
    """Id of the rule that matched; `none` where no rule did."""


_REQUIRED = {
    "id": "give it one of its own, as ours.mailbox-full",
    "category": "say which cause it means, as mailbox_full",
    "scope": "say who can act on it, as recipient",
    "source": "say where the fact is documented, here or in [defaults]",
}
_CONDITIONS = (
    "starts",
    "all",
    "any",
    "enhanced",
    "code",
    "place",
    "action",
    "listed",
    "machine",
)
"""One of these must be there. Who speaks, whose server it is and what a text does not say are true
of too much."""
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
    file: str = ""
    """Where it is written, as messages name it."""

    @property
    def phrases(self) -> tuple[Group, ...]:
        """All groups of alternatives that must be found in the text."""
        return (Group(self.starts), *self.groups) if self.starts else self.groups

    @property
    def size(self) -> int:
        """Phrases and codes that may have to be looked for."""
        asked = self.phrases if self.without is None else (*self.phrases, self.without)
        ranges = sum(wanted.width for wanted in self.enhanced)
        codes = 0 if self.phrases or self.enhanced else len(self.codes or ())
        return sum(len(group.needles) for group in asked) + ranges + codes

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
        if self.places is not None and subject.place not in self.places:
            return False
        if self.actions is not None and subject.action not in self.actions:
            return False
        if self.listed and not subject.listed:
            return False
        if self.machine and not subject.machine:
            return False
        if self.enhanced and not self._has_enhanced(subject.enhanced):
            return False
        for alternatives in self.groups:  # the dearest question last
            if not alternatives.found(normal):
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


def parsers(providers: Collection[str]) -> Mapping[str, Callable[[object], Any]]:
    """Of each key of a rule."""
    return {
        "id": identifier,
        "category": one_of([category.value for category in Category]),
        "scope": one_of([scope.value for scope in Scope]),
        "source": text,
        "said": some_of(SAID),
        "starts": group,
        "all": groups,
        "any": group,
        "not": group,
        "code": smtp_codes,
        "enhanced": enhanced_ranges,
        "place": upper,
        "action": names,
        "of": some_of(providers),
        "listed": yes_or_no,
        "machine": yes_or_no,
    }


def compile_rule(
    table: Mapping[str, object],
    defaults: Checked,
    known: Mapping[str, Callable[[object], Any]],
    place: Place,
) -> Rule | None:
    """`known`: `parsers`. Nothing where that would be half a rule; why is noted."""
    own = check(table, known, place)
    given = {**defaults.values, **own.values}
    refused = own.refused | (defaults.refused - own.values.keys())
    is_whole = not refused
    for key, remedy in _REQUIRED.items():
        if key not in given and key not in refused:
            place.at(key).wrong(f"is missing: {remedy}")
            is_whole = False
    if not is_whole:
        return None
    if given["category"] in _NEVER_THE_ADDRESS and given["scope"] == Scope.RECIPIENT:
        place.at("scope").wrong(
            "a block list says nothing about the recipient's address: write reputation"
        )
    if not any(given.get(key) for key in _CONDITIONS):
        place.wrong(f"no condition, it would match everything: add one of {', '.join(_CONDITIONS)}")
    return Rule(
        id=given["id"],
        category=given["category"],
        scope=given["scope"],
        source=given["source"],
        said=given.get("said"),
        starts=given["starts"].needles if "starts" in given else None,
        groups=(*given.get("all", ()), *([given["any"]] if "any" in given else ())),
        without=given.get("not"),
        codes=given.get("code"),
        enhanced=given.get("enhanced", ()),
        places=given.get("place"),
        actions=given.get("action"),
        providers=given.get("of"),
        listed=given.get("listed", False),
        machine=given.get("machine", False),
        too_early=(
            _BEFORE_RECIPIENT
            if given["scope"] == Scope.RECIPIENT and "place" not in given
            else frozenset()
        ),
    )
