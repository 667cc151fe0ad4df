"""Whatever the order of messages, the cuts between reads and what is sent again: the events are
those of a reference that follows each message for itself."""

from collections import Counter
from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

import schemas
from service.core.classify import builtin_classifier
from service.core.envelope import Envelope
from service.core.framing.base import Block, Frame, Piece
from service.correlation import Correlation
from service.correlation_config import CorrelationConfig
from service.metrics import Metrics
from service.pipeline import Pipeline
from service.pipeline_config import PipelineConfig
from service.received import Origin
from tests.mail_stories import Step, expected, logs, stamped
from tests.sample_lines import NOW, TEMPLATE


class Receipts:
    """Implements `service.received.Receipts`; knows of each piece what is still owed."""

    is_pressed = False

    def __init__(self) -> None:
        self.owed: Counter[int] = Counter()
        self.was_expected: Counter[int] = Counter()
        self.is_open = True
        """Inside `take`."""

    def expect(self, piece: int) -> None:
        assert self.is_open or self.owed[piece] > 0, "the piece may have been acknowledged"
        self.owed[piece] += 1
        self.was_expected[piece] += 1

    def durable(self, piece: int) -> None:
        assert self.owed[piece] > 0, "told durable and not expected"
        self.owed[piece] -= 1


class Receiver:
    """A pipeline, and what came out of it."""

    def __init__(self, **config: Any) -> None:
        self.metrics = Metrics()
        zone = ZoneInfo("UTC")
        config = {"notice_rate": 1_000_000, "notice_wait": 60, "removal_wait": 60, **config}
        self.correlation = Correlation(CorrelationConfig(**config), zone)
        self.pipeline = Pipeline(
            PipelineConfig(), TEMPLATE, self.metrics, builtin_classifier(), self.correlation
        )
        self.envelopes: list[Envelope] = []
        self.receipts: list[Receipts] = []
        self.lines = 0

    def take(self, lines: list[bytes], stream: int, is_block: bool) -> None:
        receipts = Receipts()
        self.receipts.append(receipts)
        pieces: list[Piece] = [Frame(line) for line in lines]
        if is_block:
            pieces = [Block(b"".join(line + b"\n" for line in lines), len(lines))]
        origin = Origin("relp", "192.0.2.250", stream)
        self.envelopes += self.pipeline.process(pieces, origin, NOW, receipts)
        receipts.is_open = False
        self.lines += len(lines)
        self.check()

    def check(self) -> None:
        counts = self.metrics.balance()
        counted = counts["frames with events"] + counts["lines skipped"] + counts["frames dropped"]
        assert counts["frames received"] == counted
        assert counted + self.correlation.held == self.lines

    def end(self) -> None:
        self.envelopes += self.pipeline.release_all(NOW)
        self.check()
        assert self.correlation.held == 0
        for envelope in self.envelopes:
            assert envelope.on_durable is not None
            envelope.on_durable()
        for receipts in self.receipts:
            assert not +receipts.owed
        assert sum(r.was_expected.total() for r in self.receipts) >= len(self.envelopes)

    def events(self) -> list[dict[str, Any]]:
        """As JetStream has them: of those with one id the first."""
        first: dict[str, dict[str, Any]] = {}
        for envelope in self.envelopes:
            if envelope.message_id not in first:
                first[envelope.message_id] = _seen(schemas.decode(envelope.body))
        return list(first.values())


def _seen(event: Any) -> dict[str, Any]:
    found = {
        name: getattr(event, name)
        for name in ("event_type", "queue_id", "event_time", "recipient", "attempt")
    }
    message = event.message
    found |= {
        "first_deferred_at": event.first_deferred_at,
        "message_id": message.message_id,
        "message_sender": message.sender,
        "client": message.client.name if message.client else None,
        "login": message.sasl_username,
        "context": message.context,
        "notice": event.notice.queue_id if getattr(event, "notice", None) else None,
    }
    if event.event_type == "resolved":
        found |= {"outcome": event.outcome, "attempts": event.attempts}
    return found


def assert_equal(found: list[dict[str, Any]], wanted: list[dict[str, Any]]) -> None:
    """In whatever order."""
    ours, theirs = (
        Counter(str(sorted((name, str(v)) for name, v in event.items())) for event in events)
        for events in (found, wanted)
    )
    assert not (ours - theirs) + (theirs - ours), (list(ours - theirs), list(theirs - ours))


