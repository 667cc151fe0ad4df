"""Plain values, and what an operator is told to write instead."""

import re
from collections.abc import Callable

import pytest

from service.core.classify.values import (
    MAX_LISTED,
    MAX_TEXT,
    MAX_WORD,
    RuleError,
    identifier,
    listed,
    names,
    one_of,
    shown,
    some_of,
    text,
    upper,
    yes_or_no,
)


def test_good_values() -> None:
    assert listed("a") == ["a"]
    assert names(["a", "b", "a"]) == {"a", "b"}
    assert upper("rcpt to") == {"RCPT TO"}
    assert one_of(["a", "b"])("a") == "a"
    assert some_of(["a", "b"])(["a", "b"]) == {"a", "b"}
    assert identifier("0.a-b_c") == "0.a-b_c"
    assert yes_or_no(False) is False


def test_at_the_bounds() -> None:
    assert listed([1] * MAX_LISTED) == [1] * MAX_LISTED
    assert names("x" * MAX_WORD) == {"x" * MAX_WORD}
    assert identifier("x" * MAX_WORD) == "x" * MAX_WORD
    assert text("x" * MAX_TEXT) == "x" * MAX_TEXT


@pytest.mark.parametrize(
    ("parse", "value", "told"),
    [
        (listed, [], "an empty list would never match: name something, or leave the key out"),
        (listed, [1] * (MAX_LISTED + 1), "501 values; at most 500: write a second table"),
        (names, 3, "3 is not a word of 1 to 64 characters in quotes"),
        (names, ["a", ""], "'' is not a word"),
        (names, "x" * (MAX_WORD + 1), "is not a word of 1 to 64"),
        (one_of(["remote", "own"]), "remot", "'remot' is not known; did you mean remote?"),
        (one_of(["remote", "own"]), "zzz", "'zzz' is not known; known here: own, remote"),
        (one_of(["own"]), ["own"], "['own'] is not a word in quotes"),
        (some_of(["own"]), [["own"]], "['own'] is not a word in quotes"),
        (some_of(["own"]), [], "an empty list"),
        (identifier, "Mine", "'Mine' is no name: write a-z, 0-9 and . _ - in it"),
        (identifier, "x" * (MAX_WORD + 1), "is no name"),
        (identifier, "a\n", "'a\\n' is no name"),
        (identifier, 3, "3 is no name"),
        (identifier, "none", "none means that there is none: take another name"),
        (text, "", "'' is not text of 1 to 500 characters in quotes"),
        (text, "x" * (MAX_TEXT + 1), "is not text"),
        (yes_or_no, "true", "'true' is not true or false (without quotes)"),
    ],
)
def test_mistakes(parse: Callable[[object], object], value: object, told: str) -> None:
    with pytest.raises(RuleError, match=re.escape(told)):
        parse(value)


def test_a_value_is_not_quoted_at_any_length() -> None:
    assert shown("a\x1b") == r"'a\x1b'"
    assert len(shown("x" * 10_000)) < 100
