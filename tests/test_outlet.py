"""Deliver: every envelope ends once, as acknowledged or dead; against a real nats-server."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from nats.aio.client import Client
from structlog.testing import capture_logs

import schemas
from schemas import InvalidEvent
from service.core.classify import builtin_classifier
from service.core.correlate.trace import Queue
from service.core.envelope import Envelope, SubjectTemplate
from service.core.framing.base import Frame
from service.correlation import Correlation
from service.correlation_config import CorrelationConfig
from service.intake import PipelineIntake
from service.metrics import Metrics
from service.nats.answer import Published, Refusal, Rejected
from service.nats.config import NatsConfig
from service.nats.connection import Connection
from service.nats.publisher import Publisher
from service.nats.stream import StreamKeeper
from service.outlet import Outlet
from service.pipeline import AT_ONCE, Pipeline
from service.pipeline_config import PipelineConfig
from service.sources import Sources
from service.spool import inspection
from service.spool.config import SpoolConfig
from service.spool.memory_config import MemoryQueueConfig
from service.spool.opening import database_path
from service.spool.store import SpoolStore
from tests import sample_lines as lines
from tests.metric_values import assert_balanced, value
from tests.nats.waiting import until
from tests.nats_server import client_of, real_nats, stream_messages
from tests.sample_lines import NOW, ORIGIN, TEMPLATE, envelope


def _fail() -> None:
    raise ValueError("a defect of ours")


class Way:
    """An outlet with all that is behind it, wired as the application does."""

    def __init__(
        self,
        config: NatsConfig,
        queue: MemoryQueueConfig,
        home: Path,
        spool: SpoolConfig,
        template: SubjectTemplate = TEMPLATE,
    ) -> None:
        self.metrics = Metrics()
        self.store = SpoolStore(home, spool, on_change=self._spool_changed)
        self.outlet = Outlet(queue, spool, self.store, template, self.metrics)
        self.queue = self.outlet.queue
        self._stream = StreamKeeper(config)
        self.publisher = Publisher(
            config.window,
            config.window_bytes,
            config.ack_timeout,
            config.stream.name,
            on_results=self.outlet.done,
            on_resend=self.metrics.resent,
            on_no_stream=self._stream.look_again,
            on_trouble=self._stream.refuses,
        )
        self._connection = Connection(
            config, lambda: config.servers, self._connected, self._disconnected
        )
        self.seen: Callable[[Client], None] = lambda client: None
        """Is shown each new connection."""
        self.connected = asyncio.Event()
        self.disconnected = asyncio.Event()

    def _spool_changed(self) -> None:
        self.outlet.spooler.changed()

    async def _connected(self, client: Client) -> None:
        await self._stream.check(client)
        await self.publisher.attach(client)
        self.seen(client)
        self.outlet.flow_started()
        self.connected.set()

    def _disconnected(self) -> None:
        self.publisher.detach()
        self.outlet.flow_stopped()
        self.disconnected.set()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        await self.store.open()
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
            _, left = await asyncio.wait(tasks, timeout=30)
            assert not left, left
            await self.store.close()

    async def flowing(self) -> None:
        """Connected, and nothing is left on disk: events go straight to NATS."""
        async with asyncio.timeout(20):
            await self.connected.wait()
            await self.outlet.spooler.caught_up()


NOWHERE = "nats://127.0.0.1:1"


def way(
    home: Path, url: str = NOWHERE, max_events: int = 1000, max_waiting: int = 10_000, **spool: Any
) -> Way:
    """`max_events`: in memory; `max_waiting`: on disk."""
    config = NatsConfig(servers=[url], reconnect_wait_max=0.2)
    queue = MemoryQueueConfig(max_events=max_events)
    return Way(config, queue, home / "data", SpoolConfig(max_events=max_waiting, **spool))


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
        made = way(tmp_path, server.url)
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
        made = way(tmp_path, server.url)
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
        made = way(tmp_path, server.url)
        long = lines.REJECT.replace(b"bad.example>", b"bad" * 6000 + b".example>")
        pipeline = Pipeline(PipelineConfig(), TEMPLATE, made.metrics, builtin_classifier())
        intake = PipelineIntake(pipeline, made.outlet, Sources(10))
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


async def test_a_dead_letter_that_is_refused_is_buried_for_the_operator(tmp_path: Path) -> None:
    async with real_nats(tmp_path, max_payload=1024) as server:
        made = way(tmp_path, server.url)
        refused = envelope(1)
        durable: list[int] = []
        refused.on_durable = lambda: durable.append(1)
        async with made.running():
            made.outlet.put([refused])
            async with asyncio.timeout(20):
                await made.outlet.settled(made.publisher)
            assert made.store.dead_letters == 1
            assert made.store.events == 0
            assert durable == [1]
        assert value(made.metrics, "published_total", result="dead") == 1
        assert value(made.metrics, "dead_letters_total", result="buried") == 1
        assert value(made.metrics, "published_total", result="ok") == 0
        (letter,) = inspection.dead_letters(database_path(tmp_path / "data"))
        assert letter.reason == Refusal.TOO_LARGE
        assert letter.body == refused.body


async def test_a_stream_that_refuses_everything_does_not_fill_the_log(tmp_path: Path) -> None:
    made = way(tmp_path)
    refused = Rejected(Refusal.WRONG_STREAM, "stored in stream OTHER")
    with capture_logs() as logs:
        made.outlet.done([(envelope(1), refused)] * 500)
    said = [entry for entry in logs if entry["event"] == "event_refused"]
    assert 1 <= len(said) < 250  # twenty a second
    assert value(made.metrics, "published_total", result="dead") == 500


async def test_events_wait_on_disk_while_nats_is_away_and_none_is_lost(tmp_path: Path) -> None:
    async with real_nats(tmp_path) as server, client_of(server) as client:
        made = way(tmp_path, server.url, after=0.2)
        durable: list[int] = []
        async with made.running():
            await made.flowing()
            await server.kill()
            async with asyncio.timeout(20):
                await made.disconnected.wait()
            envelopes = [envelope(number) for number in range(100)]
            for number, one in enumerate(envelopes):
                one.on_durable = partial(durable.append, number)
            made.outlet.put(envelopes[:60])
            assert made.outlet.waiting == 60
            assert durable == []
            await until(lambda: len(durable) == 60)
            assert made.store.events == 60
            made.outlet.put(envelopes[60:])
            async with asyncio.timeout(20):
                await made.outlet.spooler.saved()
            assert durable == list(range(100)), "in order, each once, before NATS is back"
            assert made.outlet.waiting == 0
            await server.start()
            async with asyncio.timeout(30):
                await made.outlet.settled(made.publisher)
            assert durable == list(range(100))
            await made.outlet.spooler.remove_now()
            assert made.store.events == 0
            assert await stream_messages(client) == 100
            found = await fetch(client, 100)
        assert [event.recipient for _, _, event in found] == [
            f"v{number}@other.example" for number in range(100)
        ]


async def test_what_was_sent_and_not_answered_goes_to_disk_first(tmp_path: Path) -> None:
    async with real_nats(tmp_path) as server, client_of(server) as client:
        made = way(tmp_path, server.url, after=0.2)
        async with made.running():
            await made.flowing()
            server.freeze()
            made.outlet.put(envelope(number) for number in range(5))
            await until(lambda: made.publisher.unsaved == 0 and made.store.events == 5)
            made.outlet.put(envelope(number) for number in range(5, 8))
            async with asyncio.timeout(20):
                await made.outlet.spooler.saved()
            server.thaw()
            async with asyncio.timeout(30):
                await made.outlet.settled(made.publisher)
            assert await stream_messages(client) == 8, "stored twice or not, there once"


async def test_what_a_receiver_left_on_disk_the_next_one_publishes_first(tmp_path: Path) -> None:
    first = way(tmp_path)
    async with first.running():
        first.outlet.put(envelope(number) for number in range(50))
        assert await first.outlet.drain(first.publisher, asyncio.get_running_loop().time()) == 0
    async with real_nats(tmp_path) as server, client_of(server) as client:
        second = way(tmp_path, server.url)
        async with second.running():
            second.outlet.put([envelope(50)])
            async with asyncio.timeout(30):
                await second.outlet.settled(second.publisher)
            await second.outlet.drain(second.publisher, asyncio.get_running_loop().time())
            found = await fetch(client, 51)
        assert [event.recipient for _, _, event in found] == [
            f"v{number}@other.example" for number in range(51)
        ]
    third = way(tmp_path)
    async with third.running():
        assert third.store.events == 0


async def test_stopping_saves_what_nats_does_not_take(tmp_path: Path) -> None:
    async with real_nats(tmp_path) as server:
        made = way(tmp_path, server.url, after=3600)
        async with made.running():
            await made.flowing()
            server.freeze()
            made.outlet.put(envelope(number) for number in range(20))
            loop = asyncio.get_running_loop()
            assert await made.outlet.drain(made.publisher, loop.time() + 0.3) == 0
            assert made.store.events == 20
        server.thaw()


async def test_a_cancellation_that_nats_py_s_flush_kept_to_itself_hung_the_stop(
    tmp_path: Path,
) -> None:
    """Where its flusher has ended, nats-py writes in our task, and waits there for a server that
    reads nothing."""
    async with real_nats(tmp_path) as server:
        made = way(tmp_path, server.url)
        clients: list[Client] = []
        made.seen = clients.append
        async with made.running():
            await made.flowing()
            (client,) = clients
            flusher = client._flusher_task
            assert flusher is not None
            flusher.cancel()
            await asyncio.wait([flusher])
            server.freeze()
            large = [envelope(number) for number in range(200)]
            for one in large:
                one.body = one.body.ljust(60_000)
            made.outlet.put(large)
            await until(lambda: client._transport._io_writer.transport.get_write_buffer_size())  # type: ignore[union-attr]
        server.thaw()


async def test_nothing_to_drain(tmp_path: Path) -> None:
    made = way(tmp_path)
    async with made.running():
        assert await made.outlet.drain(made.publisher, 0) == 0


class TestWriteAhead:
    async def test_each_event_is_on_disk_before_it_is_published(self, tmp_path: Path) -> None:
        async with real_nats(tmp_path) as server, client_of(server) as client:
            made = way(tmp_path, server.url, durability="write-ahead")
            async with made.running():
                await made.flowing()
                published_before: list[int] = []
                for number in range(300):
                    one = envelope(number)
                    one.on_durable = lambda: published_before.append(made.publisher.in_flight)
                    made.outlet.put([one])
                async with asyncio.timeout(20):
                    await made.outlet.spooler.saved()
                assert len(published_before) == 300
                async with asyncio.timeout(20):
                    await made.outlet.settled(made.publisher)
                await made.outlet.spooler.remove_now()
                assert made.store.events == 0
                found = await fetch(client, 300)
            assert [event.recipient for _, _, event in found] == [
                f"v{number}@other.example" for number in range(300)
            ]
            assert value(made.metrics, "published_total", result="ok") == 300

    async def test_where_the_cap_is_reached_nothing_is_acknowledged(self, tmp_path: Path) -> None:
        made = way(tmp_path, durability="write-ahead", max_waiting=10)
        durable: list[int] = []
        async with made.running():
            for number in range(12):
                one = envelope(number)
                one.on_durable = partial(durable.append, number)
                made.outlet.put([one])
                if number < 10:
                    async with asyncio.timeout(20):
                        await made.outlet.spooler.saved()
            assert not made.outlet.is_safe
            assert durable == list(range(10))
            assert made.outlet.waiting == 2


async def test_a_spool_that_fails_is_no_way_round_nats(tmp_path: Path) -> None:
    """On outage only: while NATS takes events, a cap or a full disk holds nobody up."""
    async with real_nats(tmp_path) as server, client_of(server) as client:
        made = way(tmp_path, server.url, max_waiting=5, after=0.1)
        async with made.running():
            await made.flowing()
            await server.kill()
            async with asyncio.timeout(20):
                await made.disconnected.wait()
            made.outlet.put(envelope(number) for number in range(5))
            await until(lambda: made.store.events == 5)
            made.outlet.put(envelope(number) for number in range(5, 30))
            assert not made.outlet.is_safe
            await server.start()
            async with asyncio.timeout(30):
                await made.outlet.settled(made.publisher)
            assert made.outlet.is_safe
            assert await stream_messages(client) == 30


class TestHoldingBack:
    async def test_while_neither_nats_nor_the_disk_takes_events_the_whole_room_is_used(
        self, tmp_path: Path
    ) -> None:
        made = way(tmp_path, max_events=10, max_waiting=1)
        async with made.running():
            made.outlet.put([envelope(0)])
            await until(lambda: made.store.events == 1 and not made.outlet.spooler.unsaved)
            made.outlet.put(envelope(number) for number in range(1, 10))
            assert not made.outlet.should_hold_back
            assert made.outlet.has_room
            made.outlet.put([envelope(10)])
            assert made.outlet.should_hold_back
            assert not made.outlet.has_room

    async def test_while_the_disk_takes_events_most_of_it_is_kept(self, tmp_path: Path) -> None:
        made = way(tmp_path, max_events=40)
        async with made.running():
            made.outlet.put(envelope(number) for number in range(8))
            assert made.outlet.should_hold_back
            assert made.outlet.has_room
            resumed = asyncio.Event()
            made.outlet.when_room(resumed.set)
            async with asyncio.timeout(20):
                await resumed.wait()
            assert not made.outlet.should_hold_back

    async def test_while_nats_takes_events_most_of_it_is_kept(self, tmp_path: Path) -> None:
        async with real_nats(tmp_path) as server:
            made = way(tmp_path, server.url, max_events=40)
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

    async def test_in_front_of_a_publisher_that_takes_them_few_events_wait(
        self, tmp_path: Path
    ) -> None:
        """Five thousand were a third of a second for each window of a sender that waits for its
        acknowledgements, beside a flood of one that does not."""
        async with real_nats(tmp_path) as server:
            made = way(tmp_path, server.url, max_events=50_000)
            async with made.running():
                await made.flowing()
                made.outlet.put(envelope(number) for number in range(499))
                assert not made.outlet.should_hold_back
                made.outlet.put([envelope(499)])
                assert made.outlet.should_hold_back
                left: list[int] = []
                made.outlet.when_room(lambda: left.append(len(made.queue)))
                await until(lambda: bool(left))
                assert left[0] < 250
                made.outlet.spooler.fall_behind()
                made.queue.extend(envelope(number) for number in range(500, 2000))
                assert not made.outlet.should_hold_back, "from the disk they come by thousands"

    async def test_held_back_senders_go_on_when_nats_goes_away(self, tmp_path: Path) -> None:
        """What was kept free is for now; and they go on only once."""
        async with real_nats(tmp_path) as server:
            made = way(tmp_path, server.url, max_events=40)
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
                await until(lambda: bool(resumes))  # as soon as the disk has what waited
                made.outlet.flow_stopped()
                assert resumes == [1]

    async def test_with_a_full_room_they_wait_on(self, tmp_path: Path) -> None:
        made = way(tmp_path, max_events=10)
        made.outlet.put(envelope(number) for number in range(8))
        resumes: list[int] = []
        made.outlet.when_room(lambda: resumes.append(1))
        made.outlet.flow_stopped()
        assert resumes == []

    async def test_a_full_room_lets_go_once_it_is_half_empty(self, tmp_path: Path) -> None:
        async with real_nats(tmp_path) as server:
            made = way(tmp_path, server.url, max_events=10)
            made.outlet.put(envelope(number) for number in range(10))
            resumed = asyncio.Event()
            made.outlet.when_room(resumed.set)
            async with made.running(), asyncio.timeout(20):
                await resumed.wait()
                assert len(made.queue) <= 5


async def test_the_answer_to_a_dead_letter_is_no_event(tmp_path: Path) -> None:
    """Counted as a letter, not as published: the balance of events is about events."""
    made = way(tmp_path)
    refused = envelope(1)
    made.outlet.done([(refused, Rejected(Refusal.REFUSED, "no (400/1)"))])
    letter: Envelope
    (letter,) = made.queue.take(1, 1)
    assert letter.event_type == "invalid"
    made.outlet.done([(letter, Published(duplicate=False, seconds=0.1))])
    assert value(made.metrics, "published_total", result="ok") == 0
    assert value(made.metrics, "dead_letters_total", result="stored") == 1


async def test_answers_of_one_read_are_counted_one_by_one(tmp_path: Path) -> None:
    """In runs, of which any may be the shortest."""
    made = way(tmp_path)
    early, late = [envelope(number) for number in range(3)], [envelope(3)]
    for one in late:
        one.received += 1e6
    alike, other = Published(False, 0.1), Published(True, 20.0)
    made.outlet.done([(each, alike) for each in early + late] + [(envelope(4), other)])
    made.outlet.done([])
    assert value(made.metrics, "published_total", result="ok") == 4
    assert value(made.metrics, "published_total", result="duplicate") == 1
    assert value(made.metrics, "publish_seconds_bucket", le="0.1") == 4
    assert value(made.metrics, "publish_seconds_count") == 5
    assert value(made.metrics, "publish_seconds_sum") == pytest.approx(20.4)
    lag = value(made.metrics, "event_lag_seconds_sum")
    assert lag == pytest.approx(5 * (time.time() - early[0].received) - 1e6, abs=100)


async def test_a_receipt_that_fails_costs_no_other_its_word(tmp_path: Path) -> None:
    made = way(tmp_path)
    envelopes = [envelope(number) for number in range(3)]
    durable: list[int] = []
    for number, one in enumerate(envelopes):
        one.on_durable = partial(durable.append, number)
    envelopes[1].on_durable = _fail
    made.outlet.done([(one, Published(False, 0.1)) for one in envelopes])
    assert durable == [0, 2]
    assert value(made.metrics, "published_total", result="ok") == 3


async def test_a_letter_that_went_over_the_disk_told_its_sender_twice(tmp_path: Path) -> None:
    """When it was refused as well, and buried: the RELP session did not know the frame any more."""
    made = way(tmp_path)
    refused = envelope(1)
    durable: list[int] = []
    refused.on_durable = lambda: durable.append(1)
    async with made.running():
        await until(lambda: made.store.has_room)
        made.outlet.done([(refused, Rejected(Refusal.REFUSED, "no (400/1)"))])
        (letter,) = made.queue.take_unsaved()
        made.outlet.spooler.put([letter])
        await made.outlet.spooler.saved()
        assert durable == [1]
        made.outlet.done([(letter, Rejected(Refusal.REFUSED, "no (400/1)"))])
        await made.outlet.spooler.saved()
        assert durable == [1]
        assert made.store.dead_letters == 1
        assert made.store.events == 0, "the letter's place on disk is given up with it"


async def test_the_intake_speaks_for_the_outlet(tmp_path: Path) -> None:
    made = way(tmp_path, max_events=1)
    intake = PipelineIntake(
        Pipeline(PipelineConfig(), TEMPLATE, made.metrics, builtin_classifier()),
        made.outlet,
        Sources(10),
    )
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
    made.outlet.spooler.incoming.take(1, 1)
    made.outlet.flow_stopped()
    assert resumes == [1]


class Asking:
    """Other receivers, who answer when a test says so."""

    def __init__(self) -> None:
        self.asked: list[bytes] = []

    def ask(self, queue: Queue, key: bytes) -> None:
        self.asked.append(key)

    def changed(self, queue: Queue, key: bytes) -> None:
        pass


def folded(number: int) -> bytes:
    """A deferral of a message of its own, a thousand times."""
    text = lines.DEFERRED.partition(b": ")[2].replace(b"4ABCDE12F", b"4ABCDE%03X" % number)
    return lines.HEADER + b"smtp[8]: message repeated 1000 times: [ " + text + b"]"


async def test_answers_that_come_together_do_not_hold_the_loop(tmp_path: Path) -> None:
    """Folded lines waited for the other receivers' word, gave nothing as yet and so held nobody
    back. Then a read of answers made 130,000 events in one turn of the loop."""
    made = way(tmp_path, max_events=1_000_000)
    asking = Asking()
    correlation = Correlation(CorrelationConfig(), ZoneInfo("UTC"), asking)
    pipeline = Pipeline(PipelineConfig(), TEMPLATE, made.metrics, builtin_classifier(), correlation)
    intake = PipelineIntake(pipeline, made.outlet, Sources(10))
    many = 10
    intake.take([Frame(folded(number)) for number in range(many)], ORIGIN, NOW)
    assert (made.outlet.waiting, len(asking.asked)) == (0, many)
    for key in asking.asked:
        intake.learned(key)
    await asyncio.sleep(0)
    resumes: list[int] = []
    intake.when_room(lambda: resumes.append(made.outlet.waiting))
    for turn in range(1, many):
        assert made.outlet.waiting == turn * AT_ONCE
        assert intake.should_hold_back
        await asyncio.sleep(0)
    assert not intake.should_hold_back
    assert resumes == [many * 1000], "who was held back goes on once all are made"
    assert_balanced(made.metrics)


async def test_stopping_makes_the_events_that_were_still_to_be_made(tmp_path: Path) -> None:
    made = way(tmp_path, max_events=100_000)
    pipeline = Pipeline(PipelineConfig(), TEMPLATE, made.metrics, builtin_classifier())
    intake = PipelineIntake(pipeline, made.outlet, Sources(10))
    intake.take([Frame(folded(number)) for number in range(3)], ORIGIN, NOW)
    assert pipeline.ready == 2
    intake.release_all()
    assert made.outlet.waiting == 3000
    intake.take([Frame(folded(number)) for number in range(3, 6)], ORIGIN, NOW)
    await asyncio.sleep(0)
    assert made.outlet.waiting == 6000


async def test_there_is_no_room_while_too_many_lines_wait_for_their_events(tmp_path: Path) -> None:
    made = way(tmp_path, max_events=1_000_000)
    pipeline = Pipeline(PipelineConfig(), TEMPLATE, made.metrics, builtin_classifier())
    intake = PipelineIntake(pipeline, made.outlet, Sources(10))
    intake.take([Frame(folded(number)) for number in range(400)], ORIGIN, NOW)
    assert intake.has_room
    intake.take([Frame(folded(number)) for number in range(400, 600)], ORIGIN, NOW)
    assert made.outlet.has_room
    assert not intake.has_room


def awaited(number: int, durable: list[int]) -> Envelope:
    made = envelope(number)
    made.on_durable = partial(durable.append, number)
    return made


async def test_what_a_sender_waits_for_is_published_in_the_same_turn(tmp_path: Path) -> None:
    async with real_nats(tmp_path) as server, client_of(server) as client:
        made = way(tmp_path, server.url)
        durable: list[int] = []
        async with made.running():
            await made.flowing()
            made.outlet.put([awaited(1, durable), awaited(2, durable)])
            assert made.publisher.in_flight == 2
            assert not durable
            made.outlet.put([envelope(3)])  # nobody waits: these go by the queue, in large numbers
            assert (made.publisher.in_flight, len(made.queue)) == (2, 1)
            made.outlet.put([awaited(4, durable)])  # not past the one that waits there
            assert (made.publisher.in_flight, len(made.queue)) == (2, 2)
            await made.outlet.settled(made.publisher)
            found = [headers["Nats-Msg-Id"] for _, headers, _ in await fetch(client, 4)]
        assert durable == [1, 2, 4]
        assert found == [envelope(number).message_id for number in (1, 2, 3, 4)]


async def test_write_ahead_publishes_nothing_in_the_same_turn(tmp_path: Path) -> None:
    async with real_nats(tmp_path) as server:
        made = way(tmp_path, server.url, durability="write-ahead")
        durable: list[int] = []
        async with made.running():
            await made.flowing()
            made.outlet.put([awaited(1, durable)])
            assert made.publisher.in_flight == 0
            await made.outlet.settled(made.publisher)
        assert durable == [1]
