"""Facts to what rules ask about."""

import pytest

from service.core.classify.provider import Providers
from service.core.classify.subject import DOOR, OWN, REMOTE, Subject, heard
from service.core.postfix.facts import Delivery, Facts, Relay, RemoteReply
from tests.core.classify.case_files import door, own, remote


class EachItsOwn(Providers):
    """Each host is its own provider here, so that a test sees which one was asked for."""

    def of_host(self, host: str) -> str | None:
        return host.lower()


def subject(facts: Facts) -> Subject:
    return Subject(*heard(facts, EachItsOwn(())))


def test_numbers_and_peers_make_no_new_subject() -> None:
    text = "450 4.3.2 too many connections from mx.example[{}] to 192.0.2.{}: {}"
    asked = {
        heard(remote(text.format(ip, last, number)), Providers(()))
        for ip, last, number in (("192.0.2.1", 7, 12345), ("2001:db8::1", 8, 123456))
    }
    assert len(asked) == 1


@pytest.mark.parametrize(
    ("text", "machine"),
    [
        ("554 192.0.2.1 refused", True),
        ("554 refused: mail.example.net[2001:db8::1]", True),
        ("550 Refused (192.0.2.1)", True),
        ("550 5.7.1 refused", False),
        ("550 policy 3.2.1 refused", False),
        ("550 192.0.2.1.example refused", False),
        ("550 <bob@[192.0.2.1]> refused", False),
    ],
)
def test_a_reply_that_names_a_machine(text: str, machine: bool) -> None:
    assert subject(remote(text)).machine is machine


def test_a_refusal_at_the_door() -> None:
    asked = subject(door("550 5.1.1 <bob@example.org>: Recipient address rejected: User unknown"))
    assert asked.said == DOOR
    assert asked.text == "Recipient address rejected: User unknown"
    assert (asked.smtp_code, asked.enhanced, asked.place) == (550, "5.1.1", "RCPT")
    assert asked.provider is None


def test_a_helo_name_may_hold_anything() -> None:
    helo = "x>: Relay access denied <y"
    text = f"501 5.5.2 <{helo}>: Helo command rejected: Invalid name"
    assert subject(door(text, helo=helo)).text == "Helo command rejected: Invalid name"


def test_a_remote_reply() -> None:
    asked = subject(remote("550 5.1.1 <bob@example.org> User unknown", "MX.Example.NET"))
    assert (asked.said, asked.provider, asked.place) == (REMOTE, "mx.example.net", "RCPT TO")
    assert asked.text.strip() == "User unknown"
    assert asked.enhanced == "5.1.1"


@pytest.mark.parametrize(
    ("to", "place"),
    [
        ("MAIL FROM", "MAIL FROM"),
        ("end of DATA", "END OF DATA"),
        ("greeting", "GREETING"),
        ("sasl", "AUTH"),
        ("starttls", "STARTTLS"),
        ("protocol error", "PROTOCOL ERROR"),
    ],
)
def test_where_a_reply_came(to: str, place: str) -> None:
    assert subject(remote("454 4.7.0 no", to=to)).place == place


def test_a_suspended_delivery_repeats_the_earlier_reason() -> None:
    facts = remote("554 no", to="greeting")
    facts.response = "delivery temporarily suspended: " + facts.response
    assert subject(facts).place == "GREETING"
    asked = subject(own("delivery temporarily suspended: connect to mx.example[192.0.2.1]:25: x"))
    assert (asked.said, asked.provider) == (OWN, "mx.example")
    assert asked.text.startswith("connect to ")


def test_codes_of_another_place_are_found_in_the_text() -> None:
    assert subject(remote("550 no mailbox by that name (#5.1.1)")).enhanced == "5.1.1"
    assert subject(remote("550 192.0.5.1.1 and 5.1.1.2 are no codes")).enhanced is None


def test_the_default_code_of_a_reply_without_one_is_not_its_code() -> None:
    facts = remote("550 no")
    assert facts.enhanced_code == "5.0.0", "what Postfix logs as dsn="
    assert subject(facts).enhanced is None


def test_the_host_is_who_answered_else_the_relay() -> None:
    reply = RemoteReply(None, None, 550, None, "550 no", "RCPT TO")
    facts = Delivery("bounced", "bounced", "x", relay=Relay("A.example", None, 25, None))
    facts.remote_reply = reply
    assert subject(facts).provider == "a.example"
    facts.relay = None
    assert subject(facts).provider is None


def test_an_expiry_has_its_status_for_a_place() -> None:
    assert subject(own("", dsn=None, status="force-expired")).place == "FORCE-EXPIRED"


def test_a_thousand_recipients_are_one_subject() -> None:
    several = {
        subject(remote(f"550 5.1.1 <user{n}@example.org>: User unknown to us")) for n in range(9)
    }
    assert len(several) == 1


def test_only_the_first_kilobyte_is_looked_at() -> None:
    assert len(subject(remote("550 " + "x" * 9999)).text) <= 1024
    assert len(subject(door("550 " + "x" * 9999)).text) <= 1024
    assert len(subject(own("x" * 9999)).text) <= 1024
