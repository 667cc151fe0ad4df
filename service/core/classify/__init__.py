"""Facts to a cause: category, scope, provider and the provider's own code.

In: what a failure line says (`core.postfix.facts`). Out: a `Verdict` of plain strings, each a word
of `schemas.vocabulary`. What the words of a reply mean is data, in `rules/*.toml` and in files of
the operator's; this code only knows how to look. A cause never raises and never guesses: what no
rule knows is `other`.

    subject     who said it, in which words, with which codes
    vocabulary  those of the words that rules can tell apart
    wording     the words in one normal form, what a client chose cut out
    values      words and names in a rules file
    conditions  what a rule may ask, checked and compiled
    tables      a table of a rules file, each key by its parser; where what is wrong
    rule        one `[[rule]]`, compiled
    provider    receiving host to provider; the provider's own code in a reply
    compiling   whole rules files, within bounds
    index       rules by their rarest word
    unmatched   who can act where no rule matches
    classifier  all of it: the first match wins, and is remembered
    builtin     the rules that come with the package, an operator's before them
"""

from service.core.classify.builtin import builtin_classifier, builtin_rules, own_and_builtin
from service.core.classify.classifier import Classifier
from service.core.classify.compiling import RuleSet, RulesFile, compile_files
from service.core.classify.rule import Verdict
from service.core.classify.tables import Place, RulesError
from service.core.classify.values import RuleError

__all__ = [
    "Classifier",
    "Place",
    "RuleError",
    "RuleSet",
    "RulesError",
    "RulesFile",
    "Verdict",
    "builtin_classifier",
    "builtin_rules",
    "compile_files",
    "own_and_builtin",
]
