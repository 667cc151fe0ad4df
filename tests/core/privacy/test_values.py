"""What is left of one value."""

import pytest

from service.core.privacy.policy import Treatment
from service.core.privacy.pseudonyms import Pseudonyms
from service.core.privacy.values import Values

HASH, DOMAIN, DROP, KEEP = Treatment.HASH, Treatment.DOMAIN, Treatment.DROP, Treatment.KEEP
PSEUDONYMS = Pseudonyms(b"k" * 32)
VALUES = Values(PSEUDONYMS, shows_clients=True)
H = PSEUDONYMS.of


@pytest.mark.parametrize(
    ("address", "kept", "hashed", "domain"),
    [
        ("Anna@Example.org", "Anna@Example.org", f"{H('anna@example.org')}@example.org",
         "example.org"),
        ("root", "root", H("root"), None),
        ("", "", "", ""),
        ('"a@b"@x.example', '"a@b"@x.example', f"{H('a@b@x.example')}@x.example", "x.example"),
        ("a@bad domain", "a@bad domain", H("a@bad domain"), None),
        ("a@", "a@", H("a@"), None),
        ("a@müller.example", "a@müller.example", f"{H('a@müller.example')}@müller.example",
         "müller.example"),
        ("a@[192.0.2.66]", "a@[192.0.2.66]", f"{H('a@[192.0.2.66]')}@[192.0.2.66]",
         "[192.0.2.66]"),
    ],
)  # fmt: skip
def test_addresses(address: str, kept: str, hashed: str, domain: str | None) -> None:
    assert VALUES.address(address, KEEP) == kept
    assert VALUES.address(address, HASH) == hashed
    assert VALUES.address(address, DOMAIN) == domain
    assert VALUES.address(address, DROP) is None


@pytest.mark.parametrize("domain", ["[192.0.2.66]", "[IPv6:2001:db8::66]", "192-0-2-66.x.example"])
def test_a_domain_that_is_a_clients_address(domain: str) -> None:
    values = Values(PSEUDONYMS, shows_clients=False)
    address = f"a@{domain}"
    assert values.address(address, DOMAIN) is None
    assert values.address(address, HASH) == H(address)
    assert values.domain(address) is None
    assert not values.may_show(domain)
    assert VALUES.may_show(domain)


def test_a_message_id_hashed_shows_no_computer() -> None:
    message_id = "1234.5@annas-laptop.example"
    assert VALUES.message_id(message_id, HASH) == H(message_id)
    assert VALUES.message_id(message_id, DOMAIN) == "annas-laptop.example"
    assert VALUES.message_id(message_id, KEEP) == message_id
    assert VALUES.message_id(message_id, DROP) is None


@pytest.mark.parametrize(
    ("ip", "network"),
    [
        ("192.0.2.66", "192.0.2.0/24"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("::ffff:192.0.2.66", "192.0.2.0/24"),
        ("no address", None),
    ],
)
def test_client_addresses(ip: str, network: str | None) -> None:
    assert VALUES.client_ip(ip, KEEP) == ip
    assert VALUES.client_ip(ip, HASH) == H(ip)
    assert VALUES.client_ip(ip, DOMAIN) == network
    assert VALUES.client_ip(ip, DROP) is None


@pytest.mark.parametrize(
    ("host", "domain"),
    [
        ("Mail.Dept.Example.NET", "example.net"),
        ("192-0-2-66.dsl.example.net", "example.net"),
        ("example.net.", "example.net"),
        ("ANNAS-LAPTOP", None),
        ("x.192.0.2.66", None),
        ("192.0.2.66", "192.0.2.0/24"),
        ("[IPv6:2001:db8::66]", "2001:db8::/64"),
        ("a b.example.net x", None),
    ],
)
def test_host_names(host: str, domain: str | None) -> None:
    assert VALUES.host(host, DOMAIN) == domain
    assert VALUES.host(host, HASH) == H(host)
    assert VALUES.host(host, KEEP) == host
    assert VALUES.host(host, DROP) is None


def test_name_and_helo_that_are_one_address_are_one_hash() -> None:
    assert VALUES.host("[192.0.2.66]", HASH) == VALUES.client_ip("192.0.2.66", HASH)
