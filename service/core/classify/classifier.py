"""Facts to a verdict: the first rule that matches names the cause.

In: compiled rules in order, and providers; then facts. Out: a verdict for each. What was heard
before is not judged again, and rules are not asked again about what differs only in words that none
of them has: what repeats in a mail log are refusals. A classifier is a value: other rules are
another classifier, with verdicts of its own to remember.
"""

from collections.abc import Iterable
from typing import Final

from schemas.vocabulary import Category
from service.core.classify.index import Index
from service.core.classify.provider import Providers
from service.core.classify.rule import Rule, Verdict
from service.core.classify.subject import REMOTE, Heard, Subject, heard
from service.core.classify.unmatched import scope_of
from service.core.classify.values import NOTHING
from service.core.classify.vocabulary import Vocabulary
from service.core.classify.wording import joined, split_words
from service.core.postfix.facts import Facts

REMEMBERED: Final = 4096
"""Verdicts kept by what was heard, and as many by what rules can tell apart of it. Either is at
most about 1.5 KB, so 12 MB at worst."""


class Classifier:
    def __init__(self, rules: Iterable[Rule], providers: Providers) -> None:
        self._index = Index(rules)
        self.rules = self._index.rules
        self.providers = providers
        self._vocabulary = Vocabulary(self.rules)
        self._verdicts: dict[Heard, Verdict] = {}
        self._causes: dict[Heard, Verdict] = {}

    def classify(self, facts: Facts) -> Verdict:
        told = heard(facts, self.providers)
        verdict = self._verdicts.get(told)
        if verdict is None:
            verdict = self._judge(told)
            if len(self._verdicts) >= REMEMBERED:
                self._verdicts.clear()
            self._verdicts[told] = verdict
        return verdict

    def _judge(self, told: Heard) -> Verdict:
        said, text, smtp_code, enhanced, place, action, provider, listed, machine = told
        found = split_words(joined(text) if said == REMOTE else text)
        known = self._vocabulary.known(found)
        if provider is None and said == REMOTE:
            provider = self.providers.of_words(found)
        verdict = self._cause(
            (said, known, smtp_code, enhanced, place, action, provider, listed, machine)
        )
        if provider is not None and said == REMOTE:
            code = self.providers.code(provider, text, enhanced)
            if code is not None:
                return verdict._replace(provider_code=code)
        return verdict

    def _cause(self, asked: Heard) -> Verdict:
        """`asked`: with the text as `Vocabulary.known` has it. Without a provider's own code."""
        verdict = self._causes.get(asked)
        if verdict is None:
            subject = Subject(*asked)
            found = self._index.first(subject, subject.text)
            if found is None:
                scope = scope_of(subject)
                verdict = Verdict(Category.OTHER.value, scope, subject.provider, None, NOTHING)
            else:
                verdict = Verdict(found.category, found.scope, subject.provider, None, found.id)
            if len(self._causes) >= REMEMBERED:
                self._causes.clear()
            self._causes[asked] = verdict
        return verdict
