"""Receivers of one site, in this process, with one nats-server, and hosts whose streams move
between them as fail-over does: a line goes to the next only when the last has taken all before."""

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

from nats.aio.client import Client

import schemas
from schemas import BouncedEvent, DeferredEvent, RejectEvent, ResolvedEvent
from service.nats.client import BROKEN
from service.receiver import Receiver
from service.settings import fixed
from tests.mail_traffic import Host
from tests.metric_values import value
from tests.standstill import Standstill, watched


class Member:
    """One receiver, and what was sent to it."""

    def __init__(self, receiver: Receiver, standstill: Standstill) -> None:
        self.receiver = receiver
        self.standstill = standstill
        self.sent = 0
        self._writers: dict[str, asyncio.StreamWriter] = {}

    async def send(self, stream: str, lines: Sequence[bytes]) -> None:
        writer = self._writers.get(stream)
        if writer is None:
            (listener,) = (item for item in self.receiver.listeners if item.transport == "tcp")
            _, writer = await asyncio.open_connection(*listener.address)
            self._writers[stream] = writer
        writer.write(b"".join(line + b"\n" for line in lines))
        self.sent += len(lines)
        await writer.drain()

    def leave(self, stream: str) -> None:
        writer = self._writers.pop(stream, None)
        if writer is not None:
            writer.close()

    async def read(self) -> None:
        """Wait until it has read all that was sent to it."""
        await self.until(
            lambda: self.count("frames_received_total") + self.count("held_lines") >= self.sent
        )

    async def taken(self) -> None:
        """Wait until it knows what each line is."""
        await self.until(lambda: self.count("frames_received_total") >= self.sent)

    async def told(self) -> None:
        """Wait until its news are on their way, where there is one to be told."""
        await self.until(
            lambda: self.count("sharing_unwritten") == 0 or not self.count("nats_connected")
        )

    async def heard(self) -> None:
        """Wait until it has heard what was told before: the server answers in order."""
        sharing = self.receiver.sharing
        client = None if sharing is None else sharing.client
        if client is not None:
            with contextlib.suppress(*BROKEN):
                await client.flush()

    async def reaches(self, name: str, wanted: float) -> None:
        await self.until(lambda: self.count(name) == wanted)

    def count(self, name: str, **labels: str) -> float:
        return value(self.receiver.metrics, name, **labels)

    async def until(self, is_reached: Callable[[], bool], seconds: float = 30) -> None:
        async with asyncio.timeout(seconds):
            while not is_reached():  # noqa: ASYNC110  # metrics announce nothing
                await asyncio.sleep(0.002)


@asynccontextmanager
async def fleet(
    home: Path, servers: list[str], size: int = 2, **tables: dict[str, Any]
) -> AsyncIterator[list[Member]]:
    """`tables`: further settings. Waits until each is connected."""
    async with AsyncExitStack() as stack:
        standstill = stack.enter_context(watched())
        members = []
        for number in range(size):
            nats = {"servers": servers, "reconnect_wait_max": 0.2, **tables.get("nats", {})}
            settings = fixed(
                {
                    "data_dir": home / f"receiver{number}",
                    "rollup": {"enabled": False},  # they come by the clock
                    "tcp": {"listen": ["127.0.0.1:0"]},
                    "http": {"listen": "127.0.0.1:0"},
                    **{name: table for name, table in tables.items() if name != "nats"},
                    "nats": nats,
                }
            )
            receiver = Receiver(settings)
            await receiver.start()
            stack.push_async_callback(receiver.stop)
            members.append(Member(receiver, standstill))
        for member in members:
            await member.reaches("nats_connected", 1)
        yield members


async def readable(members: list[Member]) -> None:
    for member in members:
        await member.reaches("sharing_readable", 1)


