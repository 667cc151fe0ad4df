"""Connections to real servers: always a new one, whatever became of the last, and told once."""

import asyncio
import itertools
import os
import signal
from pathlib import Path

import nats
import pytest
from nats.aio.client import Client
from structlog.testing import capture_logs

from service.nats.answer import Published
from service.nats.config import NatsConfig
from service.nats.connection import Connection
from tests.nats.identities import only
from tests.nats.peer import Peer
from tests.nats.waiting import until
from tests.nats.world import attached, envelope, world
from tests.nats_server import client_of, real_nats, stream_messages
from tests.standstill import watched


async def test_renewed_within_a_second_of_the_servers_return(tmp_path: Path) -> None:
    """It took two seconds, and after 60 attempts of nats-py's own it would have taken longer."""
    clock = asyncio.get_running_loop().time
    async with real_nats(tmp_path) as server, attached(NatsConfig(servers=[server.url])) as here:
        waits = []
        for number in range(3):
            await server.kill()
            await here.until(lambda world: not world.publisher.is_attached)
            await server.start()
            back = clock()
            [result] = await here.publish(envelope(number))
            waits.append(clock() - back)
            assert isinstance(result, Published)
        assert min(waits) < 1


async def test_a_server_that_is_absent_at_the_start_is_found_later(tmp_path: Path) -> None:
    async with real_nats(tmp_path) as server:
        await server.stop()
        async with world(NatsConfig(servers=[server.url])) as here:
            await until(lambda: "refused" in (here.connection.last_error or ""))
            publishing = asyncio.create_task(here.publish(envelope(1)))
            await server.start()
            [result] = await publishing
            assert isinstance(result, Published)
            assert here.connection.last_error is None


async def test_renewed_after_the_server_threw_us_out_and_the_reason_is_told(
    tmp_path: Path,
) -> None:
    async with real_nats(tmp_path) as server:
        config = NatsConfig(servers=[server.url])
        clients: list[Client] = []
        async with world(config, on_client=clients.append) as here:
            await here.until(lambda world: world.publisher.is_attached)
            with capture_logs() as logs:
                await clients[0].publish("x" * 5000)
                await here.until(lambda world: not world.publisher.is_attached)
                await here.until(lambda world: world.publisher.is_attached)
            [gone] = [entry for entry in logs if entry["event"] == "nats_disconnected"]
            assert "maximum control line exceeded" in gone["error"]
            [result] = await here.publish(envelope(1))
            assert isinstance(result, Published)
            assert len(clients) == 2


async def test_renewed_after_lame_duck_mode(tmp_path: Path) -> None:
    settings = {"lame_duck_duration": "30s", "lame_duck_grace_period": "100ms"}
    async with (
        real_nats(tmp_path, **settings) as server,
        attached(NatsConfig(servers=[server.url])) as here,
    ):
        [first] = await here.publish(envelope(1))
        os.kill(server.pid, signal.SIGUSR2)  # what `nats-server --signal ldm` sends
        await here.until(lambda world: not world.publisher.is_attached)
        await server.stop()
        await server.start()
        [second] = await here.publish(envelope(2))
        assert isinstance(first, Published)
        assert isinstance(second, Published)
        async with client_of(server) as client:
            assert await stream_messages(client) == 2


async def test_another_server_of_the_list_takes_over(tmp_path: Path) -> None:
    async with (
        real_nats(tmp_path / "a") as a,
        real_nats(tmp_path / "b") as b,
        attached(NatsConfig(servers=["nats://127.0.0.1:1", a.url, b.url])) as here,
    ):
        for server in (a, b):
            await server.stop()
            [result] = await here.publish(envelope(server.port))
            assert isinstance(result, Published)
            await server.start()


