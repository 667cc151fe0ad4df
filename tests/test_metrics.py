"""The metrics: every name of the contract, bounded labels, counts that balance."""

import re

import pytest
from prometheus_client.parser import text_string_to_metric_families

from schemas.vocabulary import Category, EventType, Transport
from service import __version__
from service.core.classify import builtin_classifier
from service.core.correlate.memory import Evicted
from service.core.outcomes import Drop, Refusal, RelpRefusal, RollupOverflow, Skip
from service.event_counts import Cause
from service.metrics import Metrics, Tally
from service.nats.news import Written
from service.nats.questions import Answered
from service.nats.sharing import Heard
from service.receiver import Receiver
from service.settings import fixed
from tests.metric_values import assert_balanced, samples, value

CONTRACT = {
    "frames_received_total": {"transport"},
    "events_total": {"type"},
    "lines_skipped_total": {"reason"},
    "frames_dropped_total": {"transport", "reason"},
    "frames_with_events_total": set(),
    "published_total": {"result"},
    "spool_events": set(),
    "spool_bytes": set(),
    "in_flight": set(),
    "publish_seconds_bucket": {"le"},
    "publish_seconds_count": set(),
    "publish_seconds_sum": set(),
    "event_lag_seconds_bucket": {"le"},
    "connections": {"transport"},
    "udp_kernel_drops_total": set(),
    "correlation_entries": set(),
    "correlation_evictions_total": {"reason"},
    "nats_connected": set(),
    "build_info": {"version"},
}
BOUNDED = {
    "transport": {transport.value for transport in Transport},
    "type": {event_type.value for event_type in EventType},
    "reason": {
        reason.value for reason in (*Skip, *Drop, *Refusal, *RelpRefusal, *Evicted, *RollupOverflow)
    },
    "result": {
        "ok",
        "duplicate",
        "dead",
        "stored",
        "buried",
        "put",
        "unwanted",
        *Answered,
        *Heard,
        *Written,
    },
    "version": {__version__},
    "provider": {*builtin_classifier().providers.names, "none"},
    "category": set(Category),
}


async def test_every_metric_of_the_contract_exists_from_the_start() -> None:
    receiver = Receiver(fixed({"nats": {"servers": ["nats://127.0.0.1:4222"]}}))
    text = receiver.metrics.render().decode()
    labels: dict[str, set[str]] = {}
    for name, its_labels in samples(text):
        labels.setdefault(name, set()).update(key for key, _ in its_labels)
    for name, expected in CONTRACT.items():
        assert labels.get(f"mailfault_{name}") == expected, name


async def test_label_values_are_bounded_and_all_there_from_zero() -> None:
    receiver = Receiver(fixed({"nats": {"servers": ["nats://127.0.0.1:4222"]}}))
    text = receiver.metrics.render().decode()
    for name, labels in samples(text):
        for key, its_value in labels:
            assert key == "le" or its_value in BOUNDED[key], (name, key, its_value)
    found = samples(text)
    for transport in Transport:
        for reason in Drop:
            labels = frozenset({("transport", transport.value), ("reason", reason.value)})
            assert found["mailfault_frames_dropped_total", labels] == 0
    for skip in Skip:
        assert found["mailfault_lines_skipped_total", frozenset({("reason", skip.value)})] == 0


def test_names_follow_the_conventions() -> None:
    """Base units, `_total` for counters, a help text for each."""
    for family in text_string_to_metric_families(Metrics().render().decode()):
        assert re.fullmatch(r"mailfault_[a-z_]+", family.name)
        assert family.documentation
        assert family.type in ("counter", "gauge", "histogram")


def test_balance_counts_each_frame_once() -> None:
    metrics = Metrics()
    tally = Tally(frames=10)
    tally.skip(Skip.NOT_A_FAILURE, 6)
    tally.skip(Skip.PROBE)
    tally.events = {
        ("bounced", "timeout", "network", "google"): 1,
        ("bounced", "virus", "message", None): 1,
        ("reject", "policy", "policy", None): 1,
    }
    tally.frames_with_events = 2
    metrics.processed("tcp", tally)
    assert value(metrics, "frames_received_total") == 10
    with pytest.raises(AssertionError):
        assert_balanced(metrics)  # one is missing
    metrics.processed("udp", Tally(frames=0, skipped={Skip.NOT_SYSLOG: 1}))
    metrics.dropped("udp", Drop.QUEUE_FULL)
    assert_balanced(metrics)
    assert metrics.balance() == {
        "frames received": 11,
        "frames with events": 2,
        "lines skipped": 8,
        "frames dropped": 1,
        "events": 3,
    }
    assert value(metrics, "events_total", type="bounced") == 2
    assert value(metrics, "frames_dropped_total", transport="udp", reason="queue_full") == 1


def deferred(*providers: str) -> dict[Cause, int]:
    return {("deferred", "other", "unknown", provider): 1 for provider in providers}


def unclassified(metrics: Metrics) -> dict[str, float]:
    return {
        dict(labels)["provider"]: number
        for (name, labels), number in samples(metrics).items()
        if name == "mailfault_unclassified_total"
    }


def test_what_no_rule_knows_is_counted_by_provider() -> None:
    metrics = Metrics()
    metrics.providers_known({"google", "yahoo"})
    tally = Tally(
        events={
            ("deferred", "other", "unknown", "google"): 1,
            ("bounced", "other", "unknown", "google"): 1,
            ("reject", "other", "unknown", None): 1,
            ("bounced", "timeout", "network", "yahoo"): 1,
            ("invalid", None, None, None): 1,
        }
    )
    metrics.processed("tcp", tally)
    assert unclassified(metrics) == {"google": 2, "none": 1, "yahoo": 0}


