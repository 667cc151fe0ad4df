"""A line, and facts with a value in every field, to make events of."""

from dataclasses import replace
from datetime import UTC, datetime

from service.core.line import Line
from service.core.postfix.facts import Client, Delivery, Record, Reject, Relay, RemoteReply
from service.core.syslog.message import SyslogMessage
from tests.sample_lines import NOW

RECORD = Record("postfix-out/submission/smtpd", "postfix-out", "smtpd", "4ABCDE12F")
MESSAGE = SyslogMessage(
    "Aug 22 10:00:00",
    datetime(2026, 8, 22, 10, tzinfo=UTC),
    "inferred",
    "MX1.example.org",
    "postfix-out/submission/smtpd",
    7,
    "4ABCDE12F: reject: ...",
)
LINE = Line(b"<22>raw \xff", MESSAGE, NOW, "tcp", "192.0.2.250", False, True)


def reject(**changes: object) -> Reject:
    facts = Reject(
        action="milter-reject",
        stage="END-OF-MESSAGE",
        response="554 5.7.1 no",
        severity="permanent",
        smtp_code=554,
        enhanced_code="5.7.1",
        client=Client("mail.example.net", "192.0.2.10", 4711),
        sender="",
        recipient="b@Example.ORG",
        protocol="ESMTP",
        helo="helo.example",
        sasl_method="PLAIN",
        sasl_username="anna",
        sasl_sender="anna@example.net",
        dnsbl="zen.example",
        content="Subject: x",
    )
    return replace(facts, **changes)  # type: ignore[arg-type]


def delivery(**changes: object) -> Delivery:
    facts = Delivery(
        kind="bounced",
        status="bounced",
        response="host mx said: 550 5.1.1 gone",
        recipient="gone@example.net",
        original_recipient="old@example.org",
        relay=Relay("mx.example.net", "192.0.2.1", 25, None),
        delay=1.5,
        delays=(0.1, 0.2, 0.4, 0.8),
        tls="TLSv1.3",
        enhanced_code="5.1.1",
        remote_reply=RemoteReply("mx", "192.0.2.1", 550, "5.1.2", "550 5.1.2 gone", "RCPT TO"),
    )
    return replace(facts, **changes)  # type: ignore[arg-type]
