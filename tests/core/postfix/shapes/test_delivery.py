"""Every status, relay and reason of a delivery line, and what an address or a reply may imitate."""

import pytest

from service.core.outcomes import Malformed, Skip
from service.core.postfix.facts import Delivery, Relay, RemoteReply
from service.core.postfix.result import Unparsed
from tests.core.postfix.lines import delivery, failure, read
from tests.strategies_postfix import delivery_line, internal

HEAD = "4ABCDE12F: to=<r@x.example>, "
TAIL = "delay=2.5, delays=0.1/0/1.4/1, dsn=5.1.1, status=bounced (why)"
FAKE_TAIL = "relay=evil[192.0.2.66]:25, delay=1, delays=0/0/0/1, dsn=5.0.0, status=bounced (x"


def test_a_bounce_in_full() -> None:
    text = (
        "4hRGXZ0sf8zFpTZ: to=<r@x.example>, orig_to=<info@y.example>, "
        "relay=mx.x.example[192.0.2.1]:25, conn_use=3, delay=86402, delays=86400/0.02/1.1/0.4, "
        "tls=dane, dsn=5.1.1, status=bounced (host mx.x.example[192.0.2.1] said: 550-5.1.1 No such "
        "account. 550 5.1.1 See https://x.example/ (a, b) (in reply to RCPT TO command))"
    )
    reply = "550-5.1.1 No such account. 550 5.1.1 See https://x.example/ (a, b)"
    assert failure(text).record.queue_id == "4hRGXZ0sf8zFpTZ"
    assert delivery(text) == Delivery(
        kind="bounced",
        status="bounced",
        response=f"host mx.x.example[192.0.2.1] said: {reply} (in reply to RCPT TO command)",
        recipient="r@x.example",
        original_recipient="info@y.example",
        relay=Relay("mx.x.example", "192.0.2.1", 25, None),
        connection_use=3,
        delay=86402.0,
        delays=(86400.0, 0.02, 1.1, 0.4),
        tls="dane",
        enhanced_code="5.1.1",
        remote_reply=RemoteReply("mx.x.example", "192.0.2.1", 550, "5.1.1", reply, "RCPT TO"),
    )


@pytest.mark.parametrize(
    ("status", "dsn", "kind"),
    [
        ("deferred", "4.4.1", "deferred"),
        ("SOFTBOUNCE", "4.1.1", "deferred"),
        ("bounced", "5.1.1", "bounced"),
    ],
)
def test_failures(status: str, dsn: str, kind: str) -> None:
    facts = delivery(delivery_line("r@x.example", "why", status=status, dsn=dsn))
    assert (facts.kind, facts.status, facts.enhanced_code) == (kind, status, dsn)


@pytest.mark.parametrize(
    ("status", "skip"),
    [
        ("sent", Skip.NOT_A_FAILURE),
        ("deliverable", Skip.PROBE),
        ("undeliverable", Skip.PROBE),
        ("undeliverable-but-not-cached", Skip.PROBE),
    ],
)
def test_other_statuses_are_no_failures(status: str, skip: Skip) -> None:
    reason = "250 ok (reject: none): status=bounced (550 5.1.1 unknown user)"
    assert read(delivery_line("r@x.example", reason, status=status)) is skip
    assert read(delivery_line("a b@x.example", reason, status=status, form=internal)) is skip


@pytest.mark.parametrize("dsn", ["1.2.3", "3.0.0", "0.0.0"])
def test_a_dsn_of_no_class_keeps_the_event(dsn: str) -> None:
    assert delivery(delivery_line("r@x.example", "why", dsn=dsn)).enhanced_code is None


