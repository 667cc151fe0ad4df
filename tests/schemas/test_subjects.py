"""Hosts as subject tokens: legal for NATS whatever the host, equal for equal hosts only."""

import re
import string
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas import EventType, mta_token, stream_subjects, subject_for, wildcard

LEGAL = re.compile(r"(?:[a-z0-9_-]|=[0-9A-F]{2}|=[0-9A-F]?(?=-[0-9a-f]{8}\Z)){1,63}")

PIECES = [
    "mx1", "example.org", ".", "..", "-", "_", " ", "*", ">", "$", "=", "=2E", "\x00", "\r\n",
    "bücher", "STRASSE", "straße", "日本", "。", "\uff0e", "İ", "xn--", "xn--bcher-kva", "\udc80",
    "\u200d", "\u00ad", "😀", "2001:db8::1", "x" * 63, "é" * 80, "a" * 300,
]  # fmt: skip

any_host = st.text(max_size=80) | st.lists(st.sampled_from(PIECES), max_size=6).map("".join)

labels = st.from_regex(r"[a-z0-9](?:[a-z0-9-]{0,10}[a-z0-9])?", fullmatch=True)
ordinary_hosts = st.lists(labels, min_size=1, max_size=5).map(".".join)


@pytest.mark.parametrize(
    ("host", "token"),
    [
        ("mx1.example.org", "mx1_example_org"),
        ("MX1.Example.ORG", "mx1_example_org"),
        ("mx1.example.org.", "mx1_example_org"),
        ("mx1", "mx1"),
        ("192.0.2.1", "192_0_2_1"),
        ("2001:db8::1", "2001=3Adb8=3A=3A1"),
        ("bücher.example", "xn--bcher-kva_example"),
        ("BÜCHER.example", "xn--bcher-kva_example"),
        ("xn--bcher-kva.example", "xn--bcher-kva_example"),
        ("straße.example", "strasse_example"),
        ("日本。example", "xn--wgv71a_example"),
        ("\uff2d\uff38\uff0eexample", "mx_example"),
        ("mail_out", "mail=5Fout"),
        ("a b", "a=20b"),
        ("*", "=2A"),
        (">", "=3E"),
        ("a.*.>", "a_=2A_=3E"),
        ("$SYS", "=24sys"),
        ("=2E", "=3D2e"),
        ("\r\n\x00", "=0D=0A=00"),
        ("a..b", "a__b"),
        ("", "unknown"),
        (".", "unknown"),
        ("..", "_"),
        ("\udc80", "=ED=B2=80"),
        ("אa.example", "=D7=90a_example"),  # mixed directions: IDNA refuses the label
        ("a" * 63, "a" * 63),
        ("a" * 64, "a" * 50 + "-ffe054fe"),
        ("é" * 64, "=C3=A9" * 8 + "=C-f348d7cc"),
    ],
)
def test_tokens_of_the_contract(host: str, token: str) -> None:
    assert mta_token(host) == token


@given(any_host)
@settings(max_examples=300)
def test_any_text_gives_a_legal_token(host: str) -> None:
    token = mta_token(host)
    assert len(token) <= 63
    assert LEGAL.fullmatch(token), token
    assert not {*token} & {*". *>\t\r\n\x00"}
    assert mta_token(host) == token
    assert LEGAL.fullmatch(mta_token(token))


@given(ordinary_hosts, ordinary_hosts)
def test_hosts_share_a_token_only_if_they_are_the_same(one: str, other: str) -> None:
    assert (mta_token(one) == mta_token(other)) == (one == other)


@given(ordinary_hosts)
def test_spellings_of_a_host_share_a_token(host: str) -> None:
    spellings = (host, host.upper(), host.title(), host + ".")
    assert len(set(map(mta_token, spellings))) == 1


@given(st.text(string.ascii_lowercase + string.digits + "_. *:=", max_size=40))
def test_a_token_tells_which_host_it_was(host: str) -> None:
    """As long as it is not cut: `_` is a dot, `=XX` a byte, and nothing else was changed."""
    token = mta_token(host)
    if len(token) < 59 and host.removesuffix("."):
        unescaped = re.sub("=(..)", lambda m: chr(int(m[1], 16)), token.replace("_", "."))
        assert unescaped == host.removesuffix(".")


def test_long_hosts_that_begin_alike_have_tokens_of_their_own() -> None:
    tokens = {mta_token(f"{'a' * 60}{number}.example.org") for number in range(200)}
    assert len(tokens) == 200
    assert {len(token) for token in tokens} == {59}


def test_a_giant_is_neither_converted_nor_remembered() -> None:
    """IDNA of one label this long would take minutes."""
    from schemas.subjects import _remembered_token

    before = _remembered_token.cache_info().currsize
    assert len(mta_token("ü" * 1_000_000)) == 59
    assert _remembered_token.cache_info().currsize == before
    assert _remembered_token.cache_info().maxsize is not None


@pytest.mark.parametrize("kind", EventType)
def test_subject_for(kind: EventType) -> None:
    assert subject_for(kind, "mx1.example.org") == f"postfix.{kind.value}.mx1_example_org"
    assert subject_for(kind.value, "", prefix="mail.v1") == f"mail.v1.{kind.value}.unknown"


@given(any_host, st.sampled_from(EventType))
def test_a_subject_has_three_tokens_whatever_the_host(host: str, kind: EventType) -> None:
    subject = subject_for(kind, host)
    assert subject.count(".") == 2
    assert subject.isascii()
    assert sys.getsizeof(subject) < 256
    assert wildcard(kind, mta=host) == subject


@pytest.mark.parametrize(
    ("arguments", "subject"),
    [
        ({}, "postfix.>"),
        ({"event_type": "bounced"}, "postfix.bounced.*"),
        ({"event_type": EventType.INVALID}, "postfix.invalid.*"),
        ({"mta": "MX1.example.org"}, "postfix.*.mx1_example_org"),
        ({"event_type": "reject", "mta": "mx1.example.org"}, "postfix.reject.mx1_example_org"),
        ({"prefix": "mail.v1"}, "mail.v1.>"),
        ({"event_type": "reject", "prefix": "p"}, "p.reject.*"),
        ({"mta": "*"}, "postfix.*.=2A"),
    ],
)
def test_wildcards(arguments: dict[str, str], subject: str) -> None:
    assert wildcard(**arguments) == subject


def test_the_stream_stores_everything_under_the_prefix() -> None:
    assert stream_subjects() == ["postfix.>"]
    assert stream_subjects("mail.v1") == ["mail.v1.>"]


@pytest.mark.parametrize(
    "prefix", ["", ".", "a.", ".a", "a..b", "a b", "*", ">", "a.>", "ü", "a\n"]
)
def test_a_prefix_that_is_no_subject_is_refused(prefix: str) -> None:
    for make in (
        lambda: stream_subjects(prefix),
        lambda: wildcard("reject", prefix=prefix),
        lambda: subject_for("reject", "mx1", prefix),
    ):
        with pytest.raises(ValueError, match="subject prefix"):
            make()


@pytest.mark.parametrize("kind", ["rejected", "", "*", "REJECT"])
def test_an_event_type_that_does_not_exist_is_refused(kind: str) -> None:
    """A subscription to it would wait for ever."""
    with pytest.raises(ValueError, match="EventType"):
        wildcard(kind)
    with pytest.raises(ValueError, match="EventType"):
        subject_for(kind, "mx1")
