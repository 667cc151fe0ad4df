"""Messages that left the queue, as one receiver of a fleet sees it: another may know more."""

from datetime import UTC, datetime, timedelta
from typing import Any

import schemas
from service.core.classify import builtin_classifier
from service.core.correlate.shared import decode
from service.core.correlate.trace import Queue, queue_of
from service.core.envelope import Envelope
from service.core.framing.base import Frame
from service.correlation import Correlation
from service.correlation_config import CorrelationConfig
from service.metrics import Metrics
from service.pipeline import Pipeline
from service.pipeline_config import PipelineConfig
from tests.metric_values import assert_balanced
from tests.sample_lines import NOW, ORIGIN, TEMPLATE

KEY = queue_of("mx1", "postfix").key("4ABCDE12F")
BEGUN = [
    "smtpd[1]: 4ABCDE12F: client=c.example[192.0.2.77]",
    "cleanup[2]: 4ABCDE12F: message-id=<id@m.example>",
    "qmgr[3]: 4ABCDE12F: from=<s@s.example>, size=9, nrcpt=1 (queue active)",
]
FAILED = "smtp[4]: 4ABCDE12F: to=<r@r.example>, relay=none, delay=9, dsn=4.4.1, status=deferred (x)"
SENT = "smtp[4]: 4ABCDE12F: to=<r@r.example>, relay=m, delay=9, dsn=2.0.0, status=sent (250 ok)"
REMOVED = "qmgr[3]: 4ABCDE12F: removed"


def decoded(envelopes: list[Envelope]) -> list[Any]:
    return [schemas.decode(envelope.body) for envelope in envelopes]


class _Silent:
    """No other receiver answers; what they tell is given by hand."""

    def ask(self, queue: Queue, key: bytes) -> None:
        pass

    def changed(self, queue: Queue, key: bytes) -> None:
        pass


class _Pressed:
    """Receipts of a sender that may send little more before it is answered."""

    is_pressed = True

    def __init__(self) -> None:
        self.open = 0

    def expect(self, piece: int) -> None:
        self.open += 1

    def durable(self, piece: int) -> None:
        self.open -= 1


class _Member:
    def __init__(self) -> None:
        self.metrics = Metrics()
        self.correlation = Correlation(CorrelationConfig(), UTC, _Silent())
        self.receipts = _Pressed()
        self.pipeline = Pipeline(
            PipelineConfig(), TEMPLATE, self.metrics, builtin_classifier(), self.correlation
        )

    def take(self, minute: int, *lines: str) -> list[Any]:
        stamp = datetime(2026, 8, 22, 9, minute, tzinfo=UTC).isoformat()
        frames = [Frame(f"<22>{stamp} mx1 postfix/{line}".encode()) for line in lines]
        return self._told(self.pipeline.process(list(frames), ORIGIN, NOW, self.receipts))

    def later(self) -> list[Any]:
        self.pipeline.overdue(NOW + timedelta(seconds=2))
        return self._told(self.pipeline.released())

    def hear(self, other: "_Member") -> None:
        value = other.correlation.correlator.exchange.export(KEY)
        self.correlation.correlator.exchange.learn(KEY, decode(value), int(NOW.timestamp()))

    def _told(self, envelopes: list[Envelope]) -> list[Any]:
        assert_balanced(self.metrics)
        for envelope in envelopes:
            if envelope.on_durable is not None:
                envelope.on_durable()
        return decoded(envelopes)


def test_a_busy_sender_does_not_end_what_another_receiver_has_seen_end() -> None:
    """It was told as delivered there and as removed here: its line came while that was on its way,
    with so many others behind it that nothing was waited for."""
    one, other = _Member(), _Member()
    [deferred] = one.take(0, *BEGUN, FAILED)
    other.take(0, *BEGUN, FAILED)
    [delivered] = other.take(5, BEGUN[2], SENT)
    assert delivered.outcome == "delivered"
    assert one.take(6, REMOVED) == []
    assert one.receipts.open == 0, "its sender is answered all the same"
    one.hear(other)
    assert one.later() == []
    assert one.correlation.held == 0
    assert deferred.attempt == 1


def test_where_nobody_has_it_is_told_as_removed() -> None:
    one = _Member()
    one.take(0, *BEGUN, FAILED)
    assert one.take(6, REMOVED) == []
    assert one.receipts.open == 0
    [removed] = one.later()
    assert (removed.outcome, removed.recipient) == ("removed", "r@r.example")
    assert one.receipts.open == 0
    assert one.correlation.held == 0


def test_none_waits_on_when_the_receiver_stops() -> None:
    one = _Member()
    one.take(0, *BEGUN, FAILED)
    assert one.take(6, REMOVED) == []
    [envelope] = one.pipeline.release_all(NOW)
    assert decoded([envelope])[0].outcome == "removed"
    assert one.correlation.held == 0
