"""What a rule may ask, and what is refused when rules are compiled."""

import pytest

from service.core.classify.conditions import (
    RuleError,
    enhanced_range,
    group,
    names,
    smtp_codes,
    split_enhanced,
)
from service.core.classify.wording import words


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


def test_names() -> None:
    assert names("a") == {"a"}
    assert names(["a", "b"], {"a", "b", "c"}) == {"a", "b"}
    with pytest.raises(RuleError, match="'d' is not one of a, b"):
        names("d", {"a", "b"})
    with pytest.raises(RuleError):
        names(3)
