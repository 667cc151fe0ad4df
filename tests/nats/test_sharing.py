"""Questions and news between receivers, with a real server that answers, is silent, or lies."""

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from math import inf
from pathlib import Path
from typing import Any

import pytest
from nats.aio.client import Client
from nats.js.errors import NotFoundError

from service.core.correlate.correlator import Correlator
from service.core.correlate.memory import Bounds
from service.core.correlate.shared import tells_gone
from service.core.correlate.trace import queue_of
from service.core.postfix.facts import Delivery
from service.nats.news import Written
from service.nats.questions import Answered
from service.nats.sharing import BucketSharing, Heard
from service.nats.sharing_config import SharingConfig
from tests.nats.waiting import until
from tests.nats_server import RealNats, client_of, real_nats

QUEUE = queue_of("mx1.example.org", "postfix")
KEY = QUEUE.key("4ABCDE12F")
SUBJECT = "$KV.mailfault_context.mx1_example_org.postfix.4ABCDE12F"
NOW = int(datetime.now(UTC).timestamp())


class Receiver:
    """What a receiver has of it."""

    def __init__(self, **settings: Any) -> None:
        self.correlator = Correlator(Bounds(1000, 1_000_000, 86_400), UTC, is_shared=True)
        self.sharing = BucketSharing(SharingConfig(**settings), 1)
        self.learned: list[bytes] = []
        self.sharing.bind(self.correlator, self.learned.append)

    def defer(self, queue_id: str = "4ABCDE12F") -> None:
        key = QUEUE.key(queue_id)
        facts = Delivery(
            kind="deferred",
            status="deferred",
            recipient="r@example.com",
            original_recipient=None,
            relay=None,
            delay=3.0,
            delays=None,
            enhanced_code="4.4.1",
            response="timed out",
            remote_reply=None,
        )
        attempt = self.correlator.attempts.deferred(key, None, facts, float(NOW), "id")
        assert attempt is not None
        self.correlator.attempts.keep(key, attempt.waiting, NOW)
        self.sharing.changed(QUEUE, key)

    async def answered(self, *keys: bytes) -> None:
        """Ask, and wait for all answers."""
        before = len(self.learned)
        for key in keys:
            self.sharing.ask(QUEUE, key)
        await until(lambda: len(self.learned) - before >= len(keys))


@asynccontextmanager
async def receiver(
    server: RealNats, made: Receiver | None = None, **settings: Any
) -> AsyncIterator[Receiver]:
    made = made or Receiver(**settings)
    running = asyncio.create_task(made.sharing.run())
    try:
        async with client_of(server, allow_reconnect=False, no_echo=True) as client:
            await made.sharing.attach(client)
            await until(lambda: made.sharing.is_readable)
            yield made
            made.sharing.detach()
    finally:
        running.cancel()
        await asyncio.wait([running])


async def stored(
    client: Client,
    is_it: Callable[[Any], object] = lambda message: True,
    queue_id: str = "4ABCDE12F",
) -> Any:
    """What was told last of the message. That the server has read it does not mean that JetStream
    has stored it: that is a moment later."""
    subject = SUBJECT.replace("4ABCDE12F", queue_id)
    async with asyncio.timeout(20):
        while True:
            with suppress(NotFoundError):
                message = await client.jetstream().get_last_msg("KV_mailfault_context", subject)
                if is_it(message):
                    return message


async def gone(client: Client) -> Any:
    return await stored(client, lambda message: tells_gone(message.data or b""))


async def test_one_tells_and_another_asks(tmp_path: Path) -> None:
    async with (
        real_nats(tmp_path) as server,
        receiver(server) as one,
        receiver(server, ask_timeout=0.9) as other,
        client_of(server) as client,
    ):
        one.defer()
        await stored(client)
        await other.answered(KEY)
        assert other.sharing.answered[Answered.FOUND] == 1
        assert other.correlator.attempts.is_awaited(KEY)
        await other.answered(QUEUE.key("0000000F"))
        assert other.sharing.answered[Answered.MISSING] == 1


