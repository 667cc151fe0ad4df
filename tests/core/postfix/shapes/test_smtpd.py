"""Every shape of a refusal by smtpd, and by a milter through smtpd or cleanup."""

import pytest

from service.core.outcomes import Skip
from service.core.postfix.facts import Client, Reject
from tests.core.postfix.lines import failure, read, reject
from tests.strategies_postfix import Session, milter_line, smtpd_line

CONTEXT = "from=<s@y.example> to=<r@x.example> proto=ESMTP helo=<h.example>"


def test_a_refusal_in_full() -> None:
    text = (
        "4hRGXZ0sf8zFpTZ: reject: RCPT from mx.y.example[198.51.100.7]: 550 5.1.1 <r@x.example>: "
        "Recipient address rejected: User unknown in virtual mailbox table; " + CONTEXT
    )
    assert failure(text).record.queue_id == "4hRGXZ0sf8zFpTZ"
    assert reject(text) == Reject(
        action="reject",
        stage="RCPT",
        response="550 5.1.1 <r@x.example>: Recipient address rejected: "
        "User unknown in virtual mailbox table",
        severity="permanent",
        smtp_code=550,
        enhanced_code="5.1.1",
        client=Client("mx.y.example", "198.51.100.7", None),
        sender="s@y.example",
        recipient="r@x.example",
        protocol="ESMTP",
        helo="h.example",
    )


@pytest.mark.parametrize(
    ("logged", "client"),
    [
        ("unknown[192.0.2.1]", Client(None, "192.0.2.1", None)),
        ("unknown[unknown]", Client(None, None, None)),
        ("a_b.example[192.0.2.1]:51234", Client("a_b.example", "192.0.2.1", 51234)),
        ("x.example[2001:db8::1]", Client("x.example", "2001:db8::1", None)),
        ("x.example[2001:db8::1]:25", Client("x.example", "2001:db8::1", 25)),
        ("unknown[fe80::1%eth0]", Client(None, "fe80::1%eth0", None)),
        ("x.example[192.0.2.1]:65536", Client("x.example", "192.0.2.1", None)),
        ("192.0.2.1[192.0.2.1]", Client("192.0.2.1", "192.0.2.1", None)),
    ],
)
def test_clients(logged: str, client: Client) -> None:
    assert reject(f"NOQUEUE: reject: RCPT from {logged}: 554 5.7.1 no; {CONTEXT}").client == client
    # The long way comes to the same.
    assert (
        reject(f"NOQUEUE: reject: CONNECT from {logged}: 554 5.7.1 no; proto=SMTP").client == client
    )
    assert reject(f"NOQUEUE: abort: TLS from {logged}: no certificate").client == client


@pytest.mark.parametrize("origin", ["local", "unknown"])
def test_a_message_without_a_client(origin: str) -> None:
    text = f"4ABCDE12F: milter-reject: END-OF-MESSAGE from {origin}: 5.7.1 no; {CONTEXT}"
    assert reject(text).client is None


@pytest.mark.parametrize(
    ("stage", "session"),
    [
        ("CONNECT", Session(sender=None, recipient=None, protocol="SMTP", helo=None)),
        ("HELO", Session(sender=None, recipient=None, protocol="SMTP")),
        ("EHLO", Session(sender=None, recipient=None)),
        ("MAIL", Session(recipient=None)),
        ("MAIL", Session(sender="", recipient=None)),
        ("RCPT", Session()),
        ("RCPT", Session(sender="")),
        ("DATA", Session()),
        ("DATA", Session(recipient=None)),
        ("BDAT", Session()),
        ("BDAT content", Session()),
        ("DATA content", Session()),
        ("END-OF-MESSAGE", Session(recipient=None)),
        ("VRFY", Session(sender=None)),
        ("ETRN", Session(sender=None, recipient=None)),
        ("STARTTLS", Session(sender=None, recipient=None)),
        ("AUTH", Session(sender=None, recipient=None)),
        ("UNKNOWN", Session(sender=None, recipient=None)),
    ],
)
def test_stages_and_their_contexts(stage: str, session: Session) -> None:
    for facts in (
        reject(smtpd_line(session, "450 4.3.2 <x>: Try again later", stage)),
        reject(milter_line(session, "450 4.3.2 <x>: Try again later", stage)),
    ):
        assert facts.stage == stage
        assert facts.response == "450 4.3.2 <x>: Try again later"
        assert facts.severity == "temporary"
        assert (facts.sender, facts.recipient) == (session.sender, session.recipient)
        assert (facts.protocol, facts.helo) == (session.protocol, session.helo)
        assert not facts.truncated


