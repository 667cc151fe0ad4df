"""However lines come, whole, in blocks or cut anywhere, the same comes out: for any bytes."""

from collections import Counter
from datetime import datetime, timedelta

from hypothesis import assume, given, settings
from hypothesis import strategies as st

import schemas
from service.core.envelope import Envelope
from service.core.framing.base import Block, Frame, Piece, flatten
from service.core.framing.sniffing import StreamFramer
from service.core.postfix.markers import LONG_LINE, is_candidate
from service.metrics import Metrics
from service.received import Origin
from tests import sample_lines as lines
from tests.metric_values import assert_balanced
from tests.sample_lines import NOW, ORIGIN, pipeline
from tests.strategies import RECEIVED_AT, counted, cut, cuts, log_lines
from tests.strategies_postfix import PIECES

_TEXTS = st.lists(st.sampled_from((*PIECES, "\x1b[2J", "\x7f", "\u202e", "status=", "reject: ",
                                   "abort: TLS", "to=<", "4ABCDE12F: ", "NOQUEUE: ")),
                  max_size=14).map("".join)  # fmt: skip
_GOOD = st.sampled_from(
    [
        lines.REJECT,
        lines.DEFERRED,
        lines.BOUNCED,
        lines.REPEATED,
        lines.UNKNOWN_SHAPE,
        lines.SENT,
        lines.PROBE,
        lines.HARMLESS,
        lines.NOT_POSTFIX,
        lines.NOT_SYSLOG,
        b"",
        b" ",
    ]
)
_HOSTILE = st.one_of(
    _TEXTS.map(lambda text: lines.HEADER + b"smtpd[7]: " + text.encode()),
    _TEXTS.map(lambda text: lines.REJECT.replace(b"bad.example", text.encode())),
    _TEXTS.map(lambda text: lines.BOUNCED.replace(b"User unknown", text.encode())),
    _TEXTS.map(lambda text: lines.DEFERRED.replace(b"later@example.net", text.encode())),
    _TEXTS.map(lambda text: b"<22>1 2026-08-22T10:00:00Z mx1 postfix 7 - - " + text.encode()),
    log_lines.map(
        lambda log: f"<22>{log.time:%b %d %H:%M:%S} {log.host} {log.tag}[1]: {log.text}".encode()
    ),
)
_RANDOM = st.one_of(
    st.binary(max_size=80),
    st.binary(max_size=20).map(lambda junk: lines.HEADER + junk + b"status=bounced (" + junk),
    # Around the length at which every line is looked at, and beyond Postfix's own bound.
    st.integers(-3, 3).map(lambda n: lines.HARMLESS.ljust(LONG_LINE + n, b"x")),
    st.integers(1990, 2300).map(
        lambda n: (lines.HEADER + b"smtp[1]: 4ABCDE12F: to=<").ljust(n, b"x")
    ),
)
_LINES = st.lists(
    st.one_of(_GOOD, _HOSTILE, _RANDOM).map(
        # LF and NUL end a line on a wire; what begins like a count would be one.
        lambda line: line.replace(b"\n", b"?").replace(b"\0", b"?")
    ),
    max_size=12,
)
_ENDS = st.sampled_from([b"\n", b"\n", b"\n", b"\r\n", b"\r\r\n"])


def _result(metrics: Metrics, envelopes: list[Envelope]) -> object:
    counts = Counter(
        {
            (sample.name, *sorted(sample.labels.items())): sample.value
            for family in metrics.registry.collect()
            for sample in family.samples
            if not sample.name.endswith("_created")
        }
    )
    return (
        [(e.subject, e.message_id, e.event_type, e.body, e.header_lines) for e in envelopes],
        counts,
    )


def _run(batches: list[list[Piece]], received_at: datetime = NOW) -> object:
    made, metrics = pipeline()
    envelopes = [
        envelope for pieces in batches for envelope in made.process(pieces, ORIGIN, received_at)
    ]
    assert_balanced(metrics)
    for envelope in envelopes:
        event = schemas.decode(envelope.body)
        assert event.event_id == envelope.message_id
        assert event.event_type == envelope.event_type
        assert envelope.subject.split(".")[:2] == ["postfix", event.event_type]
        assert envelope.header_lines.isascii()
    return _result(metrics, envelopes)


def _starts_like_a_count(line: bytes) -> bool:
    return line[:1].isdigit()