def test_only_providers_of_the_rules_in_use_are_labels() -> None:
    metrics = Metrics()
    assert unclassified(metrics) == {"none": 0}
    metrics.providers_known({"google", "yahoo"})
    metrics.processed("tcp", Tally(events=deferred("google", "yahoo")))
    metrics.providers_known({"google", "ours"})
    metrics.processed("tcp", Tally(events=deferred("google", "yahoo", "hostile\n")))
    assert unclassified(metrics) == {"google": 2, "none": 2, "ours": 0}


def test_causes_are_counted_and_only_known_ones_are_labels() -> None:
    metrics = Metrics()
    tally = Tally(
        events={
            ("deferred", "timeout", "network", None): 1,
            ("bounced", "timeout", "network", "google"): 1,
            ("reject", "hostile\n", None, None): 1,
            ("bounced", None, None, None): 1,
            ("reject", "virus", "message", None): 1,
            ("resolved", "virus", "message", None): 1,  # its deferrals were counted
        }
    )
    metrics.processed("tcp", tally)
    found = {
        dict(labels)["category"]: number
        for (name, labels), number in samples(metrics).items()
        if name == "mailfault_event_categories_total"
    }
    assert found.keys() == set(Category)
    assert {name: n for name, n in found.items() if n} == {"timeout": 2, "other": 2, "virus": 1}


def test_who_distrusts_us_is_counted_by_provider() -> None:
    metrics = Metrics()
    metrics.providers_known({"google"})
    tally = Tally(
        events={
            ("deferred", "rate_limited", "reputation", "google"): 1,
            ("bounced", "spam_content", "reputation", "google"): 1,
            ("deferred", "rate_limited", "reputation", "hostile\n"): 1,
            ("deferred", "rate_limited", "reputation", None): 1,
            ("deferred", "timeout", "network", "google"): 1,
            ("reject", "blocklisted_ip", "reputation", "google"): 1,  # theirs, not ours
        }
    )
    metrics.processed("tcp", tally)
    assert value(metrics, "reputation_total", provider="google") == 2
    assert value(metrics, "reputation_total", provider="none") == 2
    assert value(metrics, "reputation_total") == 4


def test_what_happens_to_events() -> None:
    metrics = Metrics()
    metrics.published(duplicate=False, seconds=0.003, lag=0.004)
    metrics.published(duplicate=True, seconds=99, lag=99_999)
    metrics.event_dead()
    metrics.dead_letter(stored=True)
    metrics.dead_letter(stored=False)
    metrics.resent(3)
    assert value(metrics, "published_total", result="ok") == 1
    assert value(metrics, "published_total", result="duplicate") == 1
    assert value(metrics, "published_total", result="dead") == 1
    assert value(metrics, "dead_letters_total", result="stored") == 1
    assert value(metrics, "dead_letters_total", result="buried") == 1
    assert value(metrics, "publish_resends_total") == 3


def test_a_clock_that_was_set_back_takes_nothing_from_the_lag() -> None:
    """A sum that falls is a restart to Prometheus."""
    metrics = Metrics()
    metrics.published(duplicate=False, seconds=0.003, lag=2.0)
    metrics.published(duplicate=False, seconds=0.003, lag=-3600.0)
    assert value(metrics, "event_lag_seconds_sum") == 2.0
    assert value(metrics, "event_lag_seconds_count") == 2


def test_histograms_are_cumulative() -> None:
    metrics = Metrics()
    for seconds in (0.0005, 0.001, 0.003, 0.003, 7, 1000):
        metrics.published(duplicate=False, seconds=seconds, lag=0)
    found = {
        le: value(metrics, "publish_seconds_bucket", le=le)
        for le in ("0.001", "0.0025", "0.005", "5.0", "10.0", "+Inf")
    }
    # A bucket holds what is equal to its bound.
    assert found == {"0.001": 2, "0.0025": 2, "0.005": 4, "5.0": 4, "10.0": 5, "+Inf": 6}
    assert value(metrics, "publish_seconds_count") == 6
    assert value(metrics, "publish_seconds_sum") == pytest.approx(1007.0075)


def test_what_happens_to_connections() -> None:
    metrics = Metrics()
    metrics.connection_opened("tcp")
    metrics.connection_opened("tcp")
    metrics.connection_closed("tcp")
    metrics.connection_refused("tcp", Refusal.NOT_ALLOWED)
    metrics.reading_paused("tcp")
    metrics.read("tcp", 100)
    metrics.kernel_dropped(7)
    metrics.nats_connected()
    assert value(metrics, "connections", transport="tcp") == 1
    assert value(metrics, "connections_opened_total", transport="tcp") == 2
    assert value(metrics, "connections_refused_total", transport="tcp", reason="not_allowed") == 1
    assert value(metrics, "reads_paused_total", transport="tcp") == 1
    assert value(metrics, "bytes_received_total", transport="tcp") == 100
    assert value(metrics, "udp_kernel_drops_total") == 7
    assert value(metrics, "nats_connected") == 1
    metrics.nats_disconnected()
    assert value(metrics, "nats_connected") == 0
    assert value(metrics, "nats_connects_total") == 1


def test_watched_values_are_read_at_each_scrape() -> None:
    metrics = Metrics()
    held = [1]
    metrics.watch("things", "Things", lambda: len(held))
    assert value(metrics, "things") == 1
    held.append(2)
    assert value(metrics, "things") == 2


def test_version() -> None:
    assert value(Metrics(), "build_info", version=__version__) == 1
