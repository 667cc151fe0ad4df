"""The metrics page of the real receiver, read back into numbers."""

import math

import pytest

from benchmarks.counts import Counts, read_counts
from service.core.outcomes import Drop, Skip
from service.metrics import Metrics, Tally


@pytest.fixture
def metrics() -> Metrics:
    metrics = Metrics()
    tally = Tally(frames=10, frames_with_events=4)
    tally.skip(Skip.NOT_A_FAILURE, 5)
    tally.skip(Skip.PROBE)
    tally.events = {
        ("reject", "virus", "message", None): 2,
        ("deferred", "timeout", "network", None): 1,
        ("bounced", "loop", "message", None): 1,
    }
    metrics.processed("tcp", tally)
    metrics.dropped("udp", Drop.QUEUE_FULL)
    metrics.kernel_dropped(3)
    for lag in (0.0004, 0.0008, 0.004):
        metrics.published(duplicate=False, seconds=0.001, lag=lag)
    metrics.published(duplicate=True, seconds=0.001, lag=0.004)
    return metrics


def test_reads_every_number(metrics: Metrics) -> None:
    counts = read_counts(metrics.render().decode())
    assert (counts.received, counts.with_events, counts.skipped, counts.dropped) == (11, 4, 6, 1)
    assert counts.is_balanced
    assert counts.kernel_drops == 3
    assert {k: v for k, v in counts.events.items() if v} == {
        "reject": 2, "deferred": 1, "bounced": 1,
    }  # fmt: skip
    assert counts.published == {"ok": 3, "duplicate": 1, "dead": 0}
    assert (counts.stored, counts.settled) == (3, 4)


def test_sees_an_imbalance(metrics: Metrics) -> None:
    metrics.processed("tcp", Tally(frames=1))
    assert not read_counts(metrics.render().decode()).is_balanced


def test_lag_quantiles_interpolate_inside_their_bucket(metrics: Metrics) -> None:
    counts = read_counts(metrics.render().decode())
    assert counts.lag_quantile(0.25) == pytest.approx(0.0005)  # half of two in (0, 1 ms]
    assert 0.0025 < counts.lag_quantile(0.99) <= 0.005


def test_lag_beyond_the_last_bucket_is_its_lower_bound() -> None:
    counts = Counts(lag={1.0: 0.0, math.inf: 5.0})
    assert counts.lag_quantile(0.5) == 1.0


def test_no_lag_no_quantile() -> None:
    assert math.isnan(Counts().lag_quantile(0.5))


def test_a_foreign_page_is_refused() -> None:
    with pytest.raises(ValueError, match="not the receiver's"):
        read_counts("# TYPE up gauge\nup 1\n")
