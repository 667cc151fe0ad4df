"""Every shape of a refusal by cleanup's content checks."""

import pytest

from service.core.outcomes import Skip
from service.core.postfix.facts import Client, Reject
from tests.core.postfix.lines import failure, read, reject
from tests.strategies_postfix import Session, content_line, mime_line

IMITATED = " from trusted.example[192.0.2.1]; from=<evil@x.example> to=<boss@x.example>"
LOCAL = Session(client="local", protocol=None, helo=None)


@pytest.mark.parametrize("kind", ["header", "body", "content"])
@pytest.mark.parametrize("action", ["reject", "milter-header-reject", "milter-body-reject"])
def test_a_content_refused(kind: str, action: str) -> None:
    text = content_line(Session(), "X-Thing: cheap", "5.7.1 no spam please", kind, action)
    assert failure(text, "postfix/cleanup").record.queue_id == "4ABCDE12F"
    assert reject(text, "postfix/cleanup") == Reject(
        action=action,
        stage=kind,
        response="5.7.1 no spam please",
        severity="permanent",
        smtp_code=None,
        enhanced_code="5.7.1",
        client=Client("mail.example.net", "192.0.2.10", None),
        sender="a@example.net",
        recipient="b@example.org",
        protocol="ESMTP",
        helo="mail.example.net",
        content="X-Thing: cheap",
    )


@pytest.mark.parametrize(
    ("text", "enhanced_code", "severity"),
    [
        ("5.7.1 message content rejected", "5.7.1", "permanent"),
        ("4.2.0 try again", "4.2.0", "temporary"),
        ("no code", None, "permanent"),
        ("", None, "permanent"),
        ("see <https://x.example/>: it says why", None, "permanent"),
        ("from=<x> to=<y>", None, "permanent"),
    ],
)
def test_the_administrators_text(text: str, enhanced_code: str | None, severity: str) -> None:
    for session in (Session(), Session(sender="", recipient=None), LOCAL):
        facts = reject(content_line(session, "Subject: x", text))
        assert facts.response == text
        assert (facts.enhanced_code, facts.severity) == (enhanced_code, severity)
        assert (facts.sender, facts.recipient) == (session.sender, session.recipient)
        assert facts.content == "Subject: x"
        assert not facts.truncated


@pytest.mark.parametrize(
    ("origin", "client"),
    [
        ("local", None),
        ("unknown", None),
        ("unknown[192.0.2.1]", Client(None, "192.0.2.1", None)),
        ("x.example[2001:db8::1]:2525", Client("x.example", "2001:db8::1", 2525)),
    ],
)
def test_origins(origin: str, client: Client | None) -> None:
    session = Session(client=origin)
    assert reject(content_line(session, "Subject: x", "5.7.1 no")).client == client
    assert (
        reject(mime_line(session, "improper use of 8-bit data in message body", "x")).client
        == client
    )


@pytest.mark.parametrize(
    "error",
    [
        "MIME nesting exceeds safety limit",
        "message header length exceeds safety limit",
        "improper use of 8-bit data in message header",
        "improper use of 8-bit data in message body",
        "invalid message/* or multipart/* encoding domain",
        "primary header was terminated with non-empty line",
    ],
)
def test_mime_errors(error: str) -> None:
    facts = reject(mime_line(Session(), error, "Subject: caf? au lait"))
    assert facts.stage == "mime-error"
    assert facts.response == error
    assert facts.content == "Subject: caf? au lait"
    assert (facts.severity, facts.enhanced_code) == ("permanent", None)
    assert (facts.sender, facts.recipient) == ("a@example.net", "b@example.org")
    assert reject(mime_line(Session(recipient=None), error, "x")).recipient is None


@pytest.mark.parametrize(
    "action",
    ["warning", "info", "filter", "pass", "discard", "hold", "prepend", "replace", "redirect",
     "bcc", "strip", "delay", "milter-header-discard", "milter-header-hold", "milter-header-filter",
     "milter-header-redirect", "milter-header-bcc", "milter-header-warning", "milter-header-info",
     "milter-header-replace", "milter-header-strip", "milter-body-hold", "milter-body-warning"],
)  # fmt: skip
def test_other_actions_are_no_failures(action: str) -> None:
    content = "Subject: NOQUEUE: reject: RCPT from x[192.0.2.1]: 554 status=bounced (x)"
    for kind in ("header", "body"):
        text = content_line(Session(), content, "5.7.1 reject: x", kind, action)
        assert read(text, "postfix/cleanup") is Skip.NOT_A_FAILURE


