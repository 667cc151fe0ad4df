"""The metrics of several workers as those of one receiver.

In: what each answered at `/metrics`, and what those had counted that are no more. Out: the same
families, added up; a few have another meaning than their sum. Counters never go back: what a worker
had counted when it died is kept.
"""

from collections.abc import Callable, Iterable

from prometheus_client.core import Metric
from prometheus_client.exposition import generate_latest
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector, CollectorRegistry

_GROWING = frozenset({"counter", "histogram"})
_BY_NAME: dict[str, Callable[[float, float], float]] = {
    "mailfault_build_info": max,
    "mailfault_nats_connected": min,  # 1: all of them are
    "mailfault_sharing_readable": min,
    "mailfault_spool_failing": max,
    "mailfault_oldest_unacknowledged_seconds": max,
    "mailfault_source_last_received_timestamp_seconds": max,
    "mailfault_tls_certificate_expiry_timestamp_seconds": min,
}
"""How two values become one where it is not their sum."""
_CREATED = "_created"
"""When a counter began, as prometheus-client tells it in a gauge of its own."""


def merge(texts: Iterable[str], before: str, own: CollectorRegistry) -> bytes:
    """`texts`: of the workers that answer. `before`: what `keep` gave of those that are no more.
    `own`: metrics of their parent itself."""
    return _added_up([*texts, before]) + generate_latest(own)


def keep(before: str, text: str) -> str:
    """What is to be remembered of a worker that is no more: all that it had counted."""
    return _added_up([before, text], only=_GROWING).decode()


def _added_up(texts: Iterable[str], only: frozenset[str] | None = None) -> bytes:
    merged: dict[str, Metric] = {}
    values: dict[tuple[str, str, tuple[tuple[str, str], ...]], float] = {}
    for text in texts:
        for family in text_string_to_metric_families(text):
            if only is not None and family.type not in only:
                continue
            merged.setdefault(family.name, Metric(family.name, family.documentation, family.type))
            join = _joining(family.name)
            for sample in family.samples:
                key = family.name, sample.name, tuple(sorted(sample.labels.items()))
                values[key] = join(values[key], sample.value) if key in values else sample.value
    for (name, sample_name, labels), value in values.items():
        merged[name].add_sample(sample_name, dict(labels), value)
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Families(merged.values()))
    return generate_latest(registry)


class _Families(Collector):
    def __init__(self, families: Iterable[Metric]) -> None:
        self._families = families

    def collect(self) -> Iterable[Metric]:
        return self._families


def _joining(family: str) -> Callable[[float, float], float]:
    if family.endswith(_CREATED):
        return min
    return _BY_NAME.get(family, float.__add__)
