"""The grammar of addresses holds whatever Postfix quotes, and nothing that ends early."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.core.postfix.addresses import ADDRESS, divide_addresses, may_be_address, unquoted
from service.core.postfix.fragments import pattern
from tests.strategies_postfix import addresses, external

_ADDRESS = pattern(ADDRESS)


@pytest.mark.parametrize(
    "address",
    ["", "root", "a@x.example", '"a b"@x.example', r'"\"\\"@x.example', '""@x', "a@[192.0.2.1]",
     "a@[IPv6:2001:db8::1]", "jörg@例え.example", "a+b=c/d!e%f@x.example", '"a@b"'],
)  # fmt: skip
def test_addresses(address: str) -> None:
    assert _ADDRESS.fullmatch(address)


@pytest.mark.parametrize(
    "address",
    ["a b@x", "a>b@x", 'a"b@x', '"a"b@x', '"a', r'"a\"', "@x", "@x:a@y", "a:b@x", "a@b@c", "a@",
     "a,b@x", "a;b@x", "a@x>", "a@x y", '"a"@x"y"'],
)  # fmt: skip
def test_no_addresses_in_external_form(address: str) -> None:
    assert not _ADDRESS.fullmatch(address)


@given(addresses())
def test_what_is_quoted_is_in_the_grammar(address: str) -> None:
    logged = external(address)
    assert _ADDRESS.fullmatch(logged)
    # ... and cannot end before its end: what follows makes no difference.
    for rest in (">", "> to=<x>", '>"', ">; from=<a>"):
        match = _ADDRESS.match(logged + rest)
        assert match
        assert match[0] == logged


@given(addresses())
def test_unquoted(address: str) -> None:
    assert unquoted(external(address)) == address


@pytest.mark.parametrize(
    ("text", "possible"),
    [("", True), ("root", True), ("a b@x", True), ("@x", True), ("a@x>", False), ("a@x y", False),
     ("a@b> to=<c", False), ("a@b> to=<c@d", True), ("@a> b:c@d", True)],
)  # fmt: skip
def test_may_be_address(text: str, possible: bool) -> None:
    assert may_be_address(text) is possible


@pytest.mark.parametrize(
    ("text", "ways"),
    [
        ("from=<a@x> to=<b@y>", [("a@x", "b@y")]),
        ("from=<a@x>", [("a@x", None)]),
        ("to=<b@y>", [(None, "b@y")]),
        ("from=<> to=<>", [("> to=<", None), ("", "")]),
        ("from=<a> to=<b> to=<c@y>", [("a> to=<b> to=<c@y", None), ("a", "b> to=<c@y"),
                                      ("a> to=<b", "c@y")]),
        ("from=<a@x> to=<b@y z>", []),
        ("to=<b@y z>", []),
        ("proto=SMTP", []),
    ],
)  # fmt: skip
def test_divide_addresses(text: str, ways: list[tuple[str | None, str | None]]) -> None:
    found = divide_addresses(text, 0, len(text))
    assert [way for way in found if way[1] is not None] == [
        way for way in ways if way[1] is not None
    ]
    assert found[-1:] == ways[-1:]


def test_the_ways_are_bounded() -> None:
    text = "from=<" + "> to=<" * 1000 + ">"
    assert len(divide_addresses(text, 0, len(text))) <= 13


@given(st.text(st.sampled_from('ab"\\@ <>')))
def test_unquoted_takes_each_escape_once(address: str) -> None:
    if (len(address) - len(address.rstrip("\\"))) % 2 == 0:
        assert unquoted(address) == re.sub(r'\\(.)|"', r"\1", address)


def test_of_hundreds_of_ends_only_the_last_are_weighed() -> None:
    """A line of four kilobytes with a dozen beginnings took a sixth of a second."""
    whole = "a@b> to=<" + "x@y z> to=<" * 300 + "r@x"
    text = f"from=<{whole}>"
    assert divide_addresses(text, 0, len(text)) == [(whole, None)]