async def test_who_was_just_started_asks_as_soon_as_it_can(tmp_path: Path) -> None:
    """Its first lines came before its connection, and nobody was asked of them."""
    async with real_nats(tmp_path) as server, receiver(server) as one, client_of(server) as client:
        one.defer()
        await stored(client)
        made = Receiver(ask_timeout=0.9)
        made.sharing.ask(QUEUE, KEY)
        async with receiver(server, made) as other:
            await until(lambda: other.learned)
            assert other.sharing.answered[Answered.FOUND] == 1
            assert other.correlator.attempts.is_awaited(KEY)


async def test_but_waits_for_that_only_once() -> None:
    one = Receiver(ask_timeout=0.05)
    running = asyncio.create_task(one.sharing.run())
    await one.answered(KEY)
    one.sharing.ask(QUEUE, KEY)
    await asyncio.sleep(0)  # it is woken
    await asyncio.sleep(0)
    assert one.learned == [KEY, KEY]
    assert one.sharing.answered[Answered.UNAVAILABLE] == 2
    running.cancel()
    await asyncio.wait([running])


async def test_news_that_are_there_before_the_bucket_are_told_once_it_is(tmp_path: Path) -> None:
    early = Receiver()
    early.defer()
    async with (
        real_nats(tmp_path) as server,
        receiver(server, early) as one,
        client_of(server) as client,
    ):
        assert b"r@example.com" in (await stored(client)).data
        assert one.sharing.state["writable"]


async def test_an_end_leaves_a_mark_that_the_server_forgets(tmp_path: Path) -> None:
    async with real_nats(tmp_path) as server, receiver(server) as one, client_of(server) as client:
        one.defer()
        await until(lambda: one.sharing.written[Written.PUT])
        one.correlator.attempts.all_ended(KEY, inf, "end of all", NOW)
        one.sharing.changed(QUEUE, KEY)
        headers = (await gone(client)).headers
        assert headers["KV-Operation"] == "DEL"
        assert headers["Nats-TTL"] == "3600"


async def test_news_of_many_messages_are_told_together(tmp_path: Path) -> None:
    """More than one write holds, those that left the queue among those that did not."""
    async with real_nats(tmp_path) as server, receiver(server) as one, client_of(server) as client:
        names = [f"4ABCDE{number:03d}F" for number in range(300)]
        for name in names:
            one.defer(name)
        gone = names[1::2]
        for name in gone:
            one.correlator.attempts.all_ended(QUEUE.key(name), inf, f"end of {name}", NOW)
        await until(lambda: not one.sharing.unwritten)
        for name in names:
            message = await stored(client, queue_id=name)
            assert tells_gone(message.data) == (name in gone)
            assert (message.headers or {}).get("KV-Operation") == ("DEL" if name in gone else None)
        assert one.sharing.written[Written.PUT] == one.sharing.written[Written.DELETE] == 150
        assert one.sharing.written[Written.DROPPED] == 0


async def test_a_silent_server_is_waited_for_briefly_and_then_not_asked(tmp_path: Path) -> None:
    async with real_nats(tmp_path) as server, receiver(server, ask_timeout=0.2) as one:
        server.freeze()
        try:
            loop = asyncio.get_running_loop()
            began = loop.time()
            # The loop's timers, for they come in their order on a machine that stood still too.
            then: list[int] = []
            loop.call_later(0.9, lambda: then.append(len(one.learned)))
            await one.answered(*(QUEUE.key(f"0000000{n}F") for n in range(8)))
            assert loop.time() - began > 0.19
            assert one.sharing.answered[Answered.TIMEOUT] == 8
            await until(lambda: then)
            assert then == [8]
            one.sharing.ask(QUEUE, KEY)
            await asyncio.sleep(0)  # it is woken
            await asyncio.sleep(0)
            assert len(one.learned) == 9
            assert one.sharing.answered[Answered.UNAVAILABLE] == 1
        finally:
            server.thaw()
        await until(lambda: one.sharing.is_readable)
        await one.answered(KEY)
        assert one.sharing.answered[Answered.MISSING] == 1


