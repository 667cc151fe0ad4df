"""Who may connect to a listener, and how many at once. Counts; knows no sockets."""

from collections import Counter

from service.core.outcomes import Refusal
from service.listeners.config import StreamConfig, is_within


class Door:
    """Each `enter` that is not refused is followed by one `leave` of the same address."""

    def __init__(self, config: StreamConfig) -> None:
        self._config = config
        self._inside: Counter[str | None] = Counter()

    def is_proxy(self, address: str | None) -> bool:
        return is_within(address, self._config.proxy_protocol_from)

    def enter(self, address: str | None) -> Refusal | None:
        if self._config.allow and not is_within(address, self._config.allow):
            return Refusal.NOT_ALLOWED
        if self._inside[address] >= self._config.max_connections_per_address:
            return Refusal.MAX_CONNECTIONS_PER_ADDRESS
        self._inside[address] += 1
        return None

    def leave(self, address: str | None) -> None:
        self._inside[address] -= 1
        if not self._inside[address]:
            del self._inside[address]