@settings(max_examples=60)
@given(_LINES, st.lists(_ENDS, min_size=12, max_size=12), cuts())
def test_frames_blocks_and_cut_streams_are_equal(
    some: list[bytes], ends: list[bytes], points: list[int]
) -> None:
    wire = b"".join(line + end for line, end in zip(some, ends, strict=False))
    frames: list[Piece] = [
        Frame((line + end).removesuffix(b"\n").removesuffix(b"\r"))
        for line, end in zip(some, ends, strict=False)
    ]
    expected = _run([frames])
    assert _run([[frame] for frame in frames]) == expected
    if some:
        assert _run([[Block(wire, len(some))]]) == expected
    if any(_starts_like_a_count(line) for line in some):
        return
    framer = StreamFramer()
    # Cut over the whole of the wire, whatever its length.
    scaled = [point * len(wire) // 600 for point in points]
    batches = [framer.feed(part) for part in cut(wire, scaled)]
    assert _run([*batches, framer.end()]) == expected


_IDS = st.sampled_from([b"4ABCDE12F", b"5F00112233", b"NOQUEUE"])
_TELLING = st.builds(
    lambda head, queue_id, text: head + queue_id + b": " + text,
    st.sampled_from(
        [
            lines.HEADER + b"x[7]: ",
            b"<22>2026-08-22T10:00:00.1Z mx2 postfix-out/x[8]: ",
            b"<22>1 2026-08-22T10:00:00.1Z mx1 postfix/x 7 - - ",
        ]
    ),
    _IDS,
    st.sampled_from(
        [
            b"client=mail.example.net[192.0.2.10], orig_queue_id=5F00112233",
            b"uid=90 from=<anna@example.org> orig_id=4ABCDE12F",
            b"message-id=<a@b>",
            b"from=<a@example.net>, size=4211, nrcpt=2 (queue active)",
            b"to=<later@example.net>, relay=local, status=sent (forwarded as 5F00112233)",
            b"sender non-delivery notification: 5F00112233",
            b"removed",
        ]
    ),
)


@settings(max_examples=60)
@given(
    st.lists(st.one_of(_TELLING, _TELLING, _GOOD, _HOSTILE, _RANDOM), max_size=16),
    st.sampled_from([b"\n", b"\r\n", b"\r\r\n"]),
    st.booleans(),
)
def test_a_block_tells_what_its_lines_tell(some: list[bytes], end: bytes, looks: bool) -> None:
    some = [line.replace(b"\n", b"?").replace(b"\0", b"?") for line in some]
    if looks:  # somebody has looked already, and there is nothing to be seen
        some = [line for line in some if not is_candidate(line + end[:-1])]
    assume(some)
    wire = b"".join(line + end for line in some)
    _assert_tells_as_its_lines(Block(wire, len(some), has_no_candidate=looks))


def test_a_long_block_tells_what_its_lines_tell() -> None:
    """It is taken apart in portions."""
    some = [
        lines.HEADER + b"x[7]: 4ABCDE%05d: message-id=<%b@b>" % (number, b"x" * (number * 7 % 700))
        for number in range(400)
    ]
    some[350:350] = [lines.BOUNCED]
    _assert_tells_as_its_lines(Block(b"\n".join((*some, b"")), len(some)))


def _assert_tells_as_its_lines(block: Block) -> None:
    """What is remembered of messages, not only the events."""
    whole, whole_metrics = pipeline()
    single, single_metrics = pipeline()
    found = whole.process([block], ORIGIN, NOW)
    expected = [
        envelope
        for frame in flatten([block])
        if isinstance(frame, Frame)
        for envelope in single.process([frame], ORIGIN, NOW)
    ]
    assert _result(whole_metrics, found) == _result(single_metrics, expected)
    kept = [list(part.items()) for part in whole.correlation.correlator.kept()]
    assert kept == [list(part.items()) for part in single.correlation.correlator.kept()]
    assert whole.correlation.held == single.correlation.held
    assert_balanced(whole_metrics)


@settings(max_examples=40)
@given(_LINES)
def test_octet_counted_frames_give_the_same_events(some: list[bytes]) -> None:
    some = [line for line in some if line.startswith(b"<") and not line.endswith(b"\r")]
    framer = StreamFramer()
    pieces = framer.feed(b"".join(map(counted, some))) + framer.end()
    assert _run([pieces]) == _run([[Frame(line) for line in some]])


@settings(max_examples=40)
@given(_LINES, st.timedeltas(timedelta(days=-4000), timedelta(days=4000)))
def test_ids_do_not_depend_on_time(some: list[bytes], later: timedelta) -> None:
    def ids(received_at: datetime, origin: Origin) -> list[str]:
        made, _ = pipeline()
        frames: list[Piece] = [Frame(line) for line in some]
        return [e.message_id for e in made.process(frames, origin, received_at)]

    assert ids(NOW, ORIGIN) == ids(NOW + later, Origin("udp", ORIGIN.source_ip))


@settings(max_examples=50)
@given(st.lists(st.binary(max_size=200), max_size=8), st.binary(max_size=40))
def test_any_bytes_have_a_counted_outcome(parts: list[bytes], glue: bytes) -> None:
    framer = StreamFramer(max_frame_bytes=480)
    batches = [framer.feed(part + glue) for part in parts]
    _run([*batches, framer.abort()], RECEIVED_AT)


def test_a_block_is_its_lines() -> None:
    """`flatten`, by which other tests judge blocks, agrees."""
    block = Block(b"a\r\n\nb\r\r\n", 3)
    assert [f.data for f in flatten([block]) if isinstance(f, Frame)] == [b"a", b"", b"b\r"]
