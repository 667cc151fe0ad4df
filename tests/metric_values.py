"""Read the metrics as a scraper would."""

from prometheus_client.parser import text_string_to_metric_families

from service.metrics import Metrics


def samples(text: str) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def value(metrics: Metrics | str, name: str, **labels: str) -> float:
    """One sample; the sum over the labels not given."""
    text = metrics if isinstance(metrics, str) else metrics.render().decode()
    wanted = set(labels.items())
    return sum(
        number
        for (sample, its_labels), number in samples(text).items()
        if sample == f"mailfault_{name}" and wanted <= its_labels
    )


def assert_balanced(metrics: Metrics | str) -> None:
    """Each frame received ended in exactly one outcome (contract, Metrics)."""
    received = value(metrics, "frames_received_total")
    outcomes = (
        value(metrics, "frames_with_events_total")
        + value(metrics, "lines_skipped_total")
        + value(metrics, "frames_dropped_total")
    )
    assert received == outcomes
