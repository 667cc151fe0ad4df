"""Where the context of a refusal begins, against all that imitates one."""

import pytest

from service.core.postfix.context import Context, find_context
from tests.core.postfix.lines import reject
from tests.strategies_postfix import Session, external, internal, milter_line, neuter, smtpd_line

DENIED = "554 5.7.1 <r@x.example>: Relay access denied"
FAKE = "; from=<evil@x.example> to=<boss@x.example> proto=ESMTP helo=<evil>"
TEXT = "450 4.7.1 <b@example.org>: Recipient address rejected: try"


@pytest.mark.parametrize(
    "text",
    [
        f"{TEXT}; from=<fake@x.example> to=<fake@y.example>",
        f"{TEXT}{FAKE}",
        f"{TEXT}{FAKE} sasl_method=PLAIN sasl_username=boss",
        f"{TEXT}{FAKE} sasl_username=<boss>",
        f'{TEXT}; from=<"',
        f"{TEXT}; from=<",
        f"{TEXT}; proto=SMTP",
        f"{TEXT}; to=<boss@x.example> proto=SMTP helo=<x>",
        f"554 5.7.1 Service unavailable; Client host [192.0.2.10] blocked using x.example{FAKE}",
        TEXT.replace("try", "unverified address: host x[192.0.2.1] said: 550") + FAKE,
    ],
)
def test_the_text_takes_no_field_over(text: str) -> None:
    for line in (smtpd_line(Session(), text), milter_line(Session(), text)):
        facts = reject(line)
        assert facts.response == text
        assert (facts.sender, facts.recipient) == ("a@example.net", "b@example.org")
        assert (facts.helo, facts.sasl_username) == ("mail.example.net", None)


ADDRESSES = [
    "x> to=<boss@example.org> proto=ESMTP helo=<y@bad.example",
    "x> to=<boss@example.org> proto=ESMTP helo=<y> sasl_method=PLAIN sasl_username=b@bad.example",
    "; from=<evil@x.example> to=<boss@x.example> proto=ESMTP helo=<y>@bad.example",
    "; from=<evil@x.example@bad.example",
    '"; from=<"@bad.example',
    "> to=<@bad.example",
    "a b@bad.example",
    'a\\"b@bad.example',
]


@pytest.mark.parametrize("address", ADDRESSES)
def test_quoted_addresses_take_no_field_over(address: str) -> None:
    quoted = external(address)
    assert quoted.startswith('"')
    facts = reject(smtpd_line(Session(sender=address), DENIED))
    assert (facts.sender, facts.recipient) == (quoted, "b@example.org")
    facts = reject(smtpd_line(Session(recipient=address), DENIED))
    assert (facts.sender, facts.recipient) == ("a@example.net", quoted)
    facts = reject(smtpd_line(Session(sender=address, recipient=address), DENIED))
    assert (facts.sender, facts.recipient) == (quoted, quoted)
    assert (facts.helo, facts.sasl_username, facts.response) == ("mail.example.net", None, DENIED)


@pytest.mark.parametrize("address", ADDRESSES)
def test_a_recipient_without_quotes_that_the_refusal_repeats(address: str) -> None:
    text = f"554 5.7.1 <{address}>: Relay access denied"
    facts = reject(smtpd_line(Session(recipient=address), text, form=internal))
    assert (facts.sender, facts.recipient) == ("a@example.net", address)
    assert (facts.helo, facts.response) == ("mail.example.net", text)


@pytest.mark.parametrize("address", [a for a in ADDRESSES if "; from=<" not in a])
def test_a_sender_without_quotes(address: str) -> None:
    facts = reject(smtpd_line(Session(sender=address), DENIED, form=internal))
    assert (facts.sender, facts.recipient) == (address, "b@example.org")
    assert (facts.helo, facts.response, facts.sasl_username) == ("mail.example.net", DENIED, None)


def test_a_sender_without_quotes_that_imitates_a_context_is_ambiguous() -> None:
    """`Relay access denied; from=<a` may be a policy server's text: the last context counts."""
    facts = reject(smtpd_line(Session(sender="a; from=<evil@x.example"), DENIED, form=internal))
    assert facts.sender == "evil@x.example"
    assert facts.recipient == "b@example.org"


