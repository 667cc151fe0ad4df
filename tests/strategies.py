"""Hypothesis strategies shared by the tests: wires made of valid and broken pieces, cut anywhere.

Random bytes find nothing: they almost never start a frame. So a wire is joined of pieces whose
outcome is known, and then cut into reads. The same for syslog lines: what a line says is made
first, then written in one of the forms.
"""

import itertools
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from hypothesis import strategies as st

from service.core.framing.base import Fault, Frame
from service.core.outcomes import Drop

BOUND = 40
"""`max_frame_bytes` of generated wires: small, so that over-long frames are common."""
MAX_COUNT = 90
"""`max_count` of generated wires."""


@dataclass(frozen=True)
class WirePiece:
    """Bytes of one frame with its trailer, and what becomes of them at the start of a frame."""

    wire: bytes
    outcome: Frame | Fault
    second_trailer: bytes
    """The byte that is swallowed if it comes next; empty: nothing is read any more."""


def counted(payload: bytes) -> bytes:
    return b"%d %s" % (len(payload), payload)


def compressed(text: bytes) -> bytes:
    """As rsyslog sends it: `z` and a zlib stream."""
    return b"z" + zlib.compress(text)


def cut(wire: bytes, points: Sequence[int]) -> list[bytes]:
    """`wire` as a socket may deliver it; points outside it, and double ones, are harmless."""
    places = [0, *sorted(p for p in points if 0 < p < len(wire)), len(wire)]
    return [wire[a:b] for a, b in itertools.pairwise(places)]


def cuts() -> st.SearchStrategy[list[int]]:
    return st.lists(st.integers(0, 600), max_size=12)


