"""What a faithful model of Postfix's writers puts into a line comes back, however it imitates.

Addresses are in external form (default since 3.5) unless a test says otherwise. What no reader can
tell apart is left out, with the reason, and has its choice tested in `test_context`.
"""

from dataclasses import replace

from hypothesis import example, given, settings
from hypothesis import strategies as st

from service.core.postfix.facts import Client
from tests.core.postfix.lines import delivery, failure, read, reject
from tests.strategies_postfix import (
    Form,
    Session,
    addresses,
    content_line,
    delivery_line,
    expiry_line,
    external,
    helo_names,
    hostile,
    internal,
    milter_line,
    mime_line,
    postscreen_line,
    printable,
    proxy_line,
    smtpd_line,
)

_MANY = settings(max_examples=150, deadline=None)

STAGES = st.sampled_from(["RCPT", "DATA", "BDAT content", "END-OF-MESSAGE", "VRFY"])
LOCAL = "local"
SCREENED = "[192.0.2.1]:123"
CLIENT = Client("mail.example.net", "192.0.2.10", None)


def logins() -> st.SearchStrategy[str]:
    """Without a context of their own, and not ending in ` sasl_sender=`: such a name reads like a
    refusal's text, or like the field of that name."""
    return hostile(5).map(lambda text: "u" + printable(text).replace("; ", ";") + " u")


@_MANY
@given(addresses(), addresses(), helo_names(), hostile(), STAGES)
def test_smtpd(sender: str, recipient: str, helo: str, free: str, stage: str) -> None:
    text = f"554 5.7.1 <v@x.example>: Recipient address rejected: x{free}"
    session = Session(sender=sender, recipient=recipient, helo=helo)
    for facts in (
        reject(smtpd_line(session, text, stage)),
        reject(milter_line(session, text, stage)),
        reject(proxy_line(session, text)),
    ):
        assert (facts.sender, facts.recipient) == (external(sender), external(recipient))
        assert (facts.protocol, facts.helo, facts.smtp_code) == ("ESMTP", helo, 554)
        assert (facts.sasl_method, facts.sasl_username, facts.sasl_sender) == (None, None, None)
        assert facts.response == printable(text)
        assert not facts.truncated


@_MANY
@given(
    addresses(), addresses(), helo_names(), hostile(), logins().filter(lambda u: " proto=" not in u)
)
def test_smtpd_with_a_login(sender: str, recipient: str, helo: str, free: str, login: str) -> None:
    text = f"554 5.7.1 <v@x.example>: Recipient address rejected: x{free}"
    session = Session(
        sender=sender, recipient=recipient, helo=helo, sasl_method="LOGIN", sasl_username=login
    )
    for facts in (reject(smtpd_line(session, text)), reject(milter_line(session, text))):
        assert (facts.sender, facts.recipient) == (external(sender), external(recipient))
        assert (facts.helo, facts.sasl_username) == (helo, login)
        assert facts.response == printable(text)


@_MANY
@given(addresses(), addresses().filter(bool), hostile())
def test_postscreen(sender: str, recipient: str, helo: str) -> None:
    session = Session(client=SCREENED, sender=sender, recipient=recipient, helo=helo)
    facts = reject(postscreen_line(session, "550 5.5.1 Protocol error"))
    assert (facts.sender, facts.recipient) == (external(sender), external(recipient))
    assert (facts.protocol, facts.helo) == ("ESMTP", printable(helo) or None)
    assert facts.response == "550 5.5.1 Protocol error"


@_MANY
@given(addresses(), addresses(), helo_names() | st.none(), hostile(), st.booleans())
def test_content(sender: str, recipient: str, helo: str | None, free: str, local: bool) -> None:
    content = f"Subject: {free}"
    session = (
        Session(client=LOCAL, sender=sender, recipient=recipient, protocol=None, helo=None)
        if local
        else Session(sender=sender, recipient=recipient, helo=helo)
    )
    facts = reject(content_line(session, content, "5.7.1 no spam"))
    assert (facts.sender, facts.recipient) == (external(sender), external(recipient))
    assert (facts.protocol, facts.helo) == (session.protocol, session.helo)
    assert facts.client == (None if local else CLIENT)
    assert (facts.response, facts.content) == ("5.7.1 no spam", printable(content))
    facts = reject(mime_line(session, "MIME nesting exceeds safety limit", content))
    assert (facts.sender, facts.recipient) == (external(sender), external(recipient))
    assert facts.response == "MIME nesting exceeds safety limit"
    assert facts.content == printable(content)


