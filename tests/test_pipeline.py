"""Frames to envelopes: each ends as exactly one outcome, in whatever pieces it came."""

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

import schemas
from schemas import BouncedEvent, InvalidEvent
from service.core.classify import (
    Place,
    RulesFile,
    builtin_classifier,
    compile_files,
    own_and_builtin,
)
from service.core.envelope import Envelope
from service.core.framing.base import Block, Fault, Frame, Piece, flatten
from service.core.framing.sniffing import StreamFramer
from service.core.outcomes import Drop, Malformed, Skip
from service.core.postfix.markers import LONG_LINE, is_candidate
from service.metrics import Metrics
from service.pipeline import Pipeline
from service.pipeline_config import PipelineConfig
from service.received import Origin
from tests import sample_lines as lines
from tests.metric_values import assert_balanced, value
from tests.sample_lines import NOW, ORIGIN, pipeline, read_line
from tests.strategies import RECEIVED_AT, counted, cut, cuts, log_lines
from tests.strategies_postfix import PIECES


def outcome(data: bytes, truncated: bool = False) -> tuple[list[Envelope], Metrics]:
    made, metrics = pipeline()
    envelopes = made.frame(Frame(data, truncated), ORIGIN, NOW)
    assert value(metrics, "frames_received_total", transport="tcp") == 1
    assert_balanced(metrics)
    return envelopes, metrics


@pytest.mark.parametrize(
    ("line", "event_type"),
    [
        (lines.REJECT, "reject"),
        (lines.DEFERRED, "deferred"),
        (lines.BOUNCED, "bounced"),
        (lines.UNKNOWN_SHAPE, "invalid"),
    ],
)
def test_failures_become_events(line: bytes, event_type: str) -> None:
    (envelope,), metrics = outcome(line)
    event = schemas.decode(envelope.body)
    assert event.event_type == envelope.event_type == event_type
    assert event.event_id == envelope.message_id
    assert envelope.subject == f"postfix.{event_type}.mx1"
    assert envelope.received == NOW.timestamp()
    assert event.received_at == NOW
    assert event.event_time == datetime(2026, 8, 22, 10, tzinfo=UTC)
    assert event.mta.source_ip == "192.0.2.250"
    assert event.mta.transport == "tcp"
    assert event.raw == line.decode()
    assert value(metrics, "events_total", type=event_type) == 1
    assert value(metrics, "events_total") == 1
    assert value(metrics, "frames_with_events_total") == 1


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"", Skip.NOT_A_FAILURE),
        (lines.HARMLESS, Skip.NOT_A_FAILURE),
        (lines.SENT, Skip.NOT_A_FAILURE),
        (b"\xff\x00" * 2000, Skip.NOT_SYSLOG),
        (lines.PROBE, Skip.PROBE),
        (lines.NOT_POSTFIX, Skip.NOT_POSTFIX),
        (lines.NOT_SYSLOG, Skip.NOT_SYSLOG),
    ],
)
def test_all_else_is_skipped_with_a_reason(line: bytes, reason: Skip) -> None:
    envelopes, metrics = outcome(line)
    assert envelopes == []
    assert value(metrics, "lines_skipped_total", reason=reason) == 1
    assert value(metrics, "lines_skipped_total") == 1


@pytest.mark.parametrize("reason", list(Drop))
def test_faults_are_dropped_with_a_reason(reason: Drop) -> None:
    made, metrics = pipeline()
    assert made.process([Fault(reason, 9)], Origin("udp", None), NOW) == []
    assert value(metrics, "frames_received_total", transport="udp") == 1
    assert value(metrics, "frames_dropped_total", transport="udp", reason=reason) == 1
    assert_balanced(metrics)


def test_a_line_that_ends_several_attempts_is_one_frame() -> None:
    envelopes, metrics = outcome(lines.REPEATED)
    assert len({envelope.message_id for envelope in envelopes}) == 3
    assert value(metrics, "events_total", type="bounced") == 3
    assert value(metrics, "frames_with_events_total") == 1


