"""Rules by their rarest word: which of them a text can match at all.

In: rules, in order; then what was said. Out: the first that matches. A rule is found by the rarest
word of its phrases, so the cost is that of the words of the text and of the few rules that share
one with it, not of the number of rules.
"""

from collections import Counter
from collections.abc import Iterable

from service.core.classify.conditions import split_enhanced
from service.core.classify.rule import Rule
from service.core.classify.subject import Subject
from service.core.classify.wording import pieces

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


class Index:
    def __init__(self, rules: Iterable[Rule]) -> None:
        self.rules = tuple(rules)
        self._by_piece: dict[str, list[tuple[str, int]]] = {}
        self._by_code: dict[str | int, list[int]] = {}
        self._always: list[int] = []
        self._remaining = self._index()
        self._pieces = frozenset(self._by_piece)

    def first(self, asked: Subject, normal: str) -> Rule | None:
        """`normal`: its text in the normal form of `wording`."""
        for number in self._candidates(asked, normal):
            found = self._remaining[number]
            if found.matches(asked, normal, asked.provider):
                return found
        return None

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
