"""What the receiver says about itself: its metrics page, read into numbers that must balance.

In: the text of `GET /metrics`. Out: counts, and the lag histogram's quantiles.
"""

import asyncio
import math
import urllib.request
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field

from prometheus_client.parser import text_string_to_metric_families

_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@dataclass(frozen=True)
class Counts:
    received: int = 0
    with_events: int = 0
    skipped: int = 0
    dropped: int = 0
    kernel_drops: int = 0
    events: Mapping[str, int] = field(default_factory=dict)
    published: Mapping[str, int] = field(default_factory=dict)
    resends: int = 0
    in_flight: int = 0
    held: int = 0
    """Lines that wait for another one: some of them are counted already, and yet to give events."""
    lag: Mapping[float, float] = field(default_factory=dict)
    """Upper bound of a bucket in seconds: events up to it."""

    @property
    def is_balanced(self) -> bool:
        return self.received == self.with_events + self.skipped + self.dropped

    @property
    def stored(self) -> int:
        """Distinct messages that JetStream has acknowledged."""
        return self.published.get("ok", 0)

    @property
    def settled(self) -> int:
        return sum(self.published.values())

    def lag_quantile(self, share: float) -> float:
        """By linear interpolation inside the bucket, as Prometheus' `histogram_quantile`."""
        bounds = sorted(self.lag)
        if not bounds or not self.lag[bounds[-1]]:
            return math.nan
        wanted = share * self.lag[bounds[-1]]
        low, below = 0.0, 0.0
        for bound in bounds:
            if self.lag[bound] >= wanted:
                if math.isinf(bound):
                    return low
                inside = self.lag[bound] - below
                return low + (bound - low) * ((wanted - below) / inside if inside else 1.0)
            low, below = bound, self.lag[bound]
        return low


def read_counts(page: str) -> Counts:
    sums: dict[str, float] = defaultdict(float)
    labelled: dict[str, dict[str, int]] = {"type": {}, "result": {}}
    lag: dict[float, float] = {}
    for family in text_string_to_metric_families(page):
        for sample in family.samples:
            name = sample.name.removeprefix("mailfault_")
            sums[name] += sample.value
            if name == "events_total":
                labelled["type"][sample.labels["type"]] = int(sample.value)
            elif name == "published_total":
                labelled["result"][sample.labels["result"]] = int(sample.value)
            elif name == "event_lag_seconds_bucket":
                lag[float(sample.labels["le"])] = sample.value
    if "frames_received_total" not in sums:
        raise ValueError("no mailfault_frames_received_total: not the receiver's metrics page")
    return Counts(
        received=int(sums["frames_received_total"]),
        with_events=int(sums["frames_with_events_total"]),
        skipped=int(sums["lines_skipped_total"]),
        dropped=int(sums["frames_dropped_total"]),
        kernel_drops=int(sums["udp_kernel_drops_total"]),
        events=labelled["type"],
        published=labelled["result"],
        resends=int(sums["publish_resends_total"]),
        held=int(sums["held_lines"]),
        in_flight=int(sums["in_flight"]),
        lag=lag,
    )


async def fetch(address: tuple[str, int], path: str) -> tuple[int, str]:
    """Status and body of a page on the loopback."""
    return await asyncio.to_thread(_fetch, f"http://{address[0]}:{address[1]}{path}")


def _fetch(url: str) -> tuple[int, str]:
    request = urllib.request.Request(url)
    try:
        with _DIRECT.open(request, timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode(errors="replace")


async def scrape(address: tuple[str, int]) -> Counts:
    status, page = await fetch(address, "/metrics")
    if status != 200:
        raise ValueError(f"/metrics answered {status}")
    return read_counts(page)
