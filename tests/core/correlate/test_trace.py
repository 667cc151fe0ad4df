"""Whose line it is: whatever the header, the quick way reads what the parser reads."""

import gc
import re
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from service.core.correlate.trace import (
    CLIENT,
    REMOVED,
    TO,
    Trace,
    Traces,
    is_session,
    queue_of,
    told_by,
)
from service.core.postfix.record import MAX_TAG, identify
from service.core.syslog.header import parse_message
from tests.core.correlate.telling import LINES, NOTHING, PROXIED
from tests.core.syslog.forms import FORMS, ZONE
from tests.strategies import RECEIVED_AT, LogLine, hosts, log_lines, tags
from tests.strategies_postfix import hostile

PEER = "192.0.2.250"
_TOLD = re.compile(
    r"(NOQUEUE(?=: client=)|(?!NOQUEUE)[0-9A-Z][0-9A-Za-z]{4,31}): "
    r"(client=|message-id=|from=|to=<|removed|uid=|sender |postmaster )(.*)",
    re.DOTALL,
)
told = st.sampled_from([*LINES.values(), PROXIED, *NOTHING])
"""A line of each kind, and such as look like one."""
imitating = st.builds(
    lambda line, more: (line + more).rstrip("\r\n\0"),
    told,
    hostile().map(lambda text: text.replace("\0", "?")),
)
"""With text behind that imitates other lines: a frame with a count may hold line feeds."""


def test_mail_without_an_id_is_known_by_its_process() -> None:
    lines = {
        "<22>Aug 22 10:00:00 mx1 postfix/smtpd[7]: ": "postfix/smtpd[7]",
        "<22>Aug 22 10:00:00 mx1 postfix/smtpd[8]: ": "postfix/smtpd[8]",
        "<22>1 2026-08-22T10:00:00Z mx1 postfix/smtpd 7 - - ": "postfix/smtpd[7]",
    }
    for head, process in lines.items():
        trace = read(head.encode() + PROXIED.encode())
        assert trace is not None
        queue, key, _, opening, _ = trace
        assert key == queue.prefix + f"NOQUEUE{process}".encode()
        assert is_session(key)
        assert opening == CLIENT
    assert read(b"<22>Aug 22 10:00:00 mx1 postfix/smtpd: " + PROXIED.encode()) is None


def traces() -> Traces:
    return Traces(ZONE)


def read(
    line: bytes, reader: Traces | None = None, received_at: datetime = RECEIVED_AT
) -> Trace | None:
    return (reader or traces()).read(told_by(line), received_at, PEER)


def slowly(line: bytes) -> tuple[str, str, str, str, str] | None:
    """Host, instance, queue id, opening and text, by the parser and one pattern."""
    message = parse_message(line, received_at=RECEIVED_AT, zone=ZONE)
    if message is None:
        return None
    identity = identify(message.tag) if len(message.tag) <= MAX_TAG else None
    match = _TOLD.match(message.text)
    if identity is None or match is None:
        return None
    queue_id, opening, text = match.groups()
    if queue_id == "NOQUEUE":
        if message.pid is None:
            return None
        queue_id += f"{message.tag}[{message.pid}]"
    host = (message.host or PEER).lower()
    return host, identity.instance, queue_id, opening, text.replace("\n", "?")


def quickly(line: bytes) -> tuple[str, str, str, str, str] | None:
    """The same from a trace, which must be the same when its host and tag are remembered."""
    reader = traces()
    first, again = read(line, reader), read(line, reader)
    assert first == again
    if first is None:
        return None
    queue, key, _, opening, text = first
    assert queue == queue_of(queue.host, queue.instance)
    assert key.startswith(queue.prefix)
    queue_id = key.removeprefix(queue.prefix).decode()
    assert is_session(key) or key == queue.key(queue_id)
    return queue.host, queue.instance, queue_id, opening.decode(), text.decode("utf-8", "replace")


