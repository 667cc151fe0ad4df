"""Texts in one normal form; what an attacker may put into them."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.core.classify import wording
from service.core.classify.wording import (
    HEADS,
    joined,
    pieces,
    without_addresses,
    without_codes,
    without_leading_value,
    without_numbers,
    without_opening,
    without_peers,
    without_trace,
    words,
)


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("User unknown", " user unknown "),
        ("  Mailbox   FULL!  ", " mailbox full "),
        ("over-quota: 5.2.2.", " over-quota 5.2.2 "),
        ("It doesn't exist...", " it doesnt exist "),
        (
            "later..Greylisting later...Greylisting later....Greylisting",
            " later greylisting" * 3 + " ",
        ),
        ("It doesn\u2019t", " it doesnt "),
        (
            "Blocked - see https://www.example.org/a?b=c.",
            " blocked see https www.example.org a b c ",
        ),
        ("[TSS04] (S3140)", " tss04 s3140 "),
        ("ADDRESS_NOT_FOUND: 192.0.2.1_is_blocked", " address not found 192.0.2.1 is blocked "),
        ("a - b -- c - - d - - - e", " a b -- c - d - e "),
        ("- a -", " a "),
        ("STRASSE \u00c4\u00d6", " strasse \u00e4\u00f6 "),
        ("", "  "),
    ],
)
def test_words(text: str, normal: str) -> None:
    assert words(text) == normal


def test_a_host_name_is_one_word() -> None:
    assert " mailbox full " not in words("no route to mail.mailbox.full.example, sorry")


@pytest.mark.parametrize(
    ("text", "rest"),
    [
        ("550 5.1.1 no", "no"),
        ("550-5.1.1 no", "no"),
        ("5.7.1 no", "no"),
        ("550 no", "no"),
        ("no 550", "no 550"),
        ("192.0.2.1 no", "192.0.2.1 no"),
        ("550", "550"),
    ],
)
def test_without_codes(text: str, rest: str) -> None:
    assert without_codes(text) == rest


@pytest.mark.parametrize(
    ("text", "rest"),
    [
        ("<bob@example.org>: Relay access denied", "Relay access denied"),
        ("<unknown[2001:db8::66]>: Client host rejected", "Client host rejected"),
        ('<"x>: Relay access denied"@example.org>: User unknown', "User unknown"),
        (r'<"a\">: b"@example.org>: User unknown', "User unknown"),
        ("<>: User unknown", "User unknown"),
        ("<bob@example.org>... User unknown", "<bob@example.org>... User unknown"),
        ("<bob", "<bob"),
        ('<"never closed', '<"never closed'),
        ("User <bob> unknown", "User <bob> unknown"),
    ],
)
def test_without_leading_value(text: str, rest: str) -> None:
    assert without_leading_value(text) == rest


@pytest.mark.parametrize(
    "text",
    [
        "no <mailbox-full@spamhaus.example> here",
        'no <"mailbox full"@spamhaus.example> here',
        'no "mailbox full spamhaus"@example.org here',
        "no mailbox-full@spamhaus.example here",
        "no (mailbox.full=spamhaus@example) here",
        "no mailbox...full...x@spamhaus.example here",
        "no spamhaus@example...x@mailbox...here",
    ],
)
def test_without_addresses(text: str) -> None:
    normal = words(without_addresses(text))
    assert normal == " no here "


@pytest.mark.parametrize(
    ("text", "rest"),
    [
        ("lost mx.example[192.0.2.1] here", "lost  here"),
        ("lost mx.example[2001:db8::1]:25: refused", "lost :25: refused"),
        ("mx.example[192.0.2.1] said no", " said no"),
        ("a[192.0.2.1]b[192.0.2.2] c", " c"),
        ("mx.example[] said no", " said no"),
        ("[spam] see [abc] or [TSS04]", "[spam] see [abc] or [TSS04]"),
        ("x[a[192.0.2.1]] [ 192.0.2.1 ] ] [", "] [ 192.0.2.1 ] ] ["),
    ],
)
def test_without_peers(text: str, rest: str) -> None:
    assert without_peers(text) == rest


@pytest.mark.parametrize(
    ("text", "rest"),
    [
        ("id 12345 of 1234", "id  of 1234"),
        ("192.0.2.1, 1.2.3.4 and 1.2.3.4.", ", 1.2.3.4 and "),
        ("....... 1..2..3..", "....... "),
        ("1.2..12345 ...12345.", " ...."),
        ("4.7.28 (S3140)", "4.7.28 (S3140)"),
        ("error for name=a.example type=MX: no", "error for name= type=MX: no"),
        ("error for name=a.example", "error for name="),
    ],
)
def test_without_numbers(text: str, rest: str) -> None:
    assert without_numbers(text) == rest


# The patterns say what is cut off; the code finds most of it without them.
QUOTED = r'"[^"\\]*(?:\\.[^"\\]*)*"'
OPENING = re.compile(
    r"(?:[2-5][0-9][0-9][ -]|)(?:[245]\.[0-9]{1,3}\.[0-9]{1,3}[ :]?|)"
    rf'(?:<[^"<>]*(?:{QUOTED}[^"<>]*)*>:? |)'
)
NUMBER = re.compile(r"[0-9](?:[0-9.]{7,}|[0-9]{4,})")
PEER = re.compile(r"[^ ]*\[(?:[0-9A-Fa-f]*[.:][0-9A-Fa-f.:]*)?\]")
PIECES = st.sampled_from(
    ["550", "5.1.1", "5.123.123", "-", " ", ":", "<", ">", '"', "\\", "[", "]", ".", "12345", "4"]
)
PIECED = st.lists(PIECES | st.text(max_size=3), max_size=12).map("".join)


@given(st.sampled_from(["", "550 ", "550 5.1.1 ", "550 5.123.12", "5.1.1 <"]), PIECED)
def test_the_opening_is_what_its_pattern_says(head: str, rest: str) -> None:
    for _ in range(2):  # the second time from memory
        assert without_opening(head + rest) == OPENING.sub("", head + rest, count=1)


@given(PIECED)
def test_numbers_are_what_their_pattern_says(text: str) -> None:
    without = without_peers(text)
    assert without_numbers(text) == NUMBER.sub("", without)
    assert PEER.search(without) is None


@given(st.text(st.characters(max_codepoint=127)))
def test_words_of_plain_letters_are_those_of_any(text: str) -> None:
    assert words(text + " \u00e4") == (words(text).rstrip() + " \u00e4 ").replace(" - ", " ")


def test_heads_that_are_remembered_are_bounded() -> None:
    for number in range(HEADS + 2):
        assert without_codes(f"550 no {number:04}") == f"no {number:04}"
    assert len(wording._ends_of_codes) <= HEADS


def test_joined_lines_read_as_one() -> None:
    reply = "550-5.1.1 The account does not 550-5.1.1 exist, see 550 5.1.1 there"
    assert joined(reply) == "The account does not exist, see there"
    assert joined("550 5.1.1 one line") == "550 5.1.1 one line"
    assert joined("554-5.7.1 <mail>: Helo command rejected 554 5.7.1 Ask us") == (
        "Helo command rejected Ask us"
    )


def test_without_trace() -> None:
    assert without_trace("421 later a640c23a62f3a-a8a.12 - gsmtp") == ("421 later", "google")
    assert without_trace("550 no (S3140). [AM6.prod.protection.outlook.com 08DC]") == (
        "550 no (S3140).",
        "microsoft",
    )
    assert without_trace("554 5.7.1 no [CS01]") == ("554 5.7.1 no [CS01]", None)
    assert without_trace("550 a security issue. - gsmtp") == ("550 a security issue.", "google")
    assert without_trace(" - gsmtp") == ("", "google")


def test_pieces_cut_before_each_dot() -> None:
    assert pieces(" see www.example.org 4.7.28 ") == {
        "see",
        "www",
        ".example",
        ".org",
        "4",
        ".7",
        ".28",
    }


@given(st.text(max_size=200))
def test_the_normal_form_is_normal(text: str) -> None:
    normal = words(text)
    assert normal.startswith(" ")
    assert normal.endswith(" ")
    assert "  " not in normal.strip()
    assert not set(normal) & set("!\"#$%&'()*+,/:;<=>?@[]")
    for word in normal.split():
        assert pieces(f" {word} ") <= pieces(normal)
