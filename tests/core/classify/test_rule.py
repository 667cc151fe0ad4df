"""One table to one rule, and the mistakes an operator is told of."""

import pytest

from service.core.classify.conditions import RuleError
from service.core.classify.rule import KEYS, compile_rule
from service.core.classify.subject import Subject
from service.core.classify.wording import words

TABLE = {"id": "mine", "category": "policy", "scope": "policy", "source": "us", "any": "go away"}


def subject_of(text: str = "go away", **changes: object) -> Subject:
    asked = Subject("remote", text, 550, "5.7.1", "RCPT TO", "", None, False)
    return asked._replace(**changes)  # type: ignore[arg-type]


def matches(conditions: dict[str, object], asked: Subject, provider: str | None = None) -> bool:
    rule = compile_rule({**TABLE, **conditions}, {"google", "yahoo"})
    return rule.matches(asked, words(asked.text), provider)


@pytest.mark.parametrize(
    ("conditions", "yes", "no"),
    [
        ({}, {}, {"text": "go on"}),
        ({"all": ["a", ["b", "c"]]}, {"text": "go away a c"}, {"text": "go away a"}),
        ({"starts": "go"}, {}, {"text": "please go away"}),
        ({"not": "please"}, {}, {"text": "please go away"}),
        ({"said": ["remote", "own"]}, {"said": "own"}, {"said": "door"}),
        ({"code": "5xx"}, {}, {"smtp_code": 450}),
        ({"code": 550}, {}, {"smtp_code": None}),
        ({"enhanced": "5.7.1"}, {}, {"enhanced": "4.7.1"}),
        ({"enhanced": "x.7.x"}, {"enhanced": "4.7.99"}, {"enhanced": "4.1.7"}),
        ({"enhanced": ["5.7.600-649", "5.1.1"]}, {"enhanced": "5.7.606"}, {"enhanced": "5.7.650"}),
        ({"enhanced": "5.7.1"}, {}, {"enhanced": None}),
        ({"enhanced": "5.7.1"}, {}, {"enhanced": "5.7.junk"}),
        ({"place": ["rcpt to", "DATA"]}, {}, {"place": "MAIL FROM"}),
        ({"action": "milter-reject"}, {"action": "milter-reject"}, {"action": "reject"}),
        ({"listed": True}, {"listed": True}, {"listed": False}),
        ({"machine": True}, {"machine": True}, {"machine": False}),
    ],
)
def test_each_condition(
    conditions: dict[str, object], yes: dict[str, object], no: dict[str, object]
) -> None:
    assert matches(conditions, subject_of(**yes))  # type: ignore[arg-type]
    assert not matches(conditions, subject_of(**no))  # type: ignore[arg-type]


@pytest.mark.parametrize("place", ["GREETING", "EHLO", "HELO", "MAIL FROM"])
def test_the_recipient_is_not_blamed_before_it_is_named(place: str) -> None:
    asked = subject_of(place=place)
    assert matches({}, asked)
    assert not matches({"scope": "recipient"}, asked)
    assert matches({"scope": "recipient"}, subject_of(place="END OF DATA"))
    assert matches({"scope": "recipient"}, subject_of(place=None))
    assert matches({"scope": "recipient", "place": place}, asked), "a rule that says where"


def test_of_a_provider() -> None:
    assert matches({"of": "google"}, subject_of(), "google")
    assert not matches({"of": "google"}, subject_of(), "yahoo")
    assert not matches({"of": ["google", "yahoo"]}, subject_of(), None)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"id": ""}, "without an id"),
        ({"category": "spam"}, "rule mine: 'spam' is not one of"),
        ({"scope": "me"}, "rule mine: 'me' is not one of"),
        ({"source": ""}, "rule mine: source is missing"),
        ({"contains": "x"}, "rule mine: unknown key 'contains'; known: action, all"),
        ({"of": "gogle"}, "rule mine: 'gogle' is not one of google, yahoo"),
        ({"said": "server"}, "rule mine: 'server' is not one of door, own, remote"),
        ({"any": []}, "rule mine: an empty list"),
        ({"all": "go"}, "rule mine: all: a list"),
        ({"code": "550"}, "rule mine: '550' is not an SMTP code"),
        ({"enhanced": "5.7"}, "rule mine: '5.7' is not an enhanced code"),
        ({"listed": "yes"}, "rule mine: listed: true or false"),
        ({"machine": 1}, "rule mine: machine: true or false"),
        ({"category": "blocklisted_ip", "scope": "recipient"}, "says nothing about the recipient"),
    ],
)
def test_mistakes(change: dict[str, object], told: str) -> None:
    with pytest.raises(RuleError) as caught:
        compile_rule({**TABLE, **change}, {"google", "yahoo"})
    assert told in str(caught.value)


def test_a_rule_without_conditions_would_match_everything() -> None:
    bare = {key: value for key, value in TABLE.items() if key != "any"}
    for conditions in ({}, {"said": "own"}, {"not": "x"}, {"of": "google"}):
        with pytest.raises(RuleError, match="no condition"):
            compile_rule({**bare, **conditions}, {"google"})


def test_the_documented_keys_are_the_known_ones() -> None:
    from service.core.classify import rule

    table = [line for line in (rule.__doc__ or "").splitlines() if line.startswith("    ")]
    documented = {key for line in table for key in line[4:].split("  ")[0].split(", ")}
    assert documented == KEYS