def test_envelopes_come_in_the_order_of_their_lines() -> None:
    made, metrics = pipeline()
    numbers = iter(range(100))
    pieces: list[Piece] = [
        Frame(lines.numbered(next(numbers))),
        Block(lines.numbered(next(numbers)) + b"\n\n" + lines.numbered(next(numbers)) + b"\n", 3),
        Fault(Drop.BAD_COMPRESSION, 1),
        Frame(lines.numbered(next(numbers))),
    ]
    envelopes = made.process(pieces, ORIGIN, NOW)
    recipients = [schemas.decode(envelope.body).recipient for envelope in envelopes]
    assert recipients == [f"v{n}@other.example" for n in range(4)]
    assert value(metrics, "frames_received_total") == 6
    assert_balanced(metrics)


def test_what_no_rule_knows_is_counted_by_provider() -> None:
    made, metrics = pipeline()
    of_google = lines.UNCLASSIFIED.replace(b"mx.example.net", b"mx.google.com")
    repeated = lines.REPEATED.replace(b"550 5.1.1 <gone@example.net>: User unknown", b"550 zork")
    some = [lines.UNCLASSIFIED, of_google, repeated, lines.REJECT, lines.UNKNOWN_SHAPE]
    made.process([Frame(line) for line in some], ORIGIN, NOW)
    assert value(metrics, "unclassified_total", provider="none") == 4
    assert value(metrics, "unclassified_total", provider="google") == 1
    assert value(metrics, "unclassified_total") == 5


def test_causes_are_counted_of_failures_and_reputation_of_what_we_send() -> None:
    made, metrics = pipeline()
    listed = lines.DEFERRED.replace(
        b"connect to mx.example.net[192.0.2.1]:25: Connection timed out",
        b"host mx.google.com[192.0.2.1] said: 421 4.7.0 192.0.2.9 is listed at zen.spamhaus.org",
    ).replace(b"relay=none", b"relay=mx.google.com[192.0.2.1]:25")
    refused = lines.REJECT.replace(
        b"554 5.7.1 <v@other.example>: Relay access denied",
        b"554 5.7.1 Service unavailable; Client host [192.0.2.66] blocked using zen.spamhaus.org",
    )
    delivered = lines.SENT.replace(b"ok@example.net", b"later@example.net")
    for line in (lines.DEFERRED, delivered, listed, refused):
        made.frame(Frame(line), ORIGIN, NOW)
    assert value(metrics, "events_total", type="resolved") == 1
    assert value(metrics, "event_categories_total", category="timeout") == 1, "not the end of it"
    assert value(metrics, "event_categories_total", category="blocklisted_ip") == 2
    assert value(metrics, "event_categories_total") == 3
    assert value(metrics, "reputation_total", provider="google") == 1
    assert value(metrics, "reputation_total") == 1, "not those whom we refuse"


def test_another_classifier_is_for_all_lines_from_then_on() -> None:
    made, metrics = pipeline()
    table = {"id": "ours.zork", "any": "zork", "category": "timeout", "scope": "local"}
    rules = {"rule": [{**table, "source": "us"}], "provider": [{"name": "ours"}]}
    own = own_and_builtin(compile_files([RulesFile("own", rules)], Place("own")))
    found = []
    for classifier in (own, builtin_classifier()):
        found += made.frame(Frame(lines.UNCLASSIFIED), ORIGIN, NOW)
        made.use(classifier)
    found += made.frame(Frame(lines.UNCLASSIFIED), ORIGIN, NOW)
    events = [schemas.decode(envelope.body) for envelope in found]
    assert [(event.category, event.scope) for event in events] == [
        ("other", "unknown"),
        ("timeout", "local"),
        ("other", "unknown"),
    ]
    assert value(metrics, "unclassified_total") == 2


def test_nothing_at_all() -> None:
    made, metrics = pipeline()
    assert made.process([], ORIGIN, NOW) == []
    assert value(metrics, "frames_received_total") == 0


