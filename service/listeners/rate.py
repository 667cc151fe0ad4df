"""How fast one source sends: messages a second, with a burst, of a bounded number of sources.

For each source one point in time is kept, the one at which it has its whole burst again (the
generic cell rate algorithm, ITU-T I.371 appendix I). No clock: `now` is passed, in seconds.
"""

from collections import OrderedDict
from collections.abc import Callable

from service.listeners.config import ListenerConfig


class Rates:
    def __init__(
        self, rate: float, burst: int, max_sources: int, on_forget: Callable[[], None]
    ) -> None:
        """`on_forget`: a source had to be forgotten before it had its whole burst again."""
        self._seconds = 1 / rate
        self._slack = burst / rate
        self._max_sources = max_sources
        self._free_at: OrderedDict[str | None, float] = OrderedDict()
        self._on_forget = on_forget

    def __len__(self) -> int:
        return len(self._free_at)

    def has_room(self, source: str | None, now: float) -> bool:
        """Take one message in if it is within the rate; False takes nothing."""
        free_at = max(self._free_at.get(source, now), now) + self._seconds
        if free_at - now > self._slack + self._seconds / 2:  # half a message: rounding
            return False
        self._keep(source, free_at, now)
        return True

    def spend(self, source: str | None, count: int, now: float) -> float:
        """Take `count` messages in, whatever the rate; the seconds to wait until it is kept."""
        free_at = max(self._free_at.get(source, now), now) + count * self._seconds
        self._keep(source, free_at, now)
        return max(0.0, free_at - now - self._slack)

    def _keep(self, source: str | None, free_at: float, now: float) -> None:
        self._free_at[source] = free_at
        self._free_at.move_to_end(source)
        if len(self._free_at) > self._max_sources:
            _, oldest = self._free_at.popitem(last=False)
            if oldest > now:
                self._on_forget()


def rates_of(config: ListenerConfig, on_forget: Callable[[], None]) -> Rates | None:
    """As the operator wants them; None: no limit."""
    if config.rate_limit is None:
        return None
    return Rates(config.rate_limit, config.rate_limit_burst, config.rate_limit_sources, on_forget)


class LogRates:
    """What peers may make the log say: a hostile one must not fill the disk. Metrics count all."""

    def __init__(self) -> None:
        self._of_address = Rates(1.0, 10, 1024, lambda: None)
        self._in_all = Rates(10.0, 100, 1, lambda: None)

    def has_room(self, source: str | None, now: float) -> bool:
        return self._of_address.has_room(source, now) and self._in_all.has_room(None, now)