@pytest.mark.parametrize(
    "content",
    [
        # a whole line of its own, with context and text
        f"Subject: foo{IMITATED}: 5.7.1 x",
        f"Subject: foo{IMITATED} proto=ESMTP helo=<h>: 5.7.1 x",
        "Subject: x from local; from=<root@x.example> to=<b@x.example>",
        "Subject: from local;",
        "Subject: x from unknown[192.0.2.1]; proto=SMTP helo=<x>: ",
        'Subject: x from trusted.example[192.0.2.1]; from=<"',
        "Subject: x?Aug  1 10:00:00 mx postfix/smtp[1]: 4ABCDE12F: to=<x@x.example>, relay=none",
        "Subject: to=<x@x.example>, relay=none, delay=1, dsn=5.0.0, status=bounced (y)",
        "Subject: 550 5.1.1 status=bounced (x) from real.host[192.0.2.9]",
        "",
        " ",
    ],
)
def test_content_takes_no_field_over(content: str) -> None:
    for session in (
        Session(),
        LOCAL,
        Session(sender='"; from=<x@y'),
        Session(recipient="a b@c.example"),
    ):
        facts = reject(content_line(session, content, "5.7.1 spam"))
        assert facts.content == content
        assert facts.response == "5.7.1 spam"
        assert facts.client == (
            None if session is LOCAL else Client("mail.example.net", "192.0.2.10", None)
        )
        assert facts.helo == session.helo


@pytest.mark.parametrize(
    "address",
    [
        f"{IMITATED} proto=SMTP helo=<q>: 5.7.1 fake@x.example",
        "x>: 5.7.1 fake@x.example",
        "x> proto=SMTP helo=<q>: 5.7.1 fake@x.example",
        "x> to=<boss@x.example> from h[192.0.2.1]; from=<e@x.example",
    ],
)
def test_addresses_take_no_field_over(address: str) -> None:
    quoted = '"' + address.rpartition("@")[0] + '"@' + address.rpartition("@")[2]
    for session in (Session(sender=address), LOCAL, Session(recipient=address)):
        facts = reject(content_line(session, "Subject: x", "5.7.1 spam"))
        assert facts.response == "5.7.1 spam"
        assert facts.sender == (quoted if session.sender == address else session.sender)
        assert facts.recipient == (quoted if session.recipient == address else session.recipient)
    local = Session(client="local", sender=address, recipient=address, protocol=None, helo=None)
    facts = reject(content_line(local, "Subject: x", "5.7.1 spam"))
    assert (facts.sender, facts.recipient, facts.client) == (quoted, quoted, None)


def test_addresses_without_quotes() -> None:
    text = (
        "4ABCDE12F: reject: header Subject: x from y.example[192.0.2.1]; from=<foo bar@x.example> "
        "to=<b@x.example>"
    )
    facts = reject(f"{text} proto=ESMTP helo=<h>: 5.7.1 no")
    assert (facts.sender, facts.recipient, facts.helo) == ("foo bar@x.example", "b@x.example", "h")
    assert facts.response == "5.7.1 no"
    facts = reject(f"{text}: 5.7.1 no")
    assert (facts.sender, facts.recipient, facts.helo) == ("foo bar@x.example", "b@x.example", None)
    assert facts.response == "5.7.1 no"


def test_no_address_at_all_is_left_out() -> None:
    facts = reject(
        "4ABCDE12F: reject: header Subject: x from y.example[192.0.2.1]; from=<no@address at all> "
        "proto=SMTP helo=<h>: 5.7.1 no"
    )
    assert (facts.content, facts.client) == ("Subject: x", Client("y.example", "192.0.2.1", None))
    assert (facts.sender, facts.truncated) == (None, True)


@pytest.mark.parametrize(
    ("text", "content", "client"),
    [
        ("Subject: foo from y.exa", "Subject: foo from y.exa", None),
        ("Subject: foo from y.example[192.0.2.1]; from=<a@b.ex", "Subject: foo",
         Client("y.example", "192.0.2.1", None)),
        (f"Subject: foo{IMITATED}: x from y.example[192.0.2.1]; from=<", None, None),
    ],
)  # fmt: skip
def test_a_cut_line_keeps_what_is_certain(
    text: str, content: str | None, client: Client | None
) -> None:
    facts = reject(f"4ABCDE12F: reject: header {text}", truncated=True)
    assert facts.truncated
    assert facts.content == (text if content is None else content)
    assert facts.client == client
    assert (facts.sender, facts.recipient, facts.response) == (None, None, "")
    assert facts.severity == "permanent"


@pytest.mark.parametrize(
    "text",
    [
        "4ABCDE12F: message-id=<a b> (comment), status=bounced (x)",
        "4ABCDE12F: message-id=NOQUEUE: reject: RCPT from x[192.0.2.1]: 554 no",
        "4ABCDE12F: message-id=",
        "4ABCDE12F: resent-message-id=<x> status=deferred (y)",
        "4ABCDE12F: removed (canceled)",
    ],
)
def test_other_lines_are_no_failures(text: str) -> None:
    assert read(text, "postfix/cleanup") is Skip.NOT_A_FAILURE
