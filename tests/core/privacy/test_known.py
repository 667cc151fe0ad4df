"""What is known of an event, told one by one."""

import pytest

from service.core.privacy.known import Known, lower
from service.core.privacy.policy import Treatment
from service.core.privacy.values import Values

DOMAIN, DROP, KEEP = Treatment.DOMAIN, Treatment.DROP, Treatment.KEEP


def known(*addresses: tuple[str | None, Treatment]) -> Known:
    made = Known(Values(None, shows_clients=False), DROP)
    for value, how in addresses:
        made.add_address(value, how)
    made.complete()
    return made


def test_an_address_of_several_fields_is_treated_as_the_strictest_says() -> None:
    made = known(("a@x.example", KEEP), ("A@x.example", DROP), ("a@x.example", DOMAIN))
    assert made.treatment('"a"@X.example') is DROP
    assert made.treatment("b@x.example") is None


@pytest.mark.parametrize("holder", ["l+a=x.example@l.example", "SRS0=h=t=x.example=A@l.example"])
def test_an_address_that_holds_another_is_treated_as_that(holder: str) -> None:
    assert known((holder, KEEP), ("a@x.example", DOMAIN)).treatment(holder) is DOMAIN
    assert known((holder, DROP), ("a@x.example", DOMAIN)).treatment(holder) is DROP
    assert known((holder, KEEP), ("b@x.example", DOMAIN)).treatment(holder) is KEEP


def test_an_address_that_may_hold_an_unknown_one() -> None:
    odd = "b@y.example>, to=<c@z.example"
    assert known((odd, KEEP)).treatment(odd) is DROP
    made = Known(Values(None, shows_clients=True), KEEP)
    made.add_address(odd, KEEP)
    made.complete()
    assert made.treatment(odd) is KEEP


def test_a_name_without_a_domain_is_in_no_other() -> None:
    assert known(("anna@x.example", KEEP), ("anna", DROP)).treatment("anna@x.example") is KEEP


def test_nothing_is_looked_for_that_is_kept_or_not_there() -> None:
    made = known(("a@x.example", KEEP), (None, DROP), ("", DROP))
    made.add_message_id(None, DROP)
    made.add_ip(None, DROP)
    made.add_ip("192.0.2.66", KEEP)
    made.add_host("", DROP)
    made.add_host("mx.example", KEEP)
    made.add_host("--", DROP)
    assert made.needles == []
    assert made.ip("192.0.2.66") is None


def test_spellings_of_an_ip_address() -> None:
    made = known()
    made.add_ip("192.0.2.66", DOMAIN)
    assert {needle.text for needle in made.needles} == {
        "192.0.2.66", "66.2.0.192", "192-0-2-66", "66-2-0-192",
    }  # fmt: skip
    assert {needle.replacement for needle in made.needles} == {"192.0.2.0/24"}
    made = known()
    made.add_host("[IPv6:2001:DB8::66]", DROP)
    assert made.ip("2001:db8::66") == "*"
    texts = {needle.text for needle in made.needles}
    assert {"2001:db8::66", "2001:0db8:0000:0000:0000:0000:0000:0066"} < texts
    assert "6.6.0.0." + "0." * 20 + "8.b.d.0.1.0.0.2" in texts
    made = known()
    made.add_ip("no address", DROP)
    assert [needle.text for needle in made.needles] == ["no address"]


def test_what_stands_for_a_message_id() -> None:
    made = Known(Values(None, shows_clients=True), DROP)
    made.add_message_id("1@laptop.example", DOMAIN)
    made.complete()
    assert made.shown("1@Laptop.example", DOMAIN) == "laptop.example"
    assert made.shown("2@laptop.example", DROP) == "*"


def test_lower_case_keeps_every_place() -> None:
    assert lower("İA\u212a") == "İa\u212a"
