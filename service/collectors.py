"""Kinds of metrics that the library has not: of one thread, so without a lock for each value;
and of values that somebody else keeps, read at each scrape.

In: what happens, or a function that reads a value. Out: samples, whenever the registry collects.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping
from itertools import accumulate

from prometheus_client import CollectorRegistry
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector


class Distribution(Collector):
    """A histogram of one thread: the library's takes a lock for each value, which costs more than
    parsing a line."""

    def __init__(
        self, name: str, help_text: str, bounds: tuple[float, ...], registry: CollectorRegistry
    ) -> None:
        self._name = name
        self._help = help_text
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)
        self._sum = 0.0
        registry.register(self)

    def observe(self, value: float, times: int = 1) -> None:
        self._counts[bisect_left(self._bounds, value)] += times
        self._sum += times * value

    def collect(self) -> Iterable[Metric]:
        labels = [*map(str, self._bounds), "+Inf"]
        buckets = list(zip(labels, map(float, accumulate(self._counts)), strict=True))
        yield HistogramMetricFamily(self._name, self._help, buckets=buckets, sum_value=self._sum)


class Counts(Collector):
    """A counter with one label, of one thread, for the same reason."""

    def __init__(
        self,
        name: str,
        help_text: str,
        label: str,
        values: tuple[str, ...],
        registry: CollectorRegistry,
    ) -> None:
        self._name = name
        self._help = help_text
        self._label = label
        self._counts = dict.fromkeys(values, 0)
        registry.register(self)

    def count(self, value: str, times: int = 1) -> None:
        self._counts[value] += times

    def know(self, values: Iterable[str]) -> None:
        """The values from now on; those that were known before keep their counts."""
        self._counts = {value: self._counts.get(value, 0) for value in values}

    def __contains__(self, value: object) -> bool:
        return value in self._counts

    def collect(self) -> Iterable[Metric]:
        family = CounterMetricFamily(self._name, self._help, labels=[self._label])
        for value, count in self._counts.items():
            family.add_metric([value], count)
        yield family


class Total(Collector):
    """A counter that somebody else keeps."""

    def __init__(self, name: str, help_text: str, read: Callable[[], float]) -> None:
        self._name = name
        self._help = help_text
        self._read = read

    def collect(self) -> Iterable[Metric]:
        yield CounterMetricFamily(self._name, self._help, value=self._read())


class Totals(Collector):
    """The same with one label."""

    _family: type[CounterMetricFamily] | type[GaugeMetricFamily] = CounterMetricFamily

    def __init__(
        self, name: str, help_text: str, label: str, read: Callable[[], Mapping[str, float]]
    ) -> None:
        self._name = name
        self._help = help_text
        self._label = label
        self._read = read

    def collect(self) -> Iterable[Metric]:
        family = self._family(self._name, self._help, labels=[self._label])
        for value, number in self._read().items():
            family.add_metric([value], number)
        yield family


class Each(Totals):
    """A gauge with one label that somebody else keeps."""

    _family = GaugeMetricFamily
