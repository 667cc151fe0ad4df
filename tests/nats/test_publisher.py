"""The publish window against real servers that refuse, stall, die and come back."""

import asyncio
from pathlib import Path

import pytest

from service.nats.config import NatsConfig
from service.nats.answer import Published, Refusal, Rejected
from tests.nats.world import envelope, world
from tests.nats_server import client_of, real_nats, stream_messages


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


async def test_50_000_events_while_the_server_is_killed_and_restarted(tmp_path: Path) -> None:
    """Every event is in the stream once, none twice."""
    count = 50_000
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


async def test_a_message_larger_than_the_stream_takes_is_rejected_alone(tmp_path: Path) -> None:
    async with real_nats(tmp_path) as server:
        async with client_of(server) as client:
            await client.jetstream().add_stream(
                name="POSTFIX", subjects=["postfix.>"], max_msg_size=2000
            )
        async with world(NatsConfig(servers=[server.url])) as here:
            small, large, after = await here.publish(
                envelope(1), envelope(2, size=5000), envelope(3)
            )
    assert isinstance(small, Published)
    assert isinstance(large, Rejected)
    assert large.reason is Refusal.TOO_LARGE
    assert "10054" in large.description
    assert isinstance(after, Published)


async def test_a_message_larger_than_the_server_takes_is_rejected_alone(tmp_path: Path) -> None:
    async with (
        real_nats(tmp_path, max_payload=4096) as server,
        world(NatsConfig(servers=[server.url])) as here,
    ):
        large, after = await here.publish(envelope(1, size=5000), envelope(2))
    assert isinstance(large, Rejected)
    assert large.reason is Refusal.TOO_LARGE
    assert isinstance(after, Published)


async def test_a_subject_of_another_stream_is_rejected(tmp_path: Path) -> None:
    async with real_nats(tmp_path) as server:
        async with client_of(server) as client:
            await client.jetstream().add_stream(name="OTHER", subjects=["elsewhere.>"])
        async with world(NatsConfig(servers=[server.url])) as here:
            [result] = await here.publish(envelope(1, subject="elsewhere.bounced"))
    assert isinstance(result, Rejected)
    assert result.reason is Refusal.WRONG_STREAM


async def test_a_full_stream_is_tried_again_until_there_is_room(tmp_path: Path) -> None:
    async with real_nats(tmp_path) as server, client_of(server) as client:
        jetstream = client.jetstream()
        await jetstream.add_stream(
            name="POSTFIX", subjects=["postfix.>"], max_msgs=1, discard="new"
        )
        async with world(NatsConfig(servers=[server.url])) as here:
            await here.publish(envelope(1))
            publishing = asyncio.create_task(here.publish(envelope(2)))
            await here.until(lambda world: world.resends >= 2)
            assert here.publisher.in_flight == 1
            await jetstream.purge_stream("POSTFIX")
            [result] = await publishing
    assert isinstance(result, Published)


async def test_a_deleted_stream_is_made_again_and_nothing_is_lost(tmp_path: Path) -> None:
    async with real_nats(tmp_path) as server, client_of(server) as client:
        async with world(NatsConfig(servers=[server.url])) as here:
            await here.publish(envelope(1))
            await client.jetstream().delete_stream("POSTFIX")
            results = await here.publish(envelope(2), envelope(3))
            assert all(isinstance(result, Published) for result in results)
            assert await stream_messages(client) == 2


async def test_lost_acknowledgements_are_asked_for_again(tmp_path: Path) -> None:
    """Only the server's answers are lost: the events are stored and must not be stored twice."""
    async with real_nats(tmp_path) as server:
        hole = _Hole(server.port)
        async with hole:
            config = NatsConfig(
                servers=[f"nats://127.0.0.1:{hole.port}"], ack_timeout=0.3, ping_interval=3600
            )
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


async def test_no_right_to_publish_is_shown_and_not_fatal(tmp_path: Path) -> None:
    users = {
        "users": [
            {"user": "u", "password": "p", "permissions": {"publish": ["$JS.API.>"]}},
            {"user": "admin", "password": "p"},
        ]
    }
    async with real_nats(tmp_path, authorization=users) as server:
        config = NatsConfig(servers=[server.url], user="u", password="p", ack_timeout=0.2)
        async with world(config) as here:
            await here.publisher.publish(envelope(1))
            await here.until(lambda world: world.resends >= 1)
            assert "permissions violation" in (here.connection.last_error or "").lower()
            assert here.publisher.in_flight == 1


class _Hole:
    """A TCP proxy in front of the server that can swallow what the server answers."""

    def __init__(self, port: int) -> None:
        self._server_port = port
        self.swallow_answers = False
        self.port = 0
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> "_Hole":
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._server_port)
        for source, sink, is_answer in (
            (reader, far_writer, False),
            (far_reader, writer, True),
        ):
            self._tasks.add(asyncio.create_task(self._pump(source, sink, is_answer)))

    async def _pump(
        self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, is_answer: bool
    ) -> None:
        try:
            while data := await source.read(65_536):
                if is_answer and self.swallow_answers:
                    continue
                sink.write(data)
                await sink.drain()
        except OSError:
            pass
        finally:
            sink.close()


pytestmark = pytest.mark.timeout(60)
