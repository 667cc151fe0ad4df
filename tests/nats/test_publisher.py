"""The publish window against a real server: what is sent, acknowledged and told."""

import asyncio
import itertools
import os
import signal
from collections.abc import Sequence
from pathlib import Path

import pytest

from service.core.envelope import Envelope
from service.nats.answer import Published, Result
from service.nats.config import NatsConfig
from service.nats.publisher import _PROMPT_SECONDS, Publisher
from tests.nats.waiting import until
from tests.nats.world import envelope, world
from tests.nats_server import all_heard, client_of, real_nats, stream_messages


async def test_an_event_is_stored_with_its_id_and_headers(tmp_path: Path) -> None:
    async with real_nats(tmp_path) as server, world(NatsConfig(servers=[server.url])) as here:
        [result] = await here.publish(envelope(1))
        assert isinstance(result, Published)
        assert not result.duplicate
        assert result.seconds >= 0
        async with client_of(server) as client:
            stored = await client.jetstream().get_msg("POSTFIX", 1)
    assert stored.subject == "postfix.bounced.mx1"
    assert stored.data == envelope(1).body
    assert stored.headers == {
        "Nats-Msg-Id": f"{1:032x}",
        "ce-id": f"{1:032x}",
        "ce-type": "mailfault.bounced.v1",
    }


async def test_the_same_id_twice_is_stored_once_and_told_as_duplicate(tmp_path: Path) -> None:
    async with real_nats(tmp_path) as server, world(NatsConfig(servers=[server.url])) as here:
        results = await here.publish(envelope(1), envelope(1), envelope(2))
        assert [isinstance(r, Published) and r.duplicate for r in results] == [False, True, False]
        async with client_of(server) as client:
            assert await stream_messages(client) == 2


async def test_only_a_server_that_answers_promptly_gets_the_whole_window(tmp_path: Path) -> None:
    """What a slow one is sent beyond a quarter would go to disk, or be sent twice."""
    async with (
        real_nats(tmp_path) as server,
        world(NatsConfig(servers=[server.url], window=40)) as here,
    ):
        publisher = here.publisher
        numbers = itertools.count()

        async def sent_unanswered(many: int) -> int:
            server.freeze()
            publishing = [
                asyncio.create_task(publisher.publish(envelope(next(numbers)))) for _ in range(many)
            ]
            for _ in range(100):
                await asyncio.sleep(0)
            in_flight = publisher.in_flight
            await until(lambda: publisher.oldest_seconds > 0.3)
            os.kill(server.pid, signal.SIGCONT)
            await asyncio.wait(publishing)
            await publisher.idle()
            return in_flight

        async def all_answered_promptly() -> bool:
            """The machine may have stood still meanwhile, which no server can help."""
            results = await here.publish(*(envelope(next(numbers)) for _ in range(100)))
            return max(r.seconds for r in results if isinstance(r, Published)) < _PROMPT_SECONDS

        await here.publish(envelope(next(numbers)))
        assert await sent_unanswered(10) == 10
        assert await sent_unanswered(20) == 10
        while not await all_answered_promptly():
            pass
        assert await sent_unanswered(40) == 40
        assert await sent_unanswered(40) == 10


async def test_the_window_bounds_what_is_in_flight(tmp_path: Path) -> None:
    config = NatsConfig(servers=["nats://127.0.0.1:1"], window=10)
    async with real_nats(tmp_path) as server:
        config.servers[:] = [server.url]
        seen = 0
        async with world(config) as here:
            for number in range(500):
                await here.publisher.publish(envelope(number))
                seen = max(seen, here.publisher.in_flight)
            await here.publisher.idle()
            assert seen == 10
            assert len(here.results) == 500
            assert here.publisher.oldest_seconds == 0


async def test_a_waiting_publish_can_be_cancelled_and_nothing_of_it_is_left(
    tmp_path: Path,
) -> None:
    async with (
        real_nats(tmp_path) as server,
        world(NatsConfig(servers=[server.url], window=1)) as here,
    ):
        await here.publish(envelope(0))
        server.freeze()
        await here.publisher.publish(envelope(1))
        waiting = asyncio.create_task(here.publisher.publish(envelope(2)))
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.wait([waiting])
        assert waiting.cancelled()
        assert here.publisher.in_flight == 1
        os.kill(server.pid, signal.SIGCONT)
        await here.publisher.idle()
        assert len(here.results) == 2