@pytest.mark.parametrize(
    "action",
    ["reject_warning", "hold", "discard", "filter", "redirect", "warn", "info", "bcc", "permit",
     "hangup", "delay", "milter-hold", "milter-discard"],
)  # fmt: skip
def test_other_actions_are_no_failures(action: str) -> None:
    text = "550 5.7.1 <r@x.example>: Recipient address reject: status=bounced (x)"
    assert read(smtpd_line(Session(), text, action=action)) is Skip.NOT_A_FAILURE
    assert read(smtpd_line(Session(), "", action=action)) is Skip.NOT_A_FAILURE


@pytest.mark.parametrize(
    ("text", "smtp_code", "enhanced_code", "severity"),
    [
        ("554 5.7.1 <r>: Relay access denied", 554, "5.7.1", "permanent"),
        ("454 4.7.1 <r>: Relay access denied", 454, "4.7.1", "temporary"),
        ("421 4.3.0 mx1 Server local data error", 421, "4.3.0", "temporary"),
        ("550 5.12.345 no", 550, "5.12.345", "permanent"),
        ("554 no enhanced code", 554, None, "permanent"),
        ("554", 554, None, "permanent"),
        ("550-5.7.1 first 550 5.7.1 last", 550, "5.7.1", "permanent"),
        ("5.7.1 Blocked", None, "5.7.1", "permanent"),
        ("4.7.1 Later", None, "4.7.1", "temporary"),
        ("2.1.5 Odd", None, "2.1.5", None),
        ("no code at all", None, None, None),
        ("123 1.2.3 Reasons", None, None, None),
        ("123 5.7.1 Reasons", None, None, None),
        ("250 2.0.0 fine", None, None, None),
        ("5500 5.7.1 no", None, None, None),
        ("550 5.7.1.2 no", 550, None, "permanent"),
        ("550 5.7.1. no", 550, "5.7.1", "permanent"),
        ("550 1.2.3 no", 550, None, "permanent"),
        ("", None, None, None),
        ("bare <LF> received", None, None, "permanent"),
    ],
)
def test_codes(
    text: str, smtp_code: int | None, enhanced_code: str | None, severity: str | None
) -> None:
    plain = reject(smtpd_line(Session(), text))
    careful = reject(smtpd_line(Session(recipient=None), text, "DATA"))
    for facts in (plain, careful):
        assert facts.response == text
        assert facts.smtp_code == smtp_code
        assert facts.enhanced_code == enhanced_code
        assert facts.severity == severity


@pytest.mark.parametrize("stage", ["CONNECT", "EHLO", "DATA", "BDAT content", "END-OF-MESSAGE"])
def test_a_bare_line_feed(stage: str) -> None:
    facts = reject(f"4ABCDE12F: reject: {stage} from x[192.0.2.1]: bare <LF> received; {CONTEXT}")
    assert facts.stage == stage
    assert facts.response == "bare <LF> received"
    assert (facts.severity, facts.smtp_code, facts.enhanced_code) == ("permanent", None, None)


def test_a_local_data_error_has_no_context() -> None:
    text = "421 4.3.0 mx1.x.example Server local data error"
    facts = reject(f"NOQUEUE: reject: RCPT from y.example[192.0.2.1]: {text}")
    assert facts.response == text
    assert facts.severity == "temporary"
    assert (facts.sender, facts.recipient, facts.protocol, facts.helo) == (None, None, None, None)
    assert not facts.truncated


@pytest.mark.parametrize(
    "text", ["Client certificate not trusted", "No client certificate presented"]
)
def test_a_client_certificate_refused(text: str) -> None:
    assert reject(f"NOQUEUE: abort: TLS from y.example[192.0.2.1]: {text}") == Reject(
        action="abort",
        stage="TLS",
        response=text,
        severity="temporary",
        client=Client("y.example", "192.0.2.1", None),
    )


def test_etrn_refused_as_a_warning() -> None:
    facts = reject("warning: reject: ETRN x.example... from y.example[192.0.2.1]")
    assert facts == Reject(
        action="reject",
        stage="ETRN",
        response="ETRN x.example...",
        severity="temporary",
        client=Client("y.example", "192.0.2.1", None),
    )


