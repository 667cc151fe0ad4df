"""What a listener gives to the house and what it asks of it.

A listener owns sockets and the clock. It hands the pieces its framer gave to an `Intake`, and
holds its senders back while the intake has no room; where it cannot (UDP), it drops and counts.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from ipaddress import ip_address
from typing import Protocol

from service.core.framing.base import Piece
from service.received import Origin, Receipts


class Intake(Protocol):
    """The way into the pipeline, the same for every listener."""

    @property
    def has_room(self) -> bool:
        """False: there is nowhere to put more. Who cannot wait drops and counts."""
        ...

    @property
    def should_hold_back(self) -> bool:
        """True, well before there is no room: who can wait should read no further."""
        ...

    def take(
        self,
        pieces: list[Piece],
        origin: Origin,
        received_at: datetime,
        receipts: Receipts | None = None,
    ) -> None:
        """Never blocks and never refuses: ask before reading more. `receipts` is told, now and
        later, which pieces gave events and when these are durable."""
        ...

    def when_room(self, resume: Callable[[], None]) -> None:
        """Call `resume` once, when there is room again."""
        ...


class Listener(Protocol):
    """One bound socket and what speaks on it."""

    transport: str

    async def start(self) -> None:
        """Bind. Raises `OSError` where the address cannot be had: stop, and tell the operator."""
        ...

    async def stop(self, timeout: float) -> None:
        """Accept nothing new, take in what the kernel already holds, close; at most `timeout`
        seconds."""
        ...

    @property
    def address(self) -> tuple[str, int]:
        """Host and port really bound."""
        ...


def now() -> datetime:
    return datetime.now(UTC)


def peer_ip(address: str) -> str:
    """The sending address as text; an IPv4 address mapped into IPv6 as IPv4, without a scope."""
    if ":" not in address:
        return address
    parsed = ip_address(address.partition("%")[0])
    mapped = getattr(parsed, "ipv4_mapped", None)
    return str(mapped or parsed)