async def test_a_result_that_its_taker_cannot_use_stopped_all_answers(tmp_path: Path) -> None:
    """It ended nats-py's reading task; only the pings noticed, a minute later."""
    done: list[Envelope] = []

    def take(results: Sequence[tuple[Envelope, Result]]) -> None:
        if results[0][0].message_id == f"{1:032x}":
            raise ValueError("a defect of ours")
        done.extend(envelope for envelope, _ in results)

    async with (
        real_nats(tmp_path) as server,
        world(NatsConfig(servers=[server.url])) as here,
        client_of(server) as client,
    ):
        await here.publish(envelope(0))  # so that the stream exists
        publisher = Publisher(
            10, 10_000, 5, "POSTFIX", take, lambda count: None, lambda: None, lambda why: None
        )
        await publisher.attach(client)
        for numbers in ((1,), (2, 3)):
            for number in numbers:
                await publisher.publish(envelope(number))
            async with asyncio.timeout(20):
                await publisher.idle()
        assert len(done) == 2


async def test_the_stream_of_a_jetstream_domain_answers_with_more(tmp_path: Path) -> None:
    jetstream = {"store_dir": str(tmp_path / "js"), "domain": "hub"}
    async with (
        real_nats(tmp_path, jetstream=jetstream) as server,
        world(NatsConfig(servers=[server.url])) as here,
    ):
        results = await here.publish(envelope(1), envelope(1))
    assert [isinstance(r, Published) and r.duplicate for r in results] == [False, True]


@pytest.mark.parametrize("subject", ["no-number", "-1", "99999999", "٣"])
async def test_what_others_write_to_our_inbox_is_ignored(tmp_path: Path, subject: str) -> None:
    async with (
        real_nats(tmp_path) as server,
        world(NatsConfig(servers=[server.url], inbox_prefix="OURS")) as here,
        client_of(server) as client,
    ):
        await here.publish(envelope(0))
        asked = await client.subscribe("postfix.>")
        await all_heard(client)
        await here.publisher.publish(envelope(1))
        message = await asked.next_msg(timeout=20)
        await client.publish(f"{message.reply.rpartition('.')[0]}.{subject}", b"nonsense")
        await all_heard(client)
        results = await here.publish(envelope(2), envelope(3))
        assert all(isinstance(result, Published) for result in results)
        assert here.connection.is_connected


async def test_publish_now_sends_on_the_spot(tmp_path: Path) -> None:
    async with real_nats(tmp_path) as server, world(NatsConfig(servers=[server.url])) as here:
        await here.publish(envelope(0))
        assert here.publisher.publish_now([envelope(1), envelope(2)])
        assert here.publisher.in_flight == 2
        await here.publisher.publish(envelope(3))
        await here.publisher.idle()
        assert all(isinstance(result, Published) for result in here.results.values())
        async with client_of(server) as client:
            stored = [await client.jetstream().get_msg("POSTFIX", n) for n in range(1, 5)]
    ids = [(message.headers or {})["Nats-Msg-Id"] for message in stored]
    assert ids == [f"{number:032x}" for number in range(4)]


async def test_publish_now_leaves_alone_what_has_no_room(tmp_path: Path) -> None:
    bytes_of_two = 2 * len(envelope(1).body)
    async with real_nats(tmp_path) as server:
        for config in (
            NatsConfig(servers=[server.url], window=2),
            NatsConfig(servers=[server.url], window_bytes=bytes_of_two),
        ):
            async with world(config) as here:
                await here.publish(envelope(0))
                assert not here.publisher.publish_now([envelope(n) for n in (1, 2, 3)])
                assert here.publisher.in_flight == 0
                assert here.publisher.publish_now([envelope(4), envelope(5)])
                await here.publisher.idle()


async def test_publish_now_needs_a_connection(tmp_path: Path) -> None:
    async with real_nats(tmp_path) as server, world(NatsConfig(servers=[server.url])) as here:
        await here.publish(envelope(0))
        await server.kill()
        await here.until(lambda world: not world.publisher.is_attached)
        assert not here.publisher.publish_now([envelope(1)])
        assert here.publisher.in_flight == 0
        await server.start()


async def test_publish_now_does_not_overtake_what_nats_py_has_to_write(tmp_path: Path) -> None:
    async with real_nats(tmp_path) as server, world(NatsConfig(servers=[server.url])) as here:
        await here.publish(envelope(0))
        publishing = asyncio.ensure_future(here.publisher.publish(envelope(1)))
        await asyncio.sleep(0)
        assert here.publisher.in_flight == 1
        assert not here.publisher.publish_now([envelope(2)])  # nats-py's task has not had its turn
        await publishing
        await here.publisher.idle()
