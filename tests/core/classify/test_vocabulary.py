"""What is left of a text for rules, and that none of them sees a difference."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.core.classify import Place, RulesFile, builtin_rules, compile_files
from service.core.classify.rule import Rule
from service.core.classify.vocabulary import Vocabulary
from service.core.classify.wording import split_words, words


def rules_of(**conditions: object) -> tuple[Rule, ...]:
    rule = {"id": "r", "category": "policy", "scope": "policy", "source": "us", **conditions}
    return compile_files([RulesFile("f", {"rule": [rule]})], Place("f")).rules


VOCABULARY = Vocabulary(
    rules_of(
        starts="sorry",
        all=["over quota", ["*.list.example", "*.example"]],
        **{"not": "see www.list.example"},
    )
)


@pytest.mark.parametrize(
    ("text", "known"),
    [
        ("Sorry, Bob Baker is over his quota", " sorry _ over _ quota "),
        ("Bob is over quota", " _ over quota "),
        ("blocked by zen.list.example", " _ _.list.example "),
        ("blocked by list.example", " _ list.example "),
        ("blocked by x.mail.example, see a.b", " _ _.example see _ "),
        ("see www.list.example", " see www.list.example "),
        ("list.example.net", " _ "),
        ("quota.", " quota "),
        ("x." * 500 + "list.example", " _.list.example "),
        ("", "  "),
    ],
)
def test_known(text: str, known: str) -> None:
    assert VOCABULARY.known(split_words(text)) == known


NEEDLES = sorted(
    {
        needle
        for rule in builtin_rules().rules
        for group in (*rule.phrases, *([rule.without] if rule.without else []))
        for needle in group.needles
    }
)
BUILTIN = Vocabulary(builtin_rules().rules)
WORDS = sorted({word for needle in NEEDLES for word in needle.split()})
PART = st.sampled_from(NEEDLES) | st.sampled_from(WORDS) | st.sampled_from(["_", "bob", ".", "a.b"])


@given(st.lists(PART, max_size=8), st.sampled_from(["", " "]), st.text(max_size=10))
def test_each_phrase_is_in_it_where_it_is_in_the_text(
    parts: list[str], between: str, junk: str
) -> None:
    text = between.join([*parts, junk])
    normal, known = words(text), BUILTIN.known(split_words(text))
    for needle in NEEDLES:
        assert (needle in known) == (needle in normal), needle
        assert known.startswith(needle) == normal.startswith(needle), needle