_CONTENT = st.text("<22>1 09z:-aé.x[]", max_size=BOUND // 2).map(str.encode)
_LINE_START = st.sampled_from(
    [
        b"",
        b"<22>",
        b"<22>1 ",
        b"12 foo",
        b"7",
        b"7 ",
        b"0 <22>",
        b"05 <22>",
        b"12345678901 <22>",
        b"2026-08-22T10:00:00 mx1 ",
        b"zx\x9c",
        b"9 z",
        b"9 zx",
        b" <",
        b"\xff\xfe",
        b"\x16\x03\x01",
    ]
)


def _starts_counted(line: bytes) -> bool:
    """`line` and its LF would be read as the start of an octet-counted frame."""
    digits, space, rest = line.partition(b" ")
    return (
        bool(space)
        and 1 <= len(digits) <= 10
        and digits.isdigit()
        and not digits.startswith(b"0")
        and (rest.startswith((b"<", b"zx\x01", b"zx\x5e", b"zx\x9c", b"zx\xda")))
    )


def _line(start: bytes, content: bytes, trailer: bytes) -> WirePiece:
    line = start + content
    body = line + trailer[:-1]
    if len(body) > BOUND:
        return WirePiece(line + trailer, Frame(body[:BOUND], truncated=True), _second(trailer))
    return WirePiece(line + trailer, Frame(line), _second(trailer))


def _second(trailer: bytes) -> bytes:
    return b"\0" if trailer.endswith(b"\n") else b"\n"


def _over_long_line(inside: bytes, trailer: bytes) -> WirePiece:
    line = b"<22>" + b"x" * BOUND + inside
    return WirePiece(line + trailer, Frame(line[:BOUND], truncated=True), _second(trailer))


_TRAILERS = st.sampled_from([b"\n", b"\n", b"\r\n", b"\0"])

lines = st.builds(_line, _LINE_START, _CONTENT, _TRAILERS).filter(
    lambda piece: not _starts_counted(piece.wire)
)
over_long_lines = st.builds(
    _over_long_line, st.sampled_from([b"", b"5 <1234", b"99999 <", b"<1>a", b"7"]), _TRAILERS
)
counted_frames = st.builds(
    lambda content, tail: WirePiece(
        counted(b"<22>" + content + tail), Frame(b"<22>" + content), b"\n"
    ),
    _CONTENT.filter(lambda content: len(content) <= BOUND - 6),
    st.sampled_from([b"", b"\n", b"\r\n", b"\n\0", b"\0"]),
)
counted_with_line_ends_inside = st.just(
    WirePiece(counted(b"<22>a\n5 <bcd\0e"), Frame(b"<22>a\n5 <bcd\0e"), b"\n")
)
compressed_frames = st.builds(
    lambda text: WirePiece(counted(compressed(text)), Frame(text), b"\n"),
    st.sampled_from([b"<22>hello", b"<22>" + b"a" * 30, b"<2>\xff"]),
)
inflating_past_the_bound = st.just(
    WirePiece(counted(compressed(b"<22>" + b"b" * 900)), Frame(b"<22>" + b"b" * 36, True), b"\n")
)
corrupt_frames = st.builds(
    lambda junk: WirePiece(
        counted(b"zx\x9c" + junk), Fault(Drop.BAD_COMPRESSION, 3 + len(junk)), b"\n"
    ),
    st.sampled_from([b"", b"\x00", b"\xff\xff\xff\xff", b"abc\n5 <def"]),
)
over_long_counted = st.builds(
    lambda inside: WirePiece(
        counted(b"<22>" + b"y" * BOUND + inside), Frame(b"<22>" + b"y" * (BOUND - 4), True), b"\n"
    ),
    st.sampled_from([b"", b"5 <1234\n", b"\n99999 <", b"\0\0"]),
)
bad_counts = st.sampled_from([b"91 ", b"9999999999 ", b"100 "]).map(
    lambda header: WirePiece(header + b"<22>", Fault(Drop.BAD_COUNT, len(header), fatal=True), b"")
)

wire_pieces: st.SearchStrategy[WirePiece] = st.one_of(
    lines,
    lines,
    over_long_lines,
    counted_frames,
    counted_with_line_ends_inside,
    compressed_frames,
    inflating_past_the_bound,
    corrupt_frames,
    over_long_counted,
)
"""Every piece but a bad count, which ends the stream."""


@dataclass(frozen=True)
class LogLine:
    """What a syslog line says, before a form is chosen for it."""

    time: datetime
    """UTC, microseconds."""
    host: str
    tag: str
    pid: int | None
    text: str


_LABEL = st.from_regex(r"[a-z][a-z0-9_-]{0,8}", fullmatch=True)

hosts: st.SearchStrategy[str] = st.one_of(
    _LABEL,
    st.lists(_LABEL, min_size=2, max_size=4).map(".".join),
    st.sampled_from(["mx1", "MX1.Example.COM", "mx_1", "localhost", "amnesiac"]),
    st.ip_addresses(v=4).map(str),
    st.ip_addresses(v=6).map(str),
    st.sampled_from(["[192.0.2.1]", "[2001:db8::1]", "::1", "2001:db8::", "fe80::1%eth0"]),
)

tags: st.SearchStrategy[str] = st.one_of(
    st.sampled_from(
        ["postfix/smtp", "postfix/smtpd", "postfix/submission/smtpd", "postfix-out/qmgr", "dovecot"]
    ),
    st.lists(_LABEL, min_size=1, max_size=4).map("/".join),
)

texts: st.SearchStrategy[str] = st.one_of(
    st.sampled_from(
        [
            "4XyZabc: to=<a@example.org>, relay=none, delay=1, dsn=4.4.1, status=deferred (x)",
            "NOQUEUE: reject: RCPT from x[192.0.2.1]: 550 5.1.1 <j\u00f6@x>: no; from=<> to=<a>",
            "warning: x[1]: Aug  1 10:20:30 mx2 postfix/smtpd[2]: 4AB: to=<c@d>",
            "[repeated] <22>1 2026-08-01T10:20:30Z mx2 a b c - d",
            "",
        ]
    ),
    st.text(
        st.characters(codec="utf-8", exclude_categories=["Cs"], exclude_characters="\r\n\0"),
        max_size=60,
    ).map(lambda text: text.lstrip(" \ufeff")),
)

RECEIVED_AT = datetime(2026, 8, 22, 10, 0, tzinfo=UTC)

log_lines: st.SearchStrategy[LogLine] = st.builds(
    LogLine,
    time=st.timedeltas(timedelta(days=-178), timedelta(days=178)).map(
        lambda lateness: RECEIVED_AT + lateness
    ),
    host=hosts,
    tag=tags,
    pid=st.none() | st.integers(0, 9_999_999_999),
    text=texts,
)
"""Times lie within half a year of `RECEIVED_AT`, so that a stamp without a year names them."""