async def test_a_loop_that_stood_still_took_answers_that_had_come_for_none(tmp_path: Path) -> None:
    """A loop's timers are first, then what lies in its sockets: a second in which the machine stood
    still, or one long read, cost all that was asked, and then nobody was asked for a while."""
    loop = asyncio.get_running_loop()
    busy, busier = socket.socketpair()

    def read_for_long() -> None:
        loop.remove_reader(busy)
        server.thaw()
        time.sleep(1)  # the server answers meanwhile

    async with real_nats(tmp_path) as server, receiver(server) as one:
        server.freeze()
        for number in range(8):
            one.sharing.ask(QUEUE, QUEUE.key(f"0000000{number}F"))
        await asyncio.sleep(0)  # it is woken
        await asyncio.sleep(0)
        client = one.sharing.client
        assert client is not None
        await until(lambda: not client.pending_data_size)
        assert one.sharing.asked_now == 8
        loop.add_reader(busy, read_for_long)
        busier.send(b"x")
        await until(lambda: len(one.learned) == 8)
        assert one.sharing.answered[Answered.MISSING] == 8
        assert one.sharing.is_readable
    for sock in (busy, busier):
        sock.close()


async def test_more_questions_than_the_bound_are_answered_at_once(tmp_path: Path) -> None:
    async with real_nats(tmp_path) as server, receiver(server, max_asked=2) as one:
        server.freeze()
        try:
            for number in range(5):
                one.sharing.ask(QUEUE, QUEUE.key(f"0000000{number}F"))
            await asyncio.sleep(0)  # it is woken
            await asyncio.sleep(0)
            assert len(one.learned) == 3
            assert one.sharing.answered[Answered.OVERLOAD] == 3
            assert one.sharing.asked_now == 2
            one.sharing.detach()  # the connection is lost
            assert len(one.learned) == 5
            assert one.sharing.asked_now == 0
        finally:
            server.thaw()


async def test_news_wait_for_a_connection_within_their_bound() -> None:
    alone = Receiver(max_unwritten=2)
    for number in range(5):
        alone.defer(f"0000000{number}F")
    assert alone.sharing.unwritten == 2
    assert alone.sharing.written[Written.DROPPED] == 3


@pytest.mark.parametrize("value", [b"x", b"{}", b'{"v":1,"waiting":[[1]]}', b"\xff", b"[" * 60_000])
async def test_what_somebody_else_writes_there_does_no_harm(tmp_path: Path, value: bytes) -> None:
    async with real_nats(tmp_path) as server, receiver(server) as one, client_of(server) as client:
        one.defer()
        await until(lambda: one.sharing.written[Written.PUT])
        await one.sharing.client.flush()  # type: ignore[union-attr]
        await client.publish(SUBJECT, value)
        await client.publish("$KV.mailfault_context.x", value)
        await client.publish("$KV.mailfault_context.a.b.c.\N{SNOWMAN}", value)
        await client.publish(SUBJECT, b"")  # `nats kv del`
        await client.flush()
        await until(lambda: one.sharing.heard[Heard.REFUSED])
        await one.answered(KEY)
        assert one.correlator.attempts.is_awaited(KEY)


async def test_what_is_told_to_one_who_knows_better_is_put_right(tmp_path: Path) -> None:
    async with real_nats(tmp_path) as server, receiver(server) as one, client_of(server) as client:
        one.defer()
        await until(lambda: one.sharing.written[Written.PUT])
        value = one.correlator.exchange.export(KEY)
        one.correlator.close(QUEUE, KEY, NOW)
        one.correlator.exchange.asked(KEY, NOW)  # it is in memory, and leaves
        one.correlator.close(QUEUE, KEY, NOW)
        await client.publish(SUBJECT, value)  # written by one who has not heard of it
        await until(lambda: one.sharing.written[Written.DELETE])
        await gone(client)


async def test_the_last_news_are_told_before_it_ends(tmp_path: Path) -> None:
    async with real_nats(tmp_path) as server, client_of(server) as client:
        async with receiver(server) as one:
            one.defer()
            await until(lambda: one.sharing.written[Written.PUT])
            one.correlator.attempts.all_ended(KEY, inf, "end of all", NOW)
            one.sharing.changed(QUEUE, KEY)  # right behind a write: it would wait a moment
            one.sharing.stop_looking()
            await one.sharing.tell_the_rest()
            assert one.sharing.unwritten == 0
        await gone(client)
