"""Deliver: every envelope ends once, as acknowledged or dead; against a real nats-server."""

import asyncio
import time
from functools import partial
from pathlib import Path

import pytest
from nats.aio.client import Client
from structlog.testing import capture_logs

import schemas
from schemas import InvalidEvent
from service.core.classify import builtin_classifier
from service.core.envelope import Envelope
from service.core.framing.base import Frame
from service.intake import PipelineIntake
from service.nats.answer import Published, Refusal, Rejected
from service.pipeline import Pipeline
from service.pipeline_config import PipelineConfig
from service.sources import Sources
from service.spool import inspection
from service.spool.opening import database_path
from tests import sample_lines as lines
from tests.metric_values import assert_balanced, value
from tests.nats.waiting import until
from tests.nats_server import client_of, real_nats, stream_messages
from tests.outlet_way import way
from tests.sample_lines import NOW, ORIGIN, TEMPLATE, envelope


def _fail() -> None:
    raise ValueError("a defect of ours")


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