@pytest.mark.parametrize(
    ("logged", "relay"),
    [
        ("none", None),
        ("", None),
        ("mx.x.example[192.0.2.1]:25", Relay("mx.x.example", "192.0.2.1", 25, None)),
        ("mx.x.example[192.0.2.1]", Relay("mx.x.example", "192.0.2.1", None, None)),
        ("mx.x.example[2001:db8::1]:25", Relay("mx.x.example", "2001:db8::1", 25, None)),
        ("192.0.2.1[192.0.2.1]:10024", Relay("192.0.2.1", "192.0.2.1", 10024, None)),
        ("mx[192.0.2.1]:70000", Relay("mx", "192.0.2.1", None, None)),
        ("mail.x[private/dovecot-lmtp]", Relay("mail.x", None, None, "private/dovecot-lmtp")),
        ("mail.x[/var/run/a b.sock]", Relay("mail.x", None, None, "/var/run/a b.sock")),
        ("local", Relay("local", None, None, None)),
        ("dovecot", Relay("dovecot", None, None, None)),
        ("spam-filter_2", Relay("spam-filter_2", None, None, None)),
    ],
)
def test_relays(logged: str, relay: Relay | None) -> None:
    assert delivery(f"{HEAD}relay={logged}, {TAIL}").relay == relay


@pytest.mark.parametrize(
    "tls",
    ["none", "may", "may:none", "may?", "dane:halfdane", "encrypt/requiretls",
     "may/!requiretls:nostarttls", "may/requiretls?"],
)  # fmt: skip
def test_tls_summaries_are_verbatim(tls: str) -> None:
    text = f"{HEAD}relay=none, {TAIL}".replace(", dsn", f", tls={tls}, dsn")
    assert delivery(text).tls == tls


@pytest.mark.parametrize("number", ["0", "0.01", "0.1", "2.5", "30", "86402", "0.123456"])
def test_delays(number: str) -> None:
    facts = delivery(f"{HEAD}relay=none, {TAIL}".replace("2.5", number).replace("1.4", number))
    assert facts.delay == float(number)
    assert facts.delays == (0.1, 0.0, float(number), 1.0)


def test_before_2_3_there_was_less() -> None:
    facts = delivery(f"{HEAD}relay=mx.x.example[192.0.2.1], delay=12, status=bounced (why)")
    assert facts == Delivery(
        kind="bounced",
        status="bounced",
        response="why",
        recipient="r@x.example",
        relay=Relay("mx.x.example", "192.0.2.1", None, None),
        delay=12.0,
    )


def test_addresses_without_brackets() -> None:
    facts = delivery(f"4ABCDE12F: to=r@x.example, orig_to=root@localhost, relay=local, {TAIL}")
    assert (facts.recipient, facts.original_recipient) == ("r@x.example", "root@localhost")
    assert delivery(f"4ABCDE12F: to=r@localhost, relay=local, {TAIL}").recipient == "r@localhost"


def test_an_empty_recipient() -> None:
    assert delivery(f"4ABCDE12F: to=<>, relay=none, {TAIL}").recipient == ""


@pytest.mark.parametrize(
    "reason",
    [
        "connect to mx.x.example[2001:db8::1]:25: Connection timed out",
        "connect to mail.x[private/lmtp]: No such file or directory",
        "lost connection with mx.x.example[192.0.2.1] while sending RCPT TO",
        "conversation with mx.x.example[192.0.2.1] timed out while sending message body",
        "local data error while talking to mx.x.example[192.0.2.1]",
        "Host or domain name not found. Name service error for name=x type=A: Host not found",
        "Domain x.example does not accept mail (nullMX)",
        "mail for x.example loops back to myself",
        "delivery temporarily suspended: connect to x[192.0.2.1]:25: Connection refused",
        "mail transport unavailable",
        "bad address syntax",
        "User unknown in virtual alias table",
        "message is administratively expired",
        "SASL authentication failed; cannot authenticate to server x[192.0.2.1]: no mechanism",
        "TLS is required, but was not offered by host x[192.0.2.1]",
        "Server certificate not verified",
        "TLSA lookup error for x.example:25",
        "message size 20 exceeds size limit 10 of server x[192.0.2.1]",
        'unknown user: "r"',
        "cannot update mailbox /var/mail/r for user r. error writing message: File too large",
        'Command died with status 1: "/bin/x". Command output: host x[192.0.2.1] said: 550 no',
        "temporary failure. Command output: lda(p): Error: user p: lookup failed ",
        "bounce or trace service failure",
        "message content rejected",
        "",
        "(",
        ")",
        "a) b (c",
        "status=bounced (x), dsn=5.1.1, to=<y@x.example>",
    ],
)
def test_reasons_of_its_own(reason: str) -> None:
    facts = delivery(delivery_line("r@x.example", reason))
    assert facts.response == reason
    assert facts.remote_reply is None
    assert not facts.truncated


