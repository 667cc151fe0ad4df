"""Free text: what is known of the event, and what looks like an address, is treated in it."""

import time

import pytest

from service.core.privacy.known import Known
from service.core.privacy.policy import Treatment
from service.core.privacy.pseudonyms import Pseudonyms
from service.core.privacy.texts import Texts
from service.core.privacy.values import Values

HASH, DOMAIN, DROP, KEEP = Treatment.HASH, Treatment.DOMAIN, Treatment.DROP, Treatment.KEEP
PSEUDONYMS = Pseudonyms(b"k" * 32)
H = PSEUDONYMS.of
ANNA = "anna@example.org"
HASHED = f"{H(ANNA)}@example.org"


def texts(
    recipient: str = ANNA,
    how: Treatment = HASH,
    *,
    others: Treatment | None = None,
    kept: str | None = None,
    client: Treatment = KEEP,
    ip: str | None = None,
    name: str | None = None,
    servers: tuple[str, ...] = (),
) -> Texts:
    values = Values(PSEUDONYMS, shows_clients=client is KEEP)
    known = Known(values, others or how)
    known.add_address(recipient, how)
    known.add_address(kept, KEEP)
    known.add_ip(ip, client)
    known.add_host(name, client)
    known.complete()
    return Texts(values, known, others or how, client, servers)


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("", ""),
        ("550 5.1.1 no such user", "550 5.1.1 no such user"),
        (f"550 5.1.1 <{ANNA}>: User unknown", f"550 5.1.1 <{HASHED}>: User unknown"),
        ("550 <Anna@EXAMPLE.org>... gone", f"550 <{HASHED}>... gone"),
        (f"for {ANNA}.", f"for {HASHED}."),
        (f"'{ANNA}', {ANNA}", f"'{HASHED}', {HASHED}"),
        (f"mailto:{ANNA}", f"mailto:{HASHED}"),
        ("http://x.example/?id=anna%40example.org;ip=1", f"http://x.example/?id={HASHED};ip=1"),
        (f"see id={ANNA} or u=bob@b.example",
         f"see id={HASHED} or {H('u=bob@b.example')}@b.example"),
        (f"u=bob@b.example&v={ANNA}", f"{H(f'u=bob@b.example&v={ANNA}')}@example.org"),
        ('unknown user: "anna"', f'unknown user: "{H(ANNA)}"'),
        ("joanna is not anna-b", "joanna is not anna-b"),
        ("b+anna=example.org@l.example", f"{H('b+anna=example.org@l.example')}@l.example"),
        ("by anna=example.org.", f"by {HASHED}."),
        ("SRS0=x=example.org=anna kept", f"SRS0=x={HASHED} kept"),
        ("<html a@b>", f"<{H('html a@b')}@b>"),
        ('"c d"@x.example.', f"{H('c d@x.example')}@x.example."),
        (r'x "c \"d"@x.example', "x " + H('c "d@x.example') + "@x.example"),
        ("@x.example", f"{H('@x.example')}@x.example"),
        ("a lone @ sign", f"a lone {H('@')} sign"),
        ("'", "'"),
        ("'@'", f"'{H('@')}'"),
        ("İİ Anna@Example.Org", f"İİ {HASHED}"),
    ],
)  # fmt: skip
def test_addresses(text: str, cleaned: str) -> None:
    assert texts().clean(text) == cleaned


@pytest.mark.parametrize(
    ("how", "cleaned"),
    [
        (DOMAIN, '<example.org> "*" <b.example>'),
        (DROP, '<*> "*" <*>'),
    ],
)
def test_what_else_may_be_left(how: Treatment, cleaned: str) -> None:
    assert texts(how=how).clean(f'<{ANNA}> "anna" <bob@b.example>') == cleaned


def test_an_address_that_is_kept_stays_and_others_do_not() -> None:
    made = texts(kept="bob@b.example")
    text = "<bob@b.example> from BOB@B.example to eve@e.example"
    assert (
        made.clean(text) == f"<bob@b.example> from BOB@B.example to {H('eve@e.example')}@e.example"
    )


