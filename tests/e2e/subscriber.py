"""A subscriber as users write them: NATS messages, decoded by the schemas package."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

import nats
from nats.aio.client import Client
from nats.aio.msg import Msg

from schemas import Event, decode

_PATIENCE_SECONDS = 30.0


@dataclass(frozen=True)
class Arrival:
    subject: str
    headers: dict[str, str]
    event: Event


class Subscriber:
    """Listens on plain NATS, from before the receiver starts, so nothing published is missed;
    `stored` asks JetStream what it has kept of it."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self.arrivals: list[Arrival] = []
        self._arrived = asyncio.Condition()

    @classmethod
    async def start(cls, url: str) -> Self:
        subscriber = cls(await nats.connect(url))
        await subscriber._client.subscribe("postfix.>", cb=subscriber._take)
        await subscriber._client.flush()
        return subscriber

    async def _take(self, message: Msg) -> None:
        arrival = Arrival(message.subject, dict(message.headers or {}), decode(message.data))
        async with self._arrived:
            self.arrivals.append(arrival)
            self._arrived.notify_all()

    async def until(self, is_wanted: Callable[[Event], bool], count: int = 1) -> list[Event]:
        """The events that are wanted, old or new, as soon as there are `count` of them."""
        try:
            async with asyncio.timeout(_PATIENCE_SECONDS), self._arrived:
                while len(found := self.wanted(is_wanted)) < count:
                    await self._arrived.wait()
        except TimeoutError:
            raw = "\n".join(str(arrival.event.raw) for arrival in self.arrivals)
            raise AssertionError(f"waited for {count} events; there came:\n{raw}") from None
        return found

    def wanted(self, is_wanted: Callable[[Event], bool]) -> list[Event]:
        return [arrival.event for arrival in self.arrivals if is_wanted(arrival.event)]

    async def stored(self) -> int:
        info = await self._client.jetstream().stream_info("POSTFIX")
        return info.state.messages

    async def stop(self) -> None:
        await self._client.close()
