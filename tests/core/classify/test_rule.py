"""One table to one rule, and the mistakes an operator is told of."""

import pytest

from service.core.classify.rule import Rule, compile_rule, parsers
from service.core.classify.subject import Subject
from service.core.classify.tables import Place, RulesError, check
from service.core.classify.wording import words

TABLE = {"id": "mine", "category": "policy", "scope": "policy", "source": "us", "any": "go away"}


KNOWN = parsers({"google", "yahoo"})


def compiled(table: dict[str, object], defaults: dict[str, object] | None = None) -> Rule:
    """Raises `RulesError`."""
    place = Place("f")
    checked = check(defaults or {}, KNOWN, place.at("defaults"))
    rule = compile_rule(table, checked, KNOWN, place)
    place.raise_mistakes()
    assert rule is not None
    return rule


def problems(table: dict[str, object], defaults: dict[str, object] | None = None) -> list[str]:
    with pytest.raises(RulesError) as caught:
        compiled(table, defaults)
    return caught.value.problems


def subject_of(text: str = "go away", **changes: object) -> Subject:
    asked = Subject("remote", text, 550, "5.7.1", "RCPT TO", "", None, False)
    return asked._replace(**changes)  # type: ignore[arg-type]


def matches(conditions: dict[str, object], asked: Subject, provider: str | None = None) -> bool:
    return compiled({**TABLE, **conditions}).matches(asked, words(asked.text), provider)


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
    assert matches({"scope": "recipient"}, subject_of(place=""))
    assert matches({"scope": "recipient", "place": place}, asked), "a rule that says where"


def test_of_a_provider() -> None:
    assert matches({"of": "google"}, subject_of(), "google")
    assert not matches({"of": "google"}, subject_of(), "yahoo")
    assert not matches({"of": ["google", "yahoo"]}, subject_of(), None)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"id": ""}, "f: id: '' is no name"),
        ({"id": "none"}, "f: id: none means that there is none"),
        ({"category": "spam"}, "f: category: 'spam' is not known; did you mean spam_content?"),
        ({"scope": "me"}, "f: scope: 'me' is not known; "),
        ({"source": ""}, "f: source: '' is not text"),
        ({"anny": "x"}, "f: anny: unknown key; did you mean any?"),
        ({"\n": "x"}, "f: '\\n': unknown key; known here: action, all"),
        ({"of": "gogle"}, "f: of: 'gogle' is not known; did you mean google?"),
        ({"said": "server"}, "f: said: 'server' is not known; known here: door, own, remote"),
        ({"any": []}, "f: any: an empty list"),
        ({"all": "go"}, "f: all: 'go' is not a list"),
        ({"code": "550"}, "f: code: '550' is not an SMTP code"),
        ({"enhanced": "5.7"}, "f: enhanced: '5.7' is not an enhanced code"),
        ({"place": 3}, "f: place: 3 is not a word"),
        ({"listed": "yes"}, "f: listed: 'yes' is not true or false"),
        ({"machine": 1}, "f: machine: 1 is not true or false"),
        ({"category": "blocklisted_ip", "scope": "recipient"}, "f: scope: a block list says"),
    ],
)
def test_mistakes(change: dict[str, object], told: str) -> None:
    (problem,) = problems({**TABLE, **change})
    assert problem.startswith(told)


def test_every_mistake_is_told_and_what_to_do_about_it() -> None:
    assert problems({"any": "x", "code": 5, "category": "spam_contnet"}) == [
        'f: code: 5 is not an SMTP code: write 550 without quotes, or "5xx"',
        "f: category: 'spam_contnet' is not known; did you mean spam_content?",
        "f: id: is missing: give it one of its own, as ours.mailbox-full",
        "f: scope: is missing: say who can act on it, as recipient",
        "f: source: is missing: say where the fact is documented, here or in [defaults]",
    ]


def test_a_rule_without_conditions_would_match_everything() -> None:
    bare = {key: value for key, value in TABLE.items() if key != "any"}
    for conditions in ({}, {"said": "own"}, {"not": "x"}, {"of": "google"}, {"listed": False}):
        (problem,) = problems({**bare, **conditions})
        assert problem == (
            "f: no condition, it would match everything: add one of "
            "starts, all, any, enhanced, code, place, action, listed, machine"
        )


def test_defaults_are_shared_and_a_rule_may_say_otherwise() -> None:
    bare: dict[str, object] = {"id": "mine", "any": "x"}
    shared: dict[str, object] = {"category": "policy", "scope": "policy", "source": "us"}
    assert compiled(bare, shared).source == "us"
    assert compiled({**bare, "source": "them"}, shared).source == "them"


def test_a_mistake_in_defaults_is_told_once() -> None:
    bare: dict[str, object] = {"id": "mine", "any": "x"}
    shared: dict[str, object] = {"category": "polcy", "scope": "policy", "source": "us"}
    told = "f: defaults: category: 'polcy' is not known; did you mean policy?"
    assert problems(bare, shared) == [told]
    assert problems({**bare, "category": "policy"}, shared) == [told]


@pytest.mark.parametrize(
    ("conditions", "size"),
    [
        ({}, 1),
        ({"starts": ["a", "b"], "all": ["c", ["d", "e"]], "not": "*.f.example"}, 8),
        ({"enhanced": ["5.1.1", "x.7.x", "5.7.600-609"]}, 13),
        ({"code": "5xx"}, 1),
    ],
)
def test_size(conditions: dict[str, object], size: int) -> None:
    assert compiled({**TABLE, **conditions}).size == size


def test_codes_count_where_the_rule_is_found_by_them() -> None:
    bare = {key: value for key, value in TABLE.items() if key != "any"}
    assert compiled({**bare, "code": ["5xx", 450]}).size == 101


def test_the_documented_keys_are_the_known_ones() -> None:
    from service.core.classify import rule

    table = [line for line in (rule.__doc__ or "").splitlines() if line.startswith("    ")]
    documented = {key for line in table for key in line[4:].split("  ")[0].split(", ")}
    assert documented == set(KNOWN)