@pytest.mark.parametrize("form", FORMS)
@given(log_lines, st.one_of(told, imitating))
def test_every_form_of_a_header_is_read_as_the_parser_reads_it(
    form: str, line: LogLine, text: str
) -> None:
    if form == "maillog_file":
        text = text.replace("\n", "?")
    sent = LogLine(line.time, line.host, line.tag, line.pid, text)
    raw = FORMS[form].render(sent).encode()
    assert quickly(raw) == slowly(raw)


_STAMPS = st.sampled_from(
    [
        "Aug 22 10:00:00",
        "Aug  2 10:00:00",
        "Aug 02 10:00:00",
        "Aug 2 10:00:00",
        "Aug 22 2026 10:00:00",
        "Aug 22 10:00:00.123456",
        "Aug 22 10:00:00:",
        "Aug 99 10:00:00",
        "2026-08-22T10:00:00.123456+02:00",
        "2026-08-22T10:00:00Z",
        "2026-08-22 10:00:00",
        "2026-08-22 10:00:00,123",
        "2026-08-22T10:00:00.123456789Z Aug 22 10:00:00",
        "2026-08-22T10:00:00.1Z 2026-08-22T10:00:00Z",
        "2026-08-22T10:00:00.1Z stdout F Aug 22 10:00:00",
        "2026-08-22T10:00:00.1Z stderr P:x Aug 22 10:00:00",
        "mail-1  | Aug 22 10:00:00",
        "Sat 2026-08-22 10:00:00 CEST",
        "-",
        "",
    ]
)
_HOSTS = st.one_of(
    hosts, st.sampled_from(["", "-", "postfix:", "stdout", "F", "mx1 mx2", "h" * 600])
)
_TAGS = st.one_of(
    tags,
    st.sampled_from(
        [
            *("postfix/smtpd[7]", "postfix[7]", "postfix", "postfix-out/qmgr[1]", "a/b/c/smtpd[1]"),
            *("postfix/submission/smtpd[1234567", "postfix/smtpd[7]:", "-", "[7]", "dovecot[7]"),
            *("postfix/smtpd[]", "postfix/smtpd[x]", "post\ufefffix/smtpd", "p" * 300 + "/smtpd"),
        ]
    ),
)
_SEPARATORS = st.sampled_from([": ", ":  ", ": \ufeff", ":", " ", ":\t", " \ufeff", ": \ufeff "])


@given(
    st.sampled_from(["<22>", "", "<22> ", "<0>", "<191>", "<22>1 "]),
    st.lists(_STAMPS, min_size=1, max_size=2).map(" ".join),
    _HOSTS,
    _TAGS,
    _SEPARATORS,
    st.one_of(told, imitating),
    st.sampled_from(["", "", "\r", "\0", "\r\n", "\n"]),
)
@example("<22>", "Aug 22 10:00:00", "", "postfix/smtpd[7]", ": ", LINES[CLIENT], "")
def test_any_header_that_a_sender_may_make_up(
    priority: str, stamp: str, host: str, tag: str, separator: str, text: str, end: str
) -> None:
    before = " ".join(part for part in (f"{priority}{stamp}", host, tag) if part)
    raw = f"{before}{separator}{text}{end}".encode()
    expected = slowly(raw)
    if expected is not None or parse_message(raw, received_at=RECEIVED_AT, zone=ZONE) is not None:
        assert quickly(raw) == expected


_5424_HOSTS = st.one_of(hosts, st.sampled_from(["-", "h" * 600]))


@given(
    st.sampled_from(
        ["2026-08-22T10:00:00.123456Z", "2026-08-22T10:00:00+02:00", "-", "2026-08-99T1"]
    ),
    _5424_HOSTS,
    _TAGS.filter(lambda tag: " " not in tag),
    st.sampled_from(["7", "-", "x"]),
    st.sampled_from(["-", "- ", "-  ", '[a@1 b="\\]"] ', "[broken ", ""]),
    st.sampled_from(["", "\ufeff", " ", "\ufeff "]),
    st.one_of(told, imitating),
)
def test_any_header_of_rfc_5424(  # with and without a slash in the program's name
    stamp: str, host: str, tag: str, pid: str, data: str, before: str, text: str
) -> None:
    raw = f"<22>1 {stamp} {host} {tag} {pid} - {data}{before}{text}".encode()
    assert quickly(raw) == slowly(raw)