@pytest.mark.parametrize(
    ("text", "smtp_code", "severity"),
    [
        ("451 4.7.1 Greylisting in action, please come back later", 451, "temporary"),
        ("421 4.7.0 Server closing connection", 421, "temporary"),
        ("451 4.7.1 Service unavailable - try again later", 451, "temporary"),
        ("550 5.5.0 Service unavailable", 550, "permanent"),
        ("5.7.1 Blocked by SpamAssassin", None, "permanent"),
        ("only words", None, None),
    ],
)
def test_milters(text: str, smtp_code: int | None, severity: str | None) -> None:
    facts = reject(milter_line(Session(), text, "END-OF-MESSAGE"))
    assert facts.action == "milter-reject"
    assert (facts.response, facts.smtp_code, facts.severity) == (text, smtp_code, severity)


@pytest.mark.parametrize("username", ["anna", "anna@x.example", "john doe", "a> helo=<b", "<a>"])
def test_milter_logins_are_in_brackets(username: str) -> None:
    facts = reject(milter_line(Session(sasl_username=username), "550 5.7.1 no"))
    assert facts.sasl_username == username
    assert (facts.sasl_method, facts.helo) == (None, "mail.example.net")


@pytest.mark.parametrize(
    ("username", "sender"),
    [
        ("anna", None),
        ("anna@x.example", "a+40x.example"),
        ("john doe", None),
        ("john doe", "j"),
        ("a helo=<evil> b", None),
        ("a> b", "j"),
        ("a; b", None),
        ("a sasl_sender=evil b", None),
        ("a sasl_sender=evil", "real"),
        ("a; from=<evil@x.example>", None),
        ("a proto=ESMTP helo=<evil> b", None),
    ],
)
def test_logins_since_3_10_are_raw(username: str, sender: str | None) -> None:
    session = Session(sasl_method="LOGIN", sasl_username=username, sasl_sender=sender)
    facts = reject(smtpd_line(session, "553 5.7.1 <a@b>: Sender address rejected: not owned"))
    assert facts.sasl_username == username
    assert facts.sasl_sender == sender
    assert facts.sasl_method == "LOGIN"
    assert facts.helo == "mail.example.net"
    assert facts.response == "553 5.7.1 <a@b>: Sender address rejected: not owned"


def test_a_method_without_a_name() -> None:
    facts = reject(smtpd_line(Session(sasl_method="PLAIN"), "554 5.7.1 no"))
    assert (facts.sasl_method, facts.sasl_username) == ("PLAIN", None)


@pytest.mark.parametrize(
    ("text", "severity"),
    [
        ("554 5.7.1 Spam message rejected", "permanent"),
        ("451 4.3.0 Error: queue file write error", "temporary"),
        ("", None),
    ],
)
def test_a_proxy_refuses_the_message(text: str, severity: str | None) -> None:
    facts = reject(f"proxy-reject: END-OF-MESSAGE: {text}; {CONTEXT}")
    assert facts.action == "proxy-reject"
    assert facts.stage == "END-OF-MESSAGE"
    assert (facts.response, facts.severity) == (text, severity)
    assert facts.client is None
    assert (facts.sender, facts.recipient, facts.helo) == (
        "s@y.example",
        "r@x.example",
        "h.example",
    )
    assert failure(f"proxy-reject: END-OF-MESSAGE: {text}; {CONTEXT}").record.queue_id is None


@pytest.mark.parametrize(
    "text",
    [
        "proxy-accept: END-OF-MESSAGE: 250 2.0.0 reject: not; " + CONTEXT,
        "NOQUEUE: reply filter in: 550 5.1.1 status=bounced (x)",
        "NOQUEUE: reply filter out: 450 4.2.0 reject: later",
        "4ABCDE12F: client=x.example[192.0.2.1], sasl_username=reject: status=bounced (",
        "NOQUEUE: client=x.example[192.0.2.1], sasl_username=a status=deferred (b)",
        "4ABCDE12F: lost connection after DATA (12 bytes) from x[192.0.2.1] reject: ",
        "NOQUEUE: timeout after RCPT from x.example[192.0.2.1] status=bounced",
        "NOQUEUE: too many errors after RCPT from x.example[192.0.2.1] status=bounced",
        "improper command pipelining after DATA from x[192.0.2.1]: NOQUEUE: reject: RCPT from y",
        "disconnect from x.example[192.0.2.1] ehlo=1 mail=1 rcpt=0/1 commands=2/3",
        "NOQUEUE: abort: something else",
    ],
)
def test_other_lines_are_no_failures(text: str) -> None:
    assert read(text) is Skip.NOT_A_FAILURE