@pytest.mark.parametrize(
    ("reason", "reply"),
    [
        ("host mx[192.0.2.1] said: 450 4.2.0 later (in reply to MAIL FROM command)",
         RemoteReply("mx", "192.0.2.1", 450, "4.2.0", "450 4.2.0 later", "MAIL FROM")),
        ("host mx[2001:db8::1] said: 550 no (see (x)) (in reply to end of DATA command)",
         RemoteReply("mx", "2001:db8::1", 550, None, "550 no (see (x))", "end of DATA")),
        ("host mx[192.0.2.1] said: 554 5.6.0 x (in reply to DATA command)",
         RemoteReply("mx", "192.0.2.1", 554, "5.6.0", "554 5.6.0 x", "DATA")),
        ("host mail.x[private/lmtp] said: 552 5.2.2 <r> full (in reply to end of DATA command)",
         RemoteReply("mail.x", None, 552, "5.2.2", "552 5.2.2 <r> full", "end of DATA")),
        ("host mx[192.0.2.1] refused to talk to me: 554 5.7.1 no (in reply to X command)",
         RemoteReply("mx", "192.0.2.1", 554, "5.7.1",
                     "554 5.7.1 no (in reply to X command)", None)),
        ("delivery temporarily suspended: host mx[192.0.2.1] refused to talk to me: 421 busy",
         RemoteReply("mx", "192.0.2.1", 421, None, "421 busy", None)),
        ("delivery temporarily suspended: host mx[192.0.2.1] said: 450 (in reply to DATA command)",
         RemoteReply("mx", "192.0.2.1", 450, None, "450", "DATA")),
        ("Protocol error: host mx[192.0.2.1] said: 220 odd (in reply to RCPT TO command)",
         RemoteReply("mx", "192.0.2.1", 220, None, "220 odd", "RCPT TO")),
        ("SASL authentication failed; server mx[192.0.2.1] said: 535 5.7.8 Error",
         RemoteReply("mx", "192.0.2.1", 535, "5.7.8", "535 5.7.8 Error", None)),
        ("SASL [CACHED] authentication failed; server mx said: 535 5.7.8 x (in reply to AUTH)",
         RemoteReply("mx", None, 535, "5.7.8", "535 5.7.8 x (in reply to AUTH)", None)),
        ("TLS is required, but host mx[192.0.2.1] refused to start TLS: 454 4.7.0 no TLS",
         RemoteReply("mx", "192.0.2.1", 454, "4.7.0", "454 4.7.0 no TLS", None)),
        ("host mx[192.0.2.1] said: 550 (in reply to evil) (in reply to RCPT TO command)",
         RemoteReply("mx", "192.0.2.1", 550, None, "550 (in reply to evil)", "RCPT TO")),
        ("host mx[192.0.2.1] said: 550 host evil[192.0.2.9] said: 451 (in reply to DATA command)",
         RemoteReply("mx", "192.0.2.1", 550, None, "550 host evil[192.0.2.9] said: 451", "DATA")),
        ("host mx[192.0.2.1] said: 12 Malformed (in reply to RCPT TO command)",
         RemoteReply("mx", "192.0.2.1", None, None, "12 Malformed", "RCPT TO")),
        ("host mx[192.0.2.1] said: 550 without a tail",
         RemoteReply("mx", "192.0.2.1", 550, None, "550 without a tail", None)),
    ],
)  # fmt: skip
def test_remote_replies(reason: str, reply: RemoteReply) -> None:
    facts = delivery(delivery_line("r@x.example", reason, status="deferred", dsn="4.0.0"))
    assert facts.remote_reply == reply
    assert facts.response == reason


