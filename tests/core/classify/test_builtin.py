"""The rules of the package: all there, all read, in the order that was meant."""

from importlib.resources import files

from service.core.classify import builtin_tables, compile_rules
from service.core.classify.builtin import FILES


def test_every_file_is_in_the_order() -> None:
    folder = files("service.core.classify") / "rules"
    assert sorted(path.name for path in folder.iterdir()) == sorted(FILES)


def test_only_anchored_rules_blame_the_recipient_before_reputation_was_asked() -> None:
    rules = compile_rules(builtin_tables()).rules
    last = max(n for n, rule in enumerate(rules) if rule.id.startswith("reputation."))
    early = {
        rule.id
        for rule in rules[:last]
        if rule.scope == "recipient" and not rule.starts and rule.said != frozenset({"own"})
    }
    assert early == set()
