"""What a rule may ask, and what is refused when rules are compiled."""

import re
from collections.abc import Callable

import pytest

from service.core.classify.conditions import (
    MAX_PHRASE,
    enhanced_range,
    enhanced_ranges,
    group,
    groups,
    smtp_codes,
    split_enhanced,
)
from service.core.classify.values import MAX_LISTED, RuleError
from service.core.classify.wording import without_addresses, words


@pytest.mark.parametrize(
    ("phrases", "text", "found"),
    [
        ("over quota", "Over quota.", True),
        ("over quota", "overquota", False),
        ("over quota", "moreover quota", False),
        (["a b", "c"], "x c y", True),
        (["doesn't exist"], "It doesn't exist!", True),
        ("*.spamhaus.org", "see https://www.spamhaus.org/query", True),
        ("*.spamhaus.org", "see spamhaus.org.", True),
        ("*.spamhaus.org", "see notspamhaus.org", False),
        ("*.spamhaus.org", "see spamhaus.org.example", False),
        ("4.7.28", "421-4.7.28 slow", False),
        ("4.7.28", "code 4.7.28: slow", True),
    ],
)
def test_group(phrases: object, text: str, found: bool) -> None:
    assert group(phrases).found(words(text)) is found


@pytest.mark.parametrize("wrong", [[], "", "!!!", 5, [None], "*.two words"])
def test_no_phrase(wrong: object) -> None:
    with pytest.raises(RuleError):
        group(wrong)


def test_enhanced_range() -> None:
    exact = enhanced_range("5.1.1")
    assert (exact.status_class, exact.subject, exact.first, exact.last) == ("5", "1", 1, 1)
    assert enhanced_range("x.1.1").status_class is None
    assert list(enhanced_range("5.7.606-608").index_keys()) == ["7.606", "7.607", "7.608"]
    assert list(enhanced_range("x.7.x").index_keys()) == ["7"]


@pytest.mark.parametrize(
    "wrong", ["", "5.1", "2.0.0", "5.x.1", "5.7.9-1", "5.7.", "5.7.a", "5.7.1-", "5.7.5000", 511]
)
def test_no_enhanced_range(wrong: object) -> None:
    with pytest.raises(RuleError):
        enhanced_range(wrong)


@pytest.mark.parametrize("wrong", ["", "5.1", "5.1.1.1", "5.1.x", "5.1.1234", "5.1.\u0661"])
def test_split_enhanced_of_junk(wrong: str) -> None:
    assert split_enhanced(wrong) is None


def test_smtp_codes() -> None:
    assert smtp_codes(550) == {550}
    assert smtp_codes([421, "5xx"]) == {421, *range(500, 600)}


@pytest.mark.parametrize("wrong", [55, 600, "550", "6xx", True, [None]])
def test_no_smtp_code(wrong: object) -> None:
    with pytest.raises(RuleError):
        smtp_codes(wrong)


def test_an_enhanced_range_knows_how_much_of_the_index_it_takes() -> None:
    for written in ("5.1.1", "5.7.606-649", "x.7.x", "x.7.0-998"):
        found = enhanced_range(written)
        assert found.width == len(list(found.index_keys())), written


def test_groups() -> None:
    assert [len(found.needles) for found in groups(["a", ["b", "c"], "*.d.example"])] == [1, 2, 2]


@pytest.mark.parametrize(
    ("parse", "value", "told"),
    [
        (group, "x" * (MAX_PHRASE + 1), "is longer than 200 characters"),
        (group, ["a"] * (MAX_LISTED + 1), "501 values; at most 500"),
        (group, "mail postmaster@example.org", "would never match: addresses are cut out"),
        (group, "*.two words", "is not a domain, as"),
        (groups, "go", "one phrase is written with any"),
        (enhanced_ranges, [], "an empty list"),
        (smtp_codes, [], "an empty list"),
        (smtp_codes, "550", "write 550 without quotes"),
    ],
)
def test_what_to_do_is_told(parse: Callable[[object], object], value: object, told: str) -> None:
    with pytest.raises(RuleError, match=re.escape(told)):
        parse(value)


def test_at_the_bounds() -> None:
    assert group("x" * MAX_PHRASE).needles == (f" {'x' * MAX_PHRASE} ",)
    assert len(group(["a"] * MAX_LISTED).needles) == MAX_LISTED


def test_an_address_in_a_text_is_indeed_cut_out() -> None:
    """Why a phrase with one is refused."""
    assert "@" not in without_addresses("ask postmaster@example.org, @home or <a b@c>")
