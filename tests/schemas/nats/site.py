"""A real nats-server with the stream of the contract, events in it, and consumers of them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nats.aio.client import Client
from nats.js import JetStreamContext
from nats.js.api import ConsumerInfo

from schemas import BouncedEvent, EventBase, encode, stream_subjects, subject_for
from schemas.nats import Consumer, Message
from schemas.samples import example
from tests.nats.waiting import until
from tests.nats_server import RealNats, client_of, real_nats

QUICK: dict[str, Any] = {"ack_wait": 5.0, "backoff": (0.05,)}
"""Redelivery after a failure at once, and by the server not within a test."""


@dataclass
class Site:
    server: RealNats
    client: Client
    stream: JetStreamContext

    def consumer(self, durable: str = "tests", **settings: Any) -> Consumer:
        return Consumer(self.server.url, durable=durable, **{**QUICK, **settings})

    async def make_stream(self) -> None:
        await self.stream.add_stream(name="POSTFIX", subjects=stream_subjects())

    async def publish(self, *events: EventBase) -> None:
        for event in events:
            await self.stream.publish(subject_for(event.event_type, event.mta.host), encode(event))

    async def info(self, durable: str = "tests") -> ConsumerInfo:
        found: ConsumerInfo = await self.stream.consumer_info("POSTFIX", durable)
        return found

    async def until_settled(self, durable: str = "tests") -> ConsumerInfo:
        """Until the server has nothing more for that consumer."""
        latest = await self.info(durable)
        while latest.num_pending or latest.num_ack_pending:
            latest = await self.info(durable)
        return latest


@asynccontextmanager
async def site(home: Path) -> AsyncIterator[Site]:
    async with real_nats(home) as server, client_of(server) as client:
        made = Site(server, client, client.jetstream())
        await made.make_stream()
        yield made


def bounces(count: int) -> list[BouncedEvent]:
    """Told apart by their recipients: `0@example.net`, `1@example.net` ..."""
    return [
        example(BouncedEvent, recipient=f"{n}@example.net", event_id=f"{n:032x}")
        for n in range(count)
    ]


def number(message: Message) -> int:
    """Which of `bounces` it is."""
    return int(message.event.event_id, 16)


async def take(consumer: Consumer, count: int, *, ack: bool = True) -> list[Message]:
    """The next so many, in order."""
    taken: list[Message] = []
    async for message in consumer:
        if ack:
            await message.ack()
        taken.append(message)
        if len(taken) == count:
            break
    return taken


__all__ = ["QUICK", "Site", "bounces", "number", "site", "take", "until"]