@pytest.mark.parametrize(
    ("to", "recipient"),
    [
        ('<"a, b> c"@x.example>', '"a, b> c"@x.example'),
        (
            '<"x, relay=evil, status=sent (ok)"@x.example>',
            '"x, relay=evil, status=sent (ok)"@x.example',
        ),
        (f'<"x>, {FAKE_TAIL}"@x.example>', f'"x>, {FAKE_TAIL}"@x.example'),
        (r'<"a\"b\\"@x.example>', r'"a\"b\\"@x.example'),
        ("<jörg@例え.example>", "jörg@例え.example"),
        ("<r@[192.0.2.1]>", "r@[192.0.2.1]"),
        ("<r@[IPv6:2001:db8::1]>", "r@[IPv6:2001:db8::1]"),
        ('<""@x.example>', '""@x.example'),
        # in internal form
        ("<foo bar@x.example>", "foo bar@x.example"),
        (
            "<x, relay=evil, status=sent (ok)@x.example>",
            "x, relay=evil, status=sent (ok)@x.example",
        ),
        ('<a"b@x.example>', 'a"b@x.example'),
        ("<a>b@x.example>", "a>b@x.example"),
        ("<a@b@x.example>", "a@b@x.example"),
        ("<@x.example>", "@x.example"),
    ],
)
def test_recipients(to: str, recipient: str) -> None:
    rest = f"relay=none, delay=30, delays=0.1/0/30/0, dsn=4.4.1, status=deferred ({FAKE_TAIL}))"
    facts = delivery(f"4ABCDE12F: to={to}, {rest}")
    assert facts.recipient == recipient
    assert facts.original_recipient is None
    assert (facts.status, facts.enhanced_code, facts.relay) == ("deferred", "4.4.1", None)
    assert facts.response == f"{FAKE_TAIL})"
    facts = delivery(f"4ABCDE12F: to={to}, orig_to={to}, {rest}")
    assert (facts.recipient, facts.original_recipient) == (recipient, recipient)


def test_a_forged_tail_in_an_address_without_quotes_is_ambiguous() -> None:
    """Before 3.5, `x>, relay=...` as a recipient reads like a recipient `x` and a reason with the
    rest in it. A remote server writes its reason more easily than anyone gets such a recipient
    accepted: the first tail counts."""
    facts = delivery(delivery_line(f"x>, {FAKE_TAIL}@x.example", "real", form=internal))
    assert facts.recipient == "x"


@pytest.mark.parametrize(
    ("reason", "response", "command"),
    [
        ("host mx[192.0.2.1] said: 550 5.7.1 aaa", "550 5.7.1 aaa", None),
        ("host mx[192.0.2.1] said: 550 5.7.1 a (in reply to RCPT TO comm",
         "550 5.7.1 a (in reply to RCPT TO comm", None),
        ("host mx[192.0.2.1] said: 550 5.7.1 a (in reply to RCPT TO command", "550 5.7.1 a",
         "RCPT TO"),
    ],
)  # fmt: skip
def test_a_cut_reason(reason: str, response: str, command: str | None) -> None:
    facts = delivery(delivery_line("r@x.example", reason)[:-1])
    assert facts.truncated
    assert facts.response == reason
    assert facts.remote_reply is not None
    assert (facts.remote_reply.text, facts.remote_reply.command) == (response, command)


def test_a_parenthesis_of_its_own_at_the_cut() -> None:
    text = delivery_line("r@x.example", "host mx[192.0.2.1] said: 550 no (see (x))")
    assert delivery(text[:-1], truncated=True).response.endswith("550 no (see (x))")
    assert delivery(text, truncated=True).response.endswith("550 no (see (x))")
    assert delivery(text[:-2], truncated=True).response.endswith("550 no (see (x)")