def test_a_truncated_frame_is_counted_and_its_event_says_so() -> None:
    (envelope,), metrics = outcome(lines.REJECT, truncated=True)
    assert schemas.decode(envelope.body).truncated
    assert value(metrics, "frames_truncated_total", transport="tcp") == 1


def test_a_delivery_cut_before_its_status_is_a_dead_letter() -> None:
    head = lines.BOUNCED.partition(b", relay=")[0]
    long_recipient = head.replace(b"gone@", b"g" * 1100 + b"@")
    (envelope,), _ = outcome(long_recipient, truncated=True)
    event = schemas.decode(envelope.body)
    assert isinstance(event, InvalidEvent)
    assert event.reason == Malformed.CUT_BEFORE_STATUS
    assert event.truncated
    assert event.raw_bytes == long_recipient


def test_zone_and_raw_are_settings() -> None:
    config = PipelineConfig(default_timezone="Europe/Berlin", keep_raw=False)
    made, _ = pipeline(config=config)
    event = schemas.decode(made.frame(Frame(lines.REJECT), ORIGIN, NOW)[0].body)
    assert event.event_time == datetime(2026, 8, 22, 8, tzinfo=UTC)
    assert event.raw is None


@pytest.mark.parametrize("zone", ["Europe/Berlni", "", "../etc/passwd", "/etc/localtime", "\0"])
def test_unknown_zones_are_refused(zone: str) -> None:
    with pytest.raises(ValidationError, match="no time zone"):
        PipelineConfig(default_timezone=zone)


def test_the_year_is_near_the_time_a_file_was_written() -> None:
    """And the id does not depend on it."""
    made, _ = pipeline()
    then = datetime(2019, 9, 1, tzinfo=UTC)
    read = read_line(made, lines.REJECT, written_at=then)
    (now,), _ = outcome(lines.REJECT)
    assert not isinstance(read, Skip)
    assert read[0].event_time == datetime(2019, 8, 22, 10, tzinfo=UTC)
    assert read[0].received_at == NOW
    assert read[0].event_id == now.message_id


class _Defective(bytes):
    """A line on which our own code goes wrong: what its `decode` gives at the nth call."""

    answers: dict[int, object]
    calls = 0

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        self.calls += 1
        answer = self.answers.get(self.calls)
        if isinstance(answer, Exception):
            raise answer
        return super().decode(encoding, errors) if answer is None else answer  # type: ignore[return-value]


def defective(line: bytes, **answers: object) -> _Defective:
    made = _Defective(line)
    made.answers = {int(name.removeprefix("call_")): answer for name, answer in answers.items()}
    return made


class TestDefect:
    """What must never happen: a line that our own code cannot read, or reads into nonsense."""

    def test_costs_a_dead_letter_and_no_other_line(self) -> None:
        made, metrics = pipeline()
        pieces: list[Piece] = [
            Frame(lines.numbered(1)),
            Frame(defective(lines.REJECT, call_1=RuntimeError("secret@example.org"))),
            Frame(lines.numbered(2)),
        ]
        envelopes = made.process(pieces, ORIGIN, NOW)
        assert [e.event_type for e in envelopes] == ["reject", "invalid", "reject"]
        event = schemas.decode(envelopes[1].body)
        assert isinstance(event, InvalidEvent)
        assert event.reason == "parser_failed"
        assert event.detail == "RuntimeError", "and not its text, which may hold an address"
        assert event.raw_bytes == lines.REJECT
        assert event.time_quality == "received"
        assert_balanced(metrics)

    def test_different_lines_have_different_ids(self) -> None:
        made, _ = pipeline()
        ids = {
            made.frame(Frame(defective(lines.numbered(n), call_1=RuntimeError())), ORIGIN, NOW)[
                0
            ].message_id
            for n in range(3)
        }
        assert len(ids) == 3

    def test_a_value_that_the_schema_refuses_is_named_and_not_told(self) -> None:
        line = defective(lines.REJECT, call_2=5550199)  # for `raw`
        (envelope,), metrics = outcome(line)
        event = schemas.decode(envelope.body)
        assert isinstance(event, InvalidEvent)
        assert event.reason == "invalid_event"
        assert event.detail == "raw: Input should be a valid string"
        assert event.raw_bytes == lines.REJECT
        assert event.mta.host == "mx1"
        assert value(metrics, "events_total", type="invalid") == 1