@pytest.mark.parametrize("opening", LINES)
def test_every_kind_of_line_that_tells(opening: bytes) -> None:
    text = LINES[opening]
    trace = read(b"<22>Aug 22 10:00:00 MX1 postfix/x[1]: " + text.encode())
    assert trace is not None
    queue, key, stamp, found, said = trace
    assert (queue.host, queue.instance) == ("mx1", "postfix")
    assert key == queue.key(text.partition(": ")[0])
    assert stamp == b"Aug 22 10:00:00"
    assert found == opening
    assert said == text.partition(": ")[2].removeprefix(opening.decode()).encode()


@pytest.mark.parametrize("text", NOTHING)
def test_lines_that_tell_of_no_message(text: str) -> None:
    assert read(b"<22>Aug 22 10:00:00 mx1 postfix/x[1]: " + text.encode()) is None


@pytest.mark.parametrize("tag", ["dovecot[7]", "amavis[1]", "smtpd[1]"])
def test_other_programs_print_similar_lines(tag: str) -> None:
    line = f"<22>Aug 22 10:00:00 mx1 {tag}: {LINES[CLIENT]}".encode()
    assert read(line) is None
    assert read(f"<22>1 2026-08-22T10:00:00Z mx1 {tag[:-3]} 7 - - {LINES[CLIENT]}".encode()) is None


def test_services_of_one_instance_share_its_queue() -> None:
    reader = traces()
    names = ["postfix/smtpd", "postfix/submission/smtpd", "postfix/relay/smtp", "postfix/qmgr"]
    found = [
        read(f"<22>Aug 22 10:00:00 mx1 {name}[1]: {LINES[REMOVED]}".encode(), reader)
        for name in names
    ]
    assert len({trace and trace[1] for trace in found}) == 1
    other = read(f"<22>Aug 22 10:00:00 mx1 postfix-out/qmgr[1]: {LINES[REMOVED]}".encode(), reader)
    assert other is not None
    assert found[0] is not None
    assert other[1] != found[0][1]
    assert reader.siblings(found[0][0]) == (other[0],)
    assert reader.siblings(other[0]) == (found[0][0],)


def test_instances_of_other_hosts_are_no_siblings() -> None:
    reader = traces()
    one = read(f"<22>Aug 22 10:00:00 mx1 postfix/qmgr[1]: {LINES[REMOVED]}".encode(), reader)
    read(f"<22>Aug 22 10:00:00 mx2 postfix-out/qmgr[1]: {LINES[REMOVED]}".encode(), reader)
    assert one is not None
    assert reader.siblings(one[0]) == ()


def test_the_same_queue_id_of_two_hosts_is_two() -> None:
    keys = {queue_of(host, name).key("4ABCDE12F") for host in "ab" for name in ("c", "d")}
    assert len(keys) == 4
    assert queue_of("MX1", "postfix") == queue_of("mx1", "postfix")


def test_a_line_without_a_host_is_its_senders() -> None:
    for header in (
        "<22>Aug 22 10:00:00 postfix/smtpd[7]: ",
        "<22>1 2026-08-22T10:00:00Z - postfix/smtpd 7 - - ",
    ):
        trace = read(header.encode() + LINES[CLIENT].encode())
        assert trace is not None
        assert trace[0].host == PEER, header


def test_docker_escapes_what_html_would() -> None:
    escaped = LINES[TO].replace("<", "\\u003c").replace(">", "\\u003e")
    log = f"Aug 22 10:00:00 mx1 postfix/smtp[1]: {escaped}"
    trace = read(f'{{"log":"{log}\\n","stream":"stdout","time":"2026-08-22T10:00:00Z"}}'.encode())
    assert trace is not None
    assert (trace[3], trace[4][:16]) == (TO, b"bob@example.net>")