def _feed(receiver: Receiver, steps: list[Step], draw: st.DataObject, can_resend: bool) -> None:
    lines = [step.text.encode() for step in steps]
    stream, at = 1, 0
    while at < len(lines):
        size = draw.draw(st.integers(1, 12), "batch")
        receiver.take(lines[at : at + size], stream, draw.draw(st.booleans(), "as a block"))
        at += size
        if can_resend and draw.draw(st.integers(0, 3), "breaks") == 0:
            # What RELP does: on a new connection everything from the first unanswered line on.
            at = max(0, min(at, len(lines)) - draw.draw(st.integers(0, 40), "unanswered"))
            stream += 1
            if stream > 6:
                can_resend = False


_SETTINGS = settings(
    max_examples=30,
    suppress_health_check=[HealthCheck.too_slow],
    deadline=None,
    phases=set(Phase) - {Phase.explain},  # which takes minutes
)


@_SETTINGS
@given(logs(may_vanish=False), st.data())
def test_with_lines_sent_again(steps: list[Step], draw: st.DataObject) -> None:
    stamped(steps, timedelta(milliseconds=7), is_exact=True)
    receiver = Receiver()
    _feed(receiver, steps, draw, can_resend=True)
    receiver.end()
    assert_equal(receiver.events(), expected(steps))


@_SETTINGS
@given(logs(), st.data())
def test_with_lines_sent_again_of_messages_that_nobody_saw_leave(
    steps: list[Step], draw: st.DataObject
) -> None:
    """What a line sent again tells may then be taken for the next one's: less may be said of that,
    but nothing wrong, and who waited has ended once."""
    stamped(steps, timedelta(milliseconds=7), is_exact=True)
    receiver = Receiver()
    _feed(receiver, steps, draw, can_resend=True)
    receiver.end()
    found, wanted = receiver.events(), expected(steps)
    assert Counter(map(_end, found)) == Counter(map(_end, wanted))
    right = {_end(event): event for event in wanted}
    for event in found:
        for name in ("message_id", "message_sender", "client", "login", "attempt", "notice"):
            assert event[name] in (None, right[_end(event)][name]), name


def _end(event: dict[str, Any]) -> tuple[Any, ...]:
    return *_name(event), event["queue_id"], event.get("outcome")


@_SETTINGS
@given(logs(), st.data())
def test_with_stamps_of_whole_seconds(steps: list[Step], draw: st.DataObject) -> None:
    stamped(steps, timedelta(seconds=2), is_exact=False)
    receiver = Receiver()
    _feed(receiver, steps, draw, can_resend=False)
    receiver.end()
    assert_equal(receiver.events(), expected(steps))


@_SETTINGS
@given(logs(), st.data(), st.integers(1, 3))
def test_with_little_room_no_line_is_lost(
    steps: list[Step], draw: st.DataObject, max_held: int
) -> None:
    """Notices may be missed then; nothing else is."""
    stamped(steps, timedelta(milliseconds=7), is_exact=True)
    receiver = Receiver(max_held=max_held)
    _feed(receiver, steps, draw, can_resend=False)
    receiver.end()
    found, wanted = receiver.events(), expected(steps)
    for event in (*found, *wanted):
        del event["notice"]
    assert_equal(found, wanted)


@_SETTINGS
@given(logs(), st.data())
def test_two_lives_of_a_receiver(steps: list[Step], draw: st.DataObject) -> None:
    """Stopped and started again anywhere: what was remembered goes on."""
    stamped(steps, timedelta(milliseconds=7), is_exact=True)
    first, second = Receiver(), Receiver()
    cut = draw.draw(st.integers(0, len(steps)), "stopped at")
    _feed(first, steps[:cut], draw, can_resend=False)
    first.end()
    second.correlation.correlator.restore(first.correlation.correlator.kept())
    _feed(second, steps[cut:], draw, can_resend=False)
    second.end()
    found, wanted = [*first.events(), *second.events()], expected(steps)
    for event in (*found, *wanted):
        del event["notice"]
    assert_equal(found, wanted)


@pytest.mark.parametrize("evicting", [{"max_messages": 2}, {"max_bytes": 65_536}])
@_SETTINGS
@given(logs(), st.data())
def test_what_was_forgotten_is_not_made_up(
    evicting: dict[str, int], steps: list[Step], draw: st.DataObject
) -> None:
    """Every event of a line is there, and what it says is right or null."""
    stamped(steps, timedelta(milliseconds=7), is_exact=True)
    receiver = Receiver(**evicting)
    _feed(receiver, steps, draw, can_resend=False)
    receiver.end()
    wanted = {_name(event): event for event in expected(steps) if event["event_type"] != "resolved"}
    for event in receiver.events():
        if event["event_type"] == "resolved" or _name(event) not in wanted:
            continue
        right = wanted[_name(event)]
        for name in ("message_id", "message_sender", "client", "login", "attempt"):
            assert event[name] in (None, right[name]), name


def _name(event: dict[str, Any]) -> tuple[Any, ...]:
    return event["event_type"], event["event_time"], event["recipient"]
