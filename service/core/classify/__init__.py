"""Facts to a cause: category, scope, provider and the provider's own code.

In: what a failure line says (`core.postfix.facts`). Out: a `Verdict` of plain strings, each a word
of `schemas.vocabulary`. What the words of a reply mean is data, in `rules/*.toml`; this code only
knows how to look. A cause never raises and never guesses: what no rule knows is `other`.

    subject     who said it, in which words, with which codes
    wording     the words in one normal form, what a client chose cut out
    conditions  what a rule may ask, checked and compiled
    rule        one table of a rules file, compiled
    provider    receiving host to provider; the provider's own code in a reply
    classifier  all rules, indexed by their rarest word; first match wins
    builtin     the rules that come with the package
"""

from service.core.classify.builtin import builtin_tables, classify
from service.core.classify.classifier import Classifier, compile_rules
from service.core.classify.conditions import RuleError
from service.core.classify.rule import Verdict

__all__ = ["Classifier", "RuleError", "Verdict", "builtin_tables", "classify", "compile_rules"]
