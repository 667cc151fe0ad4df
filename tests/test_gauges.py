"""Values that others keep: what a scrape shows of them, and that it stays within what it calls the
bound."""

from datetime import timedelta
from zoneinfo import ZoneInfo

from service.core.classify import builtin_classifier
from service.core.framing.base import Frame
from service.correlation import Correlation
from service.correlation_config import CorrelationConfig
from service.gauges import export_correlation
from service.metrics import Metrics
from service.pipeline import Pipeline
from service.pipeline_config import PipelineConfig
from tests.metric_values import value
from tests.sample_lines import NOW, ORIGIN, TEMPLATE

BEGUN = "<22>2026-08-22T09:00:00.5Z mx1 postfix/smtpd[1]: {}: client=c.example[192.0.2.77]"
DEFERRED = (
    "<22>2026-08-22T09:00:01.5Z mx1 postfix/smtp[4]: {}: to=<a@r.example>, relay=none, delay=9, "
    "dsn=4.4.1, status=deferred (x)"
)
REMOVED = "<22>2026-08-22T09:00:02.5Z mx1 postfix/qmgr[3]: {}: removed"
ENDED = "correlation_ended_entries"


def test_messages_that_have_ended_are_seen_and_bounded() -> None:
    metrics = Metrics()
    config = CorrelationConfig(max_messages=64, removal_wait=0)
    correlation = Correlation(config, ZoneInfo("UTC"))
    pipeline = Pipeline(PipelineConfig(), TEMPLATE, metrics, builtin_classifier(), correlation)
    export_correlation(metrics, config, correlation)

    def take(line: str, queue_id: str) -> None:
        pipeline.process([Frame(line.format(queue_id).encode())], ORIGIN, NOW)

    take(BEGUN, "4ABCDE001")
    assert (value(metrics, "correlation_entries"), value(metrics, ENDED)) == (1, 0)
    take(REMOVED, "4ABCDE001")
    assert (value(metrics, "correlation_entries"), value(metrics, ENDED)) == (0, 1)
    for line in (BEGUN, DEFERRED, REMOVED):
        take(line, "4ABCDE002")
    pipeline.overdue(NOW + timedelta(seconds=1))
    # Both messages; of the second that it had recipients, which one, and the line that ended it.
    assert (value(metrics, "correlation_entries"), value(metrics, ENDED)) == (0, 5)
    for number in range(100):
        take(BEGUN, f"5ABCDE{number:03}")
        take(REMOVED, f"5ABCDE{number:03}")
    most = value(metrics, ENDED + "_capacity")
    assert 5 < value(metrics, ENDED) <= most < 100
    taken = value(metrics, "correlation_ended_bytes")
    assert value(metrics, ENDED) * 100 < taken < value(metrics, "correlation_ended_bytes_capacity")
