"""Read the metrics as a scraper would."""

from collections.abc import Iterable, Mapping

from prometheus_client.core import Metric
from prometheus_client.parser import text_string_to_metric_families

from service.metrics import Metrics

_Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


def samples(metrics: Metrics | str) -> _Samples:
    """A scrape is parsed; our own object needs no way through text."""
    families: Iterable[Metric] = (
        text_string_to_metric_families(metrics)
        if isinstance(metrics, str)
        else metrics.registry.collect()
    )
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in families
        for sample in family.samples
    }


def value(metrics: Metrics | str, name: str, **labels: str) -> float:
    """One sample; the sum over the labels not given."""
    return _sum(samples(metrics), name, labels)


def _sum(found: _Samples, name: str, labels: Mapping[str, str]) -> float:
    wanted = set(labels.items())
    return sum(
        number
        for (sample, its_labels), number in found.items()
        if sample == f"mailfault_{name}" and wanted <= its_labels
    )


def assert_balanced(metrics: Metrics | str) -> None:
    """Each frame received ended in exactly one outcome (contract, Metrics)."""
    found = samples(metrics)
    received, with_events, skipped, dropped = (
        _sum(found, name, {})
        for name in (
            "frames_received_total",
            "frames_with_events_total",
            "lines_skipped_total",
            "frames_dropped_total",
        )
    )
    assert received == with_events + skipped + dropped
