"""A subscriber as users write them: NATS messages, decoded by the schemas package."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

import nats
from nats.aio.client import Client
from nats.aio.msg import Msg

from schemas import Event, decode
from tests.nats_server import all_heard

_PATIENCE_SECONDS = 30.0
_BATCH = 500
"""Less than a consumer may leave without acknowledgement (1000): a larger fetch waits in vain."""


@dataclass(frozen=True)
class Arrival:
    subject: str
    headers: dict[str, str]
    event: Event


class Subscriber:
    """Listens on plain NATS, from before the receiver starts, so nothing published is missed;
    `stored` is what JetStream has kept of it."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self.arrivals: list[Arrival] = []
        """Each event once, in the order of arrival."""
        self.copies: list[Arrival] = []
        """What came again under an id that had come: JetStream stores none of them."""
        self._ids: set[str] = set()
        self._arrived = asyncio.Condition()

    @classmethod
    async def start(cls, url: str) -> Self:
        subscriber = cls(await nats.connect(url))
        await subscriber._client.subscribe("postfix.>", cb=subscriber._take)
        await all_heard(subscriber._client)
        return subscriber

    async def _take(self, message: Msg) -> None:
        arrival = Arrival(message.subject, dict(message.headers or {}), decode(message.data))
        async with self._arrived:
            is_copy = arrival.event.event_id in self._ids
            self._ids.add(arrival.event.event_id)
            (self.copies if is_copy else self.arrivals).append(arrival)
            self._arrived.notify_all()

    async def until(self, is_wanted: Callable[[Event], bool], count: int = 1) -> list[Event]:
        """The events that are wanted, old or new, as soon as there are `count` of them."""
        try:
            async with asyncio.timeout(_PATIENCE_SECONDS), self._arrived:
                while len(found := self.wanted(is_wanted)) < count:
                    await self._arrived.wait()
        except TimeoutError:
            came = len(self.wanted(is_wanted))
            last = "\n".join(str(arrival.event.raw) for arrival in self.arrivals[-20:])
            raise AssertionError(
                f"{came} of {count} events came; the last of all:\n{last}"
            ) from None
        return found

    def wanted(self, is_wanted: Callable[[Event], bool]) -> list[Event]:
        return [arrival.event for arrival in self.arrivals if is_wanted(arrival.event)]

    async def stored(self, count: int) -> list[str]:
        """The ids of all events in the stream, as soon as it has `count`."""
        jetstream = self._client.jetstream()
        consumer = await jetstream.pull_subscribe("postfix.>", stream="POSTFIX")
        ids: list[str] = []
        while len(ids) < count:
            batch = min(count - len(ids), _BATCH)
            for message in await consumer.fetch(batch, timeout=_PATIENCE_SECONDS):
                await message.ack()
                ids.append(decode(message.data).event_id)
        await consumer.unsubscribe()
        info = await jetstream.stream_info("POSTFIX")
        assert info.state.messages == count
        return ids

    async def assert_all_stored(self) -> None:
        """What arrived is what is stored: each event, once."""
        arrived = [arrival.event.event_id for arrival in self.arrivals]
        assert sorted(await self.stored(len(arrived))) == sorted(arrived)

    async def stop(self) -> None:
        await self._client.close()
