"""Which words of a text the rules can tell apart.

In: rules; then the words of a text in the normal form. Out: that form with one mark for each run
of words that stand in no phrase, and of a host no more than the domain that one asks for. What is
left is the same for most replies of a kind, whomever they name. A phrase is in it exactly where it
is in the text: a phrase is whole words side by side, and none of them holds the mark.
"""

from collections.abc import Iterable

from service.core.classify.rule import Rule

_UNKNOWN = "_"
"""Punctuation, so in no word of the normal form."""


class Vocabulary:
    def __init__(self, rules: Iterable[Rule]) -> None:
        needles = {
            needle
            for rule in rules
            for group in (*rule.phrases, *([] if rule.without is None else [rule.without]))
            for needle in group.needles
        }
        self._words = {word for needle in needles if needle[0] == " " for word in needle.split()}
        self._domains = {needle.strip() for needle in needles if needle[0] != " "}
        """Each with the dot in front."""
        self._longest = max(map(len, self._domains), default=0)

    def known(self, words: list[str]) -> str:
        known_words = self._words
        kept: list[str] = []
        is_known = True
        for word in words:
            if word in known_words:
                is_known = True
                kept.append(word)
                continue
            domain = self._domain(word) if "." in word else ""
            if domain:
                is_known = True
                kept.append(_UNKNOWN + domain)
            elif is_known:
                is_known = False
                kept.append(_UNKNOWN)
        return f" {' '.join(kept)} "

    def _domain(self, host: str) -> str:
        """The longest one asked for that it is in."""
        dot = host.find(".", max(0, len(host) - self._longest))
        while dot >= 0:
            if host[dot:] in self._domains:
                return host[dot:]
            dot = host.find(".", dot + 1)
        return ""