async def play(
    hosts: list[Host],
    members: list[Member],
    seed: int,
    longest: int,
    between: Callable[[int], Awaitable[None]] | None = None,
) -> int:
    """Each host's lines, in order, in pieces of random length, each to another member than the one
    before. Between the attempts of a message lies what minutes would be: the members have told
    each other, and `between` was called with the number of the attempt. Returns how often a stream
    moved."""
    rng = Random(seed)
    at = {host.name: rng.choice(members) for host in hosts}
    moves = 0
    for number in range(max(len(host.rounds) for host in hosts)):
        left = {host.name: list(host.rounds[number]) for host in hosts if number < len(host.rounds)}
        while left:
            name = rng.choice(list(left))
            member, lines = at[name], left[name]
            length = rng.randrange(1, longest)
            await member.send(name, lines[:length])
            del lines[:length]
            if not lines:
                del left[name]
            await member.read()
            member.leave(name)
            at[name] = rng.choice([other for other in members if other is not member])
            moves += 1
        await at_rest(members)
        if between is not None:
            await between(number)
    return moves


async def at_rest(members: list[Member]) -> None:
    """What was sent is read, and what the members tell each other has reached them."""
    for member in members:
        await member.taken()
    for _ in range(2):  # what one hears may make it tell what it knows better
        for member in members:
            await member.told()
        for member in members:
            await member.heard()


@dataclass(slots=True)
class Found:
    """What a subscriber got."""

    deferred: dict[tuple[str, str, str], list[DeferredEvent]]
    """By host, queue id and recipient, in the order of their times."""
    resolved: dict[tuple[str, str, str], list[ResolvedEvent]]
    bounced: dict[tuple[str, str, str], list[BouncedEvent]]
    rejects: list[RejectEvent]
    lags: dict[str, list[tuple[float, float]]]
    """From receiving the line to storing the event, by type."""


async def found(client: Client) -> Found:
    """Everything in the stream."""
    jetstream = client.jetstream()
    wanted = (await jetstream.stream_info("POSTFIX")).state.messages
    subscription = await jetstream.pull_subscribe("postfix.>", stream="POSTFIX")
    result = Found(defaultdict(list), defaultdict(list), defaultdict(list), [], defaultdict(list))
    number = 0
    while number < wanted:
        for message in await subscription.fetch(min(500, wanted - number), timeout=10):
            number += 1
            event = schemas.decode(message.data)
            stored = message.metadata.timestamp
            lag = (event.received_at.timestamp(), stored.timestamp())
            result.lags[event.event_type].append(lag)
            key = (event.mta.host, event.queue_id or "", event.recipient or "")
            match event:
                case DeferredEvent():
                    result.deferred[key].append(event)
                case ResolvedEvent():
                    result.resolved[key].append(event)
                case BouncedEvent():
                    result.bounced[key].append(event)
                case RejectEvent():
                    result.rejects.append(event)
                case _:
                    raise AssertionError(event)
            await message.ack()
    for events in result.deferred.values():
        events.sort(key=lambda event: event.event_time)
    return result


@dataclass(slots=True)
class Score:
    """How near what was found comes to what is true."""

    retries: int = 0
    """Deferred events after the first of their message's attempts."""
    complete: int = 0
    counted: int = 0
    """Of them: those whose `attempt` is true."""
    recipients: int = 0
    resolved_once: int = 0
    resolved_twice: int = 0
    """Or more often."""
    attempts_true: int = 0
    outcomes_true: int = 0


def score(hosts: list[Host], what: Found) -> Score:
    """Every deferral must have its event; the rest is counted."""
    result = Score()
    for host in hosts:
        for (queue_id, address), true in host.expected.items():
            key = (host.name, queue_id, address)
            events = what.deferred[key]
            assert len(events) == true.deferrals, key
            for number, event in enumerate(events[1:], 2):
                result.retries += 1
                result.complete += event.message is not None and event.message.context == "complete"
                result.counted += event.attempt == number
            result.recipients += 1
            endings = what.resolved[key]
            result.resolved_once += len(endings) == 1
            result.resolved_twice += len(endings) > 1
            last = 1 if true.outcome in ("delivered", "bounced") else 0
            result.attempts_true += [e.attempts for e in endings] == [true.deferrals + last]
            result.outcomes_true += [e.outcome for e in endings] == [true.outcome]
    return result
