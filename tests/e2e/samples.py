"""Lines of a mail server's day for the forms of rsyslog: failures of every kind, lines that are
none, and lines that lie. `wanted` is the whole of what the event must say (`expected.py`); None
means that no event may come of the line."""

from dataclasses import dataclass

from tests.e2e.expected import (
    Fields,
    bounced,
    client,
    deferred,
    delays,
    reject,
    relay,
    remote_reply,
)

MX = "mx.example.net"
REMOTE = relay(MX, "192.0.2.1", 25)
PILL = client("mail.example.net", "192.0.2.10")


@dataclass(frozen=True)
class Sample:
    tag: str
    text: str
    """Bytes that are no UTF-8 stand as surrogates, as `surrogateescape` reads them."""
    wanted: Fields | None = None
    pid: int = 2101


REJECTS = [
    Sample(
        "postfix/smtpd",
        "NOQUEUE: reject: RCPT from unknown[192.0.2.66]: 554 5.7.1 <victim@other.example>: Relay"
        " access denied; from=<spam@bad.example> to=<victim@other.example> proto=ESMTP"
        " helo=<bad.example>",
        reject(
            sender="spam@bad.example",
            recipient="victim@other.example",
            smtp_code=554,
            enhanced_code="5.7.1",
            response="554 5.7.1 <victim@other.example>: Relay access denied",
            client=client(None, "192.0.2.66"),
            helo="bad.example",
            protocol="ESMTP",
            category="relay_denied",
        ),
    ),
    Sample(
        # Tag and process id are over 32 characters: rsyslog cuts `]:` off in its 3164 templates.
        "postfix/submission/smtpd",
        "NOQUEUE: reject: RCPT from pc.example.org[198.51.100.7]: 553 5.7.1 <boss@example.org>:"
        " Sender address rejected: not owned by user anna; from=<boss@example.org>"
        " to=<x@example.net> proto=ESMTP helo=<pc.example.org> sasl_method=PLAIN"
        " sasl_username=anna",
        reject(
            sender="boss@example.org",
            recipient="x@example.net",
            smtp_code=553,
            enhanced_code="5.7.1",
            response="553 5.7.1 <boss@example.org>: Sender address rejected: not owned by user"
            " anna",
            client=client("pc.example.org", "198.51.100.7"),
            helo="pc.example.org",
            protocol="ESMTP",
            sasl_method="PLAIN",
            sasl_username="anna",
        ),
        pid=1234567,
    ),
    Sample(
        "postfix/smtpd",
        "4hRGXZ0sf8zFpTZ: reject: RCPT from mail.example.net[192.0.2.10]:40123: 550 5.1.1"
        " <nosuch@example.org>: Recipient address rejected: User unknown in virtual mailbox table;"
        " from=<> to=<nosuch@example.org> proto=ESMTP helo=<mail.example.net>",
        reject(
            queue_id="4hRGXZ0sf8zFpTZ",
            sender="",
            recipient="nosuch@example.org",
            smtp_code=550,
            enhanced_code="5.1.1",
            response="550 5.1.1 <nosuch@example.org>: Recipient address rejected: User unknown in"
            " virtual mailbox table",
            client=client("mail.example.net", "192.0.2.10", 40123),
            helo="mail.example.net",
            protocol="ESMTP",
            category="unknown_user",
        ),
    ),
    Sample(
        "postfix/smtpd",
        "NOQUEUE: reject: CONNECT from unknown[2001:db8::66]: 554 5.7.1 <unknown[2001:db8::66]>:"
        " Client host rejected: Access denied; proto=SMTP",
        reject(
            stage="CONNECT",
            smtp_code=554,
            enhanced_code="5.7.1",
            response="554 5.7.1 <unknown[2001:db8::66]>: Client host rejected: Access denied",
            client=client(None, "2001:db8::66"),
            protocol="SMTP",
        ),
    ),
    Sample(
        "postfix/smtpd",
        "NOQUEUE: reject: RCPT from unknown[192.0.2.66]: 554 5.7.1 Service unavailable; Client host"
        " [192.0.2.66] blocked using zen.spamhaus.org; https://www.spamhaus.org/query/ip/192.0.2.66;"
        " from=<a@bad.example> to=<b@example.org> proto=ESMTP helo=<x>",
        reject(
            sender="a@bad.example",
            recipient="b@example.org",
            smtp_code=554,
            enhanced_code="5.7.1",
            response="554 5.7.1 Service unavailable; Client host [192.0.2.66] blocked using"
            " zen.spamhaus.org; https://www.spamhaus.org/query/ip/192.0.2.66",
            client=client(None, "192.0.2.66"),
            helo="x",
            protocol="ESMTP",
            dnsbl="zen.spamhaus.org",
            category="blocklisted_ip",
        ),
    ),
    Sample(
        "postfix/smtpd",
        "NOQUEUE: milter-reject: RCPT from mail.example.net[192.0.2.10]: 451 4.7.1 Greylisting in"
        " action, please come back later; from=<a@example.net> to=<b@example.org> proto=ESMTP"
        " helo=<mail.example.net>",
        reject(
            action="milter-reject",
            sender="a@example.net",
            recipient="b@example.org",
            smtp_code=451,
            enhanced_code="4.7.1",
            response="451 4.7.1 Greylisting in action, please come back later",
            client=PILL,
            helo="mail.example.net",
            protocol="ESMTP",
            category="greylisted",
        ),
    ),
    Sample(
        "postfix/postscreen",
        "NOQUEUE: reject: RCPT from [192.0.2.66]:50412: 550 5.7.1 Service unavailable; client"
        " [192.0.2.66] blocked using zen.spamhaus.org; from=<spam@bad.example>, to=<b@example.org>,"
        " proto=ESMTP, helo=<bad.example>",
        reject(
            sender="spam@bad.example",
            recipient="b@example.org",
            smtp_code=550,
            enhanced_code="5.7.1",
            response="550 5.7.1 Service unavailable; client [192.0.2.66] blocked using"
            " zen.spamhaus.org",
            client=client(None, "192.0.2.66", 50412),
            helo="bad.example",
            protocol="ESMTP",
            dnsbl="zen.spamhaus.org",
        ),
    ),
    Sample(
        "postfix/cleanup",
        "4ABCDE12F: reject: header Subject: cheap pills from mail.example.net[192.0.2.10];"
        " from=<a@example.net> to=<b@example.org> proto=ESMTP helo=<mail.example.net>: 5.7.1 no"
        " spam please",
        reject(
            queue_id="4ABCDE12F",
            stage="header",
            sender="a@example.net",
            recipient="b@example.org",
            enhanced_code="5.7.1",
            response="5.7.1 no spam please",
            client=PILL,
            helo="mail.example.net",
            protocol="ESMTP",
            content="Subject: cheap pills",
        ),
    ),
]

