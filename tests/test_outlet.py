"""Deliver: every envelope ends once, as acknowledged or dead; against a real nats-server."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from nats.aio.client import Client

import schemas
from schemas import InvalidEvent
from service.core.envelope import Envelope, SubjectTemplate
from service.core.framing.base import Frame
from service.intake import PipelineIntake
from service.metrics import Metrics
from service.nats.answer import Published, Refusal, Rejected
from service.nats.config import NatsConfig
from service.nats.connection import Connection
from service.nats.publisher import Publisher
from service.nats.stream import StreamKeeper
from service.outlet import Outlet
from service.pipeline import Pipeline, PipelineConfig
from service.spool.memory import MemoryQueue, MemoryQueueConfig
from tests import sample_lines as lines
from tests.metric_values import assert_balanced, value
from tests.nats_server import client_of, real_nats, stream_messages
from tests.sample_lines import NOW, ORIGIN, TEMPLATE, envelope


class Way:
    """An outlet with all that is behind it, wired as the application does."""

    def __init__(
        self, config: NatsConfig, queue: MemoryQueueConfig, template: SubjectTemplate = TEMPLATE
    ) -> None:
        self.metrics = Metrics()
        self.queue = MemoryQueue(queue)
        self.outlet = Outlet(self.queue, template, self.metrics)
        self._stream = StreamKeeper(config)
        self.publisher = Publisher(
            config.window,
            config.window_bytes,
            config.ack_timeout,
            config.stream.name,
            on_result=self.outlet.done,
            on_resend=self.metrics.resent,
            on_no_stream=self._stream.look_again,
        )
        self._connection = Connection(
            config, lambda: config.servers, self._connected, self._disconnected
        )
        self.connected = asyncio.Event()
        self.disconnected = asyncio.Event()

    async def _connected(self, client: Client) -> None:
        await self._stream.check(client)
        await self.publisher.attach(client)
        self.connected.set()

    def _disconnected(self) -> None:
        self.publisher.detach()
        self.outlet.flow_stopped()
        self.disconnected.set()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        tasks = [
            asyncio.create_task(work)
            for work in (
                self._connection.run(),
                self._stream.run(),
                self.publisher.run(),
                self.outlet.run(self.publisher),
            )
        ]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)


def way(url: str, max_events: int = 1000, template: SubjectTemplate = TEMPLATE) -> Way:
    config = NatsConfig(servers=[url], reconnect_wait_max=0.2)
    return Way(config, MemoryQueueConfig(max_events=max_events), template)


async def fetch(client: Client, number: int) -> list[tuple[str, dict[str, str], schemas.Event]]:
    subscription = await client.jetstream().pull_subscribe("postfix.>", stream="POSTFIX")
    found: list[tuple[str, dict[str, str], schemas.Event]] = []
    while len(found) < number:
        found += [
            (message.subject, message.headers or {}, schemas.decode(message.data))
            for message in await subscription.fetch(number - len(found), timeout=10)
        ]
    return found


async def test_what_is_put_in_is_stored_in_order(tmp_path: Path) -> None:
    async with real_nats(tmp_path) as server, client_of(server) as client:
        made = way(server.url)
        envelopes = [envelope(number) for number in range(300)]
        async with made.running():
            made.outlet.put(envelopes)
            await made.outlet.settled(made.publisher)
            assert made.outlet.waiting == 0
            found = await fetch(client, 300)
        assert [event.recipient for _, _, event in found] == [
            f"v{number}@other.example" for number in range(300)
        ]
        subject, headers, event = found[0]
        assert subject == "postfix.reject.mx1"
        assert headers["Nats-Msg-Id"] == headers["ce-id"] == event.event_id
        assert headers["ce-type"] == "mailfault.reject.v1"
        assert value(made.metrics, "published_total", result="ok") == 300
        assert value(made.metrics, "publish_seconds_count") == 300
        # The lines are of another day: what counts is when they were read.
        assert value(made.metrics, "event_lag_seconds_count") == 300


async def test_the_same_event_again_is_a_duplicate(tmp_path: Path) -> None:
    async with real_nats(tmp_path) as server, client_of(server) as client:
        made = way(server.url)
        async with made.running():
            made.outlet.put([envelope(1), envelope(2), envelope(1)])
            await made.outlet.settled(made.publisher)
        assert await stream_messages(client) == 2
        assert value(made.metrics, "published_total", result="ok") == 2
        assert value(made.metrics, "published_total", result="duplicate") == 1


async def test_what_is_refused_for_good_becomes_a_dead_letter(tmp_path: Path) -> None:
    async with (
        real_nats(tmp_path, max_payload=16_384) as server,
        client_of(server) as client,
    ):
        made = way(server.url)
        long = lines.REJECT.replace(b"bad.example>", b"bad" * 6000 + b".example>")
        pipeline = Pipeline(PipelineConfig(), TEMPLATE, made.metrics)
        intake = PipelineIntake(pipeline, made.outlet)
        async with made.running():
            intake.take(
                [Frame(lines.numbered(1)), Frame(long), Frame(lines.numbered(2))], ORIGIN, NOW
            )
            await made.outlet.settled(made.publisher)
            found = await fetch(client, 3)
        assert_balanced(made.metrics)
        assert value(made.metrics, "published_total", result="ok") == 2
        assert value(made.metrics, "published_total", result="dead") == 1
        assert value(made.metrics, "dead_letters_total", result="stored") == 1
        # It holds up nobody: it stands behind what waited.
        assert [subject for subject, _, _ in found] == [
            "postfix.reject.mx1",
            "postfix.reject.mx1",
            "postfix.invalid.mx1",
        ]
        _, headers, letter = found[2]
        assert isinstance(letter, InvalidEvent)
        assert letter.reason == Refusal.TOO_LARGE
        assert letter.raw_bytes == long[:4096]
        assert headers["Nats-Msg-Id"] == letter.event_id


async def test_a_dead_letter_that_is_refused_is_lost_and_said_so(tmp_path: Path) -> None:
    async with real_nats(tmp_path, max_payload=1024) as server:
        made = way(server.url)
        async with made.running():
            made.outlet.put([envelope(1)])
            await made.outlet.settled(made.publisher)
        assert value(made.metrics, "published_total", result="dead") == 1
        assert value(made.metrics, "dead_letters_total", result="lost") == 1
        assert value(made.metrics, "published_total", result="ok") == 0


async def test_events_wait_while_nats_is_away_and_none_is_lost(tmp_path: Path) -> None:
    async with real_nats(tmp_path) as server:
        made = way(server.url)
        async with made.running():
            async with asyncio.timeout(20):
                await made.connected.wait()
            await server.kill()
            async with asyncio.timeout(20):
                await made.disconnected.wait()
            made.outlet.put(envelope(number) for number in range(100))
            assert made.outlet.waiting == 100
            loop = asyncio.get_running_loop()
            left = await made.outlet.drain(made.publisher, loop.time() + 0.05)
            assert left == 100, "each is waiting once"
            await server.start()
            async with asyncio.timeout(30):
                await made.outlet.settled(made.publisher)
        async with client_of(server) as client:
            assert await stream_messages(client) == 100


async def test_drain_gives_what_is_left_at_once_when_there_is_no_time() -> None:
    made = way("nats://127.0.0.1:1")
    made.outlet.put([envelope(1)])
    assert await made.outlet.drain(made.publisher, 0) == 1


async def test_nothing_to_drain() -> None:
    made = way("nats://127.0.0.1:1")
    await made.outlet.settled(made.publisher)
    assert await made.outlet.drain(made.publisher, 0) == 0


class TestHoldingBack:
    async def test_while_nats_is_away_the_whole_room_is_used(self) -> None:
        made = way("nats://127.0.0.1:1", max_events=10)
        made.outlet.put(envelope(number) for number in range(9))
        assert not made.outlet.should_hold_back
        assert made.outlet.has_room
        made.outlet.put([envelope(9)])
        assert made.outlet.should_hold_back
        assert not made.outlet.has_room

    async def test_while_nats_takes_events_most_of_it_is_kept(self, tmp_path: Path) -> None:
        async with real_nats(tmp_path) as server:
            made = way(server.url, max_events=40)
            async with made.running():
                async with asyncio.timeout(20):
                    await made.connected.wait()
                made.outlet.put(envelope(number) for number in range(3))
                assert not made.outlet.should_hold_back
                made.outlet.put(envelope(number) for number in range(3, 8))
                assert made.outlet.should_hold_back
                assert made.outlet.has_room, "UDP, which cannot wait, still gets in"
                resumed = asyncio.Event()
                made.outlet.when_room(resumed.set)
                assert not resumed.is_set()
                async with asyncio.timeout(20):
                    await resumed.wait()
                assert not made.outlet.should_hold_back

    async def test_held_back_senders_go_on_when_nats_goes_away(self, tmp_path: Path) -> None:
        """What was kept free is for now; and they go on only once."""
        async with real_nats(tmp_path) as server:
            made = way(server.url, max_events=40)
            async with made.running():
                async with asyncio.timeout(20):
                    await made.connected.wait()
                made.publisher.window = 0  # a server that answers nothing any more
                made.outlet.put(envelope(number) for number in range(8))
                assert made.outlet.should_hold_back
                resumes: list[int] = []
                made.outlet.when_room(lambda: resumes.append(1))
                await server.kill()
                async with asyncio.timeout(20):
                    await made.disconnected.wait()
                assert resumes == [1]
                made.outlet.flow_stopped()
                assert resumes == [1]

    async def test_with_a_full_room_they_wait_on(self) -> None:
        made = way("nats://127.0.0.1:1", max_events=10)
        made.outlet.put(envelope(number) for number in range(8))
        resumes: list[int] = []
        made.outlet.when_room(lambda: resumes.append(1))
        made.outlet.flow_stopped()
        assert resumes == []

    async def test_a_full_room_lets_go_once_it_is_half_empty(self, tmp_path: Path) -> None:
        async with real_nats(tmp_path) as server:
            made = way(server.url, max_events=10)
            made.outlet.put(envelope(number) for number in range(10))
            resumed = asyncio.Event()
            made.outlet.when_room(resumed.set)
            async with made.running(), asyncio.timeout(20):
                await resumed.wait()
                assert len(made.queue) <= 5


async def test_the_answer_to_a_dead_letter_is_no_event(tmp_path: Path) -> None:
    """Counted as a letter, not as published: the balance of events is about events."""
    made = way("nats://127.0.0.1:1")
    refused = envelope(1)
    made.outlet.done(refused, Rejected(Refusal.REFUSED, "no (400/1)"))
    letter: Envelope
    (letter,) = made.queue.first(1)
    assert letter.event_type == "invalid"
    made.outlet.done(letter, Published(duplicate=False, seconds=0.1))
    assert value(made.metrics, "published_total", result="ok") == 0
    assert value(made.metrics, "dead_letters_total", result="stored") == 1


async def test_the_intake_speaks_for_the_outlet() -> None:
    made = way("nats://127.0.0.1:1", max_events=1)
    intake = PipelineIntake(Pipeline(PipelineConfig(), TEMPLATE, made.metrics), made.outlet)
    intake.take([Frame(lines.HARMLESS)], ORIGIN, NOW)
    assert made.outlet.waiting == 0
    assert intake.has_room
    assert not intake.should_hold_back
    intake.take([Frame(lines.REJECT)], ORIGIN, NOW)
    assert made.outlet.waiting == 1
    assert not intake.has_room
    assert intake.should_hold_back
    resumes: list[int] = []
    intake.when_room(lambda: resumes.append(1))
    made.queue.popleft()
    made.outlet.flow_stopped()
    assert resumes == [1]