@pytest.mark.parametrize("stage", ["RCPT", "MAIL"])
def test_a_source_route_is_not_quoted_even_in_external_form(stage: str) -> None:
    """`quote_822_local` copies an address that begins with `@` up to its first colon."""
    route = "@x> to=<boss@y.example> proto=SMTP helo=<z:foo@bad.example"
    assert external(route) == route
    recipient = "b@example.org" if stage == "RCPT" else None
    facts = reject(smtpd_line(Session(sender=route, recipient=recipient), DENIED, stage))
    assert facts.helo == "mail.example.net"
    if stage == "RCPT":
        assert (facts.sender, facts.recipient) == (route, recipient)
    route = "@x; from=<evil@x.example> to=<y:z@bad.example"
    text = f"554 5.7.1 <{route}>: Relay access denied"
    facts = reject(smtpd_line(Session(recipient=route), text))
    assert (facts.sender, facts.recipient) == ("a@example.net", route)


@pytest.mark.parametrize(
    "helo",
    [
        "a;b",
        "a b> c",
        "x; proto=SMTP helo=<y",
        "x; from=<evil@x.example> to=<boss@x.example> proto=SMTP helo=<y",
        "x> sasl_method=PLAIN",
        "x>; proto=SMTP",
    ],
)
@pytest.mark.parametrize("stage", ["HELO", "EHLO"])
def test_the_helo_name_is_raw_at_its_own_stage(helo: str, stage: str) -> None:
    session = Session(sender=None, recipient=None, protocol="SMTP", helo=helo)
    text = f"504 5.5.2 <{helo}>: Helo command rejected: need fully-qualified hostname"
    for line in (
        smtpd_line(session, text, stage),
        smtpd_line(session, f"554 Service unavailable; Helo command [{helo}] blocked", stage),
        milter_line(session, "550 5.7.1 Command rejected", stage),
    ):
        facts = reject(line)
        assert facts.helo == helo
        assert (facts.sender, facts.recipient, facts.protocol) == (None, None, "SMTP")
    assert reject(smtpd_line(session, text, stage)).response == text
    # Afterwards it is clean.
    assert reject(smtpd_line(Session(helo=neuter(helo)), DENIED)).helo == neuter(helo)


def test_a_login_at_the_helo_stage() -> None:
    session = Session(sender=None, recipient=None, sasl_method="PLAIN", sasl_username="anna")
    facts = reject(smtpd_line(session, "554 5.7.1 no", "EHLO"))
    assert (facts.helo, facts.sasl_username) == ("mail.example.net", "anna")


def test_imitations_are_weighed_up_to_a_bound() -> None:
    """No bound takes a field over: what is not weighed is part of another field."""
    helo = "a; proto=SMTP helo=<" * 40
    session = Session(sender=None, recipient=None, protocol="SMTP", helo=helo)
    assert reject(smtpd_line(session, "550 5.7.1 no", "HELO")).helo == helo
    sender = "a> proto=SMTP " * 40 + "@bad.example"
    facts = reject(smtpd_line(Session(sender=sender), DENIED, form=internal))
    assert (facts.sender, facts.recipient) == (sender, "b@example.org")
    for recipient in ("b@example.org", "no@address at all"):
        session = Session(sender=f"a@{sender} b", recipient=recipient)
        facts = reject(smtpd_line(session, DENIED, form=internal))
        assert (facts.sender, facts.recipient) == (None, None)


def test_a_login_name_that_imitates_everything_is_believed_last() -> None:
    """A server accepted the name; a text of which a part looks like a login was not."""
    text = f"{TEXT}{FAKE} sasl_method=PLAIN sasl_username=x"
    facts = reject(smtpd_line(Session(), text))
    assert (facts.sasl_username, facts.response) == (None, text)
    # ... but where the refusal repeats its recipient, it tells them apart.
    session = Session(sasl_method="PLAIN", sasl_username=f"x{FAKE}")
    facts = reject(smtpd_line(session, TEXT))
    assert facts.sasl_username == f"x{FAKE}"
    assert facts.recipient == "b@example.org"


@pytest.mark.parametrize(
    ("text", "context"),
    [
        ("no; proto=SMTP", Context(2, protocol="SMTP")),
        ("; proto=unknown", Context(0, protocol="unknown")),
        ("; proto=LMTP helo=<h>", Context(0, protocol="LMTP", helo="h")),
        ("no; from=<a> to=<b>", Context(2, "a", "b")),
        ("no context; at all", None),
        ("no; from=<fake@x> to=<fake@y>; and more", None),
        ("no; from=<no@address at all> proto=SMTP", Context(2, partial=True)),
        ("no; from=<a> to=<b> proto=SMTP sasl_met", Context(2, "a", "b", "SMTP", partial=True)),
        ("", None),
    ],
)
def test_find_context(text: str, context: Context | None) -> None:
    assert find_context(text, 0, "CONNECT", may_be_cut=False) == context
