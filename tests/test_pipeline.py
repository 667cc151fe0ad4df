"""Lines and faults to envelopes: what each becomes, and that it is counted."""

from datetime import UTC, datetime

import pytest
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
from service.core.framing.base import Block, Fault, Frame, Piece
from service.core.outcomes import Drop, Malformed, Skip
from service.core.postfix.markers import LONG_LINE
from service.metrics import Metrics
from service.pipeline import AT_ONCE, Pipeline
from service.pipeline_config import PipelineConfig
from service.received import Origin
from tests import sample_lines as lines
from tests.metric_values import assert_balanced, value
from tests.sample_lines import NOW, ORIGIN, pipeline, read_line


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
    """A line on which our own code goes wrong: what its `decode` gives at the nth call, of those
    from UTF-8. (Markers are searched in a text of a character a byte, which any bytes give.)"""

    answers: dict[int, object]
    calls = 0

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        if encoding == "latin-1":
            return super().decode(encoding, errors)
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


def folded(number: int) -> bytes:
    times = b"%04d" % number
    return lines.REPEATED.replace(b"repeated 3", b"repeated 1000").replace(b"gone@", times + b"@")


def test_of_many_folded_lines_events_are_made_some_at_a_time() -> None:
    """A read of them was a minute in which nobody was served, and gigabytes."""
    made, metrics = pipeline()
    block = b"".join(folded(number) + b"\n" for number in range(10))
    envelopes = made.block(Block(block, 10), ORIGIN, NOW)
    assert (len(envelopes), made.ready) == (AT_ONCE, 9)
    assert_balanced(metrics)
    assert value(metrics, "frames_received_total") == 1, "others are counted with their events"
    while made.ready:
        some = made.released()
        assert len(some) == AT_ONCE
        envelopes += some
        assert_balanced(metrics)
    assert value(metrics, "frames_received_total") == 10
    assert len({envelope.message_id for envelope in envelopes}) == 10_000


def test_the_end_of_all_makes_every_event() -> None:
    made, _ = pipeline()
    block = b"".join(folded(number) + b"\n" for number in range(3))
    envelopes = made.block(Block(block, 3), ORIGIN, NOW) + made.release_all(NOW)
    assert len(envelopes) == 3000
    assert made.ready == 0
