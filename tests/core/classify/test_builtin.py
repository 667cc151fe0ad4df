"""The rules of the package: all there, read, in the order that was meant; own ones before them."""

from importlib.resources import files

from service.core.classify import (
    Place,
    RuleSet,
    RulesFile,
    Verdict,
    builtin_classifier,
    builtin_rules,
    compile_files,
    own_and_builtin,
)
from service.core.classify.builtin import FILES
from tests.core.classify.case_files import door, remote

UNKNOWN_USER = "550 5.1.1 User unknown"


def own(**content: object) -> RuleSet:
    names = {provider.name for provider in builtin_rules().providers}
    return compile_files([RulesFile("own.toml", content)], Place("own"), names)


def rule(name: str, **conditions: object) -> dict[str, object]:
    return {"id": name, "category": "other", "scope": "local", "source": "us", **conditions}


def test_every_file_is_in_the_order() -> None:
    folder = files("service.core.classify") / "rules"
    assert sorted(path.name for path in folder.iterdir()) == sorted(FILES)


def test_only_anchored_rules_blame_the_recipient_before_reputation_was_asked() -> None:
    rules = builtin_rules().rules
    last = max(n for n, rule in enumerate(rules) if rule.id.startswith("reputation."))
    early = {
        rule.id
        for rule in rules[:last]
        if rule.scope == "recipient" and not rule.starts and rule.said != frozenset({"own"})
    }
    assert early == set()


def test_own_rules_come_first() -> None:
    classifier = own_and_builtin(
        own(
            defaults={"said": "remote"},
            rule=[rule("mine", any="user unknown", of="ours")],
            provider=[{"name": "ours", "hosts": ["example.net"]}],
        )
    )
    assert classifier.classify(remote(UNKNOWN_USER)) == Verdict(
        "other", "local", "ours", None, "mine"
    )
    for facts in (remote(UNKNOWN_USER, "mx.example.org"), door(UNKNOWN_USER)):
        assert classifier.classify(facts).rule == "wording.unknown-user"
    builtin = builtin_classifier()
    assert builtin.classify(remote(UNKNOWN_USER)).rule == "wording.unknown-user", "untouched"
    assert "ours" not in builtin.providers.names


def test_an_own_rule_with_the_id_of_a_built_in_one_stands_in_its_place() -> None:
    classifier = own_and_builtin(own(rule=[rule("wording.unknown-user", any="never said")]))
    assert len(classifier.rules) == len(builtin_rules().rules)
    assert classifier.rules[0].groups[0].needles == (" never said ",)
    verdict = classifier.classify(remote(UNKNOWN_USER))
    assert verdict.rule not in ("none", "wording.unknown-user"), "a later rule knows it"


def test_an_own_provider_adds_to_a_built_in_one() -> None:
    classifier = own_and_builtin(
        own(
            provider=[{"name": "google", "hosts": ["example.net"]}],
            rule=[rule("mine", of="google", any="nosuchword")],
        )
    )
    assert classifier.providers.of_host("mx.example.net") == "google"
    assert classifier.providers.of_host("gmail-smtp-in.l.google.com") == "google"
    assert classifier.classify(remote("550 5.7.26 nosuchword")) == Verdict(
        "other", "local", "google", "5.7.26", "mine"
    )
