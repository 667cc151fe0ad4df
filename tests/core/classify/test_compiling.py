"""Whole files: their tables, their bounds, all their mistakes at once."""

import time

import pytest

from service.core.classify.builtin import builtin_rules
from service.core.classify.classifier import Classifier
from service.core.classify.compiling import (
    MAX_PROVIDERS,
    MAX_RULES,
    MAX_SIZE,
    RuleSet,
    RulesFile,
    compile_files,
)
from service.core.classify.provider import Providers
from service.core.classify.tables import Place, RulesError
from tests.core.classify.case_files import remote

Table = dict[str, object]


def rule(name: str, **conditions: object) -> Table:
    return {"id": name, "category": "policy", "scope": "policy", "source": "us", **conditions}


def compiled(*contents: Table) -> RuleSet:
    files = [RulesFile(f"{'ab'[n]}.toml", content) for n, content in enumerate(contents)]
    return compile_files(files, Place("all"), {"google"})


def problems(*contents: Table) -> list[str]:
    with pytest.raises(RulesError) as caught:
        compiled(*contents)
    return caught.value.problems


def test_rules_and_providers_of_several_files_in_order() -> None:
    found = compiled(
        {"defaults": {"said": "own"}, "rule": [rule("x", any="a"), rule("y", any="b")]},
        {
            "provider": [{"name": "ours", "hosts": ["example.net"], "source": "us"}],
            "rule": [rule("z", of=["ours", "google"], any="a")],
        },
    )
    assert [(each.id, each.said) for each in found.rules] == [
        ("x", frozenset({"own"})),
        ("y", frozenset({"own"})),
        ("z", None),
    ]
    assert [provider.name for provider in found.providers] == ["ours"]
    assert compiled() == RuleSet((), ())


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ({"rules": []}, "a.toml: unknown table 'rules'; did you mean rule?"),
        ({"rule": {"id": "x"}}, "a.toml: rule: is a list of tables: write [[rule]]"),
        ({"provider": 3}, "a.toml: provider: is a list of tables: write [[provider]]"),
        ({"defaults": 3}, "a.toml: defaults: is a table: write [defaults]"),
        ({"defaults": {"id": "x"}}, "a.toml: defaults: id: unknown key"),
        ({"provider": [{}]}, "a.toml: provider number 1: name: is missing: give it one"),
        ({"provider": [{"name": "A"}]}, "a.toml: provider A: name: 'A' is no name"),
        ({"rule": [rule("x", any="a"), rule("x", any="b")]},
         "a.toml: rule x: id: is that of a rule in a.toml: give it another"),
        ({"rule": [rule("x", any="a"), {**rule("x", any="b"), "id": 3}]},
         "a.toml: rule number 2: id: 3 is no name"),
        ({"rule": [rule("a\nb", any="a")]}, r"a.toml: rule number 1: id: 'a\nb' is no name"),
    ],
)  # fmt: skip
def test_mistakes(content: Table, told: str) -> None:
    (problem,) = problems(content)
    assert problem.startswith(told)


def test_an_id_stands_once_in_all_files() -> None:
    content: Table = {"rule": [rule("x", any="a")]}
    assert problems(content, content) == [
        "b.toml: rule x: id: is that of a rule in a.toml: give it another"
    ]


def test_mistakes_of_all_files_and_of_before_are_told_together() -> None:
    place = Place("all")
    place.file("gone.toml").wrong("cannot be read")
    with pytest.raises(RulesError) as caught:
        compile_files([RulesFile("a.toml", {"rule": [rule("x")], "x": 1})], place)
    assert [problem.partition(": ")[0] for problem in caught.value.problems] == [
        "gone.toml",
        "a.toml",
        "a.toml",
    ]


def test_a_broken_provider_is_still_one_that_rules_may_name() -> None:
    (problem,) = problems(
        {
            "provider": [{"name": "ours", "hosts": ["*.example.net"]}],
            "rule": [rule("x", of="ours", any="a")],
        }
    )
    assert problem.startswith("a.toml: provider ours: hosts: ")


def many(number: int) -> list[Table]:
    return [rule(f"r{n}", any="a") for n in range(number)]


def test_at_the_bounds() -> None:
    providers: list[Table] = [{"name": f"p{n}"} for n in range(MAX_PROVIDERS)]
    assert len(compiled({"rule": many(MAX_RULES), "provider": providers}).rules) == MAX_RULES


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ({"rule": many(MAX_RULES + 1)}, "all: 2001 rules in all files together; at most 2000"),
        ({"provider": [{"name": f"p{n}"} for n in range(MAX_PROVIDERS + 1)]},
         "all: 201 providers in all files together; at most 200"),
        ({"rule": [rule(f"r{n}", all=["a"] * 50) for n in range(MAX_SIZE // 50 + 1)]},
         "all: 20050 phrases and codes in all files together; at most 20000"),
        ({"rule": [rule(f"r{n}", enhanced="x.7.0-998") for n in range(21)]},
         "all: 20979 phrases and codes in all"),
    ],
    ids=["rules", "providers", "phrases", "codes"],
)  # fmt: skip
def test_over_a_bound(content: Table, told: str) -> None:
    (problem,) = problems(content)
    assert problem.startswith(told)
    assert problem.endswith("leave some out")


def test_the_built_in_rules_are_within_the_bounds_by_far() -> None:
    rules, providers = builtin_rules()
    assert len(rules) <= MAX_RULES / 2
    assert len(providers) <= MAX_PROVIDERS / 2
    assert sum(each.size for each in rules) <= MAX_SIZE / 2


def test_the_costliest_rules_judge_the_costliest_text_in_bounded_time() -> None:
    """As many phrases as may be, all found by one word, none of them in a text that has it: each
    must be looked for. The bound is far above what that takes."""
    needles = [" ".join("ab"[n >> bit & 1] for bit in range(15)) + " c" for n in range(MAX_SIZE)]
    rules = [rule(f"r{n}", any=needles[n : n + 500]) for n in range(0, MAX_SIZE, 500)]
    found = compiled({"rule": rules})
    classifier = Classifier(found.rules, Providers(found.providers))
    started = time.process_time()
    assert classifier.classify(remote("550 c " + "a a b " * 160)).rule == "none"
    assert time.process_time() - started < 2
