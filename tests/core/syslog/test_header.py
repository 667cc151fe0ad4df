"""parse_message: one table row a form as it was seen on the wire, then properties."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from service.core.syslog import SyslogMessage, parse_message, recognise
from service.core.syslog.message import TimeQuality
from service.core.syslog.rfc3164 import parse_common, parse_stamped
from tests.core.syslog.forms import FORMS, ZONE, FormOf
from tests.strategies import RECEIVED_AT, LogLine, log_lines

BERLIN = ZoneInfo("Europe/Berlin")
NOW = datetime(2026, 8, 22, 10, 0, tzinfo=UTC)
AUG_1 = datetime(2026, 8, 1, 8, 20, 30, tzinfo=UTC)
AUG_1_MICRO = AUG_1.replace(microsecond=123_456)
TEXT = "4XyZ: to=<a@example.org>, status=bounced (x)"
WIRE_TEXT = TEXT.encode()


def parse(line: bytes) -> SyslogMessage | None:
    return parse_message(line, received_at=NOW, zone=BERLIN)


def form(line: bytes) -> str | None:
    found = recognise(line, received_at=NOW, zone=BERLIN)
    return None if found is None else found[1]


def message(
    stamp: str,
    time: datetime,
    quality: TimeQuality,
    host: str | None = "mx1",
    tag: str = "postfix/smtp",
    pid: int | None = 99,
    text: str = TEXT,
) -> SyslogMessage:
    return SyslogMessage(stamp, time, quality, host, tag, pid, text)


BSD = "Aug  1 10:20:30"
ISO = "2026-08-01T10:20:30+02:00"
MICRO = "2026-08-01T10:20:30.123456+02:00"

CASES: dict[str, tuple[bytes, str, SyslogMessage]] = {
    "RSYSLOG_TraditionalForwardFormat": (
        b"<22>Aug  1 10:20:30 mx1 postfix/smtp[99]: " + WIRE_TEXT,
        "rfc3164",
        message(BSD, AUG_1, "inferred"),
    ),
    "RSYSLOG_ForwardFormat": (
        b"<22>2026-08-01T10:20:30+02:00 mx1 postfix/smtp[99]: " + WIRE_TEXT,
        "rfc3164",
        message(ISO, AUG_1, "exact"),
    ),
    "RSYSLOG_ForwardFormat-of-a-local-line": (
        b"<22>2026-08-01T10:20:30.123456+02:00 mx1 postfix/smtp[99]: " + WIRE_TEXT,
        "rfc3164",
        message(MICRO, AUG_1_MICRO, "exact"),
    ),
    "RSYSLOG_SyslogProtocol23Format": (
        b"<22>1 2026-08-01T10:20:30.123456+02:00 mx1 postfix 99 - -  " + WIRE_TEXT + b"\n",
        "rfc5424",
        message(MICRO, AUG_1_MICRO, "exact", tag="postfix"),
    ),
    "RSYSLOG_SyslogRFC5424Format": (
        b"<22>1 2026-08-01T10:20:30+02:00 mx1 postfix/smtp 99 - - " + WIRE_TEXT,
        "rfc5424",
        message(ISO, AUG_1, "exact"),
    ),
    "rfc5424-turned-into-rfc3164": (
        b"<22>Aug  1 10:20:30 mx1 postfix/smtp[99] \xef\xbb\xbf" + WIRE_TEXT,
        "rfc3164-irregular",
        message(BSD, AUG_1, "inferred"),
    ),
    "rfc5424-turned-into-rfc3164-without-host-and-pid": (
        b"<22>Aug  1 10:20:30 postfix \xef\xbb\xbf" + WIRE_TEXT,
        "rfc3164-irregular",
        message(BSD, AUG_1, "inferred", host=None, tag="postfix", pid=None),
    ),
    "tag-cut-at-32-bsd": (
        b"<22>Aug  1 10:20:30 mx1 postfix/submission/smtpd[1234567 " + WIRE_TEXT,
        "rfc3164-irregular",
        message(BSD, AUG_1, "inferred", tag="postfix/submission/smtpd", pid=None),
    ),
    "tag-cut-at-32-iso": (
        b"<22>2026-08-01T10:20:30+02:00 mx1 postfix/submission/smtpd[1234567 " + WIRE_TEXT,
        "rfc3164-irregular",
        message(ISO, AUG_1, "exact", tag="postfix/submission/smtpd", pid=None),
    ),
    "no-host": (
        b"<22>Aug  1 10:20:30 postfix/smtp[99]: " + WIRE_TEXT,
        "rfc3164-irregular",
        message(BSD, AUG_1, "inferred", host=None),
    ),
    "ipv6-host": (
        b"<22>Aug  1 10:20:30 2001:db8::25 postfix/smtp[99]: " + WIRE_TEXT,
        "rfc3164-irregular",
        message(BSD, AUG_1, "inferred", host="2001:db8::25"),
    ),
    "ipv4-host": (
        b"<22>Aug  1 10:20:30 192.0.2.25 postfix/smtp[99]: " + WIRE_TEXT,
        "rfc3164",
        message(BSD, AUG_1, "inferred", host="192.0.2.25"),
    ),
    "host-as-sent": (
        b"<22>Aug  1 10:20:30 MX_1.Example.com postfix/smtp[99]: " + WIRE_TEXT,
        "rfc3164",
        message(BSD, AUG_1, "inferred", host="MX_1.Example.com"),
    ),
    "pid-is-no-number": (
        b"<22>Aug  1 10:20:30 mx1 postfix/smtp[abcde]: " + WIRE_TEXT,
        "rfc3164-irregular",
        message(BSD, AUG_1, "inferred", pid=None),
    ),
    "space-after-the-priority": (
        b"<22> Aug  1 10:20:30 mx1 postfix/smtp[99]: " + WIRE_TEXT,
        "rfc3164",
        message(BSD, AUG_1, "inferred"),
    ),
    "year-in-a-bsd-stamp": (
        b"<22>Aug 01 2026 10:20:30 mx1 postfix/smtp[99]: " + WIRE_TEXT,
        "rfc3164",
        message("Aug 01 2026 10:20:30", AUG_1, "inferred"),
    ),
    "no-stamp": (
        b"<22>postfix/smtp[99]: " + WIRE_TEXT,
        "no-stamp",
        message("", NOW, "received", host=None),
    ),
    "no-stamp-but-host": (
        b"<22>mx1 postfix/smtp[99]: " + WIRE_TEXT,
        "no-stamp",
        message("", NOW, "received"),
    ),
    "no-stamp-no-priority": (
        b"postfix/smtp[99]: " + WIRE_TEXT,
        "no-stamp",
        message("", NOW, "received", host=None),
    ),
    "no-stamp-no-pid": (
        b"mx1 postfix/smtp: " + WIRE_TEXT,
        "no-stamp",
        message("", NOW, "received", pid=None),
    ),
    "unusable-stamp": (
        b"<22>Feb 30 10:20:30 mx1 postfix/smtp[99]: " + WIRE_TEXT,
        "rfc3164",
        message("Feb 30 10:20:30", NOW, "received"),
    ),
    "maillog_file": (
        b"Aug 01 10:20:30 mx1 postfix/smtp[99]: " + WIRE_TEXT,
        "rfc3164",
        message("Aug 01 10:20:30", AUG_1, "inferred"),
    ),
    "mail.log-of-debian-11": (
        b"Aug  1 10:20:30 mx1 postfix/smtp[99]: " + WIRE_TEXT + b"\n",
        "rfc3164",
        message(BSD, AUG_1, "inferred"),
    ),
    "mail.log-of-debian-12": (
        b"2026-08-01T10:20:30.123456+02:00 mx1 postfix/smtp[99]: " + WIRE_TEXT + b"\r\n",
        "rfc3164",
        message(MICRO, AUG_1_MICRO, "exact"),
    ),
    "journal-short": (
        b"Aug 01 10:20:30 mx1 postfix/smtp[99]: " + WIRE_TEXT,
        "rfc3164",
        message("Aug 01 10:20:30", AUG_1, "inferred"),
    ),
    "journal-short-iso": (
        b"2026-08-01T10:20:30+0200 mx1 postfix/smtp[99]: " + WIRE_TEXT,
        "rfc3164",
        message("2026-08-01T10:20:30+0200", AUG_1, "exact"),
    ),
    "journal-short-precise": (
        b"Aug 01 10:20:30.123456 mx1 postfix/smtp[99]: " + WIRE_TEXT,
        "rfc3164",
        message("Aug 01 10:20:30.123456", AUG_1_MICRO, "inferred"),
    ),
    "journal-short-full": (
        b"Sat 2026-08-01 10:20:30 CEST mx1 postfix/smtp[99]: " + WIRE_TEXT,
        "journal-short-full",
        message("Sat 2026-08-01 10:20:30 CEST", AUG_1, "inferred"),
    ),
    "journal-with-unit": (
        b"Sat 2026-08-01 10:20:30 CEST mx1 postfix@-.service[99]: " + WIRE_TEXT,
        "journal-short-full",
        message("Sat 2026-08-01 10:20:30 CEST", AUG_1, "inferred", tag="postfix@-.service"),
    ),
    "docker-json": (
        b'{"log":"Aug 01 10:20:30 mx1 postfix/smtp[99]: to=\\u003ca@b\\u003e\\n","stream":"a",%s}'
        % b'"time":"2026-08-01T08:20:31.5Z"',
        "docker-json > rfc3164",
        message("Aug 01 10:20:30", AUG_1, "inferred", text="to=<a@b>"),
    ),
    "docker-json-without-inner-stamp": (
        b'{"log":"postfix/smtp[99]: x\\n","stream":"stdout","time":"2026-08-01T08:20:30Z"}',
        "docker-json > no-stamp",
        message("2026-08-01T08:20:30Z", AUG_1, "exact", host=None, text="x"),
    ),
    "docker-json-with-an-unusable-inner-stamp": (
        b'{"log":"Feb 30 10:20:30 mx1 postfix/smtp[99]: x\\n","time":"2026-08-01T08:20:30Z"}',
        "docker-json > rfc3164",
        message("2026-08-01T08:20:30Z", AUG_1, "exact", text="x"),
    ),
    "docker-json-without-time": (
        b'{"log":"Aug 01 10:20:30 mx1 postfix/smtp[99]: x\\n"}',
        "docker-json > rfc3164",
        message("Aug 01 10:20:30", AUG_1, "inferred", text="x"),
    ),
    "docker-logs-t": (
        b"2026-08-01T08:20:31.123456789Z Aug 01 10:20:30 mx1 postfix/smtp[99]: " + WIRE_TEXT,
        "docker-logs > rfc3164",
        message("Aug 01 10:20:30", AUG_1, "inferred"),
    ),
    "docker-logs-t-of-an-iso-line": (
        b"2026-08-01T08:20:31.123456789Z 2026-08-01T10:20:30+02:00 mx1 postfix/smtp[99]: x",
        "docker-logs > rfc3164",
        message(ISO, AUG_1, "exact", text="x"),
    ),
    "docker-logs-t-of-a-line-without-stamp": (
        b"2026-08-01T08:20:30.123456789Z postfix/smtp[99]: " + WIRE_TEXT,
        "rfc3164-irregular",
        message("2026-08-01T08:20:30.123456789Z", AUG_1_MICRO, "exact", host=None),
    ),
    "docker-compose": (
        b"mail_1  | Aug 01 10:20:30 mx1 postfix/smtp[99]: " + WIRE_TEXT,
        "compose > rfc3164",
        message("Aug 01 10:20:30", AUG_1, "inferred"),
    ),
    "docker-compose-t": (
        b"mail-1 | 2026-08-01T08:20:31.12Z Aug 01 10:20:30 mx1 postfix/smtp[99]: " + WIRE_TEXT,
        "compose > docker-logs > rfc3164",
        message("Aug 01 10:20:30", AUG_1, "inferred"),
    ),
    "cri": (
        b"2026-08-01T10:20:31.123456789+02:00 stdout F Aug 01 10:20:30 mx1 postfix/smtp[99]: x",
        "cri > rfc3164",
        message("Aug 01 10:20:30", AUG_1, "inferred", text="x"),
    ),
    "cri-without-inner-stamp": (
        b"2026-08-01T10:20:30+02:00 stderr P postfix/smtp[99]: x",
        "cri > no-stamp",
        message(ISO, AUG_1, "exact", host=None, text="x"),
    ),
    "cri-without-inner-header": (
        b"2026-08-01T10:20:30+02:00 stdout F hello world",
        "cri",
        message(ISO, AUG_1, "exact", host=None, tag="", pid=None, text="hello world"),
    ),
    "no-tag": (
        b"<22>Aug  1 10:20:30 mx1 last message repeated 3 times",
        "rfc3164-irregular",
        message(BSD, AUG_1, "inferred", tag="", pid=None, text="last message repeated 3 times"),
    ),
    "repeated": (
        b"<22>Aug  1 10:20:30 mx1 postfix/smtp[99]: message repeated 2 times: [ 4XyZ: x]",
        "rfc3164",
        message(BSD, AUG_1, "inferred", text="message repeated 2 times: [ 4XyZ: x]"),
    ),
    "escapes-stay": (
        b"<22>Aug  1 10:20:30 mx1 postfix/smtp[99]: a#011b#303#266",
        "rfc3164",
        message(BSD, AUG_1, "inferred", text="a#011b#303#266"),
    ),
    "utf8": (
        b"<22>Aug  1 10:20:30 mx1 postfix/smtp[99]: to=<j\xc3\xb6rg@example.org>",
        "rfc3164",
        message(BSD, AUG_1, "inferred", text="to=<j\u00f6rg@example.org>"),
    ),
    "no-utf8": (
        b"<22>Aug  1 10:20:30 mx1 postfix/smtp[99]: to=<j\xff\xc3>",
        "rfc3164",
        message(BSD, AUG_1, "inferred", text="to=<j\ufffd\ufffd>"),
    ),
    "priority-only": (
        b"<22>hello world",
        "no-stamp",
        message("", NOW, "received", host=None, tag="", pid=None, text="hello world"),
    ),
}


@pytest.mark.parametrize(("line", "name", "wanted"), CASES.values(), ids=CASES)
def test_form(line: bytes, name: str, wanted: SyslogMessage) -> None:
    assert parse(line) == wanted
    assert form(line) == name


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"\n",
        b"hello world",
        b"12 foo",
        b"4XyZ: to=<a@example.org>, status=bounced (x)",
        b"<22",
        b"<192>Aug  1 10:20:30 mx1 postfix/smtp[99]: x",
        b"<abc>Aug  1 10:20:30 mx1 postfix/smtp[99]: x",
        b"Aug  1 10:20:30",
        b"Foo  1 10:20:30 mx1 postfix/smtp[99]: x",
        b"https://example.org/a: b",
        b"mail-1 | hello",
        b'{"log":"hello\\n","stream":"stdout"}',
        b'{"log":',
        b'{"a":1}',
        b"\x16\x03\x01\x02\x00\x01",
        b"\xff\xfe\xfd",
    ],
)
def test_no_header(line: bytes) -> None:
    assert parse(line) is None


def test_the_end_of_the_line_is_no_text() -> None:
    # A line sliced out of a block may still have its CR.
    for end in (b"", b"\r", b"\r\n", b"\n\0"):
        found = parse(b"Aug 01 10:20:30 mx1 postfix/smtp[99]: x" + end)
        assert found is not None
        assert found.text == "x"


def test_the_time_of_receipt_comes_out_in_utc() -> None:
    local = NOW.astimezone(BERLIN)
    found = parse_message(b"<22>postfix[1]: x", received_at=local, zone=BERLIN)
    assert found is not None
    assert found.time == NOW
    assert found.time.tzinfo is UTC


def test_layers_have_an_end() -> None:
    inner = b"Aug 01 10:20:30 mx1 postfix/smtp[99]: x"
    assert form(b"a | b | c | " + inner) == "compose > compose > compose > rfc3164"
    assert form(b"a | b | c | d | " + inner) is None


@pytest.mark.parametrize("name", FORMS)
def test_forms_are_read_as_written(name: str) -> None:
    @settings(max_examples=60)
    @given(log_lines)
    def check(line: LogLine) -> None:
        form_of = FORMS[name]
        found = parse_message(form_of.render(line).encode(), received_at=RECEIVED_AT, zone=ZONE)
        assert found is not None
        assert (found.host, found.tag, found.pid, found.text) == (
            line.host,
            line.tag,
            line.pid,
            line.text,
        )
        assert found.time_quality == ("exact" if form_of.exact else "inferred")
        assert found.time == expected_time(line, form_of)
        assert found.time.tzinfo is UTC

    check()


def expected_time(line: LogLine, form_of: FormOf) -> datetime:
    second = timedelta(seconds=1)
    time = line.time.replace(microsecond=0) if form_of.resolution == second else line.time
    local = time.astimezone(ZONE)
    # The second pass through the hour the clocks are put back is told as the first.
    return time if form_of.exact else local.replace(fold=0).astimezone(UTC)


@settings(max_examples=60)
@given(log_lines)
def test_rfc3164_and_rfc5424_say_the_same(line: LogLine) -> None:
    wanted = parse_message(
        FORMS["RSYSLOG_ForwardFormat"].render(line).encode(), received_at=RECEIVED_AT, zone=ZONE
    )
    assert wanted is not None
    for name in ("RSYSLOG_SyslogRFC5424Format", "RSYSLOG_SyslogProtocol23Format", "rfc5424-bom"):
        found = parse_message(FORMS[name].render(line).encode(), received_at=RECEIVED_AT, zone=ZONE)
        assert found is not None
        found.stamp = wanted.stamp
        assert found == wanted


HEAD_PIECES = [
    b"<22>",
    b"<22>1 ",
    b"<999>",
    b"<",
    b"Aug  1 10:20:30 ",
    b"Feb 30 25:61:61 ",
    b"2026-08-01T10:20:30+02:00 ",
    b"2026-08-01 10:20:60,5 ",
    b"9999-99-99T99:99:99Z ",
    b"Sat 2026-08-01 10:20:30 CEST ",
    b"Sun 0001-01-01 00:00:00 +14 ",
    b"- ",
    b"mx1 ",
    b"2001:db8::1 ",
    b"postfix/smtpd[99]: ",
    b"postfix/submission/smtpd[1234567 ",
    b"postfix: ",
    b"[",
    b"]",
    b'[a b="',
    b'\\"',
    b'"]',
    b"stdout F ",
    b"mail-1  | ",
    b'{"log":"',
    b'{"MESSAGE":',
    b'"}',
    b"[[[[[[[[",
    b"\xef\xbb\xbf",
    b"\xff",
    b"\0",
    b" ",
    b":",
    b"x",
    "\u0661".encode(),
]

broken_lines = st.lists(st.sampled_from(HEAD_PIECES) | st.binary(max_size=3), max_size=8).map(
    b"".join
)


@settings(max_examples=500)
@given(broken_lines)
def test_never_an_exception(line: bytes) -> None:
    found = parse(line)
    if found is not None:
        assert found.time.tzinfo is UTC
        assert (found.time == NOW) or found.time_quality != "received"
        (found.stamp + (found.host or "") + found.tag + found.text).encode()


@settings(max_examples=300)
@given(
    st.sampled_from(
        [
            b"<22>Aug  1 10:20:30 ",
            b"2026-08-01T10:20:30+02:00 ",
            b"<22>2026-08-01T10:20:30.123456+02:00 ",
            b"<22> 2026-08-01T10:20:30.123456+02:00 ",
            b"<022>2026-08-01T10:20:30.123456+02:00 ",
            b"22>2026-08-01T10:20:30.123456+02:00 ",
            b"2026-08-01T10:20:30.123456Z ",
            b"2026-08-01T10:20:30,123456Z ",
            b"2026-08-01 10:20:30.123456Z ",
            b"2026-08-01T10:20:30.123456 ",
            b"2026-08-01T10:20:3.1234560+02:00 ",
            b"2026-08-01T10:20:30.123456789Z ",
            b"2026-12-31T23:59:60.123456Z ",
            b"2026-08-32T10:20:30.123456Z ",
            "2026-08-01T10:20:30.12345\u0661Z ".encode(),
            "2026-08-01T10:20:30.12345\u00b2Z ".encode(),
        ]
    ),
    broken_lines | log_lines.map(lambda line: f"{line.host} {line.tag}: {line.text}".encode()),
)
@example(b"<22>Aug  1 10:20:30 ", b"mx1 2001:db8::1 x")
@example(b"<22>Aug  1 10:20:30 ", b"mx1 postfix:")
def test_the_hot_path_is_a_short_cut_and_no_other_rule(stamp: bytes, rest: bytes) -> None:
    text = (stamp + rest).decode("utf-8", "replace")
    # What was read before must not matter: this one has the key of others.
    parse_common("2026-08-01T10:20:30.000000+02:00 mx1 postfix: x", NOW, BERLIN)
    found = parse_common(text, NOW, BERLIN)
    if found is not None:
        assert found == parse_stamped(text, NOW, BERLIN)