def test_the_stamp_is_one_that_tells_a_time_and_cannot_imitate_a_record() -> None:
    json = (
        '{{"__REALTIME_TIMESTAMP":{},"_HOSTNAME":"mx1","SYSLOG_IDENTIFIER":"postfix/smtpd",'
        '"MESSAGE":"{}"}}'
    )
    for stamp, expected in (
        ('"1787392800123456"', b"2026-08-22T10:00:00.123456+00:00"),
        ('"1\\nm<evil@example.org>"', b""),
        ('"' + "1" * 9000 + '"', b""),
        ("7", b""),
    ):
        trace = read(json.format(stamp, LINES[CLIENT]).encode())
        assert trace is not None
        assert trace[2] == expected
    evil = f"<22>2026-08-22T10:00:00\nm<evil@example.org> mx1 postfix/smtpd[1]: {LINES[CLIENT]}"
    assert read(evil.encode()) is None
    assert read(evil.replace("\n", "Z" * 99).encode()) is None


def test_a_line_feed_in_a_counted_frame_begins_no_record() -> None:
    for header in (
        "Aug 22 10:00:00 mx1 postfix/cleanup[1]:",
        "1 2026-08-22T10:00:00Z mx1 postfix/cleanup 1 - -",
    ):
        trace = read(f"<22>{header} 4ABCDE12F: message-id=<a\nf<boss@example.org>, size=1".encode())
        assert trace is not None
        assert trace[4] == b"<a?f<boss@example.org>, size=1"


def test_long_values_are_cut_and_long_names_not_remembered() -> None:
    reader = traces()
    heads = (
        "Aug 22 10:00:00 {} postfix/smtpd[7]:",
        "1 2026-08-22T10:00:00Z {} postfix/smtpd 7 - -",
    )

    def read_from(number: int) -> None:
        host = f"{number}{'h' * 60_000}"
        for head in heads:
            line = f"<22>{head.format(host)} 4ABCDE12F: message-id={'m' * 9000}"
            trace = read(line.encode(), reader)
            assert trace is not None
            assert trace[0].host == host
            assert len(trace[4]) <= 2048

    read_from(0)
    with grown() as taken:
        for number in range(1, 20):
            read_from(number)
    assert taken[0] < 30_000


def test_many_names_are_bounded() -> None:
    reader = traces()
    with grown() as taken:
        for number in range(20_000):
            line = f"<22>Aug 22 10:00:00 h{number} postfix/smtpd[{number}]: {LINES[REMOVED]}"
            assert read(line.encode(), reader) is not None
    assert taken[0] < 20_000_000, "some 8192 of each"
    for number in range(100):
        line = f"<22>Aug 22 10:00:00 mx1 p{number}/smtpd[1]: {LINES[REMOVED]}"
        trace = read(line.encode(), reader)
    assert trace is not None
    assert len(reader.siblings(trace[0])) < 16


@contextmanager
def grown() -> Iterator[list[int]]:
    """Bytes that Python holds more after it than before."""
    found: list[int] = []
    tracemalloc.start()
    try:
        gc.collect()
        before, _ = tracemalloc.get_traced_memory()
        yield found
        gc.collect()
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    found.append(after - before)


@given(st.binary(max_size=400))
@example(b"<22>Aug 22 10:00:00 \xff\xfe postfix/smtpd[1]: 4ABCDE12F: message-id=<\xff\0>")
def test_no_bytes_raise(line: bytes) -> None:
    assert quickly(line) == slowly(line)


def test_bytes_that_are_no_utf_8_are_kept_for_the_story() -> None:
    trace = read(b"<22>Aug 22 10:00:00 m\xffx postfix/smtpd[1]: 4ABCDE12F: message-id=<\xff\0>")
    assert trace is not None
    assert (trace[0].host, trace[4]) == ("m\ufffdx", b"<\xff\0>")


def test_time_of_receipt_does_not_matter() -> None:
    line = f"<22>Aug 22 10:00:00 mx1 postfix/smtpd[1]: {LINES[CLIENT]}".encode()
    assert read(line) == read(line, received_at=datetime(2020, 1, 1, tzinfo=UTC))
