"""Rules files to rules and providers, within bounds; all that is wrong is told at once.

In: files as TOML gave them, in order of precedence. Out: a `RuleSet`, or `RulesError`. A file holds
`[[rule]]` and `[[provider]]` tables, and in `[defaults]` the keys its rules share.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from typing import Any, NamedTuple

from service.core.classify.provider import PARSERS, Provider
from service.core.classify.rule import Rule, compile_rule, parsers
from service.core.classify.tables import Checked, Place, check, tables
from service.core.classify.values import shown
from service.core.spelling import nearest

MAX_RULES = 2000
"""Of all files together: six times those that come with the package."""
MAX_PROVIDERS = 200
"""Each is a value of a metric's label."""
MAX_SIZE = 20_000
"""Phrases and codes of all rules: they bound the time of a reload, and that of a judgement where a
text was written so that each of them must be looked for."""

_TABLES = ("defaults", "provider", "rule")


class RulesFile(NamedTuple):
    name: str
    """As messages name it."""
    content: Mapping[str, object]


class RuleSet(NamedTuple):
    rules: tuple[Rule, ...]
    providers: tuple[Provider, ...]


def compile_files(
    files: Iterable[RulesFile], place: Place, known_providers: Collection[str] = ()
) -> RuleSet:
    """`place`: of mistakes made before. Raises `RulesError`."""
    files = list(files)
    for file in files:
        for key in file.content:
            if key not in _TABLES:
                place.file(file.name).wrong(f"unknown table {shown(key)}{nearest(key, _TABLES)}")
    providers = [
        provider for file in files for provider in _providers(file.content, place.file(file.name))
    ]
    known = parsers({*known_providers, *(provider.name for provider in providers)})
    rules: dict[str, tuple[str, Rule]] = {}
    for file in files:
        its_place = place.file(file.name)
        for rule in _rules(file, known, its_place):
            if rule.id in rules:
                earlier = rules[rule.id][0]
                its_place.at(f"rule {rule.id}: id").wrong(
                    f"is that of a rule in {earlier}: give it another"
                )
            rules.setdefault(rule.id, (file.name, rule))
    found = RuleSet(tuple(rule for _, rule in rules.values()), tuple(providers))
    _check_bounds(found, place)
    place.raise_mistakes()
    return found


def _providers(content: Mapping[str, object], place: Place) -> Iterable[Provider]:
    for number, table in enumerate(tables(content, "provider", place), 1):
        its_place = place.at(_called("provider", table.get("name"), number))
        checked = check(table, PARSERS, its_place)
        values = {**checked.values}
        values.pop("source", None)
        if "name" in values:
            yield Provider(**values)
        elif "name" not in checked.refused:
            its_place.at("name").wrong("is missing: give it one, as example-net")


def _rules(file: RulesFile, known: Mapping[str, Any], place: Place) -> Iterable[Rule]:
    content = file.content
    defaults = content.get("defaults", {})
    checked = Checked()
    if isinstance(defaults, Mapping):
        shared = {key: parse for key, parse in known.items() if key != "id"}
        checked = check(defaults, shared, place.at("defaults"))
    else:
        place.at("defaults").wrong("is a table: write [defaults]")
    for number, table in enumerate(tables(content, "rule", place), 1):
        its_place = place.at(_called("rule", table.get("id"), number))
        rule = compile_rule(table, checked, known, its_place)
        if rule is not None:
            yield replace(rule, file=file.name)


def _called(kind: str, name: object, number: int) -> str:
    """A table without a name is called by its place in the file."""
    if isinstance(name, str) and name.isprintable() and 0 < len(name) <= 80:
        return f"{kind} {name}"
    return f"{kind} number {number}"


def _check_bounds(found: RuleSet, place: Place) -> None:
    for what, number, bound in (
        ("rules", len(found.rules), MAX_RULES),
        ("providers", len(found.providers), MAX_PROVIDERS),
        ("phrases and codes", sum(rule.size for rule in found.rules), MAX_SIZE),
    ):
        if number > bound:
            place.wrong(f"{number} {what} in all files together; at most {bound}: leave some out")
