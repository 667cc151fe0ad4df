"""Facts to a verdict: the first rule that matches names the cause.

In: compiled rules in order, and providers; then facts. Out: a verdict for each. Equal subjects are
judged once: what repeats in a mail log are refusals. A classifier is a value: other rules are
another classifier, with verdicts of its own to remember.
"""

from collections.abc import Iterable
from functools import lru_cache, partial

from schemas.vocabulary import Category
from service.core.classify.index import Index
from service.core.classify.provider import Providers
from service.core.classify.rule import Rule, Verdict
from service.core.classify.subject import REMOTE, Subject, subject
from service.core.classify.unmatched import scope_of
from service.core.classify.values import NOTHING
from service.core.classify.wording import joined, words
from service.core.postfix.facts import Facts

REMEMBERED = 4096
"""Verdicts kept. A subject is at most about 1.5 KB, so 6 MB at worst."""


class Classifier:
    def __init__(self, rules: Iterable[Rule], providers: Providers) -> None:
        index = Index(rules)
        self.rules = index.rules
        self.providers = providers
        self._of_host = providers.of_host
        # Not a method of this object: one that held itself would stay in memory after a reload,
        # where the garbage collector was told not to look (`gc.freeze`).
        self._judge = lru_cache(maxsize=REMEMBERED)(partial(_judge, index, providers))

    def classify(self, facts: Facts) -> Verdict:
        return self._judge(subject(facts, self._of_host))


def _judge(index: Index, providers: Providers, asked: Subject) -> Verdict:
    normal = words(joined(asked.text) if asked.said == REMOTE else asked.text)
    provider = asked.provider
    code = None
    if provider is not None and asked.said == REMOTE:
        code = providers.code(provider, asked.text, asked.enhanced)
    found = index.first(asked, normal)
    if found is None:
        return Verdict(Category.OTHER.value, scope_of(asked), provider, code, NOTHING)
    return Verdict(found.category, found.scope, provider, code, found.id)