@_MANY
@given(addresses(), addresses() | st.none(), hostile())
def test_delivery(recipient: str, original: str | None, free: str) -> None:
    reply = f"550 5.1.1 {free}x"
    reason = f"host mx[192.0.2.1] said: {reply} (in reply to RCPT TO command)"
    facts = delivery(delivery_line(recipient, reason, original))
    assert facts.recipient == external(recipient)
    assert facts.original_recipient == (None if original is None else external(original))
    assert facts.relay is not None
    assert (facts.relay.host, facts.relay.port) == ("mx.example.net", 25)
    assert (facts.status, facts.enhanced_code) == ("bounced", "5.1.1")
    assert facts.response == printable(reason)
    assert facts.remote_reply is not None
    assert (facts.remote_reply.host, facts.remote_reply.ip) == ("mx", "192.0.2.1")
    assert (facts.remote_reply.text, facts.remote_reply.command) == (printable(reply), "RCPT TO")
    assert not facts.truncated


@_MANY
@given(addresses(), st.sampled_from([external, internal]))
def test_expiry(sender: str, form: Form) -> None:
    facts = delivery(expiry_line(sender, form))
    assert (facts.sender, facts.status) == (form(sender), "expired")


@_MANY
@given(addresses().map(lambda address: address.replace("; ", ";")), helo_names())
def test_senders_without_quotes(sender: str, helo: str) -> None:
    """But for `; from=<`, which reads like the end of the refusal's text."""
    text = "554 5.7.1 <r@x.example>: Relay access denied"
    session = Session(sender=sender, recipient="r@x.example", helo=helo)
    facts = reject(smtpd_line(session, text, form=internal))
    assert (facts.sender, facts.recipient, facts.helo) == (sender, "r@x.example", helo)
    assert facts.response == text


@_MANY
@given(addresses().filter(bool), helo_names())
def test_recipients_without_quotes_that_the_refusal_repeats(recipient: str, helo: str) -> None:
    text = f"554 5.7.1 <{recipient}>: Relay access denied"
    facts = reject(smtpd_line(Session(recipient=recipient, helo=helo), text, form=internal))
    assert (facts.sender, facts.recipient, facts.helo) == ("a@example.net", recipient, helo)
    assert facts.response == text


@_MANY
@given(
    addresses().filter(lambda address: ">, relay=" not in address and ">, orig_to=" not in address),
    hostile(),
)
def test_delivery_without_quotes(recipient: str, free: str) -> None:
    """But for what reads like the field behind the address."""
    facts = delivery(delivery_line(recipient, f"x{free}", form=internal))
    assert (facts.recipient, facts.response) == (recipient, printable(f"x{free}"))


def _sessions(absent: st.SearchStrategy[None] | None = None) -> st.SearchStrategy[Session]:
    address = addresses() if absent is None else addresses() | absent
    return st.builds(
        Session,
        sender=address,
        recipient=address,
        helo=helo_names(),
        sasl_method=st.sampled_from([None, "PLAIN"]),
        sasl_username=st.sampled_from([None, "anna", "john doe"]),
    )


_TEXTS = hostile().map(lambda free: f"550 5.1.1 x{free}")
_LINES = st.one_of(
    st.builds(smtpd_line, _sessions(), _TEXTS),
    st.builds(smtpd_line, _sessions(st.none()), _TEXTS, st.sampled_from(["CONNECT", "ETRN"])),
    st.builds(milter_line, _sessions(), _TEXTS),
    st.builds(postscreen_line, _sessions().map(lambda s: replace(s, client=SCREENED)), _TEXTS),
    st.builds(delivery_line, addresses(), _TEXTS, addresses() | st.none()),
)


_TAGS = st.sampled_from(["postfix/smtp", "postfix/smtpd", "postfix/postscreen"])