@pytest.mark.parametrize("end", ["status=bounced (", "status=bounced"])
def test_a_line_cut_behind_its_status(end: str) -> None:
    facts = delivery(f"{HEAD}relay=none, delay=1, delays=1/0/0/0, dsn=5.1.1, {end}")
    assert (facts.response, facts.truncated, facts.kind) == ("", True, "bounced")


def test_postfix_cuts_at_2000_bytes() -> None:
    head = f"{HEAD}relay=none, delay=1, delays=1/0/0/0, dsn=4.0.0, status=deferred ("
    assert not delivery(head + "x" * (1998 - len(head)) + ")").truncated
    assert delivery(head + "x" * (1999 - len(head)) + ")").truncated
    # Bytes count, not characters; and a character may be cut itself.
    assert not delivery(head + "é" * 900 + ")").truncated
    assert delivery(head + "é" * 960 + ")").truncated
    assert not delivery(head + "\ufffd" * 900 + ")").truncated
    assert delivery(head + "x" * (1999 - len(head)) + "\ufffd").truncated


@pytest.mark.parametrize(
    "text",
    [
        f"4ABCDE12F: to=<{'a' * 900}@x.example>, orig_to=<b@x.exa",
        f"4ABCDE12F: to=<{'a' * 900}@x.example>, relay=none, delay=1, dsn=5.1.1, sta",
        f'4ABCDE12F: to=<"x, status=bounced (y{"a" * 900}',
        '4ABCDE12F: to=<b@c.example>, orig_to=<"x>, relay=none, delay=1, status=bounced (forged '
        + "a" * 1900,
        f"4ABCDE12F: to=<{'a' * 900}@x.example>, relay=none, delay=1, delays=1/0/0/0, status=boun",
    ],
)
def test_cut_before_the_status(text: str) -> None:
    parsed = read(text)
    assert isinstance(parsed, Unparsed)
    assert parsed.reason is Malformed.CUT_BEFORE_STATUS
    assert parsed.record is not None
    assert parsed.record.queue_id == "4ABCDE12F"


def test_a_short_line_was_cut_only_if_someone_says_so() -> None:
    text = "4ABCDE12F: to=<a@x.example>, relay=none, del"
    assert read(text) is Skip.NOT_A_FAILURE
    parsed = read(text, truncated=True)
    assert isinstance(parsed, Unparsed)
    assert parsed.reason is Malformed.CUT_BEFORE_STATUS


@pytest.mark.parametrize(
    "text",
    [
        "4ABCDE12F: host mx[192.0.2.1] said: 451 4.7.1 status=deferred (reject: later) (in reply)",
        "4ABCDE12F: host mx[192.0.2.1] refused to talk to me: 450 4.3.2 status=bounced (x)",
        "4ABCDE12F: lost connection with mx[192.0.2.1] while sending RCPT TO",
        "4ABCDE12F: conversation with x[192.0.2.1] timed out while status=deferred (x)",
        "4ABCDE12F: SASL authentication failed; server x[192.0.2.1] said: 535 reject: no",
        "4ABCDE12F: TLS is required, but host x[192.0.2.1] refused to start TLS: 454 reject: no",
        "4ABCDE12F: Cannot start TLS: handshake failure",
        "4ABCDE12F: Server certificate not verified",
        "4ABCDE12F: Host or domain name not found. Name service error for name=x: status=bounced",
        "connect to mx.x.example[192.0.2.1]:25: Connection timed out",
        "4ABCDE12F: warning: header Subject: status=deferred (x)",
        "4ABCDE12F: replace: header Subject: reject: status=bounced (x): new text",
        "4ABCDE12F: passing <status=bounced@x.example> to transport=lmtp",
        "Untrusted TLS connection established to x[192.0.2.1]:25: reject: status=bounced (x)",
        "4ABCDE12F: enabling PIX workarounds: disable_esmtp for x[192.0.2.1]:25",
    ],
)
def test_other_lines_of_agents_are_no_failures(text: str) -> None:
    assert read(text, "postfix/smtp") is Skip.NOT_A_FAILURE