DELIVERIES = [
    Sample(
        "postfix/smtp",
        "4ABCDE12F: to=<bob@example.net>, orig_to=<info@example.org>, relay=mx.example.net"
        "[192.0.2.1]:25, conn_use=3, delay=86402, delays=86400/0.02/1.1/0.4, dsn=5.1.1,"
        " status=bounced (host mx.example.net[192.0.2.1] said: 550-5.1.1 The account does not"
        " exist. 550 5.1.1 See https://x.example/ (a, b) (in reply to RCPT TO command))",
        bounced(
            queue_id="4ABCDE12F",
            recipient="bob@example.net",
            original_recipient="info@example.org",
            smtp_code=550,
            enhanced_code="5.1.1",
            response="host mx.example.net[192.0.2.1] said: 550-5.1.1 The account does not exist."
            " 550 5.1.1 See https://x.example/ (a, b) (in reply to RCPT TO command)",
            relay=REMOTE,
            delay=86402.0,
            delays=delays(86400.0, 0.02, 1.1, 0.4),
            remote_reply=remote_reply(
                MX,
                "192.0.2.1",
                550,
                "5.1.1",
                "550-5.1.1 The account does not exist. 550 5.1.1 See https://x.example/ (a, b)",
                "RCPT TO",
            ),
            category="unknown_user",
        ),
    ),
    Sample(
        "postfix-out/smtp",
        "4ABCDE25B: to=<bob@example.net>, relay=none, delay=30, delays=0.1/0/30/0, tls=may?,"
        " dsn=4.4.1, status=deferred (connect to mx.example.net[2001:db8::1]:25: Connection timed"
        " out)",
        deferred(
            queue_id="4ABCDE25B",
            recipient="bob@example.net",
            enhanced_code="4.4.1",
            response="connect to mx.example.net[2001:db8::1]:25: Connection timed out",
            delay=30.0,
            delays=delays(0.1, 0.0, 30.0, 0.0),
            tls="may?",
        ),
    ),
    Sample(
        "postfix/smtp",
        "4ABCDE19B: to=<bob@example.net>, relay=mx.example.net[192.0.2.1]:25, delay=3,"
        " delays=0.1/0/1/1.9, dsn=4.1.1, status=SOFTBOUNCE (host mx.example.net[192.0.2.1] said:"
        " 550 5.1.1 no such user (in reply to RCPT TO command))",
        deferred(
            queue_id="4ABCDE19B",
            status="SOFTBOUNCE",
            recipient="bob@example.net",
            smtp_code=550,
            enhanced_code="4.1.1",
            response="host mx.example.net[192.0.2.1] said: 550 5.1.1 no such user (in reply to RCPT"
            " TO command)",
            relay=REMOTE,
            delay=3.0,
            delays=delays(0.1, 0.0, 1.0, 1.9),
            remote_reply=remote_reply(
                MX, "192.0.2.1", 550, "5.1.1", "550 5.1.1 no such user", "RCPT TO"
            ),
        ),
    ),
    Sample(
        "postfix/lmtp",
        "4ABCDE14B: to=<anna@example.org>, relay=mail.example.org[private/dovecot-lmtp], delay=0.2,"
        " delays=0.1/0/0.01/0.1, dsn=5.2.2, status=bounced (host"
        " mail.example.org[private/dovecot-lmtp] said: 552 5.2.2 <anna@example.org> Quota exceeded"
        " (mailbox for user is full) (in reply to end of DATA command))",
        bounced(
            queue_id="4ABCDE14B",
            recipient="anna@example.org",
            smtp_code=552,
            enhanced_code="5.2.2",
            response="host mail.example.org[private/dovecot-lmtp] said: 552 5.2.2"
            " <anna@example.org> Quota exceeded (mailbox for user is full) (in reply to end of"
            " DATA command)",
            relay=relay("mail.example.org", path="private/dovecot-lmtp"),
            delay=0.2,
            delays=delays(0.1, 0.0, 0.01, 0.1),
            remote_reply=remote_reply(
                "mail.example.org",
                None,
                552,
                "5.2.2",
                "552 5.2.2 <anna@example.org> Quota exceeded (mailbox for user is full)",
                "end of DATA",
            ),
            category="mailbox_full",
        ),
    ),
    Sample(
        "postfix/local",
        "4ABCDE15C: to=<nosuch@example.org>, relay=local, delay=0.05, delays=0.03/0.01/0/0.01,"
        ' dsn=5.1.1, status=bounced (unknown user: "nosuch")',
        bounced(
            queue_id="4ABCDE15C",
            recipient="nosuch@example.org",
            enhanced_code="5.1.1",
            response='unknown user: "nosuch"',
            relay=relay("local"),
            delay=0.05,
            delays=delays(0.03, 0.01, 0.0, 0.01),
            category="unknown_user",
        ),
    ),
    Sample(
        "postfix/qmgr",
        "4ABCDE22E: from=<a@example.net>, status=expired, returned to sender",
        bounced(
            queue_id="4ABCDE22E",
            status="expired",
            sender="a@example.net",
            response="returned to sender",
            category="expired",
        ),
    ),
]

