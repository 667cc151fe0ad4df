import pytest

from service.core.syslog.tag import Origin, split_origin, split_unstamped

BOM = "\ufeff"
CASES: list[tuple[str, Origin]] = [
    ("mx1 postfix/smtpd[99]: x", Origin("mx1", "postfix/smtpd", 99, "x")),
    ("mx1 postfix/smtpd: x", Origin("mx1", "postfix/smtpd", None, "x")),
    ("mx1 postfix/smtpd[99] x", Origin("mx1", "postfix/smtpd", 99, "x")),
    ("mx1 postfix/smtpd x", Origin("mx1", "postfix/smtpd", None, "x")),
    ("mx1 a/b/c/smtpd[99]: x", Origin("mx1", "a/b/c/smtpd", 99, "x")),
    ("mx1 dovecot: x", Origin("mx1", "dovecot", None, "x")),
    ("mx1 dovecot:x", Origin("mx1", "dovecot", None, "x")),
    ("mx1  dovecot:   x", Origin("mx1", "dovecot", None, "x")),
    ("mx1 CRON[7]: (root) CMD (x)", Origin("mx1", "CRON", 7, "(root) CMD (x)")),
    ("MX_1.Example.com postfix[1]: x", Origin("MX_1.Example.com", "postfix", 1, "x")),
    # a pid that is no number, or may be none of this process
    ("mx1 postfix/postscreen[abcde]: x", Origin("mx1", "postfix/postscreen", None, "x")),
    ("mx1 postfix/smtpd[]: x", Origin("mx1", "postfix/smtpd", None, "x")),
    ("mx1 postfix/smtpd[\u0661]: x", Origin("mx1", "postfix/smtpd", None, "x")),
    ("mx1 postfix/smtpd[12345678901]: x", Origin("mx1", "postfix/smtpd", None, "x")),
    ("mx1 postfix/smtpd[12", Origin("mx1", "postfix/smtpd", None, "")),
    # rsyslog cuts the tag at 32 characters
    (
        "mx1 postfix/submission/smtpd[1234567 NOQUEUE: x",
        Origin("mx1", "postfix/submission/smtpd", None, "NOQUEUE: x"),
    ),
    (
        "mx1 postfix/submission/smtpd[123456] NOQUEUE: x",
        Origin("mx1", "postfix/submission/smtpd", 123456, "NOQUEUE: x"),
    ),
    (
        "mx1 postfix/submission/smtpd[12345]: NOQUEUE: x",
        Origin("mx1", "postfix/submission/smtpd", 12345, "NOQUEUE: x"),
    ),
    (
        "mx1 postfix-customers/submission/smt NOQUEUE: x",
        Origin("mx1", "postfix-customers/submission/smt", None, "NOQUEUE: x"),
    ),
    (
        "mx1 postfix-of-the-large-mail-custom NOQUEUE: x",
        Origin("mx1", "postfix-of-the-large-mail-custom", None, "NOQUEUE: x"),
    ),
    # RFC 5424 turned into RFC 3164 by a relay
    (f"mx1 postfix/smtp[99] {BOM}4XyZ: x", Origin("mx1", "postfix/smtp", 99, "4XyZ: x")),
    (f"mx1 postfix {BOM}4XyZ: x", Origin("mx1", "postfix", None, "4XyZ: x")),
    (f"postfix {BOM}4XyZ: x", Origin(None, "postfix", None, "4XyZ: x")),
    (f"mx1 postfix/smtp[99]: {BOM}{BOM}x", Origin("mx1", "postfix/smtp", 99, f"{BOM}x")),
    # no host
    ("postfix/smtpd[99]: x[1]: y", Origin(None, "postfix/smtpd", 99, "x[1]: y")),
    (" postfix/smtpd[99]: x", Origin(None, "postfix/smtpd", 99, "x")),
    (" mx1 postfix[99]: x", Origin("mx1", "postfix", 99, "x")),
    ("postfix[99]: x", Origin(None, "postfix", 99, "x")),
    ("postfix: x", Origin(None, "postfix", None, "x")),
    ("kernel:x", Origin(None, "kernel", None, "x")),
    ("dead: x", Origin(None, "dead", None, "x")),
    # hosts that are addresses
    ("192.0.2.1 postfix[1]: x", Origin("192.0.2.1", "postfix", 1, "x")),
    ("2001:db8::1 postfix[1]: x", Origin("2001:db8::1", "postfix", 1, "x")),
    ("2001:db8:: postfix[1]: x", Origin("2001:db8::", "postfix", 1, "x")),
    ("::1 postfix[1]: x", Origin("::1", "postfix", 1, "x")),
    ("::ffff:192.0.2.1 postfix: x", Origin("::ffff:192.0.2.1", "postfix", None, "x")),
    ("fe80::1%eth0 postfix: x", Origin("fe80::1%eth0", "postfix", None, "x")),
    ("[2001:db8::1] postfix[1]: x", Origin("[2001:db8::1]", "postfix", 1, "x")),
    ("[192.0.2.1] postfix[1]: x", Origin("[192.0.2.1]", "postfix", 1, "x")),
    # no tag
    (
        "mx1 last message repeated 3 times",
        Origin("mx1", "", None, "last message repeated 3 times"),
    ),
    ("mx1 [1]: x", Origin("mx1", "", None, "[1]: x")),
    ("mx1 2001:db8::1 x", Origin("mx1", "", None, "2001:db8::1 x")),
    ("mx1 : x", Origin("mx1", "", None, ": x")),
    ("mx1", Origin("mx1", "", None, "")),
    ("mx1 ", Origin("mx1", "", None, "")),
    ("", Origin(None, "", None, "")),
    # only the first tag is one
    (
        "mx1 postfix/smtpd[1]: Aug  1 10:20:30 mx2 postfix/smtp[2]: x",
        Origin("mx1", "postfix/smtpd", 1, "Aug  1 10:20:30 mx2 postfix/smtp[2]: x"),
    ),
]


@pytest.mark.parametrize(("rest", "wanted"), CASES)
def test_after_a_stamp(rest: str, wanted: Origin) -> None:
    assert split_origin(rest) == wanted


@pytest.mark.parametrize(
    ("rest", "wanted"),
    [
        ("postfix/smtpd[1]: x", Origin(None, "postfix/smtpd", 1, "x")),
        ("mx1 postfix/smtpd[1]: x", Origin("mx1", "postfix/smtpd", 1, "x")),
        (
            "mx1 postfix/submission/smtpd[1234567 x",
            Origin("mx1", "postfix/submission/smtpd", None, "x"),
        ),
        ("mx1 postfix[1]: x", Origin("mx1", "postfix", 1, "x")),
        ("dovecot: x", Origin(None, "dovecot", None, "x")),
        ("two words: x", Origin(None, "", None, "two words: x")),
        ("hello", Origin(None, "", None, "hello")),
        ("", Origin(None, "", None, "")),
    ],
)
def test_without_a_stamp_a_host_needs_a_sure_tag(rest: str, wanted: Origin) -> None:
    assert split_unstamped(rest) == wanted
