"""All rules together: the first that matches, in the order of the files, names the cause.

In: the tables of the rules files, in order; then facts. Out: a verdict for each. A rule is found
by its rarest word, so the cost is that of the words of the reply and of the few rules that share
one with it, not of the number of rules. Equal subjects are judged once: what repeats in a mail
log are refusals.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from functools import lru_cache

from schemas.vocabulary import Category, Scope
from service.core.classify.conditions import RuleError, split_enhanced
from service.core.classify.provider import Providers
from service.core.classify.rule import Rule, Verdict, compile_rule
from service.core.classify.subject import REMOTE, Subject, subject
from service.core.classify.wording import joined, pieces, words
from service.core.postfix.facts import Facts

REMEMBERED = 4096
"""Verdicts kept. A subject is at most about 1.5 KB, so 6 MB at worst."""

NO_RULE = "none"

_COMMON = frozenset(
    {
        "a",
        "account",
        "address",
        "an",
        "and",
        "are",
        "be",
        "been",
        "by",
        "client",
        "domain",
        "email",
        "error",
        "for",
        "from",
        "has",
        "have",
        "host",
        "in",
        "is",
        "it",
        "mail",
        "mailbox",
        "message",
        "messages",
        "not",
        "of",
        "on",
        "or",
        "our",
        "please",
        "recipient",
        "rejected",
        "sender",
        "server",
        "service",
        "that",
        "the",
        "this",
        "to",
        "unavailable",
        "user",
        "with",
        "you",
        "your",
    }
)
"""Words of most replies: no rule is looked up by one of them if it has another."""
_COMMON_COST = 1000


class Classifier:
    def __init__(self, rules: Iterable[Rule], providers: Providers) -> None:
        self.rules = tuple(rules)
        self.providers = providers
        self._by_piece: dict[str, list[tuple[str, int]]] = {}
        self._by_code: dict[str | int, list[int]] = {}
        self._always: list[int] = []
        self._remaining = self._index()
        self._pieces = frozenset(self._by_piece)
        self._judge = lru_cache(maxsize=REMEMBERED)(self._decide)

    def classify(self, facts: Facts) -> Verdict:
        return self._judge(subject(facts, self.providers.of_host))

    def _decide(self, asked: Subject) -> Verdict:
        normal = words(joined(asked.text) if asked.said == REMOTE else asked.text)
        provider = asked.provider
        code = None
        if provider is not None and asked.said == REMOTE:
            code = self.providers.code(provider, asked.text, asked.enhanced)
        for number in self._candidates(asked, normal):
            found = self._remaining[number]
            if found.matches(asked, normal, provider):
                return Verdict(found.category, found.scope, provider, code, found.id)
        return Verdict(Category.OTHER.value, Scope.UNKNOWN.value, provider, code, NO_RULE)

    def _candidates(self, asked: Subject, normal: str) -> list[int]:
        """Numbers of the rules that can match, in order."""
        numbers = set(self._always)
        for piece in self._pieces & pieces(normal):
            for needle, number in self._by_piece[piece]:
                if needle in normal:
                    numbers.add(number)
        if asked.smtp_code is not None:
            numbers.update(self._by_code.get(asked.smtp_code, ()))
        if asked.enhanced is not None and (parts := split_enhanced(asked.enhanced)):
            _, about, detail = parts
            numbers.update(self._by_code.get(about, ()))
            numbers.update(self._by_code.get(f"{about}.{detail}", ()))
        return sorted(numbers)

    def _index(self) -> tuple[Rule, ...]:
        """Of each rule the group of alternatives with the rarest words, each phrase under its
        rarest word; a rule without phrases under its codes; else it is always asked.

        Returns the rules without the group that the index has already looked for.
        """
        counts = Counter(
            piece
            for rule in self.rules
            for group in rule.phrases
            for needle in group.needles
            for piece in pieces(needle)
        )

        def cost(piece: str) -> int:
            return counts[piece] + (_COMMON_COST if piece in _COMMON else 0)

        def rarest(needle: str) -> str:
            return min(sorted(pieces(needle)), key=cost)

        remaining = []
        for number, rule in enumerate(self.rules):
            if rule.phrases:
                anchor = min(rule.phrases, key=lambda g: sum(cost(rarest(n)) for n in g.needles))
                for needle in anchor.needles:
                    self._by_piece.setdefault(rarest(needle), []).append((needle, number))
                rule = rule.without_group(anchor)
            elif rule.enhanced:
                for key in {key for wanted in rule.enhanced for key in wanted.index_keys()}:
                    self._by_code.setdefault(key, []).append(number)
            elif rule.codes is not None:
                for code in rule.codes:
                    self._by_code.setdefault(code, []).append(number)
            else:
                self._always.append(number)
            remaining.append(rule)
        return tuple(remaining)


def compile_rules(tables: Iterable[Mapping[str, object]]) -> Classifier:
    """The parsed rules files, in order of precedence: an operator's own come before those built in.

    A file holds `[[rule]]` and `[[provider]]` tables, and in `[defaults]` the keys its rules share.
    Raises `RuleError`.
    """
    files = list(tables)
    for file in files:
        if unknown := sorted(file.keys() - {"rule", "provider", "defaults"}):
            raise RuleError(f"unknown table {unknown[0]!r}; known: defaults, provider, rule")
    providers = Providers(table for file in files for table in _tables(file, "provider"))
    rules: dict[str, Rule] = {}
    for file in files:
        defaults = file.get("defaults", {})
        if not isinstance(defaults, Mapping):
            raise RuleError("defaults is a table")
        for table in _tables(file, "rule"):
            compiled = compile_rule({**defaults, **table}, providers.names)
            if compiled.id in rules:
                raise RuleError(f"rule {compiled.id}: a second rule of this id")
            rules[compiled.id] = compiled
    return Classifier(rules.values(), providers)


def _tables(file: Mapping[str, object], key: str) -> list[Mapping[str, object]]:
    tables = file.get(key, [])
    if not isinstance(tables, list) or not all(isinstance(table, Mapping) for table in tables):
        raise RuleError(f"{key} is a list of tables: write [[{key}]]")
    return tables