LIES = [
    Sample(
        "postfix/cleanup",
        "4ABCDE12F: reject: header Subject: 4FACADE1: to=<boss@example.org>, relay=evil[192.0.2.9]"
        ":25, delay=1, delays=1/0/0/0, dsn=5.0.0, status=bounced (x) from real.host[192.0.2.9];"
        " from=<f@x> from mail.example.net[192.0.2.10]; from=<s@x.example> to=<r@y.example>"
        " proto=ESMTP helo=<h>: 5.7.1 spam",
        reject(
            queue_id="4ABCDE12F",
            stage="header",
            sender="s@x.example",
            recipient="r@y.example",
            enhanced_code="5.7.1",
            response="5.7.1 spam",
            client=PILL,
            helo="h",
            protocol="ESMTP",
            content="Subject: 4FACADE1: to=<boss@example.org>, relay=evil[192.0.2.9]:25, delay=1,"
            " delays=1/0/0/0, dsn=5.0.0, status=bounced (x) from real.host[192.0.2.9]; from=<f@x>",
        ),
    ),
    Sample(
        "postfix/smtp",
        '4ABCDE20A: to=<"x, relay=evil, status=sent (ok)"@b.example>, relay=none, delay=1,'
        " delays=1/0/0/0, dsn=4.4.3, status=deferred (Host or domain name not found. Name service"
        " error for name=b.example type=MX: Host not found, try again)",
        deferred(
            queue_id="4ABCDE20A",
            recipient='"x, relay=evil, status=sent (ok)"@b.example',
            enhanced_code="4.4.3",
            response="Host or domain name not found. Name service error for name=b.example type=MX:"
            " Host not found, try again",
            delay=1.0,
            delays=delays(1.0, 0.0, 0.0, 0.0),
            category="dns",
        ),
    ),
    Sample(
        "postfix/smtp",
        "4ABCDE20B: to=<c@d.example>, relay=m.example[192.0.2.4]:25, delay=1, delays=1/0/0/0,"
        " dsn=4.0.0, status=deferred (host m.example[192.0.2.4] said: 450 status=bounced (5.1.1)"
        " to=<x@y> dsn=5.0.0 (in reply to RCPT TO command))",
        deferred(
            queue_id="4ABCDE20B",
            recipient="c@d.example",
            smtp_code=450,
            enhanced_code="4.0.0",
            response="host m.example[192.0.2.4] said: 450 status=bounced (5.1.1) to=<x@y> dsn=5.0.0"
            " (in reply to RCPT TO command)",
            relay=relay("m.example", "192.0.2.4", 25),
            delay=1.0,
            delays=delays(1.0, 0.0, 0.0, 0.0),
            remote_reply=remote_reply(
                "m.example",
                "192.0.2.4",
                450,
                None,
                "450 status=bounced (5.1.1) to=<x@y> dsn=5.0.0",
                "RCPT TO",
            ),
        ),
    ),
    Sample(
        "postfix/smtpd",
        "NOQUEUE: reject: RCPT from x.example[192.0.2.7]: 450 4.7.1 <r@x.example>: Recipient"
        " address rejected: try; from=<fake@x> to=<y@z>; from=<a@b.example> to=<r@x.example>"
        " proto=ESMTP helo=<h>",
        reject(
            sender="a@b.example",
            recipient="r@x.example",
            smtp_code=450,
            enhanced_code="4.7.1",
            response="450 4.7.1 <r@x.example>: Recipient address rejected: try; from=<fake@x>"
            " to=<y@z>",
            client=client("x.example", "192.0.2.7"),
            helo="h",
            protocol="ESMTP",
        ),
    ),
    Sample(
        "postfix/virtual",
        "4ABCDE20C: to=<j\udcf6rg@\u4f8b\u3048.example>, relay=virtual, delay=0.1,"
        " delays=0.1/0/0/0.01, dsn=4.2.0, status=deferred (maildir delivery failed: create maildir"
        " file /var/vmail/v/tmp/1.P2.host: Permission denied)",
        deferred(
            queue_id="4ABCDE20C",
            recipient="j\ufffdrg@\u4f8b\u3048.example",
            enhanced_code="4.2.0",
            response="maildir delivery failed: create maildir file /var/vmail/v/tmp/1.P2.host:"
            " Permission denied",
            relay=relay("virtual"),
            delay=0.1,
            delays=delays(0.1, 0.0, 0.0, 0.01),
        ),
    ),
]

