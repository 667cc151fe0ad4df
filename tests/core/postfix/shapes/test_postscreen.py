"""Every line of postscreen: its refusals, and what else it says."""

import pytest
from hypothesis import given

from service.core.outcomes import Skip
from service.core.postfix.facts import Client, Reject
from tests.core.postfix.lines import failure, read, reject
from tests.strategies_postfix import Session, external, hostile, postscreen_line, printable

CLIENT = Session(client="[192.0.2.66]:50412")
TAG = "postfix/postscreen"


def test_a_refusal_in_full() -> None:
    text = postscreen_line(
        CLIENT, "550 5.7.1 Service unavailable; client [192.0.2.66] blocked using zen.dnsbl.example"
    )
    assert failure(text, TAG).record.queue_id is None
    assert reject(text, TAG) == Reject(
        action="reject",
        stage="RCPT",
        response="550 5.7.1 Service unavailable; client [192.0.2.66] "
        "blocked using zen.dnsbl.example",
        severity="permanent",
        smtp_code=550,
        enhanced_code="5.7.1",
        client=Client(None, "192.0.2.66", 50412),
        sender="a@example.net",
        recipient="b@example.org",
        protocol="ESMTP",
        helo="mail.example.net",
        dnsbl="zen.dnsbl.example",
    )


def test_spaces_instead_of_commas() -> None:
    text = postscreen_line(CLIENT, "550 5.5.1 Protocol error")
    assert reject(text.replace(">, ", "> ").replace("ESMTP, ", "ESMTP ")) == reject(text)


@pytest.mark.parametrize(
    ("text", "severity"),
    [
        ("450 4.3.2 Service currently unavailable", "temporary"),
        ("550 5.5.1 Protocol error", "permanent"),
        ("450 4.5.1 Protocol error", "temporary"),
        ("550 5.3.2 Service currently unavailable", "permanent"),
    ],
)
def test_texts(text: str, severity: str) -> None:
    facts = reject(postscreen_line(CLIENT, text))
    assert (facts.response, facts.severity, facts.dnsbl) == (text, severity, None)


@pytest.mark.parametrize(
    "text", ["too many connections", "all screening ports busy", "all server ports busy"]
)
def test_a_connection_refused(text: str) -> None:
    facts = reject(f"NOQUEUE: reject: CONNECT from [2001:db8::66]:50413: {text}", TAG)
    assert facts == Reject(
        action="reject",
        stage="CONNECT",
        response=text,
        severity="temporary",
        client=Client(None, "2001:db8::66", 50413),
    )


def test_screening_ports_busy_has_no_noqueue() -> None:
    facts = reject("reject: connect from [192.0.2.66]:50414: all screening ports busy", TAG)
    assert (facts.action, facts.stage, facts.severity) == ("reject", "CONNECT", "temporary")
    assert facts.client == Client(None, "192.0.2.66", 50414)
    assert (facts.smtp_code, facts.enhanced_code) == (None, None)


@pytest.mark.parametrize(
    "text",
    [
        "PREGREET 6 after 0.11 from [192.0.2.66]:1: NOQUEUE: reject: RCPT from x[192.0.2.1]\\r\\n",
        "DNSBL rank 8 for [192.0.2.66]:50412",
        "HANGUP after 1.2 from [192.0.2.66]:50415 in tests before SMTP handshake",
        "BARE NEWLINE from [192.0.2.66]:50415 after RCPT",
        "COMMAND PIPELINING from [192.0.2.66]:50415 after DATA: status=bounced (reject: x)",
        "NON-SMTP COMMAND from [192.0.2.66]:1 after CONNECT: reject: RCPT from x[192.0.2.1]: 554",
        "COMMAND TIME LIMIT from [192.0.2.66]:50415 after reject: ",
        "COMMAND COUNT LIMIT from [192.0.2.66]:50415 after RCPT",
        "COMMAND LENGTH LIMIT from [192.0.2.66]:50415 after status=deferred (x)",
        "DATA without valid RCPT from [192.0.2.66]:50415",
        "BDAT without valid RCPT from [192.0.2.66]:50415",
        "DENYLISTED [192.0.2.66]:50415",
        "BLACKLISTED [192.0.2.66]:50415",
        "ALLOWLISTED [192.0.2.66]:50415",
        "WHITELIST VETO [192.0.2.66]:50415",
        "PASS NEW [192.0.2.66]:50415",
        "CONNECT from [192.0.2.66]:50415 to [192.0.2.1]:25",
        "DISCONNECT [192.0.2.66]:50415",
        "entering STRESS mode with 90 connections",
        "addr 192.0.2.66 listed by domain zen.dnsbl.example as 127.0.0.4",
    ],
)
def test_events_are_no_failures(text: str) -> None:
    assert read(text, TAG) is Skip.NOT_A_FAILURE