async def test_a_member_of_the_cluster_that_was_not_listed_takes_over(tmp_path: Path) -> None:
    cluster = {"name": "C", "listen": "127.0.0.1:-1"}
    async with real_nats(tmp_path / "a", jetstream=None, server_name="A", cluster=cluster) as a:
        routes = [a.url_of("cluster")]
        settings = {"server_name": "B", "cluster": {**cluster, "routes": routes}}
        async with real_nats(tmp_path / "b", jetstream=None, **settings) as b:
            await _until_both_know_each_other(a.url)
            async with attached(NatsConfig(servers=[a.url])) as here:
                await a.kill()
                await here.until(lambda world: not world.publisher.is_attached)
                await here.until(lambda world: world.publisher.is_attached)
                assert here.connection.is_connected
                assert str(b.port) not in here.config.servers[0]


@pytest.mark.parametrize(
    "greeting",
    [
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        b"INFO []\r\n",
        b"INFO {\r\n",
        b'INFO {"connect_urls": 5}\r\n',
        b'INFO {"connect_urls": ["\x00[", "::"]}\r\n',
        b"INFO {}\r\nMSG\r\n",
        b"\xff" * 100_000,
        b"-ERR 'maximum connections exceeded'\r\n",
        b"",
    ],
    ids=lambda greeting: repr(greeting[:25]),
)
async def test_whatever_answers_the_connection_is_tried_again(greeting: bytes) -> None:
    before = asyncio.all_tasks()
    async with Peer([], greeting) as peer:
        config = NatsConfig(
            servers=[f"nats://127.0.0.1:{peer.port}"], connect_timeout=0.2, reconnect_wait_max=0.1
        )
        async with world(config) as here:
            await until(lambda: len(peer.came) >= 3)
            assert not here.publisher.is_attached
            assert here.connection.last_error
    await until(lambda: asyncio.all_tasks() == before)


async def test_a_server_that_throws_us_out_at_once_was_asked_20_times_a_second() -> None:
    """The wait began anew with each connection that was made, however short it was."""
    longest = 0.8
    async with Peer([b"PONG\r\n"], then=b"-ERR 'no room'\r\n") as peer:
        config = NatsConfig(servers=[f"nats://127.0.0.1:{peer.port}"], reconnect_wait_max=longest)
        connection = Connection(config, lambda: config.servers, _nothing, lambda: None)
        with capture_logs() as logs, watched() as standstill:
            running = asyncio.create_task(connection.run())
            await until(lambda: len(peer.came) >= 7)
            running.cancel()
            await asyncio.wait([running])
    ends = [entry["error"] for entry in logs if entry["event"] == "nats_disconnected"]
    assert "nats: no room" in ends  # and not the end of file that follows it
    gaps = list(itertools.pairwise(peer.came))
    assert gaps[-1][1] - gaps[-1][0] >= longest / 2
    assert max(b - a - standstill.within(a, b) for a, b in gaps) < longest + 2


async def test_a_storm_of_permission_errors_is_one_line_in_the_log(tmp_path: Path) -> None:
    user = {"user": "u", "password": "p", "permissions": {"publish": ["$JS.API.>"]}}
    async with real_nats(tmp_path, authorization=only(user)) as server:
        config = NatsConfig(servers=[server.url], user="u", password="p", ack_timeout=0.05)
        with capture_logs() as logs:
            async with attached(config) as here:
                for number in range(200):
                    await here.publisher.publish(
                        envelope(number, subject=f"postfix.bounced.mx{number}")
                    )
                await here.until(lambda world: world.resends > 400)
                assert "permissions violation" in (here.connection.last_error or "").lower()
        assert len([entry for entry in logs if entry["event"] == "nats_trouble"]) == 1


async def test_a_trouble_that_lasts_is_told_though_it_follows_another(tmp_path: Path) -> None:
    """The quiet seconds after one line swallowed the next trouble for good."""
    async with real_nats(tmp_path) as server:
        config = NatsConfig(servers=[server.url], reconnect_wait_max=0.1)
        with capture_logs() as logs:
            async with attached(config):
                await server.kill()
                await until(lambda: any("refused" in str(entry.get("error")) for entry in logs))
    assert len([entry for entry in logs if entry["event"] == "nats_trouble"]) == 2


async def _nothing(client: Client) -> None:
    pass


async def _until_both_know_each_other(url: str) -> None:
    async with asyncio.timeout(20):
        while True:
            client = await nats.connect(url)
            try:
                if client.discovered_servers:
                    return
            finally:
                await client.close()
