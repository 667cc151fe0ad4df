"""The same value, the same hash, however it is written; another key, another hash."""

import re

import pytest

from service.core.privacy.pseudonyms import Pseudonyms, canonical

KEY = b"k" * 32


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Anna@Example.ORG", "anna@example.org"),
        ('"anna b"@example.org', "anna b@example.org"),
        (r'"anna \"b\""@example.org', 'anna "b"@example.org'),
        ("2001:DB8:0:0::66", "2001:db8::66"),
        ("[IPv6:2001:db8::66]", "2001:db8::66"),
        ("[192.0.2.66]", "192.0.2.66"),
        ("::ffff:192.0.2.66", "192.0.2.66"),
        ("Mail.Example.net", "mail.example.net"),
    ],
)
def test_spellings_of_one_value(one: str, other: str) -> None:
    hashed = Pseudonyms(KEY)
    assert hashed.of(one) == hashed.of(other)
    assert canonical(one) == canonical(other)


def test_different_values_and_keys() -> None:
    hashed = Pseudonyms(KEY)
    found = {hashed.of(f"{name}@example.org") for name in ("anna", "bob", "anna.b", "")}
    assert len(found) == 4
    assert hashed.of("anna@example.org") != Pseudonyms(b"l" * 32).of("anna@example.org")
    assert hashed.of("anna@example.org") != hashed.of("anna@example.net")


def test_it_shows_that_it_is_one_and_never_changes() -> None:
    hashed = Pseudonyms(KEY).of("anna@example.org")
    assert re.fullmatch(r"hash:[0-9a-f]{32}", hashed)
    assert hashed == "hash:d48c2dd418879ca8a2bf66335284d6b2"


def test_an_event_id_is_no_value() -> None:
    hashed = Pseudonyms(KEY)
    event_id = "0" * 32
    assert re.fullmatch(r"[0-9a-f]{32}", hashed.of_event_id(event_id))
    assert not hashed.of(event_id).endswith(hashed.of_event_id(event_id))


def test_text_that_is_no_utf_8() -> None:
    assert Pseudonyms(KEY).of("\udcff@example.org")