def test_a_kept_address_that_holds_one_that_is_not() -> None:
    verp = "list-anna=example.org@l.example"
    assert texts(kept=verp).clean(f"<{verp}>") == f"<{H(verp)}@l.example>"
    quoted = f'"{ANNA}"@evil.example'
    assert ANNA not in texts(kept=quoted).clean(quoted)


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("[192.0.2.66] blocked", f"[{H('192.0.2.66')}] blocked"),
        ("66.2.0.192.bl.example", f"{H('192.0.2.66')}.bl.example"),
        ("192-0-2-66.dsl.example", f"{H('192.0.2.66')}.dsl.example"),
        ("1.192.0.2.66", "*"),
        ("host 198.51.100.7: no", f"host {H('198.51.100.7')}: no"),
        ("mx.example[203.0.113.1]:25", "mx.example[203.0.113.1]:25"),
        ("999.1.1.1", "*"),
        ("IPv6:2001:DB8::66]", f"{H('2001:db8::66')}]"),
        ("2001:db8::66: blocked.", f"{H('2001:db8::66')}: blocked."),
        ("at 10:00:05 (5.1.1)", "at 10:00:05 (5.1.1)"),
        ("from Dsl.Example.net", f"from {H('dsl.example.net')}"),
        (ANNA, ANNA),
    ],
)
def test_clients(text: str, cleaned: str) -> None:
    made = texts(
        how=KEEP, client=HASH, ip="192.0.2.66", name="dsl.example.net", servers=("203.0.113.1",)
    )
    assert made.clean(text) == cleaned


def test_the_network_of_a_client() -> None:
    made = texts(how=KEEP, client=DOMAIN, ip="192.0.2.66", name="[192.0.2.66]")
    assert made.clean("66.2.0.192.bl, 198.51.100.7") == "192.0.2.0/24.bl, 198.51.100.0/24"
    assert made.without_ips("a@[192.0.2.66]") == "a@[192.0.2.0/24]"


def test_what_overlaps_goes_as_a_whole() -> None:
    made = texts(recipient="a b@x.example", how=DROP, kept="z@a")
    assert made.clean("z@a b@x.example") == "*"
    assert texts(recipient="b@c@d.example", how=DROP).clean("<a@b@c@d.example>") == "<*>"


def test_a_longer_word_is_not_cut_into() -> None:
    assert texts(recipient="5@example.org").clean("550 5.1.1 5 of 5") == (
        f"550 5.1.1 {H('5@example.org')} of {H('5@example.org')}"
    )
    assert texts(recipient=".@example.org").clean("a. b.") == "a. b."


@pytest.mark.parametrize(
    "text",
    ['"' * 8000, '"\\' * 4000, "<" * 8000, "<a@" * 2600, "@" * 8000, "1." * 4000, "1" * 8000,
     ":" * 8000, "a:" * 4000, '"@' * 4000, "a" * 8000, "=@" * 4000, "'" * 8000 + "@"],
)  # fmt: skip
def test_hostile_text_costs_no_more_than_its_length(text: str) -> None:
    made = texts(recipient="a@a", client=HASH, ip="1.1.1.1", name="1.1")
    start = time.process_time()
    made.clean(text)
    assert time.process_time() - start < 0.5


@pytest.mark.parametrize("times", [2, 3, 5])
@pytest.mark.parametrize(
    "ip",
    ["192.0.2.66", "2001:db8::66", "::1", "2001:db8:1:2:3:4:5:66", "::ffff:192.0.2.66"],
)
@pytest.mark.parametrize("known", [None, "203.0.113.9"])
def test_of_addresses_that_are_glued_together_nothing_is_left(
    ip: str, times: int, known: str | None
) -> None:
    """Of a client that the event does not name: nobody can tell where one of them ends."""
    cleaned = texts(client=DROP, ip=known).clean(f"at 10:00:05 from {ip * times}; gone")
    assert cleaned.removeprefix("at 10:00:05 from ").strip(":*") == "; gone"


def test_of_an_address_of_each_kind_glued_together_nothing_is_left() -> None:
    for word in ("2001:db8::66192.0.2.66", "192.0.2.662001:db8::66"):
        cleaned = texts(client=DROP).clean(f"from {word} blocked")
        assert not set(cleaned) & set("0123456789"), cleaned