# Of messages that have no other line here: each event says what its own line says.
OTHERS = [
    Sample("postfix/smtpd", "connect from mail.example.net[192.0.2.10]"),
    Sample("postfix/smtpd", "4ABCDE24C: client=mail.example.net[192.0.2.10]"),
    Sample("postfix/cleanup", "4ABCDE24C: message-id=<a b> (comment), status=bounced (x)"),
    Sample("postfix/qmgr", "4ABCDE24C: from=<a@example.net>, size=1234, nrcpt=2 (queue active)"),
    Sample(
        "postfix/smtp",
        "4ABCDE23D: to=<bob@example.net>, relay=mx.example.net[192.0.2.1]:25, delay=1.2,"
        " delays=0.05/0.01/0.6/0.52, dsn=2.0.0, status=sent (250 2.0.0 Ok: status=bounced)",
    ),
    Sample(
        "postfix/smtpd",
        "NOQUEUE: reject_warning: RCPT from mail.example.net[192.0.2.10]: 450 4.7.1 <mail>: Helo"
        " command rejected: Host not found; from=<a@example.net> to=<b@example.org> proto=ESMTP"
        " helo=<mail>",
    ),
    Sample(
        "postfix/smtp",
        "4ABCDE1AC: to=<probe@example.net>, relay=mx.example.net[192.0.2.1]:25, delay=0.8,"
        " delays=0/0/0.5/0.3, dsn=5.1.1, status=undeliverable (host mx.example.net[192.0.2.1] said:"
        " 550 5.1.1 unknown (in reply to RCPT TO command))",
    ),
    Sample(
        "postfix/smtp",
        "4ABCDE24C: host mx1.example.net[192.0.2.1] said: 451 4.7.1 Greylisted (in reply to RCPT TO"
        " command)",
    ),
    Sample("postfix/bounce", "4ABCDE24C: sender non-delivery notification: 5F00112233"),
    Sample("postfix/qmgr", "4ABCDE24C: removed"),
    Sample(
        "postfix/smtpd",
        "disconnect from mail.example.net[192.0.2.10] ehlo=1 mail=1 rcpt=0/1 quit=1 commands=3/4",
    ),
    Sample(
        "amavis",
        "4ABCDE26A: to=<bob@example.net>, relay=none, delay=1, delays=1/0/0/0, dsn=5.0.0,"
        " status=bounced (not Postfix)",
    ),
]


def cut_by_postfix() -> Sample:
    """Postfix cuts a record's text at 2000 bytes, the end of the reason and its `)` included."""
    head = (
        "4ABCDE21D: to=<bob@example.net>, relay=mx.example.net[192.0.2.1]:25, delay=1,"
        " delays=1/0/0/0, dsn=5.7.1, status=bounced ("
    )
    reason = "host mx.example.net[192.0.2.1] said: 550 5.7.1 " + "a very long story " * 200
    reason = reason[: 2000 - len(head)]
    return Sample(
        "postfix/smtp",
        head + reason,
        bounced(
            queue_id="4ABCDE21D",
            recipient="bob@example.net",
            smtp_code=550,
            enhanced_code="5.7.1",
            response=reason,
            relay=REMOTE,
            delay=1.0,
            delays=delays(1.0, 0.0, 0.0, 0.0),
            remote_reply=remote_reply(
                MX, "192.0.2.1", 550, "5.7.1", reason.partition(" said: ")[2], None
            ),
            truncated=True,
        ),
    )


SAMPLES = [*REJECTS, *OTHERS[:6], *DELIVERIES, *LIES, *OTHERS[6:], cut_by_postfix()]
"""The last one is a failure: when its event has come, every line before it is done with."""
