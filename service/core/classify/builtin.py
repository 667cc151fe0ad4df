"""The rules that come with the package, read once when they are first asked for.

In: an operator's rules, or none. Out: a classifier of these and the built-in ones behind them.

`FILES` is their order of precedence: what a provider documents, what Postfix writes, then block
lists and reputation, before anything that blames the recipient; then wordings that many servers
share, other languages than English, words that together name a cause wherever they stand, and last
what codes alone say.
"""

import tomllib
from functools import cache
from importlib.resources import files

from service.core.classify.classifier import Classifier
from service.core.classify.compiling import RuleSet, RulesFile, compile_files
from service.core.classify.provider import Providers
from service.core.classify.tables import Place

FILES = (
    "providers.toml",
    "google.toml",
    "microsoft.toml",
    "yahoo.toml",
    "mailboxes.toml",
    "gateways.toml",
    "postfix.toml",
    "delivery.toml",
    "reputation.toml",
    "recipients.toml",
    "wording.toml",
    "languages.toml",
    "families.toml",
    "codes.toml",
)


@cache
def builtin_rules() -> RuleSet:
    folder = files("service.core.classify") / "rules"
    return compile_files(
        [RulesFile(name, tomllib.loads((folder / name).read_text("utf-8"))) for name in FILES],
        Place("built-in rules"),
    )


@cache
def builtin_classifier() -> Classifier:
    return _classifier(builtin_rules())


def own_and_builtin(own: RuleSet) -> Classifier:
    """An operator's rules come first. One with the id of a built-in rule stands in its place, so
    that no later version, with more rules, makes a file of today wrong. A provider's hosts add to
    those built in; its codes take their place."""
    builtin = builtin_rules()
    ids = {rule.id for rule in own.rules}
    kept = tuple(rule for rule in builtin.rules if rule.id not in ids)
    return _classifier(RuleSet(own.rules + kept, own.providers + builtin.providers))


def _classifier(rules: RuleSet) -> Classifier:
    return Classifier(rules.rules, Providers(rules.providers))
