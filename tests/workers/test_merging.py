"""The metrics of several workers as those of one."""

from prometheus_client import CollectorRegistry

from service.metrics import Metrics, Tally
from service.workers.merging import keep, merge
from tests.metric_values import value


def metrics_of(frames: int, connected: bool, waiting: float) -> str:
    metrics = Metrics()
    metrics.processed("tcp", Tally(frames=frames))
    metrics.published(duplicate=False, seconds=0.02 * frames, lag=1.0)
    if connected:
        metrics.nats_connected()
    metrics.watch("spool_events", "Events on disk", lambda: waiting)
    metrics.watch("oldest_unacknowledged_seconds", "Age", lambda: waiting)
    metrics.watch_each(
        "source_last_received_timestamp_seconds", "When", "source", lambda: {"192.0.2.1": waiting}
    )
    return metrics.render().decode()


def merged(*texts: str, before: str = "") -> str:
    return merge(texts, before, CollectorRegistry()).decode()


def test_values_are_added_up() -> None:
    text = merged(metrics_of(3, True, 5), metrics_of(4, True, 7))
    assert value(text, "frames_received_total", transport="tcp") == 7
    assert value(text, "frames_received_total", transport="udp") == 0
    assert value(text, "published_total", result="ok") == 2
    assert value(text, "spool_events") == 12
    assert value(text, "publish_seconds_count") == 2
    assert value(text, "publish_seconds_bucket", le="0.1") == 2
    assert value(text, "publish_seconds_bucket", le="0.05") == 0


def test_some_values_are_not_sums() -> None:
    text = merged(metrics_of(1, True, 5), metrics_of(1, False, 7))
    assert value(text, "nats_connected") == 0
    assert value(text, "build_info") == 1
    assert value(text, "oldest_unacknowledged_seconds") == 7
    assert value(text, "source_last_received_timestamp_seconds", source="192.0.2.1") == 7
    assert value(merged(metrics_of(1, True, 5), metrics_of(1, True, 7)), "nats_connected") == 1


def test_what_a_dead_worker_counted_is_kept() -> None:
    before = keep(keep("", metrics_of(3, True, 5)), metrics_of(4, True, 5))
    text = merged(metrics_of(2, True, 6), before=before)
    assert value(text, "frames_received_total", transport="tcp") == 9
    assert value(text, "publish_seconds_count") == 3
    # What it held is gone with it, or is its successor's.
    assert value(text, "spool_events") == 6
    assert value(merged(before=before), "frames_received_total", transport="tcp") == 7


def test_types_and_words_are_those_of_one() -> None:
    alone = metrics_of(1, True, 5)
    assert merged(alone) == alone