# One line, one block, any cut: the same outcome.

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


def test_the_longest_line_that_is_not_looked_at() -> None:
    """With a CR it would be long enough; the CR is none of it."""
    short = lines.HEADER + b"smtp[1]: 4ABCDE12F: to=<"
    short = short.ljust(LONG_LINE - 1, b"x")
    for data, expected in ((short, 0), (short + b"x", 1)):
        made, metrics = pipeline()
        assert len(made.block(Block(data + b"\r\n", 1), ORIGIN, NOW)) == expected
        assert len(outcome(data)[0]) == expected
        assert_balanced(metrics)


def test_pipelines_share_nothing() -> None:
    first, second = pipeline(), pipeline()
    first[0].frame(Frame(lines.REJECT), ORIGIN, NOW)
    assert value(second[1], "frames_received_total") == 0
    assert isinstance(first[0], Pipeline)


def test_the_fields_of_a_bounce_arrive() -> None:
    (envelope,), _ = outcome(lines.BOUNCED)
    event = schemas.decode(envelope.body)
    assert isinstance(event, BouncedEvent)
    assert event.queue_id == "4ABCDE12F"
    assert event.recipient == "gone@Example.NET"
    assert event.recipient_domain == "example.net"
    assert event.original_recipient == "old@example.org"
    assert event.remote_reply is not None
    assert event.remote_reply.command == "RCPT TO"
    assert event.category == "unknown_user"


class TestEqualLines:
    """Logged twice, they are two events; sent twice, one."""

    COARSE = lines.REJECT
    FINE = lines.REJECT.replace(b"Aug 22 10:00:00", b"2026-08-22T10:00:00.123456+00:00")

    @staticmethod
    def ids(made: Pipeline, stream: int | None, *sent: bytes) -> list[str]:
        origin = replace(ORIGIN, stream=stream)
        block = Block(b"".join(line + b"\n" for line in sent), len(sent))
        return [envelope.message_id for envelope in made.block(block, origin, NOW)]

    def test_of_whole_seconds_logged_twice_are_two(self) -> None:
        made, _ = pipeline()
        first, second, third = self.ids(made, 1, *[self.COARSE] * 3)
        assert len({first, second, third}) == 3

    def test_sent_again_on_a_new_connection_are_the_same(self) -> None:
        made, _ = pipeline()
        sent = self.ids(made, 1, self.COARSE, lines.DEFERRED, self.COARSE)
        assert self.ids(made, 2, self.COARSE, lines.DEFERRED, self.COARSE) == sent

    def test_the_ids_do_not_depend_on_the_receiver(self) -> None:
        one, _ = pipeline()
        other, _ = pipeline()
        self.ids(other, 7, self.COARSE)
        assert self.ids(one, 1, *[self.COARSE] * 3) == self.ids(other, 9, *[self.COARSE] * 3)

    def test_of_fine_stamps_are_one_line_sent_again(self) -> None:
        made, _ = pipeline()
        assert len(set(self.ids(made, 1, *[self.FINE] * 3))) == 1

    def test_the_first_has_the_id_it_has_alone(self) -> None:
        made, _ = pipeline()
        assert self.ids(made, 1, self.COARSE) == self.ids(made, None, self.COARSE)

    def test_folded_repeats_and_equal_lines_do_not_meet(self) -> None:
        made, _ = pipeline()
        ids = self.ids(made, 1, lines.REPEATED, lines.REPEATED, lines.REPEATED)
        assert len(set(ids)) == len(ids) > 3

    def test_a_frame_counts_as_a_line_of_a_block_does(self) -> None:
        made, _ = pipeline()
        origin = replace(ORIGIN, stream=1)
        frames = [made.frame(Frame(self.COARSE), origin, NOW)[0].message_id for _ in range(3)]
        assert self.ids(made, 2, *[self.COARSE] * 3) == frames
