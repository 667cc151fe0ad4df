"""Tables to values; every mistake with its place."""

import pytest

from service.core.classify.tables import MAX_MISTAKES, Place, RulesError, check, tables
from service.core.classify.values import text, yes_or_no

PARSERS = {"source": text, "listed": yes_or_no}


def mistakes(place: Place) -> list[str]:
    with pytest.raises(RulesError) as caught:
        place.raise_mistakes()
    assert str(caught.value) == "; ".join(caught.value.problems)
    return caught.value.problems


def test_values_and_what_is_wrong_with_the_others() -> None:
    place = Place("f.toml").at("rule x")
    checked = check({"source": "us", "listed": 1, "lisded": True}, PARSERS, place)
    assert checked.values == {"source": "us"}
    assert checked.refused == {"listed"}
    assert mistakes(place) == [
        "f.toml: rule x: listed: 1 is not true or false (without quotes)",
        "f.toml: rule x: lisded: unknown key; did you mean listed?",
    ]


@pytest.mark.parametrize("key", ["a b", "a\nb", "x" * 10_000, ""])
def test_a_key_cannot_forge_a_line_or_fill_the_log(key: str) -> None:
    place = Place("f")
    check({key: 1}, PARSERS, place)
    (problem,) = mistakes(place)
    assert problem.isprintable()
    assert len(problem) < 200


def test_mistakes_of_all_files_come_together() -> None:
    place = Place("classify.rules")
    place.raise_mistakes()
    place.file("a.toml").wrong("one")
    place.file("b.toml").at("rule x").wrong("two")
    assert mistakes(place) == ["a.toml: one", "b.toml: rule x: two"]


@pytest.mark.parametrize("more", [0, 1])
def test_only_so_many_are_told_one_by_one(more: int) -> None:
    place = Place("f")
    for number in range(MAX_MISTAKES + more):
        place.wrong(str(number))
    told = mistakes(place)
    assert told[:MAX_MISTAKES] == [f"f: {number}" for number in range(MAX_MISTAKES)]
    assert told[MAX_MISTAKES:] == ["and 1 more"] * more


def test_tables() -> None:
    place = Place("f")
    assert tables({"rule": [{"id": "x"}]}, "rule", place) == [{"id": "x"}]
    assert tables({}, "rule", place) == []
    place.raise_mistakes()
    for wrong in ({"id": "x"}, ["x"], 3):
        assert tables({"rule": wrong}, "rule", place) == []
    assert mistakes(place) == ["f: rule: is a list of tables: write [[rule]]"] * 3