@_MANY
@given(_LINES, _TAGS)
def test_the_hot_path_and_the_long_way_agree(line: str, tag: str) -> None:
    """A space at the end is all it takes to be sent the long way."""
    assert failure(line, tag) == failure(f"{line} ", tag)


_PARTS = st.lists(
    st.sampled_from(
        (
            "4ABCDE12F: to=<a@b.example", "NOQUEUE: to=<a@b", "4abc: to=<", ">, orig_to=<c@d>",
            ">, relay=none", ">, relay=mx[192.0.2.1]:25", ">, relay=a[b (c]", ", conn_use=2",
            ", conn_use=2\u0661", ", delay=1", ", delay=.1", ", delay=1e3", ", delays=0/0/1/0.01",
            ", delays=0/0/1", ", delays=0/0/1/0/0", ", delays=1//2/3", ", tls=may", ", tls=a b",
            ", dsn=5.1.1", ", dsn=2.0.0", ", dsn=5.1", ", status=bounced", ", status=sent",
            ", status=none", " (x", " (host m[192.0.2.1] said: 550 5.1.1 no", ")", " ", ", ",
            " (in reply to RCPT TO command)", " (in reply to )", '"', "<", ">", "\n", "; from=<",
            "NOQUEUE: reject: RCPT from u[192.0.2.1]", "reject: EHLO from u[192.0.2.1]:25", ":25",
            ": 550 5.7.1 no", ": ", "; from=<a@b>", " to=<c@d>", " to=<x y>", " proto=ESMTP",
            " helo=<h>", " sasl_method=P sasl_username=u", "550", "550 ", "550-5.1.1", "5.1.1.1",
            "NOQUEUE: reject: RCPT from [192.0.2.1]:25", "; from=<>, to=<c@d>",
            ", proto=SMTP, helo=<h>", "; proto=SMTP", "; proto=ESMTP helo=<h>", "; to=<c@d>", ";",
            "NOQUEUE: reject: CONNECT from [192.0.2.1]", "reject: connect from [192.0.2.1]:25",
            "NOQUEUE: reject: CONNECT from u[192.0.2.1]", ": all server ports busy", "\u00a0",
            "; from=<j\u00f6rg@a.example> to=<\u4e2d@b.example> proto=ESMTP helo=<\u00f6>",
        )
    ),
    max_size=14,
).map("".join)  # fmt: skip


_UNQUOTED = st.one_of(
    st.builds(delivery_line, addresses(), _TEXTS, addresses() | st.none(), form=st.just(internal)),
    st.builds(smtpd_line, _sessions(), _TEXTS, form=st.just(internal)),
)


@example("NOQUEUE: reject: CONNECT from u[192.0.2.1]: 550 5.7.1 no", "postfix/smtpd")
@example("NOQUEUE: reject: CONNECT from u[192.0.2.1]: 550 5.7.1 no;", "postfix/smtpd")
@example("NOQUEUE: reject: CONNECT from u[192.0.2.1]: 550 no; proto=SMTP", "postfix/smtpd")
@example("NOQUEUE: reject: CONNECT from u[192.0.2.1]: 550 no; proto=LMTP", "postfix/smtpd")
@example("NOQUEUE: reject: VRFY from u[192.0.2.1]: 550 no; to=<root> proto=SMTP", "postfix/smtpd")
@example(
    "NOQUEUE: reject: RCPT from u[192.0.2.1]: 550 no; from=<> to=<c@d> proto=ESMTP helo=<h> "
    "sasl_method=P sasl_username=u\u0085",
    "postfix/smtpd",
)
@example(
    "NOQUEUE: reject: RCPT from [192.0.2.1]: 550 no; from=<x y>, to=<c@d>, proto=SMTP, helo=<h>",
    "postfix/postscreen",
)
@example("reject: connect from [192.0.2.1]:25: all screening ports busy", "postfix/postscreen")
@settings(max_examples=500, deadline=None)
@given(_PARTS | _UNQUOTED, _TAGS)
def test_they_agree_on_what_nobody_wrote(text: str, tag: str) -> None:
    assert read(text, tag) == read(f"{text} ", tag)