@pytest.mark.parametrize(
    "helo",
    [
        "a;b",
        "a>b, x",
        "h>, to=<boss@x.example>, proto=SMTP, helo=<evil",
        "h>, proto=SMTP, helo=<evil",
        "; from=<evil@x.example>, to=<boss@x.example>, proto=SMTP, helo=<evil",
        "] blocked using evil.example",
    ],
)
def test_the_helo_name_is_as_the_client_sent_it(helo: str) -> None:
    session = Session(client="[192.0.2.66]:50412", helo=helo)
    facts = reject(postscreen_line(session, "550 5.5.1 Protocol error"))
    assert facts.helo == helo
    assert (facts.sender, facts.recipient) == ("a@example.net", "b@example.org")


def test_an_empty_helo_and_sender() -> None:
    facts = reject(postscreen_line(Session(client="[192.0.2.66]:1", sender="", helo=None), "450 x"))
    assert (facts.helo, facts.sender) == (None, "")


def test_an_unchecked_domain_cannot_name_a_recipient() -> None:
    """postscreen quotes the part before the last `@` and checks no domain: the forged recipient
    cannot have one."""
    sender = "a@x>, to=<boss>, proto=ESMTP, helo=<h"
    facts = reject(postscreen_line(Session(client="[192.0.2.66]:1", sender=sender), "450 4.3.2 x"))
    assert external(sender) == sender
    assert (facts.sender, facts.recipient) == (sender, "b@example.org")
    assert facts.helo == "mail.example.net"


def test_a_source_route_cannot_name_a_recipient() -> None:
    sender = "@x>, to=<boss@x.example>, proto=ESMTP, helo=<h:foo@bad.example"
    facts = reject(postscreen_line(Session(client="[192.0.2.66]:1", sender=sender), "450 4.3.2 x"))
    assert external(sender) == sender
    assert (facts.sender, facts.recipient) == (sender, "b@example.org")


def test_a_recipient_without_a_domain() -> None:
    facts = reject(
        postscreen_line(Session(client="[192.0.2.66]:1", recipient="postmaster"), "450 x")
    )
    assert facts.recipient == "postmaster"
    session = Session(client="[192.0.2.66]:1", recipient="postmaster", helo="a>b")
    facts = reject(postscreen_line(session, "450 x"))
    assert (facts.recipient, facts.helo) == ("postmaster", "a>b")


@pytest.mark.parametrize(
    "helo",
    [
        "x>, to=<b3@b3>, proto=SMTP, helo=<h3",
        "; from=<a1@a1> to=<b1@b1> proto=SMTP helo=<h1",
        "; from=<a1@a1>, to=<b1@b1>, proto=SMTP, helo=<h1",
        "x> to=<b3@b3> proto=SMTP helo=<h3",
    ],
)
@pytest.mark.parametrize(
    ("sender", "recipient"),
    [
        ("s@b.example", "postmaster"),
        ("s@b.example", "Postmaster"),
        ("", "postmaster"),
        ("", "root"),
        ("root", "root"),
        (">, to=<b3@b3>, proto=SMTP, helo=<h3@c.example", "b@example.org"),
    ],
)
def test_a_helo_name_cannot_name_another_recipient(helo: str, sender: str, recipient: str) -> None:
    """With recipients that have no domain a HELO name did: it took the recipient's place."""
    session = Session("[192.0.2.66]:1", sender=sender, recipient=recipient, helo=helo)
    facts = reject(postscreen_line(session, "450 4.3.2 Service currently unavailable"))
    assert (facts.sender, facts.recipient) == (external(sender), recipient)
    assert (facts.protocol, facts.helo) == ("ESMTP", helo)


def test_addresses_without_quotes() -> None:
    facts = reject(
        "NOQUEUE: reject: RCPT from [192.0.2.66]:1: 450 4.3.2 x; from=<a, b@x.example>, "
        "to=<c d@y.example>, proto=ESMTP, helo=<h>"
    )
    assert (facts.sender, facts.recipient) == ("a, b@x.example", "c d@y.example")


@pytest.mark.parametrize(
    ("cut", "sender", "recipient", "protocol"),
    [
        ("; from=<a@x.exa", None, None, None),
        ("; from=<a@x.example>, to=<b@y.exa", "a@x.example", None, None),
        ("; from=<a@x.example>, to=<b@y.example>, proto=E", "a@x.example", "b@y.example", None),
        ("; from=<>, to=<b@y.example>, proto=SMTP, he", "", "b@y.example", "SMTP"),
    ],
)
def test_a_cut_context_keeps_what_is_whole(
    cut: str, sender: str | None, recipient: str | None, protocol: str | None
) -> None:
    facts = reject(f"NOQUEUE: reject: RCPT from [192.0.2.66]:1: 550 5.5.1 Protocol error{cut}")
    assert facts.truncated
    assert facts.response == "550 5.5.1 Protocol error"
    assert (facts.sender, facts.recipient, facts.protocol) == (sender, recipient, protocol)
    assert facts.helo is None


@given(hostile())
def test_whatever_the_helo_name(helo: str) -> None:
    session = Session(client="[192.0.2.66]:50412", helo=helo)
    facts = reject(postscreen_line(session, "550 5.5.1 Protocol error"))
    assert facts.helo == (printable(helo) or None)
    assert (facts.sender, facts.recipient) == ("a@example.net", "b@example.org")
    assert facts.response == "550 5.5.1 Protocol error"
