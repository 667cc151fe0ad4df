"""Servers that die, freeze or answer late, connections that break: nothing is lost or doubled."""

import asyncio
import os
import signal
from pathlib import Path

import nats
import pytest
from nats.aio.client import Client
from nats.errors import Error as NatsError

from service.nats.answer import Published
from service.nats.config import NatsConfig
from tests.nats.proxy import Proxy
from tests.nats.waiting import until
from tests.nats.world import envelope, world
from tests.nats_server import all_heard, client_of, real_nats, stream_messages


async def test_20_000_events_while_the_server_is_killed_and_restarted(tmp_path: Path) -> None:
    """Every event is in the stream once, none twice."""
    count = 20_000
    async with real_nats(tmp_path) as server, world(NatsConfig(servers=[server.url])) as here:

        async def publish_all() -> None:
            for number in range(count):
                await here.publisher.publish(envelope(number, size=200))
            await here.publisher.idle()

        publishing = asyncio.create_task(publish_all())
        for part in (1, 2, 3):
            await here.until(lambda world, part=part: len(world.results) > count * part // 4)  # type: ignore[misc]
            await server.kill()
            await here.until(lambda world: not world.publisher.is_attached)
            await server.start()
        await publishing
        assert all(isinstance(result, Published) for result in here.results.values())
        assert len(here.results) == count
        assert here.resends > 0
        async with client_of(server) as client:
            assert await stream_messages(client) == count


async def test_lost_acknowledgements_are_asked_for_again(tmp_path: Path) -> None:
    """Only the server's answers are lost: the events are stored and must not be stored twice."""
    async with real_nats(tmp_path) as server:
        async with Proxy(server.port) as hole:
            config = NatsConfig(servers=[hole.url], ack_timeout=0.3, ping_interval=3600)
            async with world(config) as here:
                await here.publish(envelope(0))
                hole.swallow_answers = True
                publishing = asyncio.create_task(here.publish(*map(envelope, range(1, 20))))
                await here.until(lambda world: world.resends >= 19)
                hole.swallow_answers = False
                results = await publishing
        async with client_of(server) as client:
            assert await stream_messages(client) == 20
    assert all(isinstance(result, Published) and result.duplicate for result in results)


async def test_after_a_thousand_sendings_the_sweep_crashed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two to the power of the number of sendings was no float any more: OverflowError."""
    monkeypatch.setattr("service.nats.publisher._SWEEP_SECONDS", 0)
    users = {"users": [{"user": "u", "password": "p", "permissions": {"publish": ["$JS.API.>"]}}]}
    async with real_nats(tmp_path, authorization=users) as server:
        config = NatsConfig(servers=[server.url], user="u", password="p", ack_timeout=0.0001)
        async with world(config) as here:
            await here.publisher.publish(envelope(1))
            await here.until(lambda world: world.resends > 1030)


@pytest.mark.parametrize("end", [signal.SIGCONT, signal.SIGKILL])
async def test_publish_hung_after_a_server_that_froze(tmp_path: Path, end: signal.Signals) -> None:
    """10 kB bodies beyond nats-py's pending size waited for a flush that nobody made any more."""
    count = 1500
    async with real_nats(tmp_path) as server:
        config = NatsConfig(servers=[server.url], window_bytes=8 * 1024 * 1024)
        async with world(config) as here:
            await here.publish(envelope(0))
            server.freeze()
            publishing = asyncio.create_task(
                here.publish(*(envelope(number, size=10_000) for number in range(1, count)))
            )
            await until(lambda: here.publisher.in_flight_bytes >= config.window_bytes)
            assert here.publisher.in_flight < count - 1
            if end is signal.SIGKILL:
                await server.kill()
                await server.start()
            else:
                os.kill(server.pid, end)
            results = await publishing
            assert all(isinstance(result, Published) for result in results)
        async with client_of(server) as client:
            assert await stream_messages(client) == count


async def test_a_server_that_reads_no_more_gets_no_resends_piled_up(tmp_path: Path) -> None:
    async with real_nats(tmp_path) as server:
        clients: list[Client] = []
        config = NatsConfig(servers=[server.url], ack_timeout=0.01)
        async with world(config, on_client=clients.append) as here:
            await here.publish(envelope(0))
            server.freeze()
            publishing = [
                asyncio.create_task(here.publisher.publish(envelope(number, size=20_000)))
                for number in range(1, 1000)
            ]
            await until(lambda: here.publisher.in_flight_bytes >= config.window_bytes)
            for _ in range(5):  # sweeps
                await asyncio.sleep(0.1)
            assert clients[0].pending_data_size < 2 * config.window_bytes
            os.kill(server.pid, signal.SIGCONT)
            await asyncio.wait(publishing)
            await here.publisher.idle()
            assert len(here.results) == 1000


async def test_an_answer_on_an_earlier_inbox_was_read_as_one_for_another_message(
    tmp_path: Path,
) -> None:
    """Its subject was cut at the length of the new inbox: of 21 the 1 was left."""
    stored = b'{"stream":"POSTFIX","seq":1}'
    async with (
        real_nats(tmp_path, jetstream=None) as server,
        world(NatsConfig(servers=[server.url], ack_timeout=60)) as here,
        client_of(server, inbox_prefix="_INBOX2") as longer,
        client_of(server) as jetstream,
    ):
        seen = await jetstream.subscribe("postfix.>")
        await all_heard(jetstream)
        await here.until(lambda world: world.publisher.is_attached)
        envelopes = [envelope(number) for number in range(30)]
        for one in envelopes:
            await here.publisher.publish(one)
        earlier = (await seen.next_msg(timeout=20)).reply.rpartition(".")[0]
        here.publisher.detach()
        await here.publisher.attach(longer)
        await jetstream.publish(f"{earlier}.21", stored)
        await here.until(lambda world: len(world.results) == 1)
        assert list(here.results) == [envelopes[21]]
        assert here.publisher.in_flight == 29


async def test_an_attach_that_fails_half_way_loses_nothing(tmp_path: Path) -> None:
    async with real_nats(tmp_path) as server, Proxy(server.port) as proxy:
        config = NatsConfig(servers=[proxy.url], ack_timeout=60, ping_interval=3600)
        async with world(config) as here:
            await here.publish(envelope(0))
            proxy.swallow_answers = True
            envelopes = [envelope(number) for number in range(1, 50)]
            for one in envelopes:
                await here.publisher.publish(one)
            here.publisher.detach()
            dead = await nats.connect(server.url, allow_reconnect=False)
            await dead.close()
            with pytest.raises(NatsError):
                await here.publisher.attach(dead)
            assert not here.publisher.is_attached
            waiting = asyncio.create_task(here.publisher.publish(envelope(50)))
            async with client_of(server) as client:
                await here.publisher.attach(client)
                await waiting
                await here.until(lambda world: len(world.results) == 51)
        async with client_of(server) as client:
            assert await stream_messages(client) == 51


async def test_connections_that_break_all_the_time_lose_and_double_nothing(
    tmp_path: Path,
) -> None:
    """publish, sweep, answers, attach, detach in every order: `World` asserts one result each."""
    count = 4000
    async with real_nats(tmp_path) as server, Proxy(server.port) as proxy:
        config = NatsConfig(
            servers=[proxy.url], window=64, ack_timeout=0.02, reconnect_wait_max=0.01
        )
        async with world(config) as here:
            publishing = [
                asyncio.create_task(here.publish(*(envelope(n) for n in range(part, count, 4))))
                for part in range(4)
            ]
            breaks = 0
            while not all(task.done() for task in publishing):
                await here.until(lambda world: world.publisher.is_attached)
                for _ in range(breaks % 7):
                    await asyncio.sleep(0)
                await asyncio.sleep(0.005 * (breaks % 3))
                if breaks < 60:
                    proxy.reset()
                    breaks += 1
                    await here.until(lambda world: not world.publisher.is_attached)
            for task in publishing:
                assert all(isinstance(result, Published) for result in task.result())
            assert breaks > 10
            assert here.publisher.in_flight_bytes == 0
        async with client_of(server) as client:
            assert await stream_messages(client) == count