def test_an_empty_helo_and_a_missing_one_are_none() -> None:
    text = "NOQUEUE: reject: RCPT from x[192.0.2.1]: 554 5.7.1 no; from=<> to=<> proto=SMTP"
    facts = reject(f"{text} helo=<>")
    assert (facts.helo, facts.sender, facts.recipient) == (None, "", "")
    assert reject(text).helo is None


def test_dnsbl_from_the_default_template() -> None:
    facts = reject(
        "NOQUEUE: reject: RCPT from unknown[192.0.2.66]: 554 5.7.1 Service unavailable; Client "
        "host [192.0.2.66] blocked using zen.dnsbl.example; https://dnsbl.example/?ip=192.0.2.66; "
        + CONTEXT
    )
    assert facts.dnsbl == "zen.dnsbl.example"
    assert facts.response.endswith("; https://dnsbl.example/?ip=192.0.2.66")


@pytest.mark.parametrize(
    ("cut", "sender", "recipient", "protocol", "helo"),
    [
        ("; from=<s@y.example> to=<r@x.example> proto=ESMTP helo=<h.exa", "s@y.example",
         "r@x.example", "ESMTP", None),
        ("; from=<s@y.example> to=<r@x.example> proto=ESMTP hel", "s@y.example", "r@x.example",
         "ESMTP", None),
        ("; from=<s@y.example> to=<r@x.example> proto=ESM", "s@y.example", "r@x.example", None,
         None),
        ("; from=<s@y.example> to=<r@x.ex", "s@y.example", None, None, None),
        ("; from=<s@y.exa", None, None, None, None),
    ],
)  # fmt: skip
def test_a_cut_context_keeps_what_is_whole(
    cut: str, sender: str | None, recipient: str | None, protocol: str | None, helo: str | None
) -> None:
    """Without a word of the transport: Postfix never ends a line like that."""
    text = "NOQUEUE: reject: RCPT from x[192.0.2.1]: 554 5.7.1 <r@x.example>: Relay access denied"
    facts = reject(text + cut)
    assert facts.truncated
    assert facts.response == "554 5.7.1 <r@x.example>: Relay access denied"
    assert (facts.sender, facts.recipient) == (sender, recipient)
    assert (facts.protocol, facts.helo) == (protocol, helo)


def test_a_cut_text_keeps_what_is_certain() -> None:
    facts = reject(
        "NOQUEUE: reject: RCPT from x[192.0.2.1]: 554 5.7.1 <r@x.example>: Relay acc",
        truncated=True,
    )
    assert facts.truncated
    assert facts.response == "554 5.7.1 <r@x.example>: Relay acc"
    assert facts.sender is None


def test_two_possible_cut_contexts_are_none() -> None:
    facts = reject(
        "NOQUEUE: reject: RCPT from x[192.0.2.1]: 450 4.7.1 <r@x.example>: Recipient address "
        "rejected: try; from=<fake@x.example> to=<fake@y.example>; from=<s@y.exam",
        truncated=True,
    )
    assert facts.truncated
    assert (facts.sender, facts.recipient) == (None, None)


def test_a_record_of_2000_bytes_was_cut() -> None:
    text = "NOQUEUE: reject: RCPT from x[192.0.2.1]: 554 5.7.1 "
    whole = smtpd_line(Session(), "554 5.7.1 " + "x" * 1000)
    assert not reject(whole).truncated
    assert reject(text + "x" * (2000 - len(text))).truncated
    assert not reject(text + "x" * (1999 - len(text))).truncated


def test_an_old_helo_with_characters_that_are_replaced_now() -> None:
    facts = reject(
        "NOQUEUE: reject: RCPT from x[192.0.2.1]: 554 5.7.1 no; from=<s@y.example> "
        "to=<r@x.example> proto=SMTP helo=<user@(odd);host>"
    )
    assert facts.helo == "user@(odd);host"
    assert not facts.truncated
