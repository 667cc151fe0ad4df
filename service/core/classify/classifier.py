"""Facts to a verdict: the first rule that matches names the cause.

In: compiled rules in order, and providers; then facts. Out: a verdict for each. What was heard
before is not judged again, and rules are not asked again about what differs only in words that none
of them has: what repeats in a mail log are refusals. A classifier is a value: other rules are
another classifier, with verdicts of its own to remember.
"""

from collections.abc import Iterable

from schemas.vocabulary import Category
from service.core.classify.index import Index
from service.core.classify.provider import Providers
from service.core.classify.rule import Rule, Verdict
from service.core.classify.subject import REMOTE, Heard, Subject, heard, subject
from service.core.classify.unmatched import scope_of
from service.core.classify.values import NOTHING
from service.core.classify.vocabulary import Vocabulary
from service.core.classify.wording import joined, words
from service.core.postfix.facts import Facts

REMEMBERED = 4096
"""Verdicts kept by what was heard, and as many by what rules could ask of it. Either is at most
about 1.5 KB, so 12 MB at worst."""

_Asked = tuple[str, str, int | None, str | None, str, str, str | None, bool, bool]
"""All that a rule can ask of a subject, the text as `Vocabulary.known` has it."""


class Classifier:
    def __init__(self, rules: Iterable[Rule], providers: Providers) -> None:
        self._index = Index(rules)
        self.rules = self._index.rules
        self.providers = providers
        self._vocabulary = Vocabulary(self.rules)
        self._verdicts: dict[Heard, Verdict] = {}
        self._causes: dict[_Asked, Verdict] = {}

    def classify(self, facts: Facts) -> Verdict:
        asked = heard(facts, self.providers)
        verdict = self._verdicts.get(asked)
        if verdict is None:
            verdict = self._judge(subject(asked))
            if len(self._verdicts) >= REMEMBERED:
                self._verdicts.clear()
            self._verdicts[asked] = verdict
        return verdict

    def _judge(self, asked: Subject) -> Verdict:
        verdict = self._cause(asked)
        provider = asked.provider
        if provider is not None and asked.said == REMOTE:
            code = self.providers.code(provider, asked.text, asked.enhanced)
            if code is not None:
                return verdict._replace(provider_code=code)
        return verdict

    def _cause(self, asked: Subject) -> Verdict:
        """Without a provider's own code."""
        said, text, smtp_code, enhanced, place, action, provider, listed, machine = asked
        known = self._vocabulary.known(words(joined(text) if said == REMOTE else text))
        key = (said, known, smtp_code, enhanced, place, action, provider, listed, machine)
        verdict = self._causes.get(key)
        if verdict is None:
            found = self._index.first(asked, known)
            if found is None:
                verdict = Verdict(Category.OTHER.value, scope_of(asked), provider, None, NOTHING)
            else:
                verdict = Verdict(found.category, found.scope, provider, None, found.id)
            if len(self._causes) >= REMEMBERED:
                self._causes.clear()
            self._causes[key] = verdict
        return verdict
