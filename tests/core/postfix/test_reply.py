"""Codes at the start of a reply, and the reply inside a status reason."""

import pytest

from service.core.postfix.facts import RemoteReply
from service.core.postfix.reply import codes, remote_reply, severity


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("550 5.1.1 no", (550, "5.1.1", 9)),
        ("550-5.1.1 no", (550, "5.1.1", 9)),
        ("450 no", (450, None, 4)),
        ("450", (450, None, 3)),
        ("450;", (450, None, 3)),
        ("4.7.1 no", (None, "4.7.1", 5)),
        ("2.1.5", (None, "2.1.5", 5)),
        ("250 2.1.5 ok", (None, None, 0)),
        ("354 go", (None, None, 0)),
        ("550x", (None, None, 0)),
        ("5501", (None, None, 0)),
        ("550 5.1.1.1", (550, None, 4)),
        ("550 5.1.1111", (550, None, 4)),
        ("550 6.1.1", (550, None, 4)),
        ("\u0665\u0665\u0660 no", (None, None, 0)),  # digits, but not of ASCII
        ("", (None, None, 0)),
    ],
)
def test_codes(text: str, wanted: tuple[int | None, str | None, int]) -> None:
    assert codes(text) == wanted
    smtp, enhanced, end = wanted
    assert codes(f"xx{text}", 2) == (smtp, enhanced, end + 2)


@pytest.mark.parametrize(
    ("smtp", "enhanced", "wanted"),
    [
        (550, "4.7.1", "permanent"),
        (450, "5.7.1", "temporary"),
        (None, "5.7.1", "permanent"),
        (None, "4.7.1", "temporary"),
        (None, "2.0.0", None),
        (None, None, None),
    ],
)
def test_severity(smtp: int | None, enhanced: str | None, wanted: str | None) -> None:
    assert severity(smtp, enhanced) == wanted


@pytest.mark.parametrize(
    "reason",
    [
        "connect to x[192.0.2.1]:25: Connection refused",
        "lost connection with x[192.0.2.1] while sending RCPT TO",
        "the host x[192.0.2.1] said: 550 no",
        "delivery temporarily suspended: lost connection with host x[192.0.2.1] said: 550 no",
        "host x[192.0.2.1] told: 550 no",
        "server x[192.0.2.1] said: 550 no",
        "",
    ],
)
def test_no_reply(reason: str) -> None:
    assert remote_reply(reason) is None


@pytest.mark.parametrize(
    ("tail", "command"),
    [
        (" (in reply to RCPT TO command)", "RCPT TO"),
        (" (in reply to RCPT TO)", "RCPT TO"),
        (" (in reply to RCPT TO command", "RCPT TO"),
        (" (in reply to end of DATA", "end of DATA"),
        (" (in reply to )", None),
        (" (in reply to RCPT", None),
        (" (in reply to x command", None),
        (" in reply to DATA command)", None),
    ],
)
def test_commands(tail: str, command: str | None) -> None:
    text = f"host x[192.0.2.1] said: 550 no{tail}"
    reply = remote_reply(text)
    assert reply is not None
    assert reply.command == command
    assert reply.text == ("550 no" if command else f"550 no{tail}")


@pytest.mark.parametrize(
    ("inside", "ip"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("2001:db8::1", "2001:db8::1"),
        ("a said: b", "a said: b"),  # no address; but the first colon does not end the host
        ("private/x: y", None),
        ("x" * 255, "x" * 255),
    ],
)
def test_the_reply_begins_behind_the_host(inside: str, ip: str | None) -> None:
    host = "h" * 255
    reply = remote_reply(f"host {host}[{inside}] said: 550 5.1.1 no: such user")
    assert reply == RemoteReply(host, ip, 550, "5.1.1", "550 5.1.1 no: such user", None)


def test_a_command_of_any_length_is_read() -> None:
    command = "X" * 500
    reply = remote_reply(f"host x[192.0.2.1] said: 500 no (in reply to {command} command)")
    assert reply is not None
    assert (reply.text, reply.command) == ("500 no", command)
